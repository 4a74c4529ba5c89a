# SPDX-License-Identifier: MIT
"""The package in a whole machine as Debian's installer leaves it: machine.sh, in `make check-packages`. The package
before it is of an older commit."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guard import REPO

sys.path.insert(0, str(REPO / "tests/vm"))
import vm  # noqa: E402

HERE = Path(__file__).resolve().parent
KERNELS = {"bookworm": "6.1", "trixie": "6.12"}
SUITES = os.environ.get("OHGUARD_SUITES", "").split()
BEFORE = "b31c993"    # the first one that had a package
PREPARE = "systemctl -q enable apparmor.service"    # as it is where its package's scripts ran on a machine


def build(commit, where):
    """The package of a commit, as `make deb` makes it."""
    source = where / "source"
    subprocess.run(["git", "clone", "-q", REPO, source], check=True)
    subprocess.run(["git", "-C", source, "checkout", "-q", commit], check=True)
    made = subprocess.run(["make", "-C", source, "deb"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=1200, check=False)
    assert made.returncode == 0, made.stdout
    return next(source.glob("build/release/*.deb"))


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return {name: build(commit, tmp_path_factory.mktemp(name))
            for name, commit in (("before", BEFORE), ("this", "HEAD"))}


@pytest.mark.skipif(not SUITES, reason="only in make check-packages, or with OHGUARD_SUITES=...")
@pytest.mark.parametrize("suite", SUITES or ["bookworm"])
def test_from_installation_to_purge(suite, packages):
    files = [(deb, f"/deb/{name}.deb") for name, deb in packages.items()]
    files += [(REPO / "tests/vm/shout.py", "/vm/shout.py"),
              (REPO / "tests/vm/shout.service", "/etc/systemd/system/shout.service")]
    # What AppArmor denies is told by the audit system only.
    machine = vm.Machine(KERNELS[suite], "systemd", files, append="audit=1", boots=2, root=f"clean {suite}")
    case = vm.Case("machine", (HERE / "machine.sh").read_bytes(), 600, PREPARE)
    with vm.Run(machine, [case]) as run:
        result = run.run()["machine"]
    print(result.output)
    assert result.status == 0, result.output
