/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the kernel side and the user side share: keys, values, events, limits. `ohguard load` notices any change of
 * layout here: it compares the sizes of the maps in the kernel with these and moves to new maps. */
#ifndef OHGUARD_ABI_H
#define OHGUARD_ABI_H

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#include "reasons.h"

#define OH_TARGETS_MAX 16384		/* also the bound on ids, which are 16 bits in places: 0 is no target */
#define OH_TARGET_TEXT_MAX 276		/* "*.name:port/dns" with its NUL: 2 + 253 + 6 + 4 + 1, rounded up */
#ifndef OH_GRANTS_MAX			/* the upgrade test builds another layout */
#define OH_GRANTS_MAX 6			/* targets that can share an address */
#endif
#define OH_RANGES_MAX 4096
#define OH_ANSWERS_MAX 65536	/* addresses learned from answers */
#define OH_TEACH_MAX 16		/* addresses that an answer teaches */
#define OH_PENDING_MAX 4096	/* pending queries */
#define OH_PENDING_SIZE 272
#define OH_TIME_SERVERS_MAX 1024	/* whose requests are counted at once */
#define OH_FLOWS_MAX 65536	/* flows through the uplinks: the least used make room */
#define OH_OPENINGS_MAX 16384	/* unanswered packets that left by the uplinks: the least used make room */
#define OH_SENT_MAX 1024	/* flows whose hello, or last queries, are not yet acknowledged */
#define OH_SENT_BYTES 4096
#define OH_UPLINKS_MAX 8
#define OH_INTERFACE_MAX 16	/* IFNAMSIZ */
#define OH_NAMES_MAX (8 * OH_TARGETS_MAX)	/* including the zones above them, and search suffixes */
#define OH_OPENED_MAX 1024	/* names that CNAMEs lead to, with the zones above them */
#define OH_OPENED_LINKS 8	/* CNAMEs that may lead to one, and zones above it */
#define OH_TTL_LONGEST 86400	/* seconds for which an answer is believed */
#define OH_KEPT 3600		/* seconds that a learned entry stays in its table after its end */
#define OH_PRIVATE_MAX 4	/* private ranges that answers for one name may lie in */
#define OH_ADDRESSES_DEFAULT 131072
#define OH_LOCAL_MAX 1024
#define OH_INSIDE_MAX 4096	/* networks behind this machine's bridges, and its own addresses */
#define OH_BRIDGES_MAX 1024
#ifndef OH_INBOUND_MAX	/* the proof of the decision uses fewer */
#define OH_INBOUND_MAX 32
#endif
#define OH_NAT64_MAX 4
#define OH_EVENTS_BYTES (512 * 1024)
#define OH_SEEN_MAX 4096	/* addresses whose names --observe knows: the least used make room */
#define OH_TELLERS_MAX 1024	/* processes and cgroups that have unread events at a time */
#define OH_TOLD_OF_ONE 256	/* unread events of one process */
#define OH_TOLD_OF_GROUP 640	/* of one cgroup, or behind one interface: less than half of the buffer */
#define OH_FOLDS_MAX 4096	/* what was told lately: the least used make room */
#define OH_FOLD_TIME 5	/* seconds for which a repeat is counted and not told */
#define OH_EVENT_NAME_MAX 256
#define OH_REFUSED_BYTES (256 * 1024)
#define OH_REFUSED_PACKET_MAX 1024	/* headers and a query; a power of two */
#define OH_COMMAND_MAX 16		/* TASK_COMM_LEN */
#define OH_QUESTIONS_MAX 2048	/* that wait, or were answered with no: a power of 2 */
#define OH_ASKERS 128		/* groups of cgroups and interfaces, each with a share of these */
#define OH_ASK_KEPT 600		/* seconds for which a no holds, and silence */

#define OH_FOREVER 0xffffffffU		/* an expiry that never comes */

/* An IPv6 address in network byte order; an IPv4 address is its IPv4-mapped form ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct oh_address {
	union {
		__u8 byte[16];
		__u32 word[4];	/* the same bytes, to compare and copy */
	};
};

/* What a grant admits. TCP: any TCP connection. DNS: UDP and TCP to a resolver. NTP: UDP client requests. */
enum oh_service {
	OH_SERVICE_NONE,	/* the slot is free */
	OH_SERVICE_TCP,
	OH_SERVICE_DNS,
	OH_SERVICE_NTP,
	OH_SERVICE_MAX
};

/* Who taught an address. */
enum oh_learned {
	OH_LEARNED_LITERAL,	/* written as an address */
	OH_LEARNED_REFRESH,	/* ohguard resolved it */
	OH_LEARNED_ANSWER,	/* read in the kernel in an answer to the application */
	OH_LEARNED_MAX
};

/* One target's claim on an address. It holds until it expires, and while the target has the same generation: raising
 * the target's generation revokes all its grants and connections in one write. */
struct oh_grant {
	__u32 expires;		/* seconds of CLOCK_BOOTTIME, the first in which it no longer holds, or OH_FOREVER */
	__u16 target;		/* index in oh_targets */
	__u16 more;		/* how many ports after this one it admits too */
	__u32 generation;
	__u16 port;		/* host byte order */
	__u8 service;		/* enum oh_service */
	__u8 learned;		/* enum oh_learned; in oh_opened: how many CNAMEs led to the name */
};

/* Value of oh_addresses and oh_learned (hashes; key struct oh_address), oh_ranges (LPM trie; key struct oh_range) and
 * oh_opened (LPM trie; key struct oh_name_key). In oh_opened a grant says who may ask for the name; for a zone above
 * the name it has OH_SERVICE_DNS. */
struct oh_entry {
	struct oh_grant grant[OH_GRANTS_MAX];
};

struct oh_range {
	__u32 prefix;		/* bits; an IPv4 prefix of N is 96 + N */
	struct oh_address address;
};

/* Which queries a rule's name allows without a target behind it. */
enum oh_ask {
	OH_ASK_NOT,
	OH_ASK_ALL,	/* anything */
	OH_ASK_KEYS,	/* DS and DNSKEY: the name is a zone above an allowed name */
	OH_ASK_SEARCH,	/* anything, but nobody answers: a name with a search suffix appended */
};

/* One rule for a name: while the target holds, it may be queried, and be given as a TLS server name on the port. */
struct oh_name_rule {
	__u32 target;		/* 0: none */
	__u32 generation;
	__u16 port;		/* host byte order */
	__u8 service;		/* enum oh_service; OH_SERVICE_NONE: the slot is free */
	__u8 ask;		/* enum oh_ask: if not OH_ASK_NOT, the name may be queried and nothing else */
};

/* Value of oh_names (LPM trie; key struct oh_name_key, see bpf/parse/name_key.h). */
struct oh_name_entry {
	struct oh_name_rule rule[OH_GRANTS_MAX];
	struct oh_range private[OH_PRIVATE_MAX];	/* private ranges that answers may lie in; prefix 0: none */
};

enum oh_target_state {
	OH_TARGET_FREE,		/* the id is free to assign */
	OH_TARGET_LIVE,
};

/* Value of oh_targets (array, index is the target's id). */
struct oh_target {
	__u32 generation;	/* raised each time the id is released */
	__u32 lapses;		/* seconds of CLOCK_BOOTTIME at which grant and connections end, or OH_FOREVER */
	__u8 state;		/* enum oh_target_state */
	__u8 named;		/* 1: its connections must open with a TLS hello for an allowed name */
	__u8 reserved[2];
	char text[OH_TARGET_TEXT_MAX];	/* canonical, NUL-terminated: for the user side only */
};

/* Value of oh_target_use (per-CPU array, index is the target's id). */
struct oh_use {
	__u64 packets;
	__u64 bytes;		/* of IP packets */
	__u64 hits;		/* connections admitted */
};

/* Value of oh_counts (per-CPU array): index is the reason. An attempt that is refused before it becomes a packet counts
 * as a packet of 0 bytes. */
struct oh_count {
	__u64 packets;
	__u64 bytes;
};
#define OH_COUNT_EVENTS_LOST OH_REASON_MAX	/* events that found the ring buffer full, as packets */
#define OH_COUNT_NO_ROOM (OH_REASON_MAX + 1)	/* and on: entries that found no room in a table, as packets */
#define OH_COUNT_OBSERVED (OH_COUNT_NO_ROOM + OH_SHARED_MAX)	/* and on, by reason: what passed under --observe */
#define OH_COUNTS (OH_COUNT_OBSERVED + OH_REASON_MAX)

/* The tables that a workload or a far side can fill: see bpf/decide/share.h. */
enum oh_shared {
	OH_SHARED_LEARNED,	/* oh_learned */
	OH_SHARED_PENDING,	/* oh_pending */
	OH_SHARED_PAID,		/* oh_ntp_paid */
	OH_SHARED_OPENED,	/* oh_opened */
	OH_SHARED_OPENINGS,	/* oh_openings */
	OH_SHARED_QUESTIONS,	/* oh_questions */
	OH_SHARED_MAX
};

/* Value of oh_shares (array): the time until which each payer has paid for its entries. Index is the target's id, 0:
 * the host's own needs; for OH_SHARED_OPENINGS the number of a group of senders, for OH_SHARED_QUESTIONS of askers. */
struct oh_shares {
	struct {
		/* from its own share; of all: seconds of CLOCK_BOOTTIME << 32 | who was refused last: a target, or the
		 * interface from which it was forwarded, 0: this machine */
		__u64 own;
		__u64 more;	/* from what is left to all */
	} of[OH_SHARED_MAX];
};
#define OH_SHARES_OF_ALL OH_TARGETS_MAX
#define OH_SHARES (OH_TARGETS_MAX + 1)
#define OH_SENDERS 1024		/* groups of senders: see bpf/uplink/openings.h */

/* Value of oh_control (array of one). */
struct oh_control {
	__u32 ready;		/* 0: the maps hold no policy yet, and only rules 1 to 3 admit */
	__u32 targets;		/* ids below this one may be in use: the user side looks up to here */
	__u32 since;		/* seconds of CLOCK_BOOTTIME at which counting began */
	__u32 seed;		/* of oh_folds' names: nobody can look for two that pass for one */
	__u64 names;		/* fingerprint of what oh_names holds, 0: not known */
	__u64 addresses;	/* fingerprint of a set that contains all keys of oh_addresses, 0: not known */
};

/* What the payload of an admitted TCP connection must be. */
enum oh_look {
	OH_LOOK_NONE,		/* anything, from here on */
	OH_LOOK_HELLO,		/* a TLS hello for an allowed name */
	OH_LOOK_QUERIES,	/* DNS queries for allowed names: always */
	/* what follows the name in the first hello: until the client sends no more plaintext */
	OH_LOOK_TLS,
	/* of a flow: judged bytes, resent unchanged, or anything after them: until they are acknowledged */
	OH_LOOK_SENT,
};

/* What was told of a connection that nothing allows. */
enum oh_watched {
	OH_WATCHED_NOT,		/* nothing yet */
	OH_WATCHED_OPENING,	/* that it was opened */
	OH_WATCHED_HELLO,	/* and whether it opens with a TLS hello */
};

/* Key of oh_pending (LRU hash; value struct oh_dns_pending of OH_PENDING_SIZE, see bpf/parse/bytes.h): a query that was
 * let out. */
struct oh_pending_key {
	__u64 socket;		/* cookie; 0: over an uplink, whoever sent it */
	__u16 id;		/* of the DNS message */
	__u16 port;		/* source port, in host byte order; over an uplink: as on the wire */
	/* index of the interface it left by: a container could forge an answer that comes by another */
	__u32 interface;
};

#define OH_REST_WORDS 3

/* The client side of a TCP connection, in sequence numbers: see bpf/decide/stream.h. Host byte order. */
struct oh_stream {
	__u32 first;		/* its first byte of payload: its SYN's number + 1 */
	__u32 judged;		/* its first byte not yet judged */
	/* For flows only: */
	__u32 sent;		/* after the last byte that was let out */
	__u32 acked;		/* what the far side has is before this and before judged */
	__u32 answer;		/* the far side's first byte: its SYN's number + 1 */
	__u32 heard;		/* after its last byte that came in */
};

/* The process that an attempt is of. */
struct oh_owner {
	__u32 pid;		/* 0: not known */
	__u32 uid;
	char command[OH_COMMAND_MAX];
	__u64 cgroup;		/* cgroup v2 id, 0: not known */
};

/* Socket storage: an admitted connection, and who made it. owner, netns and home are those of the
 * last connect or sendmsg that passed the connect hooks. Several CPUs may write at once, each the fields its hook
 * knows. So flags are bytes and not bits, since bits would be written together with their neighbours. */
struct oh_connection {
	struct oh_address to;
	__u16 port;		/* host byte order */
	__u8 admitted;		/* 0: none; the fields above and the next three say nothing. See oh_admit() */
	__u8 look;		/* enum oh_look: what its next payload must be */
	__u8 reopened;		/* of a flow: 1: a SYN was let out since its last segment */
	__u8 served;		/* of a flow: 1: the server's hello came in, and asks for no second one */
	__u8 watched;		/* enum oh_watched: of a connection that passes under --observe alone */
	__u8 asked;		/* 1: its last connect() was let go on so that its SYN waits for an answer */
	__u32 target;
	__u32 generation;
	struct oh_owner owner;
	__u64 netns;		/* cookie of the socket's network namespace, 0: not known */
	struct oh_stream stream;	/* unless look is OH_LOOK_NONE */
	__u32 answers;		/* TCP sequence number at which the resolver's next message begins */
	__u8 framed;		/* 1: answers is valid */
	__u8 home;		/* 1: the socket is in the network namespace that the guard was loaded from */
	__u8 refused;		/* 1: its opening or query was refused, and will be again */
	__u8 bound;		/* 1: its program, not the kernel, chose its source; permanent */
	__u64 rest[OH_REST_WORDS];	/* OH_LOOK_TLS: struct oh_tls_rest, see bpf/parse/bytes.h */
	__u64 busy;		/* of a flow: how many CPUs want to judge a frame of it; who raised it to 1 does */
};

/* Value of oh_openings (LRU hash; key struct oh_flow_key): a packet let out over an uplink and not answered yet. */
struct oh_opening {
	__u32 target;		/* 0: a rule without a target */
	__u32 generation;
	__u32 first;		/* syn: the number that its answer acknowledges */
	__u8 syn;		/* 1: a SYN; 0: a datagram, or a segment of an unknown connection */
	__u8 look;		/* enum oh_look: what the connection must open with */
	__u8 reserved[2];
	/* Not part of what is compared: */
	__u32 paid;		/* jiffies at which its place was paid for, */
	__u16 sender;		/* by whom: index in oh_shares */
	__u16 room;		/* and from what: enum oh_room */
};

/* Key of oh_flows (LRU hash; value struct oh_connection): a connection over an uplink that the far side has answered,
 * as seen on the wire. Ports in host byte order. */
struct oh_flow_key {
	struct oh_address remote;
	struct oh_address local;
	__u16 remote_port;
	__u16 local_port;
	__u8 protocol;
	__u8 reserved[3];
};

/* A source range that may connect to a port: rule 3. */
struct oh_inbound {
	struct oh_address address;
	struct oh_address mask;	/* address & mask == source & mask */
	__u16 port;		/* host byte order */
	__u16 more;		/* number of ports after this one that are open as well */
};

/* A translator prefix besides the well-known ones; addresses under it embed an IPv4 address: RFC 6052. */
struct oh_nat64 {
	__u64 high, low;	/* halves of the prefix, in host byte order */
	__u32 prefix;		/* 32, 40, 48, 56, 64 or 96 bits; 0: none */
	__u32 reserved;
};

/* Where a verdict was reached. The numbers are permanent, since events hold them, and may have gaps. */
#define OH_HOOKS \
	OH_HOOK(0, EGRESS, "egress") \
	OH_HOOK(1, CONNECT4, "connect4") \
	OH_HOOK(2, CONNECT6, "connect6") \
	OH_HOOK(3, SENDMSG4, "sendmsg4") \
	OH_HOOK(4, SENDMSG6, "sendmsg6") \
	OH_HOOK(5, SOCK_CREATE, "sock_create") \
	OH_HOOK(6, INGRESS, "ingress") \
	OH_HOOK(7, UPLINK_EGRESS, "uplink-egress") \
	OH_HOOK(8, UPLINK_INGRESS, "uplink-ingress") \
	OH_HOOK(9, INBOUND, "inbound") \
	OH_HOOK(10, SOCK_OPS, "sock_ops") \
	OH_HOOK(11, SOCKOPT, "sockopt") \
	OH_HOOK(12, BIND4, "bind4") \
	OH_HOOK(13, BIND6, "bind6")

enum oh_hook {
#define OH_HOOK(number, symbol, name) OH_HOOK_##symbol = number,
	OH_HOOKS
#undef OH_HOOK
	OH_HOOK_MAX = 14
};
#define OH_HOOK_LSM 15	/* in events of bpf/lock.bpf.c, whose programs are not part of the engine */

/* One refused attempt, in oh_events (ring buffer). */
struct oh_event {
	__u64 time;		/* nanoseconds of CLOCK_BOOTTIME */
	__u64 cgroup;		/* cgroup v2 id of who, 0: not known */
	__u64 fold;		/* of what it is an occurrence: struct oh_folded's id, 0: of nothing that is counted */
	__u64 count;		/* how often that occurred so far, this one too */
	struct oh_address source;	/* all zero where there is none yet */
	struct oh_address destination;
	__u16 source_port;	/* host byte order */
	__u16 destination_port;
	__u8 protocol;		/* IP protocol number */
	__u8 hook;		/* enum oh_hook */
	__u8 reason;		/* enum oh_reason */
	__u8 observed;		/* 1: passed anyway (--observe) */
	__u32 pid;		/* 0: not known */
	__u32 uid;
	__u32 interface;	/* forwarded: index of the one it came in by; else 0 */
	__u8 reply;		/* 1: accepts a connection from outside */
	__u8 others;		/* 1: stands for what is too much to be told one by one: says reason and cgroup alone */
	__u8 reserved[2];
	char command[OH_COMMAND_MAX];
	/* The queried name, or the hello's; under --observe also the one that led to the address. Last letter first, as
	 * a key of oh_names; "": not known, or the root. */
	char name[OH_EVENT_NAME_MAX];
};

/* Key of oh_folds (LRU hash): what refused attempts have in common that are told once. */
struct oh_fold_key {
	__u64 cgroup;
	__u64 name;		/* a hash of it, with oh_control's seed; 0: none */
	struct oh_address destination;	/* all zero where a name says what is wanted, or it is others */
	union {
		char command[OH_COMMAND_MAX];
		struct oh_address source;	/* of what was forwarded */
	};
	__u32 interface;
	__u16 port;		/* the destination's; of a reply, its own */
	__u8 reason;
	__u8 protocol;
	__u8 reply, others;	/* as in struct oh_event */
	__u8 reserved[6];
};

/* And its value. */
struct oh_folded {
	__u64 id;		/* nanoseconds of CLOCK_BOOTTIME: when it occurred first */
	__u64 count;		/* how often it occurred since */
	__u32 told;		/* seconds of CLOCK_BOOTTIME: when it was an event last, */
	__u32 last;		/* and when it occurred last */
};

/* Key of oh_questions (hash): who wants to reach what. Under `load --ask` its attempts wait for an answer. */
struct oh_question_key {
	struct oh_address address;	/* all zero: a name */
	__u64 cgroup;		/* as in struct oh_event, like the interface */
	__u32 interface;
	__u32 name;		/* hash: two names of one asker that share it are one question */
	__u16 port;		/* host byte order; of a query: 0 */
	__u8 reason;		/* enum oh_reason; one for all that an address is refused for */
	__u8 reserved[5];
};

/* Value of oh_questions. The hooks write it, and the user side writes an answer. */
struct oh_question {
	__u64 until;		/* nanoseconds of CLOCK_BOOTTIME: attempts wait until then, and are refused */
	__u64 over;		/* from then until then; after that the question may be put again */
	__u32 denied;		/* 1: refused even before `until` */
	__u32 tries;		/* attempts that waited */
	struct oh_event what;	/* the first one */
};

/* A guarded socket's packet that was refused for its content, in oh_refused (ring buffer), or a query that waits. User
 * space answers it. */
struct oh_refused {
	__u64 netns;		/* cookie of the socket's network namespace, 0: not known */
	__u32 pid;		/* a process that has the socket, 0: not known */
	__u16 length;		/* bytes that are in packet */
	__u8 reason;		/* enum oh_reason; OH_NONE: it waits for an answer to a question */
	__u8 reserved;
	__u64 cgroup;		/* of the question's key */
	__u32 name;		/* the same */
	__u32 reserved2;
	__u8 packet[OH_REFUSED_PACKET_MAX];	/* from its IP header on */
};

/* Value of oh_answerer (array of one). The answering process writes it, again and again while it lives. */
struct oh_answerer {
	__u64 until;		/* nanoseconds of CLOCK_BOOTTIME: it counts as alive until then */
	__u32 pid;		/* its own, in the first pid namespace: it may make raw sockets while it is alive */
	__u32 reserved;
};
#define OH_ANSWERER_ALIVE 2000000000	/* nanoseconds after its last write */

/* Where the kernel keeps a device's addresses of one family: a list, starting from a struct of the device. */
struct oh_kernel_list {
	__u16 device;		/* of struct net_device: the pointer to its struct in_device or inet6_dev */
	__u16 first;		/* of that: the list */
	__u16 link;		/* of struct in_ifaddr or inet6_ifaddr: what the list points to, */
	__u16 next;		/* what leads on, */
	__u16 value;		/* and the address */
};

/* Where the kernel keeps the contents of a network namespace: see bpf/decide/source.h. Offsets, from its BTF. */
struct oh_kernel_own {
	struct oh_kernel_list list[2];	/* IPv4, IPv6 */
	__u16 skb_device, skb_sock;	/* of struct sk_buff */
	__u16 attempt_sock;		/* of struct bpf_sock_addr_kern */
	__u16 sock_net;			/* of struct sock */
	__u16 device_net, device_next;	/* of struct net_device: its namespace, and its place in the list of that */
	__u16 net_devices;		/* of struct net: the list */
	__u16 known;		/* 1: the kernel lets us see them */
};

/* And its data on stacked devices, and on its own sockets: see bpf/decide/inside.h and kernel_memory.h. */
struct oh_kernel_links {
	__u16 device_index, device_link_ops, device_uppers;	/* of struct net_device */
	__u16 device_private;		/* and what lies behind it */
	__u16 net_inode;		/* of struct net */
	__u16 link_ops_kind;		/* of struct rtnl_link_ops */
	__u16 adjacent_device, adjacent_list;	/* of struct netdev_adjacent */
	__u16 known;			/* 1: the kernel lets us see them, and those of struct oh_kernel_own */
	/* of struct sk_buff: its entry of conntrack; of that: the source before NAT; 0: not known */
	__u16 skb_conntrack, conntrack_source;
	__u16 sock_kernel;		/* of struct sock: the byte that marks the kernel's own, */
	__u16 sock_kernel_mask;		/* and its bit; 0: the kernel does not let us see it */
};

/* Written by the loader into the programs' read-only data, as the constant oh_settings, before they are verified. */
struct oh_settings {
	__u8 observe;		/* 1: refuse nothing, but still report */
	__u8 metadata;		/* 1: TCP/80 of the metadata service is allowed */
	__u8 inspect;		/* 1: DNS, NTP and TLS payloads are judged, and answers are learned from */
	__u8 nts;		/* 1: NTP requests may bear the extension fields of network time security */
	__u32 inbound_count;
	__u32 min_ttl, max_ttl, grace;	/* seconds, for addresses in answers */
	__u16 skb_head, skb_end;	/* where struct sk_buff has these fields */
	__u64 netns;		/* cookie of the network namespace to learn answers in, 0: the first one's */
	__u64 ask;		/* nanoseconds for which a refusal waits for an answer; 0: nothing is asked */
	__u16 shared_at;	/* where struct skb_shared_info has the marks of pages that user space can write */
	__u16 shared_mask;	/* and which bits there are these marks; 0: the kernel does not let us see them */
	__u8 answer;		/* 1: refusals by name are answered, if somebody can */
	__u8 xdp;		/* 1: XDP too judges what comes in over an uplink, before the stack */
	__u8 inside;		/* 1: packets to networks on this machine pass: oh_inside, oh_bridges */
	__u8 reserved;
	__u32 netns_inode;	/* of that network namespace, as /proc shows it */
	__u32 nat64_count;
	__u64 build;		/* object_build() of who loaded the programs */
	struct oh_nat64 nat64[OH_NAT64_MAX];
	struct oh_kernel_own own;
	struct oh_kernel_links links;
	struct oh_inbound inbound[OH_INBOUND_MAX];
	char uplink[OH_UPLINKS_MAX][OH_INTERFACE_MAX];	/* interfaces to guard, or "auto" */
};

_Static_assert(sizeof(struct oh_address) == 16, "key of oh_addresses");
_Static_assert(sizeof(struct oh_grant) == 16, "no padding: compared as bytes");
_Static_assert(sizeof(struct oh_entry) == 16 * OH_GRANTS_MAX, "no padding: compared as bytes");
_Static_assert(sizeof(struct oh_name_rule) == 12, "no padding: compared as bytes");
_Static_assert(sizeof(struct oh_name_entry) == 12 * OH_GRANTS_MAX + 20 * OH_PRIVATE_MAX,
	       "no padding: compared as bytes");
_Static_assert(sizeof(struct oh_range) == 20, "LPM key: prefix and data, no padding");
_Static_assert(sizeof(struct oh_target) == 288, "value of oh_targets");
_Static_assert(sizeof(struct oh_connection) == 136, "value of oh_connections");
_Static_assert(sizeof(struct oh_opening) == 24 && __builtin_offsetof(struct oh_opening, paid) == 16,
	       "value of oh_openings: no padding, its first part compared as words");
_Static_assert(sizeof(struct oh_flow_key) == 40, "key of oh_flows: no padding");
_Static_assert(sizeof(struct oh_event) == 360, "no padding: a hole would show kernel memory");
_Static_assert(sizeof(struct oh_fold_key) == 64, "key of oh_folds: no padding");
_Static_assert(sizeof(struct oh_question_key) == 40, "key of oh_questions: no padding");
_Static_assert(sizeof(struct oh_question) == 384, "no padding: the same");

#endif
