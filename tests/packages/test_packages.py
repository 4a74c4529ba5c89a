# SPDX-License-Identifier: MIT
"""The package in a minimal Debian root: installed, upgraded, removed and purged by dpkg, while the guard is in force on
the lab's workload and the workload tries to get out."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from guard import FORBIDDEN, PINS, REPO, config

SUITES = os.environ.get("OHGUARD_SUITES", "bookworm").split()
NEWER, OLDER = "9.0-1", "0.0.1-1"
# Shell that makes the root the / of a mount namespace. Its /sys is the lab's server's, with the pins in it.
INSIDE = """set -e
mount --bind "$0" "$0"
mount --rbind /dev "$0/dev"; mount --rbind /proc "$0/proc"; mount --rbind /sys "$0/sys"
cd "$0"
pivot_root . mnt
umount -l /mnt
exec /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
"""
# Sends to where nobody is allowed to, for as long as it lives; says how often that went well.
SENDER = """
import socket, sys, time, signal
signal.signal(signal.SIGTERM, lambda *a: sys.exit(print(f"{tried} {sent}", flush=True)))
s, tried, sent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0, 0
print("ready", flush=True)
while True:
    tried += 1
    try:
        s.sendto(b"secret", ("%s", %d))
        sent += 1
    except PermissionError:
        pass
    time.sleep(0.001)
""" % FORBIDDEN


def run(argv, **kw):
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **kw)


@pytest.fixture(scope="module")
def package():
    """Of what is committed; and the same contents as other versions."""
    with tempfile.TemporaryDirectory(prefix="ohguard-package-", dir="/var/tmp") as work:
        source = Path(work, "source")
        assert run(["git", "clone", "-q", REPO, source]).returncode == 0
        made = run(["make", "-C", source, "deb"], timeout=1200)
        assert made.returncode == 0, made.stdout    # lintian's word too
        first = next(source.glob("build/release/*.deb"))
        yield {"": first, **{v: as_version(first, v, Path(work)) for v in (NEWER, OLDER)}}


def as_version(deb, version, work):
    """The same contents, but for a byte of the compressed programs that unpacking does not look at: so it is another
    build, whose programs are not those in force."""
    tree = work / version
    was = run(["dpkg-deb", "-f", deb, "Version"]).stdout.strip()
    assert run(["dpkg-deb", "-R", deb, tree]).returncode == 0
    for name in ("control", "preinst"):
        text = (tree / "DEBIAN" / name).read_text()
        assert was in text
        (tree / "DEBIAN" / name).write_text(text.replace(was, version))
    program = tree / "usr/sbin/ohguard"
    data = bytearray(program.read_bytes())
    data[data.find(b"\x1f\x8b\x08\x00") + 9] = 255      # RFC 1952: the system it was compressed on
    program.write_bytes(data)
    assert run(["dpkg-deb", "-b", tree, work / f"{version}.deb"]).returncode == 0
    return work / f"{version}.deb"


@pytest.fixture(scope="module", params=SUITES)
def minimal(request):
    path = tempfile.mkdtemp(prefix="ohguard-root-", dir="/var/tmp")
    os.chmod(path, 0o755)
    mirror = subprocess.run([REPO / "scripts/mirror"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    try:
        made = run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--keyring={keyring}", request.param,
                    path, f"deb [signed-by={keyring}] {mirror}/debian {request.param} main"], timeout=600)
        assert made.returncode == 0, made.stdout
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Machine:
    def __init__(self, guard, root, package):
        self.guard, self.root, self.package = guard, root, package

    def run(self, *argv, status=0):
        r = self.guard.lab.server.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", INSIDE, self.root,
                                       *argv], timeout=120, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, capture_output=False)
        assert (r.returncode == 0) == (status == 0), r.stdout
        return r.stdout

    def install(self, version="", status=0):
        shutil.copy(self.package[version], f"{self.root}/tmp/ohguard.deb")
        return self.run("dpkg", "--force-confold", "-i", "/tmp/ohguard.deb", status=status)

    def exists(self, path):
        return Path(self.root + path).exists()

    def configure(self):
        Path(self.root, "etc/ohguard/ohguard.conf").write_text(config(self.guard.cgroup))

    def program(self):
        """The id of the one that judges what leaves the workload; None: none does."""
        r = self.guard.shell(f"bpftool -j link show pinned {PINS}/host/egress", check=False)
        return json.loads(r.stdout)["prog_id"] if r.returncode == 0 else None

    @contextlib.contextmanager
    def traffic(self):
        p = self.guard.lab.server.popen(["/usr/bin/python3", "-c", SENDER], guarded=True, text=True,
                                        stdout=subprocess.PIPE)
        try:
            assert p.stdout.readline() == "ready\n"
            tried = {}
            yield tried
            p.terminate()
            tried["tried"], tried["sent"] = map(int, p.communicate(timeout=20)[0].split())
        finally:
            p.kill()
            p.wait()


@pytest.fixture
def machine(guard, minimal, package):
    m = Machine(guard, minimal, package)
    try:
        yield m
    finally:
        guard.run("unload", "--yes")
        m.run("dpkg", "--purge", "ohguard")


def test_install_enables_nothing_and_says_what_to_type(machine):
    said = machine.install()
    assert "ohguard load" in said and "systemctl enable --now ohguard.service" in said
    assert not list(Path(machine.root, "etc/systemd").rglob("*ohguard*"))
    assert machine.program() is None
    assert machine.run("ohguard", "--version").startswith("ohguard ")
    for page in ("man8/ohguard.8.gz", "man5/ohguard.conf.5.gz"):
        # a minimal root leaves pages out
        assert f"/usr/share/man/{page}" in machine.run("dpkg", "-L", "ohguard")


def test_upgrade_exchanges_programs_with_no_moment_open_and_keeps_the_configuration(machine):
    machine.install()
    machine.configure()
    machine.run("ohguard", "load")
    before = machine.program()
    with machine.traffic() as traffic:
        machine.install(NEWER)
    assert traffic["tried"] > 10 and traffic["sent"] == 0, traffic
    assert machine.program() not in (None, before)
    assert config(machine.guard.cgroup) in Path(machine.root, "etc/ohguard/ohguard.conf").read_text()


def test_failed_load_leaves_the_programs_of_before_in_force(machine):
    machine.install()
    machine.configure()
    machine.run("ohguard", "load")
    before = machine.program()
    Path(machine.root, "etc/ohguard/ohguard.conf").write_text("[guard]\nno-such-key = 1\n")
    with machine.traffic() as traffic:
        said = machine.install(NEWER)
    assert "host goes on with the programs of before" in said
    assert traffic["tried"] > 10 and traffic["sent"] == 0, traffic
    assert machine.program() == before


def test_downgrade_is_refused(machine):
    machine.install()
    assert "is installed, and the guard in force may not understand 0.0.1-1" in machine.install(OLDER, status=1)
    assert "ohguard 0." in machine.run("ohguard", "--version")


def test_removal_refuses_while_loaded_and_purge_unloads(machine):
    machine.install()
    machine.configure()
    machine.run("ohguard", "load")
    # as `systemctl enable` leaves it, without a systemd here
    units = Path(machine.root, "etc/systemd/system/networking.service.requires")
    units.mkdir(parents=True)
    units.joinpath("ohguard-gate.service").symlink_to("/lib/systemd/system/ohguard-gate.service")
    with machine.traffic() as traffic:
        said = machine.run("dpkg", "--remove", "ohguard", status=1)
        assert "host is loaded" in said and "ohguard unload" in said
    assert traffic["tried"] > 10 and traffic["sent"] == 0, traffic
    assert machine.program() and machine.exists("/usr/sbin/ohguard")
    machine.run("dpkg", "--purge", "ohguard")
    assert machine.program() is None
    assert not machine.exists("/usr/sbin/ohguard") and not machine.exists("/etc/ohguard/ohguard.conf")
    assert not machine.exists("/var/lib/ohguard")


def test_removal_of_what_is_not_loaded_keeps_the_configuration(machine):
    machine.install()
    machine.configure()
    machine.run("dpkg", "--remove", "ohguard")
    assert machine.exists("/etc/ohguard/ohguard.conf") and not machine.exists("/usr/sbin/ohguard")


def test_same_sources_elsewhere_are_the_same_bits(tmp_path):
    assert run(["make", "-C", REPO, "all"], timeout=900).returncode == 0
    names = run(["git", "-C", REPO, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).stdout.split("\0")
    there = tmp_path / "another-folder"
    for name in filter(None, names):
        if (REPO / name).is_file():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, there / name)     # not its time
    commit = run([REPO / "scripts/commit"]).stdout.strip()
    made = run(["make", "-C", there, "all", f"COMMIT={commit}"], timeout=900)
    assert made.returncode == 0, made.stdout
    for name in ("ohguard.bpf.o", "lock.bpf.o", "ohguard"):
        assert (there / "build" / name).read_bytes() == (REPO / "build" / name).read_bytes(), name
