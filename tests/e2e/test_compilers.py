# SPDX-License-Identifier: MIT
"""The verifier takes what each clang makes of the programs, whatever of them is loaded: compilers leave out checks that
they can prove to be needless and the verifier cannot."""
import functools
import os
import shutil
import subprocess

import pytest

from guard import CONF, DONE, REPO, config

VERSIONS = range(14, 20)


@functools.cache
def built_by(version):
    subprocess.run(["make", "-s", f"-j{os.cpu_count()}", "-C", REPO, f"clang-{version}"],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return str(REPO / f"build/clang-{version}/ohguard")


@pytest.mark.parametrize("uplink", ["none", "eth0"])
@pytest.mark.parametrize("inspect", ["on", "off"])
@pytest.mark.parametrize("version", VERSIONS)
def test_programs_of_each_clang_verify(guard, version, inspect, uplink):
    if not shutil.which(f"clang-{version}"):
        pytest.skip(f"no clang-{version} here: make check installs the newest of the archive beside the default")
    guard.write(CONF, config(guard.cgroup, dns=[f"inspect = {inspect}"]))
    r = guard.lab.server.run([built_by(version), "load", "--dry-run", "--uplink", uplink], timeout=60)
    assert r.returncode == DONE, r.stderr
    assert "programs verified" in r.stdout
