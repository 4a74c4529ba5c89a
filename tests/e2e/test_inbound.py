# SPDX-License-Identifier: MIT
"""Where what comes in over an uplink is judged: at tc ingress, and by XDP before it where that is asked for."""
import itertools
import subprocess
import sys

import pytest

from guard import DEGRADED, poll
from test_uplink import ME4, at_devices, hooks, listening
from test_uplink_first import foreign

XDP = ("inbound = xdp",)
COUNT = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 8001))
print("ready", flush=True)
print("datagram", s.recv(99), flush=True)
"""
FLOOD = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("ready", flush=True)
while True:
    s.sendto(b"uninvited", (sys.argv[1], 8001))
"""


def in_driver(guard):
    """The mode of the program at eth0, as ip has it: "" for none."""
    words = guard.shell("ip link show eth0").stdout.split()
    return next((w for w in words if w.startswith("xdp")), "")


def test_default_is_tc_and_no_xdp(guard):
    guard.load("--uplink", "eth0")
    assert not in_driver(guard)
    assert guard.json("status")["inbound"] == "tc"
    assert "uplink-ingress" in hooks(guard) and "inbound" not in hooks(guard)
    assert "at tc ingress\n" in guard.ok("status").stdout


PORTS = itertools.count(8001)     # a repeat within seconds is told of the hook that refused the first


def refused_by(guard):
    """The hook that refuses what nobody asked for."""
    guard.events()
    with listening(guard, COUNT) as p:
        before = guard.reason("inbound-not-allowed")
        guard.lab.attacker.run([sys.executable, "-IS", "-c", "import socket, sys; s = socket.socket(2, 2);"
                                "s.sendto(b'x', (sys.argv[1], int(sys.argv[2])))", ME4, str(next(PORTS))], check=True)
        assert guard.reason("inbound-not-allowed") == before + 1
        assert p.poll() is None
    return {e["hook"] for e in guard.events() if e["reason"] == "inbound-not-allowed"}


def test_xdp_is_in_the_driver_and_before_tc(guard):
    guard.load("--uplink", "eth0", guard=XDP)
    assert in_driver(guard) == "xdp", "and not xdpgeneric"
    assert guard.json("status")["inbound"] == "xdp" and guard.json("status")["healthy"]
    assert {"uplink-ingress", "inbound"} <= set(hooks(guard))
    assert refused_by(guard) == {"inbound"}
    guard.load("--uplink", "eth0", guard=())
    poll(lambda: not at_devices(guard), "the end of the XDP link")
    assert not in_driver(guard)
    assert refused_by(guard) == {"uplink-ingress"}


def test_observing_tells_once(guard):
    def observed():
        return guard.json("stats")["observed"]["inbound-not-allowed"]["packets"]

    guard.load("--uplink", "eth0", "--observe", guard=XDP)
    before = observed()
    guard.events()
    guard.lab.attacker.run([sys.executable, "-IS", "-c", "import socket, sys; s = socket.socket(2, 2);"
                            "s.sendto(b'x', (sys.argv[1], 8001))", ME4], check=True)
    poll(lambda: observed() > before, "it to be counted")
    assert observed() == before + 1
    assert len([e for e in guard.events() if e["reason"] == "inbound-not-allowed"]) == 1


def test_change_between_them_has_no_open_moment(guard):
    """A flood from outside that never stops, over changes of the hook: not one of it gets in."""
    guard.load("--uplink", "eth0")
    with listening(guard, COUNT) as inside, guard.lab.attacker.popen([sys.executable, "-IS", "-c", FLOOD, ME4],
                                                                     stdout=subprocess.PIPE) as flood:
        try:
            flood.stdout.readline()
            for conf in (XDP, (), XDP, ("inbound = tc",), XDP, ("inbound = auto",)):
                before = guard.reason("inbound-not-allowed")
                guard.load("--no-resolve", guard=conf)
                assert guard.json("status")["inbound"] == ("xdp" if conf == XDP else "tc")
                poll(lambda: guard.reason("inbound-not-allowed") > before, "the flood")
            assert inside.poll() is None
        finally:
            flood.kill()


def test_driver_that_takes_no_xdp_is_told_and_guarded(guard):
    """A bridge has none. What comes in by it is judged all the same."""
    guard.lab.server.ip("link add upper0 type bridge", "link set upper0 up")
    try:
        guard.load("--uplink", "eth0", "--uplink", "upper0", guard=XDP)
        problems = guard.json("status", status=DEGRADED)["problems"]
        assert len(problems) == 1 and "upper0" in problems[0] and "XDP" in problems[0] and "tc ingress" in problems[0]
        listed = {(h["hook"], h["where"]): h["attached"] for h in guard.json("status", status=DEGRADED)["hooks"]}
        assert listed["uplink-ingress", "upper0"] and not listed["inbound", "upper0"] and listed["inbound", "eth0"]
    finally:
        guard.lab.server.ip("link del upper0")


def test_another_xdp_program_is_noted(guard):
    """It is before ours, and what it sends by itself nobody judges; what it passes on is judged."""
    guard.load("--uplink", "eth0")
    with foreign(guard, "xdp", 2):
        status = guard.json("status")
        assert any("foreign" in n and "eth0" in n and "XDP" in n for n in status["notes"]), status["notes"]
        assert refused_by(guard) == {"uplink-ingress"}
