# SPDX-License-Identifier: MIT
"""The examples of the manual and of --help are run as they stand."""
import re
import shlex
import subprocess

import pytest

from guard import BINARY, CONF, DEGRADED, DONE, FAILED, REPO, STATE

MANUAL, MANUAL_CONF = REPO / "docs/ohguard.8.in", REPO / "docs/ohguard.conf.5"
# What the lab lacks, and what is there instead.
INSTEAD = {"/sys/fs/cgroup/agent": None, "--user agent": "--user nobody", "./agent": "true",
           "git clone https://github.com/example/example": "true", "ohguard.conf": CONF, "/root/": f"{STATE}/"}
# They stay, or begin something that asks for an answer: alive after a while is right.
STAY = ("--follow", "serve")
# The whole machine's, or an account's: tests/vm and tests/aws have them.
ELSEWHERE = ("ohguard lock", "ohguard unlock", "ohguard aws")
# Nobody asks, and nothing waits to be confirmed.
MAY_FAIL = ("ohguard confirm", "ohguard asks", "ohguard deny", "ohguard verify")


def section(path):
    return re.search(r"^\.Sh EXAMPLES\n(.*?)^\.Sh ", path.read_text(), re.M | re.S)[1]


def of_manual():
    lines = section(MANUAL).splitlines()
    return [line.removeprefix(".Dl ") for line in lines if line.removeprefix(".Dl ").startswith("ohguard ")]


def of_help():
    names = re.findall(r"^  (\S+) ", subprocess.run([BINARY, "help"], capture_output=True, text=True).stdout, re.M)
    for name in names:
        said = subprocess.run([BINARY, name, "--help"], capture_output=True, text=True).stdout
        yield from re.findall(r"^Example: (.*)$", said, re.M)


def play(guard, line):
    for what, instead in INSTEAD.items():
        line = line.replace(what, instead or str(guard.lab.cgroup))
    argv = [BINARY, *shlex.split(line)[1:]]
    if not any(word in argv for word in STAY):
        r = guard.lab.server.run(argv, timeout=60)
        return r.returncode, r.stderr or r.stdout
    p = guard.lab.server.popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        return p.wait(2), p.stderr.read()
    except subprocess.TimeoutExpired:
        return DONE, ""
    finally:
        p.kill()
        p.communicate()


def run_all(guard, lines):
    lines = [line for line in lines if not line.startswith(ELSEWHERE)]
    for line in lines:
        status, said = play(guard, line)
        good = (DONE, FAILED) if line.startswith(MAY_FAIL) else (DONE, DEGRADED)
        assert status in good, f"{line}: exit {status}: {said}"
    return lines


@pytest.fixture
def ready(guard):
    guard.conf()
    yield guard


def test_examples_of_the_manual(ready):
    assert len(run_all(ready, of_manual())) >= 11


def test_examples_of_the_help(ready):
    ready.ok("load")
    lines = run_all(ready, (line for line in of_help() if not line.startswith("ohguard unload")))
    assert len(lines) >= 18
    assert play(ready, "ohguard unload --yes")[0] == DONE


def test_example_of_the_configuration(ready):
    text = re.search(r"^\.Bd -literal\n(.*?)^\.Ed", section(MANUAL_CONF), re.M | re.S)[1]
    ready.write(CONF, text)
    ready.ok("config", "--check", CONF)
    # every line of it is taken, and shown with its place
    said = ready.ok("config", "--edited").stdout
    for line in text.splitlines():
        if " = " in line:
            assert line.partition(" = ")[2] in said, line
    ready.conf()
