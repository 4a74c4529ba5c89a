/* The eBPF programs, inside the binary. */
	.section .rodata
	.balign 8
	.global engine_object, engine_object_end
engine_object:
	.incbin OHGUARD_OBJECT
engine_object_end:
	.section .note.GNU-stack, "", @progbits
