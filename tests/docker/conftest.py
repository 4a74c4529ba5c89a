import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e"), str(HERE.parent / "escapes"), str(HERE)]
from engine import Engine, lacking      # noqa: E402
from guard import Guard                 # noqa: E402
from lab.lab import Lab                 # noqa: E402


@pytest.fixture(scope="session")
def engine():
    if lacking():
        pytest.skip(lacking())
    with Lab() as lab, Engine(lab) as e:
        yield e


@pytest.fixture
def lab(engine):
    yield engine.lab
    if engine.lab.dns.changed:
        engine.lab.dns.reset()


@pytest.fixture
def guard(lab):
    """Not loaded yet; what it leaves is removed, and the containers stay."""
    g = Guard(lab)
    try:
        yield g
    finally:
        g.cgroup = lab.cgroup       # one below it is about to go
        g.close(workload=False)
