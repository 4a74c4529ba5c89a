// SPDX-License-Identifier: MIT
/* Loads the programs of an uplink, attached to nothing, and hands them with their maps to the reference: it is executed
 * with their descriptors. usage: kernel REFERENCE [ARGUMENT]... */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "bpf/lab.h"

/* A descriptor that outlives exec, as the value of a variable. */
static void hand_over(const char *name, int fd)
{
	char text[16];

	if (fd < 0 || fcntl(fd, F_SETFD, 0)) {
		fprintf(stderr, "%s: no descriptor\n", name);
		exit(1);
	}
	snprintf(text, sizeof(text), "%d", fd);
	setenv(name, text, 1);
}

/* A map of the program, found by its name. */
static int find_map(int program, const char *name, __u32 *ret_size)
{
	__u32 ids[64], size = sizeof(struct bpf_prog_info), map_size = sizeof(struct bpf_map_info);
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (__u64)(uintptr_t)ids };

	if (bpf_obj_get_info_by_fd(program, &info, &size))
		return -1;
	for (__u32 i = 0; i < info.nr_map_ids && i < 64; i++) {
		struct bpf_map_info map = { .id = 0 };
		int fd = bpf_map_get_fd_by_id(ids[i]);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &map, &map_size) && !strcmp(map.name, name)) {
			*ret_size = map.value_size;
			return fd;
		}
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum engine_map map;
	} maps[] = {
		{ "ADDRESSES", ENGINE_ADDRESSES }, { "LEARNED", ENGINE_LEARNED }, { "OPENED", ENGINE_OPENED },
		{ "PENDING", ENGINE_PENDING }, { "PAID", ENGINE_PAID }, { "RANGES", ENGINE_RANGES },
		{ "TARGETS", ENGINE_TARGETS }, { "NAMES", ENGINE_NAMES }, { "CONTROL", ENGINE_CONTROL },
		{ "FLOWS", ENGINE_FLOWS }, { "COUNTS", ENGINE_COUNTS }, { "SHARES", ENGINE_SHARES },
	};
	struct config c = { .max_addresses = 1024, .uplinks = { "eth0" }, .uplink_count = 1, .inspect = true,
			    .inbound_count = 1, .min_ttl = 0, .max_ttl = 3600, .grace = 0 };
	struct lab lab;
	struct error e;
	char text[16];
	int program, counters;
	__u32 size = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: kernel REFERENCE [ARGUMENT]...\n");
		return 2;
	}
	c.inbound[0] = (struct oh_inbound){ .address = packet_address("198.51.100.0"), .port = 22 };
	memset(&c.inbound[0].mask, 0xff, 15);
	if (lab_start(&lab, &c, false, NULL, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	lab_ready(&lab, true);
	hand_over("EGRESS", engine_program(lab.set, OH_HOOK_UPLINK_EGRESS));
	hand_over("INGRESS", engine_program(lab.set, OH_HOOK_UPLINK_INGRESS));
	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		hand_over(maps[i].name, lab.engine.map[maps[i].map]);
	program = engine_program(lab.set, OH_HOOK_UPLINK_EGRESS);
	hand_over("OPENINGS", find_map(program, "oh_openings", &size));
	counters = find_map(program, ".data.counters", &size);	/* where scripts/bpf-counted compiled the programs */
	if (counters >= 0) {
		hand_over("COUNTERS", counters);
		snprintf(text, sizeof(text), "%u", size);
		setenv("COUNTERS_SIZE", text, 1);
	}
	snprintf(text, sizeof(text), "%u", lab.device);
	setenv("DEVICE", text, 1);
	_Static_assert(sizeof(struct oh_entry) == 96 && sizeof(struct oh_name_entry) == 152 &&
		       sizeof(struct oh_target) == 288 && sizeof(struct oh_flow_key) == 40 &&
		       sizeof(struct oh_shares) == 96 && sizeof(struct oh_count) == 16, "what bpf.go writes and reads");
	execv(argv[1], argv + 1);
	fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
	return 1;
}
