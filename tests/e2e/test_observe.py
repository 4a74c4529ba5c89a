# SPDX-License-Identifier: MIT
"""load --observe: nothing is refused, all is told by the name that it is for, and a plain load enforces again."""
import pytest

from guard import ALLOWED, CONF, DEGRADED, NOT_LOADED, assert_says, config, poll, serving
from lab import topology

OTHER, OTHER_AT = "github.com", topology.ZONE["github.com"][0]
SAY = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as s:
    s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n" * 3)
    s.recv(1)
    s.sendall(b"more")
"""


def told(guard):
    """What events tell: reason, name and port, each once."""
    return {(e["verdict"], e["reason"], e["name"], e["destination_port"]) for e in guard.events()}


def test_what_nothing_allows_passes_and_is_told_by_its_name(guard):
    guard.load("--observe")
    assert guard.curl(f"https://{OTHER}") == 0
    assert told(guard) == {("observed", "dns-name-not-allowed", OTHER, 53),
                           ("observed", "address-not-allowed", OTHER, 443),
                           ("observed", "tls-name-not-allowed", OTHER, 443)}


def test_a_hello_tells_the_name_where_no_query_did(guard):
    guard.load("--observe")
    assert guard.at(OTHER, OTHER_AT) == 0
    assert told(guard) == {("observed", "address-not-allowed", None, 443),
                           ("observed", "tls-name-not-allowed", OTHER, 443)}


def test_what_is_not_tls_is_told_once_for_a_connection(guard):
    guard.load("--observe")
    guard.python(SAY, OTHER, "80")
    events = [e for e in guard.events() if e["protocol"] == "tcp"]
    assert [(e["reason"], e["name"], e["hook"]) for e in events] == [
        ("address-not-allowed", OTHER, "connect4"), ("tls-not-tls", OTHER, "egress")]


def test_names_that_share_an_address_are_told_apart(guard):
    guard.load("--observe")
    for name in ("files.cdn.example", "tenant.cdn.example"):
        assert guard.python(SAY, name, "80") == ""
    assert {(e["name"], e["reason"]) for e in guard.events() if e["protocol"] == "tcp"} == {
        (name, reason) for name in ("files.cdn.example", "tenant.cdn.example")
        for reason in ("address-not-allowed", "tls-not-tls")}


def test_it_says_that_it_does_not_enforce(guard):
    guard.load("--observe")
    r = guard.run("status")
    assert r.returncode == DEGRADED and r.stdout.splitlines()[1].startswith("  ! it only observes")
    s = guard.json("status", status=DEGRADED)
    assert (s["mode"], s["enforcing"], s["healthy"]) == ("observe", False, False)
    assert s["problems"][0].startswith("it only observes")


def test_what_passed_is_counted_as_observed_and_not_as_refused(guard):
    guard.load("--observe")
    assert guard.curl(f"https://{OTHER}") == 0
    s = guard.json("stats")
    assert s["mode"] == "observe" and s["verdicts"]["observed"]["packets"] > 3
    assert s["verdicts"]["refused"] == {"packets": 0, "bytes": 0}
    assert s["observed"]["dns-name-not-allowed"]["packets"] == 2
    assert s["reasons"]["dns-name-not-allowed"]["packets"] == 0
    prometheus = guard.ok("stats", "--prometheus").stdout
    assert 'ohguard_observing{instance="host"} 1' in prometheus
    assert 'ohguard_packets_total{instance="host",verdict="observed",reason="dns-name-not-allowed"} 2' in prometheus
    guard.load()
    assert guard.curl(f"https://{OTHER}") != 0
    s = guard.json("stats")
    assert (s["mode"], s["observed"]["dns-name-not-allowed"]["packets"]) == ("enforce", 2)
    assert s["reasons"]["dns-name-not-allowed"]["packets"] >= 1


def test_nobody_answers_what_passes(guard):
    """With the helper at work a name that is not allowed has its real answer."""
    guard.load()
    with serving(guard):
        guard.load("--observe")
        assert guard.curl(f"https://{OTHER}") == 0
        assert guard.curl(f"https://{ALLOWED}") == 0


def test_the_next_load_enforces_and_no_packet_is_let_out_between(lab, guard):
    """A sender that never stops: from the load's first refusal on, none of its packets leaves."""
    guard.load("--observe")
    sender = lab.server.popen(["/usr/bin/python3", "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
refused = 0
while refused < 2000:
    try:
        s.sendto(b"x", ("%s", 31337))
        assert not refused, "left after the first refusal"
    except PermissionError:
        refused += 1
""" % topology.ATTACKER[0]], guarded=True)
    try:
        poll(lambda: guard.json("stats")["verdicts"]["observed"]["packets"], "packets that pass")
        guard.load()
        assert sender.wait(60) == 0
    finally:
        sender.kill()
        sender.wait()
    guard.assert_stands()


# -- suggest

def lines(text):
    return [line for line in text.splitlines() if " = " in line]


def use(guard):
    """What a workload does: a site, plain HTTP, an address without a name, and a name that it only asks for."""
    assert guard.curl(f"https://{OTHER}") == 0
    guard.python(SAY, "example.com", "80")
    assert guard.at("google.com", topology.ZONE["google.com"][0]) == 0
    assert guard.lab.server.run(["getent", "ahosts", "files.cdn.example"], guarded=True).returncode == 0


WANTED = ["target = example.com:80 sni=off", f"target = {OTHER}", "target = google.com", "name = files.cdn.example"]


@pytest.mark.parametrize("written", (False, True), ids=("buffer", "history"))
def test_suggest_gives_the_smallest_list_and_it_lets_all_pass(guard, written):
    guard.load(*() if written else ("--observe",))
    if written:
        with serving(guard):
            guard.load("--observe")
            use(guard)
            poll(lambda: lines(guard.ok("suggest").stdout) == WANTED, "what was observed")
    else:
        use(guard)
    assert lines(guard.ok("suggest").stdout) == WANTED
    assert lines(guard.ok("suggest").stdout) == WANTED      # it takes nothing away
    text = guard.ok("suggest").stdout
    guard.write(CONF, config(guard.cgroup, extra=text))
    guard.ok("load")
    use(guard)
    # getaddrinfo() connects datagram sockets to the addresses, to no port, and sends nothing
    reasons = guard.json("stats")["reasons"]
    assert {r for r in reasons if reasons[r]["packets"]} <= {"address-not-allowed"}
    assert {(e["protocol"], e["destination_port"]) for e in guard.events() if e["verdict"] == "refused"} <= {("udp", 0)}
    assert lines(guard.ok("suggest").stdout) == []
    guard.assert_refuses("tenant.cdn.example", topology.ZONE["tenant.cdn.example"][0])


def test_suggest_apply_allows_it(guard):
    guard.load("--observe")
    use(guard)
    said = guard.json("suggest", "--apply")
    assert said["changed"] and {(t["target"], t["port"], t["sni"]) for t in said["targets"]} == {
        ("example.com", 80, "off"), (OTHER, 443, "on"), ("google.com", 443, "on")}
    assert [n["name"] for n in said["names"]] == ["files.cdn.example"]
    guard.load()
    assert guard.curl(f"https://{OTHER}") == 0
    guard.python(SAY, "example.com", "80")
    said = guard.json("suggest", "--apply")
    assert (said["changed"], said["targets"]) == (False, [])


def test_suggest_takes_suffixes_only_where_asked(guard):
    guard.load("--observe")
    for name in ("files.cdn.example", "tenant.cdn.example"):
        assert guard.curl(f"https://{name}") == 0
    assert lines(guard.ok("suggest").stdout) == ["target = files.cdn.example", "target = tenant.cdn.example"]
    assert lines(guard.ok("suggest", "--suffix", "cdn.example").stdout) == ["target = *.cdn.example"]


def test_suggest_is_about_what_was_observed(guard):
    guard.load()
    assert guard.curl(f"https://{OTHER}") != 0
    assert lines(guard.ok("suggest").stdout) == []
    assert lines(guard.ok("suggest", "--refused").stdout) == [f"name = {OTHER}"]
    guard.load("--observe")
    assert guard.curl(f"https://{OTHER}") == 0
    assert lines(guard.ok("suggest", "--since", "1h").stdout) == [f"target = {OTHER}"]
    assert_says(guard.run("suggest", "--since", "nonsense"), 2, "nonsense")


def test_suggest_leaves_out_what_a_search_suffix_makes_of_a_name(guard):
    was = guard.shell("cat /etc/resolv.conf").stdout
    guard.write("/etc/resolv.conf", was + "search corp.example\n")
    try:
        guard.load("--observe")
        for name in (f"{OTHER}.corp.example", "tenant.cdn.example.corp.example", OTHER):
            guard.lab.server.run(["getent", "ahosts", f"{name}."], guarded=True)
        assert guard.curl(f"https://{OTHER}") == 0
        assert lines(guard.ok("suggest").stdout) == [f"target = {OTHER}", "name = tenant.cdn.example.corp.example"]
    finally:
        guard.write("/etc/resolv.conf", was)


def test_suggest_without_a_guard(guard):
    assert_says(guard.run("suggest"), NOT_LOADED, "ohguard load")
