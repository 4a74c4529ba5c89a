// SPDX-License-Identifier: MIT

// second: whole conversations by the kernel's programs and by a reference that was written from the rules: one verdict.
// usage: kernel second [-seconds N] [-packets N] [-corpus FILE] [-seed N] [-keep] [-v]
package main

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"math/bits"
	"math/rand"
	"net/netip"
	"os"
	"runtime"
	"sort"
	"time"
)

const (
	tSite, tPool, tRange, tResolver, tClock, tInner = 1, 2, 3, 4, 5, 6
	generation                                      = 7
	checkEvery                                      = 32 // conversations, after which the reasons are compared
	resetEvery                                      = 64 // and the senders' shares given back
)

func newWorld() *world {
	w := &world{targets: map[int]*target{}, addresses: map[netip.Addr][]grant{}, ranges: map[netip.Prefix][]grant{},
		names: map[string][]nameRule{}, private: map[string][]netip.Prefix{},
		own:     map[netip.Addr]bool{this4: true, this6: true, netip.MustParseAddr("10.0.1.77"): true},
		inbound: []inboundRule{{netip.MustParsePrefix("198.51.100.0/24"), 22}}}
	for t := tSite; t <= tInner; t++ {
		w.targets[t] = &target{generation: generation, named: t == tSite || t == tPool || t == tInner}
	}
	to := func(t int, s service, port, more int) grant { return grant{t, generation, s, port, more, false, 0} }
	for i := 0; i < 2; i++ {
		w.addresses[site[i]] = []grant{to(tSite, tcpService, 443, 0)}
		w.addresses[places[5][i]] = []grant{to(tPool, tcpService, 443, 0), to(tRange, tcpService, 8443, 2)}
		w.addresses[resolver[i]] = []grant{to(tResolver, dnsService, 53, 0)}
		w.addresses[clock[i]] = []grant{to(tClock, ntpService, 123, 0)}
	}
	w.ranges[netip.MustParsePrefix("192.0.2.0/24")] = []grant{to(tRange, tcpService, 443, 0)}
	w.ranges[netip.MustParsePrefix("2001:db8:5::/48")] = []grant{to(tRange, tcpService, 443, 0)}
	tls := func(t, port int) nameRule { return nameRule{grant: to(t, tcpService, port, 0)} }
	w.names["good.example"] = []nameRule{tls(tSite, 443)}
	w.names["fine.example"] = []nameRule{tls(tSite, 443), tls(tSite, 8443)}
	w.names["*.pool.example"] = []nameRule{tls(tPool, 443)}
	w.names["other.pool.example"] = []nameRule{tls(tPool, 8443)}
	w.names["inner.example"] = []nameRule{tls(tInner, 443)}
	w.names["time.example"] = []nameRule{{grant: to(tClock, ntpService, 123, 0)}}
	w.names["ask.example"] = []nameRule{{all: true}}
	w.names["example"] = []nameRule{{keys: true}}
	w.private["inner.example"] = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"),
		netip.MustParsePrefix("fd00:1::/32")}
	w.forget()
	return w
}

func (w *world) forget() {
	w.learned, w.opened = map[netip.Addr][]grant{}, map[string][]grant{}
	w.pending, w.flows, w.opening = map[pendingKey]*question{}, map[ends]*flow{}, map[ends]*opening{}
}

type runner struct {
	*kernel
	*world
	packets, conversations, unmade uint64
	ports                          int
	tally, base                    [64]uint64
	outcomes                       [65]uint64
	recent                         [][]byte
	states                         map[uint32]bool // an outcome, after which, in what state
	fresh                          bool            // this conversation has seen something new
	coarse                         bool            // new is a verdict in a connection's state, nothing finer
	verbose                        bool
}

// One conversation by both. False, and why: they disagree. each: compare the reason of every step, not the verdict
// alone.
func (r *runner) converse(choices []byte, each bool) (bool, string) {
	r.ports += 8
	if r.ports > 60000 {
		r.ports = 1024
	}
	defer r.tidy()
	r.fresh = false
	last := none
	for i, s := range play(choices, r.ports) {
		if s.kind == expire || s.kind == lapse {
			r.happens(s)
			continue
		}
		program, ingress := r.kernel.egress, uint32(0)
		if s.kind == in {
			program = r.kernel.ingress
		} else if s.forwarded {
			ingress = r.device
		}
		var before [64]uint64
		if each {
			before = r.counted()
		}
		verdict, made := r.run(program, s.frame, ingress)
		if !made {
			r.unmade++
			continue
		}
		r.packets++
		want := none
		if s.kind == in {
			want = r.arrive(s.frame)
		} else {
			want = r.leave(s.frame, s.forwarded)
		}
		if !want.passes() && want != held {
			r.tally[want]++
		}
		r.outcomes[want]++
		r.see(s, want, last)
		last = want
		got := none
		if verdict != -1 {
			got = held
		}
		if each && verdict != -1 {
			for n, c := range r.counted() {
				if c != before[n] {
					got = reason(n)
				}
			}
		}
		if r.verbose {
			about, _ := readLeaving(s.frame)
			fmt.Printf("%2d %s %v: kernel %d, reference %d: %v %d -> %v %d, flags %x, %x %x, %d bytes\n", i,
				ways[s.kind], s.forwarded, got, want, about.from, about.sport, about.to, about.dport,
				about.flags, about.seq, about.ack, len(about.payload))
		}
		if want.passes() != got.passes() || each && !want.passes() && want != got {
			return false, fmt.Sprintf("step %d: %s, forwarded %v: the kernel says %d, the reference %d\n%s",
				i+1, ways[s.kind], s.forwarded, got, want, hex.Dump(s.frame))
		}
	}
	return true, ""
}

// What the reference is in the middle of: new pairs of outcomes there are as good a guide as new regions of code.
func (r *runner) see(s step, now, last reason) {
	state := uint32(s.kind)<<30 | uint32(now)<<20
	if !r.coarse {
		state |= uint32(last) << 12
	}
	for _, c := range r.world.flows {
		state ^= uint32(c.look) << 8
		if r.coarse {
			continue
		}
		state ^= uint32(min(len(c.said), 1)) << 7
		state ^= uint32(bits.Len(uint(len(c.said)-c.acked))) << 3
		if c.served {
			state ^= 4
		}
		if c.reopened {
			state ^= 2
		}
	}
	if !r.coarse {
		state ^= uint32(min(len(r.world.learned), 3))<<18 | uint32(min(len(r.world.opened), 1))
	}
	if !r.states[state] {
		r.states[state] = true
		r.fresh = true
	}
}

var ways = [...]string{"out", "in"}

func (r *runner) counted() (all [64]uint64) {
	for i := 16; i < 48; i++ {
		all[i] = r.count(reason(i))
	}
	return all
}

func (r *runner) happens(s step) {
	if s.kind == lapse {
		r.world.targets[s.target].generation++
		r.setTarget(s.target, r.world.targets[s.target])
		return
	}
	grants := append([]grant(nil), r.world.addresses[s.address]...)
	for i := range grants {
		grants[i].expired = true
	}
	r.world.addresses[s.address] = grants
	r.kernel.addresses.set(mapped(s.address), entryOf(grants))
}

// As it was before: nothing of a conversation is left for the next.
func (r *runner) tidy() {
	for a := range r.world.learned {
		r.kernel.learned.delete(mapped(a))
	}
	for name := range r.world.opened {
		r.kernel.opened.delete(nameKey(name))
	}
	for key := range r.world.pending {
		b := make([]byte, 16)
		native.PutUint16(b[8:], uint16(key.id))
		native.PutUint16(b[10:], uint16(key.port))
		native.PutUint32(b[12:], r.device)
		r.kernel.pending.delete(b)
	}
	for key := range r.world.flows {
		r.kernel.flows.delete(key.key())
	}
	for key := range r.world.opening {
		r.openings.delete(key.key())
	}
	for id, t := range r.world.targets {
		if t.generation != generation {
			t.generation = generation
			r.setTarget(id, t)
		}
	}
	for _, a := range site {
		if grants := r.world.addresses[a]; grants[0].expired {
			grants[0].expired = false
			r.kernel.addresses.set(mapped(a), entryOf(grants))
		}
	}
	r.kernel.paid.empty(16)
	r.forget()
	r.conversations++
	r.giveBack()
}

// No share may run out: what finds no room is another verdict.
func (r *runner) giveBack() {
	nothing := make([]byte, 96)
	zero := func(i int) { r.shares.set([]byte{byte(i), byte(i >> 8), 0, 0}, nothing) }
	for i := 0; i <= tInner; i++ {
		zero(i)
	}
	zero(16384) // of all
	if r.conversations%resetEvery != 0 {
		return
	}
	for i := 0; i < 1024; i++ { // of senders: this machine's, and those behind the device
		if i < 128 || i/128 == int(1+r.device%7) {
			zero(i)
		}
	}
}

// Whether all reasons have been given as often as the reference says; and if not, in which conversation it went wrong.
func (r *runner) reasonsAgree() bool {
	now := r.counted()
	for i := range now {
		if now[i]-r.base[i] != r.tally[i] {
			return false
		}
	}
	return true
}

func (r *runner) start() { r.base, r.tally, r.recent = r.counted(), [64]uint64{}, r.recent[:0] }

// The smallest conversation that still disagrees.
func (r *runner) shrink(choices []byte) []byte {
	for size := len(choices) / 2; size > 0; {
		shorter := false
		for at := 0; at+size <= len(choices); at += size {
			less := append(append([]byte(nil), choices[:at]...), choices[at+size:]...)
			if ok, _ := r.converse(less, true); !ok {
				choices, shorter = less, true
				break
			}
		}
		if !shorter {
			size /= 2
		}
	}
	return choices
}

func (r *runner) disagree(choices []byte) {
	choices = r.shrink(choices)
	r.verbose = true
	ok, why := r.converse(choices, true)
	if ok {
		why = "it does not come again"
	}
	fail("disagreement in conversation %s\n%s", hex.EncodeToString(choices), why)
}

func (r *runner) one(choices []byte) {
	ok, _ := r.converse(choices, false)
	r.recent = append(r.recent, append([]byte(nil), choices...))
	if !ok {
		r.disagree(choices)
	}
	if len(r.recent) == checkEvery {
		fresh := r.fresh
		r.settle()
		r.fresh = fresh
	}
}

func (r *runner) settle() {
	if !r.reasonsAgree() {
		for _, c := range r.recent {
			if ok, _ := r.converse(c, true); !ok {
				r.disagree(c)
			}
		}
		fail("reasons were counted otherwise, in none of these conversations alone: %d", len(r.recent))
	}
	r.start()
}

// ---- what is new in the kernel ----

// The regions of the programs that ran, and how often, in powers of two.
type seen []uint8

func (r *runner) news(before []uint64, known seen) bool {
	found := false
	r.readCounters()
	for i, c := range r.counters {
		if c == before[i] {
			continue
		}
		if bucket := uint8(1) << (bits.Len64(c-before[i]) & 7); known[i]&bucket == 0 {
			known[i] |= bucket
			found = true
		}
		before[i] = c
	}
	return found
}

func readCorpus(path string) (all [][]byte) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		b, err := hex.DecodeString(lines.Text())
		if err != nil {
			fail("%s: %v", path, err)
		}
		all = append(all, b)
	}
	return all
}

// Half of all choices are plain ones.
func invent(random *rand.Rand) []byte {
	b := make([]byte, 20+random.Intn(180))
	random.Read(b)
	for i := range b {
		if b[i]&1 == 0 {
			b[i] = 0
		} else {
			b[i] >>= 1
		}
	}
	return b
}

func mutate(random *rand.Rand, corpus [][]byte) []byte {
	var b []byte
	if len(corpus) == 0 || random.Intn(8) == 0 {
		return invent(random)
	}
	if len(corpus) > 0 {
		b = append(b, corpus[random.Intn(len(corpus))]...)
	}
	for n := 1 + random.Intn(4); n > 0; n-- {
		at := 0
		if len(b) > 0 {
			at = random.Intn(len(b))
		}
		switch random.Intn(7) {
		case 0, 1:
			if len(b) > 0 {
				b[at] = byte(random.Intn(256))
			}
		case 2:
			b = append(b[:at:at], append([]byte{byte(random.Intn(256))}, b[at:]...)...)
		case 3:
			if len(b) > 0 {
				b = append(b[:at:at], b[at+1:]...)
			}
		case 4: // the end of another
			if len(corpus) > 0 {
				other := corpus[random.Intn(len(corpus))]
				if len(other) > 0 {
					b = append(b[:at:at], other[random.Intn(len(other)):]...)
				}
			}
		case 5:
			more := make([]byte, 1+random.Intn(40))
			random.Read(more)
			b = append(b, more...)
		case 6: // plain choices
			b = append(b, make([]byte, random.Intn(8))...)
		}
	}
	if len(b) > 300 {
		b = b[:300]
	}
	return b
}

// Writes those that a small corpus needs: the longest first, which do most.
func (r *runner) keepFew(path string, useful [][]byte, before []uint64) {
	f, err := os.Create(path)
	if err != nil {
		fail("%v", err)
	}
	defer f.Close()
	sort.SliceStable(useful, func(i, j int) bool { return len(useful[i]) > len(useful[j]) })
	r.states, r.coarse = map[uint32]bool{}, true
	known := make(seen, len(r.counters))
	r.readCounters()
	copy(before, r.counters)
	for _, c := range useful {
		r.one(c)
		if seen := r.fresh; r.news(before, known) || seen {
			fmt.Fprintln(f, hex.EncodeToString(c))
		}
	}
	r.settle()
}

func main() {
	seconds := flag.Int("seconds", 10, "how long")
	packets := flag.Uint64("packets", 0, "how many packets, instead of how long")
	path := flag.String("corpus", "", "conversations, a line each in hexadecimal digits")
	seed := flag.Int64("seed", 1, "of what is tried")
	keep := flag.Bool("keep", false, "write the corpus anew: those that reach what no other does")
	tell := flag.Bool("v", false, "tell how often each verdict was given")
	again := flag.String("again", "", "play this conversation and tell each step")
	flag.Parse()
	runtime.LockOSThread()
	r := &runner{kernel: openKernel(), world: newWorld(), ports: 1024,
		states: map[uint32]bool{}}
	r.fill(r.world)
	r.start()
	if *again != "" {
		b, err := hex.DecodeString(*again)
		if err != nil {
			fail("%v", err)
		}
		r.verbose = true
		if ok, why := r.converse(b, true); !ok {
			fail("%s", why)
		}
		return
	}
	corpus := readCorpus(*path)
	sort.Slice(corpus, func(i, j int) bool { return len(corpus[i]) < len(corpus[j]) })
	known, before := make(seen, len(r.counters)), make([]uint64, len(r.counters))
	copy(before, r.counters)
	var useful [][]byte
	for _, c := range corpus {
		r.one(c)
		if seen := r.fresh; r.news(before, known) || seen {
			useful = append(useful, c)
		}
	}
	random := rand.New(rand.NewSource(*seed))
	end := time.Now().Add(time.Duration(*seconds) * time.Second)
	told := time.Now()
	for n := 0; ; n++ {
		if *packets > 0 && r.packets >= *packets || *packets == 0 && n%16 == 0 && time.Now().After(end) {
			break
		}
		c := mutate(random, useful)
		r.one(c)
		if seen := r.fresh; r.news(before, known) || seen {
			useful = append(useful, c)
		}
		if n%1024 == 0 && time.Since(told) > 30*time.Second {
			told = time.Now()
			fmt.Printf("%d packets in %d conversations, %d of them useful\n", r.packets, r.conversations,
				len(useful))
		}
	}
	r.settle()
	reached := 0
	for _, k := range known {
		if k != 0 {
			reached++
		}
	}
	fmt.Printf("%d packets in %d conversations: no disagreement. %d useful ones reach "+
		"%d states, and %d of %d regions of the programs; %d frames that this kernel does not make\n",
		r.packets, r.conversations, len(useful), len(r.states), reached, len(known), r.unmade)
	if *tell {
		for i, n := range r.outcomes {
			if n > 0 {
				fmt.Printf("%10d of %s\n", n, reasonNames[reason(i)])
			}
		}
	}
	if *keep {
		r.keepFew(*path, useful, before)
	}
}
