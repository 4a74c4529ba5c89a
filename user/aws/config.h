/* SPDX-License-Identifier: MIT */
/* The [stack] section: what `ohguard aws` is to build. */
#ifndef OHGUARD_AWS_CONFIG_H
#define OHGUARD_AWS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define STACK_SERVERS_MAX 16
#define OPERATORS_MAX 4	/* three rules each, and a network ACL takes 20 */
#define TAGS_MAX 10

/* One of the operator's own tags, on all that is made. */
struct tag {
	char key[64], value[128];
};

struct cidr {
	char text[20];	/* as AWS writes it: 10.0.0.0/16 */
	uint32_t address;	/* host byte order */
	unsigned int length;
};

struct stack {
	char name[24];
	char region[32];
	char zone[36];
	struct cidr operators[OPERATORS_MAX];	/* where visitors come from */
	unsigned int operator_count;
	struct tag tags[TAGS_MAX];
	unsigned int tag_count;
	struct cidr vpc, public, private;
	char domain[128];	/* "" for a self-signed certificate */
	bool acme;		/* with a domain: Let's Encrypt, which needs port 80 open to everyone */
	char email[128];
	char proxy_type[24], server_type[24];
	unsigned int proxy_disk, server_disk, state_disk;	/* GB */
	char ubuntu[8];
	char openhands[192];	/* NAME:VERSION@sha256:DIGEST of an image of OpenHands, "" if the file has none */
	char openhands_settings[256];	/* file with more settings of OpenHands, "" for none */
	char model[96], base_url[160];	/* what the agent asks, and where */
	char model_host[160];		/* the host of base_url: the one name on the strict list */
	char mirror[128];	/* "" for Ubuntu's own: it has another for each architecture */
	char program[256];	/* ohguard for the machines of another architecture, "" for none */
	char policy[256];	/* file to deliver to the servers, "" for the generated one */
	unsigned int servers;
	char profile[64];	/* IAM instance profile of the servers, "" for none */
	char flow_logs[160];	/* ARN of a bucket or folder of S3, "" for none */
	bool dns_firewall;
	bool endpoint;		/* ssh by an EC2 Instance Connect Endpoint, and not through the proxy */
	bool agent_docker, agent_sudo;
	char state[256];	/* folder of this stack's private key and known hosts */
};

/* Reads defaults, then the file. path NULL: /etc/ohguard/ohguard.conf, which may be missing. */
int stack_read(const char *path, struct stack *stack, struct error *e);

/* A release of Ubuntu, as Canonical names its images. */
struct ubuntu {
	const char *version, *codename, *storage, *folder;
};
const struct ubuntu *stack_ubuntu(const struct stack *stack);	/* NULL: one that is not known to work */

enum arch { ARCH_X86, ARCH_ARM, ARCHS };
struct arch_names {
	const char *ubuntu, *people;	/* in the names of Canonical's images, and in ours */
	unsigned short elf;		/* e_machine */
};
extern const struct arch_names archs[ARCHS];
enum arch stack_arch(const char *instance_type);

/* Only commands that open ports to the operator's address need it. open: 0.0.0.0/0 and the like are intended. */
int stack_check_operator(const struct stack *stack, bool open, struct error *e);

/* What it takes to make machines: an image of OpenHands, pinned. */
int stack_check_openhands(const struct stack *stack, struct error *e);

int cidr_parse(const char *text, struct cidr *ret);	/* an address alone is a /32; host bits must be clear */
bool cidr_contains(const struct cidr *outer, const struct cidr *inner);

/* The address of host number n in the range, as text. */
void cidr_host(const struct cidr *range, unsigned int n, char ret[20]);

/* Fixed, so that each side's configuration is known before the other exists. */
#define PROXY_HOST 10
#define SERVER_HOST(n) (10 + (n))	/* n from 1 */

#endif
