# SPDX-License-Identifier: MIT
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from lab.fixtures import fresh_lab, lab, session_lab    # noqa: E402,F401
from guard import fresh_guard, guard                    # noqa: E402,F401
from terminal import terminal                           # noqa: E402,F401
