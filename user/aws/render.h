/* SPDX-License-Identifier: MIT */
/* The generated files: first-boot documents, nginx site, units, scripts, policies. */
#ifndef OHGUARD_AWS_RENDER_H
#define OHGUARD_AWS_RENDER_H

#include "aws/config.h"

struct template {
	const char *name;
	const char *start, *end;
	const char *help;
};
extern const struct template templates[];
extern const unsigned int templates_count;

#define ACME_HOST "acme-v02.api.letsencrypt.org"

/* The file of that name ("proxy", "server", "nginx-site", ...) with the stack's values filled in; server: which one,
 * from 1. *ret is for free(). -ENOENT if there is no such file. */
int render(const struct stack *stack, const char *name, unsigned int server, char **ret, struct error *e);

/* 16 hexadecimal digits that change with the text. No protection against an attacker. */
void render_hash(const char *text, char ret[20]);

#endif
