# SPDX-License-Identifier: MIT
"""How much later each client hears that a name does not exist where the guard says so, and not the resolver; by turns.
tests/e2e/test_answers.py has the clients, and counts their queries."""
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pytest

import guard
import test_answers

CLIENTS = ("glibc", "musl", "dig", "nslookup", "curl", "node", "go", "git", "npm", "pip", "apt")
ROUNDS = 7
MOST = 0.5      # seconds


def seconds(g, cgroup, argv, expected):
    begun = time.monotonic()
    r = g.in_cgroup(cgroup, argv)
    took = time.monotonic() - begun
    assert expected in r.stdout + r.stderr, r.stdout + r.stderr
    return took


def client(bench, g, name, free):
    with tempfile.TemporaryDirectory() as folder:
        try:
            argv, expected = test_answers.said_by(name, Path(folder))
        except pytest.skip.Exception as e:
            print(f"{name}: left out: {e}", file=sys.stderr)
            return
        for cgroup in (free, g.cgroup):     # what it makes at its first start
            seconds(g, cgroup, argv, expected)
        pairs = [(seconds(g, free, argv, expected), seconds(g, g.cgroup, argv, expected)) for _ in range(ROUNDS)]
    bench.add(name, statistics.median(held - bare for bare, held in pairs), "s", limit=MOST,
              note=f"of {statistics.median(held for _, held in pairs):.2f}")


def run(bench):
    guard.BINARY = str(bench.ohguard)
    bench.section("refusals", f"A refused name: how much later than an absent one it is told: median of {ROUNDS} pairs")
    g = guard.Guard(bench.lab)
    g.cgroup = g.sub_cgroup("held")
    free = g.sub_cgroup("free")
    g.load(allow=(guard.ALLOWED,))
    try:
        with guard.serving(g):
            for name in CLIENTS:
                client(bench, g, name, free)
    finally:
        g.ok("unload", "--yes")
