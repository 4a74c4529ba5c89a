# SPDX-License-Identifier: MIT
"""OpenHands with its agent server in a container of Docker's: the one that asks on the host, and in a container of the
same user-defined network, as Compose sets it up."""
import pytest

from agent import TASK, documented
from engine import NETWORK, Engine, lacking
from guard import poll, serving, staying
from lab.lab import Lab
from model import ANSWER

SERVER = "agent-server"
PORT = 8000
# The whole machine with its uplink, as a lab can have it; and the containers alone, whose answers to the host need a
# rule: docs/docker.md.
WHOLE = ("uplink = auto", "local = auto")
SLICE = ("uplink = auto",)


@pytest.fixture(scope="module")
def engine():
    if lacking():
        pytest.skip(lacking())
    with Lab() as lab, Engine(lab) as e:
        yield e


@pytest.fixture
def lab(engine):
    return engine.lab


@pytest.fixture
def guard(lab):
    """The containers' engine is in the lab's cgroup, and stays."""
    with staying(lab) as g:
        yield g


@pytest.fixture
def openhands(installed):
    return installed("openhands")


@pytest.fixture
def start(engine, openhands):
    """start(name, *options): a container with the agent's own Python and programs in place of the image's."""
    names = []

    def run(name, *options):
        names.append(name)
        mounts = [f"--volume={openhands.home}/{part}:/{part}:ro" for part in ("usr", "opt")]
        return engine.start(name, NETWORK, *mounts, "--env=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", *options)

    yield run
    for name in names:
        engine.docker("rm", "--force", name)


@pytest.fixture
def guarded(engine, guard):
    """The whole machine, unless a test says otherwise."""
    guard.load(allow=("api.openai.com",), guard=WHOLE)


@pytest.fixture
def slice_guarded(engine, guard):
    engine.parent.mkdir(exist_ok=True)      # by Docker with the first container
    guard.cgroup = engine.parent
    guard.load(allow=("api.openai.com",), guard=SLICE, extra=f"[inbound]\naccept = {PORT} 172.31.0.1")


@pytest.fixture
def server(request, engine, start, guard, model):
    """The guard is there before it, and all that it asks for is judged."""
    request.getfixturevalue(getattr(request, "param", "guarded"))
    with serving(guard):
        guard.events()
        box = start(SERVER, f"--publish=127.0.0.1:{PORT}:{PORT}")
        engine.docker("exec", "--detach", SERVER, "/opt/openhands/bin/python", "-m", "openhands.agent_server", "--host",
                      "0.0.0.0", "--port", PORT)
        poll(lambda: not engine.lab.server.run(["curl", "-sf", f"http://127.0.0.1:{PORT}/health"],
                                               guarded=True).returncode, "the agent server", 300)
        yield box


def assert_told(guard, agent):
    told = {("dns-name-not-allowed", name) for name in documented(agent)[1]}
    assert {(e["reason"], e["name"] or e["destination"]) for e in guard.events()} <= told


@pytest.mark.parametrize("server", ["guarded", "slice_guarded"], indirect=True)
def test_server_on_the_host_and_sandbox_in_docker(guard, server, openhands):
    openhands.run(guard.lab, f"http://127.0.0.1:{PORT}")
    assert_told(guard, openhands)


def test_all_in_compose(guard, server, openhands, start):
    client = start("client")
    program = (openhands.files / "run.py").read_text()
    r = client.run("/opt/openhands/bin/python", "-c", program, TASK, f"http://{SERVER}:{PORT}", timeout=300)
    assert r.returncode == 0 and ANSWER in r.stdout, f"{r.stdout[-2000:]}\n{r.stderr[-2000:]}"
    assert_told(guard, openhands)
