# SPDX-License-Identifier: MIT
"""`load --ask`: what would be refused for its name or address waits for an answer, and nothing leaves before."""
import contextlib
import errno
import json
import signal
import subprocess
import sys

import pytest

from guard import (ALLOWED, BINARY, DEGRADED, DONE, FAILED, NOT_RESOLVED, REFUSED_AT_ONCE, USAGE, assert_says, poll,
                   serving)
from lab import dnswire, topology
from test_history import on_terminal

SITE, SITE_AT, SITE_AT6 = "google.com", topology.ZONE["google.com"][0], topology.ATTACKER[1]
SEVERAL = "".join(f"192.0.2.{i} " for i in range(1, 9)).split()

# usage: ADDRESS PORT; prints "waits" before it connects, and then what came of it
CONNECT = """
import errno, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_STREAM)
print("connects", flush=True)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    print("ok")
except OSError as e:
    print(errno.errorcode[e.errno])
"""
# usage: HOW-MANY; each to another address
MANY = """
import selectors, socket, sys
socks = []
refused = 0
for i in range(int(sys.argv[1])):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setblocking(False)
    try:
        s.connect((f"192.0.{2 + i // 250}.{1 + i % 250}", 443))
    except BlockingIOError:
        socks.append(s)
    except PermissionError:
        refused += 1
print(len(socks), refused)
"""
ENDED = {"ECONNREFUSED", "ETIMEDOUT"}       # by the helper's reset, or by TCP itself


def asks(guard):
    return {a["target"]: a for a in guard.json("asks")["asks"]}


def asked(guard, target):
    return poll(lambda: asks(guard).get(target), f"a question for {target}")


@contextlib.contextmanager
def started(guard, argv, **kw):
    p = guard.lab.server.popen(argv, guarded=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    try:
        yield p
    finally:
        p.kill()
        p.communicate()


def connecting(guard, address, port=443):
    return started(guard, [sys.executable, "-IS", "-c", CONNECT, address, str(port)])


def outcome(p):
    return p.communicate(timeout=60)[0].split()[-1]


def curling(guard, url, *args):
    return started(guard, ["curl", "-sS", "-o", "/dev/null", "--max-time", "60", *args, url])


def status_of(p):
    p.communicate(timeout=60)
    return p.returncode


@pytest.fixture
def asking(guard):
    guard.load("--ask", "60s")
    return guard


@pytest.fixture(params=["alone", "with the helper"])
def helped(request, asking):
    with serving(asking) if request.param != "alone" else contextlib.nullcontext():
        yield request.param != "alone"


def test_connection_waits_and_goes_on_once_it_is_allowed(asking):
    with connecting(asking, SITE_AT) as p:
        with asking.nothing_leaves():
            a = asked(asking, SITE_AT)
            poll(lambda: asks(asking)[SITE_AT]["tries"] > 3, "its SYN again")
            assert p.poll() is None
        assert (a["reason"], a["pid"], a["uid"]) == ("address-not-allowed", p.pid, 0)
        assert a["cgroup"] == str(asking.cgroup) and 0 < a["seconds_left"] <= 60 and a["command"].startswith("python3")
        assert asking.json("status")["asks"] == 1
        asking.ok("allow", SITE_AT)
        assert outcome(p) == "ok"
    assert not asks(asking) and not asking.events()


def test_connection_that_is_denied_ends_and_is_not_asked_about_again(asking, helped):
    with asking.nothing_leaves(), connecting(asking, SITE_AT6) as p:
        asked(asking, SITE_AT6)
        assert asking.json("deny", SITE_AT6)["changed"]
        assert outcome(p) in ({"ECONNREFUSED"} if helped else ENDED)
        assert asking.probe("tcp", SITE_AT6, 443) == "EPERM"
        assert not asks(asking)
        assert not asking.json("deny", SITE_AT6)["changed"]
    assert {e["reason"] for e in asking.events()} == {"address-not-allowed"}
    asking.ok("allow", SITE_AT6)        # a no is no rule: it holds until somebody says yes
    assert asking.probe("tcp", SITE_AT6, 443) != "EPERM"


def test_silence_is_a_no(guard):
    guard.load("--ask", "5s")
    with guard.nothing_leaves(), connecting(guard, SITE_AT) as p:
        asked(guard, SITE_AT)
        assert outcome(p) in ENDED
        assert not asks(guard) and guard.probe("tcp", SITE_AT, 443) == "EPERM"
    assert {e["destination"] for e in guard.events()} == {SITE_AT}


def test_lookup_waits_and_goes_on_once_it_is_allowed(asking, helped):
    with curling(asking, f"https://{SITE}") as p:
        with asking.nothing_leaves():
            mark = asking.lab.wire.mark()
            assert asked(asking, SITE)["reason"] == "dns-name-not-allowed"
            assert not [f for f in asking.lab.wire.traffic(mark) if b"google" in bytes(f.payload)]
        asking.ok("allow", SITE)
        assert status_of(p) == 0


def test_lookup_that_is_denied_ends(asking, helped):
    with asking.nothing_leaves(), curling(asking, f"https://{SITE}") as p:
        asked(asking, SITE)
        asking.ok("deny", SITE)
        assert status_of(p) == NOT_RESOLVED
        assert asking.curl(f"https://{SITE}") == NOT_RESOLVED and not asks(asking)


def test_lookup_that_nobody_answers_ends(guard):
    guard.load("--ask", "5s")
    with serving(guard), guard.nothing_leaves(), curling(guard, f"https://{SITE}") as p:
        asked(guard, SITE)
        assert status_of(p) == NOT_RESOLVED


@pytest.mark.parametrize("answer", ["allow", "deny"])
def test_name_in_tls_waits(asking, answer):
    at = topology.ZONE[ALLOWED][0]
    mark = asking.lab.wire.mark()
    with serving(asking), curling(asking, "https://site.lab.example", "--resolve", f"site.lab.example:443:{at}") as p:
        assert asked(asking, "site.lab.example")["reason"] == "tls-name-not-allowed"
        assert not [f for f in asking.lab.wire.traffic(mark) if b"site" in bytes(f.payload)]
        asking.run(answer, "site.lab.example")      # DNS does not know the name, of which `allow` warns
        # with what that server shows as its certificate, curl is not content
        assert (status_of(p) == 35) == (answer == "deny")
    assert (answer == "allow") == bool([f for f in asking.lab.wire.traffic(mark) if b"site" in bytes(f.payload)])


def test_container_waits(guard):
    """Its frames are forwarded, and judged at the uplink alone."""
    box = guard.lab.server.run(["sh", "-c", """set -e
        ip netns add box; ip link add box0 type veth peer name eth0 netns box
        ip addr add 172.30.0.1/24 dev box0; ip link set box0 up
        ip -n box addr add 172.30.0.2/24 dev eth0; ip -n box link set eth0 up; ip -n box link set lo up
        ip -n box route add default via 172.30.0.1; sysctl -qw net.ipv4.ip_forward=1
        nft 'add table ip box; add chain ip box post { type nat hook postrouting priority 100; }'
        nft 'add rule ip box post ip saddr 172.30.0.0/24 masquerade'"""])
    assert box.returncode == 0, box.stderr
    try:
        guard.load("--ask", "60s", "--uplink", "auto")
        p = guard.lab.server.popen(["ip", "netns", "exec", "box", sys.executable, "-IS", "-c", CONNECT, SITE_AT, "443"],
                                   stdout=subprocess.PIPE, text=True)
        with guard.nothing_leaves():
            assert asked(guard, SITE_AT)["interface"] == "box0"
        guard.ok("allow", SITE_AT)
        assert outcome(p) == "ok"
    finally:
        guard.lab.server.run(["sh", "-c", "ip netns del box; ip link del box0; nft delete table ip box"])


def test_what_no_answer_could_let_pass_is_refused_at_once(asking):
    evil = topology.ATTACKER[0]
    with asking.nothing_leaves():
        assert asking.probe("udp", evil, 31337) == "EPERM"
        assert asking.probe("udp", evil, 53) == "EPERM"
        assert asking.probe("tcp", evil, 53) == "EPERM"
        assert asking.probe("tcp", "169.254.169.254", 80) == "EPERM"
    assert not asks(asking)


def test_name_with_a_search_suffix_is_not_asked_about(guard):
    """Nobody means it: the name itself is asked for next."""
    guard.load("--ask", "60s", dns=("search = lab.example",))
    with serving(guard):
        query = dnswire.query(f"{ALLOWED}.lab.example").hex()
        guard.python("import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                     "s.connect(('10.0.0.2', 53)); s.send(bytes.fromhex(sys.argv[1])); s.settimeout(10); s.recv(512)",
                     query)
    assert not asks(guard)


def test_question_outlives_a_load_and_ends_with_the_mode(asking):
    with connecting(asking, SITE_AT) as p, connecting(asking, SITE_AT6) as other:
        left = asked(asking, SITE_AT)["seconds_left"]
        asked(asking, SITE_AT6)
        asking.load("--ask", "5m")
        assert asks(asking)[SITE_AT]["seconds_left"] <= left and p.poll() is None
        asking.ok("allow", SITE_AT)
        assert outcome(p) == "ok"
        with asking.nothing_leaves():
            asking.load()
            assert outcome(other) in ENDED
            assert asking.probe("tcp", SITE_AT6, 443) == "EPERM"


def test_load_that_nobody_confirms_goes_back_to_asking(asking):
    asking.load("--confirm", "3s")
    assert asking.json("status")["mode"] == "enforce"
    poll(lambda: asking.run("asks").returncode == DONE, "questions again")
    assert asking.json("status")["ask"] == 60


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_helper_that_ends_leaves_the_question(asking, how):
    with serving(asking) as helper, curling(asking, f"https://{SITE}") as p:
        asked(asking, SITE)
        helper.send_signal(how)
        helper.wait()
        asking.ok("allow", SITE)
        assert status_of(p) == 0


def test_answer_that_races_its_time(guard):
    """Whatever comes first: nothing leaves before `allow` began, and each connection ends in one of two ways."""
    guard.load("--ask", "5s")
    with contextlib.ExitStack() as stack, guard.nothing_leaves():
        some = [stack.enter_context(connecting(guard, a)) for a in SEVERAL]
        poll(lambda: len(asks(guard)) == len(SEVERAL), "all questions")
        poll(lambda: len(asks(guard)) < len(SEVERAL), "the first that is over")
    with contextlib.ExitStack() as stack:
        poll(lambda: not asks(guard), "the others")
        assert guard.run("deny", SEVERAL[0]).returncode == DONE     # it is kept for a while, and so is this
        guard.ok("allow", SEVERAL[0])
        p = stack.enter_context(connecting(guard, SEVERAL[0]))
        assert outcome(p) != "EPERM"
    assert {guard.probe("tcp", a, 443) for a in SEVERAL[1:]} == {"EPERM"}


def test_workload_fills_the_list_only_for_itself(asking):
    waiting, refused = map(int, asking.python(MANY, 1000).split())
    assert 8 <= waiting <= 8 + 128 + 1 and waiting + refused == 1000
    assert len(asks(asking)) == waiting
    assert asking.probe("tcp", SITE_AT, 443) == "EPERM"
    groups = 128    # OH_ASKERS: askers of the same one share its room
    other = next(c for c in (asking.sub_cgroup(f"other{i}") for i in range(3))
                 if (c.stat().st_ino - asking.cgroup.stat().st_ino) % groups)
    r = asking.in_cgroup(other, [sys.executable, "-IS", "-c", MANY, "8"])
    assert r.stdout.split() == ["8", "0"], r.stderr
    s = asking.json("status", status=DEGRADED)
    assert any("more questions" in p for p in s["problems"])


def test_question_that_is_over_takes_no_room(asking):
    """Also where no name is ever due, so that nothing else is to be done."""
    taken = lambda: next(m["entries"] for m in asking.json("stats")["maps"] if m["name"] == "oh_questions")
    asking.python(MANY, "8")
    assert taken() == 8
    asking.ok("deny", "--for", "1s", "192.0.2.0/24")
    assert poll(lambda: asking.ok("refresh") and taken() == 0, "an empty list")


def test_follow_shows_each_once_and_escapes_what_programs_say(asking):
    p = asking.lab.server.popen([BINARY, "asks", "--follow", "--json"], stdout=subprocess.PIPE, text=True)
    text = asking.lab.server.popen([BINARY, "asks", "--follow"], stdout=subprocess.PIPE)
    try:
        for name in ("first.example", "first.example", "second.example"):
            asking.python("import ctypes, socket, sys; ctypes.CDLL(None).prctl(15, b'\\x1b[2J\"'); "
                          "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                          "s.sendto(bytes.fromhex(sys.argv[1]), ('10.0.0.2', 53))", dnswire.query(name).hex())
        lines = [json.loads(p.stdout.readline()), json.loads(p.stdout.readline())]
        shown = text.stdout.readline() + text.stdout.readline()
    finally:
        for process in (p, text):
            process.terminate()
            process.communicate()
    assert [(x["target"], x["command"]) for x in lines] == [(f"{n}.example", '\x1b[2J"') for n in ("first", "second")]
    assert b"\x1b" not in shown and b"second.example" in shown


def test_table_is_for_people(asking):
    assert asking.ok("asks").stdout == "nothing waits for an answer\n"
    with connecting(asking, SITE_AT) as p:
        asked(asking, SITE_AT)
        line, = asking.ok("asks").stdout.splitlines()
        assert line.split()[0] == SITE_AT and "address-not-allowed" in line and f"[{p.pid}]" in line
        assert f"ohguard allow {SITE_AT}, or ohguard deny {SITE_AT}\n" in asking.ok("explain", SITE_AT).stdout
        rows = on_terminal(asking, 90, "asks").splitlines()
        assert rows[0].startswith(SITE_AT) and len(rows[0]) <= 90 and rows[-1].startswith("Answer with"), rows
        assert asking.ok("deny", SITE_AT, "--for", "1h").stdout == f"{SITE_AT}: denied, and not asked again for 1h\n"
        assert "it was denied" in asking.ok("explain", SITE_AT).stdout


def test_mode_is_told(asking):
    s = asking.json("status")
    assert (s["mode"], s["ask"], s["asks"], s["enforcing"], s["healthy"]) == ("ask", 60, 0, True, True)
    assert asking.json("stats")["mode"] == "ask"
    assert "asks: 0 wait" in asking.ok("status").stdout
    assert asking.json("load", "--ask", "2m")["mode"] == "ask"
    asking.load()
    assert asking.json("status")["mode"] == "enforce" and "ask" not in asking.json("status")


@pytest.mark.parametrize("argv, word", [
    (["load", "--ask", "soon"], "soon"), (["load", "--ask", "1s"], "5s"), (["load", "--ask", "11m"], "10m"),
    (["load", "--ask", "60s", "--observe"], "--observe"), (["deny"], "deny"), (["deny", "--for", "2d", "a.b"], "2d"),
    (["asks", "now"], "now")])
def test_bad_usage(guard, argv, word):
    assert_says(guard.run(*argv), USAGE, word)


def test_what_cannot_be_answered_is_said(guard):
    guard.load()
    for argv in (["asks"], ["deny", SITE]):
        assert_says(guard.run(*argv), FAILED, "load --ask")
    guard.load("--ask", "60s")
    assert_says(guard.run("deny", SITE), FAILED, SITE, "nothing waits for it", "ohguard asks")
    assert_says(guard.run("deny", "a b"), FAILED, "a b")
    with connecting(guard, SITE_AT):
        asked(guard, SITE_AT)
        assert_says(guard.run("deny", SITE_AT, SITE), FAILED, SITE)     # all or none
        assert SITE_AT in asks(guard)
        assert_says(guard.run("deny", f"{SITE_AT}:444"), FAILED, "nothing waits")
        guard.ok("deny", "198.51.100.0/24")
        assert not asks(guard)
