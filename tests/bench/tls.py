# SPDX-License-Identifier: MIT
"""Traffic over TLS, as programs make it.

  tls.py serve PORT CERTIFICATE KEY               prints "ready"
  tls.py exchange|request|trips|up|down ADDRESS PORT NAME CA   prints one number, or three for trips

exchange: microseconds from connect() to the answer of a first request, the least of a few. request: microseconds of one
on a connection that stays. trips: the same as p50, p99 and p99.9, while another connection uploads. up, down: Gb/s;
up16, down16: of 16 connections."""
import socket
import ssl
import struct
import sys
import threading
import time

CHUNK, TOTAL = 1 << 18, 96 << 20
EXCHANGES, REQUESTS, TRIPS = 20, 400, 1500


def answer(s):
    """A connection: up (u) or down (d) with a size, or a request of 100 bytes (r)."""
    chunk = bytes(CHUNK)
    with s:
        while head := s.recv(9):
            kind, size = head[:1], struct.unpack("!Q", head[1:].ljust(8, b"\0"))[0]
            while kind == b"d" and size > 0:
                size -= s.send(chunk[:min(size, CHUNK)])
            while kind == b"u" and size > 0:
                size -= len(s.recv(CHUNK)) or size
            s.sendall(b"." if kind == b"u" else b"." * 100 if kind == b"r" else b"")


def serve(port, certificate, key):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("", int(port)), backlog=128)
    print("ready", flush=True)

    def one(plain):
        try:
            answer(context.wrap_socket(plain, server_side=True))
        except OSError:
            plain.close()

    while True:
        threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()


class Client:
    def __init__(self, address, port, name, ca):
        self.to, self.name, self.context = (address, int(port)), name, ssl.create_default_context(cafile=ca)

    def connect(self):
        s = socket.create_connection(self.to, timeout=20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(s, server_hostname=self.name)

    @staticmethod
    def request(s):
        s.sendall(b"r" + bytes(8))
        left = 100
        while left:
            left -= len(s.recv(left)) or left

    def timed(self, count):
        """Microseconds of each request on a connection that stays."""
        with self.connect() as s:
            self.request(s)
            times = []
            for _ in range(count):
                start = time.perf_counter()
                self.request(s)
                times.append((time.perf_counter() - start) * 1e6)
            return times

    def move(self, kind, size):
        with self.connect() as s:
            s.sendall(kind + struct.pack("!Q", size))
            chunk = bytes(CHUNK)
            if kind == b"u":
                for _ in range(size // CHUNK):
                    s.sendall(chunk)
                s.recv(1)
            while kind == b"d" and size > 0:
                size -= len(s.recv(CHUNK)) or size

    def exchange(self):
        times = []
        for _ in range(EXCHANGES):
            start = time.perf_counter()
            with self.connect() as s:
                self.request(s)
                times.append((time.perf_counter() - start) * 1e6)
        return [sorted(times)[EXCHANGES // 2]]

    def rate(self, kind, streams):
        threads = [threading.Thread(target=self.move, args=(kind, TOTAL // streams)) for _ in range(streams)]
        start = time.perf_counter()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return [TOTAL * 8 / (time.perf_counter() - start) / 1e9]

    def trips(self):
        over = threading.Event()

        def load():
            with self.connect() as s:
                while not over.is_set():
                    s.sendall(b"u" + struct.pack("!Q", CHUNK) + bytes(CHUNK))
                    s.recv(1)
        thread = threading.Thread(target=load)
        thread.start()
        times = sorted(self.timed(TRIPS))
        over.set()
        thread.join()
        return [times[int(TRIPS * part)] for part in (0.5, 0.99, 0.999)]


def main():
    kind, *args = sys.argv[1:]
    if kind == "serve":
        serve(*args)
    c = Client(*args)
    if kind.rstrip("16") in ("up", "down"):
        result = c.rate(kind[:1].encode(), 16 if kind.endswith("16") else 1)
    else:
        result = {"exchange": c.exchange, "trips": c.trips,
                  "request": lambda: [sorted(c.timed(REQUESTS))[REQUESTS // 2]]}[kind]()
    print(*(f"{r:.4f}" for r in result))


if __name__ == "__main__":
    main()
