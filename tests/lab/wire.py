# SPDX-License-Identifier: MIT
"""The far end of the server's cable: every frame that leaves it, kept as a pcap file.

As a program (python3 -m lab.wire SERVER_NS ROUTER_NS DIR) it captures; `Wire` is what tests use. A sync is exact:
veth hands a frame to the CPU that sent it, first in first out, so a marker sent from each CPU comes after all that
was sent before. Markers skip the queueing layer and come from a packet socket older than any guard.
"""
import ctypes
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path

from . import frame

ETH_P_ALL, ETH_P_MARK = 3, 0x88B5       # 88B5: local experimental
SOL_PACKET, PACKET_STATISTICS, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 263, 6, 20, 23
SO_RCVBUFFORCE = 33
CLONE_NEWNET = 0x40000000
MARK = b"\x02oh\0\0\1\x02oh\0\0\2" + struct.pack("!H", ETH_P_MARK) + b"ohguard-lab"
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)    # nanoseconds, Ethernet


class Capture:
    def __init__(self, server_ns, router_ns, directory):
        self.token = 0
        self.seen = {}                  # token -> CPUs whose marker has come
        self.drops = 0
        self.out = open(directory / "wire.pcap", "wb")
        self.out.write(PCAP_HEADER)
        self.out.flush()
        enter(server_ns)
        self.near = packet_socket("eth0", 0)
        self.near.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        enter(router_ns)
        self.far = packet_socket("server", ETH_P_ALL)
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.bind(str(directory / "wire.new"))
        self.control.listen(8)
        os.rename(directory / "wire.new", directory / "wire.sock")      # appears only when all is ready

    def read(self):
        """Writes down all that has arrived."""
        while True:
            try:
                raw = self.far.recv(262144)
            except BlockingIOError:
                break
            except OSError:
                continue        # the interface went down: said once, and the rest is still there
            if raw.startswith(MARK):
                token, cpu = struct.unpack_from("!II", raw, len(MARK))
                self.seen.setdefault(token, set()).add(cpu)
                continue
            now = time.time_ns()
            self.out.write(struct.pack("<IIII", now // 10**9, now % 10**9, len(raw), len(raw)) + raw)
        self.drops += struct.unpack("II", self.far.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self.out.flush()

    def sync(self):
        """Returns once every frame sent before the call is in the file; an error text if the markers do not come."""
        self.token += 1
        allowed = os.sched_getaffinity(0)
        try:
            for cpu in allowed:
                os.sched_setaffinity(0, {cpu})
                self.near.send(MARK + struct.pack("!II", self.token, cpu) + bytes(40))
        except OSError as e:
            return f"cannot send a marker: {e}"
        finally:
            os.sched_setaffinity(0, allowed)
        deadline = time.monotonic() + 5
        while self.seen.get(self.token, set()) != allowed:
            if not select.select([self.far], [], [], max(0, deadline - time.monotonic()))[0]:
                return "markers do not come through: is the uplink down or filtered below the queueing layer?"
            self.read()
        self.seen.clear()
        return ""

    def serve(self):
        poll = select.poll()
        for s in (self.far, self.control):
            poll.register(s, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            self.read()
            if self.control.fileno() in ready:
                conn, _ = self.control.accept()
                with conn:
                    error = self.sync()
                    conn.send(f"{self.out.tell()} {self.drops} {error}".encode())


def packet_socket(interface, protocol):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    if protocol:
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.bind((interface, protocol))
    return s


def enter(netns):
    libc = ctypes.CDLL(None, use_errno=True)        # os.setns is new in Python 3.12
    fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {netns}")
    os.close(fd)


class Wire:
    """lab.wire: `mark = lab.wire.mark()`, do something, `lab.wire.since(mark)`."""

    def __init__(self, directory):
        self.dir = directory

    def mark(self):
        """A place in the capture, after everything sent so far."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(20)
            s.connect(str(self.dir / "wire.sock"))
            offset, drops, error = s.recv(4096).decode().split(" ", 2)
        if error:
            raise RuntimeError(f"wire: {error}")
        if drops != "0":
            raise RuntimeError(f"wire: {drops} frames were lost, so it proves nothing")
        return int(offset)

    def since(self, mark, **want):
        """Every frame that has left the server since `mark`; with want, those whose fields are equal to it."""
        return self._read(mark, self.mark(), want)

    def _ends_older(self, f, mark):
        """Whether a frame is the bare RST of a connection that is older than `mark`: the kernel's own answer, from no
        socket of the guarded cgroup, to what still came for one that is gone."""
        return f.proto == "tcp" and f.flags == "R" and not f.payload and bool(
            self._read(len(PCAP_HEADER), mark, dict(src=f.src, sport=f.sport, dst=f.dst, dport=f.dport)))

    def _read(self, mark, end, want):
        with open(self.dir / "wire.pcap", "rb") as f:
            f.seek(mark)
            data = f.read(end - mark)
        frames, at = [], 0
        while at < len(data):
            sec, nsec, size, _ = struct.unpack_from("<IIII", data, at)
            frames.append(frame.parse(data[at + 16:at + 16 + size], sec + nsec / 1e9))
            at += 16 + size
        return [f for f in frames if all(getattr(f, k) == v for k, v in want.items())]

    def traffic(self, mark, **want):
        """The same without ARP, neighbour discovery, MLD, and what ends the connections of an earlier test."""
        return [f for f in self.since(mark, **want) if not f.housekeeping and not self._ends_older(f, mark)]


def command(server_ns, router_ns, directory):
    return [sys.executable, "-m", "lab.wire", server_ns, router_ns, str(directory)]


if __name__ == "__main__":
    Capture(sys.argv[1], sys.argv[2], Path(sys.argv[3])).serve()
