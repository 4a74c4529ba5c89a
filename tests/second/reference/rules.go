// SPDX-License-Identifier: MIT
package main

import (
	"bytes"
	"net/netip"
	"strings"
)

// A second opinion on every verdict at an uplink: the rules of docs/architecture.md, kept as simple as can be. Numbers
// of a connection count from its first byte, and what was said is kept whole and read anew each time.

type reason int

const (
	none         reason = 0
	hostNeed     reason = 2
	inboundReply reason = 3
	dnsQuery     reason = 4
	ntpRequest   reason = 5
	toTarget     reason = 6

	addressNotAllowed     reason = 16
	addressExpired        reason = 17
	portNotAllowed        reason = 18
	protocolNotAllowed    reason = 19
	dnsResolverNotAllowed reason = 20
	dnsNameNotAllowed     reason = 21
	dnsMalformed          reason = 22
	ntpServerNotAllowed   reason = 23
	ntpMalformed          reason = 24
	tlsNameNotAllowed     reason = 25
	tlsNoName             reason = 26
	tlsEncryptedHello     reason = 27
	tlsNotTLS             reason = 28
	tlsIncomplete         reason = 29
	fragmented            reason = 30
	packetMalformed       reason = 31
	forwardedReason       reason = 34
	inboundNotAllowed     reason = 35
	metadataService       reason = 36
	sourceRoute           reason = 38
	tlsInSyn              reason = 39
	sourceNotOurs         reason = 42

	held reason = 64 // dropped, and not told
)

var reasonNames = map[reason]string{
	hostNeed: "host-need", inboundReply: "inbound-reply", dnsQuery: "dns", ntpRequest: "ntp",
	toTarget: "target", addressNotAllowed: "address-not-allowed", addressExpired: "address-expired",
	portNotAllowed: "port-not-allowed", protocolNotAllowed: "protocol-not-allowed",
	dnsResolverNotAllowed: "dns-resolver-not-allowed", dnsNameNotAllowed: "dns-name-not-allowed",
	dnsMalformed: "dns-malformed", ntpServerNotAllowed: "ntp-server-not-allowed", ntpMalformed: "ntp-malformed",
	tlsNameNotAllowed: "tls-name-not-allowed", tlsNoName: "tls-no-name", tlsEncryptedHello: "tls-encrypted-hello",
	tlsNotTLS: "tls-not-tls", tlsIncomplete: "tls-incomplete", fragmented: "fragment",
	packetMalformed: "packet-malformed", forwardedReason: "forwarded", inboundNotAllowed: "inbound-not-allowed",
	metadataService: "metadata-service", sourceRoute: "source-route", tlsInSyn: "tls-in-syn",
	sourceNotOurs: "source-not-ours", held: "held"}

func (r reason) passes() bool { return r < 16 }

type service int

const (
	noService service = iota
	tcpService
	dnsService
	ntpService
)

type grant struct {
	target     int
	generation uint32
	service    service
	port, more int
	expired    bool
	links      int // of an opened name: CNAMEs to it
}

type target struct {
	generation uint32
	named      bool // its connections must say a name
	lapsed     bool
}

type nameRule struct {
	grant
	all, keys bool // it may be asked for: anything, or DS and DNSKEY
}

// The policy and all that is known of the world. A name is "good.example" or "*.good.example".
type world struct {
	targets   map[int]*target
	addresses map[netip.Addr][]grant
	ranges    map[netip.Prefix][]grant
	names     map[string][]nameRule
	private   map[string][]netip.Prefix
	own       map[netip.Addr]bool
	inbound   []inboundRule

	learned map[netip.Addr][]grant
	opened  map[string][]grant
	pending map[pendingKey]*question
	flows   map[ends]*flow
	opening map[ends]*opening
}

type inboundRule struct {
	from netip.Prefix
	port int
}

type ends struct {
	remote, local         netip.Addr
	remotePort, localPort int
	protocol              int
}

type pendingKey struct{ id, port int }

type opening struct {
	target     int
	generation uint32
	first      uint32
	syn        bool
	look       lookFor
}

type lookFor int

const (
	lookNone lookFor = iota
	lookHello
	lookQueries
	lookTLS
	lookSent
)

// A connection that the far side has answered.
type flow struct {
	target     int
	generation uint32
	look       lookFor
	first      uint32 // its number 0
	said       []byte // what was judged
	acked      int    // what the far side has of that
	sent       int    // behind the last byte that was let out
	answer     uint32 // the far side's first byte,
	heard      uint32 // and behind its last
	keptFrom   int    // of `said`, what is kept to compare with: up to its end
	keptSize   int
	reopened   bool
	served     bool
	name       string
	isNamed    bool
}

func (w *world) lives(t int, generation uint32) bool {
	x := w.targets[t]
	return x != nil && x.generation == generation && !x.lapsed
}

// ---- whom a packet is for ----

type nearness int

const (
	nothing nearness = iota
	otherPort
	expired
	admitsNamed
	admits
)

func (w *world) nearest(to netip.Addr, s service, port int) (nearness, grant) {
	best, by := nothing, grant{}
	consider := func(grants []grant) {
		for _, g := range grants {
			if g.service == noService || !w.lives(g.target, g.generation) {
				continue
			}
			near := admits
			switch {
			case g.service != s || port < g.port || port > g.port+g.more:
				near = otherPort
			case g.expired:
				near = expired
			case w.targets[g.target].named:
				near = admitsNamed
			}
			if near > best {
				best, by = near, g
			}
		}
	}
	consider(w.addresses[to])
	consider(w.learned[to])
	bits := -1
	var longest []grant
	for prefix, grants := range w.ranges {
		if prefix.Contains(to) && prefix.Bits() > bits {
			bits, longest = prefix.Bits(), grants
		}
	}
	consider(longest)
	return best, by
}

var metadata = map[netip.Addr]bool{
	netip.MustParseAddr("169.254.169.254"): true, netip.MustParseAddr("169.254.170.2"): true,
	netip.MustParseAddr("169.254.170.23"): true, netip.MustParseAddr("fd00:ec2::254"): true,
	netip.MustParseAddr("fd00:ec2::23"): true,
}

// Prefixes whose IPv6 addresses lead to an IPv4 one, and where that stands in them.
var translators = []struct {
	prefix   netip.Prefix
	at       int
	inverted bool
}{
	{netip.MustParsePrefix("2002::/16"), 2, false}, {netip.MustParsePrefix("2001::/32"), 12, true},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12, false}, {netip.MustParsePrefix("64:ff9b::/96"), 12, false},
	{netip.MustParsePrefix("::/96"), 12, false}, {netip.MustParsePrefix("::ffff:0:0:0/96"), 12, false},
}

func leadsToMetadata(to netip.Addr) bool {
	if metadata[to] {
		return true
	}
	for _, t := range translators {
		if to.Is6() && t.prefix.Contains(to) {
			b := to.As16()
			var four [4]byte
			copy(four[:], b[t.at:])
			for i := range four {
				if t.inverted {
					four[i] = ^four[i]
				}
			}
			return metadata[netip.AddrFrom4(four)]
		}
	}
	return false
}

var (
	linkLocal6 = netip.MustParsePrefix("fe80::/10")
	linkGroup6 = netip.MustParsePrefix("ff02::/32")
	dhcpNets   = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("255.255.255.255/32")}
)

func nearLink(a netip.Addr) bool { return linkLocal6.Contains(a) || linkGroup6.Contains(a) }

func sameNet64(a, b netip.Addr) bool {
	x, y := a.As16(), b.As16()
	return bytes.Equal(x[:8], y[:8])
}

func isDiscovery(f *frame) bool {
	if f.version != 6 || f.protocol != icmp6 || f.hopLimit != 255 || f.code != 0 || f.options {
		return false
	}
	near, n := nearLink(f.to) || sameNet64(f.from, f.to), len(f.payload)
	return f.icmpType == 133 && nearLink(f.to) && n <= 8 || f.icmpType == 135 && near && n >= 16 && n <= 32 ||
		f.icmpType == 136 && near && n >= 16 && n <= 24
}

func isRenewal(protocol, sport, dport int, to netip.Addr) bool {
	if protocol != udp {
		return false
	}
	if sport == 68 && dport == 67 && !metadata[to] {
		for _, net := range dhcpNets {
			if net.Contains(to) {
				return true
			}
		}
	}
	return sport == 546 && dport == 547 && nearLink(to)
}

func (w *world) isInboundReply(protocol, flags, sport int, to netip.Addr) bool {
	for _, in := range w.inbound {
		if protocol == tcp && flags&(syn|ackFlag) != syn && sport == in.port && in.from.Contains(to) {
			return true
		}
	}
	return false
}

type admission struct {
	target     int
	generation uint32
	fresh      bool
	named      bool
}

// Rules 2 to 6, the first that matches.
func (w *world) decide(f *frame, forwarded bool, c *flow) (reason, admission) {
	if c != nil && f.protocol == tcp && !f.opens() && w.lives(c.target, c.generation) {
		if c.look == lookQueries {
			return dnsQuery, admission{c.target, c.generation, false, false}
		}
		return toTarget, admission{c.target, c.generation, false, false}
	}
	if isDiscovery(f) || !f.options && !forwarded && isRenewal(f.protocol, f.sport, f.dport, f.to) {
		return hostNeed, admission{}
	}
	if w.isInboundReply(f.protocol, f.flags, f.sport, f.to) {
		return inboundReply, admission{}
	}
	s := noService
	switch {
	case (f.protocol == tcp || f.protocol == udp) && f.dport == 53:
		s = dnsService
	case f.protocol == tcp:
		s = tcpService
	case f.protocol == udp && f.dport == 123:
		s = ntpService
	}
	if leadsToMetadata(f.to) && s != dnsService {
		return metadataService, admission{}
	}
	if s == noService {
		return protocolNotAllowed, admission{}
	}
	near, g := w.nearest(f.to, s, f.dport)
	if near >= admitsNamed {
		r := map[service]reason{tcpService: toTarget, dnsService: dnsQuery, ntpService: ntpRequest}[s]
		return r, admission{g.target, g.generation, true, near == admitsNamed && s == tcpService}
	}
	switch {
	case s == dnsService && leadsToMetadata(f.to):
		return metadataService, admission{}
	case s == dnsService:
		return dnsResolverNotAllowed, admission{}
	case s == ntpService:
		return ntpServerNotAllowed, admission{}
	}
	far := [...]reason{nothing: addressNotAllowed, otherPort: portNotAllowed, expired: addressExpired}
	return far[near], admission{}
}

// ---- names ----

// The most specific rule whose name matches.
func (w *world) ruleFor(name string) string {
	if _, ok := w.names[name]; ok {
		return name
	}
	for rest := name; ; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			return ""
		}
		rest = rest[dot+1:]
		if _, ok := w.names["*."+rest]; ok {
			return "*." + rest
		}
	}
}

func (w *world) policyLetsAsk(name string, kind int) bool {
	for _, r := range w.names[w.ruleFor(name)] {
		if r.all || r.keys && (kind == typeDS || kind == typeDNSKEY) ||
			!r.keys && r.service != noService && w.lives(r.target, r.generation) {
			return true
		}
	}
	return false
}

func (w *world) mayAsk(q *question) bool {
	if w.policyLetsAsk(q.name, q.kind) {
		return true
	}
	for _, g := range w.opened[q.name] {
		if !g.expired && w.lives(g.target, g.generation) &&
			(g.service != dnsService || q.kind == typeDS || q.kind == typeDNSKEY) {
			return true
		}
	}
	return false
}

// The target for whose connections to a port a hello may give that name.
func (w *world) mayName(name string, port int) (int, uint32, bool) {
	for _, r := range w.names[w.ruleFor(name)] {
		if !r.all && !r.keys && r.service == tcpService && r.port == port && w.lives(r.target, r.generation) {
			return r.target, r.generation, true
		}
	}
	return 0, 0, false
}
