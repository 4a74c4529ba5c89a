# SPDX-License-Identifier: MIT
"""Amazon's time service: chronyd as a server that leaves the machine's clock alone. As a program: an NTP query.

usage: python3 -m lab.ntp SERVER
"""
import socket
import struct
import sys
import time

from . import topology

CONFIG = """
local stratum 3
allow
bindcmdaddress /
cmdport 0
pidfile {dir}/chronyd.pid
{binds}
"""
ERA = 2208988800        # from 1900 to 1970


def chronyd(directory):
    binds = "\n".join(f"bindaddress {a}" for a in topology.TIME)
    (directory / "chrony.conf").write_text(CONFIG.format(dir=directory, binds=binds), encoding="utf-8")
    # -x: never touches the system clock, which all namespaces share.
    return ["chronyd", "-d", "-x", "-u", "root", "-f", str(directory / "chrony.conf")]


def stamp(now=None):
    now = time.time() if now is None else now
    return struct.pack("!II", int(now) + ERA & 0xFFFFFFFF, int(now % 1 * (1 << 32)))


def request():
    """A plain client request: version 4, mode 3, nothing but the transmit time."""
    return b"\x23" + bytes(39) + stamp()


def reply(req):
    """What a server that lies about nothing but its right to serve would say."""
    return b"\x24\x01\x06\xe9" + bytes(8) + b"LAB\0" + stamp() + req[40:48].ljust(8, b"\0") + stamp() * 2


def query(server, timeout=3):
    """Returns the server's stratum; raises OSError when refused or unanswered, ValueError on another's answer."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    req = request()
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect((server, 123))
        s.send(req)
        ans = s.recv(512)
    if len(ans) < 48 or ans[0] & 7 != 4 or ans[24:32] != req[40:48]:
        raise ValueError("not an answer to this request")
    return ans[1]


if __name__ == "__main__":
    try:
        print("stratum", query(sys.argv[1]))
    except (OSError, ValueError) as e:
        sys.exit(f"ntp {sys.argv[1]}: {e}")
