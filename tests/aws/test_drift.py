# SPDX-License-Identifier: MIT
"""What `plan` compares: the release and architecture of the images, and the volumes. (Deliveries: test_ssh.py.)"""
import struct

import pytest

from conftest import JAMMY, JAMMY_ARM, Stack
from network import changes

ARM, X86 = 183, 62  # EM_AARCH64, EM_X86_64


@pytest.fixture(scope="module")
def standing(tmp_path_factory, moto, aws_client):
    stack = Stack(tmp_path_factory.mktemp("drift"), moto, aws_client)
    stack.apply(check=0)
    return stack


def told(stack):
    return [(c["resource"], c["action"], c["text"]) for c in changes(stack)]


def program(folder, machine_type):
    """As far as a file's header tells."""
    path = folder / f"program-{machine_type}"
    path.write_bytes(b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHI", 2, machine_type, 1) + bytes(40))
    return path


def test_another_release_is_told_and_made_by_replace(standing):
    assert changes(standing) == []
    standing.write(ubuntu="24.04")
    assert told(standing) == [
        (key, "note", f"its Ubuntu is 22.04, not 24.04: `ohguard aws apply --replace {key}` makes a new one{more}")
        for key, more in (("proxy", ""), ("server-1", ", which gets the agent's state"))]
    assert standing.run("plan").returncode == 0 and standing.apply().returncode == 4
    standing.write()


def test_instance_whose_release_nobody_knows_is_told(standing):
    server = standing.machine("server-1")["InstanceId"]
    standing.aws("ec2", "delete-tags", "--resources", server, "--tags", "Key=ohguard:ubuntu")
    assert [t[2][:24] for t in told(standing)] == ["its Ubuntu is not known,"]
    standing.aws("ec2", "create-tags", "--resources", server, "--tags", "Key=ohguard:ubuntu,Value=22.04")
    assert changes(standing) == []


def test_volumes_are_compared(standing):
    """Grown by hand, and lost."""
    for key in ("state-1", "proxy"):
        disk = standing.one("describe-volumes", "Volumes", key)
        standing.aws("ec2", "modify-volume", "--volume-id", disk["VolumeId"], "--size", "99")
    assert told(standing) == [("proxy", "note", "its disk has 99 GB, not 16: a disk cannot shrink"),
                              ("state-1", "note", "its disk has 99 GB, not 20: a disk cannot shrink")]
    keys = {"state_disk": 99, "proxy_disk": 99}
    standing.write(**keys)
    assert changes(standing) == []
    lost = standing.one("describe-volumes", "Volumes", "state-1")
    standing.aws("ec2", "detach-volume", "--volume-id", lost["VolumeId"], "--device", "/dev/sdf", "--instance-id",
                 standing.machine("server-1")["InstanceId"])
    standing.aws("ec2", "delete-volume", "--volume-id", lost["VolumeId"])
    assert told(standing) == [("state-1", "make", "volume of 99 GB for what the agent of server-1 makes"),
                              ("server-1", "set", "give it the volume with the agent's state")]
    standing.apply(check=0)
    assert changes(standing) == []
    standing.write()


@pytest.mark.parametrize("keys, said", [
    ({"server_type": "t4g.large"}, "t4g.large has ARM64 processors, and this ohguard is for x86-64: build one"),
    ({"proxy_type": "im4gn.large"}, "im4gn.large has ARM64 processors"),
    ({"server_type": "t4g.large", "program": "/nonexistent"}, "program = /nonexistent: No such file"),
    ({"server_type": "t4g.large", "program": X86}, "no program for ARM64"),
    ({"server_type": "a1.large", "program": None}, "a1.large has ARM64 processors")])
def test_arm64_without_its_program_is_refused_before_anything_is_made(stack, keys, said):
    if keys.get("program") == X86:
        keys = {**keys, "program": program(stack.folder, X86)}
    stack.write(**keys)
    for words in (["plan"], ["plan", "--offline"], ["apply", "--yes"]):
        assert said in stack.run(*words, check=1).stderr
    assert stack.mutations() == []


def test_arm64_gets_its_image_and_its_program(stack):
    keys = {"server_type": "t4g.large", "program": program(stack.folder, ARM)}
    stack.write(**keys)
    assert "server-1           52.25 USD" in stack.run("plan", "--offline", check=0).stdout
    stack.apply(check=0)
    assert "/current/arm64/hvm/ebs-gp2/ami-id" in stack.calls.read_text()
    assert [stack.machine(key)["ImageId"] for key in ("proxy", "server-1")] == [JAMMY["ami_id"], JAMMY_ARM["ami_id"]]
    assert changes(stack) == []
    # AWS gives no instance a type of another architecture.
    stack.write()
    new = "`ohguard aws apply --replace server-1` makes a new one, which gets the agent's state"
    assert told(stack)[-1] == ("server-1", "note", "its type is t4g.large, not t3.large: " + new)
    assert {t[1] for t in told(stack)} == {"note"}  # and its first boot, which has another archive
    stack.apply("--replace", "server-1", check=0)
    assert stack.machine("server-1")["ImageId"] == JAMMY["ami_id"] and changes(stack) == []
