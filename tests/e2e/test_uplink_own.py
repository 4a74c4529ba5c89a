# SPDX-License-Identifier: MIT
"""What this machine's own stack sends by an uplink: for sockets that have closed or are closing, after its own NAT, and
by itself."""
import subprocess
import sys

import pytest

from guard import ALLOWED, poll
from test_uplink import (API4, API6, GOOGLE4, ME4, ip, lab, loaded, machine, packet, refused,   # noqa: F401
                         send)

LATE = """
import socket, sys, time
s = socket.create_server((sys.argv[1], 9000))
print("ready", flush=True)
c = s.accept()[0]
while c.recv(9): pass
time.sleep(2)
c.close()
print("closed", flush=True)
s.accept()
"""
CLOSE = """
import socket, sys
s = socket.create_connection((sys.argv[1], 9000))
print("connected", flush=True)
sys.stdin.readline()
s.close()
"""


def test_segments_after_the_socket_has_closed_pass(loaded):
    """TIME_WAIT: the server's last FIN is answered by no full socket, which is no reason to ask whether the address
    still holds. Unanswered, the server would wait for minutes."""
    name, pipes = "brief.lab.example", {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    loaded.lab.dns.script(name, "answer", a=[GOOGLE4], ttl=1)
    loaded.conf(dns=("min-ttl = 1", "max-ttl = 1", "grace = 1"), allow=(f"{name}:9000 sni=off",))
    loaded.ok("load")
    with loaded.lab.internet.popen([sys.executable, "-IS", "-c", LATE, GOOGLE4], **pipes) as server:
        assert server.stdout.readline() == b"ready\n"
        with loaded.lab.server.popen([sys.executable, "-IS", "-c", CLOSE, GOOGLE4], guarded=True, **pipes) as client:
            assert client.stdout.readline() == b"connected\n"
            poll(lambda: loaded.probe("tcp", GOOGLE4, 9000) == "EPERM", "the address to expire")
            loaded.events()
            client.communicate(b"\n")
        assert server.stdout.readline() == b"closed\n"
        states = ["ss", "-Htan", "state", "last-ack", "src", f"{GOOGLE4}:9000"]
        poll(lambda: not loaded.lab.internet.run(states, check=True).stdout, "the server's end to be over")
        server.kill()
    assert loaded.events() == []


RESETS = 3000
# usage: ADDRESS TIMES: connects, and closes by a reset.
RESET = """
import socket, struct, sys
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 9000)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""
TAKE = """
import socket, sys
s = socket.create_server((sys.argv[1], 9000), backlog=1024)
print("ready", flush=True)
while True:
    s.accept()[0].close()
"""


def test_resets_of_the_machines_own_connections_all_leave(guard):
    """The socket has lost its port by then. As a frame that nobody knows, each would take the room of an opening until
    there is none, and the far side would wait for minutes."""
    guard.load("--uplink", "eth0", allow=(f"{GOOGLE4}:9000",))
    with guard.lab.internet.popen([sys.executable, "-IS", "-c", TAKE, GOOGLE4], stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == b"ready\n"
        guard.python(RESET, GOOGLE4, str(RESETS), timeout=60)
        server.kill()
    assert not [p for p in guard.json("status", status=None)["problems"] if "held back" in p]


@pytest.fixture
def translated(loaded):
    """The machine's own connections leave under ports that their sockets do not know."""
    loaded.lab.server.run(["nft", "-f", "-"], check=True, input="""
        table inet own {
            chain out {
                type nat hook postrouting priority srcnat;
                meta l4proto tcp oifname "eth0" masquerade to :40000-40999
            }
        }""")
    yield
    loaded.lab.server.run(["nft", "delete", "table", "inet", "own"], check=True)


@pytest.mark.parametrize("address", [API4, API6])
def test_translated_connection_of_the_host_works(loaded, translated, address):
    loaded.events()
    mark = loaded.lab.wire.mark()
    assert loaded.at(ALLOWED, address) == 0
    assert {f.sport // 1000 for f in loaded.lab.wire.traffic(mark, dst=address)} == {40}
    assert loaded.events() == []


# usage: GROUP: joins it on eth0, and leaves it at the end: the kernel reports both.
JOIN = """
import socket, struct, sys
six, index = ":" in sys.argv[1], socket.if_nametoindex("eth0")
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
group = socket.inet_pton(s.family, sys.argv[1])
if six:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("=I", index))
else:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + struct.pack("=4si", bytes(4), index))
"""


@pytest.mark.parametrize("group", ["239.1.2.3", "ff05::1:2:3"])
def test_multicast_reports_of_the_kernel_are_counted_and_are_no_events(loaded, group):
    before, mark = loaded.reason("protocol-not-allowed"), loaded.lab.wire.mark()
    loaded.python(JOIN, group)
    poll(lambda: loaded.reason("protocol-not-allowed") > before, "a report")
    assert not [f for f in loaded.lab.wire.since(mark) if ip(group) in f.payload]
    assert loaded.events() == []
    igmp = packet(ME4, "224.0.0.22", 2, b"\x22\0\0\0\0\0\0\0", hops=1)
    with refused(loaded, "packet-socket", what="and what a packet socket imitates is one"):
        send(loaded, "dgram", igmp)


GIVE = """
import socket, sys
s = socket.create_server((sys.argv[1], 9000))
print("ready", flush=True)
while True:
    s.accept()[0].sendall(bytes(4 << 20))
"""
# usage: ADDRESS: lets much come in before it reads.
TAKE_LATE = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 9000)) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    time.sleep(1)
    size = 0
    while size < 4 << 20:
        size += len(s.recv(1 << 20))
"""


def joined(guard):
    """Segments that the stack has joined to the one before."""
    names, values = (line.split() for line in guard.shell("grep ^TcpExt: /proc/net/netstat").stdout.splitlines())
    return int(values[names.index("TCPRcvCoalesce")])


def test_segments_that_come_in_are_joined_as_without_a_guard(guard):
    """Not if the look at them moved a part of their payload: then a download took half as long again."""
    guard.load("--uplink", "eth0", allow=(f"{GOOGLE4}:9000",))
    with guard.lab.internet.popen([sys.executable, "-IS", "-c", GIVE, GOOGLE4], stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == b"ready\n"
        before = joined(guard)
        guard.python(TAKE_LATE, GOOGLE4, timeout=60)
        server.kill()
    assert joined(guard) - before > 10      # of at least 64; a retransmitted one may be joined in any case
