// SPDX-License-Identifier: MIT

// Resolves a name with Go's own resolver and connects to each address it got, a number of times.
// usage: pool NAME ROUNDS
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
)

func main() {
	resolver := net.Resolver{PreferGo: true}
	rounds, _ := strconv.Atoi(os.Args[2])
	connected, failed := 0, 0
	for i := 0; i < rounds; i++ {
		addresses, err := resolver.LookupHost(context.Background(), os.Args[1])
		if err != nil {
			failed++
			fmt.Println("round", i, err)
		}
		for _, a := range addresses {
			c, err := net.Dial("tcp", net.JoinHostPort(a, "443"))
			if err != nil {
				failed++
				fmt.Println("round", i, err)
				continue
			}
			connected++
			c.Close()
		}
	}
	fmt.Println("connected", connected, "failed", failed)
}
