# SPDX-License-Identifier: MIT
"""Socket families that no hook of the engine sees. Python knows few of their addresses, so they are made by hand."""
import ctypes
import os
import socket
import struct

from kernel import checked, libc
from table import LACKING, Unavailable, at_uplink, attack, ends, packed

THEME = "socket families"
KEY, RDS, TIPC, ALG, VSOCK, KCM, SMC = 15, 21, 30, 38, 40, 41, 43
# Not those of the other hooks, and those that have a row of their own.
OTHERS = sorted(set(range(1, 64)) - {1, 2, 10, 16, 17, 44, KEY, RDS, TIPC, ALG, VSOCK, KCM, SMC})
HERE = ends("no device of the family leads out of a container")
NOWHERE = "no wire of the lab's is of that kind"


def family(what, unseen=NOWHERE, container=HERE, **more):
    return attack(THEME, what, "lsm", "family-not-allowed", (4,), unseen=unseen, container=container, **more)


def call(function, s, address, *rest):
    """bind or connect by an address that Python cannot make."""
    checked(getattr(libc, function)(s.fileno(), address, len(address), *rest), function)


def send(s, data, address):
    checked(libc.sendto(s.fileno(), data, len(data), 0, address, len(address)), "sendto")


def ip4_address(address, port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + packed(address) + bytes(8)


@family("AF_VSOCK: a stream to the hypervisor's side", unseen="here it goes to the kernel itself (CID 1)")
def vsock(t):
    s = socket.socket(VSOCK, socket.SOCK_STREAM)
    s.settimeout(1)
    s.connect((1, t.port))
    s.send(t.marker)


@family("AF_RDS: a datagram, which a thread of the kernel's carries over a TCP connection of its own", "",
        container=at_uplink("forwarded"), uplink="address-not-allowed")
def rds(t):
    s = socket.socket(RDS, socket.SOCK_SEQPACKET)
    call("bind", s, ip4_address(t.source, t.port))
    s.setsockopt(276, 8, struct.pack("I", 2))       # SO_RDS_TRANSPORT: TCP
    send(s, t.marker, ip4_address(t.to, t.port))


@family("AF_TIPC: a datagram to a service of another node")
def tipc(t):
    s = socket.socket(TIPC, socket.SOCK_RDM)
    s.sendto(t.marker, (2, 31337, 1, 0, 2))         # by name, within the cluster


@family("AF_SMC: a stream that leaves by RDMA, or falls back to TCP")
def smc(t):
    s = socket.socket(SMC, socket.SOCK_STREAM)
    s.settimeout(1)
    call("connect", s, ip4_address(t.to, t.port))
    s.send(t.marker)


@attack(THEME, "SMC as a protocol of AF_INET (from Linux 6.11 on)", "sock_create", "raw-socket", unseen=NOWHERE)
def smc_protocol(t):
    t.socket(socket.SOCK_STREAM, 256).connect((t.to, t.port))


def l2tp_address(t, address, connection):
    six = b"" if t.family == 4 else bytes(4)       # flow and scope
    whole = struct.pack("=HH", t.af, 0) + six + packed(address) + six + struct.pack("=I", connection)
    return whole.ljust(16, b"\0")


@attack(THEME, "L2TP as a protocol of AF_INET", "sock_create", "raw-socket")
def l2tp(t):
    s = t.socket(socket.SOCK_DGRAM, 115)
    call("bind", s, l2tp_address(t, t.source, 8))
    send(s, t.marker, l2tp_address(t, t.to, 7))


@family("AF_KEY: a socket to the keys of IPsec", caps=("NET_ADMIN",))
def key(t):
    s = socket.socket(KEY, socket.SOCK_RAW, 2)
    s.send(struct.pack("=BBBBHHII", 2, 7, 3, 0, 2, 0, 1, os.getpid()))     # SADB_REGISTER


@family("AF_ALG: the kernel's ciphers, which devices may compute")
def alg(t):
    s = socket.socket(ALG, socket.SOCK_SEQPACKET)
    s.bind(("hash", "sha256"))
    s.accept()[0].send(t.marker)


@family("AF_KCM: messages over a TCP connection, sent by a thread of the kernel's")
def kcm(t):
    socket.socket(KCM, socket.SOCK_DGRAM).send(t.marker)


@family("every other family (PPPoX, X.25, CAN, Bluetooth, MCTP, QIPCRTR, RxRPC): a socket of any type")
def other_families(t):
    errors = set()
    for number in OTHERS:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
            try:
                socket.socket(number, kind)
                return      # there is one
            except OSError as e:
                errors.add(e.errno)
    if errors <= LACKING:
        raise Unavailable("this kernel has none of them")
    raise OSError(min(errors - LACKING), os.strerror(min(errors - LACKING)))
