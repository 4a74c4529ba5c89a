// SPDX-License-Identifier: MIT
/* old_libbpf.c on the running kernel's own types. */
#include "unit/unit.h"

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/kernel_btf.h"
#include "engine/old_libbpf.h"

#define KIND_FLOAT 16	/* the newest that libbpf 0.5 knows */

static char *bytes, *before;
static size_t size;

static int read_kernel(void **state)
{
	int fd = open(KERNEL_BTF, O_RDONLY | O_CLOEXEC);
	struct stat st;

	(void)state;
	if (fd < 0 || fstat(fd, &st))
		return 0;
	size = (size_t)st.st_size;
	bytes = malloc(size);
	before = malloc(size);
	for (size_t got = 0; got < size;) {
		ssize_t n = read(fd, bytes + got, size - got);

		if (n <= 0)
			return -1;
		got += (size_t)n;
	}
	memcpy(before, bytes, size);
	close(fd);
	return 0;
}

static int free_kernel(void **state)
{
	(void)state;
	free(bytes);
	free(before);
	return 0;
}

static void kinds_that_are_unknown_go_and_all_else_stays(void **state)
{
	const struct btf_header *h = (const struct btf_header *)bytes;
	int changed = 0, types = 0;

	(void)state;
	if (!bytes)
		skip();		/* a kernel without BTF */
	assert_int_equal(old_libbpf_make_known(bytes, size), 0);
	for (const char *at = bytes + h->hdr_len + h->type_off, *end = at + h->type_len; at < end; types++) {
		const struct btf_type *t = (const struct btf_type *)at, *was = (const void *)(before + (at - bytes));
		__u32 whole = (__u32)sizeof(*t) + kernel_btf_behind(was);

		assert_true(BTF_INFO_KIND(t->info) <= KIND_FLOAT);
		assert_int_equal(kernel_btf_behind(t), kernel_btf_behind(was));
		assert_int_equal(t->name_off, was->name_off);
		if (BTF_INFO_KIND(was->info) <= KIND_FLOAT)
			assert_memory_equal(t, was, whole);
		else
			changed++;
		at += whole;
	}
	assert_true(types > 1000);
	print_message("%d of %d types changed\n", changed, types);
}

static void result_is_well_formed(void **state)
{
	struct btf *btf;

	(void)state;
	if (!bytes)
		skip();
	btf = btf__new(bytes, (__u32)size);
	assert_non_null(btf);
	assert_true(btf__find_by_name_kind(btf, "task_struct", BTF_KIND_STRUCT) > 0);
	assert_true(btf__find_by_name_kind(btf, "bpf_lsm_bpf", BTF_KIND_FUNC) != 0);
	btf__free(btf);
}

/* Each kind by itself, since a kernel has those that its compiler made. */
static struct {
	struct btf_header h;
	struct btf_type tag;
	__s32 component;
	struct btf_type type_tag, wide;
	__u32 values[6];
} made = {
	.h = { .magic = BTF_MAGIC, .version = 1, .hdr_len = sizeof(struct btf_header),
	       .type_len = sizeof(made) - sizeof(struct btf_header) },
	.tag = { .info = KERNEL_BTF_DECL_TAG << 24, .type = 2 },
	.component = -1,
	.type_tag = { .info = KERNEL_BTF_TYPE_TAG << 24, .type = 3 },
	.wide = { .info = 1U << 31 | KERNEL_BTF_ENUM64 << 24 | 2, .size = 8 },
	.values = { 0, 7, 8, 0, 9, 10 },
};

static void each_kind_gets_another(void **state)
{
	const __u32 members[6] = { 0 };

	(void)state;
	assert_int_equal(old_libbpf_make_known(&made, sizeof(made)), 0);
	assert_int_equal(made.tag.info, BTF_KIND_VAR << 24);
	assert_int_equal(made.component, 0);
	assert_int_equal(made.type_tag.info, BTF_KIND_CONST << 24);
	assert_int_equal(made.wide.info, BTF_KIND_UNION << 24 | 2);
	assert_memory_equal(made.values, members, sizeof(members));
}

static void what_is_no_btf_or_newer_still_is_refused(void **state)
{
	(void)state;
	assert_int_equal(old_libbpf_make_known(&made, sizeof(made) - 1), -EPROTO);
	assert_int_equal(old_libbpf_make_known(&made, 4), -EPROTO);
	made.wide.info = (KERNEL_BTF_ENUM64 + 1) << 24;
	assert_int_equal(old_libbpf_make_known(&made, sizeof(made)), -EPROTO);
	made.wide.info = KERNEL_BTF_ENUM64 << 24 | 3;	/* more than there is */
	assert_int_equal(old_libbpf_make_known(&made, sizeof(made)), -EPROTO);
	made.h.magic++;
	assert_int_equal(old_libbpf_make_known(&made, sizeof(made)), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_that_are_unknown_go_and_all_else_stays),
		cmocka_unit_test(result_is_well_formed),
		cmocka_unit_test(each_kind_gets_another),
		cmocka_unit_test(what_is_no_btf_or_newer_still_is_refused),
	};

	return cmocka_run_group_tests(tests, read_kernel, free_kernel);
}
