# SPDX-License-Identifier: MIT
"""Real resolvers between a program and its answers: as the VPC's resolver, and as a forwarder on the guarded host that
programs ask over loopback, where the forwarder's own answers teach."""
import contextlib

import pytest

from guard import CONF, config, poll
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


def command(kind, folder, address):
    if kind == "dnsmasq":
        return [*DNSMASQ, f"--listen-address={address}"]
    text, argv = (BIND, ["named", "-f", "-n", "1", "-c"]) if kind == "bind9" else (UNBOUND, ["unbound", "-d", "-c"])
    path = folder / f"{kind}.conf"
    path.write_text(text.format(dir=folder, address=address))
    return [*argv, path]


@contextlib.contextmanager
def running(lab, kind, folder, host, address, guarded):
    with open(folder / "log", "wb") as log:
        p = host.popen(command(kind, folder, address), guarded, stdout=log, stderr=log)
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
