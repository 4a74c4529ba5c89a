// SPDX-License-Identifier: MIT
/* What Debian's static libraries ask for and this program never comes to. All weak: the real functions are taken where
 * they are linked.
 *
 * libelf of Debian 13 and Ubuntu 24.04: compressed sections need zstd, which is as large as all of this program. The
 * object inside it has none, so that a zstd which always fails is enough. And it calls two functions of libeu, which
 * Debian does not ship. They keep the list of what elf_getdata_rawchunk() handed out, which nobody calls here. */
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
