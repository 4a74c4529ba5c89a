// SPDX-License-Identifier: MIT
package main

// RFC 5905, 7.3: a client's request as the usual clients send it, with nothing in it but a transmit time.
func isPlainRequest(p []byte) bool {
	if len(p) != 48 {
		return false
	}
	leap, version, mode := p[0]>>6, p[0]>>3&7, p[0]&7
	poll, precision := int8(p[2]), int8(p[3])
	if mode != 3 || version != 3 && version != 4 || leap == 1 || leap == 2 || p[1] != 0 || poll < -6 || poll > 17 ||
		precision < -32 || precision > 32 {
		return false
	}
	for _, b := range p[4:40] {
		if b != 0 {
			return false
		}
	}
	return true
}
