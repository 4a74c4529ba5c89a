# SPDX-License-Identifier: MIT
"""docs/benchmarks.md and its plots, from a record.
usage: tests/bench/page.py RECORD [FOLDER]   (default: docs)"""
import sys
import textwrap
from pathlib import Path

import plot
import record

HEAD = """# Benchmarks

Made by `make bench`, which writes this page from what it measured:
{machine}

All filters are compared in one run. Each has a network namespace of its own, linked to the same far side. They are
measured in turn, so whatever else the machine is doing slows them all alike. A row is the median of its rounds, with
quartiles.
The ratio is to no filter in the same round, again with quartiles. Go by the ratio: times are of one machine on one day.
Lower is better, except for rates. A mark in a plot is the project's own target.

The filters do not all do the same work. The text above a table, or above the first of several, says which do less.
"""


def table(section):
    rows = [[cell.replace("|", r"\|") for cell in (f.name, *record.cells(f))] for f in section.figures]
    head = ["", "median", "quartiles", "ratio", "target", "", "note"]
    used = [i for i in range(len(head)) if i < 2 or any(r[i] for r in rows)]
    lines = [[head[i] for i in used], ["---", *["---:" for _ in used[1:]]], *[[r[i] for i in used] for r in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(path, folder):
    machine, sections = record.read(path)
    plots = folder / "benchmarks"
    plots.mkdir(exist_ok=True)
    for old in plots.glob("*.svg"):
        old.unlink()
    parts, said = [HEAD.format(machine=textwrap.fill(machine, 120))], set()
    for s in sections:
        (plots / f"{s.slug}.svg").write_text(plot.svg(s))
        text = [] if s.text in said | {""} else [textwrap.fill(s.text, 120) + "\n"]
        said.add(s.text)
        parts += [f"## {s.heading}\n", *text,
                  f"![{s.slug}](benchmarks/{s.slug}.svg)\n", table(s) + "\n"]
    (folder / "benchmarks.md").write_text("\n".join(parts))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2] if sys.argv[2:] else "docs"))
