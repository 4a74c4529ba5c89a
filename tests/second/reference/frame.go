// SPDX-License-Identifier: MIT
package main

import (
	"encoding/binary"
	"net/netip"
)

// What a frame says in its headers, read from the RFCs: 791, 8200, 9293, 768, 4443.
type frame struct {
	version        int
	protocol       int
	hopLimit       int
	options        bool // IPv4 options, or IPv6 extension headers
	from, to       netip.Addr
	sport, dport   int
	flags          int // TCP's
	seq, ack       uint32
	payload        []byte
	icmpType, code int
	body           []byte // what follows the IP header
}

const (
	icmp, tcp, udp, icmp6        = 1, 6, 17, 58
	hopByHop, routing, fragment6 = 0, 43, 44
	destinationOptions           = 60
	fin, syn, rst, push, ackFlag = 1, 2, 4, 8, 16
	urgent                       = 32
)

func (f *frame) opens() bool { return f.flags&(syn|ackFlag) == syn }

// Options that lead elsewhere: loose and strict source route. The rest must fill their room.
func ip4Options(o []byte) reason {
	for len(o) > 0 {
		switch {
		case o[0] == 0:
			return none
		case o[0] == 1:
			o = o[1:]
			continue
		case o[0] == 131 || o[0] == 137:
			return sourceRoute
		case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
			return packetMalformed
		}
		o = o[o[1]:]
	}
	return none
}

// A frame that leaves: everything in it must agree.
func readLeaving(b []byte) (*frame, reason) {
	f := &frame{}
	p := b[14:]
	var transport []byte
	switch binary.BigEndian.Uint16(b[12:]) {
	case 0x0800:
		if len(p) < 20 || p[0]>>4 != 4 {
			return f, packetMalformed
		}
		header := int(p[0]&15) * 4
		flags := binary.BigEndian.Uint16(p[6:])
		if header < 20 || int(binary.BigEndian.Uint16(p[2:])) != len(p) || header > len(p) ||
			flags&0x8000 != 0 {
			return f, packetMalformed
		}
		f.version, f.hopLimit, f.protocol = 4, int(p[8]), int(p[9])
		f.from, _ = netip.AddrFromSlice(p[12:16])
		f.to, _ = netip.AddrFromSlice(p[16:20])
		if flags&0x3fff != 0 {
			return f, fragmented
		}
		f.options = header > 20
		if r := ip4Options(p[20:header]); r != none {
			return f, r
		}
		transport = p[header:]
	case 0x86dd:
		if len(p) < 40 || p[0]>>4 != 6 || int(binary.BigEndian.Uint16(p[4:])) != len(p)-40 {
			return f, packetMalformed
		}
		f.version, f.hopLimit = 6, int(p[7])
		f.from, _ = netip.AddrFromSlice(p[8:24])
		f.to, _ = netip.AddrFromSlice(p[24:40])
		if f.from.Is4In6() || f.to.Is4In6() {
			return f, packetMalformed
		}
		next := int(p[6])
		transport = p[40:]
		for n := 0; ; n++ {
			if next == fragment6 {
				return f, fragmented
			}
			if next == routing {
				return f, sourceRoute
			}
			if next != hopByHop && next != destinationOptions {
				break
			}
			f.options = true
			if n == 7 || len(transport) < 2 || len(transport) < (int(transport[1])+1)*8 {
				return f, packetMalformed
			}
			next, transport = int(transport[0]), transport[(int(transport[1])+1)*8:]
		}
		f.protocol = next
		if next != tcp && next != udp && next != icmp6 {
			f.options = true
		}
	}
	f.body = transport
	return f, f.readTransport(transport)
}

func (f *frame) readTransport(p []byte) reason {
	switch f.protocol {
	case tcp:
		if len(p) < 16 || int(p[12]>>4)*4 < 20 || int(p[12]>>4)*4 > len(p) {
			return packetMalformed
		}
		f.seq, f.ack = binary.BigEndian.Uint32(p[4:]), binary.BigEndian.Uint32(p[8:])
		f.flags = int(p[13])
		f.payload = p[int(p[12]>>4)*4:]
	case udp:
		if len(p) < 8 || int(binary.BigEndian.Uint16(p[4:])) != len(p) {
			return packetMalformed
		}
		f.payload = p[8:]
	case icmp6:
		if len(p) < 8 {
			return packetMalformed
		}
		f.icmpType, f.code, f.payload = int(p[0]), int(p[1]), p[8:]
		return none
	default:
		f.payload = p
		return none
	}
	f.sport, f.dport = int(binary.BigEndian.Uint16(p)), int(binary.BigEndian.Uint16(p[2:]))
	return none
}

// A frame that comes in: headers at their usual places, and whose answer it is.
type arrival struct {
	frame
	quoted *frame // of an ICMP error: what it is about
	whole  *frame // read as one that leaves, for answers; nil: it is not well-formed
}

func ipHeader(p []byte, version int) (*frame, int, bool) {
	f := &frame{version: version}
	if version == 4 {
		if len(p) < 20 || p[0]>>4 != 4 {
			return f, 0, false
		}
		f.protocol, f.hopLimit = int(p[9]), int(p[8])
		f.from, _ = netip.AddrFromSlice(p[12:16])
		f.to, _ = netip.AddrFromSlice(p[16:20])
		return f, 20, true
	}
	if len(p) < 40 || p[0]>>4 != 6 {
		return f, 0, false
	}
	f.protocol, f.hopLimit = int(p[6]), int(p[7])
	f.from, _ = netip.AddrFromSlice(p[8:24])
	f.to, _ = netip.AddrFromSlice(p[24:40])
	return f, 40, !f.from.Is4In6() && !f.to.Is4In6()
}

func (f *frame) readPorts(p []byte) bool {
	if f.protocol != tcp && f.protocol != udp {
		return true
	}
	if len(p) < 4 {
		return false
	}
	f.sport, f.dport = int(binary.BigEndian.Uint16(p)), int(binary.BigEndian.Uint16(p[2:]))
	return true
}

func readArriving(b []byte) (*arrival, reason) {
	a := &arrival{}
	p := b[14:]
	version, length := 4, 0
	if binary.BigEndian.Uint16(b[12:]) == 0x86dd {
		version = 6
	}
	f, header, ok := ipHeader(p, version)
	if !ok {
		return a, packetMalformed
	}
	a.frame = *f
	if version == 4 {
		if binary.BigEndian.Uint16(p[6:])&0x3fff != 0 {
			return a, fragmented
		}
		length = int(binary.BigEndian.Uint16(p[2:])) - 20
		if length < 0 || length+20 > len(p) {
			return a, packetMalformed
		}
		if p[0] != 0x45 {
			return a, inboundNotAllowed
		}
	} else {
		if p[6] == fragment6 {
			return a, fragmented
		}
		length = int(binary.BigEndian.Uint16(p[4:]))
		if length+40 > len(p) {
			return a, packetMalformed
		}
	}
	p = p[header:]
	if !a.readPorts(p) || len(p) < 8 {
		return a, packetMalformed
	}
	if a.protocol == tcp && len(p) >= 20 {
		a.flags, a.seq, a.ack = int(p[13]), binary.BigEndian.Uint32(p[4:]), binary.BigEndian.Uint32(p[8:])
		data := int(p[12]>>4) * 4
		if length > data {
			a.payload = p[data:length]
		}
		a.body = p[min(data, len(p)):]
	}
	a.icmpType, a.code = int(p[0]), int(p[1])
	isError := a.protocol == icmp && (p[0] == 3 || p[0] == 11) || a.protocol == icmp6 && p[0] >= 1 && p[0] <= 3
	if isError {
		quoted, header, ok := ipHeader(p[8:], version)
		if !ok || !quoted.readPorts(p[8+header:]) {
			return a, packetMalformed
		}
		a.quoted = quoted
	}
	if whole, r := readLeaving(b); r == none {
		a.whole = whole
	}
	return a, none
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
