# SPDX-License-Identifier: MIT
"""DNS that fails or lies: what was there stays until its stale limit, nothing private gets in, the others go on."""
import re
import time

import pytest

from guard import ALLOWED, DEGRADED, DONE, FAILED, REFUSED_AT_ONCE, assert_says, poll
from lab import dnswire, topology

NAME, OTHER = "name.lab.example", "other.lab.example"
TARGET = f"{NAME}:443"
GOOD, NEW = "192.0.2.60", "192.0.2.61"
# Due again after a second, and gone a second after that where nothing keeps it.
SHORT = ["min-ttl = 1s", "grace = 1s"]


@pytest.fixture
def loaded(guard):
    """NAME and OTHER resolve, and are due again in a second."""
    guard.lab.dns.script(NAME, a=[GOOD], ttl=1)
    guard.lab.dns.script(OTHER, a=["192.0.2.80"], ttl=1)
    guard.load(allow=(ALLOWED, NAME, OTHER), dns=SHORT)
    assert guard.addresses(TARGET) == {GOOD}
    return guard


def refresh_when_due(guard):
    """The first refresh that asks for anything."""
    def ask():
        r = guard.run("refresh")
        return r if r.stdout or r.stderr else None
    return poll(ask, "a name that is due")


PRIVATE = {
    "private": ["10.0.0.9"], "loopback": ["127.0.0.1"], "link-local": ["169.254.7.7"], "metadata": ["169.254.169.254"],
    "the resolver": [topology.RESOLVER], "benchmark": ["198.18.0.1"],
    "private 172": ["172.16.3.4"], "private 192": ["192.168.1.1"], "unspecified": ["0.0.0.0"],
    "multicast": ["224.0.0.1"], "broadcast": ["255.255.255.255"], "shared": ["100.64.1.2"],
}
PRIVATE6 = {
    "loopback": ["::1"], "link-local": ["fe80::1"], "private": ["fd00::10"], "metadata": ["fd00:ec2::254"],
    "mapped private": ["::ffff:10.0.0.9"], "mapped metadata": ["::ffff:169.254.169.254"], "multicast": ["ff02::1"],
    "compatible": ["::10.0.0.9"], "translated metadata": ["64:ff9b::a9fe:a9fe"], "6to4": ["2002:a00:9::1"],
    "translated": ["::ffff:0:8.8.8.8"], "ORCHID": ["2001:20::1"], "segment routing": ["5f00::1"],
    "documentation": ["3fff::1"],
}

# What is scripted -> what the refresh must say of it.
FAILURES = {
    "servfail": ({"kind": "servfail"}, "SERVFAIL"),
    "nxdomain": ({"kind": "nxdomain"}, "NXDOMAIN"),
    "refused": ({"kind": "refused"}, "refused"),
    "formerr": ({"kind": "formerr"}, "FORMERR"),
    "notimp": ({"kind": "notimp"}, "NOTIMP"),
    "timeout": ({"kind": "timeout"}, "timeout"),
    "cut in the answer": ({"kind": "cut", "a": [NEW], "aaaa": ["2001:db8::61"], "keep": 45}, "malformed"),
    "empty": ({"kind": "empty"}, "without an address"),
    "cname loop": ({"kind": "cname_loop"}, "loop"),
    "cname chain of 20": ({"kind": "answer", "a": [NEW], "aaaa": ["2001:db8::61"],
                           "chain": [[f"c{i}.lab.example", 60] for i in range(20)]}, "loop"),
    "another name's addresses": ({"kind": "wrong_name", "a": [NEW], "aaaa": ["2001:db8::61"]}, "without an address"),
    **{f"a {what} address": ({"kind": "answer", "a": a}, "address") for what, a in list(PRIVATE.items())[:6]},
}

# The same, of those that are only known by waiting for an answer: all in one test.
SILENCE = {
    "timeout": ({"kind": "timeout"}, ""),
    "garbage": ({"kind": "garbage"}, ""),
    "two bytes": ({"kind": "garbage", "bytes": "00ff"}, ""),
    "cut in the header": ({"kind": "cut", "a": [NEW], "aaaa": ["2001:db8::61"], "keep": 11}, ""),
    "cut in the question": ({"kind": "cut", "a": [NEW], "aaaa": ["2001:db8::61"], "keep": 20}, ""),
    "truncated and no tcp": ({"kind": "truncate", "a": [NEW], "tcp": False}, ""),
    "another id": ({"kind": "wrong_id", "a": [NEW], "aaaa": ["2001:db8::61"]}, ""),
    "another question": ({"kind": "wrong_question", "a": [NEW], "aaaa": ["2001:db8::61"]}, ""),
}


@pytest.mark.parametrize("what", FAILURES)
def test_failure_keeps_what_was_there_and_is_told(loaded, what):
    behaviour, said = FAILURES[what]
    loaded.lab.dns.script(NAME, **behaviour)
    loaded.lab.dns.script(OTHER, a=["192.0.2.81"], ttl=600)
    r = refresh_when_due(loaded)
    assert_says(r, DEGRADED, NAME, said, "kept")
    # beyond what its own lifetime would have given
    poll(lambda: loaded.at(OTHER, "192.0.2.80") == REFUSED_AT_ONCE, "the end of the others' old address")
    assert loaded.addresses(TARGET) == {GOOD}, "what was there stays, and nothing new gets in"
    assert loaded.at(NAME, GOOD) == 0
    assert "192.0.2.81" in loaded.addresses(f"{OTHER}:443"), "the others go on"
    assert loaded.at(OTHER, "192.0.2.81") == 0
    t = loaded.targets()[TARGET]
    assert t["last_error"] and said in t["last_error"] and t["last_resolved"]
    assert loaded.json("stats")["refresh"]["failures"] >= 1
    s = loaded.json("status", status=DEGRADED)
    assert s["enforcing"] and any(NAME in p for p in s["problems"])
    with loaded.nothing_leaves():
        assert loaded.at(NAME, NEW) == REFUSED_AT_ONCE


@pytest.mark.parametrize("how", ["FORMERR", "FORMERR with OPT", "NOTIMP", "NOTIMP with OPT", "silence"])
def test_resolver_that_dislikes_edns_is_asked_plainly(guard, how):
    """Each name, each family: c-ares does it for the first query alone."""
    names = [f"n{i}.lab.example" for i in range(5)]
    guard.lab.dns.script("*", "dislikes_edns", how=how, a=[GOOD], aaaa=["2001:db8::60"])
    guard.load(allow=names)
    for name in names:
        assert guard.addresses(f"{name}:443") == {GOOD, "2001:db8::60"}, name
    assert guard.json("status")["healthy"]
    with guard.nothing_leaves(GOOD):
        assert guard.at(names[0], GOOD) == 0


def test_silence_keeps_what_was_there_and_is_told(guard):
    names = {f"n{i}.lab.example": (f"192.0.2.{100 + i}", *SILENCE[what]) for i, what in enumerate(SILENCE)}
    for name, (address, _, _) in names.items():
        guard.lab.dns.script(name, a=[address], ttl=1)
    guard.load(allow=(ALLOWED, *names), dns=SHORT)
    for name, (_, behaviour, _) in names.items():
        guard.lab.dns.script(name, **behaviour)
    assert_says(refresh_when_due(guard), DEGRADED, "n0.lab.example", f"{2 * len(names)} lookups fail", "kept")
    targets = guard.targets()
    for name, (address, _, said) in names.items():
        t = targets[f"{name}:443"]
        assert {a["address"] for a in t["addresses"]} == {address} and t["last_error"] and said in t["last_error"], name
        assert guard.at(name, address) == 0
    with guard.nothing_leaves(*(a for a, _, _ in names.values())):
        assert guard.at("n0.lab.example", NEW) == REFUSED_AT_ONCE
    guard.assert_stands()


def test_failure_of_both_families_of_many_names_is_one_line(guard):
    names = [f"n{i}.lab.example" for i in range(20)]
    for n in names:
        guard.lab.dns.script(n, "servfail")
    guard.conf(allow=(ALLOWED, *names))
    assert_says(guard.run("load"), DEGRADED, "n", "40 lookups fail")
    guard.assert_stands()


def test_failure_pauses_then_recovers(loaded):
    loaded.lab.dns.script(NAME, "servfail")
    assert refresh_when_due(loaded).returncode == DEGRADED
    asked = sum(q["name"] == NAME for q in loaded.lab.dns.queries())
    for _ in range(3):
        loaded.run("refresh")
    assert sum(q["name"] == NAME for q in loaded.lab.dns.queries()) == asked, "not asked again at once"
    loaded.lab.dns.script(NAME, a=[NEW], ttl=1)
    assert loaded.run("allow", NAME).returncode == DONE     # asks at once
    assert NEW in loaded.addresses(TARGET) and loaded.targets()[TARGET]["last_error"] is None
    assert loaded.at(NAME, NEW) == 0


def test_stale_limit_ends_it_in_the_kernel_and_others_go_on(guard):
    guard.lab.dns.script(NAME, a=[GOOD], ttl=1)
    guard.load(allow=(ALLOWED, NAME), dns=[*SHORT, "max-stale = 4s"])
    limit = time.time() + 4
    guard.lab.dns.script(NAME, "servfail")
    assert refresh_when_due(guard).returncode == DEGRADED
    assert guard.addresses(TARGET) == {GOOD} and guard.at(NAME, GOOD) == 0
    poll(lambda: guard.at(NAME, GOOD) == REFUSED_AT_ONCE, "the stale limit")
    poll(lambda: time.time() > limit + 1, "the limit by the wall clock too: seconds are whole there")
    guard.run("refresh")
    guard.assert_stands()
    guard.load(status=DEGRADED)     # the name fails still
    assert guard.at(NAME, GOOD) == REFUSED_AT_ONCE, "a load brings nothing back that is too old"


def test_load_without_dns_takes_up_what_was_known(loaded):
    """A boot where the resolver does not answer: the last good answer is a bridge."""
    poll(lambda: loaded.at(NAME, GOOD) == REFUSED_AT_ONCE, "the end of its time")
    loaded.shell("rm -r /sys/fs/bpf/ohguard/host /run/ohguard")
    loaded.lab.dns.script("*", "timeout")
    # the bridge is as long as the grace, and a busy machine takes its time
    loaded.load("--no-resolve", allow=(ALLOWED, NAME, OTHER), dns=["min-ttl = 1s", "grace = 1m"])
    assert loaded.at(NAME, GOOD) == 0
    assert loaded.at(ALLOWED, topology.ZONE[ALLOWED][0]) == 0


def test_first_load_without_dns_refuses_all_names_and_guards(guard):
    guard.lab.dns.script("*", "refused")
    assert_says(guard.run("load"), DEGRADED, ALLOWED)
    with guard.nothing_leaves():
        assert guard.at(ALLOWED, topology.ZONE[ALLOWED][0]) == REFUSED_AT_ONCE
        assert guard.probe("udp", "203.0.113.66", 31337) == "EPERM"
    guard.lab.dns.reset()
    guard.ok("allow", ALLOWED)      # asks at once
    guard.assert_stands()


def test_resolver_that_is_not_there(guard):
    guard.lab.router.ip(f"route replace unreachable {topology.RESOLVER}")
    try:
        assert_says(guard.run("load"), DEGRADED, f"resolver {topology.RESOLVER} does not answer: all 2 lookups fail")
    finally:
        guard.lab.router.ip(f"route del unreachable {topology.RESOLVER}")
        guard.lab.route_owned("aws", [topology.RESOLVER])
    guard.ok("allow", ALLOWED)
    guard.assert_stands()


def test_early_run_asks_nothing(loaded):
    loaded.load(allow=(ALLOWED, NAME, OTHER), dns=["min-ttl = 1h"])
    loaded.ok("allow", NAME)
    poll(lambda: loaded.ok("refresh").stdout == "", "nothing to be due")
    mark, asked = loaded.lab.wire.mark(), len(loaded.lab.dns.queries())
    for _ in range(3):
        assert loaded.json("refresh")["asked"] == 0
    assert len(loaded.lab.dns.queries()) == asked and not loaded.lab.wire.traffic(mark, dport=53)


def test_only_what_is_due_is_asked(guard):
    guard.lab.dns.script(NAME, a=[GOOD], ttl=1)
    guard.lab.dns.script(OTHER, a=["192.0.2.80"], ttl=600)
    guard.load(allow=(NAME, OTHER), dns=SHORT)
    asked = len(guard.lab.dns.queries())
    refresh_when_due(guard)
    assert {q["name"] for q in guard.lab.dns.queries()[asked:]} == {NAME}


# -- answers that are good, but unusual ---------------------------------------------------------------------------

@pytest.mark.parametrize("ttl, low, high", [(0, 30, 150), (1, 30, 150), (50, 50, 170), (2**31, 30, 150),
                                            (2**32 - 1, 30, 150), (2**31 - 1, 86400, 86520), (7200, 7200, 7320)])
def test_ttl_is_clamped(guard, ttl, low, high):
    guard.lab.dns.script(NAME, a=[GOOD], ttl=ttl)
    guard.load(allow=(NAME,))
    left = guard.targets()[TARGET]["addresses"][0]["seconds_left"]
    assert high - 30 < left <= high, left
    assert low <= high
    assert guard.at(NAME, GOOD) == 0


def test_shortest_ttl_of_the_chain_counts(guard):
    guard.lab.dns.script(NAME, a=[GOOD], ttl=3000, chain=[["b.example", 2000], ["c.example", 100], ["d.example", 900]])
    guard.load(allow=(NAME,), dns=["grace = 0"])
    assert 80 < guard.targets()[TARGET]["addresses"][0]["seconds_left"] <= 100
    assert guard.at(NAME, GOOD) == 0


def test_alias_is_not_itself_allowed_by_the_chain(guard):
    guard.lab.dns.script(NAME, a=[GOOD], chain=[[OTHER, 60]])
    guard.load(allow=(NAME,))
    assert set(guard.targets()) == {TARGET, f"{topology.RESOLVER}:53", f"{topology.TIME[0]}:123"}


def test_truncated_answer_is_asked_for_over_tcp(guard):
    guard.lab.dns.script(NAME, "truncate", a=[GOOD], by_type={"AAAA": {"kind": "empty"}})
    asked = len(guard.lab.dns.queries())
    guard.load(allow=(NAME,))
    assert guard.addresses(TARGET) == {GOOD}
    assert [q["via"] for q in guard.lab.dns.queries()[asked:] if q["type"] == dnswire.A] == ["udp", "tcp"]


@pytest.mark.parametrize("none, first, last, beside", [
    ("AAAA", "198.18.0.1", "198.18.1.244", "198.18.1.245"),
    ("A", "2001:db8:18::1", "2001:db8:18::1f4", "2001:db8:18::1f5")])
def test_500_addresses_all_work(guard, none, first, last, beside):
    guard.lab.dns.script(NAME, "many", by_type={none: {"kind": "empty"}})
    guard.load(allow=(NAME,), dns=[f"private = {NAME} 198.18.0.0/15"])
    held = guard.addresses(TARGET)
    assert len(held) == 500
    for address in (first, last):
        assert address in held and guard.at(NAME, address) == 0
    with guard.nothing_leaves():
        assert guard.at(NAME, beside) == REFUSED_AT_ONCE


def test_one_family_alone_is_no_failure(guard):
    guard.lab.dns.script(NAME, aaaa=["2001:db8:2::60"])
    guard.lab.dns.script(OTHER, a=["192.0.2.80"])
    guard.load(allow=(NAME, OTHER))
    assert guard.addresses(TARGET) == {"2001:db8:2::60"} and guard.addresses(f"{OTHER}:443") == {"192.0.2.80"}
    assert guard.json("status")["healthy"]


def test_one_family_that_fails_does_not_stop_the_other(guard):
    guard.lab.dns.script(NAME, a=[GOOD], by_type={"AAAA": {"kind": "servfail"}})
    guard.conf(allow=(NAME,))
    assert_says(guard.run("load"), DEGRADED, NAME)
    assert guard.addresses(TARGET) == {GOOD} and guard.at(NAME, GOOD) == 0


def test_rotating_pool_keeps_all_members_seen_until_they_expire(guard):
    guard.lab.dns.script(NAME, "rotate")
    guard.load(allow=(NAME,), dns=["min-ttl = 1s", "grace = 1h"])
    first = guard.addresses(TARGET)
    refresh_when_due(guard)
    assert guard.addresses(TARGET) > first
    assert all(guard.at(NAME, a) == 0 for a in guard.addresses(TARGET))


# -- answers that would open the way inside -----------------------------------------------------------------------

@pytest.mark.parametrize("family", ["a", "aaaa"])
def test_private_addresses_beside_a_public_one_do_not_get_in(guard, family):
    public = GOOD if family == "a" else "2001:db8:2::60"
    bad = [a for group in (PRIVATE if family == "a" else PRIVATE6).values() for a in group]
    guard.lab.dns.script(NAME, **{family: [*bad, public]})
    guard.load(allow=(NAME,))
    assert guard.addresses(TARGET) == {public}
    assert guard.at(NAME, public) == 0
    with guard.nothing_leaves():
        for address in ("10.0.0.9", "169.254.169.254", "fd00::10", "64:ff9b::a9fe:a9fe", topology.RESOLVER):
            assert guard.at(NAME, address) != 0


@pytest.mark.parametrize("what", PRIVATE6)
def test_private_ipv6_address_alone_is_a_failure(guard, what):
    guard.lab.dns.script(NAME, aaaa=PRIVATE6[what])
    guard.conf(allow=(ALLOWED, NAME))
    assert_says(guard.run("load"), DEGRADED, NAME, "address")
    assert not guard.addresses(TARGET)


def test_private_range_allowed_for_that_name_alone(guard):
    guard.lab.dns.script(NAME, a=["10.0.0.10"])
    guard.lab.dns.script(OTHER, a=["10.0.0.10"])
    guard.conf(allow=(NAME, OTHER), dns=[f"private = {NAME} 10.0.0.0/24"])
    assert_says(guard.run("load"), DEGRADED, OTHER, "private")
    assert guard.addresses(TARGET) == {"10.0.0.10"} and not guard.addresses(f"{OTHER}:443")


def test_metadata_address_is_never_let_in_by_a_range(guard):
    guard.lab.dns.script(NAME, a=["169.254.169.254"], aaaa=["fd00:ec2::254"])
    guard.conf(allow=(NAME,), dns=[f"private = {NAME} 0.0.0.0/0", f"private = {NAME} fd00::/8"])
    assert guard.run("load").returncode == DEGRADED
    with guard.nothing_leaves():
        assert guard.at(NAME, "169.254.169.254") and guard.at(NAME, "fd00:ec2::254")


ASK = "import socket, sys; socket.getaddrinfo(sys.argv[1], 443)"


@pytest.mark.parametrize("ranges, address", [
    (["64:ff9b::/96"], "64:ff9b::a9fe:a9fe"), (["2002::/16"], "2002:a9fe:a9fe::1"),
    (["::ffff:0:0:0/96"], "::ffff:0:a9fe:a9fe"), (["2001::/32"], "2001:0:102:304::5601:5601"),
    ([], "2001:db8:64::a9fe:a9fe")])
def test_metadata_address_is_never_let_in_by_what_it_means(guard, ranges, address):
    guard.lab.dns.script(NAME, aaaa=[address])
    guard.conf(allow=(NAME,),
               dns=["nat64 = 2001:db8:64::/96", "inspect = on", *[f"private = {NAME} {r}" for r in ranges]])
    assert_says(guard.run("load"), DEGRADED, NAME, "metadata service")
    guard.python(ASK, NAME)     # nor from the answer to a program
    assert not guard.addresses(TARGET)
    with guard.nothing_leaves():
        assert guard.at(NAME, address)


def test_address_behind_a_configured_translator_is_what_its_ipv4_address_is(guard):
    guard.lab.dns.script(NAME, aaaa=["2001:db8:64::a00:9", "2001:db8:64::808:808"])
    guard.load(allow=(NAME,), dns=["nat64 = 2001:db8:64::/96", "inspect = on"])
    guard.python(ASK, NAME)
    assert guard.addresses(TARGET) == {"2001:db8:64::808:808"}


# -- what is asked --------------------------------------------------------------------------------------------------

def test_queries_ask_for_nothing_but_the_names(loaded):
    before = len(loaded.lab.dns.queries())
    refresh_when_due(loaded)
    asked = loaded.lab.dns.queries()[before:]
    assert {q["name"] for q in asked} <= {ALLOWED, NAME, OTHER}
    assert {q["type"] for q in asked} == {dnswire.A, dnswire.AAAA}


def test_queries_have_ids_and_ports_that_cannot_be_guessed(loaded):
    mark = loaded.lab.wire.mark()
    for _ in range(8):
        loaded.ok("allow", NAME)
    sent = loaded.lab.wire.traffic(mark, proto="udp", dport=53)
    assert len({f.payload[:2] for f in sent}) > len(sent) - 3 and len({f.sport for f in sent}) > 5
    assert not any(re.search(rb"^\0\0", f.payload) for f in sent[:3])
