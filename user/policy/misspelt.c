// SPDX-License-Identifier: MIT
#include "policy/misspelt.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "policy/keys.h"

#define WORDS_MAX 64
#define ALL_MAX 256

/* "accept", or "resolver, min-ttl or grace". */
static const char *enumerate(const char *const *words, size_t n, char *buffer, size_t size)
{
	size_t used = 0;

	*buffer = '\0';
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", !i ? "" : i + 1 < n ? ", " : " or ",
					 words[i]);
	return buffer;
}

int misspelt(const char *section, const char *key, struct error *e)
{
	const char *words[WORDS_MAX], *near;
	char all[ALL_MAX];
	size_t n = 0;

	for (size_t i = 0; i < config_key_count && n < WORDS_MAX; i++) {
		const struct config_key *k = &config_keys[i];
		bool here = !strcmp(section, k->section);

		if (!key && (!n || strcmp(words[n - 1], k->section)))
			words[n++] = k->section;
		else if (key && here)
			words[n++] = k->key;
		else if (key && !strcmp(key, k->key))
			return error_set(e, EINVAL, "[%s] %s: no such key there: it belongs into [%s]", section, key,
					 k->section);
	}
	near = text_nearest(key ? key : section, words, n);
	if (near && key)
		return error_set(e, EINVAL, "[%s] %s: no such key: did you mean %s?", section, key, near);
	if (near)
		return error_set(e, EINVAL, "[%s]: no such section: did you mean [%s]?", section, near);
	if (key)
		return error_set(e, EINVAL, "[%s] %s: no such key: expected %s", section, key,
				 enumerate(words, n, all, sizeof(all)));
	return error_set(e, EINVAL, "[%s]: no such section: expected %s", section,
			 enumerate(words, n, all, sizeof(all)));
}
