# SPDX-License-Identifier: MIT
"""Time to a real agent's final answer, guarded and not, by turns; of the smallest, or of each by OHGUARD_AGENTS=all."""
import os
import statistics
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "agents"), str(TESTS / "e2e")]
import guard                                    # noqa: E402
from agent import AGENTS, Absent, playing       # noqa: E402

ROUNDS = 7
MOST = 1.05     # of the time without a guard


def seconds(agent, lab):
    begun = time.monotonic()
    agent.run(lab)
    return time.monotonic() - begun


def guarded(agent, lab):
    g = guard.Guard(lab)
    g.load(allow=(agent.api,))
    with guard.serving(g):
        took = seconds(agent, lab)
    g.ok("unload", "--yes")
    return took


def run(bench):
    guard.BINARY = str(bench.ohguard)
    bench.section("agents", f"A real agent to its final answer, and its ratio to no guard: median of {ROUNDS} pairs")
    with playing(bench.lab):
        for kind in AGENTS.values():
            if kind.name != "claude" and os.environ.get("OHGUARD_AGENTS") != "all":
                continue
            try:
                agent = kind().install()
            except Absent as e:
                print(f"{kind.title}: left out: {e}", file=sys.stderr)
                continue
            seconds(agent, bench.lab)       # what it makes at its first start
            pairs = [(seconds(agent, bench.lab), guarded(agent, bench.lab)) for _ in range(ROUNDS)]
            bench.add(f"{agent.title}, no guard", statistics.median(bare for bare, _ in pairs), "s")
            bench.add(f"{agent.title}, guarded", statistics.median(held for _, held in pairs), "s",
                      statistics.median(held / bare for bare, held in pairs), MOST)
