# SPDX-License-Identifier: MIT
"""What the commands take: time and peak memory, with real names at a real resolver.

The load's time is the least of its rounds, since a busy machine only adds to it; the refresh's is a median, in which
lost packets show."""
import statistics

from lab import topology
from lab.lab import LabError

ROUNDS = 15
UNDER_WAY = 64          # more overflow the receive buffer of a resolver with the kernel's defaults
MEMORY, MEMORY_MANY = 4, 13     # MB; the second with 10,000 names
LOAD, LOAD_CPU, AGAIN = 70, 110, 10     # ms
REFRESH = 1.3           # times the resolver's own time
RECORDS = "/var/lib/ohguard/host/records"

GUARD = """[guard]
cgroup = {cgroup}
[dns]
resolver = {resolver}
[allow]
{targets}
"""


class Commands:
    def __init__(self, bench, ohguard=None):
        self.bench, self.server, self.peaks = bench, bench.lab.server, {}
        self.ohguard = ohguard or bench.ohguard
        self.cpu = {}

    def conf(self, names):
        path = self.bench.lab.dir / f"bench-{len(names)}.conf"
        path.write_text(GUARD.format(cgroup=self.bench.lab.cgroup, resolver=topology.UNBOUND,
                                     targets="\n".join(f"target = {n}" for n in names)))
        return str(path)

    def run(self, what, *args):
        """Milliseconds; the peak is kept under `what`, and so is the CPU time."""
        r = self.server.run([self.bench.tool("measure"), self.ohguard, *args], timeout=120)
        ms, cpu, kib, status = r.stdout.split()
        if status != "0":
            raise LabError(f"ohguard {' '.join(args)}: exit status {status}: {r.stderr.strip()}")
        self.peaks[what] = max(self.peaks.get(what, 0), int(kib) * 1024 / 1e6)
        self.cpu.setdefault(what, []).append(float(cpu))
        return float(ms)

    def least_cpu(self, what):
        return f"cpu {min(self.cpu[what]):.0f} ms"

    def refresh(self, what):
        """Without records every name is due."""
        self.server.run(["rm", "-f", RECORDS], check=True)
        return self.run(what, "refresh")

    def ask(self, names):
        r = self.server.run([self.bench.tool("ask"), topology.UNBOUND, UNDER_WAY], input="\n".join(names), check=True)
        return float(r.stdout)


def make_names(bench, count):
    """Addresses of the public kind, or the guard would refuse them; nobody sends to them here."""
    zone = {f"host{i}.bench.example": (f"45.0.{i // 250}.{i % 250 + 1}", f"45.1.{i // 250}.{i % 250 + 1}",
                                       f"2600:be::{i:x}") for i in range(count)}
    bench.lab.dns.add_many(zone)
    return list(zone)


def load(c, names):
    conf, first, again = c.conf(names), [], []
    for _ in range(c.bench.fewer(ROUNDS)):
        first.append(c.run("load of 10 names, first, with resolving", "load", "-c", conf))
        again.append(c.run("load of 10 names, again, nothing changed", "load", "-c", conf))
        c.bench.guard("unload", "--yes")
        c.server.run(["rm", "-f", RECORDS], check=True)
    c.bench.section("load", f"ohguard load, 10 names: least of {ROUNDS} rounds")
    for what, ms, most, most_cpu in (("first, with resolving", first, LOAD, LOAD_CPU), ("again, nothing changed", again,
                                                                                     AGAIN, None)):
        c.bench.add(what, min(ms), "ms", limit=most, note=f"median {statistics.median(ms):.0f} ms")
        c.bench.add(f"{what}, CPU", min(c.cpu[f"load of 10 names, {what}"]), "ms", limit=most_cpu)


def refresh(c, names):
    c.run("load of 1,000 names", "load", "--no-resolve", "-c", c.conf(names))
    pairs = [(c.refresh("refresh of 1,000 names"), c.ask(names)) for _ in range(c.bench.fewer(ROUNDS))]
    nothing = statistics.median(c.run("refresh, nothing due", "refresh") for _ in range(c.bench.fewer(ROUNDS)))
    c.run("list of 1,000 names", "list")
    c.bench.section("refresh", "Refresh of 1,000 names (2,000 queries), and its ratio to the resolver's own time")
    c.bench.add("resolver's own", statistics.median(a for _, a in pairs), "ms")
    c.bench.add("ohguard refresh", statistics.median(r for r, _ in pairs), "ms",
                statistics.median(r / a for r, a in pairs), REFRESH, note=c.least_cpu("refresh of 1,000 names"))
    c.bench.add("ohguard refresh, nothing due", nothing, "ms", note=c.least_cpu("refresh, nothing due"))


def many(c, names):
    conf = c.conf(names)
    first = c.run("load of 10,000 names", "load", "--no-resolve", "-c", conf)
    all_due = c.refresh("refresh of 10,000 names")
    again = c.run("load of 10,000 names", "load", "-c", conf)
    listed = c.run("list of 10,000 names", "list")
    c.bench.section("many", "10,000 names")
    for what, ms in (("load", first), ("load", again), ("refresh", all_due), ("list", listed)):
        c.bench.add("load, again" if ms is again else what, ms, "ms", note=c.least_cpu(f"{what} of 10,000 names"))


def run(bench):
    c = Commands(bench)
    names = make_names(bench, 10000)
    load(c, names[:10])
    refresh(c, names[:1000])
    many(c, names)
    bench.guard("unload", "--yes")
    bench.section("memory", "Peak memory")
    for what, mb in c.peaks.items():
        bench.add(what, mb, "MB", limit=MEMORY_MANY if "10,000" in what else MEMORY)
