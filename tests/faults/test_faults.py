# SPDX-License-Identifier: MIT
"""One system call fails, or is the last: nothing forbidden ever leaves, each failure is told, and the next load
repairs.

A sample by default; all of it with OHGUARD_FAULTS=all (`make check-faults`), and OHGUARD_FAULTS=N for so many of each
kind.
"""
import os
import pytest

import inject
from ground import Ground, check_words
from guard import DONE, poll
from scenes import SCENES

WANTED = os.environ.get("OHGUARD_FAULTS", "")
KINDS = {"error": ("error",), "kill": ("kill",), "lasting": ("lasting",)} if WANTED else {"sample": ("error", "kill")}
SAMPLED = [name for name, scene in SCENES.items() if WANTED or (scene.share == 1 and name not in ("stats", "events"))]


@pytest.fixture(scope="module")
def ground(session_lab, request):
    g = Ground(session_lab)
    try:
        yield g
    finally:
        g.close()


def chosen(scene, found, kind):
    if not WANTED:      # one here and there; another with each scene
        at = SAMPLED.index(next(n for n in SAMPLED if SCENES[n] is scene))
        every = [list(inject.faults(found, (k,))) for k in KINDS[kind]]
        return [some[(2 * i + 1) * len(some) // (2 * len(every)) - at % 7] for i, some in enumerate(every)
                if len(some) > 12]
    every = list(inject.faults(found, (kind,)))
    if WANTED == "all":
        return every[::scene.share * (3 if kind == "lasting" else 1)]
    return inject.spread(every, int(WANTED))


def one(g, scene, fault, repair):
    """What was wrong; None where the run did not come to the fault."""
    scene.start(g)
    g.ask("packets", "on" if scene.uplink else "off")
    g.mark = g.lab.wire.mark()
    status, said = g.inject(scene.argv, fault)
    hit = inject.injected(fault, g.log)
    wrong = [*check_words(fault, status, said, scene.in_table), *scene.after(g, fault, status)] if hit else []
    g.ask("packets", "off")
    try:
        if repair or g.status()[0] != DONE:
            scene.repair(g)
            wrong += g.litter()
    except AssertionError as e:
        wrong.append(f"not repaired: {str(e).splitlines()[0]}")
    wrong += g.stands()
    wrong += [f"LEAK: {f}" for f in g.leaked()[:3]]
    return wrong if hit else None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLED)
def test_no_fault_opens_anything_and_the_next_load_repairs(ground, name, kind):
    scene = SCENES[name]
    ground.set_up(scene.inspect)
    for _ in range(2):      # the first run makes what every later one finds: another list of calls
        scene.start(ground)
        found = ground.calls(scene.argv)
        scene.repair(ground)
    rounds, complaints, missed = ground.ask("rounds"), [], []
    faults = chosen(scene, found, kind)
    for i, fault in enumerate(faults):
        repair = fault.kills or not (scene.light and i % 8)
        wrong = one(ground, scene, fault, repair)
        if wrong and ground.disturbed():
            poll(lambda: not ground.disturbed(), "an end to the guard of this whole machine", 600)
            ground.load()
            wrong = one(ground, scene, fault, repair)
        missed += [str(fault)] if wrong is None else []
        complaints += [f"{fault}: {w}" for w in wrong or ()]
        print(*(f"{name}: {fault}: {w}" for w in wrong or ()), sep="\n", end="", flush=True)    # `-s`: as they come
    assert not complaints, f"{len(complaints)}:\n" + "\n".join(complaints[:60])
    assert len(missed) <= len(faults) // 5, f"of {len(faults)} faults not met:\n" + "\n".join(missed)
    assert ground.ask("rounds") - rounds > len(faults), "the workload stood still"
