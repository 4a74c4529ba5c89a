# SPDX-License-Identifier: MIT
"""pytest fixtures: `lab` for nearly every test, `fresh_lab` and `class_lab` for those that must not share."""
import os

import pytest

from .lab import Lab


@pytest.fixture(scope="session")
def session_lab():
    if os.geteuid():
        pytest.skip("the lab needs root for namespaces and a cgroup")
    with Lab() as lab:
        yield lab


@pytest.fixture
def lab(session_lab):
    """The session's lab; what the test did to DNS is undone after it."""
    yield session_lab
    if session_lab.dns.changed:
        session_lab.dns.reset()


def _own_lab():
    """A lab of the test's own, in about a second."""
    if os.geteuid():
        pytest.skip("the lab needs root for namespaces and a cgroup")
    with Lab() as lab:
        yield lab


fresh_lab = pytest.fixture(_own_lab)
class_lab = pytest.fixture(_own_lab, scope="class")
