/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Bytes of a packet, read the same way by the kernel program and by the host
 * (tests, fuzzers, user space). This is the only header that knows which.
 *
 * In the kernel build include vmlinux.h (or <linux/bpf.h>) first.
 */
#ifndef OH_BYTES_H
#define OH_BYTES_H

#ifdef __bpf__
#include <bpf/bpf_helpers.h>
#else
#include <errno.h>
#include <linux/types.h>
#include <stddef.h>
#include <string.h>
#endif

#define OH_MSG_MAX 16384 /* longest message that is copied; a power of two, it is also a mask */
#define OH_MSG_SLACK 512 /* a masked offset plus a small constant or a word stays inside */
#define OH_NAME_MAX 255 /* wire length of a name, root label included (RFC 1035) */
#define OH_KEY_DATA 256 /* what an LPM trie takes at most */
#define OH_ANSWER_RECORDS 64
#define OH_ANSWER_CHAIN 16
#define OH_LEARNERS 16
#define OH_ENTRY_WORDS 12
#define OH_SLOTS 4 /* scratches per CPU: so many runs can be under way on it at once */

/* The key of the allowlist of names: see name_key.h. */
struct oh_name_key {
	__u32 prefixlen; /* in bits, as the LPM trie wants it */
	__u8 data[OH_KEY_DATA];
} __attribute__((packed)); /* oh_key() points into the middle of a buffer: not aligned */
_Static_assert(sizeof(struct oh_name_key) == 260, "LPM key layout");

/* A query that was seen leaving: what its answer must repeat. */
struct oh_dns_pending {
	__u16 id;
	__u16 qtype;
	__u16 name_len; /* wire length, root label included */
	__u16 room; /* enum oh_room: what its place was paid for from */
	__u32 target; /* by whom */
	__u32 paid; /* and when, in jiffies */
	__u8 name[256]; /* wire format, lower case; nothing after name_len counts */
};
_Static_assert(sizeof(struct oh_dns_pending) == 272, "layout");

/* Where a client's plaintext continues, once the name in its hello was read: see tls_client.h. */
struct oh_tls_rest {
	__u16 hello; /* bytes of the hello still to come; 0: none, records follow */
	__u16 record; /* bytes of the current record still to come; 0: a record's header is next */
	__u16 skip; /* bytes of the current extension still to come */
	__u8 headed; /* how many bytes of the next extension's header have come */
	__u8 recorded; /* and of the next record's header */
	__u8 header[4];
	__u8 record_header[5];
	__u8 offers; /* OH_TLS_OFFERS_*: what the last hello offered */
	__u8 pad[2];
	__u32 mark; /* of its name: see oh_name_mark() */
};
_Static_assert(sizeof(struct oh_tls_rest) == 24, "layout");

/* One address an answer gives. */
struct oh_dns_addr {
	__u32 ttl; /* seconds, the least along its CNAME chain */
	__u8 family; /* 4 or 6 */
	__u8 pad[3];
	__u8 addr[16]; /* network order; IPv4 in the first four, rest zero */
};
_Static_assert(sizeof(struct oh_dns_addr) == 24, "layout");

/* A target that an answer gives addresses to. */
struct oh_learner {
	__u64 target; /* its generation << 32 | its id; 0: none */
	__u32 port_service;
	__u32 links; /* CNAMEs that led to the question's name */
};

/* One record of an answer, by offsets into the message. */
struct oh_dns_rr {
	__u32 ttl;
	__u16 owner; /* where its name starts, after a leading pointer; 0: not a valid name */
	__u16 type; /* 0: not of class IN, or used up */
	__u16 rdata;
	__u16 pad;
};

/* A name that the question leads to, and the least TTL on the way there. */
struct oh_dns_link {
	__u32 ttl;
	__u32 name;
};

/*
 * rev holds a name key that is written from its end towards its start, since
 * a name is read first label first and the key starts with the last one. So
 * the key begins at rev + key_at, which saves a second pass.
 */
#define OH_REV_END 259 /* where the terminator goes: 4 + 255 */
#define OH_REV_SIZE 520 /* key_at is at most 255, a key is 260 long */

/* Too big for the stack: see oh_scratch_take(). */
struct oh_scratch {
	__u64 busy; /* how many runs want it: the one that raised it to 1 owns it */
	/* the query, or the name in a ClientHello */
	struct oh_dns_pending query;
	__u8 rev[OH_REV_SIZE];
	__u32 key_at;
	__u32 target; /* whose name it is, 0: the host needs it */
	/* the hello */
	__u32 need; /* its size, as announced */
	__u32 read; /* bytes of the segment that were read, from where reading was to begin */
	__u32 name; /* where its server_name extension stands, 0: none yet */
	__u32 name_len;
	struct oh_tls_rest rest __attribute__((aligned(8)));
	/* the answer */
	__u32 len;
	__u32 budget; /* label comparisons left: bounds what an answer can cost */
	__u32 records;
	__u32 links;
	__u32 addrs;
	__u32 walk; /* this and the next two: loop state, in memory for the verifier's sake */
	__u32 letters; /* what tells the last label of a TLS name from a number */
	__u32 at[2]; /* where a comparison of two names is */
	__u32 start[2]; /* where the part being compared began */
	__u32 run_owner; /* whose addresses are being collected */
	__u32 run_ttl;
	struct oh_dns_rr rr[OH_ANSWER_RECORDS];
	struct oh_dns_link link[OH_ANSWER_CHAIN];
	struct oh_dns_addr addr[OH_ANSWER_RECORDS];
	struct oh_learner learner[OH_LEARNERS] __attribute__((aligned(8)));
	__u64 entry[OH_ENTRY_WORDS]; /* on its way into a map */
	__u8 msg[OH_MSG_MAX + OH_MSG_SLACK] __attribute__((aligned(8)));
};

#define OH_INLINE static inline __attribute__((always_inline))

#ifdef __bpf__

/*
 * A global function: the verifier checks it once with unknown arguments, not
 * anew for each call in each state, so the costs of loops add up and do not
 * multiply. 5.10 lets it take only the context and scalars: that is why such
 * a function gets a slot and finds the scratch itself. Weak, so that the
 * compiler cannot rely on what it sees inside (the verifier does not).
 */
#define OH_SUBPROG __attribute__((noinline, weak))

typedef struct __sk_buff *oh_bytes;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OH_SLOTS);
	__type(key, __u32);
	__type(value, struct oh_scratch);
} oh_scratch_map SEC(".maps");

/* The scratch of a slot that oh_scratch_take() gave. */
OH_INLINE struct oh_scratch *oh_scratch(__u32 slot)
{
	return bpf_map_lookup_elem(&oh_scratch_map, &slot);
}

/* n must be 1 or more. Payload may not be linear, so packet pointers cannot be used. */
OH_INLINE int oh_load(oh_bytes b, __u32 off, void *to, __u32 n)
{
	return bpf_skb_load_bytes(b, off, to, n);
}

/* Unaligned; the verifier permits it in a map value where the machine does. */
OH_INLINE __u16 oh_be16(const __u8 *p)
{
	return __builtin_bswap16(*(const __u16 *)p);
}

OH_INLINE __u32 oh_be32(const __u8 *p)
{
	return __builtin_bswap32(*(const __u32 *)p);
}

OH_INLINE __u64 oh_word(const __u8 *p)
{
	return *(const __u64 *)p;
}

OH_INLINE void oh_put32(__u8 *p, __u32 v)
{
	*(__u32 *)p = v;
}

#else

#define OH_SUBPROG static __attribute__((unused))

struct oh_buffer {
	const __u8 *data;
	__u32 len;
};
typedef const struct oh_buffer *oh_bytes;

static __thread struct oh_scratch oh_scratch_host[OH_SLOTS];

OH_INLINE struct oh_scratch *oh_scratch(__u32 slot)
{
	return slot < OH_SLOTS ? &oh_scratch_host[slot] : NULL;
}

/* Like bpf_skb_load_bytes: all or nothing, and zeroes on failure. */
OH_INLINE int oh_load(oh_bytes b, __u32 off, void *to, __u32 n)
{
	if (off > b->len || n > b->len - off) {
		memset(to, 0, n);
		return -EFAULT;
	}
	memcpy(to, b->data + off, n);
	return 0;
}

OH_INLINE __u16 oh_be16(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}

OH_INLINE __u32 oh_be32(const __u8 *p)
{
	return (__u32)p[0] << 24 | (__u32)p[1] << 16 | (__u32)p[2] << 8 | p[3];
}

OH_INLINE __u64 oh_word(const __u8 *p)
{
	__u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

OH_INLINE void oh_put32(__u8 *p, __u32 v)
{
	memcpy(p, &v, sizeof(v));
}

#endif

/*
 * Gives this run a scratch of its own. Egress runs in process context: a
 * softirq or, on preemptible kernels, another task can start another run on
 * the same CPU, and neither may judge the other's bytes. The run that raises a
 * slot's busy from 0 to 1 owns the slot. If two try at once, both may give up,
 * but they never both take it. Returns the slot, which must be released on
 * every path, or OH_SLOTS if none is free.
 */
OH_SUBPROG int oh_scratch_take(void)
{
	__u32 slot;

	for (slot = 0; slot < OH_SLOTS; slot++) {
		struct oh_scratch *s = oh_scratch(slot);

		if (!s)
			break;
		__sync_fetch_and_add(&s->busy, 1); /* without its result: 5.10 cannot fetch */
		if (*(volatile __u64 *)&s->busy == 1)
			return slot;
		__sync_fetch_and_add(&s->busy, -1);
	}
	return OH_SLOTS;
}

OH_INLINE void oh_scratch_release(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	if (s)
		__sync_fetch_and_add(&s->busy, -1);
}

/* The compiler forgets what it knows of x, so it keeps the check the verifier needs. */
#define OH_OPAQUE(x) __asm__ volatile("" : "+r"(x))

/* Read or write memory now: what comes back is an unknown scalar to the verifier. */
#define OH_MEM(x) (*(volatile __typeof__(x) *)&(x))

/* The address of msg[pos]. pos is masked, so check its bounds first. */
OH_INLINE __u8 *oh_at(struct oh_scratch *s, __u32 pos)
{
	__u64 at = pos;

	OH_OPAQUE(at);
	at &= OH_MSG_MAX - 1;
	return s->msg + at;
}

/*
 * Returns a length that was checked to be 1 to max (a power of two) in a form
 * that the verifier accepts. The compiler may turn the check into one of
 * len - 1, from which older verifiers learn nothing about len.
 */
OH_INLINE __u32 oh_bound(__u32 len, __u32 max)
{
	__u64 n = len - 1;

	OH_OPAQUE(n);
	n &= max - 1;
	return n + 1;
}

/* Eight bytes at once: A to Z become a to z, all else stays. */
OH_INLINE __u64 oh_lower8(__u64 x)
{
	__u64 t = x & 0x7f7f7f7f7f7f7f7fULL;
	__u64 upper = (t + 0x3f3f3f3f3f3f3f3fULL) & ~(t + 0x2525252525252525ULL) & ~x & 0x8080808080808080ULL;

	return x | upper >> 2;
}

/* A mask for the first n (1 to 8) bytes of a word. Both our machines are little-endian. */
OH_INLINE __u64 oh_first(__u32 n)
{
	return ~0ULL >> ((8 - n) * 8 & 63);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "oh_first, and the byte order of loads");

#endif
