/* Debian 13's libelf.a calls two functions of libeu, which Debian does not ship. They keep the list of what
 * elf_getdata_rawchunk() handed out, which nobody calls here: nothing to begin, nothing to end. Weak, so that the
 * real ones are taken where they are. */

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
