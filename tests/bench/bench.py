#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make bench: the figures, each beside what it is compared with in the same run. About five minutes.

    tests/bench/bench.py [--build DIR] [--json] [program|names|network|commands|refusals|agents]...
"""
import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/bench")]
import agents  # noqa: E402
import commands  # noqa: E402
import names  # noqa: E402
import network  # noqa: E402
import refusals  # noqa: E402
from lab.lab import Lab, LabError  # noqa: E402

SECTIONS = ("program", "names", "network", "commands", "refusals", "agents")


@dataclass
class Figure:
    name: str
    value: float
    unit: str
    ratio: float | None = None      # to what the section's heading says
    limit: float | None = None      # the target: at most this, of the ratio where there is one, else of the value
    least: float | None = None      # the target: at least this
    note: str = ""

    @property
    def met(self):
        value = self.value if self.ratio is None else self.ratio
        if self.least is not None:
            return value >= self.least
        return None if self.limit is None else value <= self.limit


class Bench:
    """What a section gets: the lab, the built programs, and where to put its figures."""

    def __init__(self, lab, build):
        self.lab, self.build, self.figures = lab, build.resolve(), {}
        self.ohguard = self.build / "ohguard"

    def tool(self, name):
        return str(self.build / "tests/bench" / name)

    def section(self, heading):
        self.figures[heading] = []

    def add(self, *args, **kw):
        list(self.figures.values())[-1].append(Figure(*args, **kw))

    def guard(self, *args):
        return self.lab.server.run([self.ohguard, *args], check=True, timeout=60)


def program(bench):
    """The server's interface stands for the uplink: nothing is sent on it. The least of the rounds is the program's
    own cost, the median has what else this machine was doing in it.

    A DNS query took 237 ns at 9c86cae, for which its limit was set, and takes 287 now (6.18, one run, by turns). By
    perf, some 20 of the 50 are the look-up of its source among the host's addresses: a connected socket needs none, but
    a test run's is not connected. Some 16 are the questions by which rule its name may be asked for, and whether a
    CNAME led to it; the rest is the hook's own. Reading the message takes 72, rules and address 73, as before."""
    limits = {"tcp4-segment": 60, "tcp6-segment": 60, "dns-query": 250}
    for name, off in (("", ()), (", inspect = off", ("off",))):
        bench.section(f"Program run time over an empty program's, by addresses in the map{name}: least of 101 rounds")
        for line in bench.lab.server.run([bench.tool("program"), "eth0", *off], check=True).stdout.splitlines():
            packet, size, least, median = line.split()
            bench.add(f"{packet}, {size}", float(least), "ns", limit=limits.get(packet), note=f"median {median}")


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def table(figures):
    for heading, rows in figures.items():
        print(f"\n{heading}")
        for f in rows:
            ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
            sign, bound = ("<=", f.limit) if f.least is None else (">=", f.least)
            target = "" if bound is None else f"{sign} {bound:g}{'' if f.ratio is None else ' x'}"
            print(f"  {f.name:<40}{number(f.value):>10} {f.unit:<6}{ratio:>8}  {target:<9}"
                  f"{'' if f.met is None else 'met' if f.met else 'MISSED':<8}{f.note}".rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=TOP / "build")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    args = parser.parse_args()
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    run = {"program": program, "names": names.run, "network": network.run, "commands": commands.run,
           "refusals": refusals.run, "agents": agents.run}
    try:
        with Lab(capture=False) as lab:
            bench = Bench(lab, args.build)
            for name in args.sections or SECTIONS:
                print(f"{name} ...", file=sys.stderr)
                run[name](bench)
    except LabError as e:
        sys.exit(f"bench: {e}")
    if args.json:
        print(json.dumps({heading: [{**asdict(f), "met": f.met} for f in rows]
                          for heading, rows in bench.figures.items()}, indent=1))
    else:
        table(bench.figures)


if __name__ == "__main__":
    main()
