# SPDX-License-Identifier: MIT
"""A refused name is answered at once, as "no such name": `ohguard serve` beside the guard, in the lab."""
import os
import shutil
import signal
import subprocess
import sys

import pytest

from guard import ALLOWED, Guard, poll, serving
from lab import topology

RESOLVER6 = "fd00:ec2::253"

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


class Answered(Guard):
    def ask(self, name, to=topology.RESOLVER, tcp=False, edns=False):
        return self.python(QUERY, to, name, "tcp" if tcp else "udp", "edns" if edns else "plain")


@pytest.fixture
def guard(lab):
    g = Answered(lab)
    try:
        g.load(dns=(f"resolver = {RESOLVER6}",))
        yield g
    finally:
        g.close()


@pytest.fixture
def server(guard):
    with serving(guard) as process:
        yield process


@pytest.mark.parametrize("to", [topology.RESOLVER, RESOLVER6])
@pytest.mark.parametrize("edns", [False, True])
@pytest.mark.parametrize("tcp", [False, True])
def test_refused_name_is_no_such_name(guard, server, to, tcp, edns):
    with guard.nothing_leaves(to):
        assert guard.ask("secret.attacker.example", to, tcp, edns) == "no such name"
    assert {"dns-name-not-allowed"} == {e["reason"] for e in guard.events()}


def test_nothing_of_a_refused_query_leaves(guard, server):
    mark = guard.lab.wire.mark()
    assert guard.ask("secret.attacker.example") == guard.ask("secret.attacker.example", tcp=True) == "no such name"
    assert not [f for f in guard.lab.wire.traffic(mark) if b"secret" in bytes(f.payload)]
    assert guard.curl(f"https://{ALLOWED}") == 0


FLOOD = """
import errno, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 53))
s.setblocking(False)
print("ready", flush=True)
answered = refused = 0
for i in range(int(sys.argv[2])):
    name = f"secret{i}"
    question = bytes([len(name)]) + name.encode() + b"\\x08attacker\\x07example\\0" + struct.pack("!HH", 1, 1)
    try:
        s.send(struct.pack("!HH4H", i & 65535, 0x0100, 1, 0, 0, 0) + question)
    except PermissionError:
        refused += 1
    try:
        answered += s.recv(512)[3] & 15 == 3
    except BlockingIOError:
        pass
print(answered, refused)
"""
FLOODED = 20000


def test_flood_of_refused_queries_leaves_nothing_and_hinders_nobody(guard, server):
    """What finds no room with the helper is refused by an error. The kernel tells the resolver, by ICMP, of an answer
    that came too late for its asker: the uplink's program refuses that."""
    guard.load("--uplink", "eth0")
    mark = guard.lab.wire.mark()
    with guard.lab.server.popen([sys.executable, "-IS", "-c", FLOOD, topology.RESOLVER, str(FLOODED)], guarded=True,
                                stdout=subprocess.PIPE, text=True) as flood:
        assert flood.stdout.readline() == "ready\n"
        assert guard.curl(f"https://{ALLOWED}") == 0
        answered, refused = map(int, flood.stdout.read().split())
    assert answered and answered + refused <= FLOODED
    assert poll(lambda: guard.ask("other.attacker.example") == "no such name", "the helper's answer")
    assert not [f for f in guard.lab.wire.traffic(mark) if b"secret" in bytes(f.payload)]


@pytest.fixture
def aside(guard):
    """Another interface, by which the resolver seems to be reached."""
    server = guard.lab.server
    server.run(["sh", "-ec", "ip link add aside type veth peer name other; ip link set other up; "
                            "echo 1 >/proc/sys/net/ipv6/conf/aside/disable_ipv6"], check=True)
    server.ip("addr add 10.77.0.1/24 dev aside", "link set aside up", f"route add {topology.RESOLVER}/32 dev aside")
    yield "/sys/class/net/aside/statistics/tx_packets"
    server.ip("link del aside")


def test_refused_query_does_not_leave_where_the_uplinks_program_is_not(guard, aside):
    """At another interface, and at the uplink itself once its program was taken away: what refuses is at the socket."""
    guard.load("--uplink", "eth0")
    with serving(guard):
        assert guard.ask("secret.attacker.example") == "no such name"
        assert guard.shell(f"cat {aside}").stdout == "0\n"
        guard.ask(ALLOWED)
        assert guard.shell(f"cat {aside}").stdout != "0\n", "that is its way"
        guard.lab.server.ip(f"route del {topology.RESOLVER}/32 dev aside")
        guard.shell("for pin in /sys/fs/bpf/ohguard/host/uplink*; do bpftool link detach pinned $pin || true; done")
        hooks = guard.json("status", status=4)["hooks"]
        assert [h["attached"] for h in hooks if h["hook"] == "uplink-egress"] == [False]
        mark = guard.lab.wire.mark()
        assert guard.ask("secret.attacker.example") == "no such name"
        assert not [f for f in guard.lab.wire.traffic(mark) if b"secret" in bytes(f.payload)]


@pytest.mark.parametrize("how", ["never", signal.SIGTERM, signal.SIGKILL])
def test_without_the_helper_the_sender_is_told_by_an_error(guard, how):
    if how != "never":
        with serving(guard) as process:
            process.send_signal(how)
            process.wait(20)
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
    assert server.wait(20) == 3


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


def test_helper_that_was_held_up_answers_all_the_same(guard):
    """Guarded like everything on the machine, and not scheduled for so long that it counts as dead: its sockets are
    refused until it says that it lives."""
    with serving(guard, guarded=True) as process:
        process.send_signal(signal.SIGSTOP)
        with guard.lab.server.popen([sys.executable, "-IS", "-c", QUERY, topology.RESOLVER, ABSENT, "udp", "plain"],
                                    guarded=True, stdout=subprocess.PIPE, text=True) as asker:
            poll(lambda: guard.json("status")["refused_names"] == "error", "the helper to count as dead")
            process.send_signal(signal.SIGCONT)
            assert asker.communicate()[0] == "no such name\n"


MUSL = """
#include <netdb.h>
#include <stdio.h>
int main(int argc, char **argv) {
	struct addrinfo *found;
	int r = getaddrinfo(argv[1], 0, 0, &found);
	puts(r == EAI_NONAME ? "no such name" : r ? gai_strerror(r) : "found");
}
"""
NODE = "require('dns').lookup(process.argv[1], e => console.log(e ? e.code : 'found'))"
GLIBC = """
import socket, sys
try:
    socket.getaddrinfo(sys.argv[1], 443)
    print("found")
except socket.gaierror as e:
    print("no such name" if e.errno == socket.EAI_NONAME else e)
"""
ABSENT = "secret.attacker.example"


GO = """
package main

import ("fmt"; "net"; "os")

func main() {
	_, err := net.LookupHost(os.Args[1])
	fmt.Println(err)
}
"""
# apt's own settings of this machine may send it to a proxy, which the lab has not.
APT = ["-o", "Dir::Etc::SourceParts=-", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=0",
       "-o", f"Acquire::http::Proxy::{ABSENT}=DIRECT"]


def need(program, package):
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/local/go/bin:/usr/lib/go/bin")
    return found or pytest.skip(f"no {program}: {package}")


def built(client, tmp_path):
    program, source = tmp_path / "ask", tmp_path / ("ask.c" if client == "musl" else "ask.go")
    source.write_text(MUSL if client == "musl" else GO)
    compiler = ["musl-gcc", "-static"] if client == "musl" else [need("go", "scripts/deps clients"), "build"]
    # Go's own resolver, and not glibc's.
    env = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run([*compiler, "-o", program, source], check=True, env=env)
    return program


def said_by(client, tmp_path):
    """argv, and what it prints of a name that does not exist. What tries again by itself, with any network, is told not
    to: an error that it takes for a passing one would still be seen."""
    if client in ("musl", "go"):
        return [built(client, tmp_path), ABSENT], "no such name" if client == "musl" else "no such host"
    if client == "apt":
        (tmp_path / "sources").write_text(f"deb [trusted=yes] http://{ABSENT} stable main\n")
        return ["apt-get", *APT, "-o", f"Dir::Etc::SourceList={tmp_path}/sources", "-o", f"Dir::State={tmp_path}",
                "update"], "Could not resolve"
    if client == "pip":
        if subprocess.run(["/usr/bin/python3", "-m", "pip", "--version"], capture_output=True).returncode:
            pytest.skip("no pip: apt-get install python3-pip")
        return ["/usr/bin/python3", "-m", "pip", "download", "-vv", "--retries=0", "--no-cache-dir", "--dest", tmp_path,
                "--index-url", f"https://{ABSENT}/simple", "nothing"], "Name or service not known"
    return {"glibc": ([sys.executable, "-IS", "-c", GLIBC, ABSENT], "no such name"),
            "node": (["node", "-e", NODE, ABSENT], "ENOTFOUND"),
            "npm": (["npm", "view", "nothing", "--fetch-retries=0", f"--registry=https://{ABSENT}",
                     f"--cache={tmp_path}"], "ENOTFOUND"),
            "git": (["git", "ls-remote", f"https://{ABSENT}/x"], "Could not resolve host"),
            "dig": (["dig", ABSENT], "status: NXDOMAIN"), "nslookup": (["nslookup", ABSENT], "NXDOMAIN"),
            "curl": (["curl", "-sS", f"https://{ABSENT}"], "Could not resolve host")}[client]


@pytest.mark.parametrize("client", ["glibc", "musl", "dig", "nslookup", "curl", "node", "go", "git", "npm", "pip",
                                    "apt"])
def test_client_is_told_at_once(guard, server, client, tmp_path):
    """Its own time-out, and its second try, would be seen as a second query."""
    if client in ("node", "npm"):
        need(client, "scripts/deps clients" if client == "node" else "scripts/deps agents")
    argv, expected = said_by(client, tmp_path)
    guard.events()
    with guard.nothing_leaves():
        r = guard.lab.server.run(argv, guarded=True, timeout=60)
    assert expected in r.stdout + r.stderr, r.stdout + r.stderr
    asked = [e for e in guard.events() if e["name"] == ABSENT]
    # A, AAAA; nslookup asks for both one by one; apt looks up each name twice, with any network
    assert 1 <= len(asked) <= (4 if client == "apt" else 3), asked
