# SPDX-License-Identifier: MIT
"""Rootless Podman with slirp4netns, by Debian's packages: containers of a user other than root."""
import shutil
import subprocess
import sys

import pytest

from engine import HERE, TOP
from guard import ALLOWED, FORBIDDEN, serving, staying
from lab.lab import PATH, SERVERS, Lab

IMAGE = "localhost/box:1"
SLIRP = "10.0.2.3"
TOOLS = {"podman": "podman", "crun": "crun", "newuidmap": "uidmap", "slirp4netns": "slirp4netns",
         "busybox": "busybox-static"}
# usage: HOST PORT; prints "connected", or the error's number.
CONNECT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10):
        print("connected")
except OSError as e:
    print(e.errno)
"""
NO_SUCH_NAME, EPERM = "-2", "1"


class Podman:
    def __init__(self, lab):
        self.lab, self.home = lab, lab.dir / "podman"

    def run(self, *argv, **kw):
        own = ["unshare", "--mount", "--cgroup", HERE / "podman.sh", self.home, SERVERS]
        return self.lab.server.run([*own, *argv], guarded=True, **{"timeout": 120, "check": True, **kw})

    def podman(self, *argv, **kw):
        # No delegated cgroup, and no overlay below an overlay: neither is what is tried.
        return self.run("podman", "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=crun", *argv, **kw)

    def inside(self, *argv):
        return self.podman("run", "--rm", "--cgroups=disabled", "--network=slirp4netns", IMAGE, *argv).stdout.strip()

    def connect(self, host, port=443):
        return self.inside("python3", "-c", CONNECT, host, str(port))


@pytest.fixture(scope="module")
def podman():
    if missing := sorted({p for t, p in TOOLS.items() if not shutil.which(t, path=PATH)}):
        pytest.skip(f"not installed: {' '.join(missing)}: scripts/deps docker")
    with Lab() as lab:
        p = Podman(lab)
        if (r := p.run("unshare", "--user", "true", check=False)).returncode:
            pytest.skip(f"this machine lets no user make namespaces: {r.stderr.strip()}")
        image = subprocess.run([sys.executable, HERE / "image", TOP / "build"], check=True, capture_output=True,
                               text=True).stdout.strip()
        with open(image, "rb") as tar:
            p.podman("import", "-", IMAGE, input=tar.read(), text=False)
        yield p


@pytest.fixture
def lab(podman):
    return podman.lab


@pytest.fixture
def guard(lab):
    """Podman keeps a process in the lab's cgroup."""
    with staying(lab) as g:
        yield g


def refused(guard):
    return {(e["reason"], e["name"] or e["destination"]) for e in guard.events()}


OTHER = "secret.attacker.example"


@pytest.mark.parametrize("named", [False, True])
def test_rootless_container_has_the_allowed_name_alone(guard, podman, named):
    """Its resolv.conf has slirp4netns's own resolver, and then the host's: which is asked where the first one is not
    configured, and refused."""
    assert podman.inside("cat", "/etc/resolv.conf").split()[1::2] == [SLIRP, "10.0.0.2"]
    guard.load(allow=(ALLOWED,), dns=(f"resolver = {SLIRP}",) if named else ())
    resolver = set() if named else {("dns-resolver-not-allowed", SLIRP)}
    with serving(guard):
        guard.events()
        assert podman.connect(ALLOWED) == "connected"
        assert refused(guard) == resolver
        assert podman.connect(OTHER) == NO_SUCH_NAME
        assert refused(guard) - {("dns-resolver-not-allowed", SLIRP)} == {("dns-name-not-allowed", OTHER)}
        assert podman.connect(*FORBIDDEN) == EPERM
