# SPDX-License-Identifier: MIT
"""What scripts/lint says of this tree is for it to say; here, that each of its own checks sees what it is for."""
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROOMS = "user", "bpf", "include"
HOST = "crates" + ".io"
LONG = "static int long_one(void)\n{\n" + "\tstep();\n" * 90 + "\treturn 0;\n}\n"


@pytest.fixture
def tree(tmp_path):
    """A copy of the rooms, which includes run one way in."""
    for room in ROOMS:
        shutil.copytree(TOP / room, tmp_path / room)
    return tmp_path


def said(tree, script, *check):
    r = subprocess.run([TOP / "scripts" / script, *check, tree], capture_output=True, text=True)
    assert r.stderr == "" and r.returncode == bool(r.stdout)
    return r.stdout.splitlines()


@pytest.mark.parametrize("path, header, whole", [
    ("user/base/text.c", "policy/target.h", "user/policy/target.h"),
    ("user/engine/load.h", "commands/cmd.h", "user/commands/cmd.h"),
    ("bpf/decide/decide.h", "payload/inspect.h", "bpf/payload/inspect.h"),
    ("user/base/json.h", "decide/decide.h", "bpf/decide/decide.h")])
def test_upward_include_is_seen(tree, path, header, whole):
    assert said(tree, "includes") == []
    with open(tree / path, "a") as f:
        f.write(f'#include "{header}"\n')
    assert f"{path} includes {whole}, which stands above it" in said(tree, "includes")


def test_circle_is_seen(tree):
    (tree / "user/base/one.h").write_text('#include "base/two.h"\n')
    (tree / "user/base/two.h").write_text('#include "base/three.h"\n')
    # A file and its header are one module.
    (tree / "user/base/three.h").touch()
    (tree / "user/base/three.c").write_text('#include "base/one.h"\n')
    assert said(tree, "includes") == ["a circle: user/base/one → user/base/two → user/base/three → user/base/one"]


def test_room_that_nobody_knows_is_seen(tree):
    (tree / "user/misc").mkdir()
    (tree / "user/misc/a.c").touch()
    assert [line.split(":")[0] for line in said(tree, "includes")] == ["user/misc/a.c"]


HOUSE = [
    ("width", "user/base/a.c", "\t" * 14 + "123456789\n", "user/base/a.c:1: 121 columns, more than 120"),
    ("width", "notes.md", "| " + "x" * 130 + " |\n" + "y" * 121 + "\n", "notes.md:2: 121 columns, more than 120"),
    ("functions", "user/base/a.c", LONG, "user/base/a.c: long_one: 93 lines, more than 80"),
    ("mutants", "tests/mutants/table.py", 'MUTANTS = [("a.c", "x", "y", [])]\n',
     "tests/mutants/table.py: 'x' stands 0 times in a.c"),
    ("functions", "scripts/a", "#!/bin/sh\nlong_one() {\n" + "\tstep\n" * 90 + "}\n",
     "scripts/a: long_one: 92 lines, more than 80"),
    ("functions", "scripts/a.py", "def long_one():\n" + "    step()\n" * 90,
     "scripts/a.py: long_one: 91 lines, more than 80"),
    ("files", "user/base/a.h", "int a;\n" * 561, "user/base/a.h: 561 lines, more than 560"),
    ("licences", "user/base/a.c", "int a;\n", "user/base/a.c: does not begin with SPDX-License-Identifier: MIT"),
    ("licences", "bpf/a.h", "/* SPDX-License-Identifier: MIT */\n",
     "bpf/a.h: does not begin with SPDX-License-Identifier: GPL-2.0-only"),
    ("licences", "bpf/parse/a.h", "/* SPDX-License-Identifier: GPL-2.0-only */\n",
     "bpf/parse/a.h: does not begin with SPDX-License-Identifier: GPL-2.0-only OR MIT"),
    ("licences", "scripts/a", "#!/bin/sh\nset -e\n", "scripts/a: does not begin with SPDX-License-Identifier: MIT"),
    ("hosts", "docs.md", f"get it\nfrom {HOST}\n", f"docs.md:2: names {HOST}, a package registry")]


@pytest.mark.parametrize("check, name, text, told", HOUSE, ids=[f"{row[0]}-{row[1]}" for row in HOUSE])
def test_house_rule_that_is_broken_is_seen(tmp_path, check, name, text, told):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    assert said(tmp_path, "house", check) == []
    (tmp_path / name).write_text(text)
    assert said(tmp_path, "house", check) == [told]
