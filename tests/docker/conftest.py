# SPDX-License-Identifier: MIT
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e"), str(HERE.parent / "escapes"), str(HERE)]
from engine import Engine, lacking      # noqa: E402
from guard import staying               # noqa: E402
from lab.lab import Lab                 # noqa: E402


# What `make check` has the time for; OHGUARD_DOCKER=all (make check-docker) runs the rest too.
QUICK = {"test_allowed_name_works_at_the_first_try[mine-machine]",
         "test_allowed_name_works_at_the_first_try[bridge-elsewhere]",
         "test_nothing_else_leaves[mine-admin-machine]",
         "test_containers_reach_each_other_where_their_range_is_allowed",
         "test_foreign_name_is_not_asked_for_by_the_embedded_resolver[machine]",
         "test_event_names_the_container[bridge]",
         "test_event_of_a_forwarded_packet_says_whose_it_was_before_nat[198.51.100.20-mine]"}


def pytest_collection_modifyitems(config, items):
    left_out = [i for i in items if i.path.name == "test_docker.py" and i.name not in QUICK]
    if os.environ.get("OHGUARD_DOCKER") != "all" and len(left_out) < len(items):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [i for i in items if i not in left_out]


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
    with staying(lab) as g:
        yield g
