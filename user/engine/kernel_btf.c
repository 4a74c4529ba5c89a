// SPDX-License-Identifier: MIT
#include "engine/kernel_btf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"

#define PIECE 65536
#define NAME_MAX_LENGTH 32	/* of what is asked for */
#define DEPTH_MAX 8		/* of structs without a name in each other */

void kernel_btf_want(struct kernel_btf *b, const char *name)
{
	for (size_t i = 0; i < b->name_count; i++) {
		if (!strcmp(b->name[i].text, name))
			return;
	}
	if (b->name_count < KERNEL_BTF_NAMES_MAX && strlen(name) < NAME_MAX_LENGTH)
		b->name[b->name_count++].text = name;
}

static const struct kernel_btf_name *find(const struct kernel_btf *b, const char *text)
{
	for (size_t i = 0; i < b->name_count; i++) {
		if (!strcmp(b->name[i].text, text))
			return b->name[i].at ? &b->name[i] : NULL;
	}
	return NULL;
}

int kernel_btf_read_at(int fd, void *to, size_t size, uint32_t at)
{
	while (size) {
		ssize_t n = pread(fd, to, size, at);

		if (n <= 0)
			return n ? -errno : -EPROTO;
		to = (char *)to + n;
		size -= (size_t)n;
		at += (uint32_t)n;
	}
	return 0;
}

static int read_header(struct kernel_btf *b)
{
	struct btf_header h;
	struct stat st;
	uint64_t types, names;
	int r = fstat(b->fd, &st) ? -errno : kernel_btf_read_at(b->fd, &h, sizeof(h), 0);

	if (r)
		return r;
	types = (uint64_t)h.hdr_len + h.type_off;
	names = (uint64_t)h.hdr_len + h.str_off;
	if (h.magic != BTF_MAGIC || types + h.type_len > (uint64_t)st.st_size ||
	    names + h.str_len > (uint64_t)st.st_size || st.st_size > INT32_MAX)
		return -EPROTO;
	b->types = (uint32_t)types;
	b->types_end = b->types + h.type_len;
	b->names = (uint32_t)names;
	b->names_end = b->names + h.str_len;
	return 0;
}

/* A window on a part of the file, which moves on. */
struct window {
	const struct kernel_btf *btf;
	uint32_t at, end;	/* what is still to come */
	char bytes[PIECE];
	uint32_t first, count;	/* what of bytes is not taken yet */
};

/* At least `size` bytes that follow, or fewer at the end. NULL: the file cannot be read. */
static const char *look(struct window *w, uint32_t size, uint32_t *ret_count)
{
	if (w->count < size && w->at < w->end) {
		uint32_t more = PIECE - w->count;

		if (more > w->end - w->at)
			more = w->end - w->at;
		memmove(w->bytes, w->bytes + w->first, w->count);
		w->first = 0;
		if (kernel_btf_read_at(w->btf->fd, w->bytes + w->count, more, w->at))
			return NULL;
		w->at += more;
		w->count += more;
	}
	*ret_count = w->count;
	return w->bytes + w->first;
}

/* Goes over `size` bytes, which may be more than are in the window. */
static void skip(struct window *w, uint32_t size)
{
	uint32_t here = size < w->count ? size : w->count;

	w->first += here;
	w->count -= here;
	w->at += size - here;
}

/* The compiler keeps each name once, and longer ones than we ask for are few. */
static int find_names(struct kernel_btf *b, struct window *w)
{
	uint64_t of_length[NAME_MAX_LENGTH] = { 0 };
	uint32_t at = 0, count;
	const char *text;

	for (size_t i = 0; i < b->name_count; i++)
		of_length[strlen(b->name[i].text)] |= 1ULL << i;
	w->at = b->names;
	w->end = b->names_end;
	while ((text = look(w, 4096, &count)) && count) {
		const char *nul = memchr(text, '\0', count);
		uint32_t length = nul ? (uint32_t)(nul - text) : count;

		for (uint64_t left = nul && length < NAME_MAX_LENGTH ? of_length[length] : 0; left; left &= left - 1) {
			struct kernel_btf_name *n = &b->name[__builtin_ctzll(left)];

			if (!memcmp(n->text, text, length))
				n->at = at;
		}
		length += !!nul;
		at += length;
		skip(w, length);
	}
	return text ? 0 : -EIO;
}

static uint32_t vlen(const struct btf_type *t)
{
	return BTF_INFO_VLEN(t->info);
}

uint32_t kernel_btf_behind(const struct btf_type *t)
{
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case KERNEL_BTF_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return vlen(t) * (uint32_t)sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return vlen(t) * (uint32_t)sizeof(struct btf_enum);
	case BTF_KIND_FUNC_PROTO:
		return vlen(t) * (uint32_t)sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
	case KERNEL_BTF_ENUM64:
		return vlen(t) * (uint32_t)sizeof(struct btf_var_secinfo);
	}
	return 0;
}

/* Notes where each type is, and which structs bear a name that is asked for. */
static int find_types(struct kernel_btf *b, struct window *w)
{
	uint32_t id = 1, count, at = b->types;
	const char *bytes;

	w->at = b->types;
	w->end = b->types_end;
	w->count = 0;
	while ((bytes = look(w, sizeof(struct btf_type), &count)) && count) {
		uint32_t *grown = list_grow(b->at, id, sizeof(*grown));
		struct btf_type t;

		if (!grown)
			return -ENOMEM;
		b->at = grown;
		if (count < sizeof(t))
			return -EPROTO;
		memcpy(&t, bytes, sizeof(t));
		if (BTF_INFO_KIND(t.info) > KERNEL_BTF_ENUM64)
			return -EPROTO;
		for (size_t i = 0; BTF_INFO_KIND(t.info) == BTF_KIND_STRUCT && t.name_off && i < b->name_count; i++) {
			if (b->name[i].at == t.name_off && !b->name[i].id)
				b->name[i].id = id;
		}
		b->at[id++] = at;
		at += (uint32_t)sizeof(t) + kernel_btf_behind(&t);
		skip(w, (uint32_t)sizeof(t) + kernel_btf_behind(&t));
	}
	b->count = id;
	return bytes ? 0 : -EIO;
}

int kernel_btf_read(struct kernel_btf *b, const char *path)
{
	struct window *w = calloc(1, sizeof(*w));
	int r = w ? 0 : -ENOMEM;

	b->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!r && b->fd < 0)
		r = -errno;
	if (!r)
		r = read_header(b);
	if (!r) {
		w->btf = b;
		r = find_names(b, w);
	}
	if (!r)
		r = find_types(b, w);
	free(w);
	return r;
}

void kernel_btf_close(struct kernel_btf *b)
{
	if (b->fd >= 0)
		close(b->fd);
	free(b->at);
}

/* A type with its members, which the caller frees; NULL if it has none or cannot be read. */
static struct btf_type *read_type(const struct kernel_btf *b, uint32_t id)
{
	struct btf_type head, *whole;
	int kind;

	if (!id || id >= b->count || kernel_btf_read_at(b->fd, &head, sizeof(head), b->at[id]))
		return NULL;
	kind = BTF_INFO_KIND(head.info);
	if (kind != BTF_KIND_STRUCT && kind != BTF_KIND_UNION)
		return NULL;
	whole = malloc(sizeof(head) + kernel_btf_behind(&head));
	if (whole && kernel_btf_read_at(b->fd, whole, sizeof(head) + kernel_btf_behind(&head), b->at[id])) {
		free(whole);
		return NULL;
	}
	return whole;
}

static int bits_of(const struct kernel_btf *b, uint32_t id, uint32_t name, int depth)
{
	struct btf_type *t = depth < DEPTH_MAX ? read_type(b, id) : NULL;
	const struct btf_member *m = t ? (const struct btf_member *)(t + 1) : NULL;
	int found = -1;

	for (uint32_t i = 0; m && found < 0 && i < vlen(t); i++) {
		int within = m[i].name_off == name ? 0 : m[i].name_off ? -1 : bits_of(b, m[i].type, name, depth + 1);

		if (within >= 0)
			found = within + (int)(BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m[i].offset) :
					       m[i].offset);
	}
	free(t);
	return found;
}

int kernel_btf_bits(const struct kernel_btf *b, const char *type, const char *field)
{
	const struct kernel_btf_name *t = find(b, type), *f = find(b, field);

	return t && f && t->id ? bits_of(b, t->id, f->at, 0) : -1;
}

int kernel_btf_size(const struct kernel_btf *b, const char *type)
{
	const struct kernel_btf_name *name = find(b, type);
	struct btf_type *t = name ? read_type(b, name->id) : NULL;
	int size = t ? (int)t->size : -1;

	free(t);
	return size;
}
