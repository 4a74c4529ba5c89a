# SPDX-License-Identifier: MIT
"""A name of 200 addresses that answers with another member each time, TTL 1: programs resolve and connect, and not one
is refused, whatever resolver they have in them. OHGUARD_POOL_ROUNDS=2000 does as many rounds with each."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from guard import poll
from lab import topology

CLIENTS = Path(__file__).resolve().parent / "clients"
NAME = "pool.lab.example"
ROUNDS = {"glibc": 600, "musl": 600, "python": 500, "go": 200, "curl": 100}      # 2,000 in all, in some 20 seconds
GO = shutil.which("go", path=os.environ["PATH"] + ":/usr/local/go/bin:/usr/lib/go/bin")

PYTHON = """
import socket, sys
connected = failed = 0
for i in range(int(sys.argv[2])):
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(sys.argv[1], 443, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as s:
                s.connect(address)
                connected += 1
    except OSError as e:
        failed += 1
        print("round", i, e)
print("connected", connected, "failed", failed)
"""
# A process for each round: there is no other way to make it forget what it resolved.
CURL = """
connected=0 failed=0
for i in $(seq "$2"); do
    if curl -sS -o /dev/null "https://$1/"; then connected=$((connected + 1)); else failed=$((failed + 1)); fi
done
echo "connected $connected failed $failed"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What makes a client's argv; skips where its compiler is not there."""
    out = tmp_path_factory.mktemp("clients")
    compilers = {"glibc": ["gcc", "-O1"], "musl": ["musl-gcc", "-O1", "-static"]}

    def argv(client):
        if client == "python":
            return ["/usr/bin/python3", "-c", PYTHON]
        if client == "curl":
            return ["sh", "-c", CURL, "sh"]
        program = out / client
        if program.exists():
            return [program]
        if client == "go":
            if not GO:
                pytest.skip("no Go compiler: scripts/deps clients")
            subprocess.run([GO, "build", "-o", program, CLIENTS / "pool.go"], check=True,
                           env={**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""})
        else:
            subprocess.run([*compilers[client], "-o", program, CLIENTS / "pool.c"], check=True)
        return [program]

    return argv


def load(guard, *dns):
    guard.lab.dns.script(NAME, "rotate")
    guard.load(allow=(NAME,), dns=("inspect = on", "min-ttl = 1s", *dns))
    guard.events()


@pytest.mark.parametrize("client", ROUNDS)
def test_not_one_connection_of_a_rotating_pool_is_refused(guard, built, client):
    rounds = int(os.environ.get("OHGUARD_POOL_ROUNDS", ROUNDS[client]))
    argv = built(client)
    load(guard, "grace = 10s")
    r = guard.lab.server.run([*argv, NAME, rounds], guarded=True, timeout=60 + rounds)
    connected, failed = map(int, r.stdout.splitlines()[-1].split()[1::2])
    assert not failed, r.stdout[-2000:] + r.stderr
    assert connected >= rounds * (1 if client == "curl" else 2)        # an IPv4 and an IPv6 address each time
    assert [(e["reason"], e["destination_port"], e["protocol"], e["hook"]) for e in guard.events()] == []


def test_old_connections_outlive_fifty_rotations(guard, built):
    load(guard, "grace = 1s")
    with guard.stream(NAME, "-4") as old:
        first = guard.lab.web_hits()
        address = guard.lab.server.run(["ss", "-Htn", "dport", "=", "443"]).stdout.split()[4].rsplit(":", 1)[0]
        assert address.startswith(topology.POOL)
        for _ in range(50):
            r = guard.lab.server.run([*built("glibc"), NAME, 1], guarded=True)
            assert r.stdout == "connected 2 failed 0\n", r.stdout
            assert guard.lab.server.run(["sleep", "0.04"]).returncode == 0
        while guard.at(NAME, address) == 0:     # its address lapses at last: the bound is the test's own limit
            pass
        assert guard.at(NAME, address) == 7 and old.goes_on()
    assert {e["reason"] for e in guard.events()} == {"address-expired"}
