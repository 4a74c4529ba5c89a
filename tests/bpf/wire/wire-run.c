// SPDX-License-Identifier: MIT
/*
 * wire-run verify OBJECT [NAME]   verifier instructions of each program, or of one
 * wire-run time OBJECT DIR        nanoseconds of each parser for the packets in DIR/{query,answer,hello,ntp}
 * wire-run diff OBJECT DIR...     the same packets through the kernel and the host build: results must agree
 *
 * Loads programs and runs them with BPF_PROG_TEST_RUN; attaches nothing.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "engine/libbpf_compat.h"
#include "unit/parse/host.h"
#include "wire.h"

/* PROG_TEST_RUN takes no more than a page less its own overhead. */
#define WIRE_DATA_MAX 3500

static const char *const kinds[] = {"query", "answer", "hello", "ntp", "parts"};
#define KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

struct wire {
	struct bpf_object *object;
	int empty, prog[KINDS], scratch, names, pending;
	struct oh_scratch *all; /* one per possible CPU */
};

/* Where the packets of a kind are: hellos serve whole and in parts. */
static const char *folder(int kind)
{
	return kind == 4 ? kinds[2] : kinds[kind];
}

/* Where a hello is cut in two. */
static __u32 cut(const __u8 *data, __u32 len)
{
	return len ? (__u32)(data[len - 1] << 8 | data[len / 2]) % (len + 1) : 0;
}

static char log_buf[1 << 20];

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN && getenv("V") ? vfprintf(stderr, format, args) : 0;
}

/* Loads one program of the object alone, and prints what the verifier counted. */
static int verify_one(const char *path, const char *name)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *p;
	const char *line;
	int err;

	if (!object)
		return -1;
	bpf_object__for_each_program(p, object)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), name));
	p = bpf_object__find_program_by_name(object, name);
	log_buf[0] = 0;
	bpf_program__set_log_buf(p, log_buf, sizeof(log_buf));
	bpf_program__set_log_level(p, 4);
	err = bpf_object__load(object);
	line = strstr(log_buf, "processed ");
	printf("  %-12s %s %.*s\n", name, err ? "REFUSED" : "ok", line ? (int)strcspn(line, "\n") : 0,
		line ? line : "");
	if (err) {
		size_t n = strlen(log_buf);

		printf("%s\n", log_buf + (n > 3000 ? n - 3000 : 0));
	}
	bpf_object__close(object);
	return err;
}

static int cmd_verify(const char *path, const char *only)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *p;
	int bad = 0;

	if (!object)
		return 1;
	bpf_object__for_each_program(p, object)
		if (!only || !strcmp(bpf_program__name(p), only))
			bad |= verify_one(path, bpf_program__name(p)) != 0;
	bpf_object__close(object);
	return bad;
}

static int wire_rule(struct wire *w, const char *text)
{
	struct oh_name_key key;
	__u32 value = 1;

	return oh_key_from_text(&key, text) ? -1 : bpf_map_update_elem(w->names, &key, &value, BPF_ANY);
}

static int wire_open(struct wire *w, const char *path)
{
	int cpus = libbpf_num_possible_cpus(), i;
	char name[32];

	memset(w, 0, sizeof(*w));
	w->object = bpf_object__open_file(path, NULL);
	if (!w->object || cpus < 1 || bpf_object__load(w->object))
		return -1;
	w->all = calloc((size_t)cpus, (sizeof(*w->all) + 7) / 8 * 8);
	w->empty = bpf_program__fd(bpf_object__find_program_by_name(w->object, "tc_empty"));
	for (i = 0; i < KINDS; i++) {
		struct bpf_program *p;

		snprintf(name, sizeof(name), "tc_%s", kinds[i]);
		p = bpf_object__find_program_by_name(w->object, name);
		w->prog[i] = p ? bpf_program__fd(p) : -1;
	}
	w->scratch = bpf_object__find_map_fd_by_name(w->object, "oh_scratch_map");
	w->names = bpf_object__find_map_fd_by_name(w->object, "wire_names");
	w->pending = bpf_object__find_map_fd_by_name(w->object, "wire_pending");
	return w->all ? wire_rule(w, "*.openai.com") || wire_rule(w, "localhost") || wire_rule(w, "github.com") : -1;
}

/* The program's result for a packet, or -1. */
static int wire_test(int fd, int kind, const __u8 *data, __u32 len, int repeat, __u32 *ret_ns)
{
	static __u8 packet[WIRE_ETH + 65536];
	struct __sk_buff ctx = {.mark = kind == 4 ? cut(data, len) : 0};
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = WIRE_ETH + len, .repeat = repeat,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	packet[12] = 0x88; /* a type that no stack looks into */
	packet[13] = 0xb5;
	memcpy(packet + WIRE_ETH, data, len);
	if (bpf_prog_test_run_opts(fd, &o))
		return -1;
	if (ret_ns)
		*ret_ns = o.duration;
	return (int)o.retval;
}

static int wire_host(int kind, const __u8 *data, __u32 len, const struct oh_dns_pending *asked)
{
	switch (kind) {
	case 0:
		return wire_query(data, len);
	case 1:
		return wire_answer(data, len, asked);
	case 2:
		return wire_hello(data, len);
	case 4:
		return wire_hello_in_two(data, len, cut(data, len));
	default:
		return wire_ntp(data, len, 0);
	}
}

static int same_key(struct oh_scratch *a, struct oh_scratch *b)
{
	const __u8 *x = a->rev + a->key_at, *y = b->rev + b->key_at;

	return a->key_at == b->key_at && !memcmp(x, y, 4 + (__u32)(OH_REV_END - 4 - a->key_at + 1));
}

/* Whether both left the same in the scratch, for a result of 0. */
static int wire_same(int kind, struct oh_scratch *host, struct oh_scratch *kernel)
{
	if (kind == 0)
		return same_key(host, kernel) && host->query.id == kernel->query.id &&
		       host->query.qtype == kernel->query.qtype && host->query.name_len == kernel->query.name_len &&
		       !memcmp(host->query.name, kernel->query.name, host->query.name_len);
	if (kind == 1)
		return host->addrs == kernel->addrs &&
		       !memcmp(host->addr, kernel->addr, host->addrs * sizeof(host->addr[0]));
	return kind == 2 || kind == 4 ? same_key(host, kernel) : 1;
}

/* 0 the same, 1 not, -1 not comparable. */
static int diff_packet(struct wire *w, int kind, const __u8 *data, __u32 len)
{
	struct oh_dns_pending asked;
	__u32 zero = 0;
	int host, kernel;

	if (w->prog[kind] < 0 || len > WIRE_DATA_MAX)
		return -1;
	wire_pending_for(data, len, &asked);
	bpf_map_update_elem(w->pending, &zero, &asked, BPF_ANY);
	host = wire_host(kind, data, len, &asked);
	kernel = wire_test(w->prog[kind], kind, data, len, 1, NULL);
	if (kernel < 0)
		return -1;
	/* The kernel's run ends with the rule: nothing of the parser's. */
	if (host != (kernel == WIRE_REFUSED ? 0 : kernel))
		return 1;
	if (host)
		return 0;
	if (bpf_map_lookup_elem(w->scratch, &zero, w->all))
		return -1;
	/* Pinned to CPU 0 by main. Values of a per-CPU map are 8 aligned. */
	return !wire_same(kind, oh_scratch(0), w->all);
}

static __u32 read_file(const char *path, __u8 *data, __u32 max)
{
	FILE *f = fopen(path, "rb");
	__u32 n = f ? (__u32)fread(data, 1, max, f) : 0;

	if (f)
		fclose(f);
	return n;
}

/* Calls visit for each file of DIR/kind. */
static int each_packet(struct wire *w, const char *dir, int kind,
		       int (*visit)(struct wire *, int, const char *, const __u8 *, __u32))
{
	static __u8 data[65536];
	struct dirent **list;
	char path[4096];
	int n, i, bad = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, folder(kind));
	n = scandir(path, &list, NULL, alphasort);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", dir, folder(kind), list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			bad += visit(w, kind, path, data, read_file(path, data, sizeof(data)));
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return bad;
}

static int compared, skipped;

static int visit_diff(struct wire *w, int kind, const char *path, const __u8 *data, __u32 len)
{
	int r = diff_packet(w, kind, data, len);

	compared += r >= 0;
	skipped += r < 0;
	if (r > 0)
		printf("DIFFERS %s\n", path);
	return r > 0;
}

/* The median of five runs of 100,000: figures to read, nothing is asserted. */
static __u32 median_ns(int fd, int kind, const __u8 *data, __u32 len, int *ret_result)
{
	__u32 ns[5], i, j, t;

	for (i = 0; i < 5; i++)
		*ret_result = wire_test(fd, kind, data, len, 100000, &ns[i]);
	for (i = 0; i < 5; i++)
		for (j = i + 1; j < 5; j++)
			if (ns[j] < ns[i])
				t = ns[i], ns[i] = ns[j], ns[j] = t;
	return ns[2];
}

static int visit_time(struct wire *w, int kind, const char *path, const __u8 *data, __u32 len)
{
	struct oh_dns_pending asked;
	__u32 zero = 0, base, ns;
	int result;

	if (w->prog[kind] < 0 || len > WIRE_DATA_MAX)
		return 0;
	wire_pending_for(data, len, &asked);
	bpf_map_update_elem(w->pending, &zero, &asked, BPF_ANY);
	base = median_ns(w->empty, kind, data, len, &result);
	ns = median_ns(w->prog[kind], kind, data, len, &result);
	printf("  %-44s %5u bytes  %5u ns over empty (%u)  result %d\n", strrchr(path, '/') + 1, len, ns - base, base,
		result);
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct utsname u;
	struct wire w;
	cpu_set_t one;
	int i, kind, bad = 0;

	if (argc < 3)
		return 2;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	setrlimit(RLIMIT_MEMLOCK, &all);
	libbpf_set_print(silent);
	uname(&u);
	printf("%s %s %s\n", u.release, argv[1], argv[2]);
	if (!strcmp(argv[1], "verify"))
		return cmd_verify(argv[2], argv[3]);
	if (wire_open(&w, argv[2])) {
		perror("cannot load");
		return 1;
	}
	for (i = 3; i < argc; i++)
		for (kind = 0; kind < KINDS; kind++)
			bad += each_packet(&w, argv[i], kind, strcmp(argv[1], "diff") ? visit_time : visit_diff);
	if (!strcmp(argv[1], "diff"))
		printf("%d packets compared, %d differ, %d too long to compare\n", compared, bad, skipped);
	return bad || (!strcmp(argv[1], "diff") && !compared);
}
