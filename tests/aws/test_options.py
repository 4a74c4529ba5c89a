# SPDX-License-Identifier: MIT
"""What [stack] may ask for besides: tags, ..."""
import pytest

from conftest import Stack
from network import changes, destroy, everything

TAGS = {"cost center": "R+D / 7", "team": "agents"}


def with_tags(**tags):
    return "\ntags = ".join(f"{k} = {v}" for k, v in tags.items())


@pytest.fixture(scope="module")
def standing(tmp_path_factory, moto, aws_client):
    stack = Stack(tmp_path_factory.mktemp("options"), moto, aws_client)
    stack.write(tags=with_tags(**TAGS))
    stack.apply(check=0)
    return stack


def tags_of(stack, *more):
    """A dictionary for each part, also for disks and gateways."""
    nat = [n for n in stack.mine("describe-nat-gateways", "NatGateways", option="--filter")]
    parts = everything(stack) + nat + [x for call, query in more for x in stack.mine(call, query)]
    found = [{t["Key"]: t["Value"] for t in x["Tags"]} for x in parts]
    return [tags for tags in found if tags["ohguard:stack"] == stack.name]


VOLUMES = ("describe-volumes", "Volumes")


def test_all_that_is_made_has_the_operators_tags(standing):
    standing.run("snapshot", check=0)
    found = tags_of(standing, VOLUMES, ("describe-snapshots", "Snapshots"))
    assert len(found) == 17 + 2 + 1     # resources, the disks that the machines boot from, the snapshot
    assert all(tags.items() >= TAGS.items() for tags in found), found
    assert changes(standing) == []


def test_tags_change_in_place_and_others_stay(standing):
    standing.write(tags=with_tags(team="other", stage="test"))
    told = changes(standing)
    assert {c["text"] for c in told} == {"its tag team back to other"} and {c["resource"] for c in told} >= {
        "vpc", "key", "nat", "nat-ip", "acl-private", "table-public", "group-proxy", "state-1", "server-1"}
    standing.apply(check=0)
    expected = {"team": "other", "stage": "test", "cost center": TAGS["cost center"]}
    assert all(tags.items() >= expected.items() for tags in tags_of(standing, VOLUMES))
    assert changes(standing) == []


def test_tag_that_a_disk_lost_is_given_back(standing):
    disk = next(v["VolumeId"] for v in standing.mine("describe-volumes", "Volumes")
                if {"Key": "ohguard:resource", "Value": "proxy"} in v["Tags"])
    standing.aws("ec2", "delete-tags", "--resources", disk, "--tags", "Key=stage")
    assert [(c["resource"], c["text"]) for c in changes(standing)] == [("proxy", "its tag stage back to test")]
    standing.apply(check=0)
    assert changes(standing) == []


def test_all_of_it_goes(standing):
    destroy(standing)
