# SPDX-License-Identifier: MIT
"""The table of tests/escapes, tried from a container: as root, bridged, with CAP_NET_RAW and CAP_NET_ADMIN, against the wire."""
import os

import pytest

import attack as runner     # noqa: F401  (fills the table)
import differences
from inside import Inside
from table import TABLE

THOROUGH = os.environ.get("OHGUARD_DOCKER") == "all"
SHOWN = [n for n, a in TABLE.items() if not a.unseen and not differences.untried(a) and not differences.of(differences.UNSEEN, a)
         and not differences.of(differences.ENDS, a)][::1 if THOROUGH else 40]
TRIED = list(TABLE)[::1 if THOROUGH else 12]


@pytest.fixture(scope="module")
def field(request, engine):
    f = Inside(engine)
    chosen = {(i.originalname, i.callspec.params["name"]) for i in request.session.items
              if getattr(i, "callspec", None) and "name" in i.callspec.params}
    try:
        f.set_up()
        f.control = {n: f.run(TABLE[n]) for n in SHOWN if ("test_without_a_guard_it_works_in_a_container", n) in chosen}
        for n, a in TABLE.items():
            if a.early and not differences.untried(a) and ("test_no_byte_leaves_a_container", n) in chosen:
                f.begin(a)
        f.load()
        yield f
    finally:
        f.close()


def available(said):
    if said.startswith("unavailable"):
        pytest.skip(said)
    assert not said.startswith(("broken", "nothing")) and said, said


@pytest.mark.parametrize("name", SHOWN)
def test_without_a_guard_it_works_in_a_container(field, name):
    said, leaks = field.control[name]
    available(said)
    assert leaks, f"nothing reached the far side; it says: {said}"


@pytest.mark.parametrize("name", TRIED)
def test_no_byte_leaves_a_container(field, name):
    a = TABLE[name]
    if differences.untried(a):
        pytest.skip(differences.untried(a))
    said, leaks = field.run(a)
    moved = field.moved()
    available(said)
    if differences.known_to_leave(a):
        assert leaks, f"it no longer gets out ({a.leaves}): {said}"
        return
    assert not leaks, f"left the machine: {leaks[:5]}; it says: {said}"
    reasons = {differences.reason(a), *([a.uplink] if a.uplink else [])}
    if reasons != {""}:
        assert reasons & moved, f"not counted as {reasons}, but {moved or 'not at all'}; it says: {said}"
