// SPDX-License-Identifier: MIT
/* kernel_btf.c against libbpf, which reads the same file in its own way. */
#include "unit/unit.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/kernel_btf.h"

static const char *const types[] = { "sk_buff", "sock", "net_device", "net", "inet6_dev", "no_such_struct" };
static const char *const fields[] = { "head", "sk", "dev", "ifindex", "_nfct", "sk_kern_sock", "rtnl_link_ops", "ns",
				      "no_such_field" };

static int bits_by_libbpf(const struct btf *btf, const struct btf_type *t, const char *field)
{
	for (__u32 i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *name = btf__name_by_offset(btf, m->name_off);
		const struct btf_type *inner = *name ? NULL : btf__type_by_id(btf, m->type);
		int within = !strcmp(name, field) ? 0 :
			     inner && btf_is_composite(inner) ? bits_by_libbpf(btf, inner, field) : -1;

		if (within >= 0)
			return (int)btf_member_bit_offset(t, i) + within;
	}
	return -1;
}

static void want_all(struct kernel_btf *b)
{
	*b = (struct kernel_btf){ .fd = -1 };
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		kernel_btf_want(b, types[i]);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		kernel_btf_want(b, fields[i]);
}

static void kernel_btf_says_what_libbpf_says(void **state)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct kernel_btf b;
	int found = 0;

	(void)state;
	if (libbpf_get_error(btf))
		skip();		/* a kernel without BTF, or with one that this libbpf cannot read */
	want_all(&b);
	assert_int_equal(kernel_btf_read(&b, KERNEL_BTF), 0);
	assert_non_null(btf__type_by_id(btf, b.count - 1));
	assert_null(btf__type_by_id(btf, b.count));
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		int id = btf__find_by_name_kind(btf, types[i], BTF_KIND_STRUCT);
		const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;

		assert_int_equal(kernel_btf_size(&b, types[i]), t ? (int)t->size : -1);
		for (size_t j = 0; j < sizeof(fields) / sizeof(*fields); j++) {
			int bits = t ? bits_by_libbpf(btf, t, fields[j]) : -1;

			assert_int_equal(kernel_btf_bits(&b, types[i], fields[j]), bits);
			found += bits > 0;
		}
	}
	assert_true(found > 5);
	kernel_btf_close(&b);
	btf__free(btf);
}

/* A copy of the kernel's, cut to `size` bytes, with one byte of it changed. */
static void read_damaged(size_t size, size_t at, char byte, int expected)
{
	char path[] = "/tmp/test-btf-XXXXXX", *bytes = malloc(size);
	int from = open(KERNEL_BTF, O_RDONLY), to = mkstemp(path);
	struct kernel_btf b;

	assert_true(from >= 0 && to >= 0 && bytes);
	assert_int_equal(read(from, bytes, size), size);
	bytes[at] = byte;
	assert_int_equal(write(to, bytes, size), size);
	close(from);
	close(to);
	want_all(&b);
	assert_int_equal(kernel_btf_read(&b, path), expected);
	assert_int_equal(kernel_btf_bits(&b, "sk_buff", "head"), -1);
	kernel_btf_close(&b);
	unlink(path);
	free(bytes);
}

static void kernel_btf_damaged_finds_nothing(void **state)
{
	(void)state;
	if (access(KERNEL_BTF, R_OK))
		skip();
	read_damaged(4096, 4095, 0, -EPROTO);		/* its end is missing */
	read_damaged(10, 9, 0, -EPROTO);
	read_damaged(4096, 0, 0, -EPROTO);		/* another magic number */
}

static void kernel_btf_missing_is_an_error(void **state)
{
	struct kernel_btf b;

	(void)state;
	want_all(&b);
	assert_int_equal(kernel_btf_read(&b, "/nonexistent"), -ENOENT);
	assert_int_equal(kernel_btf_size(&b, "sk_buff"), -1);
	kernel_btf_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_btf_says_what_libbpf_says),
		cmocka_unit_test(kernel_btf_damaged_finds_nothing),
		cmocka_unit_test(kernel_btf_missing_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
