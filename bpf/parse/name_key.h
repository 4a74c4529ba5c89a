/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A name as a key of the allowlist, an LPM trie.
 *
 * The key is the name's text backwards, in lower case, with an end mark:
 *
 *	api.openai.com      "moc.ianepo.ipa\0"   exact rule, and any asked name
 *	*.openai.com        "moc.ianepo."        suffix rule
 *
 * A rule matches when it is a prefix of the key of the asked name. Exact: the
 * end mark is part of the prefix, so nothing longer matches. Suffix: the dot
 * is part of it, so something must stand before it, at any depth: neither
 * "openai.com" (its key has the end mark where the rule has the dot) nor
 * "evil-openai.com" (an 'l' there) matches. So every prefix in the trie that
 * matches is a rule that allows, one lookup decides, and it finds the most
 * specific rule. The comparison is of the name itself, no hash.
 *
 * Labels hold letters, digits, '-' and '_' only: a label with a dot or a NUL
 * in it cannot pass for two labels or for the end mark. Hosts' names, service
 * names (_sip._udp) and punycode need no more.
 */
#ifndef OH_NAME_KEY_H
#define OH_NAME_KEY_H

#include "parse/bytes.h"

#define OH_KEY_TEXT_MAX 253 /* a name's text: 255 less the first length and the root */

#define OH_C(c) [c] = (c)
#define OH_UP(c) [c] = (c) | 0x20

/* A byte of a label in lower case; 0 if none may hold it. A table, since a branch would cost time for each byte. */
static const __u8 oh_label_byte[256] = {
	OH_C('-'), OH_C('_'),
	OH_C('0'), OH_C('1'), OH_C('2'), OH_C('3'), OH_C('4'),
	OH_C('5'), OH_C('6'), OH_C('7'), OH_C('8'), OH_C('9'),
	OH_C('a'), OH_C('b'), OH_C('c'), OH_C('d'), OH_C('e'), OH_C('f'), OH_C('g'),
	OH_C('h'), OH_C('i'), OH_C('j'), OH_C('k'), OH_C('l'), OH_C('m'), OH_C('n'),
	OH_C('o'), OH_C('p'), OH_C('q'), OH_C('r'), OH_C('s'), OH_C('t'), OH_C('u'),
	OH_C('v'), OH_C('w'), OH_C('x'), OH_C('y'), OH_C('z'),
	OH_UP('A'), OH_UP('B'), OH_UP('C'), OH_UP('D'), OH_UP('E'), OH_UP('F'), OH_UP('G'),
	OH_UP('H'), OH_UP('I'), OH_UP('J'), OH_UP('K'), OH_UP('L'), OH_UP('M'), OH_UP('N'),
	OH_UP('O'), OH_UP('P'), OH_UP('Q'), OH_UP('R'), OH_UP('S'), OH_UP('T'), OH_UP('U'),
	OH_UP('V'), OH_UP('W'), OH_UP('X'), OH_UP('Y'), OH_UP('Z'),
};

/* The byte of rev that is i (0 to 255) before its end. */
OH_INLINE __u8 *oh_rev(struct oh_scratch *s, __u32 i)
{
	__u64 at = 255 - i;

	OH_OPAQUE(at);	/* older verifiers know nothing of a difference */
	at &= 255;
	return s->rev + OH_REV_END - 255 + at;
}

/* Makes a key of the name, n bytes of text, that was written backwards into rev. */
OH_INLINE void oh_key_finish(struct oh_scratch *s, __u32 n)
{
	__u64 at = OH_REV_END - sizeof(__u32) - n;

	OH_OPAQUE(at);
	at &= 0xff;
	s->rev[OH_REV_END] = 0;
	oh_put32(s->rev + at, (n + 1) * 8);
	s->key_at = at;
}

/* The key of the name that was parsed last, for a map lookup. It is not aligned. */
OH_INLINE const struct oh_name_key *oh_key(struct oh_scratch *s)
{
	__u32 at = OH_MEM(s->key_at) & 0xff;

	return (const struct oh_name_key *)(s->rev + at);
}

/* A hash of the name that was parsed last. It tells whether an allowed name is also the one that was given before. */
OH_SUBPROG __u64 oh_name_mark(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i, mark = 2166136261U;

	if (!s)
		return 0;
	for (i = 0; i < OH_KEY_DATA; i++) {
		__u32 at = (OH_MEM(s->key_at) & 0xff) + sizeof(__u32) + i;

		if (at >= OH_REV_END)
			break;
		mark = (mark ^ s->rev[at]) * 16777619U; /* FNV-1a */
	}
	return mark;
}

/*
 * For user space: the key of a rule, from "api.openai.com" or "*.openai.com",
 * any letter case; "." is the root. No other trailing dot, no empty label,
 * and punycode already. Returns 0, or -1 with the key untouched.
 */
static inline int oh_key_from_text(struct oh_name_key *ret, const char *text)
{
	struct oh_name_key key = {0};
	__u32 n, i, label = 0, suffix = text[0] == '*' && text[1] == '.';

	if (suffix)
		text++;
	for (n = 0; text[n]; n++)
		if (n > OH_KEY_TEXT_MAX)
			return -1;
	if (!suffix && n == 1 && text[0] == '.')
		n = 0;
	else if (n == suffix || n > OH_KEY_TEXT_MAX)
		return -1;
	for (i = suffix; i < n; i++) {
		__u8 c = (__u8)text[i];

		if (c != '.' && !oh_label_byte[c])
			return -1;
		label = c == '.' ? 0 : label + 1;
		if (label > 63 || (c == '.' && (i == suffix || text[i - 1] == '.')) || (c == '.' && i == n - 1))
			return -1;
		key.data[n - 1 - i] = c == '.' ? '.' : oh_label_byte[c];
	}
	if (suffix)
		key.data[n - 1] = '.';
	key.prefixlen = (suffix ? n : n + 1) * 8;
	*ret = key;
	return 0;
}

/* For user space: a key as text, which needs OH_KEY_DATA + 2 bytes. */
static inline void oh_key_to_text(const struct oh_name_key *key, char *text)
{
	__u32 n = key->prefixlen / 8, i, out = 0;

	if (n > OH_KEY_DATA)
		n = OH_KEY_DATA;
	if (n && key->data[n - 1] == '.')
		text[out++] = '*';
	else if (n)
		n--;
	for (i = n; i > 0; i--)
		text[out++] = (char)key->data[i - 1];
	if (!out)
		text[out++] = '.';
	text[out] = 0;
}

/* What the trie does for one rule: for tests and for user space. */
static inline int oh_key_covers(const struct oh_name_key *rule, const struct oh_name_key *name)
{
	__u32 i;

	if (rule->prefixlen > name->prefixlen || rule->prefixlen % 8)
		return 0;
	for (i = 0; i < rule->prefixlen / 8; i++)
		if (rule->data[i] != name->data[i])
			return 0;
	return 1;
}

#endif
