/* SPDX-License-Identifier: MIT */
/* What the decision must be, written from DESIGN section 2 and the manual's table of reasons, not from bpf/. A proof
 * that includes this says what stands in the tables: proof_local, proof_ready, proof_grants, proof_target_holds(). */
#ifndef OHGUARD_PROOF_DECISION_RULES_H
#define OHGUARD_PROOF_DECISION_RULES_H

/* ---- addresses ---- */

static __u32 rule_word(const struct oh_address *a, int i)
{
	const __u8 *b = a->byte + 4 * i;

	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

static bool rule_is(const struct oh_address *a, __u32 w0, __u32 w1, __u32 w2, __u32 w3)
{
	return rule_word(a, 0) == w0 && rule_word(a, 1) == w1 && rule_word(a, 2) == w2 && rule_word(a, 3) == w3;
}

static bool rule_is_ip4(const struct oh_address *a, __u32 first, __u32 last)
{
	return rule_is(a, 0, 0, 0xffff, rule_word(a, 3)) && rule_word(a, 3) >= first && rule_word(a, 3) <= last;
}

#define RULE_IP4(a, b, c, d) ((__u32)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* The instance's own service. */
static bool rule_is_imds(const struct oh_address *a)
{
	return rule_is_ip4(a, RULE_IP4(169, 254, 169, 254), RULE_IP4(169, 254, 169, 254)) ||
	       rule_is(a, 0xfd000ec2, 0, 0, 0x254);
}

/* It, and where a container finds its credentials: an ECS task, an EKS pod. */
static bool rule_is_metadata_ip4(__u32 ip4)
{
	return ip4 == RULE_IP4(169, 254, 169, 254) || ip4 == RULE_IP4(169, 254, 170, 2) ||
	       ip4 == RULE_IP4(169, 254, 170, 23);
}

static bool rule_is_metadata(const struct oh_address *a)
{
	return rule_is_imds(a) || (rule_is_ip4(a, 0, ~0U) && rule_is_metadata_ip4(rule_word(a, 3))) ||
	       rule_is(a, 0xfd000ec2, 0, 0, 0x23);
}

/* The IPv4 address that an IPv6 one holds from byte `at` on, for a translator or a tunnel; byte 8 holds none of it
 * (RFC 6052, 2.2). */
static __u32 rule_ip4_at(const struct oh_address *a, __u32 at)
{
	__u32 ip4 = 0;

	for (__u32 i = at, n = 0; n < 4; i++)
		if (i != 8) {
			ip4 = ip4 << 8 | a->byte[i];
			n++;
		}
	return ip4;
}

static bool rule_has_prefix(const struct oh_address *a, const __u8 *prefix, __u32 bytes)
{
	bool same = true;

	for (__u32 i = 0; i < bytes; i++)
		same = same && a->byte[i] == prefix[i];
	return same;
}

/* The metadata service, and what leads to it: 6to4, Teredo, compatible, translated and NAT64 addresses of it. */
static bool rule_leads_to_metadata(const struct oh_address *a)
{
	const bool last = rule_is_metadata_ip4(rule_word(a, 3));
	bool translated = false;

	if (rule_is_metadata(a))
		return true;
	for (int i = 0; i < OH_NAT64_MAX; i++) {
		const struct oh_nat64 *n = &oh_settings.nat64[i];
		__u8 prefix[16];

		for (int b = 0; b < 8; b++) {
			prefix[b] = n->high >> (56 - 8 * b);
			prefix[8 + b] = n->low >> (56 - 8 * b);
		}
		translated = translated || (i < oh_settings.nat64_count && rule_has_prefix(a, prefix, n->prefix / 8) &&
					    rule_is_metadata_ip4(rule_ip4_at(a, n->prefix / 8)));
	}
	if (translated && !rule_is_ip4(a, 0, ~0U))
		return true;
	return (a->byte[0] == 0x20 && a->byte[1] == 0x02 && rule_is_metadata_ip4(rule_ip4_at(a, 2))) ||
	       (rule_word(a, 0) == 0x20010000 && rule_is_metadata_ip4(rule_word(a, 3) ^ 0xffffffff)) ||
	       (last && rule_is(a, 0x0064ff9b, 0, 0, rule_word(a, 3))) ||
	       (last && rule_word(a, 0) == 0x0064ff9b && rule_word(a, 1) >> 16 == 1) ||
	       (last && rule_is(a, 0, 0, 0, rule_word(a, 3))) ||
	       (last && rule_is(a, 0, 0, 0xffff0000, rule_word(a, 3)));
}

/* ff02:0:: and fe80::/10: what no router passes on. */
static bool rule_is_link_scope(const struct oh_address *a)
{
	return rule_word(a, 0) == 0xff020000 || (rule_word(a, 0) >= 0xfe800000 && rule_word(a, 0) <= 0xfebfffff);
}

static bool rule_is_private_ip4(const struct oh_address *a)
{
	return rule_is_ip4(a, RULE_IP4(10, 0, 0, 0), RULE_IP4(10, 255, 255, 255)) ||
	       rule_is_ip4(a, RULE_IP4(172, 16, 0, 0), RULE_IP4(172, 31, 255, 255)) ||
	       rule_is_ip4(a, RULE_IP4(192, 168, 0, 0), RULE_IP4(192, 168, 255, 255)) ||
	       rule_is_ip4(a, RULE_IP4(169, 254, 0, 0), RULE_IP4(169, 254, 255, 255));
}

/* ---- what is asked about a flow ---- */

static bool rule_is_attempt(const struct oh_flow *f)
{
	return f->stage == OH_STAGE_CONNECT || f->stage == OH_STAGE_SEND;
}

/* The first segment of a connection: a SYN and no ACK. */
static bool rule_opens(const struct oh_flow *f)
{
	return f->tcp_flags & 2 && !(f->tcp_flags & 16);
}

/* ---- the rules ---- */

static bool rule_1_loopback(const struct oh_flow *f)
{
	const struct oh_address *to = &f->destination;

	if (f->loopback)
		return true;
	if (!rule_is_attempt(f))
		return false;
	return rule_is_ip4(to, RULE_IP4(127, 0, 0, 0), RULE_IP4(127, 255, 255, 255)) || rule_is_ip4(to, 0, 0) ||
	       rule_is(to, 0, 0, 0, 0) || rule_is(to, 0, 0, 0, 1) || (!f->away && proof_local);
}

static bool rule_2_neighbour_discovery(const struct oh_flow *f)
{
	bool link = rule_is_link_scope(&f->destination), near = link || (f->same_link && !f->known_raw);
	__u32 size = f->payload_length;

	if (f->family != 6 || f->protocol != 58 || f->options || f->hop_limit != 255 || f->icmp_code)
		return false;
	return (f->icmp_type == 133 && link && size <= 8) ||
		(f->icmp_type == 135 && near && size >= 16 && size <= 32) ||
		(f->icmp_type == 136 && near && size >= 16 && size <= 24);
}

static bool rule_2_dhcp(const struct oh_flow *f)
{
	const struct oh_address *to = &f->destination;
	bool server = rule_is_ip4(to, 0xffffffff, 0xffffffff) || (rule_is_private_ip4(to) && !rule_is_metadata(to));

	if (f->protocol != 17)
		return false;
	/* an attempt has no source port yet */
	if (rule_is_attempt(f) && ((f->destination_port == 67 && server) || f->destination_port == 547))
		return true;
	if (f->options || f->forwarded)
		return false;
	return (f->source_port == 68 && f->destination_port == 67 && server) ||
	       (f->source_port == 546 && f->destination_port == 547 && rule_is_link_scope(to));
}

static bool rule_2_host_need(const struct oh_flow *f)
{
	return rule_2_neighbour_discovery(f) || rule_2_dhcp(f);
}

static bool rule_3_inbound_reply(const struct oh_flow *f)
{
	bool found = false;

	for (int i = 0; i < OH_INBOUND_MAX; i++) {
		const struct oh_inbound *in = &oh_settings.inbound[i];
		bool within = true;

		for (int b = 0; b < 16; b++)
			within = within &&
				(f->destination.byte[b] & in->mask.byte[b]) == (in->address.byte[b] & in->mask.byte[b]);
		found = found || (i < oh_settings.inbound_count && within && f->source_port >= in->port &&
			 f->source_port <= in->port + in->more);
	}
	return found && !rule_is_attempt(f) && f->protocol == 6 && !rule_opens(f);
}

/* ---- 4, 5 and 6 ---- */

/* 6, its second half: of a connection that was admitted. */
static bool rule_6_lives_on(const struct oh_flow *f, const struct oh_connection *c)
{
	return c && c->admitted && f->protocol == 6 && !rule_opens(f) && f->destination_port == c->port &&
		rule_is(&f->destination, rule_word(&c->to, 0), rule_word(&c->to, 1), rule_word(&c->to, 2),
			rule_word(&c->to, 3)) &&
		proof_target_holds(c->target, c->generation);
}

/* A process's socket that sends what it likes below TCP and UDP. Where nobody knows whose it is, a reset may be the
 * kernel's. */
static bool rule_is_raw(const struct oh_flow *f)
{
	bool reset = f->protocol == 6 && f->tcp_flags & 4 && f->payload_length == 0;

	return f->socket_type == 3 && !f->kernel_raw && (f->known_raw || !reset);
}

static enum oh_service rule_service(const struct oh_flow *f)
{
	if ((f->protocol == 6 || f->protocol == 17) && f->destination_port == 53)
		return OH_SERVICE_DNS;
	if (f->protocol == 17 && f->destination_port == 123)
		return OH_SERVICE_NTP;
	/* connect() of a datagram socket sends nothing */
	if (f->protocol == 6 || (f->protocol == 17 && f->stage == OH_STAGE_CONNECT))
		return OH_SERVICE_TCP;
	return OH_SERVICE_NONE;
}

/* What a flow that rules 1 to 3 say nothing about gets, and which grant admits it. */
static enum oh_reason rule_4_to_6(const struct oh_flow *f, struct proof_grant *ret)
{
	enum oh_service service = rule_service(f);
	bool connects_datagrams = f->protocol == 17 && f->stage == OH_STAGE_CONNECT;
	bool metadata = rule_leads_to_metadata(&f->destination);
	struct proof_grant grant;

	if (metadata && service != OH_SERVICE_DNS)
		return oh_settings.metadata && rule_is_imds(&f->destination) && service == OH_SERVICE_TCP &&
		       f->destination_port == 80 ? OH_TARGET : OH_METADATA_SERVICE;
	if (service == OH_SERVICE_NONE)
		return OH_PROTOCOL_NOT_ALLOWED;
	grant = proof_grants[service][connects_datagrams && service == OH_SERVICE_TCP];
	if (grant.reason == OH_TARGET) {
		*ret = grant;
		return service == OH_SERVICE_DNS ? OH_DNS : service == OH_SERVICE_NTP ? OH_NTP : OH_TARGET;
	}
	if (service == OH_SERVICE_TCP)
		return grant.reason;
	if (metadata)	/* a resolver may be there, and nothing else */
		return OH_METADATA_SERVICE;
	if (connects_datagrams && proof_grants[OH_SERVICE_TCP][true].reason == OH_TARGET)
		return OH_TARGET;
	return service == OH_SERVICE_DNS ? OH_DNS_RESOLVER_NOT_ALLOWED : OH_NTP_SERVER_NOT_ALLOWED;
}

/* The verdict, first match wins; and the grant that it goes by, where there is one. */
static enum oh_reason rule_verdict(const struct oh_flow *f, const struct oh_connection *c, struct proof_grant *ret)
{
	*ret = (struct proof_grant){};
	if (rule_6_lives_on(f, c))
		return c->look == OH_LOOK_QUERIES ? OH_DNS : OH_TARGET;
	if (rule_1_loopback(f))
		return OH_LOOPBACK;
	if (rule_2_host_need(f))
		return OH_HOST_NEED;
	if (rule_is_raw(f))
		return OH_RAW_SOCKET;
	if (rule_3_inbound_reply(f))
		return OH_INBOUND_REPLY;
	if (!proof_ready)
		return OH_LOCKDOWN;
	return rule_4_to_6(f, ret);
}

#endif
