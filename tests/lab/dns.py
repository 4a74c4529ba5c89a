# SPDX-License-Identifier: MIT
"""A DNS server that does as a table says, so that a test can make a name fail, lie or change.

The table is a JSON file, read afresh for every query: {NAME: {"kind": KIND, ...}}. NAME may be `*.SUFFIX` or `*`;
a name that is not in it is relayed, byte for byte, to the upstream server. KINDS below lists what it can do.
"""
import argparse
import json
import os
import socket
import struct
import threading
import time
from collections import Counter

from . import dnswire as w
from . import topology

asked = Counter()      # how often each pool was asked, for `rotate`
log_lock = threading.Lock()


def addresses(q, b):
    """(type, address) of what the behaviour `b` holds for the question's type; one family serves one type."""
    if q.qtype == w.A:
        return [(w.A, a) for a in b.get("a", ())]
    return [(w.AAAA, a) for a in b.get("aaaa", ())] if q.qtype == w.AAAA else []


def with_chain(q, b, owner=None):
    """The CNAME chain `chain` [[name, ttl], ...], each alias's TTL its own, and the addresses at its end."""
    out = []
    for target, ttl in b.get("chain", ()):
        out.append(w.record(owner, w.CNAME, ttl, target))
        owner = target
    return out + [w.record(owner, t, b.get("ttl", 60), a) for t, a in addresses(q, b)]


def answer(q, b, via):
    """Addresses `a` and `aaaa` with `ttl`, behind `chain`; too large for UDP is truncated, as real servers do."""
    msg = w.response(q, with_chain(q, b))
    if via == "udp" and len(msg) > q.udp_size:
        return w.response(q, flags=w.TC)
    return msg


def rcode(code):
    return lambda q, b, via: w.response(q, rcode=code)


def dislikes_edns(q, b, via):
    """A good answer to a plain query. To one with EDNS, `how`: "silence", or the response code with or without OPT."""
    if not q.edns:
        return answer(q, b, via)
    if b["how"] == "silence":
        return None
    code, _, opt = b["how"].partition(" ")
    return w.response(q, rcode=getattr(w, code), edns=bool(opt))


def garbage(q, b, via):
    """`bytes` (hex), or a reply's id followed by noise."""
    return bytes.fromhex(b["bytes"]) if "bytes" in b else struct.pack("!H", q.id) + b"\xff\xc0\x0c" * 20


def truncate(q, b, via):
    """Truncated over UDP, whole over TCP; with `tcp` false the TCP connection is closed unanswered."""
    if via == "udp":
        return w.response(q, flags=w.TC)
    return answer(q, b, via) if b.get("tcp", True) else None


def cname_loop(q, b, via):
    other = "loop." + q.name
    return w.response(q, [w.record(None, w.CNAME, 60, other), w.record(other, w.CNAME, 60, q.name)])


def many(q, b, via):
    """`count` addresses (500), all of which answer."""
    n = range(1, b.get("count", 500) + 1)
    full = {**b, "a": [f"{topology.MANY}.{i >> 8}.{i & 255}" for i in n], "aaaa": [f"2001:db8:18::{i:x}" for i in n]}
    return answer(q, full, via)


def rotate(q, b, via):
    """One member of a pool of `size` (200), another with each answer, TTL 1. Names of one `pool` take turns."""
    turn = b.get("pool", q.name), q.qtype
    i = asked[turn] % b.get("size", 200) + 1
    asked[turn] += 1
    return answer(q, {"ttl": 1, **b, "a": [f"{topology.POOL}.{i}"], "aaaa": [f"2001:db8:2::{i:x}"]}, via)


def crowd(q, b, via):
    """`count` (64) addresses, which no other answer has."""
    n = range(asked["crowd"], asked["crowd"] + b.get("count", 64))
    asked["crowd"] = n.stop
    return answer(q, {**b, "a": [f"5.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in n]}, via)


def wrong_name(q, b, via):
    """Addresses that belong to `owner`, not to the name that was asked for."""
    return w.response(q, with_chain(q, b, b.get("owner", "other.example")))


def wrong_id(q, b, via):
    return w.response(q, with_chain(q, b), qid=q.id ^ 0x5555)


def wrong_question(q, b, via):
    question = w.encode_name(b.get("owner", "other.example")) + struct.pack("!HH", q.qtype, 1)
    return w.response(q, with_chain(q, b), question=question)


def cut(q, b, via):
    """A good answer, cut after `keep` bytes (20)."""
    return answer(q, b, via)[:b.get("keep", 20)]


def late(q, b, via):
    """A good answer, once the file `after` is there."""
    while not os.path.exists(b["after"]):
        time.sleep(0.05)
    return answer(q, b, via)


def raw(q, b, via):
    """The query's id and question (`questions` times), with `counts` and what stands behind them (`rest`, hex) as
    given."""
    head = struct.pack("!6H", q.id, 0x8180, *b["counts"])
    return head + q.question * b.get("questions", 1) + bytes.fromhex(b["rest"])


KINDS = {
    "answer": answer, "empty": lambda q, b, via: w.response(q), "timeout": lambda q, b, via: None,
    "servfail": rcode(w.SERVFAIL), "nxdomain": rcode(w.NXDOMAIN), "refused": rcode(w.REFUSED),
    "formerr": rcode(w.FORMERR), "notimp": rcode(w.NOTIMP), "garbage": garbage, "truncate": truncate,
    "cname_loop": cname_loop, "many": many, "crowd": crowd, "rotate": rotate, "wrong_name": wrong_name,
    "wrong_id": wrong_id, "dislikes_edns": dislikes_edns, "wrong_question": wrong_question, "cut": cut, "raw": raw,
    "late": late,
}


def find(table, name):
    """The behaviour for `name`: itself, then the longest `*.suffix`, then `*`."""
    if name in table:
        return table[name]
    labels = name.split(".")
    for i in range(1, len(labels)):
        if (wild := "*." + ".".join(labels[i:])) in table:
            return table[wild]
    return table.get("*")


def respond(msg, via, table):
    """The reply, b"" when there is none to give, None when the table does not know the name."""
    q = w.parse_query(msg)
    behaviour = find(table, q.name) if q else None
    if behaviour is None:
        return None
    # {"by_type": {"AAAA": {...}}} lets one type fail and the other answer.
    behaviour = {w.TYPES[t]: b for t, b in behaviour.get("by_type", {}).items()}.get(q.qtype, behaviour)
    reply = KINDS[behaviour["kind"]](q, behaviour, via)
    time.sleep(behaviour.get("delay", 0))
    return reply or b""


def relay(msg, via, upstream):
    kind = socket.SOCK_DGRAM if via == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(2)
            s.connect((upstream, 53))
            if via == "udp":
                s.send(msg)
                return s.recv(65535)
            send_tcp(s, msg)
            return recv_tcp(s)
    except OSError:
        q = w.parse_query(msg)
        return w.response(q, rcode=w.SERVFAIL) if q else b""


def send_tcp(sock, msg, split=None):
    data = struct.pack("!H", len(msg)) + msg
    if split:
        sock.sendall(data[:split])
        time.sleep(0.1)
        data = data[split:]
    sock.sendall(data)


def recv_tcp(sock):
    """One message and no byte of the next, or b"" at the end of the stream."""
    head = sock.recv(2, socket.MSG_WAITALL)
    if len(head) < 2:
        return b""
    size = struct.unpack("!H", head)[0]
    data = sock.recv(size, socket.MSG_WAITALL)
    return data if len(data) == size else b""


class Server:
    def __init__(self, table, upstream, log):
        self.table, self.upstream, self.log = table, upstream, log

    def reply(self, msg, via, peer):
        with open(self.table, encoding="utf-8") as f:
            table = json.load(f)
        q = w.parse_query(msg)
        line = {"via": via, "from": peer[0], "name": q.name if q else None, "type": q.qtype if q else None,
                "raw": msg.hex()}
        with log_lock:
            os.write(self.log, (json.dumps(line) + "\n").encode())   # before the reply, so a test never races it
        out = respond(msg, via, table)
        if out is None:
            out = relay(msg, via, self.upstream) if self.upstream else b""
        return out

    def split(self, msg):
        """After how many bytes the TCP segment of an answer ends: `split` of any kind."""
        with open(self.table, encoding="utf-8") as f:
            q = w.parse_query(msg)
            return (find(json.load(f), q.name) or {}).get("split") if q else None

    def udp(self, sock):
        while True:
            msg, peer = sock.recvfrom(65535)
            if out := self.reply(msg, "udp", peer):
                sock.sendto(out, peer)

    def tcp(self, sock):
        while True:
            conn, peer = sock.accept()
            threading.Thread(target=self.connection, args=(conn, peer), daemon=True).start()

    def connection(self, conn, peer):
        conn.settimeout(30)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with conn:
            try:
                while (msg := recv_tcp(conn)) and (out := self.reply(msg, "tcp", peer)):
                    send_tcp(conn, out, self.split(msg))
            except OSError:
                pass


def bind(kind, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen(128)
    return sock


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--table", required=True)
    p.add_argument("--log", required=True)
    p.add_argument("--upstream")
    p.add_argument("address", nargs="+")
    args = p.parse_args()
    server = Server(args.table, args.upstream, os.open(args.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
    threads = []
    for address in args.address:
        for kind, serve in ((socket.SOCK_DGRAM, server.udp), (socket.SOCK_STREAM, server.tcp)):
            threads.append(threading.Thread(target=serve, args=(bind(kind, address, 53),)))
    for t in threads:
        t.start()


if __name__ == "__main__":
    main()
