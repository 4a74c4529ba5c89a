# SPDX-License-Identifier: MIT
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e"), str(HERE.parent / "docker"), str(HERE)]
from agent import AGENTS, Absent, playing              # noqa: E402
from guard import guard                                 # noqa: E402,F401
from lab.fixtures import lab, session_lab               # noqa: E402,F401

# What `make check` has the time for; OHGUARD_AGENTS=all (make check-agents) runs the rest too.
QUICK = ("claude", "documented")


def pytest_collection_modifyitems(config, items):
    left_out = [i for i in items if not any(word in i.name for word in QUICK)]
    if os.environ.get("OHGUARD_AGENTS") != "all" and len(left_out) < len(items):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [i for i in items if i not in left_out]


@pytest.fixture(scope="session")
def installed():
    """installed(name): the agent, on this machine."""
    def install(name):
        try:
            return AGENTS[name]().install()
        except Absent as e:
            pytest.skip(str(e))
    return install


@pytest.fixture
def model(lab):     # noqa: F811
    with playing(lab):
        yield
