# SPDX-License-Identifier: MIT
"""[guard] local: what stays on the machine passes, between host and containers and among these. Nothing else does."""
import subprocess
import sys

import pytest

from guard import BINARY, DEGRADED, FAILED, assert_says, poll, staying
from lab import topology
from lab.bridge import Bridge
from lab.lab import Lab, call

PORT = 8000
LAN4, LAN6 = "10.0.1.10", "fd00:1::10"      # the server's own, on its uplink

# Answers over TCP and UDP, both families, until it is killed.
SERVE = f"""
import select, socket
listening = []
for family, any in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(family, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((any, {PORT}))
        if kind == socket.SOCK_STREAM:
            s.listen()
        listening.append(s)
print("ready", flush=True)
while True:
    for s in select.select(listening, [], [])[0]:
        if s.type == socket.SOCK_DGRAM:
            data, peer = s.recvfrom(64)
            s.sendto(data, peer)
        else:
            c, _ = s.accept()
            c.settimeout(5)
            try:
                c.sendall(c.recv(64))
            except OSError:
                pass        # whom the guard has cut off
            c.close()
"""

# usage: ADDRESS...: what came of TCP and UDP to each: "ok", or the error's name
ASK = f"""
import errno, socket, sys
for to in sys.argv[1:]:
    said = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, kind)
        s.settimeout(3)
        try:
            if kind == socket.SOCK_STREAM:
                s.connect((to, {PORT}))
            s.sendto(b"hello", (to, {PORT}))    # the answer may have another address of the host's
            said.append("ok" if s.recv(64) == b"hello" else "other")
        except OSError as e:
            said.append(errno.errorcode.get(e.errno, "timeout"))
    print(*said)
"""
OK, REFUSED = "ok ok", "EPERM EPERM"


@pytest.fixture(scope="module")
def machine():
    """Two containers on one bridge; all three answer."""
    with Lab() as lab:
        lab.bridge = Bridge(lab)
        boxes = [lab.bridge.add(), lab.bridge.add()]
        servers = [place.popen([sys.executable, "-IS", "-c", SERVE], guarded=True, stdout=subprocess.PIPE)
                   for place in (lab.server, *boxes)]
        try:
            for s in servers:
                assert s.stdout.readline() == b"ready\n"
            yield lab
        finally:
            for s in servers:
                s.kill()
                s.wait()
            lab.bridge.remove()


@pytest.fixture
def lab(machine):
    yield machine


@pytest.fixture
def guard(lab):
    with staying(lab) as g:
        yield g


def ask(place, *to):
    r = place.run([sys.executable, "-IS", "-c", ASK, *to], guarded=True)
    assert r.returncode == 0, r.stderr
    return r.stdout.splitlines()


def load(guard, *local, uplink="auto", **kw):
    return guard.load(guard=(f"uplink = {uplink}", *(f"local = {each}" for each in local)), **kw)


def networks(guard):
    return {(n["network"], n["bridge"]) for n in guard.json("status")["local"]}


def members(lab):
    a, b = lab.bridge.boxes[:2]
    return a.ip4, b.ip4, a.ip6, b.ip6


def all_ways(lab):
    """Host to containers, container to container, container to the host by any of its addresses."""
    a, b = lab.bridge.boxes[:2]
    host = (lab.bridge.ip4(1), lab.bridge.ip6(1), LAN4, LAN6)
    return [*ask(lab.server, *members(lab)), *ask(a, b.ip4, b.ip6, *host)]


def test_stays_closed_without_it(lab, guard):
    load(guard, "none")
    assert set(all_ways(lab)) == {REFUSED}
    assert networks(guard) == set()


def test_default_for_one_cgroup_is_none(lab, guard):
    load(guard)
    assert set(all_ways(lab)) == {REFUSED}


def test_without_a_guarded_uplink_it_is_none(lab, guard):
    load(guard, "auto", uplink="none")
    assert set(all_ways(lab)) == {REFUSED}


def test_host_and_containers_reach_each_other(lab, guard):
    load(guard, "auto")
    assert networks(guard) == {("10.31.0.0/24", "ohbr0"), ("fd31::/64", "ohbr0")}
    with guard.nothing_leaves():
        assert set(all_ways(lab)) == {OK}
    assert guard.events() == []
    assert "on this machine: 10.31.0.0/24 (ohbr0)" in guard.ok("status").stdout


def test_everything_else_is_refused_as_before(lab, guard):
    load(guard, "auto")
    guard.assert_stands()
    a = lab.bridge.boxes[0]
    with guard.nothing_leaves():
        assert ask(a, *topology.ATTACKER, "10.0.1.1", "10.32.0.2") == [REFUSED] * 4
        assert ask(lab.server, *topology.ATTACKER, "10.0.1.1", "10.32.0.2") == [REFUSED] * 4


def test_only_the_ranges_that_are_named(lab, guard):
    a = lab.bridge.boxes[0]
    load(guard, "10.16.0.0/12")
    assert ask(lab.server, a.ip4, a.ip6) == [OK, REFUSED]
    assert ask(a, lab.bridge.ip4(1), LAN4) == [OK, REFUSED]
    load(guard, "10.99.0.0/16", "10.31.0.0/25")    # half of a network is none
    assert ask(lab.server, a.ip4) == [REFUSED]


def test_network_that_comes_and_goes_is_known_at_once(lab, guard):
    load(guard, "auto")
    watcher = lab.server.popen([BINARY, "refresh", "--uplinks", "--watch"], stdout=subprocess.DEVNULL)
    try:
        second = Bridge(lab, "ohbr1", 33)
        try:
            poll(lambda: ("10.33.0.0/24", "ohbr1") in networks(guard), "the new network")
            box = second.add()
            assert set(ask(box, second.ip4(1), lab.bridge.ip4(1), LAN4)) == {OK}
            assert ask(lab.bridge.boxes[0], second.ip4(1)) == [OK]
        finally:
            second.remove()
        poll(lambda: len(networks(guard)) == 2, "the network's end")
    finally:
        watcher.kill()
        watcher.wait()
    assert set(all_ways(lab)) == {OK}


@pytest.fixture
def elsewhere(lab):
    """A port of the bridge that leads out: its other end is the router's."""
    lab.server.ip(f"link add oheth1 type veth peer name oheth1 netns {lab.netns('router')}", "link set oheth1 up")
    call(["ip", "-n", lab.netns("router"), "link", "set", "oheth1", "up"])
    yield "oheth1"
    lab.server.ip("link del oheth1")


def refused_here(lab, guard):
    assert guard.run("refresh", "--uplinks").returncode == 0
    assert set(ask(lab.server, *members(lab))) == {REFUSED}
    assert networks(guard) == set()


def test_bridge_that_gains_an_uplink_is_no_longer_inside(lab, guard, elsewhere):
    guard.load(guard=("uplink = eth0", f"uplink = {elsewhere}", "local = auto"))
    assert set(ask(lab.server, *members(lab))) == {OK}
    lab.server.ip(f"link set {elsewhere} master ohbr0")
    refused_here(lab, guard)
    lab.server.ip(f"link set {elsewhere} nomaster")
    guard.ok("refresh", "--uplinks")
    assert set(all_ways(lab)) == {OK}


@pytest.mark.parametrize("port", ("vxlan id 7 remote 203.0.113.66 dstport 4789 dev eth0", "macvlan"))
def test_bridge_with_a_port_that_leads_out_is_not_inside(lab, guard, port):
    lab.server.ip(f"link add ohp0 link eth0 type {port}", "link set ohp0 master ohbr0 up")
    try:
        load(guard, "auto")
        refused_here(lab, guard)
    finally:
        lab.server.ip("link del ohp0")


def test_bridge_behind_another_bridge_is_not_inside(lab, guard):
    """By a cable between the two, which is a veth as containers have."""
    lab.server.ip("link add ohbr2 type bridge", "link set ohbr2 up", "link add ohc0 type veth peer name ohc1",
                  "link set ohc0 master ohbr0 up", "link set ohc1 master ohbr2 up")
    try:
        load(guard, "auto")
        refused_here(lab, guard)
    finally:
        lab.server.ip("link del ohc0", "link del ohbr2")


@pytest.mark.parametrize("route", ("10.31.0.2/32 via 10.0.1.1", "10.31.0.0/25 via 10.0.1.1",
                                   "10.31.0.128/25 via 10.0.1.1 table 77", "10.31.0.0/24 dev eth0 metric 9",
                                   "10.16.0.0/12 dev eth0 scope link", "192.0.2.0/24 via 10.31.0.2"))
def test_network_that_is_routed_elsewhere_too_is_not_inside(lab, guard, route):
    a = lab.bridge.boxes[0]
    load(guard, "auto")
    lab.server.ip(f"route add {route}")
    try:
        with guard.nothing_leaves():    # before that is known, too
            assert ask(lab.server, a.ip4)[0] in (OK, "timeout timeout", "timeout EPERM")
        guard.ok("refresh", "--uplinks")
        assert "10.31.0.0/24" not in {n for n, _ in networks(guard)}
        assert ask(lab.server, a.ip4) == [REFUSED]
    finally:
        lab.server.ip(f"route del {route}")


def test_wider_route_by_a_gateway_changes_nothing(lab, guard):
    """As that of a VPN or of the cloud's network: the bridge's own is more exact."""
    lab.server.ip("route add 10.16.0.0/12 via 10.0.1.1")
    try:
        load(guard, "auto")
        assert set(ask(lab.server, *members(lab))) == {OK}
    finally:
        lab.server.ip("route del 10.16.0.0/12 via 10.0.1.1")


def test_metadata_service_is_never_inside(lab, guard):
    a = lab.bridge.boxes[0]
    lab.server.ip("addr add 169.254.169.1/24 dev ohbr0")
    a.ip("addr add 169.254.169.254/24 dev eth0")
    try:
        load(guard, "auto")
        with guard.nothing_leaves():
            assert ask(lab.server, "169.254.169.254", a.ip4) == [REFUSED, OK]
        assert guard.reason("metadata-service") > 0
    finally:
        a.ip("addr del 169.254.169.254/24 dev eth0")
        lab.server.ip("addr del 169.254.169.1/24 dev ohbr0")


def test_reload_and_upgrade_keep_it(lab, guard):
    load(guard, "auto")
    load(guard, "auto")
    assert set(all_ways(lab)) == {OK}
    load(guard, "none")
    assert set(all_ways(lab)) == {REFUSED}


def test_observed_it_is_no_event(lab, guard):
    guard.conf(guard=("uplink = auto", "local = auto"))
    guard.ok("load", "--observe")
    assert set(all_ways(lab)) == {OK}
    assert guard.events() == []


@pytest.mark.parametrize("lines, said", (
    (("local = 10.16.0.0/33",), "'10.16.0.0/33' is not a range"),
    (("local = some",), "'some' is not a range"),
    (("local = none", "local = 10.0.0.0/8"), "'none' and 'auto' stand alone"),
    (("local = 10.0.0.0/8", "local = auto"), "'none' and 'auto' stand alone"),
    (("local = ::/0",), "would also hold all of IPv4")))
def test_bad_values_are_refused(guard, lines, said):
    guard.conf(guard=lines)
    assert_says(guard.run("load"), FAILED, said)
