# SPDX-License-Identifier: MIT
"""Real TLS clients through the guard: to an allowed name, and to a forbidden one at the same address. They run against
nginx on ports 443 and 8443 (HTTP/2, early data, client certificates)."""
import os
import select
import shutil
import ssl
import struct
import subprocess
import time
from pathlib import Path

import pytest

from lab import topology

CLIENTS = Path(__file__).resolve().parent / "clients"
PATH = os.environ["PATH"] + ":/usr/local/go/bin:/usr/lib/go/bin"
ALLOWED, FORBIDDEN, ADDRESS = "files.cdn.example", "tenant.cdn.example", "198.51.100.50"
CA = "/etc/ssl/certs/ca-certificates.crt"
REQUEST = "GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"

PYTHON = """
import socket, ssl, sys
address, port, name, version = sys.argv[1:5]
c = ssl.create_default_context()
c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
s = c.wrap_socket(socket.create_connection((address, int(port))), server_hostname=name)
s.sendall(sys.stdin.readline().encode() + f"Host: {name}\\r\\nConnection: close\\r\\n\\r\\n".encode())
while part := s.recv(4096):
    print(part.decode())
"""
NODE = """
const [address, port, name, version] = process.argv.slice(1);
const s = require("tls").connect({host: address, port: +port, servername: name, ca: require("fs").readFileSync("%s"),
                                  minVersion: "TLSv" + version, maxVersion: "TLSv" + version}, () =>
    s.write(`GET / HTTP/1.1\\r\\nHost: ${name}\\r\\nConnection: close\\r\\n\\r\\n`));
s.on("data", d => process.stdout.write(d));
s.on("error", e => { console.error(e.code); process.exit(1); });
""" % CA


def s_client(program, port, name, version, *more):
    return [*program, "s_client", "-connect", f"{ADDRESS}:{port}", "-servername", name, "-quiet", "-CAfile", CA,
            "-verify_return_error", f"-tls{version.replace('.', '_')}", *more]


def openssl35():
    r = subprocess.run([CLIENTS / "openssl35"], capture_output=True, text=True)
    if r.returncode:
        pytest.skip(f"OpenSSL 3.5 cannot be fetched: {r.stderr.splitlines()[-1:]}")
    return r.stdout.split()


def go_program(tmp):
    go = shutil.which("go", path=PATH)
    if not go:
        pytest.skip("no Go compiler: scripts/deps clients")
    program = tmp / "tls"
    if not program.exists():
        subprocess.run([go, "build", "-o", program, CLIENTS / "tls.go"], check=True,
                       env={**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""})
    return program


def need(program, package):
    found = shutil.which(program, path=PATH)
    if not found:
        pytest.skip(f"no {program}: apt-get install {package}")
    return found


@pytest.fixture(scope="module")
def argv(tmp_path_factory):
    """argv(client, name, version): the command that sends a request and prints the answer."""
    tmp = tmp_path_factory.mktemp("tls")

    def make(client, name, version, port=443):
        plain = [ADDRESS, str(port), name, version]
        if client == "openssl":
            return s_client(["openssl"], port, name, version)
        if client == "openssl-3.5":
            return s_client(openssl35(), port, name, version)
        if client == "gnutls":
            return [need("gnutls-cli", "gnutls-bin"), "--x509cafile", CA, "-p", str(port), "--sni-hostname", name,
                    "--verify-hostname", name, "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", ADDRESS]
        if client == "nss":
            return [need("tstclnt", "libnss3-tools"), "-D", "-o", "-h", ADDRESS, "-a", name, "-p", str(port),
                    "-V", f"tls{version}:tls{version}"]
        if client == "curl":
            return ["curl", "-sS", "--resolve", f"{name}:{port}:{ADDRESS}", f"--tlsv{version}", "--tls-max", version,
                    f"https://{name}:{port}/"]
        if client == "python":
            return ["/usr/bin/python3", "-c", PYTHON, *plain]
        if client == "go":
            return [go_program(tmp), *plain]
        return [need("node", "nodejs"), "-e", NODE, *plain]

    return make


@pytest.fixture
def loaded(guard):
    """What an earlier test's connections still hold back is older than this guard, and would be told as refused."""
    guard.shell("ss -K -t dport = 443 or dport = 8443")
    guard.load(allow=(ALLOWED, f"{ALLOWED}:8443", f"{ALLOWED}:8444"), dns=("inspect = on",))
    guard.events()
    return guard


def talk(guard, argv, name, until=None, guarded=True, seconds=30):
    """Sends the request on the client's standard input, which stays open, and reads until the answer has come or the
    client ends. Fails where it does neither: it hangs."""
    until = until or f"lab: {name}"
    p = guard.lab.server.popen(argv, guarded, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, end = b"", time.monotonic() + seconds
    try:
        p.stdin.write(REQUEST.format(name=name).encode())
        p.stdin.flush()
        while until.encode() not in said:
            assert select.select([p.stdout], [], [], max(0, end - time.monotonic()))[0], f"hangs: {said[-500:]}"
            part = os.read(p.stdout.fileno(), 65536)
            if not part:
                break
            said += part
        return said.decode(errors="replace")
    except BrokenPipeError:
        return said.decode(errors="replace")
    finally:
        p.kill()
        p.stdin.close()
        p.stdout.close()
        p.wait()


def assert_never_leaves(guard, act, reason="tls-name-not-allowed", name=FORBIDDEN):
    mark = guard.lab.wire.mark()
    act()
    assert not [f for f in guard.lab.wire.traffic(mark, dst=ADDRESS) if bytes(f.payload)]
    assert {(e["reason"], e["name"]) for e in guard.events()} == {(reason, name)}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("client", ["openssl", "openssl-3.5", "gnutls", "nss", "curl", "python", "go", "node"])
def test_client_reaches_the_allowed_name_alone(loaded, argv, client, version):
    said = talk(loaded, argv(client, ALLOWED, version), ALLOWED)
    assert f"lab: {ALLOWED}" in said, said[-1500:]
    assert loaded.events() == []

    def forbidden():
        assert "lab:" not in talk(loaded, argv(client, FORBIDDEN, version), FORBIDDEN)

    assert_never_leaves(loaded, forbidden)


def test_post_quantum_hello_is_larger_than_a_segment(loaded, argv):
    mark = loaded.lab.wire.mark()
    assert "lab:" in talk(loaded, argv("openssl-3.5", ALLOWED, "1.3"), ALLOWED)
    first = next(bytes(f.payload) for f in loaded.lab.wire.traffic(mark, dst=ADDRESS) if bytes(f.payload))
    assert int.from_bytes(first[3:5], "big") > 1448


def hellos(frames):
    """The names in the hellos that a client sent."""
    data, names = b"".join(bytes(f.payload) for f in frames), []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        if data[0] == 22 and data[5] == 1:
            names.append(next(n for n in (ALLOWED, FORBIDDEN) if n.encode() in data[:size]))
        data = data[size:]
    return names


@pytest.mark.parametrize("client", ["openssl", "openssl-3.5", "gnutls", "nss", "curl", "python", "go", "node"])
def test_second_hello_that_the_server_asks_for_passes(loaded, argv, client):
    mark = loaded.lab.wire.mark()
    said = talk(loaded, argv(client, ALLOWED, "1.3", 8444), ALLOWED)
    assert f"lab: {ALLOWED}" in said, said[-1500:]
    assert hellos(f for f in loaded.lab.wire.traffic(mark, dst=ADDRESS) if bytes(f.payload)) == [ALLOWED, ALLOWED]
    assert loaded.events() == []


def test_http2(loaded):
    r = loaded.lab.server.run(["curl", "-sS", "--http2", "-o", "/dev/null", "-w", "%{http_version}", "--resolve",
                               f"{ALLOWED}:8443:{ADDRESS}", f"https://{ALLOWED}:8443/"], guarded=True)
    assert r.stdout == "2", r.stderr
    assert loaded.events() == []


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("program", ["3.0", "3.5"])
def test_resumption(loaded, tmp_path, program, version):
    openssl = openssl35() if program == "3.5" else ["openssl"]
    session = tmp_path / "session"
    assert "reused=." in talk(loaded, s_client(openssl, 8443, ALLOWED, version, "-sess_out", session), ALLOWED,
                              "certificate=")
    assert "reused=r" in talk(loaded, s_client(openssl, 8443, ALLOWED, version, "-sess_in", session), ALLOWED,
                              "certificate=")
    assert loaded.events() == []
    assert_never_leaves(loaded, lambda: talk(loaded, s_client(openssl, 8443, FORBIDDEN, version, "-sess_in", session),
                                             FORBIDDEN))


@pytest.mark.parametrize("program", ["3.0", "3.5"])
def test_early_data(loaded, tmp_path, program):
    """It stands behind the hello in the first flight: what it says is the name's business, once the name is allowed."""
    openssl = openssl35() if program == "3.5" else ["openssl"]
    early = tmp_path / "early"

    def send_early(name):
        session = tmp_path / name
        early.write_text(REQUEST.format(name=name))
        # Resumed only under the name that it is of: outside of the guard, also the forbidden one.
        talk(loaded, s_client(openssl, 8443, name, "1.3", "-sess_out", session), name, "certificate=", guarded=False)
        command = s_client(openssl, 8443, name, "1.3", "-sess_in", session, "-early_data", early)
        command.remove("-quiet")
        mark = loaded.lab.wire.mark()
        said = talk(loaded, command, name, "Early data was accepted")
        sent = [f for f in loaded.lab.wire.traffic(mark, dst=ADDRESS) if bytes(f.payload)]
        return "Early data was accepted" in said, sent

    assert send_early(ALLOWED)[0]
    assert loaded.events() == []
    assert send_early(FORBIDDEN) == (False, [])
    assert {(e["reason"], e["name"]) for e in loaded.events()} == {("tls-name-not-allowed", FORBIDDEN)}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_client_certificate(loaded, tmp_path, version):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=an agent",
                    "-keyout", tmp_path / "key", "-out", tmp_path / "cert"], check=True, capture_output=True)
    said = talk(loaded,
                s_client(["openssl"], 8443, ALLOWED, version, "-cert", tmp_path / "cert", "-key", tmp_path / "key"),
                ALLOWED, "certificate=CN=an agent")
    assert "certificate=CN=an agent" in said, said[-1500:]
    assert loaded.events() == []


# ---- what the network does to a hello ----

def hello(name, size=0):
    """A real hello of OpenSSL's, of that size by the protocols it offers."""
    def make(extra):
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1", *("x" * min(extra - i - 1, 200) for i in range(0, extra - 1, 201))])
        outgoing = ssl.MemoryBIO()
        tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        return outgoing.read()

    padding = len(make(1500)) - 1500        # what it is without them, where OpenSSL pads it no more
    return make(max(size - padding, 0))


SEND = """
import errno, socket, sys, time
s = socket.create_connection((sys.argv[1], 443))
s.settimeout(float(sys.argv[2]))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
data, step = sys.stdin.buffer.read(), int(sys.argv[3])
if len(sys.argv) > 4:
    s.setsockopt(socket.SOL_SOCKET, 47, int(sys.argv[4]))       # SO_MAX_PACING_RATE
try:
    for i in range(0, len(data), step):
        s.sendall(data[i:i + step])
    print(s.recv(1)[0])
except OSError as e:
    print(errno.errorcode.get(e.errno, "silence"))
"""


def send(guard, data, step=1 << 20, patience=20, rate=None):
    """22, a handshake record, where the server got the hello."""
    argv = ["/usr/bin/python3", "-c", SEND, ADDRESS, str(patience), str(step), *([rate] if rate else [])]
    r = subprocess.run(guard.lab.server.command(argv, True),
                       env=guard.lab.server.environment(), input=data, capture_output=True, timeout=60)
    return r.stdout.decode().strip()


@pytest.mark.parametrize("size", [517, 1800, 2800])
def test_hello_of_two_segments_goes_out_in_one_piece(loaded, size):
    data = hello(ALLOWED, size)
    assert len(data) in range(size, size + 3)
    assert send(loaded, data) == "22"
    assert loaded.events() == []
    assert_never_leaves(loaded, lambda: send(loaded, hello(FORBIDDEN, size)))


@pytest.fixture
def far(loaded):
    """As to a site that is far away: TCP hands over no more than two segments at once."""
    r = loaded.lab.server.run(["sysctl", "-w", "net.ipv4.tcp_tso_rtt_log=0"])
    if r.returncode:
        pytest.skip("this kernel hands over the same to near and far")
    yield "1000000"
    loaded.lab.server.run(["sysctl", "-w", "net.ipv4.tcp_tso_rtt_log=9"], check=True)


def sent_of(guard, mark, data):
    """What of it left, in the order in which it left."""
    sent = [bytes(f.payload) for f in guard.lab.wire.traffic(mark, dst=ADDRESS) if bytes(f.payload)]
    assert all(part in data for part in sent)
    return sent


@pytest.mark.parametrize("size", [4000, 16380])
def test_large_hello_far_away(loaded, far, size):
    mark = loaded.lab.wire.mark()
    data = hello(ALLOWED, size)
    assert send(loaded, data, rate=far) == "22"
    assert len(sent_of(loaded, mark, data)) > 1
    assert_leaves_nothing(loaded, hello(FORBIDDEN, size), rate=far)


def assert_leaves_nothing(guard, data, **how):
    mark = guard.lab.wire.mark()
    assert send(guard, data, patience=3, **how) in ("ETIMEDOUT", "silence")
    assert not [f for f in guard.lab.wire.traffic(mark, dst=ADDRESS) if bytes(f.payload)]


@pytest.fixture
def small_window(loaded):
    """The site's host offers 1,000 bytes of window."""
    spec = next(s for s in topology.HOSTS if s.name == "internet")
    loaded.lab.internet.ip(f"route replace default via {spec.gw4} window 1000")
    yield
    loaded.lab.internet.ip(f"route replace default via {spec.gw4}")


@pytest.mark.parametrize("size", [517, 1800, 16380])
def test_small_window_of_the_peer(loaded, small_window, size):
    assert send(loaded, hello(ALLOWED, size)) == "22"
    assert loaded.events() == []
    assert_leaves_nothing(loaded, hello(FORBIDDEN, size))


def with_extension(data, kind, body, first=False):
    """The hello with one more extension, in front of the others or behind them."""
    more = struct.pack("!HH", kind, len(body)) + body
    at = 43 + 1 + data[43]
    at += 2 + int.from_bytes(data[at:at + 2], "big")
    at += 1 + data[at]
    size = int.from_bytes(data[at:at + 2], "big") + len(more)
    rest = size.to_bytes(2, "big") + (more + data[at + 2:] if first else data[at + 2:] + more)
    whole = data[5:6] + (len(data) - 9 + len(more)).to_bytes(3, "big") + data[9:at] + rest
    return data[:3] + len(whole).to_bytes(2, "big") + whole


def test_name_behind_what_is_handed_over_never_leaves(loaded, small_window):
    assert_leaves_nothing(loaded, with_extension(hello(ALLOWED, 517), 0xFAFA, bytes(1500), first=True))


@pytest.mark.parametrize("kind,body,reason", [
    (0xFE0D, b"\0\0\1\0\1\0\0\x20" + b"e" * 32 + b"\0\x10" + b"p" * 16, "tls-encrypted-hello"),
    (0, b"\0\x15\0\0\x12" + FORBIDDEN.encode(), "tls-not-tls")])
def test_what_follows_the_name_is_looked_at_too(loaded, small_window, kind, body, reason):
    """The beginning has left by then, and tells nobody more than the allowed name: the hello is never whole."""
    data = with_extension(hello(ALLOWED, 3000), kind, body)
    mark = loaded.lab.wire.mark()
    assert send(loaded, data) == "ETIMEDOUT"
    sent = sent_of(loaded, mark, data)
    assert sent and not [part for part in sent if data[-16:] in part]
    assert {e["reason"] for e in loaded.events()} == {reason}


@pytest.fixture
def loss(loaded):
    """One of four segments to the site is lost, and one of four from it."""
    nft = ["nsenter", f"--net={loaded.lab.router.netns}", "nft"]
    rules = "".join(f"        ip {way} {ADDRESS} numgen random mod 100 < 25 drop\n" for way in ("saddr", "daddr"))
    r = subprocess.run([*nft, "-f", "-"], input="table ip loss {\n    chain out {\n        type filter hook forward "
                       f"priority filter;\n{rules}    }}\n}}\n", text=True, capture_output=True)
    if r.returncode:
        pytest.skip(f"this kernel's nft cannot lose packets: {r.stderr.splitlines()[:1]}")
    yield
    subprocess.run([*nft, "delete", "table", "ip", "loss"], check=True)


@pytest.mark.parametrize("size,step", [(517, 1 << 20), (517, 1), (1800, 1 << 20), (1300, 300), (8000, 700)])
def test_hello_gets_through_loss(loaded, loss, size, step):
    assert send(loaded, hello(ALLOWED, size), step, 45) == "22"
    assert loaded.events() == []
