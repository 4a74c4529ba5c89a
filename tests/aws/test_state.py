# SPDX-License-Identifier: MIT
"""Nothing is lost: the agents' state on volumes of its own, and what of an instance changes in place."""
import json

import os
import subprocess
import sys

import pytest

from conftest import HERE, Stack
from network import changes, destroy
from test_proxy import render


@pytest.fixture(scope="module")
def standing(tmp_path_factory, moto, aws_client):
    stack = Stack(tmp_path_factory.mktemp("state"), moto, aws_client)
    stack.apply(check=0)
    return stack


def volume(stack, key):
    return stack.one("describe-volumes", "Volumes", key)


def holder(stack):
    return [a["InstanceId"] for a in volume(stack, "state-1")["Attachments"]]


def test_state_is_on_an_encrypted_volume_of_its_own(standing):
    made = volume(standing, "state-1")
    assert (made["Size"], made["Encrypted"], made["VolumeType"]) == (20, True, "gp3")
    assert holder(standing) == [standing.machine("server-1")["InstanceId"]]


def test_replaced_server_gets_the_volume_of_the_one_before(standing):
    kept, old = volume(standing, "state-1")["VolumeId"], standing.machine("server-1")["InstanceId"]
    standing.apply("--replace", "server-1", check=0)
    new = standing.machine("server-1")["InstanceId"]
    assert new != old and holder(standing) == [new] and volume(standing, "state-1")["VolumeId"] == kept
    assert changes(standing) == []


def test_volume_that_someone_took_away_is_given_back(standing):
    standing.aws("ec2", "detach-volume", "--volume-id", volume(standing, "state-1")["VolumeId"], "--device", "/dev/sdf",
                 "--instance-id", holder(standing)[0])
    assert [(c["resource"], c["text"]) for c in changes(standing)] == [
        ("server-1", "give it the volume with the agent's state")]
    standing.apply(check=0)
    assert holder(standing) == [standing.machine("server-1")["InstanceId"]]


def test_type_and_disks_change_in_place(standing):
    before = standing.machine("server-1")["InstanceId"]
    standing.write(server_type="m5.large", server_disk=50, state_disk=30)
    told = [(c["resource"], c["text"]) for c in changes(standing)]
    assert told == [("state-1", "30 GB of disk, not 20"), ("server-1", "50 GB of disk, not 40"),
                    ("server-1", "stop it for a while"), ("server-1", "m5.large, not t3.large"),
                    ("server-1", "start it")]
    standing.apply(check=0)
    now = standing.machine("server-1")
    assert (now["InstanceId"], now["InstanceType"]) == (before, "m5.large")
    assert volume(standing, "state-1")["Size"] == 30 and changes(standing) == []
    standing.write(server_type="m5.large", server_disk=45, state_disk=30)
    assert [(c["action"], c["text"]) for c in changes(standing)] == [
        ("note", "its disk has 50 GB, not 45: a disk cannot shrink")]
    standing.write()


def test_instance_profile_changes_in_place(standing):
    for name in ("one", "other"):
        standing.aws("iam", "create-instance-profile", "--instance-profile-name", f"{standing.name}-{name}")
    keys = {"server_type": "m5.large", "server_disk": 50, "state_disk": 30}
    standing.write(**keys)
    standing.apply(check=0)
    before = standing.machine("server-1")["InstanceId"]
    for wanted in (f"{standing.name}-one", f"{standing.name}-other", None):
        standing.write(instance_profile=wanted, **keys)
        assert [c["resource"] for c in changes(standing)] == ["server-1"]
        standing.apply(check=0)
        now = standing.machine("server-1")
        assert now["InstanceId"] == before and changes(standing) == []
        assert now.get("IamInstanceProfile", {}).get("Arn", "/None").split("/")[-1] == str(wanted)


def test_stopped_for_the_night_and_started_again(standing):
    assert "go on costing" in standing.run("stop", check=0).stderr
    states = {i["State"]["Name"] for i in standing.mine("describe-instances", "Reservations[].Instances[]")}
    assert states <= {"stopped", "terminated"}
    standing.run("start", check=0)
    assert standing.machine("server-1") and standing.machine("proxy")
    assert "on already" in standing.run("start", check=0).stderr


def test_several_operators_get_in(standing):
    standing.write(operator="203.0.113.7\noperator = 198.51.100.0/24", server_type="m5.large", server_disk=50,
                   state_disk=30)
    standing.apply(check=0)
    group = standing.one("describe-security-groups", "SecurityGroups", "group-proxy")
    assert {(p["FromPort"], r["CidrIp"]) for p in group["IpPermissions"] for r in p["IpRanges"]} == {
        (port, peer) for port in (22, 80, 443) for peer in ("203.0.113.7/32", "198.51.100.0/24")}
    entries = standing.one("describe-network-acls", "NetworkAcls", "acl-public")["Entries"]
    assert {e["CidrBlock"] for e in entries if not e["Egress"] and e.get("PortRange", {}).get("To") == 22} == {
        "203.0.113.7/32", "198.51.100.0/24"}


def test_apply_without_the_private_key_stops_at_once(standing):
    key = standing.state / "aws" / standing.name / "key.pem"
    key.rename(key.with_suffix(".away"))
    try:
        assert "the stack's private key is not here" in standing.apply(check=1).stderr.splitlines()[-1]
    finally:
        key.with_suffix(".away").rename(key)


def test_snapshots_are_made_and_listed(standing):
    assert standing.run("snapshot", "--list", check=0).stdout.splitlines() == ["no snapshots"]
    made = standing.run("snapshot", check=0).stdout.split()
    assert made[0] == "server-1:" and made[1].startswith("snap-")
    listed = json.loads(standing.run("snapshot", "--list", "--json", check=0).stdout)["snapshots"]
    assert [(s["server"], s["id"], s["size"]) for s in listed] == [("server-1", made[1], 30)]
    assert standing.run("snapshot", "server-7").returncode == 1
    told = json.loads(standing.run("snapshot", "--json", check=0).stdout)
    assert told["changed"] is True and [s["server"] for s in told["snapshots"]] == ["server-1"]


def test_destroy_keeps_the_state_when_told_to(standing):
    kept = volume(standing, "state-1")["VolumeId"]
    standing.run("destroy", "--confirm", standing.name, "--keep-state", check=0)
    left = standing.mine("describe-volumes", "Volumes")
    assert [v["VolumeId"] for v in left] == [kept]
    standing.write(state_disk=30)
    standing.apply(check=0)
    assert holder(standing) == [standing.machine("server-1")["InstanceId"]]
    assert volume(standing, "state-1")["VolumeId"] == kept
    destroy(standing)
    assert standing.mine("describe-volumes", "Volumes") == []


def test_policy_allows_every_call_that_was_made_and_few_more(standing):
    """Of this file: made, changed in place, replaced, stopped, destroyed."""
    told = json.loads(standing.run("policy", check=0).stdout)["Statement"]
    allowed = {action.lower() for s in told for action in s["Action"]}
    made = {tuple(c.split()[:2]) for c in standing.calls.read_text().splitlines() if c.split()[0] in ("ec2", "ssm")}
    asked = {f"{service}:{call.replace('-', '')}" for service, call in made}
    reads = {a for a in asked if a.startswith("ec2:describe")}
    assert asked - reads <= allowed and "ec2:describe*" in allowed and len(asked - reads) > 35
    assert not any(a.endswith("*") for a in allowed - {"ec2:describe*"})
    assert told[1]["Condition"]["StringEquals"] == {"aws:RequestedRegion": "us-east-1"}


def test_disk_is_made_once_found_again_and_no_other_is_touched(tmp_path):
    if os.geteuid():
        pytest.skip("needs root for a mount namespace")
    (tmp_path / "state-disk").write_text(render(tmp_path, "state-disk"))
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable,
                           str(HERE / "disk_scene.py"), str(tmp_path)], capture_output=True, text=True, timeout=300)
    if "losetup" in done.stderr and "No such file" in done.stderr:
        pytest.skip("this machine has no loop devices")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)
    assert seen["empty"][::2] == seen["again"][::2] == seen["found"][::2] == [0, True], seen
    assert seen["kept"] == "here" and seen["fstab"] == [["LABEL=ohguard-state", "/var/lib/openhands-state"]]
    assert seen["other"][0] == 1 and "no volume for the agent's state is attached" in seen["other"][1]
    assert seen["other"][2:] == [False, "other"]
