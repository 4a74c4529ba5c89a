# SPDX-License-Identifier: MIT
"""Docker's own engine beside the guard: what containers need works, nothing else leaves, and events say which one
tried."""
import contextlib
import subprocess
import sys

import pytest

import attack       # noqa: F401  (fills the table)
from engine import EMBEDDED, NETWORK
from field import expected
from guard import ALLOWED, NOT_RESOLVED, REFUSED_AT_ONCE, poll
from lab import topology
from table import TABLE, marker

GOOGLE4, GOOGLE6 = topology.ZONE["google.com"]
EVIL4, EVIL6 = topology.ATTACKER
# What is guarded beside the uplink: the machine with its engine, the containers' parent, or something else.
MACHINE, CONTAINERS, ELSEWHERE = WHERE = ("machine", "containers", "elsewhere")
NETWORKS = ("bridge", NETWORK, "host")


@pytest.fixture
def loaded(guard, engine):
    def load(where, *args, **kw):
        guard.cgroup = {MACHINE: engine.lab.cgroup, CONTAINERS: engine.parent}.get(where) or guard.sub_cgroup(ELSEWHERE)
        guard.conf(**kw)
        guard.load("--uplink", "eth0", *args, "--cgroup", str(guard.cgroup))
        guard.events()
        return guard
    return load


def settled(lab):
    """A place in the capture after all that containers have sent: see Field.leaks."""
    for _ in range(3):
        lab.wire.mark()
    return lab.wire.mark()


def refusals(guard, **want):
    return [e for e in guard.events() if all(e[k] == v for k, v in want.items())]


# -- what must work ---------------------------------------------------------------------------------------------

MANY_TIMES = "for i in 1 2 3 4 5 6 7 8; do curl -sS -o /dev/null --max-time 8 https://$1 || echo refused; done"


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("network", NETWORKS)
def test_allowed_name_works_at_the_first_try(loaded, engine, network, where):
    """Each time at another address, of those that ohguard did not get itself."""
    engine.lab.dns.script(ALLOWED, "rotate")
    guard = loaded(where, dns=("min-ttl = 1s",), allow=(ALLOWED,))
    r = engine.container(network).run("sh", "-c", MANY_TIMES, "sh", ALLOWED)
    assert (r.stdout, r.stderr) == ("", "")
    assert not (told := refusals(guard)), str(told)
    assert "answer" in {a["learned"] for a in guard.targets()[f"{ALLOWED}:443"]["addresses"]}


def test_container_asks_the_embedded_resolver(engine):
    """Or the tests above would show nothing of it."""
    assert EMBEDDED in engine.container(NETWORK).run("cat", "/etc/resolv.conf").stdout
    assert EMBEDDED not in engine.container("bridge").run("cat", "/etc/resolv.conf").stdout


@pytest.mark.parametrize("where", (MACHINE, ELSEWHERE))
@pytest.mark.parametrize("family", ("-4", "-6"))
def test_allowed_name_works_over_both_families(loaded, engine, where, family):
    loaded(where)
    assert engine.container("bridge").curl(f"https://{ALLOWED}", family) == 0
    assert engine.container(NETWORK).curl(f"https://{ALLOWED}", family) == 0


SAME_PORT = """
import socket, ssl, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 40000))
s.settimeout(10)
s.connect((sys.argv[1], 443))
s = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt").wrap_socket(s, server_hostname=sys.argv[2])
for line in sys.stdin:
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    print(len(s.recv(9)), flush=True)
"""


@pytest.mark.parametrize("where", (MACHINE, ELSEWHERE))
def test_connections_that_nat_tells_apart_live_side_by_side(loaded, engine, where):
    """From one port to one address: masquerading gives the second another port."""
    loaded(where)
    with contextlib.ExitStack() as stack:
        both = []
        for number in (0, 1):
            container = engine.container("bridge", number=number)
            argv = container.command("python3", "-ISu", "-c", SAME_PORT, topology.ZONE[ALLOWED][0], ALLOWED)
            process = engine.lab.server.popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(process.kill)
            both.append(process)
        for process in both * 2:
            process.stdin.write("go\n")
            process.stdin.flush()
            assert process.stdout.readline() == "9\n"


# -- what must not ----------------------------------------------------------------------------------------------

# Of each kind one; all of them are in test_attacks.py.
SAMPLE = ["tcp4", "tcp6", "tcp_other_port4", "udp4", "udp_quic4", "ping4", "mapped_udp", "translated_udp", "raw_udp4",
          "raw_header6", "packet_raw4", "packet_raw6", "packet_spoofed4", "packet_dns", "packet_fragments4",
          "packet_forged4", "vxlan4", "macvlan", "dns_name", "dns_tcp", "dns_public4", "dns_over_https4",
          "ntp_attacker4", "ntp_trailing", "metadata_tcp4", "metadata_tcp6",
          "tls_name4", "tls_no_name4", "tls_plain6", "multicast4", "broadcast"]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("admin", (False, True), ids=("default", "admin"))
@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_else_leaves(loaded, engine, network, admin, where):
    loaded(where, allow=(ALLOWED, "files.cdn.example"))
    names = [n for n in SAMPLE if admin or "NET_ADMIN" not in TABLE[n].caps]
    mark = settled(engine.lab)
    container = engine.container(network, admin)
    said = container.run(*container.attacking(), *names, timeout=120).stdout
    settled(engine.lab)
    frames = engine.lab.wire.since(mark)
    assert [line.split()[0] for line in said.splitlines()] == names, said
    assert "broken" not in said and "unavailable" not in said, said
    left = [f for f in frames if any(marker(n) in f.raw for n in names)
            or not all(expected(f, TABLE[n]) for n in names)]
    assert not left, f"{left[:5]}\n{said}"


@pytest.mark.parametrize("network", NETWORKS)
def test_without_a_guard_the_sample_leaves(lab, engine, network):
    """Or the test above would prove nothing."""
    mark = settled(lab)
    container = engine.container(network, True)
    names = "tcp4", "udp4", "ping4", "raw_udp4", "packet_raw4", "dns_name", "tls_name4"
    said = container.run(*container.attacking(), *names, timeout=120).stdout
    settled(lab)
    frames = lab.wire.since(mark)
    for line in said.splitlines():
        assert [f for f in frames if marker(line.split()[0]) in f.raw], said


LISTEN = """
import socket, sys
s = socket.create_server(("", int(sys.argv[1])))
print("ready", flush=True)
while True:
    c, peer = s.accept()
    c.sendall(b"hello " + peer[0].encode())
    c.close()
"""
# usage: ADDRESS PORT [SECONDS]: for what is to be silence, SECONDS are enough.
TALK = """
import socket, sys
try:
    seconds = float(sys.argv[3]) if sys.argv[3:] else 20
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), seconds).recv(99).decode())
except OSError as e:
    print(type(e).__name__)
"""


@contextlib.contextmanager
def listening(popen, argv, port):
    with popen([*argv, "-ISu", "-c", LISTEN, str(port)], text=True, stdin=subprocess.DEVNULL,
               stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("where, answer",
                         [(MACHINE, "PermissionError"), (CONTAINERS, "PermissionError"), (ELSEWHERE, "hello")])
def test_host_is_reached_only_where_its_containers_are_not_guarded(loaded, engine, where, answer):
    """By its bridge and by its uplink's address: nothing leaves the machine either way, so the uplink has no say."""
    loaded(where)
    with listening(engine.lab.server.popen, [sys.executable], 8000):
        for address in ("172.30.0.1", "10.0.1.10"):
            assert engine.container("bridge").python(TALK, address, "8000").startswith(answer)


def test_host_is_reached_where_it_is_allowed(loaded, engine):
    """Its service is guarded too, and answers by an inbound rule."""
    loaded(MACHINE, allow=(ALLOWED, "172.30.0.1:8000"), extra="[inbound]\naccept = 8000 172.30.0.0/24")
    with listening(lambda *a, **kw: engine.lab.server.popen(*a, guarded=True, **kw), [sys.executable], 8000):
        assert engine.container("bridge").python(TALK, "172.30.0.1", "8000").startswith("hello 172.30.0.")


def test_containers_reach_each_other_where_their_range_is_allowed(loaded, engine):
    one, other = (engine.container(NETWORK, number=n) for n in (0, 1))
    address = other.look()[0]
    with listening(engine.lab.server.popen, other.command("python3"), 8000):
        loaded(MACHINE)
        assert one.python(TALK, address, "8000") == "PermissionError"
        guard = loaded(MACHINE, allow=(ALLOWED, "172.31.0.0/24:8000"), extra="[inbound]\naccept = 8000 172.31.0.0/24")
        assert one.python(TALK, address, "8000").startswith("hello 172.31.0.")
        assert one.python(TALK, address, "8001") == "PermissionError"
        assert [e["destination_port"] for e in refusals(guard)] == [8001]


def test_networks_are_apart_by_docker_itself(loaded, engine):
    """Guarded or not. A published port is reached by the host's address, guarded or not."""
    one, other = engine.container(NETWORK), engine.start("apart", "bridge", "--publish", "8000:8000")

    def talk(address, *seconds):
        return one.python(TALK, address, "8000", *seconds)

    try:
        address = other.look()[0]
        with listening(engine.lab.server.popen, other.command("python3"), 8000):
            assert talk(address, "2") == "TimeoutError"
            assert talk("10.0.1.10").startswith("hello 172.")
            loaded(MACHINE, guard=("local = auto",))
            assert talk(address, "2") == "TimeoutError"
            assert talk("10.0.1.10").startswith("hello 172.")
    finally:
        other.remove()


@pytest.mark.parametrize("where", WHERE)
def test_published_port_answers_whom_an_inbound_rule_lets_in(loaded, engine, where):
    container = engine.start(f"published-{where}", "bridge", "--publish", "3000:3000", "--publish", "80:3000")
    try:
        loaded(where, extra="[inbound]\naccept = 3000 10.0.0.10\naccept = 80 10.0.0.10")
        # A command's end does not end what it runs in the container; the container's does.
        popen = engine.lab.server.popen
        with listening(popen, container.command("python3"), 3000):
            for port in ("3000", "80"):
                talk = [sys.executable, "-IS", "-c", TALK, "10.0.1.10", port]
                assert engine.lab.proxy.run(talk).stdout == "hello 10.0.0.10\n"
                assert engine.lab.attacker.run([*talk, "2"]).stdout == "TimeoutError\n"
    finally:
        container.remove()


def whose(event):
    return event["container"], event["container_name"], event["container_by"]


# -- who it was -------------------------------------------------------------------------------------------------

ASK = "import socket, sys\ntry: socket.getaddrinfo(sys.argv[1], 443)\nexcept OSError: print('no')"


@pytest.mark.parametrize("where", WHERE)
def test_foreign_name_is_not_asked_for_by_the_embedded_resolver(loaded, engine, where):
    """The engine asks on the container's behalf: from the container's address."""
    guard, container = loaded(where), engine.container(NETWORK)
    mark, name = settled(engine.lab), f"secret-{where}.attacker.example"
    # The engine of Debian 12 leaves a question that it may not ask without an answer.
    assert container.run("env", "RES_OPTIONS=timeout:1 attempts:1", "python3", "-c", ASK, name).stdout == "no\n"
    settled(engine.lab)
    assert not [f for f in engine.lab.wire.since(mark) if b"secret-" in f.payload]
    told = refusals(guard, reason="dns-name-not-allowed", name=name)
    assert told
    for e in told:
        assert whose(e) == (container.id[:12], container.name, "address")
        if where == MACHINE:
            assert (e["hook"], e["command"], e["source"]) == ("egress", "dockerd", container.look()[0])
        else:
            assert e["hook"] == "uplink-egress" and e["interface"].startswith("br-")
            assert e["original_source"] == container.look()[0]


@pytest.mark.parametrize("network", NETWORKS)
def test_event_names_the_container(loaded, engine, network):
    guard, container = loaded(MACHINE), engine.container(network)
    assert container.at("google.com", GOOGLE4) == REFUSED_AT_ONCE
    e, = refusals(guard, destination=GOOGLE4)
    assert e["command"] == "curl" and whose(e) == (container.id[:12], container.name, "cgroup")
    assert e["cgroup"].endswith(container.id)
    container.at("google.com", GOOGLE4)
    assert f" in container {container.name} ({container.id[:12]})" in guard.ok("events").stdout


@pytest.mark.parametrize("network", ("bridge", NETWORK))
@pytest.mark.parametrize("address", (GOOGLE4, GOOGLE6))
def test_event_of_a_forwarded_packet_says_whose_it_was_before_nat(loaded, engine, network, address):
    guard, container = loaded(ELSEWHERE), engine.container(network)
    assert container.at("google.com", address)
    own = container.look()[":" in address]
    told = refusals(guard, reason="forwarded", destination=address)
    assert told
    for e in told:
        assert whose(e) == (container.id[:12], container.name, "address")
        assert e["original_source"] == own and e["source"] != own and e["cgroup"] is None
        assert e["interface"].startswith("br-" if network == NETWORK else "docker0")
    container.at("google.com", address)
    said = guard.ok("events").stdout
    assert f"forwarded from {e['interface']} ({own}) in container {container.name} ({container.id[:12]})" in said


def test_event_of_a_forwarded_echo_names_the_bridge(loaded, engine):
    """It has no ports, so the connection table is not asked."""
    guard, container = loaded(ELSEWHERE), engine.container("bridge")
    assert container.run("ping", "-c1", "-W1", EVIL4).returncode
    e, = refusals(guard, protocol="icmp", destination=EVIL4)
    assert (e["interface"], e["container"]) == ("docker0", None)


def test_event_of_an_unguarded_container_on_the_host_network_names_it(loaded, engine):
    guard, container = loaded(ELSEWHERE), engine.container("host")
    assert container.at("google.com", GOOGLE4)
    assert {(e["hook"], e["container_name"], e["container_by"]) for e in refusals(guard, destination=GOOGLE4)} == {
        ("uplink-egress", container.name, "cgroup")}


def test_address_passes_to_the_next_container(loaded, engine):
    """What is known of an address is soon forgotten."""
    guard = loaded(ELSEWHERE)
    for name in ("first", "second"):
        container = engine.start(name, NETWORK, "--ip", "172.31.0.99")
        try:
            assert container.at("google.com", GOOGLE4)
            assert {e["container_name"] for e in refusals(guard, destination=GOOGLE4)} == {name}
        finally:
            container.remove()


def test_container_that_is_gone_keeps_its_name_out_of_it(loaded, engine):
    """Its cgroup has no path any more: nothing is said rather than something wrong."""
    guard, container = loaded(MACHINE), engine.start("gone", "bridge")
    container.at("google.com", GOOGLE4)
    container.remove()
    e, = refusals(guard, destination=GOOGLE4)
    assert (e["cgroup"], *whose(e)) == (None, None, None, None)
