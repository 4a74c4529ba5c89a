# SPDX-License-Identifier: MIT
"""Every attack of the table against the wire: first without a guard, where it must work, then with one."""
import subprocess
import sys
from pathlib import Path

import pytest

import attack as runner
from field import Field, THOROUGH
from table import TABLE


# With OHGUARD_ESCAPES=all, each; else a sample, that all of it stays quick.
SHOWN = [n for n in TABLE if not TABLE[n].unseen][::1 if THOROUGH else 9]


@pytest.fixture(scope="module")
def field(request, session_lab):
    f = Field(session_lab)
    chosen = {(i.originalname, i.callspec.params["name"]) for i in request.session.items
              if getattr(i, "callspec", None) and "name" in i.callspec.params}
    try:
        f.set_up()
        f.control = {n: f.run(TABLE[n]) for n in SHOWN if ("test_without_a_guard_it_works", n) in chosen}
        for n, a in TABLE.items():
            if a.early and ("test_no_byte_leaves", n) in chosen:
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
def test_without_a_guard_it_works(field, name):
    """Or the next test would prove nothing."""
    said, leaks = field.control[name]
    available(said)
    assert leaks, f"nothing reached the far side; it says: {said}"


@pytest.mark.parametrize("name", TABLE)
def test_no_byte_leaves(field, name):
    a = TABLE[name]
    if a.stop == "uplink" and not field.uplink:
        pytest.skip("stopped at the uplink, which this build does not guard (--uplink)")
    if a.stop == "lsm":
        pytest.skip("stopped by BPF LSM alone, which this machine does not have on: see tests/vm")
    said, leaks = field.run(a)
    moved = field.moved()
    available(said)
    if a.leaves and not (field.uplink and a.uplink):
        assert leaks, f"it no longer gets out ({a.leaves}): {said}"
        return
    assert not leaks, f"left the machine: {leaks[:5]}; it says: {said}"
    reasons = {a.reason, a.uplink} if field.uplink else {a.reason}
    if reasons != {""}:
        assert reasons & moved, f"not counted as {a.reason}, but {moved or 'not at all'}; it says: {said}"


def test_runner_lists_every_attack(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["attack.py", "--list"])
    assert runner.main() == 0
    assert len(capsys.readouterr().out.splitlines()) == len(TABLE) >= 80


def test_the_document_is_of_this_table():
    top = Path(__file__).resolve().parents[2]
    made = subprocess.run([sys.executable, top / "scripts/escapes-table"], capture_output=True, text=True, check=True).stdout
    assert (top / "docs/escapes.md").read_text() == made, "run: make docs/escapes.md"
