# SPDX-License-Identifier: MIT
"""Every attack of the table from the guarded cgroup, and what is said of the table."""
import subprocess
import sys
from pathlib import Path

import attack
from field import THOROUGH, Field
from runner import Attacks
from table import TABLE


class TestMachine(Attacks):
    place, ground = Field, "class_lab"


class Asking(Field):
    """The same under `load --ask`, and nobody answers. What waits is not counted."""
    SHOWN, TRIED = 1000, 1 if THOROUGH else 5

    def options(self):
        return *super().options(), "--ask", "10m"

    def run(self, a):
        """A connect() without a time-out waits as long as nobody answers, and so says nothing."""
        said, leaks = super().run(a)
        return "waits" if self.loaded and said == "nothing" else said, leaks

    def reasons(self, a):
        return set()


class TestAsked(Attacks):
    place, ground = Asking, "class_lab"


def test_runner_lists_every_attack(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["attack.py", "--list"])
    assert attack.main() == 0
    assert len(capsys.readouterr().out.splitlines()) == len(TABLE) >= 80


def test_the_document_is_of_this_table():
    top = Path(__file__).resolve().parents[2]
    made = subprocess.run([sys.executable, top / "scripts/escapes-table"], capture_output=True, text=True, check=True)
    assert (top / "docs/escapes.md").read_text() == made.stdout, "run: make docs/escapes.md"
