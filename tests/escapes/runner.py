# SPDX-License-Identifier: MIT
"""Every attack of the table at one place, against the wire: first without a guard, where it must work, then with one.

A place is a Field. A test class inherits from Attacks and names it, and the fixture that it stands on.
"""
import pytest

import attack       # noqa: F401  (fills the table)
from table import TABLE


class Attacks:
    place = None        # a Field, made from the fixture's value
    ground = None       # the fixture's name

    @classmethod
    def pytest_generate_tests(cls, metafunc):
        shown = [n for n, a in TABLE.items() if cls.place.shown(a)][::cls.place.SHOWN]
        names = {"shown": shown, "tried": list(TABLE)[::cls.place.TRIED]}
        for name in names.keys() & set(metafunc.fixturenames):
            metafunc.parametrize(name, names[name])

    @pytest.fixture(scope="class")
    def field(self, request):
        """The place, guarded; what it was without a guard is in its `control`."""
        params = [i.callspec.params for i in request.session.items if getattr(i, "cls", None) is request.cls]
        shown, tried = ([p[key] for p in params if key in p] for key in ("shown", "tried"))
        f = request.cls.place(request.getfixturevalue(request.cls.ground))
        try:
            f.set_up()
            f.control = {n: f.run(TABLE[n]) for n in shown}
            for a in (TABLE[n] for n in tried):
                if a.early and not f.untried(a):
                    f.begin(a)
            f.load()
            yield f
        finally:
            f.close()

    def test_without_a_guard_it_works(self, field, shown):
        """Or the next test would prove nothing."""
        said, leaks = field.control[shown]
        available(said)
        assert leaks, f"nothing reached the far side; it says: {said}"

    def test_no_byte_leaves(self, field, tried):
        a = TABLE[tried]
        if field.untried(a):
            pytest.skip(field.untried(a))
        said, leaks = field.run(a)
        moved = field.moved()
        available(said)
        if field.leaves(a):
            assert leaks, f"it no longer gets out ({a.leaves}): {said}"
            return
        assert not leaks, f"left the machine: {leaks[:5]}; it says: {said}"
        reasons = field.reasons(a)
        assert not reasons or reasons & moved, f"not counted as {reasons}, but {moved or 'not at all'}; it says: {said}"


def available(said):
    if said.startswith("unavailable"):
        pytest.skip(said)
    assert said and not said.startswith(("broken", "nothing")), said
