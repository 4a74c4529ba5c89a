# SPDX-License-Identifier: MIT
"""What `load` says that it changes, the ssh sessions that it would cut, and how it goes back."""
import contextlib
import os
import select
import signal
import subprocess
import sys

import pytest

from guard import ALLOWED, BINARY, DONE, FAILED, NOT_LOADED, PINS, STATE, USAGE, assert_says, poll
from lab import topology

SSHD = "/usr/sbin/sshd"
PROXY, SERVER = "10.0.0.10", "10.0.1.10"
KEPT = "/sys/fs/bpf/kept"
# LINK PROGRAM: BPF_LINK_UPDATE, which bpftool does not have.
UPDATE = """import ctypes, struct, sys
bpf = lambda command, attr: ctypes.CDLL(None, use_errno=True).syscall(321, command, attr, len(attr))
paths = [ctypes.create_string_buffer(path.encode()) for path in sys.argv[1:]]
link, program = (bpf(7, struct.pack("Q120x", ctypes.addressof(path))) for path in paths)
sys.exit(bpf(29, struct.pack("III116x", link, program, 0)) != 0)"""


def difference(guard, *args, **kw):
    """What a load says that it adds and removes, in both forms."""
    text = guard.load(*args, "--dry-run", **kw).stdout.splitlines()[1:]
    told = guard.json("load", *args, "--dry-run")
    lines = [f"  + {a}" for a in told["added"]] + [f"  - {r}" for r in told["removed"]]
    if lines:
        assert sorted(text) == sorted(lines)
    else:
        assert text == ["  nothing that is allowed changes"]
    assert told["changed"] == bool(lines)
    return set(told["added"]), set(told["removed"])


def back_files(guard):
    return guard.shell(f"ls {STATE}/host/back* 2>/dev/null || true").stdout.split()


def waiters(guard):
    """Those of this lab: other tests run beside."""
    here, found = guard.shell("readlink /proc/self/ns/net").stdout.strip(), set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
            if b"--go-back" in f.read().split(b"\0") and os.readlink(f"/proc/{pid}/ns/net") == here:
                found.add(int(pid))
    return found


@contextlib.contextmanager
def own_waiters(guard):
    """The processes that a load leaves, ended after the test."""
    try:
        yield lambda: waiters(guard)
    finally:
        for pid in waiters(guard):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


# -- which programs ----------------------------------------------------------------------------------------------

@pytest.fixture
def loaded(guard):
    guard.load()
    return guard


def programs(guard):
    """Ids of the programs in force, by hook."""
    return {p["attach_type"]: p["id"] for p in guard.attached()}


def test_programs_that_are_the_same_stay_in_force_and_the_list_changes(loaded):
    before = programs(loaded)
    loaded.load(allow=(ALLOWED, "198.51.100.41"))
    assert programs(loaded) == before and "198.51.100.41:443" in loaded.targets()
    loaded.load("--anew")
    assert not set(programs(loaded).values()) & set(before.values())
    loaded.assert_stands()


@pytest.mark.parametrize("change", [{"extra": "[inbound]\naccept = 23 10.0.0.0/8"}, {"dns": ["grace = 3m"]},
                                    {"guard": ["max-addresses = 4096"]}], ids=["inbound", "dns", "guard"])
def test_programs_are_replaced_when_their_settings_change(loaded, change):
    before = programs(loaded)
    loaded.load(**change)
    assert not set(programs(loaded).values()) & set(before.values())


def test_programs_of_two_loads_are_replaced(loaded):
    """As a load leaves them that was killed between two hooks."""
    loaded.shell(f"mkdir {KEPT}; bpftool prog pin id $1 {KEPT}/connect4", str(programs(loaded)["cgroup_inet4_connect"]))
    loaded.load("--anew")
    link = loaded.links()["connect4"]
    loaded.shell(f"{sys.executable} -c '{UPDATE}' {PINS}/host/connect4 {KEPT}/connect4; rm -r {KEPT}")
    mixed = programs(loaded)
    loaded.load()
    assert not set(programs(loaded).values()) & set(mixed.values()) and loaded.links()["connect4"] == link
    loaded.assert_stands()


# -- what changes ------------------------------------------------------------------------------------------------

def test_first_load_adds_all_and_the_same_again_nothing(guard):
    added, removed = difference(guard)
    assert {f"{ALLOWED}:443", f"{topology.RESOLVER}:53/dns", "10.0.0.0/8:22 inbound", f"cgroup {guard.cgroup}"} <= added
    assert not removed
    assert guard.json("load")["changed"] is True
    assert guard.json("load")["changed"] is False
    assert difference(guard) == (set(), set())


def test_load_tells_what_differs_from_what_is_in_force_and_dry_run_changes_nothing(guard):
    guard.load()
    guard.ok("allow", "198.51.100.0/24:8443")
    changes = {"allow": ("github.com", f"{ALLOWED} sni=off"), "dns": ["name = x.example", "inspect = on"],
               "extra": "[inbound]\naccept = 3000-3009 10.0.0.0/24\n[imds]\naccess = allow"}
    before = set(guard.targets())
    assert difference(guard, **changes) == (
        {"github.com:443", f"{ALLOWED}:443 sni=off", "10.0.0.0/24:3000-3009 inbound", "[dns] name = x.example",
         "[imds] access = allow"},
        {f"{ALLOWED}:443", "10.0.0.0/8:22 inbound", "172.16.0.0/12:22 inbound", "192.168.0.0/16:22 inbound",
         "[fc00::/7]:22 inbound"})
    assert set(guard.targets()) == before
    assert guard.load("--observe").stdout.count("\n  + observe") == 1
    assert difference(guard) == (set(), {"observe: nothing is refused"})


# -- sessions ----------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def sshd(lab, port):
    """An ssh server in the guarded cgroup and an open session from the proxy: runs a command in it."""
    folder = lab.dir / "sshd"
    lab.server.run(["sh", "-ec", """mkdir -p "$1" /run/sshd; cd "$1"; rm -f host user host.pub user.pub control
                    ssh-keygen -q -t ed25519 -N "" -f host; ssh-keygen -q -t ed25519 -N "" -f user""",
                    "sh", str(folder)], check=True)
    options = {"HostKey": folder / "host", "AuthorizedKeysFile": folder / "user.pub", "StrictModes": "no",
               "UsePAM": "no", "PidFile": "none", "PermitRootLogin": "yes", "Port": port,
               "SetEnv": "SHLVL=2"}     # or bash would read what this machine has in ~/.bashrc
    server = lab.server.popen([SSHD, "-D", "-e", "-f", "/dev/null", *(f"-o{k}={v}" for k, v in options.items())],
                              guarded=True, stderr=subprocess.DEVNULL)
    client = None
    try:
        poll(lambda: lab.server.run(["ss", "-Hltn", f"sport = :{port}"]).stdout, "an ssh server")
        client = lab.proxy.popen(["ssh", "-T", "-p", str(port), "-i", str(folder / "user"), "-o", "LogLevel=ERROR",
                                  "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                                  f"root@{SERVER}", "exec sh 2>&1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def run(command):
            """Its exit status, and what it says; None if nothing comes."""
            os.write(client.stdin.fileno(), f"{command}; echo \"end $?\"\n".encode())
            said = b""
            while not said.endswith(b"\n") or not said.splitlines()[-1].startswith(b"end "):
                if not select.select([client.stdout], [], [], 20)[0]:
                    return None
                said += os.read(client.stdout.fileno(), 65536)
            *lines, end = said.decode().splitlines()
            return int(end.split()[1]), "\n".join(lines)

        assert run("echo alive") == (0, "alive")
        yield run
    finally:
        for p in filter(None, (client, server)):
            p.kill()
            p.wait()


@pytest.mark.parametrize("port", [22, 2222])
def test_load_that_would_cut_an_ssh_session_is_refused(guard, port):
    keep = f"[inbound]\naccept = {port} {PROXY}"
    narrow = f"[inbound]\naccept = {port} 10.9.9.0/24"
    with sshd(guard.lab, port) as over_ssh:
        guard.load(extra=keep)
        guard.conf(extra=narrow)
        status, said = over_ssh(f"{BINARY} load")
        assert status == FAILED and f"ssh session from {PROXY} to port {port}" in said and "--force" in said
        assert guard.json("load", "--dry-run")["removed"] == [f"{PROXY}:{port} inbound"]
        guard.conf(extra=keep)
        assert guard.json("load")["changed"] is False, "nothing of the refused load stayed"
        assert over_ssh("echo alive") == (0, "alive")
        guard.conf(extra=narrow)
        r = guard.ok("load", "--force")
        assert f"ssh session from {PROXY}" in r.stderr
        guard.ok("load")    # what is refused already is not cut once more


def test_session_that_a_forced_load_cuts_is_back_when_nobody_confirms(guard):
    with sshd(guard.lab, 22) as over_ssh, own_waiters(guard):
        guard.load()
        guard.conf(extra="[inbound]\naccept = none")
        guard.ok("load", "--force", "--confirm", "3s")
        poll(lambda: not back_files(guard), "going back")
        assert over_ssh("echo alive") == (0, "alive")


def test_other_sessions_and_those_of_others_are_no_hindrance(guard):
    """An ssh session of an unguarded cgroup stays, and so does one that a target's range holds."""
    with sshd(guard.lab, 22):
        other = guard.sub_cgroup("other")
        guard.load("--cgroup", str(other), extra="[inbound]\naccept = none")
        guard.load("--cgroup", str(guard.cgroup), allow=(f"{PROXY}:1024-65535",), extra="[inbound]\naccept = none")


# -- going back --------------------------------------------------------------------------------------------------

def test_load_goes_back_by_itself_and_confirm_keeps(guard):
    guard.load(allow=(ALLOWED, "github.com"))
    guard.ok("allow", "198.51.100.7")
    with own_waiters(guard) as mine:
        r = guard.load("--confirm", "3s", allow=("google.com",))
        assert "goes back in 3s" in r.stdout
        poll(lambda: "github.com:443" in guard.targets(), "the list of before")
        assert "google.com:443" not in guard.targets() and "198.51.100.7:443" in guard.targets()
        poll(lambda: not back_files(guard) and not mine(), "nothing that waits")
        guard.assert_stands()
        assert any("edited" in p for p in guard.json("status", status=4)["problems"])

        assert guard.json("load", "--confirm", "1h")["confirm"] == 3600
        assert any("ohguard confirm" in n for n in guard.json("status")["notes"])
        assert guard.json("confirm") == {"instance": "host", "changed": True}
        assert guard.json("confirm") == {"instance": "host", "changed": False}
        assert "google.com:443" in guard.targets() and not back_files(guard)
        poll(lambda: not mine(), "the end of the process that waits")


def test_load_goes_back_when_loader_and_waiter_are_killed(guard):
    """`refresh`, which the timer runs, sees that the time is over."""
    guard.load(allow=(ALLOWED, "github.com"))
    with own_waiters(guard) as mine:
        guard.load("--confirm", "3s", allow=("google.com",))
        waiter, = mine()
        os.kill(waiter, signal.SIGKILL)
        poll(lambda: "going back" in guard.run("refresh").stderr, "the end of the time")
        assert "github.com:443" in guard.targets() and "google.com:443" not in guard.targets()
        assert not back_files(guard)
    guard.assert_stands()


def test_loader_killed_meanwhile_goes_back_all_the_same(guard):
    guard.load(allow=(ALLOWED, "github.com"))
    guard.conf(allow=("google.com",))
    with own_waiters(guard) as mine:
        load = guard.lab.server.popen([BINARY, "load", "--confirm", "3s"], stdout=subprocess.DEVNULL)
        poll(mine, "a process that waits")
        load.kill()
        load.wait()
        poll(lambda: not back_files(guard), "going back")
        assert "github.com:443" in guard.targets() and "google.com:443" not in guard.targets()
    guard.assert_stands()


def test_first_load_unconfirmed_is_unloaded(guard):
    with own_waiters(guard):
        guard.load("--confirm", "3s")
        poll(lambda: guard.run("status").returncode == NOT_LOADED, "nothing loaded")
        assert not guard.attached() and not back_files(guard)


def test_second_unconfirmed_load_goes_back_to_the_last_confirmed_one(guard):
    guard.load(allow=(ALLOWED,))
    with own_waiters(guard):
        guard.load("--confirm", "1h", allow=("google.com",))
        guard.load("--confirm", "3s", allow=("github.com",))
        poll(lambda: not back_files(guard), "going back")
        assert f"{ALLOWED}:443" in guard.targets() and "google.com:443" not in guard.targets()


def test_load_without_confirm_ends_the_waiting(guard):
    guard.load(allow=(ALLOWED,))
    with own_waiters(guard):
        guard.load("--confirm", "1h", allow=("google.com",))
        guard.load(allow=("github.com",))
        assert not back_files(guard) and guard.json("confirm")["changed"] is False


def test_restart_before_confirm_loads_what_was_confirmed(guard):
    """As after a crash: nothing is loaded, and what was kept is of another boot."""
    guard.load(allow=(ALLOWED,))
    with own_waiters(guard):
        guard.load("--confirm", "1h", allow=("google.com",))
        guard.shell(f"cp -a {STATE}/host /tmp/kept")
        guard.ok("unload", "--yes")
        guard.shell(f"rm -r {STATE}/host; mv /tmp/kept {STATE}/host; sed -i 's/^boot = ./boot = x/' {STATE}/host/back")
        assert "restarted" in guard.load().stderr
        assert f"{ALLOWED}:443" in guard.targets() and not back_files(guard)


def test_confirm_time_is_checked(guard):
    for time in ("soon", "0", "2s", "2d"):
        assert_says(guard.run("load", "--confirm", time), USAGE, time)
    assert guard.run("confirm").returncode == NOT_LOADED
    assert guard.run("load").returncode == DONE
