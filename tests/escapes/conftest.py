# SPDX-License-Identifier: MIT
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e"), str(HERE)]
from lab.fixtures import class_lab        # noqa: E402,F401
