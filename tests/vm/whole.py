# SPDX-License-Identifier: MIT
"""What a whole machine's own traffic needs beyond tests/lab.

usage: whole.py serve | close ADDRESS | ping ADDRESS | ended | imitate ADDRESS

serve: answers on port 8443, and ends each connection a while after the other side did. close: as a client that is done
first. ended: whether no connection of this namespace waits for its last ACK. imitate: waits for a line, then sends that
ACK from a raw socket that is older; prints the error.
"""
import socket
import struct
import sys
import threading
import time

PORT = 8443
LAST_ACK = "09"


def late_end(s):
    while s.recv(64):
        pass
    time.sleep(2)       # so that the other side's socket is no more than a memory of it
    s.close()


def serve():
    listening = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        threading.Thread(target=late_end, args=(listening.accept()[0],), daemon=True).start()


def states():
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}") as f:
            yield from (line.split()[3] for line in f.readlines()[1:])


def ended():
    for _ in range(100):
        if not {LAST_ACK, "08"} & set(states()):        # 08: CLOSE_WAIT, before it
            return 0
        time.sleep(0.2)
    print("states:", *states())
    return 1


def imitate(address):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        raw.sendto(struct.pack("!HHIIBBHHH", 4444, PORT, 1, 2, 0x50, 0x10, 1024, 0, 0), (address, 0))
        print("sent")
    except OSError as e:
        print(e.strerror)
    return 0


def close(address):
    with socket.create_connection((address, PORT), 10) as s:
        s.sendall(b"hello")
    return 0


def ping(address):
    """Its answer is made by the kernel."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as s:
        s.settimeout(10)
        s.sendto(b"\x08\0\0\0\0\0\0\x01", (address, 0))
        return s.recv(64)[0]        # 0 is an echo reply


COMMANDS = {"ping": ping, "serve": serve, "ended": ended, "close": close, "imitate": imitate}
sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]))
