# SPDX-License-Identifier: MIT
"""The table of attacks: what one is, and the list that the modules of this folder fill."""
import errno
import hashlib
import ipaddress
import socket
from dataclasses import dataclass, field

DOCKER = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE",
          "NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP")      # what its engine gives to root
TABLE = {}
# What the machine lacks, and not what a guard says: an attack that ends so has not been tried.
LACKING = {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EAFNOSUPPORT, errno.ENOPROTOOPT, errno.EOPNOTSUPP,
           errno.ENOSYS, errno.ENODEV}


class Unavailable(Exception):
    """This machine cannot try it; the text says why."""


@dataclass(frozen=True)
class Contained:
    """What becomes of an attack in a container of Docker's, bridged, where it is not what its row says of a process."""
    reason: str | None = None   # the counter that moves instead; "" for none, None for the row's
    told: str = ""              # for the document
    ends: str = ""              # why a run without a guard cannot show that it works: it gets no further there


BRIDGE = "it ends at Docker's bridge, which passes on nothing of the kind"
JOINED = "NAT has the host's kernel put fragments together first, and drop what does not fit"
ROUTED = "the host's kernel forwards no source routes"


def at_uplink(reason):
    """It is stopped at the uplink, by another counter."""
    return Contained(reason, f"uplink: {reason}")


def held(reason):
    """It is refused, or held for good as a part of something larger, which nothing counts."""
    return Contained("", f"uplink: {reason}, or held")


def ends(why):
    """It gets no further, whether there is a guard or not: nothing is counted."""
    return Contained("", f"nothing has to: {why}", why)


def unseen(why):
    """The guard stops it in the container itself, as its row says; without one it would get no further."""
    return Contained(ends=why)


@dataclass(frozen=True)
class Attack:
    name: str
    theme: str
    what: str
    act: object             # a function of a Try; a generator where it needs something done outside: see Field.do
    family: int             # 4 or 6
    stop: str               # what stops it first: connect, sock_create, cgroup, uplink, lsm
    reason: str             # the counter that moves; "" where the kernel refuses before the guard is asked
    caps: tuple = ()        # beyond Docker's defaults
    where: str = "host"     # or "box": a container with a network namespace of its own, behind a bridge and NAT
    early: bool = False     # begins before the guard is loaded
    leaves: str = ""        # known to get out: why, as docs/threat-model.md has it
    # the counter that moves instead where the uplink is guarded too: it may stop what else gets out
    uplink: str = ""
    unseen: str = ""        # why a run without a guard cannot show that it works
    container: Contained = Contained()      # by family, {4: ..., 6: ...}, where the two differ


def not_for_containers(a):
    """Why it is none, or None."""
    if "SYS_ADMIN" in a.caps:
        return "a container with CAP_SYS_ADMIN counts as root on the host"
    return {"outside": "no container begins outside of the guarded cgroup",
            "both": "needs a process on the host network"}.get(a.where)


@dataclass
class Try:
    """One attempt: whom to reach, and the bytes that nobody else sends."""
    name: str
    family: int
    to: str
    port: int = 31337
    source: str = ""
    resolver: str = ""
    clock: str = ""
    allowed: str = ""       # an address of api.openai.com
    shared: str = ""        # a CDN's address: files.cdn.example is allowed there, tenant.cdn.example is not
    unused: str = ""        # an address that leads here and that nobody has
    router: str = ""        # the next hop
    hops: int = 1           # to the first router outside
    own_mac: bytes = b"\2oh\0\0\1"
    router_mac: bytes = b"\xff" * 6     # the lab's router takes what is for all
    marker: bytes = field(default=b"")

    def __post_init__(self):
        self.marker = marker(self.name)

    @property
    def af(self):
        return socket.AF_INET if self.family == 4 else socket.AF_INET6

    @property
    def label(self):
        """The marker as a DNS label."""
        return self.marker.decode()

    def socket(self, kind=socket.SOCK_DGRAM, protocol=0, timeout=1.0):
        s = socket.socket(self.af, kind, protocol)
        s.settimeout(timeout)
        return s

    def connected(self, address, port, timeout=1.0):
        s = self.socket(socket.SOCK_STREAM, timeout=timeout)
        s.connect((address, port))
        return s


def marker(name):
    """Eight bytes, as small as the data of the first fragment may be."""
    return b"oh" + hashlib.sha256(name.encode()).hexdigest()[:6].encode()


def attack(theme, what, stop, reason, families=(4, 6), **more):
    """Enters a function into the table, once for each family."""
    def enter(act):
        for family in families:
            name = act.__name__ + (str(family) if len(families) > 1 else "")
            assert name not in TABLE, name
            its = {k: v[family] if isinstance(v, dict) else v for k, v in more.items()}
            TABLE[name] = Attack(name, theme, what, act, family, stop, reason, **its)
        return act
    return enter


def packed(address):
    return ipaddress.ip_address(address).packed
