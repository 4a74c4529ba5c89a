# SPDX-License-Identifier: MIT
"""A machine that runs out: of memory, descriptors, inodes; mounts and pins taken away; state files with a byte changed.
What exists elsewhere (a full disk, full maps, pins of the cgroup's hooks, /run removed) is in tests/e2e.

OHGUARD_FAULTS=all takes every step and every byte.
"""
import os
import random

import pytest

import inject
from guard import ALLOWED, BINARY, CONF, DEGRADED, DONE, FAILED, FORBIDDEN, NOT_LOADED, PINS, STATE, config, poll
from lab import topology

ALL = os.environ.get("OHGUARD_FAULTS") == "all"
QUICK = {"dns": ("inspect = off",)}      # programs verify three times as fast
TO = [str(f) for f in FORBIDDEN]


@pytest.fixture
def loaded(guard):
    guard.load(dns=("inspect = off",))
    return guard


def assert_told(r, *what):
    """A documented exit status; one line where something failed, two where it could not be undone; no crash."""
    assert r.returncode in (DONE, FAILED, NOT_LOADED, DEGRADED), f"{what}: exit {r.returncode}: {r.stderr}"
    lines = r.stderr.splitlines()
    assert len(lines) <= 2 and all(line.startswith("ohguard: ") for line in lines), f"{what}: {r.stderr}"
    assert lines or r.returncode == DONE or r.stdout, f"{what}: exit {r.returncode} without a word"


def assert_closed(guard):
    assert guard.probe("udp", *TO) == guard.probe("tcp", *TO) == "EPERM"


# -- memory and descriptors -----------------------------------------------------------------------------------------

# From where there is room for the program's text and stack, and for the C library to begin.
LIMITS = {"--as": [n << 16 for n in (range(48, 140) if ALL else (48, 120))],
          "--data": [n << 16 for n in (range(12, 80) if ALL else (12,))],
          "--nofile": list(range(3, 64)) if ALL else [3, 9, 30]}


def limited(guard, limit, value, *command):
    return guard.lab.server.run(["prlimit", f"{limit}={value}", BINARY, *command], timeout=60)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("command", ["load", "allow 192.0.2.50", *(["refresh", "status"] if ALL else [])])
def test_too_little_of_it_is_told_and_nothing_opens(loaded, command, limit):
    statuses = set()
    with loaded.nothing_leaves():
        for value in LIMITS[limit]:
            r = limited(loaded, limit, value, *command.split())
            assert_told(r, limit, value)
            statuses.add(r.returncode)
        assert_closed(loaded)
    assert DONE in statuses or not ALL, "never enough"
    loaded.load()
    loaded.assert_stands()


@pytest.mark.parametrize("limit", LIMITS)
def test_first_load_with_too_little_of_it_guards_or_fails(guard, limit):
    guard.conf(dns=("inspect = off",))
    for value in LIMITS[limit]:
        r = limited(guard, limit, value, "load")
        assert_told(r, limit, value)
        if r.returncode in (DONE, DEGRADED):
            assert_closed(guard)
        if r.returncode == DONE:
            assert guard.json("status")["healthy"]
            break
    guard.load()
    guard.assert_stands()


# -- the state folder's file system ---------------------------------------------------------------------------------

@pytest.fixture(params=["no inode left", "read-only"])
def bad_disk(request, loaded):
    loaded.shell("mount -t tmpfs -o size=1m,nr_inodes=8 bad /var/lib/ohguard; mkdir /var/lib/ohguard/host")
    try:
        loaded.load()
        loaded.shell("mount -o remount,ro /var/lib/ohguard" if request.param == "read-only" else
                     "i=0; while touch /var/lib/ohguard/$i 2>/dev/null; do i=$((i + 1)); done")
        yield loaded
    finally:
        loaded.shell("umount /var/lib/ohguard")


def test_state_that_cannot_be_written_is_told_and_enforcement_goes_on(bad_disk):
    for command in (["allow", "192.0.2.50"], ["load"], ["refresh"], ["status"], ["list"]):
        assert_told(bad_disk.run(*command), command)
    assert bad_disk.run("allow", "192.0.2.50").returncode == FAILED
    assert bad_disk.probe("tcp", "192.0.2.50", 443) == "EPERM"
    bad_disk.assert_stands()


# -- mounts and pins ------------------------------------------------------------------------------------------------

def test_bpffs_mounted_over_leaves_the_guard_in_force(fresh_guard):
    """The old one enforces below; what is loaded over it goes, and it does not."""
    g = fresh_guard
    g.load(**QUICK)
    g.shell("mount -t bpf over /sys/fs/bpf")
    with g.nothing_leaves():
        assert g.run("status").returncode == NOT_LOADED
        assert_closed(g)
        g.load()
        assert_closed(g)
        g.ok("unload", "--yes")
        assert_closed(g)
        g.shell("umount /sys/fs/bpf")
    g.assert_stands()
    assert g.json("status")["healthy"]


def test_bpffs_unmounted_is_told_and_load_repairs(fresh_guard):
    """Root's own act ends it: pins are all that holds it."""
    g = fresh_guard
    g.load(**QUICK)
    g.shell("umount -l /sys/fs/bpf")
    poll(lambda: not g.attached(), "the links' end")
    assert g.run("status").returncode == NOT_LOADED
    g.shell("mount -t bpf bpf /sys/fs/bpf")
    g.load()
    assert g.json("status")["healthy"]
    g.assert_stands()


def test_pin_of_an_uplink_removed_is_told_and_load_repairs(guard):
    guard.load("--uplink", "eth0", **QUICK)
    for pin in guard.shell(f"ls {PINS}/host | grep -E '(uplink|inbound).*-{'|uplink' if ALL else ''}'").stdout.split():
        guard.shell(f"rm {PINS}/host/{pin}")
        r = guard.run("status")
        assert r.returncode == (DEGRADED if "-" in pin.removeprefix("uplink-") else DONE), f"{pin}: {r.stdout}"
        guard.load()
        assert guard.json("status")["healthy"], pin
    guard.assert_stands()


def test_pin_of_an_uplink_that_a_killed_load_left_is_taken_up(guard):
    """XDP has room for one program: with the old one still there, and not known, no load would succeed any more."""
    guard.load("--uplink", "eth0", **QUICK)
    guard.shell(f"cd {PINS}/host; for pin in *-[0-9]*; do mv $pin $pin-new; done")
    guard.load()
    assert guard.json("status")["healthy"]


def test_default_route_that_is_gone_for_a_moment_keeps_its_uplink_guarded(guard):
    guard.load("--uplink", "auto", **QUICK)
    before = guard.shell(f"ls {PINS}/host").stdout
    host, spec = guard.lab.server, next(s for s in topology.HOSTS if s.name == "server")
    routes = [f"default via {gw}" for gw in (spec.gw4, spec.gw6)]
    host.ip(*(f"route del {r}" for r in routes))
    try:
        guard.ok("load", "--no-resolve")
        assert guard.shell(f"ls {PINS}/host").stdout == before
        for pin in (p for p in before.split() if p[-1].isdigit() and p.startswith("uplink")):
            assert '"prog_id":0' not in guard.shell(f"bpftool -j link show pinned {PINS}/host/{pin}").stdout
    finally:
        host.ip(*(f"route add {r}" for r in routes))
    guard.load()
    assert guard.json("status")["healthy"]


def test_where_it_is_attached_is_asked_and_never_guessed(loaded):
    """A failure to find that out must not end in the root cgroup."""
    loaded.write("/etc/ohguard/nowhere.conf", "".join(
        line + "\n" for line in config(loaded.cgroup).splitlines() if not line.startswith("cgroup")))
    argv = [BINARY, "load", "--dry-run", "-c", "/etc/ohguard/nowhere.conf"]
    log = loaded.lab.dir / "strace.log"
    inject.run(loaded.lab.server, argv, log)
    calls = [c for c in inject.calls(log) if c[0] in ("bpf", "openat", "open_by_handle_at", "readlink")]
    for fault in inject.faults(calls[:60 if ALL else 12], ("error",)):
        r = loaded.lab.server.run([*inject.strace(log, *fault.options()), *argv])
        assert r.returncode == FAILED or f"would guard {loaded.cgroup}," in r.stdout, \
            f"{fault}: {r.stdout}{r.stderr}"


# -- state files ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", [f"{STATE}/host/records", f"{STATE}/host/grants", "/run/ohguard/host/loaded.conf"])
def test_any_byte_of_it_changed_is_told_or_harmless(loaded, path):
    loaded.ok("allow", "192.0.2.50")
    good = loaded.lab.server.run(["cat", path]).stdout.encode()
    rng = random.Random(path)
    for at in range(0, len(good), 1 if ALL else max(len(good) // 25, 1)):
        bad = bytearray(good)
        bad[at] = rng.choice([b for b in (0, 10, 32, 45, 48, 57, 61, 91, 127, 255, bad[at] ^ 1) if b != bad[at]])
        loaded.lab.server.run(["sh", "-c", 'cat > "$1"', "sh", path], input=bytes(bad), text=False)
        for command in ("list", "refresh"):
            r = loaded.run(command, text=False)
            said = r.stderr.decode(errors="replace")
            assert r.returncode in (DONE, FAILED, NOT_LOADED, DEGRADED), f"byte {at}, {command}: {r.returncode}: {said}"
            assert all(line.startswith("ohguard: ") for line in said.splitlines()), f"byte {at}, {command}: {said}"
        loaded.lab.server.run(["sh", "-c", 'cat > "$1"', "sh", path], input=good, text=False)
    assert_closed(loaded)
    loaded.shell(f"rm -f {STATE}/host/records")
    loaded.load()
    loaded.assert_stands()


def test_configuration_that_is_written_while_it_is_read_is_whole_or_refused(loaded):
    """Cut anywhere: what a line may not say shows, what it may is another configuration."""
    text = config(loaded.cgroup, dns=("inspect = off",))
    for at in range(len(text) - 1, 0, -1 if ALL else -23):
        if f"cgroup = {loaded.cgroup}\n" not in text[:at]:
            break       # it would guard something else
        loaded.write(CONF, text[:at])
        assert_told(loaded.run("load", "--no-resolve"), at)
    assert_closed(loaded)
    loaded.conf()
    loaded.load()
    assert loaded.at(ALLOWED, topology.ZONE[ALLOWED][0]) == 0
