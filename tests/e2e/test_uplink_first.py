# SPDX-License-Identifier: MIT
"""Programs of others at the hooks that ours stand at: one before ours could let a packet pass that ours is never asked
about."""
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from guard import BINARY, DEGRADED, PINS, poll
from lab import topology
from test_uplink import ME4, frame, hooks, listening, ECHO, send, udp

EVIL4 = topology.ATTACKER[0]
FOREIGN = Path(__file__).resolve().with_name("foreign.py")
TCX_PASS = 0
MARK = b"past the guard"


@contextlib.contextmanager
def foreign(guard, kind, verdict=TCX_PASS):
    with guard.lab.server.popen([sys.executable, "-IS", FOREIGN, kind, "eth0", verdict], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True) as p:
        try:
            if p.stdout.readline()[:8] != "attached":
                pytest.skip(f"no such link here: {p.stderr.read().splitlines()[-1]}")
            yield
        finally:
            p.kill()


@pytest.fixture
def loaded(guard):
    guard.load("--uplink", "eth0")
    return guard


def leaves(guard):
    """Whether a frame from a packet socket gets out, which is the uplink's hook's to refuse."""
    mark = guard.lab.wire.mark()
    send(guard, "raw", frame(guard, udp(ME4, EVIL4, 4000, 31337, MARK)))
    return any(MARK in f.payload for f in guard.lab.wire.since(mark))


def test_program_before_ours_is_named_and_refresh_is_first_again(loaded):
    assert not leaves(loaded)
    with foreign(loaded, "egress"):
        assert leaves(loaded), "or the test shows nothing"
        status = loaded.json("status", status=DEGRADED)
        assert not status["enforcing"] or not status["healthy"]
        said = [p for p in status["problems"] if "uplink-egress" in p]
        assert said and "foreign" in said[0] and "eth0" in said[0] and "refresh" in said[0], status["problems"]
        hook = next(h for h in status["hooks"] if h["hook"] == "uplink-egress")
        assert not hook["attached"] and "foreign" in hook["before"]
        loaded.ok("refresh")
        assert loaded.json("status")["healthy"]
        assert not leaves(loaded)
    assert loaded.json("status")["healthy"]
    assert not leaves(loaded)


def test_load_is_first(guard):
    with foreign(guard, "egress"), foreign(guard, "ingress"):
        guard.load("--uplink", "eth0")
        assert guard.json("status")["healthy"]
        assert not leaves(guard)


def test_load_is_first_again(loaded):
    with foreign(loaded, "egress"):
        loaded.ok("load")
        assert loaded.json("status")["healthy"]
        assert not leaves(loaded)
    loaded.ok("unload", "--yes")
    poll(lambda: leaves(loaded), "the end of the links")


def test_coming_first_again_has_no_open_moment(loaded):
    """The guard is passed over and put back, many times, while a packet socket never stops trying; what it sends gets
    out only while another stands first."""
    code = ("import socket, sys\ns = socket.socket(17, 3, 0)\nprint('open', flush=True)\n"
            "while True:\n try: s.sendto(bytes.fromhex(sys.argv[1]), ('eth0', 0))\n except OSError: pass")
    with loaded.lab.server.popen([sys.executable, "-IS", "-c", code, frame(loaded, udp(ME4, EVIL4, 1, 31337)).hex()],
                                 stdout=subprocess.PIPE) as p:
        try:
            p.stdout.readline()
            for _ in range(5):
                with foreign(loaded, "egress", -1):     # it has a say, and leaves it to ours
                    assert not loaded.json("status", status=DEGRADED)["healthy"]
                    with loaded.nothing_leaves():
                        loaded.ok("refresh", "--uplinks")
                    assert loaded.json("status")["healthy"]
        finally:
            p.kill()
    assert loaded.shell(f"ls {PINS}/host").stdout.count("uplink-egress-2") == 1


def test_program_before_the_inbound_hook_is_named(loaded):
    """And what it lets in is kept out again after `refresh`."""
    code = "import socket, sys; s = socket.create_connection((sys.argv[1], 8000), 1); s.send(b'x'); print(s.recv(9))"

    def gets_in():
        return loaded.lab.attacker.run([sys.executable, "-IS", "-c", code, ME4]).stdout == "b'x'\n"

    with listening(loaded, ECHO, 8000):
        assert not gets_in()
        with foreign(loaded, "ingress"):
            assert any("uplink-ingress" in p and "foreign" in p
                       for p in loaded.json("status", status=DEGRADED)["problems"])
            loaded.ok("refresh")
            assert hooks(loaded)["uplink-ingress"]["attached"]
            assert not gets_in()


NFT = """
table netdev beside {{
    chain {hook} {{
        type filter hook {hook} device "{device}" priority -500; policy accept;
        {rule}
    }}
}}
"""


@contextlib.contextmanager
def nft(guard, hook, device, rule="accept"):
    """A chain at an interface, before all others."""
    r = guard.lab.server.run(["nft", "-f", "-"], input=NFT.format(hook=hook, device=device, rule=rule))
    if r.returncode:
        pytest.skip(f"no such chain here: {r.stderr.splitlines()[0]}")
    try:
        yield
    finally:
        guard.lab.server.run(["nft", "delete", "table", "netdev", "beside"], check=True)


def test_nft_chain_at_the_interface_does_not_overrule_ours(loaded):
    with nft(loaded, "egress", "eth0"):
        assert not leaves(loaded)
        assert loaded.json("status")["healthy"]


def test_frame_that_nft_forwards_to_the_uplink_is_judged(loaded):
    """From the ingress of another interface, straight to eth0."""
    server = loaded.lab.server
    server.ip("link add side0 type veth peer name side1", "link set side0 up", "link set side1 up")
    try:
        with nft(loaded, "ingress", "side0", 'fwd to "eth0"'):
            mark, before = loaded.lab.wire.mark(), loaded.reason("packet-socket")
            code = ("import socket, sys; s = socket.socket(17, 3, 0);"
                    "s.sendto(bytes.fromhex(sys.argv[1]), ('side1', 0))")
            data = frame(loaded, udp(ME4, EVIL4, 1, 31337, MARK)).hex()
            server.run([sys.executable, "-IS", "-c", code, data], check=True)
            poll(lambda: loaded.reason("packet-socket") > before, "it to be refused")
            assert not [f for f in loaded.lab.wire.since(mark) if MARK in f.payload]
    finally:
        server.ip("link del side0")
