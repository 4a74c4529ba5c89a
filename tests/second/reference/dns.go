// SPDX-License-Identifier: MIT
package main

import (
	"encoding/binary"
	"strings"
)

// A name that a policy may hold, or its answer: letters, digits, '-' and '_' in labels, in lower case.
func plainLabel(label []byte) (string, bool) {
	for _, c := range label {
		if !(c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return "", false
		}
	}
	return strings.ToLower(string(label)), true
}

type question struct {
	id, kind int
	name     string // without a last dot; "" is the root
	wire     int    // bytes of the name
}

const (
	typeA, typeCNAME, typeAAAA, typeDS, typeDNSKEY = 1, 5, 28, 43, 48
	typeSVCB, typeHTTPS, typeANY                   = 64, 65, 255
)

// One plain question: RFC 1035, 4.1; with EDNS by RFC 6891, 6.1. Nothing else may be in it.
func readQuery(m []byte) (*question, bool) {
	if len(m) < 17 || len(m) > 512 {
		return nil, false
	}
	count := func(i int) int { return int(binary.BigEndian.Uint16(m[i:])) }
	if count(2)&^0x0130 != 0 || count(4) != 1 || count(6) != 0 || count(8) != 0 || count(10) > 1 {
		return nil, false
	}
	var labels []string
	at := 12
	for {
		if at >= len(m) {
			return nil, false
		}
		n := int(m[at])
		if n == 0 {
			break
		}
		if n > 63 || at+1+n > len(m) {
			return nil, false
		}
		label, ok := plainLabel(m[at+1 : at+1+n])
		if !ok {
			return nil, false
		}
		labels = append(labels, label)
		at += 1 + n
	}
	at++
	q := &question{id: count(0), name: strings.Join(labels, "."), wire: at - 12}
	if q.wire > 255 || at+4 > len(m) || count(at+2) != 1 {
		return nil, false
	}
	q.kind = count(at)
	at += 4
	if count(10) == 0 {
		return q, at == len(m)
	}
	if at+11 > len(m) || m[at] != 0 || count(at+1) != 41 || m[at+5] != 0 || m[at+6] != 0 ||
		count(at+7)&0x7fff != 0 || at+11+count(at+9) != len(m) {
		return nil, false
	}
	for at, n := at+11, 0; at < len(m); n++ {
		if n == 8 || at+4 > len(m) || at+4+count(at+2) > len(m) {
			return nil, false
		}
		at += 4 + count(at+2)
	}
	return q, true
}

// A name in a message, by its labels' bytes, lower-cased; and where it ends in place. Pointers lead back only.
func readName(m []byte, at int) (labels []string, end int, ok bool) {
	start, size := at, 0
	for {
		if at >= len(m) {
			return nil, end, false
		}
		n := int(m[at])
		switch {
		case n >= 0xc0:
			if at+2 > len(m) {
				return nil, end, false
			}
			if end == 0 {
				end = at + 2
			}
			at = int(binary.BigEndian.Uint16(m[at:]) & 0x3fff)
			if at < 12 || at >= start {
				return nil, end, false
			}
			start = at
			continue
		case n > 63:
			return nil, end, false
		}
		size += 1 + n
		if size > 255 || at+1+n > len(m) {
			return nil, end, false
		}
		if n == 0 {
			if end == 0 {
				end = at + 1
			}
			return labels, end, true
		}
		label := append([]byte(nil), m[at+1:at+1+n]...)
		for i, c := range label {
			if c >= 'A' && c <= 'Z' {
				label[i] = c | 0x20
			}
		}
		labels = append(labels, string(label))
		at += 1 + n
	}
}

// Where a name ends in place, without following pointers; 0: it does not.
func endOfName(m []byte, at int) int {
	for at < len(m) {
		n := int(m[at])
		if n >= 0xc0 {
			return at + 2
		}
		if n > 63 {
			return 0
		}
		if n == 0 {
			return at + 1
		}
		at += 1 + n
	}
	return 0
}

type record struct {
	owner []string
	known bool // the owner can be read
	kind  int
	ttl   uint32
	data  []byte
	at    int
	used  bool
}

type given struct {
	ttl     uint32
	address []byte
}

type link struct {
	labels []string
	ttl    uint32
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// The addresses that an answer gives for what was asked, and the names that its CNAMEs lead to. False: it teaches
// nothing, and the question stays open.
func readAnswer(m []byte, asked *question) (addresses []given, chain []link, ok bool) {
	if len(m) < 17 || len(m) > 4096 {
		return nil, nil, false
	}
	count := func(i int) int { return int(binary.BigEndian.Uint16(m[i:])) }
	flags := count(2)
	if flags&0x8000 == 0 || flags&0x7a0f != 0 || count(4) != 1 || count(0) != asked.id {
		return nil, nil, false
	}
	labels, end, ok := readName(m, 12)
	if !ok || end != 12+asked.wire || strings.Join(labels, ".") != asked.name || end+4 > len(m) ||
		count(end) != asked.kind || count(end+2) != 1 {
		return nil, nil, false
	}
	records := make([]*record, 0, 8)
	at := end + 4
	for i := 0; i < count(6) && i < 64; i++ {
		end := endOfName(m, at)
		if end == 0 || at+12 > len(m) || end+10 > len(m) || end+10+count(end+8) > len(m) {
			return nil, nil, false
		}
		r := &record{kind: count(end), ttl: binary.BigEndian.Uint32(m[end+4:]), at: end + 10}
		r.data = m[r.at : r.at+count(end+8)]
		r.owner, _, r.known = readName(m, at)
		if count(end+2) != 1 {
			r.kind = 0
		}
		if r.kind == typeA && len(r.data) != 4 || r.kind == typeAAAA && len(r.data) != 16 ||
			r.kind == typeCNAME && endOfName(m, r.at) != r.at+len(r.data) {
			return nil, nil, false
		}
		if r.ttl>>31 != 0 { // RFC 2181, 8
			r.ttl = 0
		}
		records = append(records, r)
		at = r.at + len(r.data)
	}
	chain = []link{{labels, ^uint32(0)}}
	for sweep := 0; sweep < 4; sweep++ {
		longer := false
		for _, r := range records {
			last := chain[len(chain)-1]
			if r.kind != typeCNAME || r.used || !r.known || len(chain) == 16 ||
				!same(r.owner, last.labels) {
				continue
			}
			r.used = true
			if target, _, ok := readName(m, r.at); ok {
				chain = append(chain, link{target, minimum(r.ttl, last.ttl)})
				longer = true
			}
		}
		if !longer {
			break
		}
	}
	for _, r := range records {
		if r.kind != typeA && r.kind != typeAAAA || asked.kind != typeANY && asked.kind != r.kind || !r.known {
			continue
		}
		for i := len(chain) - 1; i >= 0; i-- {
			if same(r.owner, chain[i].labels) {
				addresses = append(addresses, given{minimum(r.ttl, chain[i].ttl), r.data})
				break
			}
		}
	}
	return addresses, chain, true
}

func minimum(a, b uint32) uint32 {
	if a < b {
		return a
	}
	return b
}
