# SPDX-License-Identifier: MIT
"""Packets by hand. Checksums are right unless said otherwise, so that a refusal is never for a slip of ours."""
import struct
import zlib

from table import packed

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(source, to, protocol, size):
    if ":" in to:
        return packed(source) + packed(to) + struct.pack("!II", size, protocol)
    return packed(source) + packed(to) + struct.pack("!HH", protocol, size)


def udp(source, to, sport, dport, data):
    head = struct.pack("!HHH", sport, dport, 8 + len(data))
    total = checksum(pseudo(source, to, UDP, 8 + len(data)) + head + b"\0\0" + data)
    return head + struct.pack("!H", total or 0xFFFF) + data


def tcp(source, to, sport, dport, flags, data=b"", seq=0x6F680001, ack=0x6F680002, options=b"", urgent=0):
    head = struct.pack("!HHIIBBH", sport, dport, seq, ack if flags & ACK else 0, (20 + len(options)) << 2, flags, 64240)
    tail = struct.pack("!H", urgent) + options + data
    whole = head + b"\0\0" + tail
    return head + struct.pack("!H", checksum(pseudo(source, to, TCP, len(whole)) + whole)) + tail


def icmp(kind, data, code=0):
    head = struct.pack("!BB", kind, code)
    return head + struct.pack("!H", checksum(head + b"\0\0" + data)) + data


def icmp6(source, to, kind, data, code=0):
    head = struct.pack("!BB", kind, code)
    whole = head + b"\0\0" + data
    return head + struct.pack("!H", checksum(pseudo(source, to, ICMP6, len(whole)) + whole)) + data


def ip4(source, to, protocol, data, offset=0, more=False, options=b"", ttl=64, ident=0x6F68):
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | size >> 2, 0, size + len(data), ident, offset >> 3 | (0x2000 if more else 0),
                       ttl, protocol, 0) + packed(source) + packed(to) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data


def ip6(source, to, first, data, hops=64):
    return struct.pack("!IHBB", 0x60000000, len(data), first, hops) + packed(source) + packed(to) + data


def ip(source, to, protocol, data, **kw):
    return (ip6 if ":" in to else ip4)(source, to, protocol, data, **kw)


def options6(following, data=b""):
    """A hop-by-hop or destination options header: padding that holds data."""
    size = -(-(4 + len(data)) // 8) * 8
    body = bytes([30, len(data)]) + data        # 30: an experiment, skipped where not known
    pad = size - 2 - len(body)
    return bytes([following, size // 8 - 1]) + body + (b"" if not pad else b"\0" if pad == 1
                                                       else bytes([1, pad - 2]) + bytes(pad - 2))


def routing6(following, to, kind=0):
    return bytes([following, 2, kind, 1]) + bytes(4) + packed(to)


def fragment6(following, offset=0, more=False, ident=0x6F68):
    return struct.pack("!BBHI", following, 0, offset | more, ident)


def query(name, qtype=1, tail=b"", counts=(1, 0, 0, 0), flags=0x0100):
    return struct.pack("!HH4H", 0x6F68, flags, *counts) + wire_name(name) + struct.pack("!HH", qtype, 1) + tail


def wire_name(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"


def answer(name, address, ident):
    """An A or AAAA record for the name."""
    data = packed(address)
    return (struct.pack("!HH4H", ident, 0x8180, 1, 1, 0, 0) + wire_name(name) +
            struct.pack("!HH", 28 if len(data) == 16 else 1, 1) +
            b"\xc0\x0c" + struct.pack("!HHIH", 28 if len(data) == 16 else 1, 1, 300, len(data)) + data)


def extension(kind, data):
    return struct.pack("!HH", kind, len(data)) + data


def server_name(name):
    name = name.encode()
    return extension(0, struct.pack("!HBH", len(name) + 3, 0, len(name)) + name)


def extensions(*more):
    """What a TLS 1.2 server wants of a client: curves, point format, signatures."""
    return b"".join((extension(10, struct.pack("!HHH", 4, 29, 23)), extension(11, b"\1\0"),
                     extension(13, struct.pack("!H6H", 12, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501)), *more))


def hello(data, *more, session=b""):
    """A ClientHello in one record; data stands in the random bytes."""
    ciphers = struct.pack("!6H", 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
    exts = extensions(*more)
    body = (b"\3\3" + data.ljust(32, b"r")[:32] + bytes([len(session)]) + session + struct.pack("!H", len(ciphers)) +
            ciphers + b"\1\0" + struct.pack("!H", len(exts)) + exts)
    shake = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + struct.pack("!H", len(shake)) + shake


def hello13(data, name, share=None, session=b"s" * 32, early=b"", more=b""):
    """A TLS 1.3 hello; without a key share, for which the server asks for a second one (HelloRetryRequest)."""
    key = struct.pack("!HH", 29, 32) + share if share else b""
    body = b"\3\3" + data.ljust(32, b"r")[:32] + bytes([len(session)]) + session
    body += struct.pack("!H3H", 6, 0x1301, 0x1302, 0x1303) + b"\1\0"
    exts = extensions(server_name(name), extension(43, b"\2\3\4"), extension(45, b"\1\1"),
                      extension(51, struct.pack("!H", len(key)) + key), early, more)
    shake = body + struct.pack("!H", len(exts)) + exts
    return record(22, b"\1" + len(shake).to_bytes(3, "big") + shake)


def record(kind, data):
    return struct.pack("!BHH", kind, 0x0303, len(data)) + data


def sctp_init(sport, dport, data):
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20 + len(data), 0x6F68, 65535, 1, 1, 1) + data
    head = struct.pack("!HHI", sport, dport, 0)
    crc = zlib.crc32(head + bytes(4) + chunk)       # not SCTP's polynomial: the far side need not agree
    return head + struct.pack("<I", crc) + chunk
