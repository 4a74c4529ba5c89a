# SPDX-License-Identifier: MIT
"""What real resolvers on the guarded machine ask besides the name itself: the keys of the zones above it, and the names
that its CNAMEs lead to; and what stub resolvers do with a search list."""
import contextlib

import pytest

from guard import CONF, DEGRADED, DONE, NOT_RESOLVED, config, poll, serving
from lab import signed, topology

SERVER = "127.0.0.1"
ANCHORED = {
    "unbound": """server:
    interface: {address}
    access-control: 0.0.0.0/0 allow
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: ""
    do-daemonize: no
    use-syslog: no
    module-config: "validator iterator"
    trust-anchor-file: "{zones}/anchor"
    qname-minimisation: {minimise}
forward-zone:
    name: "."
    forward-addr: {upstream}
""",
    "bind9": """options {{
    directory "{dir}"; listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none;
    forwarders {{ {upstream}; }}; forward only; dnssec-validation yes; allow-query {{ any; }};
    allow-recursion {{ any; }}; managed-keys-directory "{dir}"; empty-zones-enable no;
    qname-minimization {minimise};
}};
controls {{ }};
trust-anchors {{ . static-key 257 3 13 "{key}"; }};
""",
}
MINIMISE = {"unbound": ("no", "yes"), "bind9": ("off", "relaxed")}
ARGV = {"unbound": ["unbound", "-d", "-c"], "bind9": ["named", "-f", "-n", "1", "-c"]}
ALLOWED = ("api.openai.com", "alias.lab.example", "chain.lab.example")


def dig(host, name, *args, server=SERVER, guarded=True):
    """Status, flags and the answer's records of one question, asked once."""
    out = host.run(["dig", "+time=2", "+tries=1", f"@{server}", *args, name], guarded=guarded).stdout
    status = out.split("status: ")[1].split(",")[0] if "status: " in out else "nothing"
    flags = out.split("flags: ")[1].split(";")[0].split() if "flags: " in out else []
    answer = out.split("ANSWER SECTION:\n")[1].split("\n\n")[0].splitlines() if "ANSWER SECTION" in out else []
    return status, flags, [line.split(None, 4)[3:] for line in answer]


@contextlib.contextmanager
def running(folder, host, argv, log, **kw):
    with open(folder / log, "wb") as out:
        process = host.popen(argv, stdout=out, stderr=out, **kw)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def zones(lab, tmp_path):
    """Signed zones in the lab's internet; gives the folder."""
    folder = tmp_path / "zones"
    folder.mkdir()
    tmp_path.chmod(0o755)
    lab.internet.ip(f"addr replace {signed.ADDRESS}/32 dev lo")
    with running(folder, lab.internet, signed.command(folder, lab.internet), "named.log"):
        poll(lambda: dig(lab.internet, "api.openai.com", server=signed.ADDRESS, guarded=False)[2], "the signed zones")
        yield folder


@contextlib.contextmanager
def validating(guard, zones, kind, minimise=1):
    """A validating resolver in the workload, which programs ask."""
    host = guard.lab.server
    text = config(guard.cgroup, allow=ALLOWED).replace(f"resolver = {topology.RESOLVER}",
                                                       f"resolver = {signed.ADDRESS}")
    guard.write(CONF, text)
    guard.load("--no-resolve")
    path = zones / f"{kind}.conf"
    path.write_text(ANCHORED[kind].format(address=SERVER, dir=zones, zones=zones, upstream=signed.ADDRESS,
                                          key=signed.key_of_anchor(zones), minimise=MINIMISE[kind][minimise]))
    with running(zones, host, [*ARGV[kind], path], f"{kind}.log", guarded=True) as process:
        try:
            poll(lambda: dig(host, "api.openai.com")[0] == "NOERROR" or process.poll() is not None, f"a good {kind}")
            assert process.poll() is None, (zones / f"{kind}.log").read_text()[-2000:]
            guard.write("/etc/resolv.conf", f"nameserver {SERVER}\n")
            yield host
        finally:
            guard.write("/etc/resolv.conf", f"nameserver {topology.RESOLVER}\n")


@pytest.mark.parametrize("minimise", [0, 1])
@pytest.mark.parametrize("kind", ["unbound", "bind9"])
def test_validating_resolver_resolves_what_is_allowed(guard, zones, kind, minimise):
    with validating(guard, zones, kind, minimise) as host:
        status, flags, answer = dig(host, "api.openai.com", "+dnssec")
        assert status == "NOERROR" and "ad" in flags and ["A", "203.0.113.10"] in answer
        assert {". DNSKEY", "com DS", "com DNSKEY", "openai.com DS", "openai.com DNSKEY"} <= set(signed.asked(zones))
        assert guard.curl("https://api.openai.com") == DONE
        # of the zones above it nothing else may be asked for, and of others nothing at all
        for question in (("openai.com", "A"), ("openai.com", "TXT"), ("com", "NS"), ("google.com", "DS"),
                         ("net", "DNSKEY"), ("cdn.net", "DS"), ("x.openai.com", "DS")):
            assert dig(host, *question, server=signed.ADDRESS)[0] == "nothing", question
            assert " ".join(question) not in signed.asked(zones)


@pytest.mark.parametrize("kind", ["unbound", "bind9"])
def test_resolver_that_follows_an_alias_itself(guard, zones, kind):
    with validating(guard, zones, kind) as host:
        for name in ("alias.lab.example", "chain.lab.example"):
            status, flags, answer = dig(host, name, "+dnssec")
            assert status == "NOERROR" and "ad" in flags and ["A", "203.0.113.11"] in answer, name
            assert guard.curl(f"https://{name}") == DONE
        assert {"one.cdn.net A", "cdn.net DS", "cdn.net DNSKEY", "net DS"} <= set(signed.asked(zones))
        assert "203.0.113.11" in guard.addresses("alias.lab.example:443")


# -- the names that CNAMEs lead to, asked for by hand ---------------------------------------------------------------

NAME = "alias.lab.example"


def ask(guard, name, kind="A"):
    return dig(guard.lab.server, name, kind, server=topology.RESOLVER)[0]


def test_alias_without_an_address_opens_its_target_and_nothing_else(guard):
    dns = guard.lab.dns
    dns.script(NAME, chain=[["a.cdn.example", 300], ["b.cdn.example", 300]])
    dns.script("b.cdn.example", a=["203.0.113.11"], ttl=60)
    dns.script("*.cdn.example", a=["203.0.113.12"])
    guard.load("--no-resolve", allow=(NAME,))
    assert ask(guard, "b.cdn.example") == "nothing"
    assert ask(guard, NAME) == "NOERROR"
    for name in ("c.cdn.example", "x.b.cdn.example", "cdn.example"):
        assert ask(guard, name) == "nothing", name
    assert ask(guard, "cdn.example", "DNSKEY") != "nothing"
    assert ask(guard, "a.cdn.example", "HTTPS") != "nothing"
    assert "203.0.113.11" not in guard.addresses(f"{NAME}:443")
    assert ask(guard, "b.cdn.example") == "NOERROR"
    assert guard.addresses(f"{NAME}:443") == {"203.0.113.11"}
    assert guard.at(NAME, "203.0.113.11") == DONE
    # what it teaches is the first name's: its own may not be given to the server
    assert guard.at("b.cdn.example", "203.0.113.11") != DONE
    guard.conf(allow=("api.openai.com",))
    guard.load("--no-resolve")
    assert ask(guard, "b.cdn.example") == "nothing"


def test_alias_is_open_for_the_time_of_its_answer(guard):
    guard.lab.dns.script(NAME, chain=[["a.cdn.example", 1]])
    guard.load("--no-resolve", allow=(NAME,), dns=["min-ttl = 1s", "grace = 0"])
    assert ask(guard, NAME) == "NOERROR"
    poll(lambda: ask(guard, "a.cdn.example") == "nothing", "the end of the answer's time")


def test_chain_of_aliases_ends(guard):
    dns, last = guard.lab.dns, 12
    for i in range(last):
        dns.script(f"n{i}.cdn.example" if i else NAME, chain=[[f"n{i + 1}.cdn.example", 300]])
    guard.load("--no-resolve", allow=(NAME,))
    assert ask(guard, NAME) == "NOERROR"
    assert [ask(guard, f"n{i}.cdn.example") == "nothing" for i in range(1, last)] == [i > 8 for i in range(1, last)]


def test_private_address_behind_an_alias_is_not_taught(guard):
    guard.lab.dns.script(NAME, chain=[["a.cdn.example", 300]])
    guard.lab.dns.script("a.cdn.example", a=["10.0.0.10", "203.0.113.11"])
    guard.load("--no-resolve", allow=(NAME,), dns=[f"private = {NAME} 10.0.0.0/16"])
    assert ask(guard, NAME) == ask(guard, "a.cdn.example") == "NOERROR"
    assert guard.addresses(f"{NAME}:443") == {"203.0.113.11"}


def asked_at_once(guard, names):
    """How many of them reach the resolver."""
    code = """
import socket, struct, sys
sent = 0
for name in sys.stdin.read().split():
    q = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        try:
            s.sendto(q + struct.pack("!BHH", 0, 1, 1), (sys.argv[1], 53))
            s.recv(4096)
            sent += 1
        except OSError:
            pass
print(sent)
"""
    return int(guard.python(code, topology.RESOLVER, input="\n".join(names)))


def test_hostile_zone_opens_few_names_and_takes_no_room_from_others(guard):
    """Each name of *.evil.lab.example is an alias for another name: so who owns the zone tries to have any name asked
    for. Each name of the workload's would be a word that leaves."""
    dns = guard.lab.dns
    words = [f"w{i}" for i in range(600)]
    for word in words:
        dns.script(f"{word}.evil.lab.example", chain=[[f"{word}.attacker.example", 86400]])
    dns.script("*.attacker.example", a=["203.0.113.66"])
    dns.script(NAME, chain=[["a.cdn.example", 300]])
    dns.script("a.cdn.example", a=["203.0.113.11"])
    guard.load("--no-resolve", allow=("*.evil.lab.example", NAME))
    assert asked_at_once(guard, [f"{word}.evil.lab.example" for word in words]) == len(words)
    opened = asked_at_once(guard, [f"{word}.attacker.example" for word in words])
    assert 8 <= opened <= 160, opened
    assert any("lead to more names than its share" in p for p in guard.json("status", status=DEGRADED)["problems"])
    assert ask(guard, NAME) == ask(guard, "a.cdn.example") == "NOERROR"
    assert guard.addresses(f"{NAME}:443") == {"203.0.113.11"}


# -- every type -----------------------------------------------------------------------------------------------------

TYPES = ("A", "AAAA", "HTTPS", "SVCB", "TXT", "MX", "NS", "SOA", "SRV", "CAA", "DS", "DNSKEY", "ANY", "TYPE65280")


@pytest.mark.parametrize("helper", [False, True])
def test_every_type_is_answered_or_refused_at_once(guard, helper):
    guard.load("--no-resolve", allow=("api.openai.com",))
    with serving(guard) if helper else contextlib.nullcontext():
        for kind in TYPES:
            assert ask(guard, "api.openai.com", kind) != "nothing", kind
            assert ask(guard, "stolen-data.attacker.example", kind) == ("NXDOMAIN" if helper else "nothing"), kind


def test_hints_teach_nothing(guard):
    """SvcPriority 1, no target, ipv4hint=203.0.113.12: a browser may connect to it before it has an A record."""
    rest = "c00c 0041 0001 0000003c 000b 0001 00 0004 0004 cb00710c".replace(" ", "")
    guard.lab.dns.script(NAME, by_type={"HTTPS": {"kind": "raw", "counts": [1, 1, 0, 0], "rest": rest}},
                         a=["203.0.113.11"])
    guard.load("--no-resolve", allow=(NAME,))
    assert dig(guard.lab.server, NAME, "HTTPS", server=topology.RESOLVER)[2] == [["HTTPS", "1 . ipv4hint=203.0.113.12"]]
    assert guard.addresses(f"{NAME}:443") == set()
    assert ask(guard, NAME) == "NOERROR"
    assert guard.addresses(f"{NAME}:443") == {"203.0.113.11"}


# -- search lists ---------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def searching(guard, text="search corp.example other.example\noptions ndots:5 timeout:1\n"):
    guard.write("/etc/resolv.conf", f"nameserver {topology.RESOLVER}\n{text}")
    try:
        yield
    finally:
        guard.write("/etc/resolv.conf", f"nameserver {topology.RESOLVER}\n")


@pytest.mark.parametrize("helper", [False, True])
def test_search_list_goes_on_to_the_allowed_name(guard, helper):
    with searching(guard):
        guard.load(allow=("api.openai.com",))
        with serving(guard) if helper else contextlib.nullcontext():
            guard.events()
            assert guard.curl("https://api.openai.com") == DONE
        names = {q["name"] for q in guard.events()}
        assert names == ({"api.openai.com.corp.example", "api.openai.com.other.example"} if helper else set())


def test_search_suffixes_can_be_set(guard):
    with searching(guard):
        guard.load(allow=("api.openai.com",), dns=["search = none"])
        assert ask(guard, "api.openai.com.corp.example") == "nothing"
        guard.load(allow=("api.openai.com",), dns=["search = third.example"])
        assert ask(guard, "api.openai.com.corp.example") == "nothing"
        assert ask(guard, "api.openai.com.third.example") == "NXDOMAIN"
        assert guard.curl("https://api.openai.com.third.example") == NOT_RESOLVED


def test_searched_name_teaches_nothing(guard):
    guard.lab.dns.script("*.corp.example", a=["203.0.113.66"])
    with searching(guard):
        guard.load(allow=("api.openai.com", "*.lab.example"))
        assert ask(guard, "api.openai.com.corp.example") == "NOERROR"
        assert guard.probe("tcp", "203.0.113.66", 443) == "EPERM"
        # of a suffix the names are not known, and all that is below it would be a way to the suffix's server
        assert ask(guard, "x.lab.example.corp.example") == "nothing"


def test_the_root_can_be_asked_for(guard):
    guard.load("--no-resolve", allow=("api.openai.com",))
    assert ask(guard, ".", "NS") == "nothing"
    guard.load("--no-resolve", allow=("api.openai.com",), dns=["name = ."])
    assert ask(guard, ".", "NS") != "nothing"
    assert ask(guard, "com", "NS") == "nothing"
