// SPDX-License-Identifier: MIT
/* Functions that Debian's static libraries need and this program never calls. All are weak: real ones that are linked
 * win.
 *
 * libelf of Debian 13 and Ubuntu 24.04 needs zstd for compressed sections. zstd is as large as this whole program, and
 * the object inside it has no such section: a zstd that always fails is enough. libelf also calls two functions of
 * libeu, which Debian does not ship. They keep a list for elf_getdata_rawchunk(), which nobody calls here. */
#include <stddef.h>

void eu_search_tree_init(void *tree, void *compare) __attribute__((weak));
void eu_search_tree_fini(void *tree, void *free_node) __attribute__((weak));

void eu_search_tree_init(void *tree, void *compare)
{
	(void)tree;
	(void)compare;
}

void eu_search_tree_fini(void *tree, void *free_node)
{
	(void)tree;
	(void)free_node;
}

void *ZSTD_createCCtx(void) __attribute__((weak));
size_t ZSTD_freeCCtx(void *context) __attribute__((weak));
size_t ZSTD_compressStream2(void *context, void *out, void *in, int end) __attribute__((weak));
size_t ZSTD_decompress(void *to, size_t room, const void *from, size_t size) __attribute__((weak));
unsigned int ZSTD_isError(size_t code) __attribute__((weak));

void *ZSTD_createCCtx(void)
{
	return NULL;
}

size_t ZSTD_freeCCtx(void *context)
{
	(void)context;
	return 0;
}

size_t ZSTD_compressStream2(void *context, void *out, void *in, int end)
{
	(void)context;
	(void)out;
	(void)in;
	(void)end;
	return (size_t)-1;
}

size_t ZSTD_decompress(void *to, size_t room, const void *from, size_t size)
{
	(void)to;
	(void)room;
	(void)from;
	(void)size;
	return (size_t)-1;
}

unsigned int ZSTD_isError(size_t code)
{
	(void)code;
	return 1;
}
