# SPDX-License-Identifier: MIT
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e"), str(HERE)]
from lab.fixtures import fresh_lab, lab, session_lab        # noqa: E402,F401
from guard import fresh_guard, guard                        # noqa: E402,F401
