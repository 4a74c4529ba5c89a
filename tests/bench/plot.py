# SPDX-License-Identifier: MIT
"""A section as an SVG: a bar for each figure, its quartiles as a line, its target as a mark. One scale from zero, so
that a bar twice as long is twice as much. Readable on white and on black: the viewer's setting chooses the colours."""
from html import escape

from record import number

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 900, 290, 110, 46, 24, 13
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600; font-size: 13px }
.soft { fill: #57606a; font-size: 11px }
.bar { fill: #9aa4af } .ours { fill: #2f6fde } .grid { stroke: #d0d7de } .spread { stroke: #24292f }
.target { stroke: #c2410c; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .soft { fill: #9198a1 } .bar { fill: #6e7681 } .ours { fill: #58a0ff }
.grid { stroke: #30363d } .spread { stroke: #e6edf3 } .target { stroke: #fb923c }
}"""


def steps(most):
    """Round numbers from zero to at least `most`, about five."""
    for unit in (u * 10 ** e for e in range(-3, 10) for u in (1, 2, 5)):
        if most / unit <= 6:
            return [unit * i for i in range(int(most / unit) + 2)]
    raise ValueError(most)


def line(kind, x1, y1, x2, y2):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x, y, what, kind="", anchor="start"):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(what)}</text>'


def shown(f, by_ratio):
    """Value, quartiles and label of a bar."""
    if by_ratio:
        return f.ratio, f.ratio_low, f.ratio_high, f"{f.ratio:.2f} ({number(f.value)} {f.unit})"
    return f.value, f.low, f.high, f"{number(f.value)} {f.unit}"


def svg(section):
    by_ratio = all(f.ratio is not None for f in section.figures)
    bars = [(f, *shown(f, by_ratio)) for f in section.figures]
    targets = {b for f in section.figures if by_ratio == (f.ratio is not None) for b in (f.limit, f.least) if b}
    scale = steps(max([v for _, v, *_ in bars] + [h for _, _, _, h, _ in bars if h] + list(targets)) or 1)
    bottom = TOP + ROW * len(bars)

    def x(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * value / scale[-1]

    units = {f.unit for f in section.figures}
    what = "ratio" if by_ratio else "/".join(sorted(units))
    out = [text(8, 18, section.heading, "head"), text(LEFT, 36, what, "soft")]
    for mark in scale:
        out += [line("grid", x(mark), TOP - 4, x(mark), bottom),
                text(x(mark), bottom + 14, f"{mark:g}", "soft", "middle")]
    for i, (f, value, low, high, label) in enumerate(bars):
        y = TOP + ROW * i + (ROW - BAR) / 2
        kind = "ours" if "ohguard" in f.name or by_ratio is False else "bar"
        out += [text(LEFT - 8, y + BAR - 2, f.name, anchor="end"),
                f'<rect class="{kind}" x="{LEFT}" y="{y:.1f}" width="{max(x(value) - LEFT, 1):.1f}" height="{BAR}"/>']
        if low is not None:
            out.append(line("spread", x(low), y + BAR / 2, x(high), y + BAR / 2))
        if target := f.limit if f.least is None else f.least:
            out.append(line("target", x(target), y - 3, x(target), y + BAR + 3))
        out.append(text(x(max(value, high or 0, target or 0)) + 6, y + BAR - 2, label, "soft"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 22}" width="{WIDTH}" '
            f'role="img" aria-label="{escape(section.heading, True)}">\n<style>{STYLE}\n</style>\n'
            + "\n".join(out) + "\n</svg>\n")
