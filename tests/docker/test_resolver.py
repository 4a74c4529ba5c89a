# SPDX-License-Identifier: MIT
"""A name that is not allowed, asked of the resolver in Docker's engine: by two versions of it, Debian 12's and 13's."""
import platform
import subprocess

import pytest

from engine import NETWORK, TOP, Engine, lacking
from guard import ALLOWED, poll, serving
from lab.lab import Lab

NO_SUCH_NAME = "-2"     # EAI_NONAME
WHOLE = ("uplink = auto", "local = auto")
ASK = """
import socket, sys
try:
    print(len(socket.getaddrinfo(sys.argv[1], 443)) > 0)
except OSError as e:
    print(e.errno)
"""


def newer():
    """Its engine and what that needs, in a folder."""
    if platform.machine() != "x86_64":
        pytest.skip("it is fetched for x86-64")
    r = subprocess.run([TOP / "tests/lab/trixie", "docker", "docker.io", "libc6", "libsystemd0", "libcap2"],
                       capture_output=True, text=True)
    if r.returncode:
        pytest.skip(f"Debian 13's engine cannot be fetched: {r.stderr.splitlines()[-1:]}")
    return r.stdout.strip()


@pytest.fixture(scope="module", params=["20.", "26."])
def engine(request):
    if lacking():
        pytest.skip(lacking())
    with Lab() as lab, Engine(lab, newer() if request.param == "26." else "") as e:
        version = e.docker("version", "--format", "{{.Server.Version}}").stdout
        if not version.startswith(request.param):
            pytest.skip(f"this machine's engine is {version}")
        yield e


def test_refused_name_is_no_such_name_at_once(guard, engine):
    """By the helper, in the container's namespace, to the engine: which passes it on."""
    container, wire = engine.container(NETWORK), engine.lab.wire
    guard.load(allow=(ALLOWED,), guard=WHOLE)
    with serving(guard):
        mark = wire.mark()
        assert container.python(ASK, "secret.attacker.example") == NO_SUCH_NAME
        assert container.python(ASK, ALLOWED) == "True"
        poll(lambda: [f for f in wire.since(mark) if b"openai" in f.payload], "the allowed query on the wire")
        assert not [f for f in wire.since(mark) if b"secret" in f.payload]
    assert {e["name"] for e in guard.events()} == {"secret.attacker.example"}
