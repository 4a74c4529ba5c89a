# SPDX-License-Identifier: MIT
"""What can happen to a guard: commands at once, kill -9, links and cgroups that vanish, a machine that lacks
something."""
import json
import random
import subprocess
import sys
import time

import pytest

from guard import (ALLOWED, BINARY, CONF, DEGRADED, DONE, FAILED, FORBIDDEN, HOOKS, NOT_LOADED, PINS,
                   REFUSED_AT_ONCE, STATE, assert_says, config, poll)
from lab import topology

# Older than the load, so that no connect hook has a say; tries for as long as it lives, then says how often it got
# through.
TRY = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("open", flush=True)
while True:
    try:
        s.sendto(b"secret", (sys.argv[1], int(sys.argv[2])))
    except PermissionError:
        pass
    time.sleep(0.001)
"""


@pytest.fixture
def loaded(guard):
    guard.load()
    return guard


class Trying:
    """A workload that never stops trying to send what is forbidden."""

    def __init__(self, guard):
        self.guard = guard

    def __enter__(self):
        self.mark = self.guard.lab.wire.mark()
        self.proc = self.guard.lab.server.popen([sys.executable, "-c", TRY, *map(str, FORBIDDEN)], guarded=True,
                                                stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"open\n"
        return self

    def leaked(self):
        return self.guard.lab.wire.traffic(self.mark, dst=FORBIDDEN[0])

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.communicate()


# -- at once ---------------------------------------------------------------------------------------------------------

def test_many_commands_at_once_do_not_break_each_other(loaded):
    names = [f"n{i}.lab.example" for i in range(8)]
    for i, n in enumerate(names):
        loaded.lab.dns.add(n, f"192.0.2.{10 + i}")
    loaded.ok("allow", *names[4:])
    commands = [*(("allow", n) for n in names[:4]), *(("revoke", n) for n in names[4:]), ("load",),
                *[("load", "--anew")] * 2, *[("refresh",)] * 2, *[("list", "--json")] * 2, ("stats", "--json"),
                ("status", "--json")]
    with Trying(loaded) as trying:
        running = [(c, loaded.lab.server.popen([BINARY, *c], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
                   for c in commands]
        for command, proc in running:
            out, err = proc.communicate(timeout=90)
            assert proc.returncode == DONE, f"{command}: {proc.returncode}: {err}"
            if "--json" in command:
                json.loads(out)
        assert not trying.leaked()
    targets = set(loaded.targets())
    assert {f"{n}:443" for n in names[:4]} <= targets and not targets & {f"{n}:443" for n in names[4:]}
    for i in range(8):
        assert loaded.at(names[i], f"192.0.2.{10 + i}") == (0 if i < 4 else REFUSED_AT_ONCE)
    assert len(loaded.attached()) == len(HOOKS)
    loaded.assert_stands()


def test_load_is_not_taken_back_by_a_refresh_that_began_before(guard):
    address = "198.51.100.40"
    guard.load(allow=(ALLOWED, address))
    assert guard.probe("tcp", address, 443) == "ok"
    guard.lab.dns.script("*", "timeout")
    guard.shell(f"rm -f {STATE}/host/records")
    mark = guard.lab.wire.mark()
    refresh = guard.lab.server.popen([BINARY, "refresh"], stderr=subprocess.DEVNULL)
    try:
        poll(lambda: guard.lab.wire.traffic(mark, dst=topology.RESOLVER), "a query of the refresh")
        guard.load("--no-resolve", allow=(ALLOWED,))
        assert refresh.poll() is None, "it ended before the load did: nothing was tried"
        assert refresh.wait(60) == DEGRADED
    finally:
        refresh.kill()
        refresh.wait()
    assert guard.probe("tcp", address, 443) == "EPERM"


def test_name_that_is_revoked_while_it_is_asked_for_is_no_failure(loaded):
    """Its queries are refused from then on where the host's own are judged, and end by their time-out."""
    loaded.lab.dns.script("gone.lab.example", a=["192.0.2.10"], ttl=1)
    loaded.ok("allow", "gone.lab.example")
    loaded.lab.dns.script("gone.lab.example", "timeout")
    loaded.shell(f"rm {STATE}/host/records")       # so that it is due
    mark = loaded.lab.wire.mark()
    refresh = loaded.lab.server.popen([BINARY, "refresh"], stderr=subprocess.PIPE, text=True)
    try:
        poll(lambda: any(b"gone" in f.raw for f in loaded.lab.wire.traffic(mark, dst=topology.RESOLVER)), "its query")
        loaded.ok("revoke", "gone.lab.example")
        assert refresh.poll() is None, "it ended before the name was revoked: nothing was tried"
        _, err = refresh.communicate(timeout=60)
    finally:
        refresh.kill()
        refresh.wait()
    assert (refresh.returncode, err) == (DONE, "")
    loaded.assert_stands()


def test_configuration_edited_while_it_is_loaded_waits_for_the_next_load(loaded):
    """What is in force is what was read, and not what stands in the file a moment later."""
    lock = "/run/ohguard/host/lock"
    with loaded.lab.server.popen(["flock", lock, "sh", "-c", "echo held; read x"], text=True, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == "held\n"
        with loaded.lab.server.popen([BINARY, "load"], stdout=subprocess.DEVNULL) as load:
            poll(lambda: loaded.shell("ls -l /proc/$1/fd | grep -q "
                                      "$2", str(load.pid), lock, check=False).returncode == 0,
                 "the load to wait for the lock, its configuration read")
            loaded.conf(allow=("google.com",), extra="half a line")
            holder.communicate("\n")
            assert load.wait(60) == 0
    assert f"{ALLOWED}:443" in loaded.targets()
    assert "configuration was edited" in loaded.json("status", status=DEGRADED)["problems"][0]
    loaded.ok("refresh")
    loaded.assert_stands()


def test_first_loads_at_once_end_in_one_guard(guard):
    running = [guard.lab.server.popen([BINARY, "load"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
               for _ in range(4)]
    for proc in running:
        _, err = proc.communicate(timeout=60)
        assert proc.returncode == DONE, err
    assert len(guard.attached()) == len(HOOKS), "no hook twice"
    assert guard.json("status")["healthy"]
    guard.assert_stands()


def test_load_and_unload_at_once_end_in_one_of_both(loaded):
    for _ in range(4):
        running = [loaded.lab.server.popen([BINARY, *c], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                   for c in (("load", "--anew"), ("unload", "--yes"), ("load",))]
        for proc in running:
            _, err = proc.communicate(timeout=60)
            assert proc.returncode in (DONE, NOT_LOADED), err
        r = loaded.run("status", "--json")
        assert r.returncode in (DONE, NOT_LOADED), r.stdout + r.stderr
        expect = len(HOOKS) if r.returncode == DONE else 0
        poll(lambda: len(loaded.attached()) == expect, "as many programs as status says")
    loaded.load()
    loaded.assert_stands()


def test_load_is_never_open(guard):
    """From the first packet that is refused on, none gets through, whatever is loaded over it."""
    with Trying(guard) as trying:
        poll(trying.leaked, "it to get through while nothing is loaded")
        guard.load()
        trying.mark = guard.lab.wire.mark()
        for allow in ((ALLOWED, "google.com"), (ALLOWED,), ("github.com",), (ALLOWED,)):
            guard.load(allow=allow)
        guard.load(guard=["max-addresses = 4096"])
        guard.load("--no-resolve")
        assert not trying.leaked()


def test_allowed_traffic_never_suffers_from_a_load(loaded):
    code = ("import socket, sys\nprint('open', flush=True)\nfor _ in sys.stdin:\n"
            " for i in range(300): socket.create_connection(('203.0.113.10', 443), 10).close()\n print('done', "
            "flush=True)")
    with loaded.lab.server.popen([sys.executable, "-c", code], guarded=True, text=True, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        try:
            assert client.stdout.readline() == "open\n"
            client.stdin.write("\n")
            client.stdin.flush()
            for _ in range(3):
                loaded.load()
            assert client.stdout.readline() == "done\n", client.stderr.read()
        finally:
            client.kill()


# -- kill -9 ---------------------------------------------------------------------------------------------------------

KILLED = {
    "load": (["load", "--anew"], 8), "load, nothing changed": (["load"], 4),
    "allow": (["allow", "site.lab.example"], 6),
    "revoke": (["revoke", "site.lab.example"], 6),
    "refresh": (["refresh"], 5),
    "list": (["list"], 4), "stats": (["stats"], 4), "events": (["events"], 4), "status": (["status"], 4),
}


def run_and_kill(guard, argv, delay):
    """Starts it and kills it after so many seconds; True where it was still running."""
    with guard.lab.server.popen([BINARY, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as proc:
        time.sleep(delay)
        proc.kill()
        return proc.wait() == -9


def duration(guard, argv):
    start = time.monotonic()
    guard.run(*argv)
    return time.monotonic() - start


@pytest.mark.parametrize("command", KILLED)
def test_killed_at_any_moment_stays_closed_and_load_repairs(loaded, command):
    argv, rounds = KILLED[command]
    loaded.lab.dns.script("site.lab.example", a=["192.0.2.50"], ttl=0)
    loaded.load(allow=(ALLOWED,), dns=["min-ttl = 1s"])
    loaded.ok("allow", "site.lab.example")
    whole = duration(loaded, argv)
    killed = 0
    with Trying(loaded) as trying:
        for i in range(rounds):
            if command == "revoke":
                loaded.ok("allow", "site.lab.example")
            killed += run_and_kill(loaded, argv, whole * 0.8 * (i + random.random()) / rounds)
            assert loaded.probe("udp", *FORBIDDEN) == "EPERM" == loaded.probe("tcp", *FORBIDDEN)
            assert loaded.at(ALLOWED, topology.ZONE[ALLOWED][0]) == 0, "what is allowed works on"
        for _ in range(200):    # on a busy machine a short command is over before its parent runs again
            killed = killed or run_and_kill(loaded, argv, 0)
        assert not trying.leaked()
        loaded.load()
        assert loaded.json("status")["healthy"] and len(loaded.attached()) == len(HOOKS)
        held = "site.lab.example:443" in loaded.targets()
        assert loaded.at("site.lab.example", "192.0.2.50") == (0 if held else REFUSED_AT_ONCE)
        assert not trying.leaked()
    assert killed, "none was caught alive"
    left = loaded.shell("ls /var/lib/ohguard/host /sys/fs/bpf/ohguard/host /run/ohguard/host").stdout
    assert "-new" not in left, left
    loaded.assert_stands()


def test_first_load_killed_at_any_moment_is_closed_or_not_there_and_load_repairs(guard):
    whole, rounds, killed = duration(guard, ["load"]), 10, 0
    for i in range(rounds):
        guard.ok("unload", "--yes")
        poll(lambda: not guard.attached(), "the links to end")
        killed += run_and_kill(guard, ["load"], whole * (i + random.random()) / rounds)
        attached = {p["attach_type"] for p in guard.attached()}
        if "cgroup_inet_egress" in attached:
            with guard.nothing_leaves(*topology.ZONE[ALLOWED]):
                assert guard.probe("udp", *FORBIDDEN) == "EPERM"
        else:
            assert not attached, "the verdict is attached first"
        r = guard.run("status")
        assert r.returncode in (DONE, DEGRADED, NOT_LOADED), r.stderr
        guard.load()
        assert guard.json("status")["healthy"] and len(guard.attached()) == len(HOOKS)
        guard.assert_stands()
    assert killed


def test_unload_killed_at_any_moment_is_told_and_load_repairs(loaded):
    whole, rounds = duration(loaded, ["status"]), 8
    for i in range(rounds):
        run_and_kill(loaded, ["unload", "--yes"], whole * 2 * (i + random.random()) / rounds)
        r = loaded.run("status", "--json")
        if r.returncode in (DONE, DEGRADED) and json.loads(r.stdout)["enforcing"]:
            with loaded.nothing_leaves():
                assert loaded.probe("udp", *FORBIDDEN) == "EPERM"
        else:
            assert r.returncode in (NOT_LOADED, DEGRADED), r.stderr
        loaded.load()
        loaded.assert_stands()


def test_move_killed_at_any_moment_guards_one_of_both(loaded):
    other = loaded.sub_cgroup("other")
    whole, rounds = duration(loaded, ["load"]), 6
    probe = [sys.executable, "-c", "import socket; socket.create_connection(('203.0.113.66', 80), 5)"]
    for i in range(rounds):
        run_and_kill(loaded, ["load", "--cgroup", str(other)], whole * (i + random.random()) / rounds)
        # `other` is below the old place: it is guarded wherever the move has come to
        with loaded.nothing_leaves():
            assert loaded.in_cgroup(other, probe).returncode
        r = loaded.run("status", "--json")
        hooks = {h["where"] for h in json.loads(r.stdout)["hooks"]}
        assert r.returncode == (DONE if len(hooks) == 1 else DEGRADED), r.stdout
        loaded.load()
        loaded.assert_stands()


# -- behind its back ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("hook", HOOKS)
def test_link_detached_is_told_and_load_repairs(loaded, hook):
    links = loaded.links()
    loaded.shell("bpftool link detach id $1", str(links[hook]))
    s = loaded.json("status", status=DEGRADED)
    assert not s["healthy"] and any(hook in p and "ohguard load" in p for p in s["problems"])
    assert [h["hook"] for h in s["hooks"] if not h["attached"]] == [hook]
    assert s["enforcing"] == (hook != "egress")
    if hook == "egress":
        assert "NOT guarding" in loaded.run("status").stdout
    loaded.load()
    assert loaded.json("status")["healthy"] and len(loaded.attached()) == len(HOOKS)
    after = loaded.links()
    assert {h for h in HOOKS if after[h] != links[h]} == {hook}, "the others stay"
    loaded.assert_stands()


@pytest.mark.parametrize("hook", HOOKS)
def test_pin_removed_is_told_and_load_repairs(loaded, hook):
    loaded.shell(f"rm {PINS}/host/{hook}")
    r = loaded.run("status", "--json")
    if hook == "egress":
        assert_says(r, NOT_LOADED, "ohguard load")
    else:
        assert r.returncode == DEGRADED and any(hook in p for p in json.loads(r.stdout)["problems"])
        with loaded.nothing_leaves():
            assert loaded.probe("udp", *FORBIDDEN) == "EPERM"
    loaded.load()
    poll(lambda: len(loaded.attached()) == len(HOOKS), "each hook once")
    assert loaded.json("status")["healthy"]
    loaded.assert_stands()


def test_pins_taken_by_something_else_are_told(guard):
    guard.shell(f"mkdir -p {PINS}/host/egress")
    assert_says(guard.run("load"), FAILED, f"{PINS}/host")
    guard.shell(f"rmdir {PINS}/host/egress")
    guard.load()
    guard.assert_stands()


def test_cgroup_removed_is_told_and_load_repairs(guard):
    gone = guard.sub_cgroup("gone")
    guard.load("--cgroup", str(gone))
    gone.rmdir()
    # the kernel lets go of the link a moment later
    s = poll(lambda: (lambda s: not s["enforcing"] and s)(guard.json("status", status=DEGRADED)), "status to say so")
    assert s["problems"] and s["cgroup"] in ("", None)
    guard.load()
    assert guard.json("status")["healthy"]
    guard.assert_stands()


def test_cgroup_removed_and_none_given_is_told(guard):
    gone = guard.sub_cgroup("gone")
    guard.write(CONF, config(gone))
    guard.ok("load")
    gone.rmdir()
    assert_says(guard.run("load"), FAILED, str(gone), "No such file")


def test_run_folder_removed_is_survived(loaded):
    """/run is a tmpfs that tools clean."""
    loaded.shell("rm -r /run/ohguard")
    loaded.assert_stands()
    for command in ("status", "list", "refresh", "stats"):
        r = loaded.run(command)
        assert r.returncode in (DONE, DEGRADED), f"{command}: {r.returncode}: {r.stderr}"
    loaded.load()
    assert loaded.json("status")["healthy"]


# -- a machine that lacks something ----------------------------------------------------------------------------------

FOREIGN = """
__attribute__((section("cgroup_skb/egress"), used)) int foreign(void *skb) { return 1; }
char foreign_license[] __attribute__((section("license"), used)) = "GPL";
"""


@pytest.fixture(scope="session")
def foreign_object(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "foreign.o"
    subprocess.run(["clang", "-target", "bpf", "-O2", "-c", "-x", "c", "-", "-o", path], input=FOREIGN, text=True,
                   check=True)
    return path


@pytest.mark.parametrize("above", [False, True])
def test_foreign_program_that_keeps_others_out_is_named(guard, foreign_object, above):
    parent = guard.sub_cgroup("parent")
    child = guard.sub_cgroup("parent", "child")
    at = parent if above else child
    guard.shell("mkdir /sys/fs/bpf/test; bpftool prog load $1 /sys/fs/bpf/test/foreign type cgroup/skb;"
                "bpftool cgroup attach $2 egress pinned /sys/fs/bpf/test/foreign", foreign_object, at)
    assert_says(guard.run("load", "--cgroup", str(child)), FAILED, str(at), "flags 0", "bpftool")
    assert_says(guard.run("status"), NOT_LOADED)
    guard.shell("bpftool cgroup detach $1 egress pinned /sys/fs/bpf/test/foreign", at)
    guard.load("--cgroup", str(child))
    assert guard.json("status")["healthy"]


@pytest.mark.parametrize("args", [(), ("--fail-closed",)])
def test_cgroup_with_as_many_programs_as_it_takes_is_no_guard(guard, foreign_object, args):
    """The kernel's errno for that is the one of a full map, with which a load is degraded and guards."""
    guard.shell("mkdir /sys/fs/bpf/test; for i in $(seq 64); do bpftool prog load $1 /sys/fs/bpf/test/$i type "
                "cgroup/skb;"
                "bpftool cgroup attach $2 egress pinned /sys/fs/bpf/test/$i multi; done", foreign_object, guard.cgroup)
    try:
        assert guard.run("load", "--cgroup", str(guard.cgroup), *args).returncode == FAILED
        assert_says(guard.run("status"), NOT_LOADED)
    finally:
        guard.shell("for i in $(seq 64); do bpftool cgroup detach $1 egress pinned /sys/fs/bpf/test/$i; done",
                    guard.cgroup)
    guard.load()
    guard.assert_stands()


@pytest.mark.parametrize("where, flags", [("at", "multi"), ("above", "override"), ("below", "override"), ("below", "")])
def test_foreign_program_does_not_outvote_ours(guard, foreign_object, where, flags):
    """All programs of a cgroup and those above are asked, in whatever order, and a single no is one."""
    parent = guard.sub_cgroup("parent")
    middle = guard.sub_cgroup("parent", "middle")
    child = guard.sub_cgroup("parent", "middle", "child")
    at = {"above": parent, "at": middle, "below": child}[where]
    attach = ("mkdir /sys/fs/bpf/test; bpftool prog load $1 /sys/fs/bpf/test/foreign type cgroup/skb;"
              f"bpftool cgroup attach $2 egress pinned /sys/fs/bpf/test/foreign {flags}")
    if where != "below":
        guard.shell(attach, foreign_object, at)
    guard.load("--cgroup", str(middle))
    if where == "below":
        guard.shell(attach, foreign_object, at)
    try:
        assert guard.json("status")["healthy"]
        refused = "import socket; s = socket.socket(2, 2); s.sendto(b'x', ('203.0.113.66', 31337))"
        with guard.nothing_leaves():
            r = guard.in_cgroup(child, [sys.executable, "-IS", "-c", refused])
            assert "Operation not permitted" in r.stderr, r.stderr
    finally:
        guard.shell("bpftool cgroup detach $1 egress pinned /sys/fs/bpf/test/foreign", at)
        guard.ok("unload", "--yes")


def test_bpffs_that_is_not_mounted_is_not_mounted_in_mounts_of_ones_own(fresh_guard):
    """As in a unit of systemd's: the guard would end with them. (Among those of process 1 it is mounted: tests/vm.)"""
    g = fresh_guard
    g.shell("umount /sys/fs/bpf")
    g.conf()
    assert_says(g.run("status"), NOT_LOADED)
    assert_says(g.run("load"), FAILED, "no bpffs", "process 1", "nsenter")
    assert not g.attached() and g.shell("stat -f -c %T /sys/fs/bpf").stdout == "sysfs\n"
    g.shell("mount -t bpf bpf /sys/fs/bpf")
    g.load()
    g.assert_stands()
    g.ok("unload", "--yes")


@pytest.mark.parametrize("capability", ["bpf", "net_admin", "sys_admin"])
@pytest.mark.parametrize("command", ["load", "status"])
def test_missing_capability_is_named(loaded, capability, command):
    r = loaded.lab.server.run(["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}", BINARY,
                               command])
    if command == "load":
        assert_says(r, FAILED, f"CAP_{capability.upper()}")
    else:
        assert r.returncode == DONE or assert_says(r, FAILED)
    loaded.assert_stands()


@pytest.mark.parametrize("command", ["load", "list", "status", "stats", "allow x.example", "unload --yes", "lock"])
def test_user_without_privilege_is_told(loaded, command):
    """And not that the guard is locked: it is only out of reach."""
    r = loaded.lab.server.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY, *command.split()])
    assert_says(r, FAILED, "run it as root")
    assert "locked" not in r.stderr
    loaded.assert_stands()


def test_cgroup2_out_of_sight_is_told(loaded):
    hide = "grep -v cgroup2 /proc/self/mounts > /run/mounts; mount --bind /run/mounts /proc/$$/mounts;"
    r = loaded.lab.server.run(["unshare", "-m", "sh", "-ec", f"{hide} exec {BINARY} load"])
    assert_says(r, FAILED, "cgroup2", "mount")
    loaded.assert_stands()


def test_no_btf_is_told_and_enforced_without(guard):
    guard.conf()
    r = guard.lab.server.run(["unshare", "-m", "sh", "-ec", 'mount -t tmpfs none /sys/kernel/btf; exec "$0" load',
                              BINARY])
    assert_says(r, DONE, "no BTF", "/sys/kernel/btf/vmlinux", "enforced")
    guard.assert_stands()


def test_no_proc_is_told(loaded):
    r = loaded.lab.server.run(["unshare", "-m", "sh", "-ec", f"umount -l /proc; exec {BINARY} load"])
    assert_says(r, FAILED, "/proc")
    loaded.assert_stands()
