# SPDX-License-Identifier: MIT
"""From one version to another whose maps have a different layout: enforcement stays on, and nothing passes
meanwhile."""
import json
import os
from pathlib import Path

import pytest

from guard import ALLOWED, BINARY, DONE, FAILED, assert_says, other_layout, poll
from test_life import Trying


@pytest.fixture(scope="module")
def other():
    return other_layout()


def by(guard, binary, *args):
    return guard.lab.server.run([binary, *args], timeout=60)


def test_another_layout_is_told_and_enforcement_stays(guard, other):
    guard.load()
    for command in (["stats"], ["list"], ["refresh"], ["events"], ["allow", "google.com"]):
        assert_says(by(guard, other, *command), FAILED, "another layout", "ohguard load", "goes on enforcing")
    guard.assert_stands()


def test_another_layout_is_loaded_without_an_open_moment(guard, other):
    with Trying(guard) as trying:
        poll(trying.leaked, "it to get through while nothing is loaded")
        guard.load()
        links = guard.links()
        trying.mark = guard.lab.wire.mark()
        for binary in (other, BINARY, other, BINARY):
            assert by(guard, binary, "load").returncode == 0
        assert not trying.leaked()
    assert guard.links() == links
    guard.assert_stands()


def test_connections_and_grants_outlive_another_layout(guard, other):
    guard.load()
    guard.ok("allow", "github.com")
    with guard.stream() as stream:
        assert by(guard, other, "load").returncode == 0
        assert stream.goes_on()
        assert f"{ALLOWED}:443" in by(guard, other, "list").stdout
        assert "github.com:443" in by(guard, other, "list").stdout
        assert by(guard, other, "revoke", "github.com").returncode == 0
        assert guard.curl("https://github.com") != 0


def test_other_build_has_its_own_layout(other):
    assert os.path.getsize(other) and Path(other).read_bytes() != Path(BINARY).read_bytes()


def test_status_tells_that_the_programs_in_force_are_of_another_build(guard, tmp_path):
    """The same programs by another build: a byte of their compressed form that unpacking does not look at."""
    data = bytearray(Path(BINARY).read_bytes())
    at = data.find(b"\x1f\x8b\x08\x00")
    assert data[at + 9] == 3    # RFC 1952: the system it was compressed on
    data[at + 9] = 255
    other = tmp_path / "ohguard"
    other.write_bytes(data)
    other.chmod(0o755)
    guard.load()
    assert not any("another build" in n for n in guard.json("status")["notes"])
    told = guard.lab.server.run([other, "status", "--json"], check=True)
    assert any("`ohguard load` puts its own in force" in n for n in json.loads(told.stdout)["notes"])
    assert guard.lab.server.run([other, "load"]).returncode == DONE
    assert any("another build" in n for n in guard.json("status")["notes"])
