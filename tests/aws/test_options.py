# SPDX-License-Identifier: MIT
"""What [stack] may ask for besides: tags, flow logs, the DNS firewall."""
import json
import re

import pytest

from conftest import Stack
from network import changes, everything
from resolver import Resolver, serve

TAGS = {"cost center": "R+D / 7", "team": "agents"}


def with_tags(**tags):
    return "\ntags = ".join(f"{k} = {v}" for k, v in tags.items())


@pytest.fixture(scope="module")
def standing(tmp_path_factory, moto, aws_client):
    stack = Stack(tmp_path_factory.mktemp("options"), moto, aws_client)
    stack.resolver = Resolver()
    stack.env["AWS_ENDPOINT_URL_ROUTE53RESOLVER"] = serve(stack.resolver)
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


def acts(stack):
    return [(c["resource"], c["action"], c["text"]) for c in changes(stack)]


def test_default_group_lets_nothing_in_or_out(standing):
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]

    def default():
        return standing.aws("ec2", "describe-security-groups", "--filters", f"Name=vpc-id,Values={vpc}",
                            "Name=group-name,Values=default")["SecurityGroups"][0]
    assert default()["IpPermissions"] == default()["IpPermissionsEgress"] == []
    standing.aws("ec2", "authorize-security-group-ingress", "--group-id", default()["GroupId"], "--protocol", "tcp",
                 "--port", "22", "--cidr", "0.0.0.0/0")
    assert acts(standing) == [("vpc", "remove", "default group: tcp 22 from 0.0.0.0/0")]
    standing.apply(check=0)
    assert default()["IpPermissions"] == [] and changes(standing) == []


def test_flow_log_is_made_changed_and_removed(standing):
    for bucket in ("one", "other"):
        standing.aws("s3api", "create-bucket", "--bucket", f"{standing.name}-{bucket}")
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]

    def logs():
        return standing.mine("describe-flow-logs", "FlowLogs", option="--filter")
    standing.write(flow_logs=f"arn:aws:s3:::{standing.name}-one")
    assert re.search("flow-log +0.00 USD, and 25 cents for each GB", standing.run("plan", check=0).stdout)
    standing.apply(check=0)
    assert [(f["ResourceId"], f["TrafficType"], f["LogDestination"]) for f in logs()] == [
        (vpc, "ALL", f"arn:aws:s3:::{standing.name}-one")]
    assert changes(standing) == []
    standing.write(flow_logs=f"arn:aws:s3:::{standing.name}-other")
    standing.apply(check=0)
    assert [f["LogDestination"] for f in logs()] == [f"arn:aws:s3:::{standing.name}-other"]
    # AWS says so in an answer that is no error.
    standing.write(flow_logs=f"arn:aws:s3:::{standing.name}-absent")
    assert "create-flow-logs: " in standing.apply(check=1).stderr.splitlines()[-1] and logs() == []
    standing.write()
    assert changes(standing) == []


def firewall(stack):
    """The names and the rules of each VPC that has a firewall, as AWS has them."""
    r = stack.resolver
    return {link["VpcId"]: [(rule["Priority"], rule["Action"], r.lists[rule["FirewallDomainListId"]]["names"])
                            for rule in r.groups[link["FirewallRuleGroupId"]]["rules"]] for link in r.links.values()}


NAMES = ["api.openai.com.", "archive.ubuntu.com.", "security.ubuntu.com.", "ghcr.io.",
         "pkg-containers.githubusercontent.com."]


def test_nothing_is_asked_of_the_resolver_without_a_firewall(standing):
    assert standing.resolver.calls == []


def test_firewall_answers_the_names_of_the_policy_alone(standing):
    standing.write(dns_firewall="yes", tags=with_tags(team="agents"))
    assert re.search("dns-firewall +0.00 USD, and 60 cents", standing.run("plan", check=0).stdout)
    standing.apply(check=0)
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]
    assert firewall(standing) == {vpc: [(100, "ALLOW", NAMES), (200, "BLOCK", ["*."])]}
    group = next(iter(standing.resolver.groups.values()))
    assert [r.get("BlockResponse") or r["FirewallDomainRedirectionAction"] for r in group["rules"]] == [
        "TRUST_REDIRECTION_DOMAIN", "NXDOMAIN"]
    assert len(standing.resolver.tags) == 4 and all(
        t["team"] == "agents" and t["ohguard:stack"] == standing.name for t in standing.resolver.tags.values())
    assert changes(standing) == []
    link = next(iter(standing.resolver.links))
    assert f"DNS firewall {link}  COMPLETE" in standing.run("status", check=0).stdout
    told = json.loads(standing.run("status", "--json", check=0).stdout)["resources"]
    assert {r["resource"] for r in told} >= {"dns-allowed", "dns-others", "dns-rules", "dns-firewall"}


def test_firewall_that_was_changed_is_mended(standing):
    r = standing.resolver
    group, vpc = next(iter(r.groups.values())), next(iter(r.links.values()))["VpcId"]
    allowed = next(x for x in r.lists.values() if x["Name"].endswith("-dns-allowed"))
    allowed["names"].append("evil.example.")
    group["rules"][1]["Action"] = "ALERT"
    r.config[vpc] = "ENABLED"
    r.tags[group["Arn"]]["team"] = "x"
    group["rules"].append({"FirewallRuleGroupId": group["Id"], "FirewallDomainListId": "rslvr-fdl-1", "Priority": 5,
                           "Action": "ALLOW", "Name": "x"})
    assert {(a, b) for a, b, _ in acts(standing)} == {
        ("dns-allowed", "set"), ("dns-rules", "set"), ("dns-rules", "remove"), ("dns-firewall", "set")}
    standing.apply(check=0)
    assert changes(standing) == [] and firewall(standing)[vpc] == [(100, "ALLOW", NAMES), (200, "BLOCK", ["*."])]


def test_firewall_takes_the_names_of_an_own_policy(standing):
    policy = standing.folder / "policy.conf"
    policy.write_text("[dns]\nname = *.corp.example\nname = .\n[ntp]\nserver = none\n[allow]\n"
                      "target = API.Example.com:8443\ntarget = 10.0.0.0/24:443\ntarget = [2001:db8::]/64\n"
                      "target = *.example.net wide\n")
    standing.write(dns_firewall="yes", policy=policy, domain="agent.example.com", tags=with_tags(team="agents"))
    assert [(a, b) for a, b, _ in acts(standing) if a.startswith("dns")] == [("dns-allowed", "set")]
    standing.apply(check=0)
    (_, _, names), _ = next(iter(firewall(standing).values()))
    assert names == ["*.corp.example.", "api.example.com.", "*.example.net.", *NAMES[1:],
                     "acme-v02.api.letsencrypt.org."]
    policy.write_text("[allow]\ntarget = a;b.example.com\n")
    assert "no name that DNS Firewall takes" in standing.run("plan", check=1).stderr


def test_firewall_goes_when_it_is_not_wanted_any_more(standing):
    standing.write(tags=with_tags(team="agents"))
    assert [a[:2] for a in acts(standing) if a[0].startswith("dns")] == [
        ("dns-firewall", "remove"), ("dns-rules", "remove"), ("dns-rules", "remove"), ("dns-rules", "remove"),
        ("dns-others", "remove"), ("dns-allowed", "remove")]
    standing.apply(check=0)
    r = standing.resolver
    assert (r.lists, r.groups, r.links) == ({}, {}, {}) and changes(standing) == []


def test_destroy_removes_all_of_it(standing):
    standing.aws("s3api", "create-bucket", "--bucket", f"{standing.name}-last")
    standing.write(dns_firewall="yes", flow_logs=f"arn:aws:s3:::{standing.name}-last")
    standing.apply(check=0)
    standing.write()    # whatever the configuration says by then
    standing.run("destroy", "--confirm", standing.name, "--wait", "90", check=0)
    assert everything(standing) == []
    r = standing.resolver
    assert (r.lists, r.groups, r.links) == ({}, {}, {})
    assert standing.mine("describe-flow-logs", "FlowLogs", option="--filter") == []


def test_policy_allows_all_of_it(standing):
    told = json.loads(standing.run("policy", check=0).stdout)["Statement"]
    allowed = {action.lower() for s in told for action in s["Action"]}
    made = {tuple(c.split()[:2]) for c in standing.calls.read_text().splitlines() if " " in c}
    asked = {f"{service}:{call.replace('-', '')}" for service, call in made if not call.startswith("describe")}
    assert {a for a in asked if a.startswith(("ec2:", "route53resolver:"))} <= allowed
    resolver = {a for a in allowed if a.startswith("route53resolver:")}
    assert resolver <= asked
