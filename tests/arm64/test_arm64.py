# SPDX-License-Identifier: MIT
"""The cross-built arm64 program, run by QEMU's user emulation beside this machine's own: both must say the same."""

import os
import struct
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
HERE = REPO / "build/ohguard"
THERE = REPO / "build/arm64/ohguard"
QEMU = Path(os.environ["OHGUARD_QEMU_USER"])
MACHINE_AARCH64 = 183
SIZE_MAX = 2 * 1024 * 1024
COMMANDS = sorted(path.name for path in (REPO / "tests/e2e/help").iterdir())


def said(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def both(*arguments):
    here, there = said(HERE, *arguments), said(QEMU, THERE, *arguments)
    assert there == here
    return there


def test_program_is_static_and_of_arm64():
    data = THERE.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01"
    assert struct.unpack_from("<H", data, 18)[0] == MACHINE_AARCH64
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    kinds = {struct.unpack_from("<I", data, offset + i * size)[0] for i in range(count)}
    assert 1 in kinds and not kinds & {2, 3}    # loaded, without PT_DYNAMIC and PT_INTERP
    assert len(data) < SIZE_MAX


@pytest.mark.parametrize("name", ["ohguard", "lock"])
def test_bpf_object_is_the_same_bits(name):
    here, there = (REPO / build / f"{name}.bpf.o" for build in ("build", "build/arm64"))
    assert here.stat().st_size > 10_000
    assert here.read_bytes() == there.read_bytes()


def test_version_names_this_commit_and_a_cross_compiler():
    status, out, _ = said(QEMU, THERE, "--version")
    assert status == 0
    assert out == said(HERE, "--version")[1]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_the_same(command):
    status, out, _ = both(*command.split(), "--help")
    assert status == 0 and "Usage: ohguard" in out


def test_package_is_of_arm64_and_names_what_is_linked(tmp_path):
    source = tmp_path / "source"
    assert said("git", "clone", "-q", REPO, source)[0] == 0
    (source / "build/arm64").mkdir(parents=True)
    (source / "build/arm64/root").symlink_to(REPO / "build/arm64/root")
    made = subprocess.run(["make", "-C", source, "deb", "ARCH=arm64"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=1200, check=False)
    assert made.returncode == 0, made.stdout + made.stderr      # lintian's word too
    deb, = source.glob("build/release/*.deb")
    fields = said("dpkg-deb", "-f", deb)[1]
    assert "\nArchitecture: arm64\n" in fields and " libbpf (= " in fields and " glibc (= " in fields
    said("dpkg-deb", "-x", deb, tmp_path / "tree")
    program = tmp_path / "tree/usr/sbin/ohguard"
    assert struct.unpack_from("<H", program.read_bytes(), 18)[0] == MACHINE_AARCH64
    assert said(QEMU, program, "--version")[1].startswith("ohguard ")


GOOD = "[dns]\nresolver = 192.0.2.2\n[allow]\ntarget = example.com:443\n[inbound]\naccept = 22 192.0.2.0/24\n"
# Bytes above 127: a char has a sign on x86-64, and none on arm64.
BAD = ["[dns]\nresolver = 192.0.2.300\n", "[allow]\ntarget = example.com:70000\n", "[alow]\n",
       "[allow]\ntarget = *.co.uk\n", "[allow]\ntarget = ex\xffample.com:443\n", "[\xe4\xff]\n", "\xff = \x80\n",
       "[dns]\nresolver = \xb2\n", "[guard]\ninbound = \xff\x80\n", "[allow]\ntarget = \xff:443\n",
       "[inbound]\naccept = \xb9 192.0.2.2\n"]


def test_a_good_configuration_is_checked(tmp_path):
    (tmp_path / "good.conf").write_text(GOOD)
    assert both("config", "--check", tmp_path / "good.conf", REPO / "docs/ohguard.conf")[0] == 0


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_bad_configuration_is_refused_alike(tmp_path, number):
    (tmp_path / "bad.conf").write_text(BAD[number], encoding="latin-1")
    status, _, err = both("config", "--check", tmp_path / "bad.conf")
    assert status == 1 and "bad.conf" in err
