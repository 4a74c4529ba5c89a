# SPDX-License-Identifier: MIT
"""With one cgroup guarded: what others do for the workload, and `status` tells of."""
import json
import subprocess
import sys

import pytest

from guard import DEGRADED, DONE, assert_says, poll
from lab import topology

STUB = "127.0.0.53"
# usage: ADDRESS PORT: binds, says so and stays.
LISTEN = """
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
print("bound", flush=True)
time.sleep(600)
"""
# usage: UID GID: becomes that user, says so and stays.
STAY = """
import os, sys, time
os.setgroups([7])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[1]))
print("there", flush=True)
time.sleep(600)
"""
# usage: UID GID CGROUP: the same in another cgroup.
STAY_IN = f"import sys\nopen(sys.argv[3] + '/cgroup.procs', 'w').write('0'){STAY}"
# usage: PATH UID GID MODE
SOCKET = """
import os, socket, sys
path, uid, gid, mode = sys.argv[1:]
socket.socket(socket.AF_UNIX).bind(path)
os.chown(path, int(uid), int(gid))
os.chmod(path, int(mode, 8))
"""


@pytest.fixture
def start(guard):
    """Starts a Python program in the server, and waits until it has said something."""
    running = []

    def begin(code, *args, **where):
        process = guard.lab.server.popen([sys.executable, "-IS", "-c", code, *map(str, args)],
                                         stdout=subprocess.PIPE, text=True, **where)
        running.append(process)
        assert process.stdout.readline()
        return process
    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def stub(guard):
    """A resolv.conf that names a stub, as systemd-resolved's."""
    guard.write("/etc/resolv.conf", f"nameserver {STUB}\n")
    yield guard
    guard.write("/etc/resolv.conf", f"nameserver {topology.RESOLVER}\n")


def problems(guard):
    return [p for p in json.loads(guard.run("status", "--json").stdout)["problems"] if STUB in p]


@pytest.mark.parametrize("address", [STUB, "0.0.0.0", "::"])
def test_resolver_outside_the_guard_is_a_problem(stub, start, address):
    start(LISTEN, address, 53)
    stub.conf()
    assert_says(stub.run("load"), DEGRADED, f"the resolver at {STUB} is not guarded", "name the uplink", "upstream")
    assert [p for p in problems(stub) if "guard its unit too" in p]
    assert stub.run("status").returncode == DEGRADED


def test_resolver_in_the_guard_is_none(stub, start):
    start(LISTEN, STUB, 53, guarded=True)
    stub.conf()
    assert stub.run("load", "--dry-run").returncode == DONE, "nor would it be"
    stub.load()
    assert not problems(stub)


def test_resolver_under_a_guard_of_its_own_is_none(stub, start):
    """Another instance, at the resolver's unit."""
    unit = stub.sub_cgroup("resolver")
    start("import sys; open(sys.argv[3] + '/cgroup.procs', 'w').write('0')" + LISTEN, STUB, 53, unit)
    stub.conf()
    elsewhere = stub.sub_cgroup("agent")
    assert_says(stub.run("load", "--cgroup", elsewhere), DEGRADED, "is not guarded", str(unit))
    stub.run("load", "--name", "resolver", "--cgroup", unit)
    try:
        assert not problems(stub)
    finally:
        stub.run("unload", "--yes", "--name", "resolver")
    assert problems(stub)


def test_resolver_behind_a_guarded_uplink_is_none(stub, start):
    start(LISTEN, STUB, 53)
    stub.load("--uplink", "eth0")
    assert not problems(stub)


def test_other_port_and_other_address_are_no_resolver(stub, start):
    start(LISTEN, STUB, 5353)
    start(LISTEN, "127.0.0.1", 53)
    stub.load()
    assert not problems(stub)


def notes(guard):
    return [n for n in guard.json("status")["notes"] if "may connect to" in n]


def test_sockets_that_lead_out_are_told_of(guard, start):
    guard.load()
    guard.shell("mkdir -p -m 755 /run/user/1234 /run/screen && mkdir -p -m 700 /run/screen/S-agent && "
                "chown 1234 /run/screen/S-agent")
    start(STAY, 1234, 1234, guarded=True)
    assert not notes(guard)
    guard.python(SOCKET, "/run/docker.sock", 0, 99, "660")
    assert not notes(guard), "another group's"
    guard.python(SOCKET, "/run/user/1234/bus", 1234, 1234, "600")
    guard.python(SOCKET, "/run/screen/S-agent/1.pts", 1234, 1234, "600")
    told, = notes(guard)
    assert "user 1234" in told and "/run/user/1234/bus" in told and "/run/screen" in told and "docker" not in told
    guard.shell("chgrp 7 /run/docker.sock")
    assert "/run/docker.sock" in notes(guard)[0], "a supplementary group's"
    guard.shell("rm -r /run/user/1234/bus /run/docker.sock /run/screen")
    assert not notes(guard)


def test_what_no_process_of_the_guard_sees_is_not_told_of(guard, start):
    guard.load()
    guard.shell("mkdir -p /run/user/1234")
    guard.python(SOCKET, "/run/user/1234/bus", 1234, 1234, "600")
    outside = start(STAY, 1234, 1234)
    assert not notes(guard), "not in the cgroup"
    inside = start(STAY, 4321, 4321, guarded=True)
    assert not notes(guard), "another user"
    below = guard.sub_cgroup("below")
    deep = start(STAY_IN, 1234, 1234, below)
    assert notes(guard), "in a cgroup below"
    deep.kill()
    poll(lambda: not notes(guard), "the process's end")
    assert outside.poll() is None and inside.poll() is None
    guard.shell("rm /run/user/1234/bus")
