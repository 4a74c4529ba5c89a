# SPDX-License-Identifier: MIT
"""The proxy under its own list, in the lab: what gets in there gets no further than it says."""
import os
import sys
from pathlib import Path

import pytest

from conftest import HERE

sys.path[:0] = [str(HERE.parent / p) for p in ("", "e2e")]
from guard import BINARY, config, poll          # noqa: E402
from lab.lab import Lab, LabError               # noqa: E402
from test_proxy import render                   # noqa: E402

SERVER, PROXY = "10.0.1.11", "10.0.0.10"


class Scene:
    def __init__(self, lab, group):
        self.lab, self.group, self.servers = lab, group, []

    def serve(self, host, port):
        """In the proxy's guarded cgroup, as all of that machine is."""
        argv = [sys.executable, "-m", "http.server", str(port)]
        self.servers.append(host.popen(self.joined(argv) if host is self.lab.proxy else argv))

    def joined(self, argv):
        return ["sh", "-c", f'echo $$ >{self.group}/cgroup.procs; exec "$@"', "sh", *argv]

    def gets(self, url, host=None):
        """curl's exit status: 0, or why not."""
        argv = ["curl", "-sk", "-o", "/dev/null", "--max-time", "20", url]
        host = host or self.lab.proxy
        return host.run(self.joined(argv) if host is self.lab.proxy else argv, timeout=60).returncode


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    if os.geteuid():
        pytest.skip("needs root for namespaces")
    folder = tmp_path_factory.mktemp("proxy")
    try:
        lab = Lab().__enter__()
    except LabError as e:
        pytest.skip(f"{e} (scripts/deps check)")
    group = Path(lab.cgroup).with_name(Path(lab.cgroup).name + "-proxy")
    group.mkdir()
    scene = Scene(lab, group)
    try:
        lab.dns.add("archive.ubuntu.com", "203.0.113.77")
        lab.dns.add("security.ubuntu.com", "203.0.113.78")
        lab.server.ip(f"addr add {SERVER}/24 dev eth0")
        for port in (22, 3000, 8080):
            scene.serve(lab.server, port)
        scene.serve(lab.proxy, 443)
        yield scene
    finally:
        lab.proxy.run([BINARY, "unload", "--yes"], timeout=60)
        for server in scene.servers:
            server.kill()
            server.wait()
        poll(lambda: not (group / "cgroup.procs").read_text(), "an empty cgroup")
        group.rmdir()
        lab.__exit__(None, None, None)


EVERYTHING = (f"http://{SERVER}:3000/", f"http://{SERVER}:22/", f"http://{SERVER}:8080/",
              "https://archive.ubuntu.com/", "https://google.com/", "https://198.51.100.20/", "http://example.com/")


def test_without_it_all_of_it_is_reached(scene):
    poll(lambda: all(scene.gets(url) == 0 for url in EVERYTHING), "all of it", 60)
    assert scene.gets(f"http://{PROXY}:443/", scene.lab.internet) == 0


def test_with_it_servers_and_archive_are_reached_and_nothing_else(scene, tmp_path):
    text = config(scene.group, allow=(), guard=("uplink = eth0",), extra=render(tmp_path, "policy-proxy"))
    scene.lab.proxy.run(["sh", "-ec", "mkdir -p /etc/ohguard; cat >/etc/ohguard/ohguard.conf"], input=text, check=True)
    done = scene.lab.proxy.run([BINARY, "load"], timeout=60)
    assert done.returncode in (0, 4), done.stderr
    assert [scene.gets(url) == 0 for url in EVERYTHING] == [True, True, False, True, False, False, False]
    # Visitors get in as before.
    assert scene.gets(f"http://{PROXY}:443/", scene.lab.internet) == 0
