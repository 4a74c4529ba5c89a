# SPDX-License-Identifier: MIT
"""What a run has measured: sections of figures, which are kept as JSON, and printed as tables."""
import json
import statistics
from dataclasses import asdict, dataclass, field


@dataclass
class Figure:
    """A row. Quartiles are of the rounds; a ratio is of pairs from the same round."""
    name: str
    value: float                    # the median, or what the section's heading says
    unit: str
    ratio: float | None = None      # to what the section's heading says
    limit: float | None = None      # the target: at most this, of the ratio where there is one, else of the value
    least: float | None = None      # the target: at least this
    note: str = ""
    low: float | None = None        # quartiles of the value
    high: float | None = None
    ratio_low: float | None = None  # and of the ratio
    ratio_high: float | None = None

    @property
    def met(self):
        value = self.value if self.ratio is None else self.ratio
        if self.least is not None:
            return value >= self.least
        return None if self.limit is None else value <= self.limit


@dataclass
class Section:
    slug: str       # of its plot's file
    heading: str
    text: str = ""  # who does what, and who does less
    figures: list = field(default_factory=list)


def rounds(name, values, unit, base=None, **kw):
    """A figure of many rounds; base: those of what it is compared with, from the same rounds."""
    f = Figure(name, statistics.median(values), unit, **kw)
    if len(values) > 1:
        f.low, _, f.high = statistics.quantiles(values, n=4)
    if base is not None:
        ratios = [v / b for v, b in zip(values, base)]
        f.ratio = statistics.median(ratios)
        if len(ratios) > 1:
            f.ratio_low, _, f.ratio_high = statistics.quantiles(ratios, n=4)
    return f


def write(path, machine, sections):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "sections": [asdict(s) for s in sections]}, indent=1) + "\n")


def read(path):
    """(machine, sections) of a record."""
    record = json.loads(path.read_text())
    return record["machine"], [Section(**{**s, "figures": [Figure(**f) for f in s["figures"]]})
                               for s in record["sections"]]


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def cells(f):
    """A figure as text: value, quartiles, ratio, target."""
    spread = "" if f.low is None else f"{number(f.low)} to {number(f.high)}"
    ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
    if f.ratio_low is not None:
        ratio += f" ({f.ratio_low:.2f} to {f.ratio_high:.2f})"
    sign, bound = ("<=", f.limit) if f.least is None else (">=", f.least)
    target = "" if bound is None else f"{sign} {bound:g}{'' if f.ratio is None else ' x'}"
    return [f"{number(f.value)} {f.unit}", spread, ratio, target,
            "" if f.met is None else "met" if f.met else "MISSED", f.note]


def print_tables(sections):
    for s in sections:
        print(f"\n{s.heading}")
        for f in s.figures:
            value, spread, ratio, target, met, note = cells(f)
            print(f"  {f.name:<44}{value:>12}  {spread:<18}{ratio:<22}{target:<9}{met:<8}{note}".rstrip())
