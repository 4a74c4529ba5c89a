# SPDX-License-Identifier: MIT
"""Hours in short: allowed and forbidden traffic, over both families, while everything an operator does goes on.

OHGUARD_SOAK=SECONDS (15; `make soak`: 30 minutes). Nothing leaks on the wire, no allowed exchange is refused, and
neither memory nor descriptors, map entries, pins or programs grow.
"""
import contextlib
import ipaddress
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ground import SITE, SITE_AT, Ground
from guard import ALLOWED, BINARY, DEGRADED, DONE, PINS, poll
from lab import topology

SECONDS = float(os.environ.get("OHGUARD_SOAK", 15))
CLIENT = Path(__file__).resolve().parent / "client.py"
POOL, SHARED = "pool.lab.example", "files.cdn.example"
CLIENTS = {
    "page4": ("page", ALLOWED, "4"), "page6": ("page", ALLOWED, "6"),
    "pool4": ("connect", POOL, "4"), "pool6": ("connect", POOL, "6"),
    "shared4": ("page", SHARED, "4"), "shared6": ("page", SHARED, "6"),
    "kept4": ("keep", ALLOWED, "4"), "kept6": ("keep", ALLOWED, "6"),
    "time": ("ntp", topology.TIME[0], "4"),
    "refused4": ("refused", SHARED, "4"), "refused6": ("refused", SHARED, "6"),
}
OTHERS = [f"n{i}.lab.example" for i in range(8)]
TO = [ipaddress.ip_network(a)
      for a in (*topology.ZONE[ALLOWED], *topology.ZONE[SHARED], "192.0.2.0/24", "2001:db8:2::/64")]
FORBIDDEN = (b"attacker", b"tenant", b"oh-fault")       # names that no frame may hold
MORE_MEMORY = 512                                       # kB: pages come late
MORE_ENTRIES = 0 if SECONDS > 120 else 500              # a pool of 400 addresses fills up first


def expected(f):
    """What may leave the server."""
    if f.housekeeping or f.proto == "igmp":
        return True
    if any(word in f.raw for word in FORBIDDEN):
        return False
    if f.dst == topology.RESOLVER or f.dst == topology.TIME[0]:
        return f.dport in (53, 123)
    return f.proto == "tcp" and f.dport == 443 and any(ipaddress.ip_address(f.dst) in n for n in TO
                                                       if n.version == (6 if ":" in f.dst else 4))


class Soak:
    """A guard, its clients, the workload that tries, and the two commands that stay."""

    def __init__(self, lab):
        self.ground = Ground(lab)
        self.guard, self.lab = self.ground.guard, lab
        self.random = random.Random(4)
        self.mark = 0
        self.leaks, self.failed, self.samples, self.did = [], [], [], 0

    def set_up(self):
        self.lab.dns.script(POOL, "rotate")
        for i, name in enumerate(OTHERS):
            self.lab.dns.script(name, a=[f"192.0.2.{201 + i}"], aaaa=[f"2001:db8:2::{0x201 + i:x}"], ttl=1)
        self.guard.conf(allow=(ALLOWED, POOL, SHARED), guard=("uplink = auto",), dns=("min-ttl = 1s", "grace = 10s"))
        self.ground.load()
        poll(lambda: self.ground.state() == "closed", "the guard")
        self.ground.ask("shut")
        self.ground.ask("packets", "on")
        self.mark = self.lab.wire.mark()

    @contextlib.contextmanager
    def running(self):
        """The clients by name, and the two that stay."""
        with contextlib.ExitStack() as stack:
            def start(argv, **kw):
                p = self.lab.server.popen(argv, text=True, **kw)
                stack.callback(p.wait)
                stack.callback(p.kill)
                return p
            self.stay = {"watch": start([BINARY, "refresh", "--watch"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL),
                         "follow": start([BINARY, "events", "--follow", "--json"], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)}
            yield {name: start([sys.executable, "-IS", CLIENT, *args], guarded=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
                   for name, args in CLIENTS.items()}

    # -- what an operator does

    def act(self):
        other = self.random.choice(OTHERS)
        command = self.random.choice((
            ("load",), ("load", "--anew", "--no-resolve"), ("refresh",), ("refresh",), ("allow", other),
            ("allow", other, "--for", "2s", "--replace"), ("allow", "192.0.2.240/28", "--for", "1s"), ("revoke", other),
            ("revoke", SITE_AT), ("allow", SITE_AT), ("list",), ("stats", "--prometheus"), ("status",)))
        r = self.guard.run(*command)
        self.did += 1
        told_so = command[0] == "revoke" and "is not allowed" in r.stderr
        if r.returncode != DONE and not told_so and not (r.returncode == DEGRADED
                                                         and command[0] in ("status", "refresh")):
            self.failed.append(f"{' '.join(command)}: exit {r.returncode}: {r.stderr or r.stdout}")

    # -- what is looked at

    def look(self):
        found = self.lab.wire.since(self.mark)
        self.mark = self.lab.wire.mark() if not found else self.mark + sum(len(f.raw) + 16 for f in found)
        self.leaks += [f for f in found if not expected(f)][:20]
        sample = {m["name"]: m["entries"] for m in self.guard.json("stats")["maps"]}
        sample["pins"] = len(self.guard.shell(f"ls {PINS}/host").stdout.split())
        sample["programs"] = self.programs()
        for name, p in self.stay.items():
            assert p.poll() is None, f"{name} ended: {p.returncode}"
            sample[f"{name} kB"], sample[f"{name} fds"] = resident(p.pid), len(os.listdir(f"/proc/{p.pid}/fd"))
        self.samples.append(sample)

    def programs(self):
        """How many there are that hold the map in which the policy's state is."""
        programs = json.loads(self.guard.shell("bpftool -j prog show").stdout)
        pinned = json.loads(self.guard.shell(f"bpftool -j link show pinned {PINS}/host/egress").stdout)["prog_id"]
        maps = {m["id"]: m["name"] for m in json.loads(self.guard.shell("bpftool -j map show").stdout)
                if m.get("name") == "oh_control"}
        ours = next(i for p in programs if p["id"] == pinned for i in p["map_ids"] if i in maps)
        return sum(ours in p.get("map_ids", ()) for p in programs)


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def grown(samples):
    """What is more at the end than it ever was in the first third."""
    third = max(len(samples) // 3, 2)   # one look may meet a command that opens the maps anew
    for key in samples[0]:
        early = max(s[key] for s in samples[:third])
        late = min(s[key] for s in samples[-third:])
        if late > early + (MORE_MEMORY if key.endswith(" kB") else MORE_ENTRIES if key.startswith("oh_") else 0):
            yield f"{key}: {early} at first, {late} at the end"


@pytest.fixture
def soak(session_lab):
    s = Soak(session_lab)
    try:
        s.set_up()
        yield s
    finally:
        s.ground.close()
        session_lab.dns.reset()


def test_nothing_leaks_nothing_is_refused_and_nothing_grows(soak):
    with soak.running() as clients:
        end, look = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            soak.act()
            if time.monotonic() > look:
                soak.look()
                look = time.monotonic() + max(2, SECONDS / 200)
            time.sleep(0.2)
        said = {name: json.loads(p.communicate("\n", timeout=60)[0]) for name, p in clients.items()}
        soak.look()
    refused = soak.guard.json("stats")["verdicts"]["refused"]["packets"]
    print({n: s["done"] for n, s in said.items()}, "actions", soak.did, "refused", refused, "\n", soak.samples[0], "\n",
          soak.samples[-1])
    assert not soak.leaks, f"on the wire: {soak.leaks[:20]}"
    assert not {n: s["failed"][:5] for n, s in said.items() if s["failed"]}
    assert not soak.failed, soak.failed[:10]
    assert all(s["done"] for s in said.values()) and soak.did > 2 and refused > 100, "little was done"
    assert not list(grown(soak.samples)), list(grown(soak.samples))
    soak.guard.ok("load")
    r = soak.guard.run("status")
    assert r.returncode == DONE, r.stdout
