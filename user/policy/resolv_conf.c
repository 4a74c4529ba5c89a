// SPDX-License-Identifier: MIT
#include "policy/resolv_conf.h"

#include <stdio.h>
#include <string.h>

size_t resolv_conf_servers(const char *resolv_conf, bool local, struct oh_address ret[CONFIG_RESOLVERS_MAX])
{
	FILE *f = fopen(resolv_conf, "re");
	char line[512], text[ADDRESS_TEXT_MAX];
	struct oh_address a;
	size_t n = 0;

	if (!f)
		return 0;
	while (n < CONFIG_RESOLVERS_MAX && fgets(line, sizeof(line), f)) {
		const char *special;

		if (sscanf(line, "nameserver %51s", text) != 1 || address_parse(text, &a))
			continue;
		special = address_special(&a, NULL);
		if (local == (special && (strstr(special, "loopback") || strstr(special, "this network"))))
			ret[n++] = a;
	}
	fclose(f);
	return n;
}

size_t resolv_conf_find(struct oh_address ret[CONFIG_RESOLVERS_MAX])
{
	size_t n = resolv_conf_servers("/etc/resolv.conf", false, ret);

	return n ? n : resolv_conf_servers("/run/systemd/resolve/resolv.conf", false, ret);
}

/* The last such line counts, as in resolv.conf(5). */
size_t resolv_conf_search(const char *resolv_conf, char ret[CONFIG_SEARCH_MAX][TARGET_NAME_MAX + 1])
{
	FILE *f = fopen(resolv_conf, "re");
	char line[2048], *word, *rest;
	struct target t;
	struct error e;
	size_t n = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		word = strtok_r(line, " \t\n", &rest);
		if (!word || (strcmp(word, "search") && strcmp(word, "domain")))
			continue;
		n = 0;
		while (n < CONFIG_SEARCH_MAX && (word = strtok_r(NULL, " \t\n", &rest))) {
			if (!target_parse(word, &t, &e) && t.kind == TARGET_NAME && !strchr(word, ':'))
				memcpy(ret[n++], t.name, sizeof(t.name));
		}
	}
	fclose(f);
	return n;
}
