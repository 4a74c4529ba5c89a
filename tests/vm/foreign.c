// SPDX-License-Identifier: MIT
/* A filter of another's before ours: as cilium and others attach theirs, of the first priority, and letting all pass.
 * usage: foreign INTERFACE egress|ingress HANDLE */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0 /* TC_ACT_OK */ },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SCHED_CLS, .insn_cnt = 2, .insns = (uintptr_t)code,
				.license = (uintptr_t)"GPL", .prog_name = "foreign" };
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int program, r;
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = argc == 4 ? (int)if_nametoindex(argv[1]) : 0, .attach_point =
			    argc == 4 && !strcmp(argv[2], "egress") ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .handle = argc == 4 ? (uint32_t)atoi(argv[3]) : 0, .priority = 1,
			    .prog_fd = -1);

	setrlimit(RLIMIT_MEMLOCK, &unlimited);	/* kernels before 5.11 charge programs to it */
	program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	options.prog_fd = program;
	if (program < 0 || !hook.ifindex) {
		perror("foreign");
		return 1;
	}
	bpf_tc_hook_create(&hook);
	r = bpf_tc_attach(&hook, &options);
	if (r)
		fprintf(stderr, "foreign: %s\n", strerror(-r));
	return r != 0;
}
