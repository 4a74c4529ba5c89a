# SPDX-License-Identifier: MIT
"""The workload: sends what is forbidden by every door it has, without a pause, and answers questions on standard input.

All sockets but TCP's are older than any guard, so that no hook has a say but the one that judges packets. From the
first refusal on each packet bears a mark (`shut`): one of these on the wire is a leak, whatever the order of events.
TCP's SYN bears it as its source port, which is above SHUT_PORTS then.
"""
import errno
import select
import socket
import struct
import sys
import time

MARK = b"oh-fault"
SHUT_PORTS = 30000
TOP_PORT = 60000
PORT = 31338            # nobody listens: a SYN that gets through is answered by a reset, and that is all
IP_HDRINCL, IPV6_HDRINCL = 3, 36


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def datagram(payload):
    return struct.pack("!HHHH", 4444, PORT, 8 + len(payload), 0) + payload


def ip4(source, to, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(source, to, payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), 17, 64) + \
        socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to) + payload


class Sender:
    def __init__(self, own4, own6, to4, to6, near, gateway):
        self.shut, self.rounds, self.refused, self.port = False, 0, 0, 0
        self.packets = False        # by a packet socket: only an uplink's guard sees these
        self.to = {socket.AF_INET: to4, socket.AF_INET6: to6}
        self.udp = [(socket.socket(f, socket.SOCK_DGRAM), (to, PORT)) for f, to in self.to.items()]
        self.raw = []
        for family, level, option, make, own in (
                (socket.AF_INET, socket.IPPROTO_IP, IP_HDRINCL, ip4, own4),
                (socket.AF_INET6, socket.IPPROTO_IPV6, IPV6_HDRINCL, ip6, own6)):
            s = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
            s.setsockopt(level, option, 1)
            made = {shut: make(own, self.to[family], datagram(self.payload(b"raw", shut))) for shut in (False, True)}
            self.raw.append((s, (self.to[family], 0), made))
        self.link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.link.bind(("eth0", 0))
        frame = bytes.fromhex(gateway.replace(":", "")) + bytes.fromhex(near.replace(":", "")) + b"\x08\0"
        self.frames = {shut: frame + ip4(own4, to4, datagram(self.payload(b"link", shut))) for shut in (False, True)}

    def payload(self, door, shut):
        return MARK + (b"S" if shut else b"o") + door

    def attempt(self, send, *args):
        """Whether it was let through."""
        try:
            send(*args)
        except BlockingIOError:
            return True                     # a SYN on its way
        except OSError as e:
            if e.errno == errno.EPERM:
                self.refused += 1
                self.shut = True
                return False
            return e.errno in (errno.ENOBUFS, errno.ECONNREFUSED)
        return True

    def knock(self, family):
        s = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.port += 1
            s.bind(("",
                    (SHUT_PORTS if self.shut else 10000) + self.port % (TOP_PORT - SHUT_PORTS if self.shut else 20000)))
            return self.attempt(s.connect, (self.to[family], PORT))
        except OSError:
            return False                    # the port is taken
        finally:
            s.close()

    def round(self):
        """How many of the doors let one through that tell: where a SYN ends only the wire shows."""
        passed = sum(self.attempt(s.sendto, self.payload(b"udp", self.shut), to) for s, to in self.udp)
        passed += sum(self.attempt(s.sendto, made[self.shut], to) for s, to, made in self.raw)
        for family in self.to:
            self.knock(family)
        if self.packets:
            try:
                self.link.send(self.frames[self.shut])
            except OSError:
                pass                        # the queue is full
        self.rounds += 1
        return passed

    def answer(self, verb, *args):
        if verb == "reset":
            self.shut = False
        elif verb == "shut":
            self.shut = True
        elif verb == "packets":
            self.packets = args[0] == "on"
        elif verb == "round":
            return self.round()
        elif verb == "rounds":
            return self.rounds
        elif verb == "connect":
            return connect(*args)
        return "done"

    def run(self):
        print("open", flush=True)
        while True:
            open_ = self.round() > 0
            if select.select([sys.stdin], [], [], 0)[0]:
                line = sys.stdin.readline().split()
                if not line:
                    return
                print(self.answer(*line), flush=True)
            time.sleep(0.001 if open_ else 0.00002)     # what passes need not be more than can be counted


def connect(host, port):
    try:
        socket.create_connection((host, int(port)), 5).close()
        return "ok"
    except OSError as e:
        return errno.errorcode.get(e.errno, "timeout")


if __name__ == "__main__":
    Sender(*sys.argv[1:]).run()
