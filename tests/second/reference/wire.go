// SPDX-License-Identifier: MIT
package main

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
)

const (
	kept       = 4096 // bytes of a flow that are kept to compare with
	keptAppend = 2048
	queriesMax = 16
	teachMax   = 16
	openedMax  = 8
	grantsMax  = 6
)

// What becomes of a frame that leaves.
func (w *world) leave(b []byte, forwarded bool) reason {
	f, r := readLeaving(b)
	if r != none {
		return r
	}
	key := ends{f.to, f.from, f.dport, f.sport, f.protocol}
	c := w.flows[key]
	r, a := w.decide(f, forwarded, c)
	if r.passes() && mustOwnSource(f, r, a) && !w.own[f.from] {
		r = sourceNotOurs
	}
	if r.passes() {
		r = w.inspect(f, c, r, &a)
	}
	if !r.passes() {
		if forwarded && r >= addressNotAllowed && r <= protocolNotAllowed {
			return forwardedReason
		}
		return r
	}
	if r >= dnsQuery {
		w.note(f, key, c, r, a)
	}
	return r
}

func mustOwnSource(f *frame, r reason, a admission) bool {
	return !(a.target != 0 && !a.fresh) && (r != hostNeed || f.protocol == udp)
}

// What is remembered of a frame that leaves, since it may be answered.
func (w *world) note(f *frame, key ends, c *flow, r reason, a admission) {
	look := lookNone
	if c != nil {
		look = c.look
	}
	if a.fresh {
		look = lookNone
		if f.protocol == tcp && r == dnsQuery {
			look = lookQueries
		} else if f.protocol == tcp && a.named {
			look = lookHello
		}
	}
	if f.protocol == tcp && f.opens() {
		w.opening[key] = &opening{a.target, a.generation, f.seq + 1, true, look}
		if c != nil {
			c.reopened = true
		}
		return
	}
	if c != nil && !a.fresh {
		if c.reopened { // two questions are not open at once
			delete(w.opening, key)
		}
		c.reopened = false
		return
	}
	if look == lookNone {
		w.opening[key] = &opening{a.target, a.generation, 0, false, look}
	} else if a.fresh {
		delete(w.opening, key)
	}
}

func (w *world) inspect(f *frame, c *flow, r reason, a *admission) reason {
	switch {
	case r == ntpRequest:
		if !isPlainRequest(f.payload) {
			return ntpMalformed
		}
		return r
	case r == dnsQuery && f.protocol == udp:
		return w.query(f.payload, f.sport)
	case r == dnsQuery || r == toTarget && (a.fresh && a.named || !a.fresh && c != nil && c.look != lookNone):
		return w.segment(f, c, r, a)
	}
	return r
}

func (w *world) query(m []byte, sport int) reason {
	q, ok := readQuery(m)
	if !ok {
		return dnsMalformed
	}
	if !w.mayAsk(q) {
		return dnsNameNotAllowed
	}
	if q.kind == typeA || q.kind == typeAAAA || q.kind == typeSVCB || q.kind == typeHTTPS {
		w.pending[pendingKey{q.id, sport}] = q
	}
	return dnsQuery
}

// All that a segment says must be whole queries for allowed names.
func (w *world) queries(m []byte, sport int) reason {
	for n := 0; len(m) > 0; n++ {
		if n == queriesMax {
			return dnsMalformed
		}
		if len(m) < 2 {
			return held
		}
		size := int(binary.BigEndian.Uint16(m))
		if size < 12 || size > 512 {
			return dnsMalformed
		}
		if 2+size > len(m) {
			return held
		}
		if r := w.query(m[2:2+size], sport); r != dnsQuery {
			return r
		}
		m = m[2+size:]
	}
	return dnsQuery
}

func (w *world) segment(f *frame, c *flow, r reason, a *admission) reason {
	bad := tlsNotTLS
	if r == dnsQuery {
		bad = dnsMalformed
	}
	if f.flags&urgent != 0 {
		return bad
	}
	if f.opens() {
		if len(f.payload) > 0 {
			if r == dnsQuery {
				return held
			}
			return tlsInSyn
		}
		// the same SYN again, once bytes have followed it
		if c != nil && c.look != lookNone && f.seq+1 == c.first && c.sent != 0 {
			return held
		}
		return r
	}
	if a.fresh || c == nil {
		switch {
		case len(f.payload) == 0:
			return r
		case r == dnsQuery:
			return dnsMalformed
		}
		return tlsIncomplete
	}
	if c.served && c.look == lookTLS {
		c.look = lookSent
		if c.acked == len(c.said) {
			c.look = lookNone
		}
	}
	if c.look == lookNone {
		return r
	}
	if f.flags&syn != 0 || !c.takes(f) {
		return held
	}
	r = w.place(f, c, r, bad, a)
	more := distance(c.first+uint32(c.sent), f.seq+uint32(len(f.payload)))
	if r.passes() && len(f.payload) > 0 && more > 0 {
		c.sent += more
	}
	return r
}

// How far a number is behind another. They wrap around: the nearer way counts, and of two equal ones the way forward.
func distance(from, to uint32) int {
	if d := to - from; d <= 1<<31 {
		return int(d)
	}
	return -int(from - to)
}

// A number as a distance from the connection's first byte: of those it may stand for, the nearest to what was judged.
func (c *flow) offset(number uint32) int {
	return len(c.said) + distance(c.first+uint32(len(c.said)), number)
}

// Whether a segment is of the connection that the far side has accepted.
func (c *flow) takes(f *frame) bool {
	if f.flags&rst != 0 && len(f.payload) == 0 {
		return true
	}
	if f.flags&ackFlag == 0 || f.ack-c.answer > c.heard-c.answer {
		return false
	}
	at := c.offset(f.seq)
	return c.acked != 0 || at == 0 || at >= len(c.said) && at <= c.sent
}

// Where a segment's bytes stand: some the far side has, some were judged, the rest is new.
func (w *world) place(f *frame, c *flow, r, bad reason, a *admission) reason {
	at, n := c.offset(f.seq), len(f.payload)
	judged := len(c.said)
	if n == 0 {
		return r
	}
	if c.look == lookSent {
		if at >= judged {
			return r
		}
	} else if at > judged {
		return held
	}
	if at != judged && c.look == lookHello {
		return held
	}
	known := min(judged-at, n)
	gone := c.acked - at
	if gone < 0 {
		gone = 0
	}
	gone = min(gone, known)
	if known > gone {
		from := at + gone
		if from < c.keptFrom || at+known > c.keptFrom+c.keptSize {
			return bad
		}
		if !bytes.Equal(c.said[from:at+known], f.payload[gone:known]) {
			return bad
		}
	}
	if known == n || c.look == lookSent {
		return r
	}
	return w.judge(f, c, f.payload[known:], r, a)
}

func (w *world) judge(f *frame, c *flow, fresh []byte, r reason, a *admission) reason {
	if r == dnsQuery {
		if q := w.queries(fresh, f.sport); q != dnsQuery {
			return q
		}
		if !c.keep(len(fresh)) {
			return held
		}
		c.say(fresh, lookQueries)
		return dnsQuery
	}
	heldName, named := c.name, c.isNamed
	t, generation := a.target, a.generation
	all := append(append([]byte(nil), c.said...), fresh...)
	l := readClient(all, len(c.said), func(name string) reason {
		owner, of, ok := w.mayName(name, f.dport)
		if !ok || named && name != heldName {
			return tlsNameNotAllowed
		}
		t, generation, heldName = owner, of, name
		return none
	})
	switch l.state {
	case waits:
		return held
	case refused:
		return l.reason
	}
	judged, look := len(fresh), lookTLS
	if l.state == over {
		judged, look = l.end-len(c.said), lookNone
	}
	if !c.keep(judged) {
		return held
	}
	c.target, c.generation, c.name, c.isNamed = t, generation, heldName, true
	c.say(fresh[:judged], look)
	return toTarget
}

// Whether there is room to keep n more bytes until the far side has them.
func (c *flow) keep(n int) bool {
	if n == 0 || n > kept {
		return false
	}
	if c.acked == len(c.said) {
		c.keptFrom, c.keptSize = len(c.said), n
		return true
	}
	if c.keptFrom+c.keptSize != len(c.said) || c.keptSize > keptAppend || n > keptAppend {
		return false
	}
	c.keptSize += n
	return true
}

func (c *flow) say(fresh []byte, next lookFor) {
	c.said = append(c.said, fresh...)
	c.look = next
	if next == lookNone && c.acked != len(c.said) {
		c.look = lookSent
	}
}

// ---- what comes in ----

func (w *world) arrive(b []byte) reason {
	a, r := readArriving(b)
	if r != none {
		return r
	}
	neighbour := a.protocol == icmp6 && a.version == 6 && a.hopLimit == 255 && a.code == 0 && a.icmpType >= 134 &&
		a.icmpType <= 136
	protocol, sport, dport, to, flags, from := a.protocol, a.dport, a.sport, a.from, 0, a.to
	if a.quoted != nil {
		q := a.quoted
		protocol, sport, dport, to, from = q.protocol, q.sport, q.dport, q.to, q.from
	}
	if neighbour || isRenewal(protocol, sport, dport, to) {
		return hostNeed
	}
	if w.isInboundReply(protocol, flags, sport, to) {
		return inboundReply
	}
	if protocol != tcp && protocol != udp {
		return inboundNotAllowed
	}
	if !w.isAnswer(a, ends{to, from, dport, sport, protocol}) {
		return inboundNotAllowed
	}
	if a.whole != nil {
		w.learn(a.whole)
	}
	return toTarget
}

func (w *world) isAnswer(a *arrival, key ends) bool {
	c := w.flows[key]
	living := c != nil && (c.target == 0 || w.lives(c.target, c.generation))
	isTCP := a.protocol == tcp
	if living && !(isTCP && a.flags&syn != 0) {
		if isTCP {
			c.hear(a)
		}
		return true
	}
	o := w.opening[key]
	if o != nil && o.target != 0 && !w.lives(o.target, o.generation) {
		o = nil
	}
	if !isTCP {
		return o != nil
	}
	if a.flags&syn == 0 {
		if o != nil && !o.syn {
			w.establish(a, key, o)
		}
		return o != nil
	}
	if a.flags&ackFlag == 0 {
		return false
	}
	if o != nil && o.syn && a.ack == o.first {
		w.establish(a, key, o)
		return true
	}
	return living && a.ack == c.first && a.seq+1 == c.answer
}

func (w *world) establish(a *arrival, key ends, o *opening) {
	w.flows[key] = &flow{target: o.target, generation: o.generation, look: o.look, first: o.first,
		answer: a.seq + 1, heard: a.seq + 1 + uint32(len(a.payload))}
	delete(w.opening, key)
}

// The far side of a connection says something: what it has, and whether it asks for no second hello.
func (c *flow) hear(a *arrival) {
	if c.look == lookNone || a.flags&rst != 0 {
		return
	}
	length := len(a.payload)
	if c.look == lookTLS && a.seq == c.answer && c.offersEarly() && isServerHello(a.body) {
		c.served = true
	}
	if a.flags&fin != 0 {
		length++
	}
	if end := a.seq + uint32(length); distance(c.heard, end) > 0 {
		c.heard = end
	}
	if a.flags&ackFlag == 0 {
		return
	}
	if n := c.offset(a.ack); n >= c.acked && n <= c.sent {
		c.acked = min(n, len(c.said))
		if c.look == lookSent && c.acked == len(c.said) {
			c.look = lookNone
		}
	}
}

func (c *flow) offersEarly() bool {
	return readClient(c.said, len(c.said), nil).early
}

// A ServerHello that is no HelloRetryRequest: RFC 8446, 4.1.3.
func isServerHello(p []byte) bool {
	retry := []byte{0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11}
	return len(p) >= 19 && p[0] == 22 && p[5] == 2 && !bytes.Equal(p[11:19], retry)
}

// ---- what an answer teaches ----

func (w *world) learn(f *frame) {
	if f.protocol != udp || f.sport != 53 {
		return
	}
	if near, _ := w.nearest(f.from, dnsService, 53); near < admitsNamed {
		return
	}
	m := f.payload
	if len(m) < 2 {
		return
	}
	key := pendingKey{int(binary.BigEndian.Uint16(m)), f.dport}
	q := w.pending[key]
	if q == nil {
		return
	}
	addresses, chain, ok := readAnswer(m, q)
	if !ok {
		return
	}
	learners := w.learners(q.name)
	for i, x := range addresses {
		if i < teachMax {
			w.learnAddress(q.name, x, learners)
		}
	}
	for i := 1; i < len(chain) && i <= openedMax; i++ {
		w.openLink(chain[i], i, learners)
	}
	delete(w.pending, key)
}

func (w *world) learners(name string) []grant {
	var found []grant
	for _, r := range w.names[w.ruleFor(name)] {
		if !r.all && !r.keys && w.teaches(r.grant) {
			g := r.grant
			g.links = 0
			found = append(found, g)
		}
	}
	for _, g := range w.opened[name] {
		if !g.expired && w.teaches(g) {
			found = append(found, g)
		}
	}
	return found
}

func (w *world) teaches(g grant) bool {
	return (g.service == tcpService || g.service == ntpService) && w.lives(g.target, g.generation)
}

// Adds a grant, or makes one live again, or for as long; into the first place that is free or over.
func (w *world) add(grants []grant, g grant) []grant {
	place := -1
	for i, old := range grants {
		if old.service == g.service && old.port == g.port && old.target == g.target &&
			old.generation == g.generation {
			grants[i].expired = old.expired && g.expired
			return grants
		}
		if place < 0 && (old.expired || !w.lives(old.target, old.generation)) {
			place = i
		}
	}
	if place >= 0 {
		grants[place] = g
	} else if len(grants) < grantsMax {
		grants = append(grants, g)
	}
	return grants
}

func (w *world) learnAddress(name string, x given, learners []grant) {
	a, _ := netip.AddrFromSlice(x.address)
	a = a.Unmap() // one key for both spellings
	if isSpecial(x.address) {
		allowed := false
		for _, net := range w.private[w.ruleFor(name)] {
			allowed = allowed || net.Contains(a) && !leadsToMetadata(a)
		}
		if !allowed {
			return
		}
	}
	for _, g := range learners {
		g.expired, g.links, g.more = x.ttl == 0, 0, 0
		w.learned[a] = w.add(w.learned[a], g)
	}
}

// Ranges that no public host has: the IANA registries of special-purpose addresses, and multicast.
var special = []netip.Prefix{}

func init() {
	for _, s := range strings.Fields(`0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
		192.0.0.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4
		::/96 ::ffff:0:0:0/96 64:ff9b:1::/48 100::/64 2001::/32 2001:10::/28 2001:20::/28 2002::/16
		3fff::/20 5f00::/16 		fc00::/7 fe80::/10 fec0::/10 ff00::/8`) {
		special = append(special, netip.MustParsePrefix(s))
	}
}

func isSpecial(b []byte) bool {
	a, _ := netip.AddrFromSlice(b)
	a = a.Unmap()
	if translated := netip.MustParsePrefix("64:ff9b::/96"); translated.Contains(a) {
		four := a.As16()
		return isSpecial(four[12:])
	}
	for _, p := range special {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// The name that a CNAME leads to may be asked for, and its answer teaches as the first one's; the zones above it may be
// asked for their keys.
func (w *world) openLink(l link, n int, learners []grant) {
	for _, label := range l.labels {
		if _, ok := plainLabel([]byte(label)); !ok {
			return
		}
	}
	if len(l.labels) == 0 {
		return
	}
	done := 0
	for i := len(l.labels) - 1; i >= 0; i-- { // from the top down, the name itself last
		zone := i > 0
		if zone && done >= openedMax {
			continue
		}
		done++
		name := strings.Join(l.labels[i:], ".")
		if zone && w.policyLetsAsk(name, typeDS) {
			continue
		}
		for _, g := range learners {
			all := g.links + n
			if all > openedMax {
				continue
			}
			g.expired, g.links, g.more = l.ttl == 0, all, 0
			if zone {
				g.service, g.port, g.links = dnsService, 53, 0
			}
			w.opened[name] = w.add(w.opened[name], g)
		}
	}
}
