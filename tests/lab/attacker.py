# SPDX-License-Identifier: MIT
"""attacker.example: takes whatever comes on many ports, keeps every byte, and answers DNS and NTP as a rogue would."""
import json
import os
import selectors
import socket
import sys

from . import dns, dnswire, ntp, topology

ROGUE = {"*": {"kind": "answer", "a": [topology.ATTACKER[0]], "aaaa": [topology.ATTACKER[1]], "ttl": 5}}


def command(directory):
    return [sys.executable, "-m", "lab.attacker", str(directory / "attacker.loot")]


def loot(directory):
    """What it received, oldest first: {proto, port, from, data (bytes)}; a TCP connection alone has empty data."""
    path = directory / "attacker.loot"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{**line, "data": bytes.fromhex(line["data"])} for line in lines]


def udp_answer(port, data):
    if port == 123:
        return ntp.reply(data)
    if port == 53 and dnswire.parse_query(data):
        return dns.respond(data, "udp", ROGUE)
    return b"attacker\n"


def tcp_answer(port, data):
    if port == 53 and dnswire.parse_query(data[2:]):
        out = dns.respond(data[2:], "tcp", ROGUE)
        return len(out).to_bytes(2, "big") + out
    return b"attacker\n"


def main():
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    poll = selectors.DefaultSelector()

    def keep(proto, port, peer, data=b""):
        line = {"proto": proto, "port": port, "from": peer[0], "data": data.hex()}
        os.write(log, (json.dumps(line) + "\n").encode())

    def on_udp(sock, port):
        data, peer = sock.recvfrom(65535)
        keep("udp", port, peer, data)
        sock.sendto(udp_answer(port, data), peer)

    def on_accept(sock, port):
        conn, peer = sock.accept()
        keep("tcp", port, peer)
        poll.register(conn, selectors.EVENT_READ, (on_tcp, port))

    def on_tcp(conn, port):
        try:
            data = conn.recv(65535)
            if data:
                keep("tcp", port, conn.getpeername(), data)
                conn.send(tcp_answer(port, data))
                return
        except OSError:
            pass
        poll.unregister(conn)
        conn.close()

    for address in topology.ATTACKER:
        for port in topology.ATTACKER_UDP:
            poll.register(dns.bind(socket.SOCK_DGRAM, address, port), selectors.EVENT_READ, (on_udp, port))
        for port in topology.ATTACKER_TCP:
            poll.register(dns.bind(socket.SOCK_STREAM, address, port), selectors.EVENT_READ, (on_accept, port))
    while True:
        for key, _ in poll.select():
            handle, port = key.data
            try:
                handle(key.fileobj, port)
            except OSError:
                pass       # a peer that is gone is no reason to stop listening


if __name__ == "__main__":
    main()
