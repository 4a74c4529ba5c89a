// SPDX-License-Identifier: MIT
package main

import "encoding/binary"

// What a TLS client has said in plaintext, read from its first byte on: RFC 8446 and RFC 6066.
type look struct {
	state
	reason reason // refused: why
	end    int    // over: up to where it was looked at
	name   string // of the last hello that was named
	early  bool   // what the last hello offered
	tls13  bool
	ask    func(name string) reason // whether a hello may give that name
	new    int                      // hellos that begin in what is judged now
}

type state int

const (
	goesOn state = iota // good so far: it may leave
	waits               // it must wait until more has come
	over                // the client says no more in plaintext
	refused
)

func refuse(r reason) look { return look{state: refused, reason: r} }

// What the client has said by now: s. The first `judged` bytes of it were let out before.
func readClient(s []byte, judged int, ask func(name string) reason) look {
	l := look{ask: ask}
	at := 0
	for first := true; at < len(s); first = false {
		if first || s[at] == 22 {
			if !first {
				if r, done := l.handshakeBegins(s, at); done {
					return r
				}
			}
			next, r, done := l.readHello(s, at, judged)
			if done {
				return r
			}
			at = next
			continue
		}
		kind := s[at]
		if kind == 23 && !l.early || kind == 20 && !l.tls13 {
			return l.isOver(at, len(s))
		}
		if kind < 20 || kind > 23 || at+1 < len(s) && s[at+1] != 3 {
			return refuse(tlsNotTLS)
		}
		if at+5 > len(s) {
			break
		}
		size := int(binary.BigEndian.Uint16(s[at+3:]))
		if size == 0 || size > 16384+2048 || kind == 20 && size != 1 {
			return refuse(tlsNotTLS)
		}
		at += 5 + size
	}
	l.state = goesOn
	return l
}

func (l *look) isOver(at, have int) look {
	r := *l
	r.state, r.end = over, min(have, at+7)
	return r
}

// A handshake record behind a hello is another hello, or the client's next message, which ends the look.
func (l *look) handshakeBegins(s []byte, at int) (look, bool) {
	rest := s[at:]
	if len(rest) > 1 && rest[1] != 3 {
		return refuse(tlsNotTLS), true
	}
	if len(rest) < 5 {
		return look{state: waits}, true
	}
	size := int(binary.BigEndian.Uint16(rest[3:]))
	if size == 0 || size > 16384 {
		return refuse(tlsNotTLS), true
	}
	if len(rest) < 5+min(size, 2) {
		return look{state: waits}, true
	}
	if rest[5] != 1 || size >= 2 && rest[6] > 2 {
		return l.isOver(at, len(s)), true
	}
	return look{}, false
}

// The hello at `at`: where what follows it begins; or what it comes to, if that is all.
func (l *look) readHello(s []byte, at, judged int) (int, look, bool) {
	var body []byte // without the records' headers
	begin, need := at, 0
	left := 0 // of the current record
	if begin >= judged {
		if l.new++; l.new > 1 { // no client says two at once
			return 0, refuse(tlsNotTLS), true
		}
	}
	for need == 0 || len(body) < need {
		rest := s[at:]
		if len(rest) == 0 {
			break
		}
		if rest[0] != 22 || len(rest) > 1 && rest[1] != 3 {
			return 0, refuse(tlsNotTLS), true
		}
		if len(rest) < 5 {
			at = len(s)
			break
		}
		size := int(binary.BigEndian.Uint16(rest[3:]))
		if size == 0 || size > 16384 {
			return 0, refuse(tlsNotTLS), true
		}
		at += 5
		n := min(size, len(s)-at)
		left = size - n
		body = append(body, s[at:at+n]...)
		at += n
		if len(body) > 0 && body[0] != 1 {
			return 0, refuse(tlsNotTLS), true
		}
		if len(body) >= 4 {
			need = 4 + int(body[1])<<16 + int(body[2])<<8 + int(body[3])
			if need > 16384 {
				return 0, refuse(tlsIncomplete), true
			}
			if len(body)+left > need {
				return 0, refuse(tlsNotTLS), true
			}
		}
		if left > 0 {
			break
		}
	}
	if len(body) < 4 {
		return 0, look{state: waits}, true
	}
	wasNamed := judged > begin // its name was known before, and its beginning has left
	if r := l.readBody(body, need, wasNamed); r.state != goesOn {
		return 0, r, true
	}
	if !wasNamed {
		if r := l.ask(l.name); r != none {
			return 0, refuse(r), true
		}
	}
	if len(body) < need {
		r := *l
		r.state = goesOn
		return 0, r, true
	}
	return at, look{}, false
}

// The hello's own fields, as far as they have come. need: its length.
func (l *look) readBody(body []byte, need int, wasNamed bool) look {
	have := len(body)
	wait := look{state: waits}
	reach := func(n int) (look, bool) { // n bytes must be there
		if n > need {
			return refuse(tlsNotTLS), false
		}
		return wait, n <= have
	}
	if r, ok := reach(39); !ok {
		return r
	}
	if body[4] != 3 || body[38] > 32 {
		return refuse(tlsNotTLS)
	}
	at := 39 + int(body[38])
	if r, ok := reach(at + 2); !ok {
		return r
	}
	ciphers := int(binary.BigEndian.Uint16(body[at:]))
	if ciphers == 0 || ciphers%2 != 0 {
		return refuse(tlsNotTLS)
	}
	at += 2 + ciphers
	if r, ok := reach(at + 1); !ok {
		return r
	}
	if body[at] == 0 {
		return refuse(tlsNotTLS)
	}
	at += 1 + int(body[at])
	if at == need {
		if have == need {
			return refuse(tlsNoName)
		}
		return wait
	}
	if r, ok := reach(at + 2); !ok {
		return r
	}
	if at+2+int(binary.BigEndian.Uint16(body[at:])) != need {
		return refuse(tlsNotTLS)
	}
	return l.readExtensions(body, at+2, need, wasNamed)
}

func (l *look) readExtensions(body []byte, at, need int, wasNamed bool) look {
	have := len(body)
	var name []byte
	found := false
	l.early, l.tls13 = false, false
	for at+4 <= have {
		kind, size := int(binary.BigEndian.Uint16(body[at:])), int(binary.BigEndian.Uint16(body[at+2:]))
		at += 4
		if size > need-at {
			return refuse(tlsNotTLS)
		}
		switch kind {
		case 0xfe0d, 0xffce: // encrypted_client_hello, and the older draft's
			return refuse(tlsEncryptedHello)
		case 42:
			l.early = true
		case 43:
			l.tls13 = true
		case 0:
			if found {
				return refuse(tlsNotTLS)
			}
			if at+size > have {
				return look{state: waits}
			}
			found, name = true, body[at:at+size]
		}
		at += size
	}
	if at < have && at+4 > need && (have == need || !wasNamed) {
		return refuse(tlsNotTLS)
	}
	if !found {
		if have < need {
			return look{state: waits}
		}
		return refuse(tlsNoName)
	}
	text, r := serverName(name)
	if r != none {
		return refuse(r)
	}
	l.name = text
	return look{}
}

// RFC 6066, 3: one host name, which is no address and has no last dot.
func serverName(e []byte) (string, reason) {
	if len(e) < 5 || int(binary.BigEndian.Uint16(e)) != len(e)-2 || e[2] != 0 ||
		int(binary.BigEndian.Uint16(e[3:])) != len(e)-5 {
		return "", tlsNotTLS
	}
	host := e[5:]
	if len(host) < 1 || len(host) > 253 {
		return "", tlsNoName
	}
	text, label, letters := "", 0, false
	for _, c := range host {
		if c == '.' {
			if label == 0 {
				return "", tlsNoName
			}
			text, label, letters = text+".", 0, false
			continue
		}
		plain, ok := plainLabel([]byte{c})
		if !ok || label == 63 {
			return "", tlsNoName
		}
		label++
		text += plain
		letters = letters || c < '0' || c > '9'
	}
	if label == 0 || !letters {
		return "", tlsNoName
	}
	return text, none
}
