# SPDX-License-Identifier: MIT
"""Tries without end to get a marker out over eth0: a socket that is older than the guard, and frames past all sockets.

With /run/open in place the marker is another one, so that what must not leave is told from what may."""

import os
import socket
import time

FORBIDDEN = ("10.0.2.2", 443)  # on the same link: there is no default route
LAN = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5"  # an Ethernet header, of the type for experiments


def attempt(send):
    try:
        send()
    except OSError:
        pass


old = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
old.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
while True:
    mark = b"oh-open-" if os.path.exists("/run/open") else b"oh-shut-"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as new:
        attempt(lambda: new.sendto(mark + b"datagram", FORBIDDEN))
    attempt(lambda: old.sendto(mark + b"datagram", FORBIDDEN))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
        attempt(lambda: packet.sendto(LAN + mark + b"frame", ("eth0", 0x88B5)))
    time.sleep(0.1)
