#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs attacks, each in a process of its own with what Docker gives to root.

usage: attack.py --list
       attack.py NAME... | - [--to ADDRESS] [--to6 ADDRESS] [--box NETNS | --inside] [--set KEY=ADDRESS]
                 [--mac OWN ROUTER]

With - it reads names, one a line. Prints one line for each: NAME sent | refused ERROR | unavailable WHY. Where one
needs something done outside (that the guard be loaded, that its process be moved) it prints NAME waits WHAT and goes
on at the next line of its input.
Whether a byte got out is for the wire to say, and not for this program.
"""
import argparse
import inspect
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
# They fill the table:
import families, flows, link, local, names, place, raw, sockets, sources, tls    # noqa: E401,E402,F401
import kernel                                   # noqa: E402
from table import DOCKER, LACKING, TABLE, Try, Unavailable      # noqa: E402

LAB = {4: {"to": "203.0.113.66", "source": "10.0.1.10", "router": "10.0.1.1", "resolver": "10.0.0.2",
           "clock": "169.254.169.123", "allowed": "203.0.113.10", "shared": "198.51.100.50", "unused": "10.0.1.76"},
       6: {"to": "2001:db8:66::66", "source": "fd00:1::10", "router": "fd00:1::1", "resolver": "fd00:ec2::253",
           "clock": "fd00:ec2::123", "allowed": "2001:db8:10::10", "shared": "2001:db8:50::50"}}
IN_BOX = {4: "172.30.0.2", 6: "fd00:30::2"}
BOX_MAC, BRIDGE_MAC = b"\2oh\0\0\x0b", b"\2oh\0\0\x0a"     # the harness chose them
PATIENCE = 20       # seconds, for an attack that hangs


def enter(attack, args, t):
    """Into the place of the attack, and down to its capabilities."""
    if args.inside:
        kernel.keep_caps((*DOCKER, *attack.caps))
        return
    if attack.where in ("box", "both") and not args.box:
        raise Unavailable("needs a container: --box")
    if attack.where in ("box", "both"):
        t.own_mac, t.router_mac = BOX_MAC, BRIDGE_MAC
    if attack.where == "box":
        kernel.setns(args.box)
        t.source = IN_BOX[attack.family]
    if attack.where == "both":
        # As of a second process of the attacker's, in the container.
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        kernel.setns(args.box)
        t.box = link.packet_socket()
        kernel.setns(f"/proc/self/fd/{home}")
    if "SYS_ADMIN" not in attack.caps:
        kernel.hide("/sys/fs/bpf")
    kernel.keep_caps((*DOCKER, *attack.caps))


def act(attack, t):
    """Plays it through, stopping where it waits."""
    result = attack.act(t)
    if inspect.isgenerator(result):
        for wish in result:
            signal.alarm(0)
            print(attack.name, "waits", wish, flush=True)
            if not sys.stdin.readline():
                raise Unavailable(f"nobody to do: {wish}")
            signal.alarm(PATIENCE)


def run(attack, args):
    t = Try(attack.name, attack.family, **{**LAB[attack.family], **args.addresses[attack.family]})
    if args.mac:
        t.own_mac, t.router_mac = args.mac
    if args.inside:
        t.hops = 2
    signal.alarm(PATIENCE)
    try:
        enter(attack, args, t)
        act(attack, t)
        return "sent"
    except Unavailable as e:
        return f"unavailable {e}"
    except OSError as e:
        if e.errno in LACKING:
            return f"unavailable {os.strerror(e.errno)}"
        return f"refused {e}"


def forked(attack, args):
    pid = os.fork()
    if not pid:
        status = 1
        try:
            print(attack.name, run(attack, args), flush=True)
            status = 0
        except BaseException as e:
            print(attack.name, "broken", repr(e), flush=True)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", metavar="NAME")
    p.add_argument("--list", action="store_true", help="names and what they try")
    p.add_argument("--to", help="the attacker's IPv4 address")
    p.add_argument("--to6", help="the attacker's IPv6 address")
    p.add_argument("--set", action="append", default=[], metavar="KEY[6]=ADDRESS",
                   help="source, unused, router, resolver, clock, allowed or shared")
    p.add_argument("--mac", nargs=2, metavar=("OWN", "ROUTER"), type=lambda s: bytes.fromhex(s.replace(":", "")),
                   help="hardware addresses")
    p.add_argument("--inside", action="store_true", help="this is a container already")
    p.add_argument("--box", help="a container's network namespace, as a path")
    args = p.parse_args()
    if args.list:
        for a in TABLE.values():
            print(f"{a.name:28} IPv{a.family} {a.stop or '-':12} {a.theme}: {a.what}")
        return 0
    args.addresses = {4: {}, 6: {}}
    for key, value in [("to", args.to), ("to6", args.to6), *(s.split("=", 1) for s in args.set)]:
        if value:
            args.addresses[6 if key.endswith("6") else 4][key.removesuffix("6")] = value
    if args.names == ["-"]:
        # Not by iterating, which reads ahead: an attack reads from it too.
        while name := sys.stdin.readline().strip():
            forked(TABLE[name], args)
        return 0
    unknown = [n for n in args.names if n not in TABLE]
    if unknown or not args.names:
        p.error(f"no such attack: {' '.join(unknown)}" if unknown else "which attack? See --list")
    return max(forked(TABLE[n], args) != 0 for n in args.names)


if __name__ == "__main__":
    sys.exit(main())
