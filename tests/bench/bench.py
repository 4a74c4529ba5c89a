#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make bench: the figures, each beside what it is compared with in the same run. About a quarter of an hour.

    tests/bench/bench.py [--build DIR] [--record FILE] [--page] [--quick]
                         [program|names|network|commands|refusals|agents]...

The record is JSON; --page writes docs/benchmarks.md and its plots from it. --quick takes few rounds, to try it."""
import argparse
import os
import platform
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/bench")]
import agents  # noqa: E402
import commands  # noqa: E402
import names  # noqa: E402
import network  # noqa: E402
import page  # noqa: E402
import record  # noqa: E402
import refusals  # noqa: E402
from lab.lab import Lab, LabError  # noqa: E402

SECTIONS = ("program", "names", "network", "commands", "refusals", "agents")


class Bench:
    """What a section gets: the lab, the built programs, and where to put its figures."""

    def __init__(self, lab, build, quick):
        self.lab, self.build, self.quick, self.sections = lab, build.resolve(), quick, []
        self.ohguard = self.build / "ohguard"

    def tool(self, name):
        return str(self.build / "tests/bench" / name)

    def fewer(self, count):
        """Rounds: of a quick run few."""
        return max(3, count // 20) if self.quick else count

    def section(self, slug, heading, text=""):
        self.sections.append(record.Section(slug, heading, text))

    @property
    def figures(self):
        return self.sections[-1].figures

    def add(self, *args, **kw):
        self.figures.append(record.Figure(*args, **kw))

    def guard(self, *args):
        return self.lab.server.run([self.ohguard, *args], check=True, timeout=60)


def run_program(bench, build, *options):
    """The nanoseconds of each packet and size of map, least and median."""
    out = bench.lab.server.run([build / "tests/bench/program", "eth0", *options], check=True, timeout=300).stdout
    rows = map(str.split, out.splitlines())
    return {f"{packet}, {size}": (float(least), median) for packet, size, least, median in rows}


def program(bench):
    """The server's interface stands for the uplink: nothing is sent on it. The least of the rounds is the program's
    own cost, the median has what else this machine was doing in it.

    A DNS query took 237 ns at 9c86cae, for which its limit was set, and takes 287 now (6.18, one run, by turns). By
    perf, some 20 of the 50 are the look-up of its source among the host's addresses: a connected socket needs none, but
    a test run's is not connected. Some 16 are the questions by which rule its name may be asked for, and whether a
    CNAME led to it; the rest is the hook's own. Reading the message takes 72, rules and address 73, as before."""
    limits = {"tcp4-segment": 60, "tcp6-segment": 60, "dns-query": 250}
    for name, off in (("", ()), (", inspect = off", ("off",))):
        bench.section("program-off" if off else "program", "Program run time over an empty program's, by addresses and "
                      f"names in the maps{name}",
                      "By BPF_PROG_TEST_RUN, with caches warm, least of 101 rounds: no filter beside it, since none "
                      "can be run so. There are as many names as addresses, and at most 100,000: a list has room for "
                      "131,072.")
        for name, (least, median) in run_program(bench, bench.build, *off).items():
            bench.add(name, least, "ns", limit=limits.get(name.split(",")[0]), note=f"median {median}")


def machine(quick):
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    rounds = " A short run (--quick), of few rounds: the quartiles say how much it is worth." if quick else ""
    return (f"{platform.machine()} {model[0] if model else ''}, {os.cpu_count()} processors, "
            f"Linux {platform.release()}.{rounds}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=TOP / "build")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    args = parser.parse_args()
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    run = {"program": program, "names": names.run, "network": network.run, "commands": commands.run,
           "refusals": refusals.run, "agents": agents.run}
    try:
        with Lab(capture=False) as lab:
            bench = Bench(lab, args.build, args.quick)
            for name in args.sections or SECTIONS:
                print(f"{name} ...", file=sys.stderr)
                run[name](bench)
    except LabError as e:
        sys.exit(f"bench: {e}")
    record.print_tables(bench.sections)
    kept = args.record or args.build / "bench.json"
    record.write(kept, machine(args.quick), bench.sections)
    if args.page:
        page.write(kept, TOP / "docs")


if __name__ == "__main__":
    main()
