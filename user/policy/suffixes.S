/* SPDX-License-Identifier: MIT */
/* user/policy/suffixes.dat, inside the binary, compressed (RFC 1952). */
	.section .rodata
	.global suffixes, suffixes_end
suffixes:
	.incbin "suffixes.dat.gz"
suffixes_end:
	.section .note.GNU-stack, "", @progbits
