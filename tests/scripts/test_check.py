# SPDX-License-Identifier: MIT
"""scripts/check counts, and names a test that passes the second time only."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[2] / "scripts/check"
TESTS = """
import pathlib
import pytest

def test_good():
    pass

@pytest.mark.parametrize("at", ["a b", "c"])
def test_unsteady(at):
    seen = pathlib.Path(__file__).with_name(at)
    first = not seen.exists()
    seen.touch()
    assert not first
"""
UNSTEADY = ["failed the first time and passed the second, alone:", "  tests.fresh.test_it::test_unsteady[a b]",
            "  tests.fresh.test_it::test_unsteady[c]"]
BAD = """
def test_bad():
    assert False
"""


@pytest.fixture
def check(tmp_path):
    """scripts/check of a tree with these tests alone: exit status and lines from the first that names or counts."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "tests/fresh").mkdir(parents=True)
    shutil.copy(CHECK, tmp_path / "scripts")

    def run(tests, **env):
        (tmp_path / "tests/fresh/test_it.py").write_text(tests)
        env = {k: v for k, v in os.environ.items() if k not in ("STRICT", "PYTEST_ADDOPTS")} | env
        r = subprocess.run([tmp_path / "scripts/check", "fresh"], env=env | {"PYTHON": sys.executable},
                           capture_output=True, text=True)
        lines = r.stdout.splitlines()
        return r.returncode, lines[lines.index(UNSTEADY[0]):] if UNSTEADY[0] in lines else lines[-1:]
    return run


def test_second_try_is_named_and_counts_as_passed(check):
    assert check(TESTS) == (0, [*UNSTEADY, "3 passed, 0 failed"])


def test_strict_fails_on_it(check):
    assert check(TESTS, STRICT="1") == (1, [*UNSTEADY, "1 passed, 2 failed"])


def test_what_fails_twice_has_failed_and_is_not_named(check):
    assert check(TESTS + BAD) == (1, [*UNSTEADY, "3 passed, 1 failed"])
    assert check(BAD) == (1, ["0 passed, 1 failed"])


def test_all_good_says_no_more(check):
    assert check("def test_good(): pass", STRICT="1") == (0, ["1 passed, 0 failed"])


def test_none_is_a_failure(check):
    assert check("") == (1, ["0 passed, 1 failed"])
