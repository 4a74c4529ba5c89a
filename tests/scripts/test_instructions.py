# SPDX-License-Identifier: MIT
"""The length of the programs is what tests/bench/instructions says, give or take a hundredth."""
import runpy
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SCRIPT = runpy.run_path(str(TOP / "scripts/instructions"), run_name="script")
FILE = TOP / "tests/bench/instructions"


def differences(kept, now):
    return {section: (kept.get(section, 0), now.get(section, 0)) for section in kept.keys() | now.keys()
            if abs(kept.get(section, 0) - now.get(section, 0)) > kept.get(section, 0) / 100}


def test_programs_are_as_long_as_the_file_says():
    if not (TOP / "build/ohguard").exists():
        pytest.skip("nothing is built")
    kept, compared = SCRIPT["read"](FILE), 0
    for clang, path in SCRIPT["builds"](TOP / "build").items():
        if clang in kept:
            compared += 1
            assert not differences(kept[clang], SCRIPT["count"](path)), \
                f"{clang}: scripts/instructions >tests/bench/instructions"
    if not compared:
        pytest.skip("no build is by a clang of the file")


def test_a_longer_program_is_seen():
    assert not differences({"xdp": 1000}, {"xdp": 1010})
    assert differences({"xdp": 1000}, {"xdp": 1011}) == {"xdp": (1000, 1011)}
    assert differences({"xdp": 1000}, {}) == {"xdp": (1000, 0)}
    assert differences({}, {"new": 1}) == {"new": (0, 1)}
