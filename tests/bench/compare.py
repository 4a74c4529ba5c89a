#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make bench-compare REV=...: this build beside another one, by turns in one run, and their ratio per row.

    tests/bench/compare.py OTHER_BUILD [--build DIR] [--quick]

Times have no limit here: who reads it decides. Above 1 this build takes more."""
import argparse
import statistics
import sys
from pathlib import Path

import bench as run
import commands
import network
import record
from lab.lab import Lab, LabError

PROGRAM_ROUNDS, LOAD_ROUNDS = 5, 11


def add(bench, what, mine, others, unit):
    """Of the same rounds."""
    note = f"other: {record.number(statistics.median(others))}"
    bench.figures.append(record.rounds(what, mine, unit, others, note=note))


def least(bench, what, mine, others, unit):
    bench.add(what, min(mine), unit, min(mine) / max(min(others), 1), note=f"other: {record.number(min(others))}")


def programs(bench, other):
    rounds = [(run.run_program(bench, bench.build), run.run_program(bench, other))
              for _ in range(bench.fewer(PROGRAM_ROUNDS))]
    bench.section("program", "Program run time over an empty program's: least, and its ratio to the other build's")
    for name in rounds[0][0]:
        if name in rounds[0][1]:
            least(bench, name, [mine[name][0] for mine, _ in rounds], [theirs[name][0] for _, theirs in rounds], "ns")


def traffic(bench, other):
    guards = {f"{build}{'-up' if options else ''}": (folder / "ohguard", options)
              for options in network.GUARDS.values() for build, folder in (("this", bench.build), ("other", other))}
    paths = network.Paths(bench, ["none", *guards], guards)
    bench.section("traffic", "Time of one, and its ratio to the other build's in the same round")
    with paths.sinking():
        for kind, (_, what, count, size, *_) in network.TRAFFIC.items():
            values = network.burst(bench, kind, bench.fewer(count), size, [paths.spec(n, kind) for n in paths.names])
            add(bench, what, values["this"], values["other"], "ns")
            add(bench, f"{what}, with an uplink", values["this-up"], values["other-up"], "ns")
    paths.unload()


def loads(bench, other):
    """CPU time, and memory: what else the machine does adds to neither, or to both."""
    mine, theirs = commands.Commands(bench), commands.Commands(bench, other / "ohguard")
    conf = mine.conf(commands.make_names(bench, 10))
    for _ in range(bench.fewer(LOAD_ROUNDS)):
        for c in (mine, theirs):
            c.run("load, first", "load", "--no-resolve", "-c", conf)
            c.run("load, again", "load", "--no-resolve", "-c", conf)
            bench.guard("unload", "--yes")
    bench.section("load", "Load of 10 names: least CPU time and peak memory, and their ratio to the other build's")
    for what in mine.cpu:
        least(bench, f"{what}, CPU", mine.cpu[what], theirs.cpu[what], "ms")
        least(bench, f"{what}, memory", [mine.peaks[what]], [theirs.peaks[what]], "MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--build", type=Path, default=run.TOP / "build")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    try:
        with Lab(capture=False) as lab:
            bench = run.Bench(lab, args.build, args.quick)
            for part in (programs, traffic, loads):
                print(f"{part.__name__} ...", file=sys.stderr)
                part(bench, args.other.resolve())
    except LabError as e:
        sys.exit(f"compare: {e}")
    record.print_tables(bench.sections)


if __name__ == "__main__":
    main()
