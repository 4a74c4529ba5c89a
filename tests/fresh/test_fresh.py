# SPDX-License-Identifier: MIT
"""The newcomer's machine: a minimal Debian root with git and make alone, in which the README's command installs what it
needs, builds, and shows the main job on real packets."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SUITES = os.environ.get("OHGUARD_SUITES", "bookworm").split()
# Shell that runs as process 1 of its own mount and process namespaces: what it mounts and starts goes with it.
INSIDE = """set -e
mount --bind "$0" "$0"	# a mount of its own, so that it can become /
mount --rbind /dev "$0/dev"; mount -t proc proc "$0/proc"; mount --rbind /sys "$0/sys"; mount -t tmpfs tmpfs "$0/run"
mount -t tmpfs tmpfs "$0/tmp"
cd "$0"
pivot_root . mnt
umount -l /mnt
exec /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive sh -c "$1"
"""


def chroot(root, command, timeout):
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", INSIDE, root,
         command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)


def tracked():
    """What a clone would hold, with what is not committed yet, and nothing built."""
    out = subprocess.run(["git", "-C", REPO, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         check=True, capture_output=True).stdout.decode()
    return [name for name in out.split("\0") if name and (REPO / name).is_file()]


@pytest.fixture(params=SUITES)
def root(request):
    path = tempfile.mkdtemp(prefix="ohguard-fresh-", dir="/var/tmp")
    os.chmod(path, 0o755)
    suite = request.param
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    mirror = subprocess.run([REPO / "scripts/mirror"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    sources = [f"deb [signed-by={keyring}] {mirror}/debian {suite} main",
               f"deb [signed-by={keyring}] {mirror}/debian-security {suite}-security main"]
    try:
        # apt's own settings of this machine go along: how it reaches its mirror is no part of the test
        made = subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--keyring={keyring}",
                               "--include=git,make,ca-certificates,debian-archive-keyring,systemd-timesyncd", suite,
                               path, *sources],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        assert made.returncode == 0, made.stderr
        for conf in Path("/etc/apt/apt.conf.d").glob("99*"):
            shutil.copy(conf, f"{path}/etc/apt/apt.conf.d/")
        shutil.copy("/etc/resolv.conf", f"{path}/etc/resolv.conf")
        for name in tracked():
            to = Path(path, "src", name)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, to)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def state(root):
    """What a demo leaves as it was: the installed services, and what starts at boot."""
    names = chroot(root,
                   "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' unbound nginx-light chrony systemd-timesyncd"
                   " 2>/dev/null | sed -n 's/^installed //p'", 60).stdout
    units = chroot(root, "find /etc/systemd/system -type l | sort", 60).stdout
    return names.split(), units.split()


def test_fresh_root_demo_builds_shows_and_leaves_the_machine_as_it_was(root):
    assert not Path(root, "usr/bin/cc").exists()
    before = state(root)
    assert before[0] == ["systemd-timesyncd"]
    r = chroot(root, "cd /src && make demo", timeout=900)
    assert r.returncode == 0, r.stdout[-4000:]
    assert "\n9 of 9 as they must be\n" in r.stdout, r.stdout[-4000:]
    assert state(root) == before
    assert Path(root, "src/build/ohguard").stat().st_size <= 2 * 1024 * 1024
    ldd = chroot(root, "ldd /src/build/ohguard", timeout=60).stdout
    assert "not a dynamic executable" in ldd
