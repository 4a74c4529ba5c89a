# SPDX-License-Identifier: MIT
"""`uplink = auto`: whatever a frame can leave this machine by is guarded, and what only containers are behind is not.

second0 and third0 are further cables of the server's, to a namespace where nobody answers. Each row makes a way out of
them, of another kind, and a packet socket sends by it: before the guard, after `load`, and where the way comes later.
"""
import json
import socket
import subprocess
import sys

import pytest

from guard import ALLOWED, BINARY, DEGRADED, poll
from lab import topology
from lab.lab import call
from test_uplink import ME4, udp

EVIL4 = topology.ATTACKER[0]
SERVER = next(s for s in topology.HOSTS if s.name == "server")
MARK = b"by another way"
END = "198.51.100.250"      # whom the last ARP request asks for
SEND = """
import socket, sys
s = socket.socket(17, 3, 0)
for frame in sys.argv[2:]:
    try:
        s.sendto(bytes.fromhex(frame), (sys.argv[1], 0))
    except OSError:
        pass    # refused
"""
# usage: MARK INTERFACE: whether the mark comes by it before that request
HEAR = """
import socket, sys
s = socket.socket(17, 3, socket.htons(3))
s.bind((sys.argv[2], 0))
print("ready", flush=True)
heard, mark, end = False, bytes.fromhex(sys.argv[1]), socket.inet_aton(sys.argv[3])
while True:
    frame = s.recv(65536)
    heard |= mark in frame
    if frame[12:14] == b"\\x08\\x06" and end in frame:
        break
print(heard)
"""


class Way:
    """What makes it, the interface that is to be guarded for it, and where frames are then sent in and arrive."""

    def __init__(self, *lines, guarded=("second0",), by="second0", end="second0", needs=""):
        self.lines, self.guarded, self.by, self.end, self.needs = lines, set(guarded), by, end, needs


VIA = "via 172.29.0.1 dev second0"
UPPER = ("link set upper0 up", "addr add 172.27.0.2/24 dev upper0",
         "route add default via 172.27.0.1 dev upper0 metric 900")
BRIDGE = ("link add upper0 type bridge", "link set second0 master upper0", *UPPER)
BOND = ("link add upper0 type bond miimon 100", "link set second0 down", "link set third0 down",
        "link set second0 master upper0", "link set third0 master upper0", *UPPER)
WAYS = {
    "multipath": Way(f"route replace default nexthop via 10.0.1.1 dev eth0 nexthop {VIA}"),
    "multipath6": Way("-6 route replace default nexthop via fd00:1::1 dev eth0 nexthop via fd29::1 dev second0"),
    "nexthop group": Way("nexthop add id 1 via 10.0.1.1 dev eth0", f"nexthop add id 2 {VIA}",
                         "nexthop add id 10 group 1/2", "route replace default nhid 10"),
    "nexthop with no gateway": Way("nexthop add id 2 dev second0", "route add default nhid 2 metric 900"),
    "table 100": Way("rule add from 172.29.0.2 table 100", f"route add default {VIA} table 100"),
    "halves": Way(f"route add 0.0.0.0/1 {VIA}", f"route add 128.0.0.0/1 {VIA}"),
    "halves6": Way("route add ::/1 via fd29::1 dev second0", "route add 8000::/1 via fd29::1 dev second0"),
    "halves with no gateway": Way("route add 0.0.0.0/1 dev second0", "route add 128.0.0.0/1 dev second0"),
    "a network": Way(f"route add 203.0.113.0/24 {VIA}"),
    "a network with no gateway": Way("route add 203.0.113.0/24 dev second0"),
    "an IPv4 route by an IPv6 gateway": Way("route add default via inet6 fd29::1 dev second0 metric 900"),
    "port of a bridge": Way(*BRIDGE),
    "bridge": Way(*BRIDGE, by="upper0"),
    "below a macvlan": Way("link add upper0 link second0 type macvlan mode bridge", *UPPER, needs="macvlan"),
    "macvlan": Way("link add upper0 link second0 type macvlan mode bridge", *UPPER, by="upper0", needs="macvlan"),
    "below an ipvlan": Way("link add upper0 link second0 type ipvlan", *UPPER, needs="ipvlan"),
    "below a VLAN": Way("link add upper0 link second0 type vlan id 5", *UPPER, needs="vlan"),
    "ports of a bond": Way(*BOND, guarded=("second0", "third0"), by="third0", end="third0", needs="bond"),
    "port of a bridge in a policy table": Way(*BRIDGE[:-1], "route add default via 172.27.0.1 dev upper0 table 100"),
}
# Resolver and site stay behind eth0, whatever else is routed elsewhere.
KEPT = [f"route add {a} via {SERVER.gw6 if ':' in a else SERVER.gw4}" for a in topology.ZONE[ALLOWED]]
KEPT += [f"route replace {topology.RESOLVER} via {SERVER.gw4}"]
FORBIDDEN = udp(ME4, EVIL4, 4000, 31337, MARK)


@pytest.fixture
def guard(fresh_guard):
    far = fresh_guard.far = fresh_guard.lab.netns("far")
    call(["ip", "netns", "add", far])
    for name in ("second0", "third0"):
        fresh_guard.lab.server.ip(f"link add {name} type veth peer name {name} netns {far}", f"link set {name} up")
        call(["ip", "-n", far, "link", "set", name, "up"])
    fresh_guard.lab.server.ip("addr add 172.29.0.2/24 dev second0", "addr add fd29::2/64 dev second0 nodad",
                              "addr add 172.28.0.2/24 dev third0", *KEPT)
    yield fresh_guard
    fresh_guard.run("unload", "--yes")


def make(guard, way):
    for line in way.lines:
        r = guard.lab.server.run(["ip", *line.split()])
        if r.returncode and way.needs and line.startswith("link add"):
            pytest.skip(f"this kernel has no {way.needs}: {r.stderr.strip()}")
        assert r.returncode == 0, f"{line}: {r.stderr}"


def leaves(guard, by, end, data=FORBIDDEN):
    """Whether a frame that a packet socket sends by one interface comes to the far end of another. A plain ARP request
    follows it, which is let out."""
    own = bytes.fromhex(guard.shell(f"cat /sys/class/net/{by}/address").stdout.strip().replace(":", ""))
    head = b"\xff" * 6 + own
    last = head + b"\x08\x06\0\1\x08\0\6\4\0\1" + own + bytes([172, 29, 0, 2]) + bytes(6) + socket.inet_aton(END)
    enter = ["nsenter", f"--net=/run/netns/{guard.far}", sys.executable, "-IS", "-c", HEAR, MARK.hex(), end, END]
    with subprocess.Popen(enter, stdout=subprocess.PIPE, text=True) as far:
        try:
            assert far.stdout.readline() == "ready\n"
            frames = [(head + b"\x08\0" + data).hex(), last.hex()]
            r = guard.lab.server.run([sys.executable, "-IS", "-c", SEND, by, *frames])
            assert r.returncode == 0, r.stderr
            return far.stdout.readline() == "True\n"
        finally:
            far.kill()


def guarded(guard):
    """The interfaces that are, beside eth0."""
    hooks = json.loads(guard.run("status", "--json").stdout)["hooks"]
    return {h["where"] for h in hooks if h["hook"] == "uplink-egress" and h["attached"]} - {"eth0"}


@pytest.mark.parametrize("what", WAYS)
def test_way_out_is_guarded(guard, what):
    way = WAYS[what]
    make(guard, way)
    assert leaves(guard, way.by, way.end), "or the test shows nothing"
    guard.load("--uplink", "auto")
    assert not leaves(guard, way.by, way.end)
    assert guarded(guard) == way.guarded
    assert guard.json("status")["healthy"]
    assert guard.curl(f"https://{ALLOWED}", "--interface", "eth0") == 0
    guard.ok("load")
    assert guarded(guard) == way.guarded


@pytest.mark.parametrize("what", WAYS)
def test_way_out_that_comes_later_is_guarded_by_a_watcher(guard, what):
    way = WAYS[what]
    guard.load("--uplink", "auto")
    assert guarded(guard) == set()
    with guard.lab.server.popen([BINARY, "refresh", "--uplinks", "--watch"]) as watcher:
        try:
            make(guard, way)
            poll(lambda: way.guarded <= guarded(guard), "all of it")
            poll(lambda: not leaves(guard, way.by, way.end), "the guard")
        finally:
            watcher.kill()


def test_status_tells_of_a_way_out_that_is_not_guarded(guard):
    guard.load("--uplink", "eth0")
    assert guard.json("status")["healthy"]
    make(guard, WAYS["port of a bridge"])
    problems = guard.json("status", status=DEGRADED)["problems"]
    assert len(problems) == 1 and "second0" in problems[0] and "--uplink auto" in problems[0]
    guard.ok("load", "--uplink", "auto")
    assert guard.json("status")["healthy"]


def test_named_interfaces_are_guarded_in_any_order(guard):
    """A bridge before its port: the kernel refused XDP then, and left a first load in lockdown."""
    make(guard, WAYS["bridge"])
    guard.load("--uplink", "upper0", "--uplink", "second0", "--uplink", "eth0")
    assert guard.json("status")["healthy"]
    assert guarded(guard) == {"upper0", "second0"}
    assert guard.curl(f"https://{ALLOWED}", "--interface", "eth0") == 0


@pytest.mark.parametrize("link", ["tuntap add tun9 mode tun", "link add tun9 type wireguard"])
def test_way_out_that_is_no_ethernet_is_a_problem(guard, link):
    r = guard.lab.server.run(["ip", *link.split()])
    if r.returncode:
        pytest.skip(f"not here: {r.stderr.strip()}")
    guard.lab.server.ip("addr add 172.26.0.2/24 dev tun9", "link set tun9 up")
    guard.load("--uplink", "auto")
    assert guard.json("status")["healthy"], "a network of its own is no way out"
    guard.lab.server.ip("route add 0.0.0.0/1 dev tun9")
    assert any("tun9" in p and "Ethernet" in p for p in guard.json("status", status=DEGRADED)["problems"])
    assert "tun9" in guard.run("load").stderr


def test_networks_of_containers_are_no_ways_out(guard):
    """A bridge as Docker makes it, a cable with an address alone as Calico and LXD make it, a tap with a network."""
    guard.lab.server.ip("link add docker9 type bridge", "link set second0 master docker9", "link set docker9 up",
                        "addr del 172.29.0.2/24 dev second0", "addr del fd29::2/64 dev second0",
                        "addr add 172.29.0.2/24 dev docker9", "route add 172.25.0.7/32 dev third0",
                        "tuntap add tap9 mode tap", "link set tap9 up", "addr add 172.24.0.1/24 dev tap9")
    guard.load("--uplink", "auto")
    assert guarded(guard) == set()
    assert guard.json("status")["healthy"]
    for by, end in (("docker9", "second0"), ("third0", "third0")):
        assert leaves(guard, by, end)
