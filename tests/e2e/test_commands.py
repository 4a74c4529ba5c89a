# SPDX-License-Identifier: MIT
"""Every command: exit statuses, text, JSON, and what it does to the wire."""
import json
import re
import signal
import subprocess
import time

import pytest

from guard import (ALLOWED, BINARY, CONF, DEGRADED, DONE, FAILED, FORBIDDEN, HOOKS, NOT_LOADED, NOT_RESOLVED,
                   PINS, REFUSED_AT_ONCE, STATE, USAGE, assert_says, config, poll)
from lab import topology

COMMANDS = ("load", "confirm", "unload", "allow", "asks", "deny", "revoke", "list", "refresh", "stats", "events",
            "report", "status", "lock", "unlock", "run", "suggest", "explain", "verify")
# a command that needs nothing but a loaded guard
PLAIN = {"confirm": (), "allow": ("192.0.2.1",), "revoke": ("192.0.2.1",), "list": (),
         "asks": (), "deny": ("192.0.2.1",),
         "refresh": (), "explain": (), "verify": (), "stats": (), "events": (), "report": ("/run/report.html",),
         "suggest": (), "status": (),
         "lock": (), "unlock": ()}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

# The keys of DESIGN section 4, and what was added since.
COUNT = {"packets", "bytes"}
STATUS = {"instance", "enforcing", "mode", "cgroup", "healthy", "problems", "hooks"} | {
    "locked", "packet_sockets", "refused_names", "local", "notes"}
HOOK = {"hook", "attached", "where", "since"} | {"before"}
LIST_TARGET = {"target", "port", "source", "lapses", "addresses", "last_resolved", "last_error", "hits"} | {
    "service", "wide", "last_port", "sni"}
LIST_ADDRESS = {"address", "seconds_left", "learned"}
STATS = {"instance", "since", "verdicts", "reasons", "targets", "maps", "refresh"} | {
    "rules", "events_lost", "mode", "observed", "top_refused", "top_programs"}
STATS_TARGET = {"target", "packets", "bytes"} | {"port", "last_port", "service", "hits"}
REFRESH = {"last", "next_due", "failures", "names", "addresses"}
EVENT = {"time", "verdict", "reason", "hook", "protocol", "source", "source_port", "destination", "destination_port",
         "name", "pid", "uid", "command", "cgroup", "container"} | {
             "container_name", "container_by", "interface", "original_source", "count", "first", "last", "target",
             "reply", "others"}
REASONS = {"address-not-allowed", "address-expired", "port-not-allowed", "protocol-not-allowed",
           "dns-resolver-not-allowed", "dns-name-not-allowed", "dns-malformed", "ntp-server-not-allowed",
           "ntp-malformed", "tls-name-not-allowed", "tls-no-name", "tls-encrypted-hello", "tls-not-tls",
           "tls-incomplete", "fragment", "packet-malformed", "raw-socket", "packet-socket", "forwarded",
           "inbound-not-allowed", "metadata-service", "lockdown"}


@pytest.fixture
def loaded(guard):
    guard.load()
    return guard


@pytest.fixture
def site(lab):
    """A name of the test's own, at an address of its own."""
    lab.dns.add("site.lab.example", "192.0.2.50", "2001:db8:2::50")
    return "site.lab.example"


# -- the command line --------------------------------------------------------------------------------------------

def test_help_of_all_and_of_each(guard):
    every = guard.ok("--help").stdout
    assert guard.ok("help").stdout == every
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", every, re.M)
        r = guard.ok(command, "--help")
        assert r.stdout.startswith(f"Usage: ohguard {command}") and not r.stderr
        for option in ("--config", "--name", "--json", "--help"):
            assert option in r.stdout, f"{command} does not tell of {option}"
    assert re.fullmatch(r"ohguard \S+ .*\n", guard.ok("--version").stdout)


@pytest.mark.parametrize("argv, word", [
    (["frobnicate"], "frobnicate"), (["load", "--frobnicate"], "--frobnicate"), (["load", "now"], "now"),
    (["load", "--cgroup"], "--cgroup"), (["load", "--uplink", "eth 0"], "eth 0"), (["allow"], "allow"),
    (["revoke"], "revoke"), (["allow", "--for", "soon", "a.example"], "soon"), (["allow", "--for", "0", "a"], "0"),
    (["allow", "--for", "9999d", "a"], "9999d"), (["stats", "--json", "--prometheus"], "--prometheus"),
    (["list", "--name", "../x"], "../x"), (["list", "--name", ""], "--name"), (["list", "--name", "a" * 33], "a" * 33),
    (["status", "--name", "a\x1b[2J"], "\\x1b")])
def test_wrong_usage_is_told_and_changes_nothing(loaded, argv, word):
    line = assert_says(loaded.run(*argv), USAGE, word)
    assert "\x1b" not in line
    loaded.assert_stands()


def test_no_command_is_wrong_usage(guard):
    r = guard.run()
    assert r.returncode == USAGE and r.stderr.startswith("Usage:") and not r.stdout


@pytest.mark.parametrize("command", PLAIN)
@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_command_without_a_guard_says_not_loaded(guard, command, json_too):
    r = guard.run(command, *PLAIN[command], *json_too)
    assert_says(r, NOT_LOADED, "ohguard load")
    assert not r.stdout


@pytest.mark.parametrize("command", ["list", "stats", "status", "events"])
def test_full_disk_behind_standard_output_is_a_failure(loaded, command):
    loaded.probe("udp", *FORBIDDEN)
    r = loaded.lab.server.run(["sh", "-c", f"{BINARY} {command} >/dev/full"])
    if command == "events":     # and who reads is told that nobody writes the history
        r.stderr = r.stderr.split("\n", 1)[1]
    assert_says(r, FAILED, "standard output")


# -- text and JSON -----------------------------------------------------------------------------------------------

def test_status_text_and_json(loaded):
    r = loaded.ok("status")
    assert r.stdout.splitlines()[0] == f"host: guarding {loaded.cgroup}, healthy" and not r.stderr
    s = loaded.json("status")
    assert s.keys() == STATUS and all(h.keys() == HOOK for h in s["hooks"])
    assert {k: s[k] for k in ("instance", "enforcing", "mode", "cgroup", "healthy", "problems")} == {
        "instance": "host", "enforcing": True, "mode": "enforce", "cgroup": str(loaded.cgroup), "healthy": True,
        "problems": []}
    assert (s["locked"], s["packet_sockets"]) == (False, "not refused"), "no BPF LSM in the lab"
    assert [h["hook"] for h in s["hooks"]] == HOOKS
    assert all(h["attached"] and h["where"] == str(loaded.cgroup) and TIME.fullmatch(h["since"]) for h in s["hooks"])
    assert len(loaded.attached()) == len(HOOKS), "as the kernel tells"


def assert_no_lock(guard, *words):
    """`lock` says why it cannot be and what to do, and leaves nothing behind."""
    assert_says(guard.run("lock"), FAILED, *words)
    assert guard.shell("test ! -e /etc/ohguard/lock.key && test ! -e $1/host/lock && echo "
                       "none", PINS).stdout == "none\n"
    assert guard.json("status")["locked"] is False


def test_lock_without_bpf_lsm_is_refused_with_advice(loaded):
    # Not tried where BPF LSM is not listed: a test must not attach to the machine that it runs on.
    assert_no_lock(loaded, "mount -t securityfs", "lsm=")
    loaded.shell("mount -t tmpfs lab /sys/kernel/security; printf 'capability,yama' >/sys/kernel/security/lsm")
    try:
        assert_no_lock(loaded, "add lsm=capability,yama,bpf to the kernel's command line")
        loaded.shell("printf 'capability,notbpf,bpfnot' >/sys/kernel/security/lsm")
        assert_no_lock(loaded, "add lsm=capability,notbpf,bpfnot,bpf")
    finally:
        loaded.shell("umount /sys/kernel/security")
    loaded.assert_stands()


def test_unlock_of_what_is_not_locked_is_no_error(loaded):
    assert loaded.json("unlock") == {"instance": "host", "locked": False, "key": None, "changed": False}
    loaded.assert_stands()


def test_list_text_and_json(loaded):
    loaded.ok("allow", "--for", "1h", "--sni", "off", "example.com:80")
    loaded.ok("allow", "198.51.100.0/24")
    assert loaded.curl(f"https://{ALLOWED}") == 0
    text = loaded.ok("list").stdout
    for part in (f"{ALLOWED}:443", "example.com:80", "198.51.100.0/24:443", *topology.ZONE[ALLOWED]):
        assert part in text
    listed = loaded.json("list")
    assert listed.keys() >= {"targets"}, "one object"
    for t in listed["targets"]:
        assert t.keys() == LIST_TARGET and all(a.keys() == LIST_ADDRESS for a in t["addresses"])
    by = {f"{t['target']}:{t['port']}": t for t in listed["targets"]}
    name, lapsing, literal = by[f"{ALLOWED}:443"], by["example.com:80"], by["198.51.100.0/24:443"]
    assert (name["source"], name["lapses"], name["hits"], name["last_error"]) == ("config", None, 1, None)
    for learned in ("refresh", "answer"):      # curl's own queries taught the same
        assert {a["address"] for a in name["addresses"] if a["learned"] == learned} == set(topology.ZONE[ALLOWED])
    assert all(0 < a["seconds_left"] <= 180 for a in name["addresses"])
    assert TIME.fullmatch(name["last_resolved"])
    assert lapsing["source"] == "grant" and TIME.fullmatch(lapsing["lapses"])
    assert (literal["source"], literal["lapses"], literal["last_resolved"]) == ("runtime", None, None)


def test_stats_text_json_and_prometheus(loaded):
    assert loaded.curl(f"https://{ALLOWED}") == 0
    loaded.probe("udp", *FORBIDDEN)
    s = loaded.json("stats")
    assert s.keys() == STATS and s["reasons"].keys() >= REASONS and s["refresh"].keys() == REFRESH
    assert s["verdicts"].keys() == {"allowed", "refused", "observed"}
    assert all(c.keys() == COUNT for c in (*s["verdicts"].values(), *s["reasons"].values()))
    assert all(t.keys() == STATS_TARGET for t in s["targets"])
    assert all(m.keys() == {"name", "entries", "max"} for m in s["maps"])
    assert s["verdicts"]["refused"]["packets"] == 1 == s["reasons"]["protocol-not-allowed"]["packets"]
    assert s["verdicts"]["allowed"]["packets"] == sum(c["packets"] for c in s["rules"].values())
    assert s["refresh"]["names"] == 1 and s["refresh"]["addresses"] == 5 and s["refresh"]["failures"] == 0
    assert TIME.fullmatch(s["since"]) and TIME.fullmatch(s["refresh"]["next_due"])
    assert "protocol-not-allowed" in loaded.ok("stats").stdout
    metrics = loaded.ok("stats", "--prometheus").stdout
    assert 'ohguard_packets_total{instance="host",verdict="refused",reason="protocol-not-allowed"} 1\n' in metrics
    seen = []
    for line in metrics.splitlines():
        m = re.fullmatch(r'# (HELP) (\w+) .+\.|# (TYPE) (\w+) (?:counter|gauge)|'
                         r'(\w+)\{\w+="[^"]*"(?:,\w+="[^"]*")*\} \d+', line)
        assert m, line
        if not seen or [*filter(None, m.groups())] != seen[-1]:
            seen.append([*filter(None, m.groups())])
    names = [s[0] for s in seen if len(s) == 1]
    assert len(names) == len(set(names)) and seen == [x for n in names for x in (["HELP", n], ["TYPE", n], [n])]
    assert {m["name"] for m in s["maps"]} == {"oh_addresses", "oh_learned", "oh_opened", "oh_ranges", "oh_names",
                                              "oh_local", "oh_questions"}
    assert next(m["entries"] for m in s["maps"] if m["name"] == "oh_learned"), "curl's own queries taught them"


def test_counters_never_fall(loaded):
    before = loaded.json("stats")
    loaded.probe("udp", *FORBIDDEN)
    second = int(time.time())
    poll(lambda: int(time.time()) > second + 1, "a clock that differs from the first load's")
    loaded.load()
    loaded.ok("refresh")
    loaded.probe("udp", *FORBIDDEN)
    after = loaded.json("stats")
    assert after["verdicts"]["refused"]["packets"] == before["verdicts"]["refused"]["packets"] + 2
    assert after["since"] == before["since"], "counters were not reset, so they count since the first load"


def test_events_text_and_json_one_object_a_line(loaded):
    for _ in range(3):
        loaded.probe("udp", *FORBIDDEN)
    r = loaded.ok("events", "--json")
    events = [json.loads(line) for line in r.stdout.splitlines()]
    assert [e["count"] for e in events] == [3] and all(e.keys() == EVENT for e in events)
    assert all(TIME.match(e["time"]) and e["verdict"] == "refused" and e["reason"] in REASONS and
               e["hook"] in HOOKS and e["protocol"] == "udp" for e in events)
    assert (events[0]["destination"], events[0]["destination_port"]) == FORBIDDEN
    assert (events[0]["uid"], events[0]["cgroup"], events[0]["container"]) == (0, str(loaded.cgroup), None)
    assert r.stdout == loaded.ok("events", "--json").stdout, "reading takes nothing"
    assert re.fullmatch(r"\S+ refused protocol-not-allowed udp to 203\.0\.113\.66 port 31337 by .*, 3 times until "
                        r"\S+\n", loaded.ok("events").stdout)


def test_events_hostile_command_name_is_escaped(loaded):
    name = b"\x1b]0;\"\\\n\xff".decode("latin-1")
    code = ("import socket\nopen('/proc/self/comm', 'wb').write(b'\\x1b]0;\\\"\\\\\\n\\xff')\n"
            "try: socket.create_connection(('203.0.113.66', 80), 2)\nexcept PermissionError: pass")
    loaded.python(code)
    loaded.python(code)
    told = loaded.lab.server.run([BINARY, "events", "--json"], text=False).stdout
    lines = told.decode().splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["command"] == name and json.loads(lines[0])["count"] == 2
    text = loaded.lab.server.run([BINARY, "events"], text=False).stdout
    assert text.count(b"\n") == 1 and b"\x1b" not in text and b"\xff" not in text


def test_events_container_is_named(loaded):
    ident = "0123456789abcdef" * 4
    cgroup = loaded.sub_cgroup(f"docker-{ident}.scope")
    loaded.in_cgroup(cgroup, ["curl", "-sS", "https://google.com"])
    assert {(e["container"], e["container_name"], e["container_by"]) for e in loaded.events()} == {
        (ident[:12], None, "cgroup")}
    for where, port in ((cgroup, 80), (loaded.cgroup, 80), (cgroup, 81)):
        loaded.in_cgroup(where, ["curl", "-sS", "-4", f"http://203.0.113.66:{port}"])
    assert [(e["container"], e["cgroup"]) for e in loaded.events()] == [
        (ident[:12], str(cgroup)), (None, str(loaded.cgroup)), (ident[:12], str(cgroup))]


CONTAINER = "0123456789abcdef" * 4
WRITE = 'mkdir -p "$(dirname "$1")"; printf "%s" "$2" >"$1"; chmod 600 "$1"; '


@pytest.mark.parametrize("content, then, name", [
    ('{"Name": "/web"}', "", "web"), ('{"Name": "/\\u001b]0;\\u0007"}', "", "\x1b]0;\7"), ('{"Name": 7}', "", None),
    ("[" * 5000, "", None), ('{"Name": "/web"', "", None), ('{"Name": "/web"}', 'chown 1 "$1"', None),
    ('{"Name": "/web"}', 'chmod 666 "$1"', None), ('{"Name": "/web"}', 'mv "$1" "$1.real"; ln -s "$1.real" "$1"', None),
    ("", 'rm "$1"; mkfifo "$1"', None), ('{"Name": "/web"}', 'truncate -s 5M "$1"', None)])
def test_events_name_of_a_container_is_what_root_wrote_down_of_it(loaded, content, then, name):
    """Whatever stands there, the event is told."""
    path = f"/var/lib/docker/containers/{CONTAINER}/config.v2.json"
    loaded.shell(WRITE + (then or ":"), path, content)
    try:
        loaded.in_cgroup(loaded.sub_cgroup(f"docker-{CONTAINER}.scope"), ["curl", "-sS", "http://203.0.113.66"])
        e, = loaded.events()
        assert (e["container"], e["container_name"]) == (CONTAINER[:12], name)
    finally:
        loaded.shell("rm -r /var/lib/docker")


def test_events_follow_tells_as_they_come_and_ends_on_a_signal(loaded):
    with loaded.lab.server.popen([BINARY, "events", "--follow", "--json"], text=True, stdout=subprocess.PIPE) as reader:
        try:
            for n in range(2):
                loaded.probe("udp", FORBIDDEN[0], FORBIDDEN[1] + n)
                e = json.loads(reader.stdout.readline())
                assert (e["reason"], e["destination_port"]) == ("protocol-not-allowed", FORBIDDEN[1] + n)
            assert len(loaded.ok("events").stdout.splitlines()) == 2, "any number of readers"
            reader.terminate()
            assert reader.wait(10) == 0
        finally:
            reader.kill()


def test_events_follow_goes_on_with_the_next_guard_and_ends_with_none(loaded):
    with loaded.lab.server.popen([BINARY, "events", "--follow", "--json"], text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) as reader:
        try:
            loaded.probe("udp", *FORBIDDEN)
            assert json.loads(reader.stdout.readline())
            reader.send_signal(signal.SIGSTOP)      # so that it cannot see that none is loaded for a while
            loaded.ok("unload", "--yes")
            loaded.load()
            reader.send_signal(signal.SIGCONT)
            loaded.probe("tcp", *FORBIDDEN)
            assert json.loads(reader.stdout.readline())["reason"] == "address-not-allowed"
            loaded.ok("unload", "--yes")
            assert reader.wait(20) == NOT_LOADED and "not loaded" in reader.stderr.read()
        finally:
            reader.kill()


def test_flood_is_counted_and_leaves_room_for_others(loaded):
    flood = ("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor n in range(12000):\n"
             " try: s.sendto(b'x', ('203.0.113.66', 1000 + n))\n except PermissionError: pass")
    loaded.python(flood)
    loaded.curl("http://203.0.113.67")
    r = loaded.run("events", "--json")
    told = [json.loads(line) for line in r.stdout.splitlines()]
    assert loaded.json("stats")["events_lost"] == 0
    assert sum(e["count"] for e in told if e["reason"] == "protocol-not-allowed") == 12000
    assert [e["count"] > 11000 for e in told if e["others"]] == [True] and len(told) < 800
    assert "curl" in {e["command"] for e in told}
    assert loaded.reason("protocol-not-allowed") == 12000, "counting does not depend on a reader"


# -- load and unload ---------------------------------------------------------------------------------------------

def test_load_text_and_json(guard):
    first, *lines = guard.ok("load").stdout.splitlines()
    assert first == f"host: guarding {guard.cgroup}, 3 targets" and f"  + {ALLOWED}:443" in lines
    r = guard.json("load")
    assert r == {"instance": "host", "cgroup": str(guard.cgroup), "mode": "enforce", "dry_run": False, "targets": 3,
                 "asked": 0, "failed": 0, "added": [], "removed": [], "changed": False}
    guard.assert_stands()


def test_load_again_keeps_links_counters_and_connections(loaded):
    loaded.probe("udp", *FORBIDDEN)
    links = loaded.links()
    assert set(links) == set(HOOKS)
    programs = {p["id"] for p in loaded.attached()}
    with loaded.stream() as stream:
        hits = loaded.targets()[f"{ALLOWED}:443"]["hits"]
        loaded.load("--anew")
        assert stream.goes_on()
        assert loaded.links() == links and len(loaded.attached()) == len(HOOKS)
        assert programs.isdisjoint({p["id"] for p in loaded.attached()}), "the programs are new"
        assert loaded.reason("protocol-not-allowed") == 1
        assert loaded.targets()[f"{ALLOWED}:443"]["hits"] == hits, "no connection was admitted anew"
    loaded.assert_stands()


def test_load_again_with_another_list_takes_it_up(loaded):
    loaded.assert_refuses("google.com", topology.ZONE["google.com"][0])
    loaded.load(allow=("google.com",))
    assert loaded.curl("https://google.com") == 0
    with loaded.nothing_leaves():
        loaded.assert_refuses(ALLOWED, topology.ZONE[ALLOWED][0])


def test_load_again_without_a_name_cuts_its_connections(guard, site):
    guard.load(allow=(ALLOWED, site))
    with guard.stream(site) as stream:
        mark = guard.lab.wire.mark()
        guard.load(allow=(ALLOWED,))
        poll(lambda: stream.curl.poll() is not None, "the program to be told")
        assert stream.curl.returncode == 56
        assert not [f for f in guard.lab.wire.traffic(mark) if bytes(f.payload) and f.dport == 443]


def test_load_again_with_another_bound_keeps_connections(loaded):
    with loaded.stream() as stream:
        loaded.load(guard=["max-addresses = 2048"])
        assert stream.goes_on()
    assert next(m["max"] for m in loaded.json("stats")["maps"] if m["name"] == "oh_addresses") == 2048
    loaded.assert_stands()


def test_edited_configuration_is_told_and_not_in_force_before_load(loaded):
    loaded.conf(allow=("google.com",))
    s = loaded.json("status", status=DEGRADED)
    assert not s["healthy"] and s["enforcing"] and "configuration" in s["problems"][0]
    loaded.assert_refuses("google.com", topology.ZONE["google.com"][0])
    loaded.ok("refresh")
    loaded.assert_stands()
    assert loaded.json("status", status=DEGRADED)["problems"] == [
        "the configuration was edited: `ohguard load` puts it in force"]
    loaded.conf(extra="nonsense = 1")
    problem, = loaded.json("status", status=DEGRADED)["problems"]
    assert "would refuse it" in problem and "nonsense" in problem and "puts it in force" not in problem


def test_load_observe_refuses_nothing_and_tells(guard):
    guard.load("--observe")
    s = guard.json("status", status=DEGRADED)
    assert (s["mode"], s["enforcing"]) == ("observe", False)
    mark = guard.lab.wire.mark()
    assert guard.curl("https://google.com") == 0
    assert guard.probe("udp", *FORBIDDEN) == "ok"
    assert guard.lab.wire.traffic(mark, dst=FORBIDDEN[0], dport=FORBIDDEN[1])
    events = guard.events()
    assert {"address-not-allowed", "protocol-not-allowed"} <= {e["reason"] for e in events}
    assert {e["verdict"] for e in events} == {"observed"}
    assert "observing" in guard.run("status").stdout
    guard.load()
    assert guard.json("status")["mode"] == "enforce"
    guard.assert_stands()


def test_load_dry_run_attaches_nothing(guard):
    r = guard.load("--dry-run")
    assert "would" in r.stdout
    assert not guard.attached() and guard.shell(f"ls {PINS}", check=False).returncode
    assert guard.curl("https://google.com") == 0
    assert_says(guard.run("status"), NOT_LOADED)


def test_load_dry_run_over_a_loaded_guard_changes_nothing(loaded):
    programs, links = loaded.attached(), loaded.links()
    loaded.load("--dry-run", allow=("google.com",))
    assert loaded.attached() == programs and loaded.links() == links
    loaded.assert_stands()
    loaded.assert_refuses("google.com", topology.ZONE["google.com"][0])


def test_load_no_resolve_leaves_it_to_refresh(guard):
    guard.load("--no-resolve")
    assert guard.json("status")["healthy"], "nothing is overdue yet"
    assert not guard.addresses(f"{ALLOWED}:443") and guard.at(ALLOWED, topology.ZONE[ALLOWED][0]) == REFUSED_AT_ONCE
    assert guard.json("refresh")["asked"] == 2
    guard.assert_stands()


def test_load_with_a_name_that_fails_is_degraded_and_guards(guard):
    guard.conf(allow=(ALLOWED, "nope.lab.example"))
    assert_says(guard.run("load"), DEGRADED, "nope.lab.example", "NXDOMAIN")
    s = guard.json("status", status=DEGRADED)
    assert any("nope.lab.example" in p for p in s["problems"])
    guard.assert_stands()
    assert_says(guard.run("load"), DEGRADED, "nope.lab.example", "NXDOMAIN")     # though it is not due yet


def test_private_address_is_told_with_its_name_and_what_to_do(guard):
    guard.lab.dns.script("inside.lab.example", a=["10.9.8.7"])
    guard.conf(allow=(ALLOWED, "inside.lab.example"))
    assert_says(guard.run("load"), DEGRADED, "inside.lab.example: 10.9.8.7 is a private address", "[dns] private")
    assert any("inside.lab.example" in p and "10.9.8.7" in p for p in guard.json("status", status=DEGRADED)["problems"])


def test_own_address_of_later_is_known_after_a_refresh_with_nothing_due(loaded):
    """It leaves no interface; the connect hooks go by a list."""
    own = "198.51.100.77"
    loaded.lab.server.ip(f"addr add {own}/32 dev lo")
    try:
        assert loaded.probe("tcp", own, 9) == "EPERM"
        assert loaded.json("refresh")["asked"] == 0
        assert loaded.probe("tcp", own, 9) == "ECONNREFUSED"
    finally:
        loaded.lab.server.ip(f"addr del {own}/32 dev lo")


def test_load_cgroup_option_wins_and_load_moves(loaded):
    other = loaded.sub_cgroup("other")
    loaded.load("--cgroup", str(other))
    assert not loaded.attached() and len(loaded.attached(other)) == len(HOOKS)
    assert loaded.json("status")["cgroup"] == str(other)
    loaded.load()
    poll(lambda: not loaded.attached(other), "the old place to be left")
    loaded.assert_stands()


@pytest.mark.parametrize("cgroup, words", [("/nope", ("/nope", "No such file")), ("/tmp", ("/tmp", "cgroup2"))])
def test_load_on_what_is_no_cgroup_fails(loaded, cgroup, words):
    assert_says(loaded.run("load", "--cgroup", cgroup), FAILED, *words)
    loaded.assert_stands()


def test_unload_asks_and_then_leaves_nothing(loaded):
    assert_says(loaded.run("unload"), USAGE, "--yes")
    loaded.assert_stands()
    r = loaded.ok("unload", "--yes")
    assert r.stdout == "host: unloaded: nothing is guarded any more\n" and not r.stderr
    poll(lambda: not loaded.attached(), "the links to end")
    assert loaded.curl("https://google.com") == 0
    assert loaded.shell(f"ls {PINS}").stdout == ""
    assert loaded.json("unload", "--yes") == {"instance": "host", "changed": False}


# -- allow and revoke --------------------------------------------------------------------------------------------

def test_allow_is_in_force_when_it_returns_and_revoke_too(loaded, site):
    with loaded.nothing_leaves():
        loaded.assert_refuses(site, "192.0.2.50")
    mark = loaded.lab.wire.mark()
    loaded.ok("allow", site)
    assert loaded.curl(f"https://{site}") == 0
    assert loaded.lab.wire.traffic(mark, dst="192.0.2.50") or loaded.lab.wire.traffic(mark, dst="2001:db8:2::50")
    loaded.ok("revoke", site)
    with loaded.nothing_leaves():
        loaded.assert_refuses(site, "192.0.2.50")
    assert f"{site}:443" not in loaded.targets()
    loaded.assert_stands()


def test_allow_for_a_time_lapses_in_the_kernel_alone(loaded, site):
    loaded.ok("allow", "--for", "3s", site)
    with loaded.stream(site, "-4"):
        # at the other address, so that all that goes to the first is the download's
        poll(lambda: loaded.at(site, "2001:db8:2::50", "--max-time", "3") == REFUSED_AT_ONCE, "the end of the grant")
        assert loaded.curl(f"https://{site}") == NOT_RESOLVED
        # nothing of ohguard has run since
        mark = loaded.lab.wire.mark()
        before = loaded.reason("address-not-allowed")
        poll(lambda: loaded.reason("address-not-allowed") > before, "a refused acknowledgment of the download")
        assert not loaded.lab.wire.traffic(mark, dst="192.0.2.50")
    # the kernel's clock and the calendar tick apart: the one may be up to a second ahead
    poll(lambda: loaded.ok("refresh") and f"{site}:443" not in loaded.targets(), "the end of the grant by the calendar")
    lapsed, = loaded.json("list")["lapsed"]
    assert (lapsed["target"], lapsed["port"]) == (site, 443) and TIME.fullmatch(lapsed["lapsed"])
    assert f"{site}:443  (lapsed " in loaded.ok("list").stdout
    loaded.assert_stands()


def test_allow_for_a_time_of_a_range_lapses(loaded):
    loaded.ok("allow", "--for", "5s", "198.51.100.0/24")
    assert loaded.at("google.com", "198.51.100.20") == 0
    # one that is cut on the way hangs: it is given up soon, and the next one is refused
    poll(lambda: loaded.at("google.com", "198.51.100.20", "--max-time", "3") == REFUSED_AT_ONCE, "the end of the grant")


def test_allow_again_makes_it_last(loaded, site):
    loaded.ok("allow", "--for", "2s", site)
    loaded.ok("allow", site)
    t = loaded.targets()[f"{site}:443"]
    assert (t["source"], t["lapses"]) == ("runtime", None)
    assert_says(loaded.run("allow", "--for", "1h", site), FAILED, "allowed for good", "--replace cuts that to 1h")
    assert loaded.targets()[f"{site}:443"]["source"] == "runtime"
    loaded.ok("allow", "--replace", "--for", "1h", site)
    assert loaded.targets()[f"{site}:443"]["source"] == "grant"
    assert_says(loaded.run("allow", "--for", "2m", site), FAILED, "--replace")
    assert "for 2h" in loaded.ok("allow", "--for", "2h", site).stdout


def test_revoke_cuts_the_open_connection(loaded, site):
    loaded.ok("allow", site)
    with loaded.stream(site) as stream:
        mark = loaded.lab.wire.mark()
        loaded.ok("revoke", site)
        poll(lambda: stream.curl.poll() is not None, "the program to be told")
        assert stream.curl.returncode == 56     # at once, and not by a time-out
        assert not [f for f in loaded.lab.wire.traffic(mark) if bytes(f.payload) and f.dport == 443]
    loaded.assert_stands()


def test_revoke_leaves_other_connections_alone(loaded, site):
    loaded.ok("allow", site)
    with loaded.stream() as stream:
        loaded.ok("revoke", site)
        assert stream.goes_on()


def test_connection_lives_on_when_its_address_has_expired(guard, site):
    guard.lab.dns.script(site, a=["192.0.2.60"], ttl=0)
    guard.load(allow=(site,), dns=["min-ttl = 1s", "grace = 0"])
    with guard.stream(site) as stream:
        guard.lab.dns.script(site, a=["192.0.2.61"], ttl=0)
        poll(lambda: guard.run("refresh") and guard.addresses(f"{site}:443") == {"192.0.2.61"}, "the address to change")
        with guard.nothing_leaves("192.0.2.60"):
            assert guard.at(site, "192.0.2.60") == REFUSED_AT_ONCE, "a new connection is refused"
        assert stream.goes_on() and stream.goes_on()


def test_address_expires_in_the_kernel_alone(guard, site):
    guard.lab.dns.script(site, a=["192.0.2.60"], ttl=1)
    guard.load(allow=(site,), dns=["min-ttl = 1s", "grace = 1s"])
    with guard.stream(site) as stream:
        poll(lambda: guard.at(site, "192.0.2.60") == REFUSED_AT_ONCE, "the end of the address")
        assert "address-expired" in {e["reason"] for e in guard.events()}
        assert stream.goes_on()


@pytest.mark.parametrize("remove", ["ohguard unload --yes", f"rm -r {PINS}/host", "rm -r /run/ohguard"])
def test_allow_survives_what_ends_the_guard(loaded, site, remove):
    loaded.ok("allow", site)
    loaded.ok("allow", "--for", "1h", "198.51.100.30")
    loaded.shell(remove.replace("ohguard unload", f"{BINARY} unload"))
    loaded.load()
    targets = loaded.targets()
    assert targets[f"{site}:443"]["source"] == "runtime" and targets["198.51.100.30:443"]["source"] == "grant"
    assert loaded.curl(f"https://{site}") == 0 and loaded.at("github.com", "198.51.100.30") == 0
    loaded.assert_stands()


def test_names_overdue_are_told_before_their_addresses_end(loaded):
    """The grace is 2 minutes, and the timer comes each 15 seconds."""
    late = (f"now=$(date +%s); awk -v due=$((now - $1)) '$1 == \"record\" {{ $7 = due }} 1' {STATE}/host/records"
            f" > /run/records && cat /run/records > {STATE}/host/records")
    loaded.shell(late, "30")
    assert loaded.json("status")["healthy"]
    loaded.shell(late, "130")
    problems = loaded.json("status", status=DEGRADED)["problems"]
    assert len(problems) == 1 and "overdue" in problems[0] and "ohguard-refresh.timer" in problems[0]
    loaded.ok("refresh")
    assert loaded.json("status")["healthy"]


def test_removed_pins_are_told(loaded):
    loaded.shell(f"rm -r {PINS}/host")
    assert_says(loaded.run("status"), NOT_LOADED, "ohguard load")


def test_target_of_the_configuration_cannot_be_revoked(loaded):
    assert_says(loaded.run("revoke", ALLOWED), FAILED, ALLOWED, "configuration")
    loaded.ok("allow", ALLOWED)     # both hold it now
    assert_says(loaded.run("revoke", ALLOWED), FAILED, "configuration")
    loaded.assert_stands()


def test_sni_off_for_a_name_of_the_configuration_is_refused(loaded):
    assert_says(loaded.run("allow", "--sni", "off", ALLOWED), FAILED, ALLOWED, "configuration", "sni=off")
    loaded.conf(allow=(f"{ALLOWED} sni=off",))
    loaded.load()
    loaded.ok("allow", "--sni", "off", ALLOWED)


def test_revoke_of_what_is_not_allowed_changes_nothing(loaded, site):
    loaded.ok("allow", site, "192.0.2.7")   # one behind it: what is taken out of a list moves the others
    assert loaded.json("revoke", "nope.example")["changed"] is False
    assert "nope.example:443 was not allowed" in loaded.ok("revoke", "nope.example", site).stdout
    assert f"{site}:443" not in loaded.targets() and "192.0.2.7:443" in loaded.targets()


def test_revoke_of_one_that_cannot_be_takes_none(loaded, site):
    loaded.ok("allow", site)
    assert_says(loaded.run("revoke", site, ALLOWED), FAILED, ALLOWED, "configuration")
    assert loaded.curl(f"https://{site}") == 0, "all or none"


def test_allow_of_a_name_that_does_not_exist_allows_nothing(loaded, site):
    assert_says(loaded.run("allow", site, "typo.lab.example"), FAILED, "typo.lab.example", "NXDOMAIN")
    assert f"{site}:443" not in loaded.targets(), "all or none"


def test_allow_of_a_name_that_cannot_be_asked_for_now_is_degraded_and_comes_later(loaded, site):
    loaded.lab.dns.script(site, "servfail")
    assert_says(loaded.run("allow", site), DEGRADED, site, "SERVFAIL")
    assert loaded.curl(f"https://{ALLOWED}") == 0 and not loaded.addresses(f"{site}:443")
    loaded.lab.dns.unscript(site)
    assert loaded.run("allow", site).returncode == DONE
    assert loaded.curl(f"https://{site}") == 0


def test_allow_is_specific_to_its_port(loaded):
    assert_says(loaded.run("allow", "example.com:80"), FAILED, "example.com:80", "--sni off", "--tls")
    loaded.ok("allow", "--tls", "example.com:80")
    assert loaded.curl("http://example.com", "--max-time", "2") in (28, 56)
    assert "tls-not-tls" in {e["reason"] for e in loaded.events()}
    assert not loaded.ok("allow", "--sni", "off", "example.com:80").stderr
    assert loaded.curl("http://example.com") == 0
    with loaded.nothing_leaves():
        assert loaded.curl("https://example.com") == REFUSED_AT_ONCE
    assert "port-not-allowed" in {e["reason"] for e in loaded.events()}
    loaded.ok("allow", "example.com")
    assert loaded.curl("https://example.com") == 0
    loaded.ok("revoke", "example.com:80")
    assert loaded.curl("http://example.com") == REFUSED_AT_ONCE and loaded.curl("https://example.com") == 0


@pytest.mark.parametrize("target, name, address, beside", [
    ("198.51.100.0/27", "github.com", "198.51.100.30", "198.51.100.50"),
    ("198.51.100.30", "github.com", "198.51.100.30", "198.51.100.31"),
    ("2001:db8:30::/48", "github.com", "2001:db8:30::30", "2001:db8:31::30"),
    ("2001:db8:30::30", "github.com", "2001:db8:30::30", "2001:db8:30::31"),
    ("[2001:db8:30::30]:443", "github.com", "2001:db8:30::30", "2001:db8:30::31"),
    ("[2001:db8:30::]/48", None, None, None),
    ("::ffff:198.51.100.30", "github.com", "198.51.100.30", "198.51.100.31")])
def test_allow_of_address_or_range_admits_it_and_nothing_beside(loaded, target, name, address, beside):
    r = loaded.run("allow", target)
    if name is None:
        assert_says(r, FAILED, target)
        return
    assert r.returncode == DONE, r.stderr
    assert loaded.at(name, address) == 0
    with loaded.nothing_leaves():
        assert loaded.at(name, beside) == REFUSED_AT_ONCE
    loaded.ok("revoke", target)
    with loaded.nothing_leaves():
        assert loaded.at(name, address) == REFUSED_AT_ONCE


def test_ranges_within_ranges_each_hold(loaded):
    loaded.ok("allow", "198.51.100.0/24", "198.51.100.0/26:80", "198.51.100.30:8443")
    assert loaded.at("github.com", "198.51.100.30") == 0
    assert loaded.curl("http://198.51.100.30") == 0
    loaded.ok("revoke", "198.51.100.0/24")
    assert loaded.at("github.com", "198.51.100.30") == REFUSED_AT_ONCE and loaded.curl("http://198.51.100.30") == 0


def test_two_names_share_an_address_and_one_is_revoked(loaded):
    loaded.ok("allow", "files.cdn.example", "tenant.cdn.example")
    with loaded.stream("files.cdn.example") as stream:
        loaded.ok("revoke", "tenant.cdn.example")
        assert stream.goes_on() and loaded.curl("https://files.cdn.example") == 0
    loaded.ok("revoke", "files.cdn.example")
    loaded.assert_refuses("files.cdn.example", "198.51.100.50")


@pytest.mark.parametrize("given", ["XN--Bcher-kva.Lab.Example.", "xn--bcher-kva.lab.example"])
def test_allow_of_an_international_name(loaded, given):
    name = "xn--bcher-kva.lab.example"
    loaded.lab.dns.add(name, "192.0.2.70")
    loaded.ok("allow", given)
    assert loaded.addresses(f"{name}:443") == {"192.0.2.70"}
    assert loaded.curl(f"https://{name}") == 0
    loaded.ok("revoke", given)
    loaded.assert_refuses(name, "192.0.2.70")


# -- refresh -----------------------------------------------------------------------------------------------------

def test_refresh_with_nothing_due_asks_nothing(loaded):
    with loaded.nothing_leaves():
        mark = loaded.lab.wire.mark()
        assert loaded.json("refresh") == {"instance": "host", "asked": 0, "failed": 0, "changed": False}
        assert loaded.ok("refresh").stdout == ""
        assert not loaded.lab.wire.traffic(mark)


def test_refresh_watch_resolves_on_schedule_and_ends_on_a_signal(guard, site):
    guard.lab.dns.script(site, a=["192.0.2.60"], ttl=1)
    guard.load(allow=(site,), dns=["min-ttl = 1s", "grace = 1s"])
    with guard.lab.server.popen([BINARY, "refresh", "--watch"], stdout=subprocess.PIPE) as watcher:
        try:
            guard.lab.dns.script(site, a=["192.0.2.61"], ttl=1)
            poll(lambda: guard.at(site, "192.0.2.61") == 0, "the watcher to take up the new address")
            watcher.terminate()
            assert watcher.wait(10) == 0
        finally:
            watcher.kill()


# -- several guards ----------------------------------------------------------------------------------------------

def test_two_instances_on_two_cgroups_do_not_meet(loaded, site):
    other = loaded.sub_cgroup("..", f"{loaded.cgroup.name}-b")
    loaded.write("/etc/ohguard/b.conf", config(other, allow=("google.com",)))
    b = ("--name", "b")
    loaded.ok("load", *b, "-c", "/etc/ohguard/b.conf")
    curl = ["curl", "-sS", "-o", "/dev/null"]
    assert loaded.json("status")["cgroup"] == str(loaded.cgroup)
    s = loaded.json("status", *b)
    assert s["instance"] == "b" and s["cgroup"].endswith(f"{loaded.cgroup.name}-b")
    assert loaded.in_cgroup(other, [*curl, "https://google.com"]).returncode == 0
    assert loaded.in_cgroup(other, [*curl, f"https://{ALLOWED}"]).returncode == NOT_RESOLVED
    loaded.ok("allow", *b, site)
    assert loaded.in_cgroup(other, [*curl, f"https://{site}"]).returncode == 0
    loaded.assert_refuses(site, "192.0.2.50")
    assert loaded.json("stats")["verdicts"]["refused"]["packets"] and len(loaded.ok("events", *b).stdout.splitlines())
    loaded.ok("unload", *b, "--yes")
    loaded.assert_stands()
    assert_says(loaded.run("status", *b), NOT_LOADED)


def test_configuration_of_a_file_given_stays_in_force_for_later_commands(guard):
    guard.write("/etc/ohguard/other.conf", config(guard.cgroup, allow=("google.com",)))
    guard.ok("load", "-c", "/etc/ohguard/other.conf")
    assert "google.com:443" in guard.targets() and f"{ALLOWED}:443" not in guard.targets()
    guard.shell(f"rm {CONF}")
    guard.ok("allow", "github.com")
    assert guard.curl("https://google.com") == 0 == guard.curl("https://github.com")
