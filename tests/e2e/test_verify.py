# SPDX-License-Identifier: MIT
"""verify: from inside the guard, by real connections."""
import os
import re
import signal

from guard import ALLOWED, BINARY, DONE, FAILED, NOT_LOADED, assert_says, poll
from lab import topology

WORK = [f"https {ALLOWED}", f"dns {ALLOWED}", "ntp"]
FAIL = ["https google.com", "https github.com", "ping 8.8.8.8", "http example.com"]


def verify(guard, status=DONE):
    """What came of each check: true if it worked."""
    told = guard.json("verify", status=status)
    assert told["surprises"] == sum(c["surprise"] for c in told["checks"])
    assert all(c["surprise"] == (c["works"] != (c["expected"] == "works")) for c in told["checks"])
    return {c["check"]: c["works"] for c in told["checks"]}


def test_guarded_cgroup_is_as_it_must_be(guard):
    guard.load()
    mark, before = guard.lab.wire.mark(), set(guard.cgroup.iterdir())
    assert verify(guard) == {**dict.fromkeys(WORK, True), **dict.fromkeys(FAIL, False)}
    left = {f.dst for f in guard.lab.wire.traffic(mark)}
    forbidden = {a for n in ("google.com", "github.com", "example.com") for a in topology.ZONE[n]} | {"8.8.8.8"}
    assert left & set(topology.ZONE[ALLOWED]) and not left & forbidden, "it did try, and nothing forbidden left"
    assert set(guard.cgroup.iterdir()) == before, "its cgroup is gone"
    events = guard.events()
    assert {"github.com", "google.com"} <= {e["name"] for e in events} and all(
        "ohguard-verify" in e["cgroup"] for e in events if e["cgroup"])


def test_table_is_one_line_a_check_with_its_time(guard):
    guard.load()
    *lines, last = guard.ok("verify").stdout.splitlines()
    assert last == "host: 7 of 7 as they must be"
    assert [re.fullmatch(r"ok  (\S+(?: \S+)?) +must (work|fail) +\d+ ms  \S.*", li).groups() for li in lines] == [
        *((c, "work") for c in WORK), *((c, "fail") for c in FAIL)]


def test_guard_that_does_not_refuse_is_a_surprise(guard):
    guard.load("--observe")
    works = verify(guard, status=FAILED)
    assert all(works.values()), "everything works here, if nothing refuses it"
    r = guard.run("verify")
    assert r.returncode == FAILED and r.stdout.count("\n!!  ") == len(FAIL)


def test_what_must_work_and_does_not_is_a_surprise(guard):
    guard.lab.dns.script(ALLOWED, a=["203.0.113.66"], aaaa=[])      # the attacker's: no TLS there
    guard.load("--no-resolve")
    works = verify(guard, status=FAILED)
    assert not works[f"https {ALLOWED}"] and works[f"dns {ALLOWED}"]


def test_lines_of_the_configuration_are_tried_too(guard):
    guard.load(allow=(ALLOWED, "github.com", "example.com:80 sni=off"), extra="\n".join((
        "[verify]", "works = http example.com", f"works = tcp {ALLOWED}:443", "works = https github.com",
        f"fails = tcp {topology.ATTACKER[0]}:31337", "fails = dns attacker.example", "fails = ntp 203.0.113.66",
        f"fails = https {topology.ZONE['google.com'][0]}")))
    works = verify(guard)
    assert {c for c, w in works.items() if w} == {
        *WORK, "http example.com", f"tcp {ALLOWED}:443", "https github.com"}
    assert not any(works[c] for c in ("https google.com", "ping 8.8.8.8", "dns attacker.example",
                                      "tcp 203.0.113.66:31337", "ntp 203.0.113.66"))


def test_one_that_is_killed_leaves_no_process_and_the_next_one_no_cgroup(guard):
    """Its process inside ends with it, and what it was in is removed by the next one."""
    guard.lab.dns.script(ALLOWED, "timeout")      # or it is over before it can be killed
    guard.load("--no-resolve")
    p = guard.lab.server.popen([BINARY, "verify"])
    inside = poll(lambda: "".join(f.read_text() for f in guard.cgroup.glob("ohguard-verify-*/cgroup.procs")), "a try")
    os.kill(int(inside), signal.SIGSTOP)          # nor does it end by itself
    p.kill()
    p.wait()
    (left,) = guard.cgroup.glob("ohguard-verify-*")
    poll(lambda: not (left / "cgroup.procs").read_text(), "the end of what was inside")
    guard.run("verify")
    assert not list(guard.cgroup.glob("ohguard-verify-*"))


def test_bad_lines_and_no_guard_are_told(guard):
    for line in ("works = gopher x.example", "works = ping x.example", "fails = dns 192.0.2.1", "works = https"):
        guard.conf(extra=f"[verify]\n{line}")
        assert_says(guard.run("load"), FAILED, "[verify]", line.split(" = ")[1])
    guard.conf()
    assert_says(guard.run("verify"), NOT_LOADED)
