# SPDX-License-Identifier: MIT
"""A captured Ethernet frame, taken apart. Never raises: what cannot be read is `malformed` and keeps its bytes."""
import ipaddress
import struct
from dataclasses import dataclass, field

PROTOCOLS = {1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 17: "udp", 33: "dccp", 41: "ip6ip", 47: "gre", 50: "esp",
             58: "icmp6", 132: "sctp", 136: "udplite"}
EXTENSIONS = {0: "hop-by-hop", 43: "routing", 44: "fragment", 51: "auth", 60: "destination"}
NEIGHBOUR = {130, 131, 132, 133, 134, 135, 136, 137, 143}     # MLD and neighbour discovery


@dataclass
class Frame:
    raw: bytes
    time: float = 0.0
    proto: str = ""             # "tcp", "udp", "icmp", "icmp6", "arp", "ip-99", "eth-88cc", ...
    src: str = ""
    dst: str = ""
    sport: int = None
    dport: int = None
    flags: str = ""             # TCP: of "FSRPAU"
    icmp_type: int = None
    hops: int = None
    fragment: int = None        # offset in bytes when it is a fragment, else None
    more: bool = False          # more fragments follow
    extensions: list = field(default_factory=list)
    payload: bytes = b""
    malformed: str = ""

    @property
    def housekeeping(self):
        """What a host must send to live on its link, whoever it guards: ARP, neighbour discovery, MLD."""
        return self.proto == "arp" or (self.proto == "icmp6" and self.icmp_type in NEIGHBOUR)

    def __str__(self):
        port = f":{self.sport} > {self.dst}:{self.dport}" if self.dport is not None else f" > {self.dst}"
        parts = [f"{self.proto} {self.src}{port}", self.flags,
                 f"type {self.icmp_type}" if self.icmp_type is not None else "",
                 f"fragment at {self.fragment}" if self.fragment is not None else "",
                 " ".join(self.extensions), f"{len(self.payload)} bytes", self.malformed]
        return " ".join(p for p in parts if p)

    __repr__ = __str__


def parse(raw, time=0.0):
    f = Frame(raw, time)
    try:
        ethertype, at = struct.unpack_from("!H", raw, 12)[0], 14
        while ethertype in (0x8100, 0x88A8):
            f.extensions.append("vlan")
            ethertype, at = struct.unpack_from("!H", raw, at + 2)[0], at + 4
        f.payload = raw[at:]
        if ethertype == 0x0800:
            _ip4(f, raw[at:])
        elif ethertype == 0x86DD:
            _ip6(f, raw[at:])
        elif ethertype == 0x0806:
            f.proto = "arp"
            f.src, f.dst = (str(ipaddress.IPv4Address(raw[at + o:at + o + 4])) for o in (14, 24))
        else:
            f.proto = f"eth-{ethertype:04x}"
    except (struct.error, ValueError, IndexError) as e:
        f.malformed = f"cut short: {e}"
    return f


def _ip4(f, p):
    f.proto = "ip"
    f.src, f.dst = (str(ipaddress.IPv4Address(p[o:o + 4])) for o in (12, 16))
    f.hops = p[8]
    size, total = (p[0] & 15) * 4, struct.unpack_from("!H", p, 2)[0]
    if p[0] >> 4 != 4 or size < 20 or total < size or total > len(p):
        f.malformed = f"header {size}, total {total} of {len(p)}"
    if size > 20:
        f.extensions.append("options")
    word = struct.unpack_from("!H", p, 6)[0]
    if word & 0x3FFF:
        f.fragment, f.more = (word & 0x1FFF) * 8, bool(word & 0x2000)
    _transport(f, p[9], p[max(size, 20):total if total >= size else None])


def _ip6(f, p):
    f.proto = "ip6"
    f.src, f.dst = (str(ipaddress.IPv6Address(p[o:o + 16])) for o in (8, 24))
    f.hops, nxt = p[7], p[6]
    total = 40 + struct.unpack_from("!H", p, 4)[0]
    if total > len(p):
        f.malformed = f"total {total} of {len(p)}"
    at = 40
    while nxt in EXTENSIONS:
        f.extensions.append(EXTENSIONS[nxt])
        if nxt == 44:
            word = struct.unpack_from("!H", p, at + 2)[0]
            f.fragment, f.more = word & 0xFFF8, bool(word & 1)
            nxt, at = p[at], at + 8
            if f.fragment:
                break               # what follows is the middle of something
        else:
            size = (p[at + 1] + 2) * 4 if nxt == 51 else (p[at + 1] + 1) * 8
            nxt, at = p[at], at + size
    # A jumbogram or a GSO packet says 0; take what is there.
    _transport(f, nxt, p[at:total if total > 40 else None])


def _transport(f, number, p):
    f.proto, f.payload = PROTOCOLS.get(number, f"ip-{number}"), p
    if f.fragment:
        return
    if f.proto in ("tcp", "udp", "udplite", "sctp", "dccp"):
        f.sport, f.dport = struct.unpack_from("!HH", p)
    if f.proto == "tcp":
        f.flags = "".join(c for i, c in enumerate("FSRPAU") if p[13] & 1 << i)
        f.payload = p[max(p[12] >> 4, 5) * 4:]
    elif f.proto in ("udp", "udplite"):
        f.payload = p[8:]
    elif f.proto in ("icmp", "icmp6"):
        f.icmp_type, f.payload = p[0], p[8:]
