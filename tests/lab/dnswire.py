# SPDX-License-Identifier: MIT
"""DNS messages, just enough to ask, to answer and to lie. No I/O."""
import ipaddress
import struct
from dataclasses import dataclass, field

A, CNAME, SOA, AAAA, OPT = 1, 5, 6, 28, 41
TYPES = {"A": A, "CNAME": CNAME, "SOA": SOA, "AAAA": AAAA, "TXT": 16, "NS": 2, "MX": 15, "HTTPS": 65, "ANY": 255}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
TC = 0x0200


@dataclass
class Query:
    id: int
    name: str               # lower case, no final dot; the bytes as asked are in `question`
    qtype: int
    question: bytes         # name, type and class as they were sent
    udp_size: int = 512
    edns: bool = False


@dataclass
class Message:
    id: int
    rcode: int
    truncated: bool
    name: str
    qtype: int
    answers: list = field(default_factory=list)   # (owner, type, ttl, address, name or bytes)


def encode_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            raw = label.encode("latin-1")
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def decode_name(msg, at):
    """Returns (name, offset after it); a pointer loop or a cut name raises ValueError."""
    labels, after, hops = [], None, 0
    while True:
        if at >= len(msg) or hops > 64:
            raise ValueError("bad name")
        n = msg[at]
        if n & 0xC0 == 0xC0:
            after = at + 2 if after is None else after
            at, hops = struct.unpack_from("!H", msg + b"\0", at)[0] & 0x3FFF, hops + 1
        elif n == 0:
            return ".".join(labels), at + 1 if after is None else after
        else:
            labels.append(msg[at + 1:at + 1 + n].decode("latin-1"))
            at += 1 + n


def query(name, qtype="A", qid=0x4C41, edns=0):
    head = struct.pack("!6H", qid, 0x0100, 1, 0, 0, 1 if edns else 0)
    opt = struct.pack("!BHHIH", 0, OPT, edns, 0, 0) if edns else b""
    return head + encode_name(name) + struct.pack("!HH", TYPES.get(qtype, qtype), 1) + opt


def parse_query(msg):
    """Returns a Query, or None for what is not one."""
    try:
        qid, flags, qd, an, ns, ar = struct.unpack_from("!6H", msg)
        if flags & 0x8000 or qd != 1:
            return None
        name, at = decode_name(msg, 12)
        qtype, _ = struct.unpack_from("!HH", msg, at)
        q = Query(qid, name.lower(), qtype, msg[12:at + 4])
        if an == ns == 0 and ar and msg[at + 4:at + 7] == struct.pack("!BH", 0, OPT):
            q.edns, q.udp_size = True, max(512, struct.unpack_from("!H", msg, at + 7)[0])
        return q
    except (struct.error, ValueError):
        return None


def record(owner, rtype, ttl, value):
    """`owner` None is a pointer to the question's name; `ttl` may be any 32 bits."""
    if rtype in (A, AAAA):
        data = ipaddress.ip_address(value).packed
    elif rtype == CNAME:
        data = encode_name(value)
    else:
        data = value
    name = b"\xc0\x0c" if owner is None else encode_name(owner)
    return name + struct.pack("!HHIH", rtype, 1, ttl & 0xFFFFFFFF, len(data)) + data


def response(q, records=(), rcode=NOERROR, flags=0, qid=None, question=None, edns=True):
    opt = struct.pack("!BHHIH", 0, OPT, 1232, 0, 0) if q.edns and edns else b""
    head = struct.pack("!6H", q.id if qid is None else qid, 0x8180 | flags | rcode, 1, len(records), 0,
                       1 if opt else 0)
    return head + (q.question if question is None else question) + b"".join(records) + opt


def parse(msg):
    """A response as a Message; raises ValueError or struct.error on what is not one."""
    qid, flags, qd, an, _, _ = struct.unpack_from("!6H", msg)
    name, at = decode_name(msg, 12) if qd else ("", 12)
    qtype = struct.unpack_from("!H", msg, at)[0] if qd else 0
    out = Message(qid, flags & 15, bool(flags & TC), name, qtype)
    at += 4 if qd else 0
    for _ in range(an):
        owner, at = decode_name(msg, at)
        rtype, _, ttl, size = struct.unpack_from("!HHIH", msg, at)
        at += 10
        data = msg[at:at + size]
        if rtype in (A, AAAA):
            data = str(ipaddress.ip_address(data))
        elif rtype == CNAME:
            data = decode_name(msg, at)[0]
        out.answers.append((owner, rtype, ttl, data))
        at += size
    return out
