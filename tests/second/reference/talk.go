// SPDX-License-Identifier: MIT
package main

import (
	"encoding/binary"
	"net/netip"
)

// A conversation, made of a string of bytes: each byte is a choice, and 0 is the plain one. So any bytes are a
// conversation, most of it well-formed, and what changes a byte changes one choice.

type kind int

const (
	out kind = iota
	in
	expire // an address
	lapse  // a target
)

type step struct {
	kind
	forwarded bool
	frame     []byte
	address   netip.Addr
	target    int
}

type chooser struct {
	b []byte
	i int
}

func (c *chooser) done() bool { return c.i >= len(c.b) }

func (c *chooser) byte() int {
	if c.done() {
		return 0
	}
	c.i++
	return int(c.b[c.i-1])
}

func (c *chooser) of(n int) int { return c.byte() % n }

// Once in n, and never for 0.
func (c *chooser) rarely(n int) bool { return c.byte()%n == n-1 }

type connection struct {
	six, forwarded bool
	to             netip.Addr
	port, local    int
	number         uint32 // of the client's first byte
	server         uint32
	stream         []byte // what the client has to say
	next           int    // of it, what comes next
	heard          uint32 // what the server has said
}

type talk struct {
	c           chooser
	ports       int // the first one of this conversation
	connections [3]*connection
	query       []byte // the last one
	asked       struct {
		six  bool
		port int
	}
	steps []step
}

var (
	this4, this6 = netip.MustParseAddr("10.0.1.10"), netip.MustParseAddr("2001:db8:ffff::10")
	stranger     = [2]netip.Addr{netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("2001:db8:bad::9")}
	resolver     = [2]netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("2001:db8:53::2")}
	clock        = [2]netip.Addr{netip.MustParseAddr("203.0.113.123"), netip.MustParseAddr("2001:db8:a::123")}
	site         = [2]netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8:a::10")}
	// Answers give these; nothing else allows them.
	pool = [][2]netip.Addr{
		{netip.MustParseAddr("93.184.216.1"), netip.MustParseAddr("2a00:1450::1")},
		{netip.MustParseAddr("93.184.216.2"), netip.MustParseAddr("2a00:1450::2")},
		{netip.MustParseAddr("93.184.216.3"), netip.MustParseAddr("64:ff9b::5db8:d803")},
		{netip.MustParseAddr("10.1.0.3"), netip.MustParseAddr("fd00:1::3")},
		{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd00:ec2::254")},
		{netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("64:ff9b::a9fe:a9fe")},
	}
	places = append([][2]netip.Addr{site, pool[0], pool[1],
		{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8:5::7")}, // a range without names
		{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2620:fe::fe")},     // nobody's
		{netip.MustParseAddr("203.0.113.11"), netip.MustParseAddr("2001:db8:a::11")},
		{netip.MustParseAddr("198.51.100.200"), netip.MustParseAddr("2002:a9fe:a9fe::1")},
	}, pool[2:]...)
	hosts = []string{"good.example", "fine.example", "a.pool.example", "b.c.pool.example", "other.pool.example",
		"inner.example", "evil.example", "pool.example", "ask.example", "example", "target.cdn.example",
		"www.cdn.example", "xgood.example", "time.example", "cdn.example", "GOOD.example"}
	kinds = []int{typeA, typeAAAA, typeHTTPS, typeDS, typeDNSKEY, typeCNAME, typeANY, typeSVCB, 16}
)

const conversationMax = 40 // steps

func play(choices []byte, ports int) []step {
	t := &talk{c: chooser{b: choices}, ports: ports}
	for !t.c.done() && len(t.steps) < conversationMax {
		switch t.c.of(16) {
		default:
			t.segment(t.connection(t.c.of(len(t.connections))))
		case 8, 9:
			t.ask()
		case 10, 11:
			t.answer()
		case 12:
			t.time()
		case 13:
			t.event()
		case 14:
			t.other()
		}
	}
	return t.steps
}

func (t *talk) add(s step) {
	b := s.frame
	if b != nil && t.c.rarely(24) { // a byte of the headers, or of what follows
		at := 14 + t.c.of(min(len(b)-14, 64))
		b[at] ^= byte(1 << t.c.of(8))
	}
	if b != nil && t.c.rarely(60) {
		cut := len(b) - t.c.of(60)
		if cut >= 14+40 {
			s.frame = b[:cut]
		}
	}
	t.steps = append(t.steps, s)
}

// ---- frames ----

func ends4or6(six bool, pair [2]netip.Addr) netip.Addr {
	if six {
		return pair[1]
	}
	return pair[0]
}

func packet(from, to netip.Addr, protocol, hops int, body []byte) []byte {
	b := make([]byte, 14, 14+40+len(body))
	if to.Is4() {
		binary.BigEndian.PutUint16(b[12:], 0x0800)
		h := make([]byte, 20)
		h[0], h[8], h[9] = 0x45, byte(hops), byte(protocol)
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(body)))
		copy(h[12:], from.AsSlice())
		copy(h[16:], to.AsSlice())
		return append(append(b, h...), body...)
	}
	binary.BigEndian.PutUint16(b[12:], 0x86dd)
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, byte(protocol), byte(hops)
	binary.BigEndian.PutUint16(h[4:], uint16(len(body)))
	copy(h[8:], from.AsSlice())
	copy(h[24:], to.AsSlice())
	return append(append(b, h...), body...)
}

func datagram(sport, dport int, payload []byte) []byte {
	h := make([]byte, 8)
	binary.BigEndian.PutUint16(h, uint16(sport))
	binary.BigEndian.PutUint16(h[2:], uint16(dport))
	binary.BigEndian.PutUint16(h[4:], uint16(8+len(payload)))
	return append(h, payload...)
}

func segmentOf(sport, dport int, seq, ack uint32, flags int, payload []byte) []byte {
	h := make([]byte, 20)
	binary.BigEndian.PutUint16(h, uint16(sport))
	binary.BigEndian.PutUint16(h[2:], uint16(dport))
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], ack)
	h[12], h[13] = 0x50, byte(flags)
	return append(h, payload...)
}

func (t *talk) source(six bool) netip.Addr {
	if t.c.rarely(40) {
		return ends4or6(six, stranger)
	}
	return ends4or6(six, [2]netip.Addr{this4, this6})
}

// ---- TCP ----

func (t *talk) connection(i int) *connection {
	if c := t.connections[i]; c != nil && !t.c.rarely(64) {
		return c
	}
	c := &connection{six: t.c.rarely(3), forwarded: t.c.of(2) == 0, local: t.ports + i, port: 443}
	at := t.c.of(2 * len(places))
	if at >= len(places) {
		at = 0
	}
	c.to = ends4or6(c.six, places[at])
	switch t.c.of(12) {
	case 8, 9:
		c.port, c.to = 53, ends4or6(c.six, resolver)
	case 10:
		c.port = 8443
	case 11:
		c.port = 80
	}
	c.number, c.server = 0xffffff80+uint32(t.c.of(3))*0x40000000, 5000
	if c.port == 53 {
		for n := 1 + t.c.of(3); n > 0; n-- {
			m := t.makeQuery()
			c.stream = append(c.stream, byte(len(m)>>8), byte(len(m)))
			c.stream = append(c.stream, m...)
		}
	} else {
		c.stream = t.client()
	}
	t.connections[i] = c
	return c
}

func (t *talk) segment(c *connection) {
	base, ack := c.number, c.server+1+c.heard
	send := func(seq, ack uint32, flags int, payload []byte) {
		body := segmentOf(c.local, c.port, seq, ack, flags, payload)
		t.add(step{kind: out, forwarded: c.forwarded,
			frame: packet(t.source(c.six), c.to, tcp, 64, body)})
	}
	come := func(seq, ack uint32, flags int, payload []byte) {
		body := segmentOf(c.port, c.local, seq, ack, flags, payload)
		t.add(step{kind: in, frame: packet(c.to, ends4or6(c.six, [2]netip.Addr{this4, this6}), tcp, 60, body)})
	}
	data := func(from int) []byte {
		n := []int{1460, 200, 100, 40, 7, 1}[t.c.of(6)]
		from = min(from, len(c.stream))
		return c.stream[from:min(len(c.stream), from+n)]
	}
	odd := func(x uint32) uint32 { // mostly x
		return x + []uint32{0, 0, 0, 0, 0, 0, 1, ^uint32(0), 40, ^uint32(39), 1 << 30}[t.c.of(11)]
	}
	switch t.c.of(16) {
	case 0, 1: // a handshake
		send(base-1, 0, syn, nil)
		come(c.server, base, syn|ackFlag, nil)
	case 2, 3, 4: // what comes next
		p := data(c.next)
		send(base+uint32(c.next), ack, ackFlag|push, p)
		c.next += len(p)
	case 5: // it has come
		come(c.server+1+c.heard, base+uint32(c.next), ackFlag, nil)
	case 6: // a part of it has, or more than there is
		come(odd(c.server+1+c.heard), odd(base+uint32(t.c.of(c.next+1))), ackFlag, nil)
	case 7: // once more, perhaps with another byte
		from := t.c.of(c.next + 1)
		p := append([]byte(nil), data(from)...)
		if len(p) > 0 && t.c.rarely(3) {
			p[t.c.of(len(p))] ^= 1
		}
		send(base+uint32(from), ack, ackFlag, p)
	case 8:
		send(odd(base+uint32(c.next)), odd(ack), ackFlag, data(c.next+t.c.of(3)))
	case 9:
		send(odd(base-1), 0, syn, nil)
	case 10:
		come(odd(c.server), odd(base), syn|ackFlag, nil)
	case 11: // the server speaks
		p := t.server()
		come(c.server+1+c.heard, base+uint32(c.next), ackFlag, p)
		c.heard += uint32(len(p))
	case 12:
		send(odd(base+uint32(c.next)), odd(ack), t.c.of(64), data(c.next))
	case 13:
		come(odd(c.server+1+c.heard), odd(base+uint32(c.next)), t.c.of(64), t.server()[:t.c.of(20)])
	case 14:
		send(base+uint32(c.next), ack, ackFlag, nil)
	case 15: // another stream from here on
		c.stream = append(c.stream[:c.next:c.next], t.client()...)
	}
}

func extension(kind int, data []byte) []byte {
	return append([]byte{byte(kind >> 8), byte(kind), byte(len(data) >> 8), byte(len(data))}, data...)
}

func (t *talk) hello() []byte {
	name := hosts[t.c.of(2*len(hosts))/2]
	if t.c.rarely(20) {
		name = []string{"", "1.2.3.4", "good.example.", "a..b", "gööd.example", "x.1a", ".a", "-"}[t.c.of(8)]
	}
	list := append([]byte{0, byte(len(name) >> 8), byte(len(name))}, name...)
	sni := extension(0, append([]byte{byte(len(list) >> 8), byte(len(list))}, list...))
	var all []byte
	add := func(e []byte) { all = append(all, e...) }
	flavour := t.c.of(8)
	if flavour&1 == 0 {
		add(extension(43, []byte{2, 3, 4}))
	}
	if flavour&2 != 0 {
		add(extension(21, make([]byte, t.c.byte())))
	}
	if !t.c.rarely(24) {
		add(sni)
	}
	if flavour&4 != 0 {
		add(extension(42, nil))
	}
	switch t.c.of(32) {
	case 31:
		add(extension(0xfe0d, make([]byte, 9)))
	case 30:
		add(sni)
	case 29:
		add(extension(0xffce, nil))
	case 28:
		add(make([]byte, 1+t.c.of(3)))
	}
	add(extension(16, make([]byte, t.c.byte()/2)))
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, make([]byte, 1+0)...)
	body = append(body, 0, 2, 0x13, 1, 1, 0, byte(len(all)>>8), byte(len(all)))
	body = append(body, all...)
	message := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	if t.c.rarely(12) {
		message[t.c.of(min(len(message), 60))] ^= byte(1 << t.c.of(8))
	}
	return t.records(22, message, t.c.of(8) == 7)
}

func (t *talk) records(kind byte, message []byte, split bool) []byte {
	var all []byte
	for parts := 0; ; parts++ {
		n := len(message)
		if split && parts < 2 && n > 1 {
			n = 1 + t.c.byte()%(n-1)
		}
		all = append(all, kind, 3, 1, byte(n>>8), byte(n))
		all = append(all, message[:n]...)
		if message = message[n:]; len(message) == 0 {
			return all
		}
	}
}

// What a client says in plaintext, and what it is not seen to say.
func (t *talk) client() []byte {
	s := t.hello()
	for n := t.c.of(5); n > 0; n-- {
		switch t.c.of(8) {
		case 0, 1:
			s = append(s, 20, 3, 3, 0, 1, 1)
		case 2, 3:
			s = append(s, t.records(23, make([]byte, 1+t.c.byte()), false)...)
		case 4:
			s = append(s, t.hello()...)
		case 5:
			message := append([]byte{byte(16 * t.c.of(2)), 0, 0}, make([]byte, t.c.of(40))...)
			s = append(s, t.records(22, message, false)...)
		case 6:
			s = append(s, 21, 3, 3, 0, 2, 1, 0)
		case 7:
			s = append(s, []byte("GET / HTTP/1.1\r\n")[:t.c.of(16)]...)
		}
	}
	if t.c.rarely(16) {
		s[t.c.byte()%len(s)] ^= byte(1 << t.c.of(8))
	}
	return s
}

func (t *talk) server() []byte {
	p := make([]byte, 60)
	copy(p, []byte{22, 3, 3, 0, 55, 2, 0, 0, 51, 3, 3})
	if t.c.of(2) == 1 {
		copy(p[11:], []byte{0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11})
	}
	return p
}

// ---- DNS ----

func wireName(text string) []byte {
	var b []byte
	for from := 0; from < len(text); {
		to := from
		for to < len(text) && text[to] != '.' {
			to++
		}
		b = append(append(b, byte(to-from)), text[from:to]...)
		from = to + 1
	}
	return append(b, 0)
}

func (t *talk) makeQuery() []byte {
	m := []byte{0x12, byte(t.c.of(4)), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	m = append(m, wireName(hosts[t.c.of(len(hosts))])...)
	k := kinds[t.c.of(2*len(kinds))/2]
	m = append(m, byte(k>>8), byte(k), 0, 1)
	if t.c.of(4) == 3 {
		var options []byte
		for n := t.c.of(10); n > 0; n-- {
			options = append(options, extension(10, make([]byte, t.c.of(12)))...)
		}
		m[11] = 1
		m = append(m, 0, 0, 41, 4, 0xd0, 0, 0, byte(128*t.c.of(2)), 0)
		m = append(m, byte(len(options)>>8), byte(len(options)))
		m = append(m, options...)
	}
	if t.c.rarely(10) {
		m[t.c.of(len(m))] ^= byte(1 << t.c.of(8))
	}
	if t.c.rarely(30) {
		m = append(m, 0)
	}
	return m
}

func (t *talk) ask() {
	t.query, t.asked.six, t.asked.port = t.makeQuery(), t.c.rarely(3), t.ports+3+t.c.of(2)
	t.add(step{kind: out, forwarded: t.c.of(2) == 0, frame: packet(t.source(t.asked.six),
		ends4or6(t.asked.six, resolver), udp, 64, datagram(t.asked.port, 53, t.query))})
}

var ttls = []uint32{3600, 300000, 0, 0x80000000}

func (t *talk) answer() {
	if t.query == nil {
		t.ask()
	}
	m := append([]byte(nil), t.query...)
	if len(m) < 20 || m[11] > 1 {
		return
	}
	end := endOfName(m, 12)
	if end == 0 || end+4 > len(m) {
		return
	}
	m = m[:end+4]
	asked := int(binary.BigEndian.Uint16(m[end:]))
	m[2], m[3], m[11] = 0x81, 0x80, 0
	count, owner := t.c.of(7), 12
	for i := 0; i < count; i++ {
		kind := t.c.of(8)
		switch {
		case t.c.rarely(8):
			m = append(m, wireName(hosts[t.c.of(len(hosts))])...)
		default:
			m = append(m, 0xc0|byte(owner>>8), byte(owner))
		}
		var data []byte
		record := typeA
		if asked == typeAAAA && kind < 7 {
			record = typeAAAA
		}
		address := pool[t.c.of(2*len(pool))/2%len(pool)]
		switch {
		case kind == 5 || kind == 6:
			record = typeCNAME
			data = wireName(hosts[t.c.of(len(hosts))])
			if t.c.rarely(4) {
				data = append([]byte{3, 'c', 'd', 'n'}, 0xc0, 12)
			}
		case kind == 4:
			record, data = 16, make([]byte, t.c.of(20))
		case record == typeA:
			data = address[0].AsSlice()
		default:
			data = address[1].AsSlice()
		}
		m = append(m, byte(record>>8), byte(record), 0, 1)
		ttl := ttls[t.c.of(4)]
		m = append(m, byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl))
		m = append(m, byte(len(data)>>8), byte(len(data)))
		if record == typeCNAME && len(m) < 0x3fff {
			owner = len(m)
		}
		m = append(m, data...)
	}
	m[7] = byte(count)
	// No lifetime is changed: one of seconds would make a verdict depend on when it is asked.
	if t.c.rarely(8) {
		m[t.c.of(end+4)] ^= byte(1 << t.c.of(8))
	}
	port := t.asked.port
	if t.c.rarely(30) {
		port++
	}
	from := ends4or6(t.asked.six, resolver)
	if t.c.rarely(30) {
		from = ends4or6(t.asked.six, site)
	}
	to := ends4or6(t.asked.six, [2]netip.Addr{this4, this6})
	t.steps = append(t.steps, step{kind: in, frame: packet(from, to, udp, 60, datagram(53, port, m))})
}

// ---- the rest ----

func (t *talk) time() {
	p := make([]byte, 48)
	p[0], p[2], p[3] = 0x23, 6, 0xe9
	if t.c.rarely(2) {
		p[t.c.of(48)] ^= byte(1 << t.c.of(8))
	}
	if t.c.rarely(12) {
		p = append(p, make([]byte, 4*t.c.of(9))...)
	}
	six, sport := t.c.rarely(3), t.ports+5
	to := ends4or6(six, clock)
	if t.c.rarely(8) {
		to = ends4or6(six, places[t.c.of(len(places))])
	}
	t.add(step{kind: out, forwarded: t.c.of(2) == 0,
		frame: packet(t.source(six), to, udp, 64, datagram(sport, 123, p))})
	if t.c.of(2) == 0 {
		t.add(step{kind: in, frame: packet(to, ends4or6(six, [2]netip.Addr{this4, this6}), udp, 60,
			datagram(123, sport, p))})
	}
}

func (t *talk) event() {
	if t.c.of(2) == 0 {
		t.steps = append(t.steps, step{kind: expire, address: ends4or6(t.c.rarely(3), site)})
		return
	}
	t.steps = append(t.steps, step{kind: lapse, target: 1 + t.c.of(6)})
}

func (t *talk) other() {
	six := t.c.of(2) == 1
	to := ends4or6(six, places[t.c.of(len(places))])
	me := ends4or6(six, [2]netip.Addr{this4, this6})
	k := out
	from := me
	if t.c.of(2) == 1 {
		k, from, to = in, to, me
	}
	s := step{kind: k, forwarded: t.c.of(2) == 1}
	hops := []int{255, 64, 1}[t.c.of(3)]
	body := make([]byte, 8+t.c.of(40))
	switch t.c.of(8) {
	case 0: // neighbours
		body[0] = byte(133 + t.c.of(5))
		if k == out && t.c.of(2) == 0 {
			to = netip.MustParseAddr("ff02::1")
			if !six {
				return
			}
		}
		s.frame = packet(from, to, icmp6, hops, body)
	case 1: // DHCP
		sport, dport := 68, 67
		if six {
			sport, dport = 546, 547
		}
		server := ends4or6(six, [2]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1")})
		if k == in {
			sport, dport, from = dport, sport, server
		} else {
			to = server
		}
		s.frame = packet(from, to, udp, hops, datagram(sport, dport, body))
	case 2: // what a connection may be told by routers
		about := packet(to, from, tcp, 60, segmentOf(t.ports, 443, 0, 0, 0, nil))[14:]
		if t.c.of(3) == 2 {
			about = packet(to, from, udp, 60, datagram(t.asked.port, 53, nil))[14:]
		}
		body[0] = []byte{3, 11, 1, 2, 8}[t.c.of(5)]
		s.frame = packet(from, to, []int{icmp, icmp6}[t.c.of(2)], hops, append(body[:8:8], about...))
	case 3: // from or to a port that may be asked from outside
		if k == in {
			s.frame = packet(from, to, tcp, 60, segmentOf(5555, 22, 1, 1, t.c.of(64), nil))
		} else {
			s.frame = packet(from, to, tcp, 64, segmentOf(22, 5555, 1, 1, t.c.of(64), nil))
		}
	case 4: // headers between
		if !six {
			b := packet(from, to, udp, hops, datagram(t.ports+6, 53, body))
			options := make([]byte, 4*(1+t.c.of(3)))
			options[0] = []byte{1, 0, 131, 7, 137, 130}[t.c.of(6)]
			options[1] = byte(t.c.of(14))
			b = append(append(append([]byte(nil), b[:34]...), options...), b[34:]...)
			b[14] = 0x45 + byte(len(options)/4)
			binary.BigEndian.PutUint16(b[16:], uint16(len(b)-14))
			s.frame = b
			break
		}
		first := []int{0, 60, 43, 44}[t.c.of(4)]
		header := make([]byte, 8)
		header[0], header[1] = udp, byte(t.c.of(2))
		s.frame = packet(from, to, first, hops, append(header, datagram(t.ports+6, 53, body)...))
	default:
		s.frame = packet(from, to, []int{udp, 2, 47, 132, 50}[t.c.of(5)], hops, datagram(t.ports+6, 4000, body))
	}
	t.add(s)
}
