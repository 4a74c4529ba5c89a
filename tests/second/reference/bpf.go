// SPDX-License-Identifier: MIT
package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// The kernel's programs and maps, by the descriptors that kernel.c hands over: include/ohguard/abi.h.

const (
	lookupElement, updateElement, deleteElement, nextKey, testRun = 1, 2, 3, 4, 10
	forever                                                       = ^uint32(0)
)

var native = binary.LittleEndian
var sysBPF = map[string]uintptr{"amd64": 321, "arm64": 280}[runtime.GOARCH]

func bpf(command uintptr, attribute unsafe.Pointer, size uintptr) syscall.Errno {
	_, _, e := syscall.Syscall(sysBPF, command, uintptr(attribute), size)
	return e
}

func number(name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		fail("%s is not set: run it by tests/second/kernel", name)
	}
	return n
}

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

type bpfMap struct {
	name string
	fd   uint32
}

func openMap(name string) bpfMap { return bpfMap{name, uint32(number(name))} }

type mapAttribute struct {
	fd, pad    uint32
	key, value uintptr
	flags      uint64
}

func (m bpfMap) call(command uintptr, key, value []byte) syscall.Errno {
	a := mapAttribute{fd: m.fd, key: uintptr(unsafe.Pointer(&key[0]))}
	if value != nil {
		a.value = uintptr(unsafe.Pointer(&value[0]))
	}
	e := bpf(command, unsafe.Pointer(&a), unsafe.Sizeof(a))
	runtime.KeepAlive(key)
	runtime.KeepAlive(value)
	return e
}

func (m bpfMap) set(key, value []byte) {
	if e := m.call(updateElement, key, value); e != 0 {
		fail("%s: %v", m.name, e)
	}
}

func (m bpfMap) delete(key []byte) { m.call(deleteElement, key, nil) }

func (m bpfMap) empty(size int) {
	key := make([]byte, size)
	for m.call(nextKey, make([]byte, size), key) == 0 {
		m.delete(key)
	}
}

type runAttribute struct {
	program, verdict, inSize, outSize uint32
	in, out                           uintptr
	repeat, duration                  uint32
	contextSize, contextOut           uint32
	context, contextTo                uintptr
	flags, cpu, batch, pad            uint32
}

// Runs a frame through a program; false: this kernel makes no such packet.
func (k *kernel) run(program uint32, frame []byte, ingress uint32) (int32, bool) {
	native.PutUint32(k.context[36:], ingress)
	native.PutUint32(k.context[40:], k.device)
	a := runAttribute{program: program, inSize: uint32(len(frame)), in: uintptr(unsafe.Pointer(&frame[0])),
		repeat: 1, contextSize: uint32(len(k.context)), context: uintptr(unsafe.Pointer(&k.context[0]))}
	e := bpf(testRun, unsafe.Pointer(&a), unsafe.Sizeof(a))
	runtime.KeepAlive(frame)
	if e == syscall.EINVAL {
		return 0, false
	}
	if e != 0 {
		fail("test run: %v", e)
	}
	return int32(a.verdict), true
}

type kernel struct {
	egress, ingress, device                                    uint32
	addresses, learned, opened, pending, paid, ranges, targets bpfMap
	names, flows, openings, counts, shares                     bpfMap
	context                                                    []byte
	counters                                                   []uint64
	regions                                                    bpfMap
	cpus                                                       int
	countKey, countValue                                       []byte
}

func openKernel() *kernel {
	k := &kernel{
		egress: uint32(number("EGRESS")), ingress: uint32(number("INGRESS")), device: uint32(number("DEVICE")),
		addresses: openMap("ADDRESSES"), learned: openMap("LEARNED"), opened: openMap("OPENED"),
		pending: openMap("PENDING"), paid: openMap("PAID"), ranges: openMap("RANGES"),
		targets: openMap("TARGETS"), names: openMap("NAMES"), flows: openMap("FLOWS"),
		openings: openMap("OPENINGS"), counts: openMap("COUNTS"), shares: openMap("SHARES"),
		context: make([]byte, 192), countKey: make([]byte, 4)}
	k.countValue = make([]byte, 16*1024)
	if os.Getenv("COUNTERS") != "" {
		k.regions = openMap("COUNTERS")
		k.counters = make([]uint64, number("COUNTERS_SIZE")/8)
		k.readCounters()
	}
	return k
}

// How often each region of the programs has run.
func (k *kernel) readCounters() {
	if len(k.counters) > 0 {
		value := unsafe.Slice((*byte)(unsafe.Pointer(&k.counters[0])), 8*len(k.counters))
		k.regions.call(lookupElement, make([]byte, 4), value)
	}
}

// Packets of a reason so far, on all processors.
func (k *kernel) count(r reason) uint64 {
	native.PutUint32(k.countKey, uint32(r))
	k.counts.call(lookupElement, k.countKey, k.countValue)
	sum := uint64(0)
	for i := 0; i < len(k.countValue); i += 16 {
		sum += native.Uint64(k.countValue[i:])
	}
	return sum
}

// ---- the policy, as the maps have it ----

func mapped(a netip.Addr) []byte {
	b := a.As16()
	return b[:]
}

func entryOf(grants []grant) []byte {
	b := make([]byte, 96)
	for i, g := range grants {
		p := b[16*i:]
		native.PutUint32(p, forever)
		if g.expired {
			native.PutUint32(p, 1)
		}
		native.PutUint16(p[4:], uint16(g.target))
		native.PutUint16(p[6:], uint16(g.more))
		native.PutUint32(p[8:], g.generation)
		native.PutUint16(p[12:], uint16(g.port))
		p[14] = byte(g.service)
	}
	return b
}

func rangeOf(p netip.Prefix) []byte {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return append([]byte{byte(bits), 0, 0, 0}, mapped(p.Addr())...)
}

// A name read backwards: an exact one with an end, a suffix with a dot.
func nameKey(name string) []byte {
	b := make([]byte, 4+256)
	n := 0
	for i := len(name) - 1; i >= 0 && name[i] != '*'; i-- {
		b[4+n] = name[i]
		n++
	}
	if len(name) == 0 || name[0] != '*' {
		n++
	}
	native.PutUint32(b, uint32(8*n))
	return b
}

func (k *kernel) setTarget(id int, t *target) {
	b := make([]byte, 288)
	native.PutUint32(b, t.generation)
	native.PutUint32(b[4:], forever)
	b[8] = 1
	if t.named {
		b[9] = 1
	}
	k.targets.set([]byte{byte(id), byte(id >> 8), 0, 0}, b)
}

func (k *kernel) fill(w *world) {
	for id, t := range w.targets {
		k.setTarget(id, t)
	}
	for a, grants := range w.addresses {
		k.addresses.set(mapped(a), entryOf(grants))
	}
	for p, grants := range w.ranges {
		k.ranges.set(rangeOf(p), entryOf(grants))
	}
	for name, rules := range w.names {
		b := make([]byte, 152)
		for i, r := range rules {
			p := b[12*i:]
			native.PutUint32(p, uint32(r.target))
			native.PutUint32(p[4:], r.generation)
			native.PutUint16(p[8:], uint16(r.port))
			p[10] = byte(r.service)
			if r.all {
				p[11] = 1
			} else if r.keys {
				p[11] = 2
			}
		}
		for i, p := range w.private[name] {
			copy(b[72+20*i:], rangeOf(p))
		}
		k.names.set(nameKey(name), b)
	}
}

func (e ends) key() []byte {
	b := append(mapped(e.remote), mapped(e.local)...)
	p := make([]byte, 8)
	native.PutUint16(p, uint16(e.remotePort))
	native.PutUint16(p[2:], uint16(e.localPort))
	p[4] = byte(e.protocol)
	return append(b, p...)
}
