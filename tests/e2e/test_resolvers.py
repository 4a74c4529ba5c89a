# SPDX-License-Identifier: MIT
"""Real resolvers between a program and its answers: as the VPC's resolver, and as a forwarder on the guarded host that
programs ask over loopback, where the forwarder's own answers teach."""
import contextlib
import shutil

import pytest

from guard import ALLOWED, CONF, config, poll, serving
from lab import topology

ROUNDS = 40
ELSEWHERE = "203.0.113.53"      # a resolver of ours, where nothing else listens on port 53

DNSMASQ = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
           "--bind-interfaces", "--pid-file", f"--server={topology.RESOLVER}"]
BIND = """options {{
    directory "{dir}"; listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none;
    forwarders {{ %s; }}; forward only; dnssec-validation no; allow-query {{ any; }}; allow-recursion {{ any; }};
    managed-keys-directory "{dir}"; empty-zones-enable no;
}};
controls {{ }};
""" % topology.RESOLVER
UNBOUND = """server:
    interface: {address}
    access-control: 0.0.0.0/0 allow
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: ""
    do-daemonize: no
    use-syslog: no
    module-config: "iterator"
    use-caps-for-id: yes
forward-zone:
    name: "."
    forward-addr: %s
""" % topology.RESOLVER

# A name of its own each time, so that no cache answers; each address is connected to.
PROGRAM = """
import socket, sys
for i in range(int(sys.argv[1])):
    found = socket.getaddrinfo(f"{i}.rotating.lab.example", 443, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as s:
            s.connect(address)
print("connected")
"""


def command(kind, folder, address, *options):
    if kind == "dnsmasq":
        return [*DNSMASQ, f"--listen-address={address}", *options]
    text, argv = (BIND, ["named", "-f", "-n", "1", "-c"]) if kind == "bind9" else (UNBOUND, ["unbound", "-d", "-c"])
    path = folder / f"{kind}.conf"
    path.write_text(text.format(dir=folder, address=address))
    return [*argv, path]


@contextlib.contextmanager
def running(lab, kind, folder, host, address, guarded, *options):
    with open(folder / "log", "wb") as log:
        p = host.popen(command(kind, folder, address, *options), guarded, stdout=log, stderr=log)
        try:
            ask = ["dig", "+time=1", "+tries=1", f"@{address}", "api.openai.com"]
            poll(lambda: "NOERROR" in lab.server.run(ask).stdout or p.poll() is not None, f"{kind} at {address}")
            assert p.poll() is None, (folder / "log").read_text()[-2000:]
            yield
        finally:
            p.terminate()
            p.wait()


@pytest.mark.parametrize("place", ["vpc", "host"])
@pytest.mark.parametrize("kind", ["unbound", "bind9", "dnsmasq"])
def test_answers_of_a_real_resolver_teach(guard, tmp_path, kind, place):
    lab = guard.lab
    lab.dns.script("*.rotating.lab.example", "rotate", pool="rotating")
    resolver, address = (ELSEWHERE, ELSEWHERE) if place == "vpc" else (topology.RESOLVER, "127.0.0.1")
    text = config(guard.cgroup, allow=("api.openai.com", "*.rotating.lab.example"), dns=("inspect = on",))
    guard.write(CONF, text.replace(f"resolver = {topology.RESOLVER}", f"resolver = {resolver}"))
    guard.load("--no-resolve")
    host = lab.internet if place == "vpc" else lab.server
    if place == "vpc":      # named binds to what an interface bears
        lab.internet.ip(f"addr replace {ELSEWHERE}/32 dev lo")
    tmp_path.chmod(0o755)
    with running(lab, kind, tmp_path, host, address, place == "host"):
        guard.events()
        try:
            guard.write("/etc/resolv.conf", f"nameserver {address}\n")
            assert guard.python(PROGRAM, str(ROUNDS), timeout=60) == "connected"
        finally:
            guard.write("/etc/resolv.conf", f"nameserver {topology.RESOLVER}\n")
        assert [(e["reason"], e["name"], e["command"]) for e in guard.events()] == []
        assert len(guard.addresses("*.rotating.lab.example:443")) >= 2 * ROUNDS


@pytest.mark.parametrize("told", [False, True])
def test_cache_that_keeps_answers_for_longer(guard, tmp_path, told):
    """dnsmasq's min-cache-ttl: the program gets what the guard has forgotten, unless [dns] min-ttl says so too."""
    name, address = "kept.lab.example", topology.ZONE["google.com"][0]
    guard.lab.dns.script(name, "answer", a=[address], ttl=1)
    guard.conf(dns=("min-ttl = 1h", "max-ttl = 1h") if told else ("min-ttl = 1", "max-ttl = 1", "grace = 1"),
               allow=(ALLOWED, name))
    guard.load("--no-resolve")
    with running(guard.lab, "dnsmasq", tmp_path, guard.lab.server, "127.0.0.1", True, "--min-cache-ttl=3600"):
        ask = ["dig", "+noall", "+answer", "@127.0.0.1", name]
        for _ in range(2):      # the second time from the cache
            answered = guard.lab.server.run(ask, guarded=True, check=True).stdout.split()
        assert int(answered[1]) > 3000 and answered[4] == address
        learned, = guard.targets()[f"{name}:443"]["addresses"]
        if told:
            assert learned["seconds_left"] > 3000
            assert guard.at(name, address) == 0
        else:
            poll(lambda: guard.at(name, address), "the address to expire")
            assert address in guard.lab.server.run(ask, guarded=True, check=True).stdout
            assert {e["reason"] for e in guard.events()} == {"address-expired"}


SLIRP = """
unshare --user --map-root-user --net --mount sh -ec '
    mount -t tmpfs own /run
    echo nameserver 10.0.2.3 >/run/resolver
    mount --bind /run/resolver /etc/resolv.conf
    until ip addr show tap0 2>/dev/null | grep -q "inet 10.0.2"; do sleep 0.1; done
    exec "$@"' sh "$@" &
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
slirp4netns --configure $! tap0 >/dev/null 2>&1 &
wait %1
status=$?
kill %2
exit $status
"""
ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], 443)):
        print("connected")
except OSError as e:
    print(e.errno)
"""


def test_slirp4netns_resolver(guard):
    """What rootless Podman and rootless Docker give their containers: it answers at 10.0.2.3, from a process of the
    host, which asks the host's resolver. Both are judged."""
    if not shutil.which("slirp4netns"):
        pytest.skip("no slirp4netns: scripts/deps check")

    def ask(name):
        r = guard.lab.server.run(["sh", "-c", SLIRP, "sh", "/usr/bin/python3", "-c", ASK, name], guarded=True)
        return r.stdout.strip()

    guard.load(allow=(ALLOWED,))
    assert ask(ALLOWED) == "-3"     # EAI_AGAIN
    assert {(e["reason"], e["destination"]) for e in guard.events()} == {("dns-resolver-not-allowed", "10.0.2.3")}
    guard.load(allow=(ALLOWED,), dns=("resolver = 10.0.2.3",))
    with serving(guard):
        assert ask(ALLOWED) == "connected"
        # that of before is in the history now
        assert {e["reason"] for e in guard.events()} <= {"dns-resolver-not-allowed"}
        assert ask("secret.attacker.example") == "-2"       # EAI_NONAME
        assert {e["name"] for e in guard.events()} == {"secret.attacker.example"}
