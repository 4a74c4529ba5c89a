/* SPDX-License-Identifier: MIT */
/* The eBPF programs, inside the binary: two ELF objects, compressed (RFC 1952). */
	.section .rodata
	.balign 8
	.global object_engine, object_engine_end, object_lock, object_lock_end
object_engine:
	.incbin "ohguard.bpf.o.gz"
object_engine_end:
object_lock:
	.incbin "lock.bpf.o.gz"
object_lock_end:
	.section .note.GNU-stack, "", @progbits
