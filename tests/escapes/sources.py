# SPDX-License-Identifier: MIT
"""Packets that are allowed but for their source: the answer, which the sender can shape, goes to the attacker."""
import socket
import struct

import craft
from kernel import IP_TRANSPARENT, IPPROTO_MPTCP, IPV6_FREEBIND, checked, libc
from link import ether, packet_socket
from names import ALLOWED
from table import at_uplink, attack, packed

THEME = "sources"
REASON = "source-not-ours"
NEIGHBOUR = "10.0.1.99"
REQUEST = b"\x23" + bytes(47)
QUERY = craft.query(ALLOWED)
IP_PKTINFO = 8


def free(t, kind=socket.SOCK_DGRAM, protocol=0):
    """A socket that may have any source: for IPv6 nobody needs a privilege for that."""
    s = t.socket(kind, protocol)
    if t.family == 4:
        s.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    return s


def bound(t, *args):
    s = free(t, *args)
    s.bind((t.to, 0))
    return s


def with_source(t):
    """Control data that names the source of one datagram."""
    if t.family == 4:
        return [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("i", 0) + packed(t.to) + bytes(4))]
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed(t.to) + struct.pack("I", 0))]


@attack(THEME, "a TCP connection to an allowed server", "connect", REASON)
def source_tcp(t):
    bound(t, socket.SOCK_STREAM).connect((t.allowed, 443))


@attack(THEME, "an MPTCP connection to an allowed server", "connect", REASON)
def source_mptcp(t):
    bound(t, socket.SOCK_STREAM, IPPROTO_MPTCP).connect((t.allowed, 443))


@attack(THEME, "a DNS query for an allowed name", "cgroup", REASON)
def source_dns(t):
    bound(t).sendto(QUERY, (t.resolver, 53))


@attack(THEME, "a DNS query on a connected socket", "connect", REASON)
def source_dns_connected(t):
    s = bound(t)
    s.connect((t.resolver, 53))
    s.send(QUERY)


@attack(THEME, "a request to a time server", "cgroup", REASON)
def source_ntp(t):
    bound(t).sendto(REQUEST, (t.clock, 123))


@attack(THEME, "a source that is told with the datagram (IP_PKTINFO)", "cgroup", REASON)
def source_told(t):
    free(t).sendmsg([QUERY], with_source(t), 0, (t.resolver, 53))


@attack(THEME, "the same on a socket that was connected with its own address", "cgroup", REASON)
def source_told_connected(t):
    s = free(t)
    s.connect((t.resolver, 53))
    s.sendmsg([QUERY], with_source(t))


@attack(THEME, "an option that is taken back when the socket is bound", "cgroup", REASON, families=(6,))
def source_unset(t):
    s = bound(t)
    s.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 0)
    s.sendto(QUERY, (t.resolver, 53))


@attack(THEME, "a socket that was connected with its own address before it is bound to another", "cgroup", REASON)
def source_bound_later(t):
    s = free(t)
    s.connect((t.resolver, 53))
    checked(libc.connect(s.fileno(), bytes(28), 28), "connect")     # AF_UNSPEC: to nobody
    s.bind((t.to, 0))
    s.sendto(QUERY, (t.resolver, 53))


@attack(THEME, "a socket that was bound before the guard", "cgroup", REASON, early=True)
def source_early(t):
    s = bound(t)
    yield "load"
    s.sendto(QUERY, (t.resolver, 53))


@attack(THEME, "a TCP socket that was bound before the guard", "connect", REASON, early=True)
def source_early_tcp(t):
    s = bound(t, socket.SOCK_STREAM)
    yield "load"
    s.connect((t.allowed, 443))


@attack(THEME, "a DNS query for an allowed name, of a container", "cgroup", REASON, where="box")
def box_source_dns(t):
    bound(t).sendto(QUERY, (t.resolver, 53))


@attack(THEME, "a TCP connection to an allowed server, of a container", "connect", REASON, where="box")
def box_source_tcp(t):
    bound(t, socket.SOCK_STREAM).connect((t.allowed, 443))


def forwarded(t, source, data, protocol=craft.UDP, to=None):
    packet_socket().send(ether(t, craft.ip(source, to or t.resolver, protocol, data)))


@attack(THEME, "a DNS query in a frame of a container's, forwarded by the host", "uplink", REASON, where="box")
def box_source_frame(t):
    forwarded(t, t.to, craft.udp(t.to, t.resolver, 4444, 53, QUERY))


@attack(THEME, "the same from the address of a neighbour of the host's", "uplink", REASON, where="box", families=(4,))
def box_source_neighbour(t):
    forwarded(t, NEIGHBOUR, craft.udp(NEIGHBOUR, t.resolver, 4444, 53, QUERY))


@attack(THEME, "a SYN to an allowed server in a frame of a container's", "uplink", REASON, where="box")
def box_source_syn(t):
    forwarded(t, t.to, craft.tcp(t.to, t.allowed, 4444, 443, craft.SYN), craft.TCP, t.allowed)


@attack(THEME, "what looks like the answer of an inbound service, which is answered with a RST", "uplink", REASON,
        where="box", families=(4,))
def box_source_reply(t):
    forwarded(t, t.to, craft.tcp(t.to, t.resolver, 22, 50000, craft.ACK), craft.TCP)


@attack(THEME, "a DHCP request of a packet socket's, which is answered with what it said (ICMP)", "uplink", REASON,
        families=(4,), container=at_uplink("protocol-not-allowed"))
def packet_source_dhcp(t):
    data = craft.udp(t.to, t.router, 68, 67, t.marker)
    packet_socket().send(ether(t, craft.ip4(t.to, t.router, craft.UDP, data)))
