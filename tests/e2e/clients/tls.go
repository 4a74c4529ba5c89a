// SPDX-License-Identifier: MIT

// Sends a request over TLS and prints the answer. usage: tls ADDRESS PORT NAME VERSION(1.2 or 1.3)
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	version := uint16(tls.VersionTLS12)
	if os.Args[4] == "1.3" {
		version = tls.VersionTLS13
	}
	c, err := tls.Dial("tcp", net.JoinHostPort(os.Args[1], os.Args[2]),
		&tls.Config{ServerName: os.Args[3], MinVersion: version, MaxVersion: version})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", os.Args[3])
	io.Copy(os.Stdout, c)
}
