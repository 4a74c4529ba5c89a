# SPDX-License-Identifier: MIT
"""docs/docker.md on OpenHands, word for word: the configurations as they stand there, and each command of it. What
listens on their ports is two plain servers: the commands are the subject. tests/agents/test_containers.py runs the real
agent server under the same two configurations, to its answer."""
import re
import shlex
import subprocess
import sys

import pytest

from engine import IMAGE, TOP
from guard import CONF, DONE, poll

SECTION = (TOP / "docs/docker.md").read_text().split("## OpenHands")[1].split("\n## ")[0]
BLOCKS = [re.sub(r"^    ", "", b, flags=re.M) for b in re.findall(r"(?:^    .*\n|^\n(?=    ))+", SECTION, re.M)]
WHOLE, COMMANDS, REFUSED, SLICE = (b.strip() + "\n" for b in BLOCKS)
AGENT = "python3 -ISu -m http.server 8000"


def test_the_section_is_as_this_test_reads_it():
    assert WHOLE.endswith("\nohguard load\n") and SLICE.count("accept =") == 1
    assert len(COMMANDS.splitlines()) == 4 and len(REFUSED.splitlines()) == 1
    assert not re.search(r"\[guard\]|accept =|:\d", WHOLE)      # nothing but what leaves


@pytest.fixture
def command(engine):
    """A line of the document, as it runs in this lab: its engine, its certificates, an image of its own."""
    def run(line):
        certificates = f"--volume {engine.lab.dir}/etc/ssl/certs:/etc/ssl/certs:ro"
        line = line.replace("--detach", f"--detach {certificates}").replace("IMAGE", f"{IMAGE} {AGENT}")
        words = shlex.split(line)
        if words[0] == "docker":
            words[:1] = engine.command()
        return engine.lab.server.run(words, guarded=True, timeout=60)
    return run


@pytest.fixture
def server(engine):
    """What OpenHands listens on, on the host."""
    def start(guarded):
        process = engine.lab.server.popen([sys.executable, "-ISu", "-m", "http.server", "3000"], guarded=guarded,
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        started.append(process)
        assert b"port 3000" in process.stdout.readline()
    started = []
    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def sandbox(command, engine):
    """The document's first command, and its end."""
    run, *rest = COMMANDS.splitlines()
    r = command(run)
    assert r.returncode == 0, r.stderr
    poll(lambda: "port 8000" in engine.docker("logs", "sandbox").stdout, "the agent")
    yield rest
    engine.docker("rm", "--force", "sandbox")


def here(text, cgroup):
    """A configuration of the document: the guarded cgroup and the bridge's address are this lab's."""
    text = text.replace("172.17.0.1", "172.30.0.1").replace("ohguard load\n", "")
    if "[guard]" not in text:       # a lab is one cgroup, for which the whole machine's default does not hold
        return text.replace("[dns]", f"[guard]\ncgroup = {cgroup}\nuplink = auto\nlocal = auto\n[dns]")
    return re.sub("cgroup = .*", f"cgroup = {cgroup}", text)


def assert_works(command, lines):
    for line in lines:
        r = command(line)
        assert r.returncode == DONE, f"{line}: {r.stderr}"
    r = command(REFUSED)
    assert r.returncode, r.stdout


def test_whole_machine(guard, engine, command, server, sandbox):
    server(guarded=True)
    guard.write(CONF, here(WHOLE, engine.lab.cgroup))
    guard.ok("load")
    assert_works(command, sandbox)
    assert {e["name"] for e in guard.events()} == {"example.com"}, guard.events()


def test_slice(guard, engine, command, server, sandbox):
    """The commands of the host run outside of it."""
    server(guarded=False)
    guard.cgroup = engine.parent
    guard.write(CONF, here(SLICE, engine.parent))
    guard.ok("load")
    assert_works(command, sandbox)
    assert {e["name"] for e in guard.events()} == {"example.com"}, guard.events()


@pytest.mark.parametrize("rule", ("accept = ", "target = 172"))
def test_slice_needs_each_of_its_rules(guard, engine, command, server, sandbox, rule):
    server(guarded=False)
    guard.cgroup = engine.parent
    none = "accept = none" if rule.startswith("accept") else ""
    guard.write(CONF, re.sub(f"{rule}.*", none, here(SLICE, engine.parent)))
    guard.ok("load")
    assert any(command(line.replace("curl", "curl --max-time 3")).returncode for line in sandbox)
