/* The eBPF programs, inside the binary: an ELF object, compressed (RFC 1952). */
	.section .rodata
	.balign 8
	.global engine_object, engine_object_end
engine_object:
	.incbin OHGUARD_OBJECT
engine_object_end:
	.section .note.GNU-stack, "", @progbits
