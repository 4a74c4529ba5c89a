# SPDX-License-Identifier: MIT
"""The AWS part against an emulator of its API, read back by the real `aws`."""
import fcntl
import json
import re

import pytest

from conftest import Stack
from network import ANY, answers, called, changes, check_all, destroy, everything, fails, once


@pytest.fixture(scope="module")
def standing(tmp_path_factory, moto, aws_client):
    """One stack for all that follows, in the order of the file; the last one destroys it."""
    stack = Stack(tmp_path_factory.mktemp("standing"), moto, aws_client)
    assert "not made" in stack.run("status", check=0).stdout
    assert "nothing was done" in stack.run("apply", "--no-deliver", stdin="n\n", check=1).stderr
    assert not stack.mutations()
    stack.said = stack.run("apply", "--no-deliver", stdin="y\n", check=0).stderr
    return stack


def test_apply_makes_all_and_tells_its_progress(standing):
    check_all(standing)
    assert re.search(r"^\[ *\d+:\d\d\] \+ nat +NAT gateway$", standing.said, re.M)
    assert re.search(r"^\[ *\d+:\d\d\] - group-server +everything to 0.0.0.0/0$", standing.said, re.M)
    key = standing.state / "aws" / standing.name / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600 and key.parent.stat().st_mode & 0o777 == 0o700


def test_second_apply_changes_nothing(standing):
    made = len(standing.mutations())
    again = standing.apply(check=0)
    assert len(standing.mutations()) == made
    assert "0 to make, 0 to set, 0 to remove, 2 to deliver" in again.stderr and "> server-1 " in again.stderr


def test_drift_is_shown_and_mended(standing):
    group = standing.one("describe-security-groups", "SecurityGroups", "group-server")["GroupId"]
    standing.aws("ec2", "authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "8080",
                 "--cidr", ANY)
    standing.aws("ec2", "revoke-security-group-egress", "--group-id", group, "--ip-permissions",
                 "IpProtocol=udp,FromPort=123,ToPort=123,IpRanges=[{CidrIp=0.0.0.0/0}]")
    table = standing.one("describe-route-tables", "RouteTables", "table-private")["RouteTableId"]
    standing.aws("ec2", "delete-route", "--route-table-id", table, "--destination-cidr-block", ANY)
    gateway = standing.one("describe-internet-gateways", "InternetGateways", "gateway")["InternetGatewayId"]
    standing.aws("ec2", "create-route", "--route-table-id", table, "--destination-cidr-block", "198.51.100.0/24",
                 "--gateway-id", gateway)
    entry = standing.one("describe-network-acls", "NetworkAcls", "acl-private")["NetworkAclId"]
    standing.aws("ec2", "create-network-acl-entry", "--network-acl-id", entry, "--ingress", "--rule-number", "50",
                 "--protocol", "-1", "--rule-action", "allow", "--cidr-block", ANY)
    found = {(c["resource"], c["action"]) for c in changes(standing)}
    assert found == {("group-server", "remove"), ("group-server", "set"), ("table-private", "set"),
                     ("table-private", "remove"), ("acl-private", "remove")}
    standing.apply(check=0)
    check_all(standing)


def drift_network(stack):
    """Changes attributes of the network behind the program's back; what plan must say of each."""
    def ec2(*words):
        return stack.aws("ec2", *words)
    vpc = stack.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]
    subnets = {k: stack.one("describe-subnets", "Subnets", f"subnet-{k}")["SubnetId"] for k in ("public", "private")}
    gateway = stack.one("describe-internet-gateways", "InternetGateways", "gateway")["InternetGatewayId"]
    table = stack.one("describe-route-tables", "RouteTables", "table-private")
    ec2("create-tags", "--resources", vpc, "--tags", "Key=Name,Value=other")
    ec2("modify-vpc-attribute", "--vpc-id", vpc, "--no-enable-dns-support")
    ec2("associate-vpc-cidr-block", "--vpc-id", vpc, "--cidr-block", "10.7.0.0/16")
    ec2("associate-vpc-cidr-block", "--vpc-id", vpc, "--amazon-provided-ipv6-cidr-block")
    ec2("detach-internet-gateway", "--vpc-id", vpc, "--internet-gateway-id", gateway)
    ec2("modify-subnet-attribute", "--subnet-id", subnets["private"], "--map-public-ip-on-launch")
    acl = stack.one("describe-network-acls", "NetworkAcls", "acl-private")["NetworkAclId"]
    ec2("replace-network-acl-entry", "--network-acl-id", acl, "--ingress", "--rule-number", "100", "--protocol", "6",
        "--port-range", "From=22,To=22", "--rule-action", "allow", "--cidr-block", ANY)
    ec2("delete-network-acl-entry", "--network-acl-id", acl, "--egress", "--rule-number", "120")
    ec2("replace-network-acl-association", "--network-acl-id", acl, "--association-id",
        stack.one("describe-network-acls", "NetworkAcls", "acl-public")["Associations"][0]["NetworkAclAssociationId"])
    ec2("replace-route", "--route-table-id", table["RouteTableId"], "--destination-cidr-block", ANY, "--gateway-id",
        gateway)
    ec2("disassociate-route-table", "--association-id", table["Associations"][0]["RouteTableAssociationId"])
    return {("vpc", "set", "its tag Name back to " + stack.name + "-vpc"), ("vpc", "set", "answer DNS in the VPC"),
            ("vpc", "remove", "range 10.7.0.0/16, added by someone"), ("vpc", "remove", "range IPv6, added by someone"),
            ("gateway", "set", "attach it to the VPC"), ("subnet-private", "set", "no public addresses by default"),
            ("acl-private", "set", "rule 100 back to tcp 22 from 10.0.0.0/24"),
            ("acl-private", "set", "rule 120 allow udp 53 to 10.0.0.0/16"),
            ("subnet-public", "set", "put it under acl-public"), ("table-private", "set", "route everything else to " +
             next(r["NatGatewayId"] for r in table["Routes"] if "NatGatewayId" in r)),
            ("table-private", "set", "route subnet-private by it")}


def drift_hosts(stack):
    """The same for the machines and their groups."""
    def ec2(*words):
        return stack.aws("ec2", *words)
    server, proxy = instance(stack, "server-1"), instance(stack, "proxy")
    groups = {k: stack.one("describe-security-groups", "SecurityGroups", f"group-{k}")["GroupId"]
              for k in ("proxy", "server")}
    ec2("authorize-security-group-ingress", "--group-id", groups["server"], "--protocol", "icmp", "--port", "-1",
        "--cidr", ANY)
    ec2("modify-instance-metadata-options", "--instance-id", server, "--http-tokens", "optional",
        "--http-put-response-hop-limit", "3")
    ec2("modify-instance-attribute", "--instance-id", server, "--no-source-dest-check")
    ec2("modify-instance-attribute", "--instance-id", server, "--groups", groups["proxy"])
    address = ec2("allocate-address", "--domain", "vpc")
    ec2("associate-address", "--allocation-id", address["AllocationId"], "--instance-id", server)
    ec2("disassociate-address", "--association-id",
        stack.one("describe-addresses", "Addresses", "proxy-ip")["AssociationId"])
    ec2("stop-instances", "--instance-ids", proxy)
    return address, {
        ("group-server", "remove", "all of protocol icmp from 0.0.0.0/0"),
        ("server-1", "set", "metadata service version 2 only, one hop"), ("server-1", "set", "drop packets of others"),
        ("server-1", "set", "in the one security group " + groups["server"]),
        ("server-1", "remove", f"public address {address['PublicIp']}, given by someone"),
        ("proxy", "set", "give it its public address"), ("proxy", "set", "start it")}


def test_changed_attributes_are_shown_and_mended(standing):
    expected = drift_network(standing)
    address, more = drift_hosts(standing)
    found = {(c["resource"], c["action"], re.sub(r"range [0-9a-f]+:\S+,", "range IPv6,", c["text"]))
             for c in changes(standing)}
    assert found == expected | more
    standing.apply(check=0)
    standing.aws("ec2", "release-address", "--allocation-id", address["AllocationId"])
    check_all(standing)
    assert changes(standing) == []


def test_what_carries_the_tag_and_is_no_part_is_told(standing):
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]
    made = standing.aws("ec2", "create-subnet", "--vpc-id", vpc, "--cidr-block", "10.0.9.0/24", "--tag-specifications",
                        f"ResourceType=subnet,Tags=[{{Key=ohguard:stack,Value={standing.name}}}]")["Subnet"]["SubnetId"]
    assert [(c["action"], c["command"]) for c in changes(standing)] == [("note", [])]
    assert f"! ?              subnet {made} carries the stack's tag" in standing.apply(check=4).stderr
    standing.aws("ec2", "delete-subnet", "--subnet-id", made)
    assert changes(standing) == []


def test_plan_shows_commands_and_what_it_costs(stack):
    short, text = stack.run("plan", check=0).stdout, stack.run("plan", "-v", check=0).stdout
    assert " aws ec2 " not in short and re.search(r"^    aws ec2 create-vpc .*--cidr-block 10.0.0.0/16", text, re.M)
    costs = {k: float(v) for k, v in re.findall(r"^  (\S+) +(\d+\.\d\d) USD\b", text, re.M)}
    assert costs == {"nat-ip": 3.65, "nat": 32.85, "proxy-ip": 3.65, "proxy": 16.46, "server-1": 63.93,
                     "state-1": 1.60, "all": 122.14}
    assert re.search(r"^  nat +32.85 USD, and 4.5 cents for each GB that passes$", text, re.M)
    stack.write(server_type="c5.9xlarge", servers=2)
    told = json.loads(stack.run("plan", "--json", check=0).stdout)
    assert {c["resource"]: c["cents_a_month"] for c in told["cost"]} == {
        "nat-ip": 365, "nat": 3285, "proxy-ip": 365, "proxy": 1646, "server-1": None, "server-2": None,
        "state-1": 160, "state-2": 160}
    assert not stack.mutations()


def instance(stack, key):
    found = [x for x in stack.mine("describe-instances", "Reservations[].Instances[]")
             if {"Key": "ohguard:resource", "Value": key} in x["Tags"] and x["State"]["Name"] == "running"]
    return found[0]["InstanceId"] if found else None


def test_servers_added_and_removed_change_only_themselves(standing):
    standing.write(servers=3)
    per_server = (("state", "make"), ("server", "make"), ("server", "set"))     # set: the volume attached
    assert {(c["resource"], c["action"]) for c in changes(standing)} == {
        (f"{what}-{n}", act) for n in (2, 3) for what, act in per_server}
    standing.apply(check=0)
    standing.write(servers=2)
    assert [(c["resource"], c["action"]) for c in changes(standing)] == [("server-3", "remove")]
    standing.apply(check=0)
    assert changes(standing) == []
    standing.write()
    standing.apply(check=0)
    check_all(standing)


def test_replaced_instance_is_another_at_the_same_place(standing):
    proxy, server = instance(standing, "proxy"), instance(standing, "server-1")
    planned = json.loads(standing.run("plan", "--replace", "server-1", "--json", check=0).stdout)["changes"]
    assert {c["resource"] for c in planned if c["action"] != "deliver"} == {"server-1"}
    # Its predecessor holds the address until it is gone.
    standing.wrap(once(standing, "describe-instances", answers(standing, """sed 's/"terminated"/"shutting-down"/'"""),
                       2, called(standing, "terminate-instances")))
    standing.calls.unlink()
    standing.apply("--replace", "server-1", check=0)
    calls = [[*c.split(), ""][1] for c in standing.calls.read_text().splitlines()]
    assert calls[calls.index("terminate-instances"):calls.index("run-instances")].count("describe-instances") >= 3
    standing.wrap("")
    assert instance(standing, "proxy") == proxy and instance(standing, "server-1") not in (server, None)
    standing.apply("--replace", "proxy", check=0)
    assert instance(standing, "proxy") not in (proxy, None)
    check_all(standing)
    assert changes(standing) == []
    for what in ("vpc", "server-9"):
        assert standing.run("plan", "--replace", what).returncode == 1


def test_instance_terminated_by_hand_comes_back(standing):
    standing.aws("ec2", "terminate-instances", "--instance-ids", instance(standing, "server-1"))
    assert [(c["resource"], c["action"]) for c in changes(standing)] == [
        ("server-1", "make"), ("server-1", "set")]     # its state's volume is attached to the new one
    standing.apply(check=0)
    check_all(standing)


def test_status_draws_ids_and_tells_them_as_json(standing):
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]
    picture = standing.run("status", check=0).stdout
    told = {r["resource"]: r for r in json.loads(standing.run("status", "--json", check=0).stdout)["resources"]}
    for key in ("vpc", "gateway", "subnet-public", "subnet-private", "nat", "proxy", "server-1"):
        assert re.search(told[key]["id"] + r"\b", picture), key
    for key in ("nat-ip", "proxy-ip"):
        assert told[key]["public_address"] in picture
    assert "10.0.1.11" in picture and picture.count("running, ok") == 2
    assert {len(line) for line in picture.splitlines() if line[:1] in "|+" and line} == {80}
    assert max(map(len, picture.splitlines())) == 80 and not re.search(" $", picture, re.M)
    assert told["vpc"]["id"] == vpc and (told["server-1"]["state"], told["server-1"]["health"]) == ("running", "ok")


def test_destroy_elsewhere_touches_nothing(standing):
    """A wrong region, or an `aws` that answers nonsense, must not cost the private key."""
    key = standing.state / "aws" / standing.name / "key.pem"
    standing.write(region="eu-west-1")
    assert "Nothing in eu-west-1 carries" in standing.run("destroy", "--confirm", standing.name, check=0).stderr
    standing.write()
    for answer in ("{}", "null", "", '[{"Vpcs": []}]', '[{"VpcId": "--endpoint-url=x"}]', '[{"VpcId": "vpc-1\\n2"}]'):
        standing.wrap(f"""case "$2" in describe-*) printf '%s' '{answer}'; exit ;; esac""")
        for command in (["destroy", "--confirm", standing.name], ["plan"], ["status"]):
            done = standing.run(*command, check=1)
            assert "aws ec2 describe-vpcs: " in done.stderr and done.stderr.count("\n") == 1 and not done.stdout
    standing.wrap("")
    assert key.exists() and changes(standing) == []


def test_destroy_waits_names_what_it_cannot_remove_and_leaves_what_is_not_ours(standing):
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]
    other = standing.aws("ec2", "create-security-group", "--group-name", standing.name + "-other", "--description", "x",
                         "--vpc-id", vpc)["GroupId"]
    standing.run("destroy", "--confirm", "wrong", check=1)
    asked = standing.run("destroy", stdin="no\n", check=1).stderr
    # Two with one tag stop all but this: both go.
    standing.aws("ec2", "create-vpc", "--cidr-block", "10.9.0.0/16", "--tag-specifications", "ResourceType=vpc,Tags=["
                 f"{{Key=ohguard:stack,Value={standing.name}}},{{Key=ohguard:resource,Value=vpc}}]")
    assert "vpc: two resources carry its tag" in standing.run("plan", check=1).stderr
    assert vpc in asked and "nothing was done" in asked and len(everything(standing)) > 10

    standing.calls.unlink()
    # A subnet in use for a while, a NAT gateway that takes its time, and a VPC that may not be removed.
    standing.wrap(once(standing, "delete-subnet", fails("DependencyViolation"), 2) +
                  once(standing, "delete-vpc", fails("UnauthorizedOperation"), 99) +
                  once(standing, "describe-nat-gateways", answers(standing, """sed 's/"deleted"/"deleting"/'"""),
                       when=called(standing, "delete-nat-gateway")))
    said = standing.run("destroy", "--confirm", standing.name, check=1).stderr
    assert "NAT gateway on its way out" in said and sum(" delete-subnet" in c for c in standing.mutations()) == 4
    left = [line for line in said.splitlines() if "NOT removed" in line]
    assert len(left) == 2 and all("lacks that permission" in line for line in left)
    assert "2 could not be removed" in said.splitlines()[-1]
    held = '[{"NetworkInterfaceId": "eni-1", "Description": "of someone", "Status": "in-use"}]'
    standing.wrap(once(standing, "delete-vpc", fails("DependencyViolation"), 99) +
                  f"""[ "$2" != describe-network-interfaces ] || {{ echo '{held}'; exit; }}""")
    said = standing.run("destroy", "--confirm", standing.name, "--wait", "0", check=1).stderr
    assert "DependencyViolation" in said and "held by interface eni-1 (of someone, in-use)" in said
    assert f"held by security group {other} ({standing.name}-other, x)" in said
    assert said.index("held by interface eni-1") < said.index("NOT removed")    # at the first refusal
    assert standing.aws("ec2", "describe-security-groups", "--group-ids", other)["SecurityGroups"]
    key = standing.state / "aws" / standing.name / "key.pem"
    assert key.exists()
    standing.wrap("")
    standing.aws("ec2", "delete-security-group", "--group-id", other)
    standing.run("destroy", stdin=standing.name + "\n", check=0)
    assert everything(standing) == [] and not key.exists()


def test_zone_that_does_not_exist_is_said_before_anything_is_made(stack):
    stack.write(zone="us-east-1z")
    done = stack.apply(check=1)
    said = done.stderr.splitlines()[-1]
    assert "zone = us-east-1z: this account has no such zone in us-east-1, but us-east-1a, " in said
    assert not stack.mutations()


def test_aws_that_hangs_is_ended(stack):
    stack.wrap("[ $1 = --version ] || sleep 60")
    done = stack.run("plan", "--timeout", "2", check=1)
    assert "still running after 2 seconds" in done.stderr and "aws ec2 describe-vpcs" in done.stderr


@pytest.mark.parametrize("said, expected", [
    ("An error occurred (ExpiredToken) when calling the X operation: expired", "log in again"),
    ("An error occurred (UnauthorizedOperation) when calling the X operation: no", "lacks that permission"),
    ("An error occurred (AccessDeniedException) when calling the X operation: no", "lacks that permission"),
    ("An error occurred (OptInRequired) when calling the X operation: no", "lacks that permission"),
    ("An error occurred (VpcLimitExceeded) when calling the X operation: max", "quota"),
    ("An error occurred (AddressLimitExceeded) when calling the X operation: max", "quota"),
    ("An error occurred (InsufficientInstanceCapacity) when calling the X operation: none left",
     "set another `zone` or instance type"),
    ("An error occurred (NotAvailableInZone) when calling the X operation: none here",
     "set another `zone` or instance type"),
    ("An error occurred (AuthFailure) when calling the X operation: bad", "log in again"),
    ("The SSO session associated with this profile has expired or is otherwise invalid.", "log in again"),
    ("The config profile (work) could not be found", "log in again"),
    ("Unknown options: --tag-specifications", "is too old for that"),
    ("aws: [ERROR]: An error occurred (NoCredentials): Unable to locate credentials. You can configure",
     "log in again"),
    ("aws: [ERROR]: An error occurred (ProfileNotFound): The config profile (work) could not be found", "log in again"),
    ("Unable to locate credentials. You can configure credentials by running aws configure.", "log in again"),
    ('Could not connect to the endpoint URL: "https://ec2.xx-nowhere-1.amazonaws.com/"', "cannot be reached"),
])
def test_aws_errors_are_told_apart(stack, said, expected):
    stack.wrap(f"[ \"$1\" = --version ] || {{ echo '{said}' >&2; exit 254; }}")
    done = stack.apply(check=1)
    assert expected in done.stderr and done.stderr.count("\n") == 1


def test_throttling_is_waited_out(stack):
    stack.wrap(once(stack, "describe-vpcs", fails("RequestLimitExceeded", "slow")))
    stack.run("plan", check=0)
    assert sum(" describe-vpcs" in c for c in stack.calls.read_text().splitlines()) == 2


@pytest.mark.parametrize("script, expected", [
    ("echo garbage; exit 0", "aws --version"),
    ("[ $1 = --version ] && { echo aws-cli/1.21.9 Python; exit; }; exit 1", "too old"),
    ("[ $1 = --version ] && { echo aws-cli/2.2.31 Python; exit; }; exit 1", "too old"),
    ("[ $1 = --version ] && { echo aws-cli/2.9.1 Python; exit; }; echo '{not json'; exit 0", "not JSON"),
    ("[ $1 = --version ] && { echo aws-cli/2.9.1 Python; exit; }; head -c 20000000 /dev/zero; exit 0", "more than"),
    ("[ $1 = --version ] && { echo aws-cli/2.9.1 Python; exit; }; kill -9 $$", "status 137"),
    ("[ $1 = --version ] && { echo aws-cli/2.9.1 Python; exit; }; echo '[1, {\"Tags\": 3}, null]'; exit 0", None),
])
def test_aws_that_misbehaves(stack, script, expected):
    stack.wrap(script)
    done = stack.run("plan")
    if expected:
        assert done.returncode == 1 and expected in done.stderr and done.stderr.count("\n") == 1
    else:
        assert done.returncode in (0, 1)


@pytest.mark.parametrize("words",
                         [["destroy", "--yes"], ["status", "--new"], ["plan", "--yes"], ["apply", "--confirm", "x"],
                          ["set-key", "--via", "ssm"], ["plan", "extra"], ["plan", "--timeout", "0"]])
def test_options_of_other_commands_are_wrong_usage(stack, words):
    assert stack.run(*words, check=2).stderr.count("\n") == 1 and not stack.calls.exists()


def test_no_aws_at_all(stack):
    (stack.folder / "bin" / "aws").unlink()
    done = stack.run("plan", check=1, env={"PATH": "/nonexistent"})
    assert "install the AWS command line" in done.stderr


def test_children_get_an_argv_not_a_shell(stack):
    stack.write(name="x$(touch${IFS}pwned)")
    stack.run("plan", check=1)
    assert not stack.calls.exists()


@pytest.mark.parametrize("keys, expected", [
    ({"operator": "0.0.0.0/0"}, "--open"),
    ({"operator": "0.0.0.0/1"}, "--open"),
    ({"operator": "203.0.113.7/24"}, "operator"),
    ({"operator": "10.0.3.4"}, "overlaps"),
    ({"operator": "::/0"}, "operator"),
    ({"public": "10.0.0.0/24", "private": "10.0.0.128/25"}, "overlap"),
    ({"private": "10.1.0.0/24"}, "must lie in"),
    ({"vpc": "10.0.0.0/8"}, "/16"),
    ({"zone": "eu-west-1a"}, "is not in region"),
    ({"zone": "us-east-1ab"}, "is not in region"),
    ({"region": "us-east-1; id"}, "region"),
    ({"name": "a b"}, "name"),
    ({"name": "-x"}, "name"),
    ({"name": "sg"}, "name"),
    ({"name": "sg-x"}, "name"),
    ({"domain": "a.example.com$(id)"}, "domain"),
    ({"servers": "17"}, "servers"),
    ({"servers": "2x"}, "servers"),
    ({"mirror": "http://archive.ubuntu.com/ubuntu"}, "https"),
    ({"policy": "relative"}, "policy"),
    ({"colour": "red"}, "no such key"),
    ({"operator": "203.0.113.7\noperator = 10.0.3.4"}, "overlaps"),
    ({"operator": "\noperator = ".join(f"203.0.113.{n}" for n in range(5))}, "more than 4"),
    ({"servers": "1\nservers = 2"}, "servers: given twice in [stack]"),
    ({"tags": "team"}, "expected KEY=VALUE"),
    ({"tags": "team=a,b"}, "expected KEY=VALUE"),
    ({"tags": "team = "}, "expected KEY=VALUE"),
    ({"tags": "te'am=x"}, "expected KEY=VALUE"),
    ({"tags": "AWS:x=1"}, "not yours to set"),
    ({"tags": "ohguard:stack=other"}, "not yours to set"),
    ({"tags": "Name=mine"}, "not yours to set"),
    ({"tags": "team=a\ntags = team=b"}, "team is given twice"),
    ({"tags": "\ntags = ".join(f"t{n}=x" for n in range(11))}, "more than 10"),
    ({"flow_logs": "my-bucket"}, "a bucket like"),
    ({"flow_logs": "arn:aws:s3:::b'x"}, "a bucket like"),
    ({"dns_firewall": "on"}, "yes or no"),
    ({"access": "ssh"}, "proxy or endpoint"),
    ({"openhands": "0.61"}, "the 0.x line has ended"),
    ({"openhands": "0.61@sha256:" + "a" * 64}, "the 0.x line has ended"),
    ({"openhands": "1.24.0"}, "docker buildx imagetools inspect ghcr.io/openhands/agent-canvas:1.24.0"),
    ({"openhands": "agent-server:1.58.2-python"}, "ghcr.io/openhands/agent-server:1.58.2-python"),
    ({"openhands": "1.24.0@sha256:" + "a" * 63}, "add @sha256:"),
    ({"openhands": "1.24.0@sha256:" + "a" * 64 + ";id"}, "add @sha256:"),
    ({"openhands": "latest@sha256:" + "a" * 64}, "with a version like"),
    ({"openhands": "openhands:1.8@sha256:" + "a" * 64}, "agent-server:"),
    ({"model": "gpt $(id)"}, "model"),
    ({"base_url": "http://api.openai.com/v1"}, "base-url"),
    ({"base_url": "https://api.openai.com:8443/v1"}, "base-url"),
    ({"base_url": "https://localhost/v1"}, "base-url"),
    ({"model_host": "api.example.com"}, "base-url = https://api.example.com/v1"),
])
def test_bad_configuration_is_refused_before_any_call(stack, keys, expected):
    stack.write(**keys)
    done = stack.run("plan", check=1)
    assert expected in done.stderr and done.stderr.count("\n") == 1
    assert not stack.calls.exists()


def test_plan_needs_neither_operator_nor_aws(stack):
    stack.write(operator=None)
    text = stack.run("plan", "--offline", check=0, env={"PATH": "/nonexistent"}).stdout
    assert "tcp 22 from <operator>" in text and "server-1 " in text and " 122.14 USD" in text
    assert "tcp 22 from <operator>" in stack.run("plan", check=0).stdout
    assert "write `operator = ADDRESS`" in stack.apply(check=1).stderr and not stack.mutations()


@pytest.mark.parametrize("env, told", [
    ({"AWS_REGION": "eu-west-1"}, "eu-west-1a"), ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1a"),
    ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-north-1"}, "eu-west-1a"), ({}, "us-east-1a"),
    ({"AWS_REGION": "x;id"}, None)])
def test_region_is_that_of_the_environment_unless_set(stack, env, told):
    done = stack.run("plan", "--offline", env=env)
    assert done.returncode == (0 if told else 1)
    assert f"subnet 10.0.0.0/24 in {told}" in done.stdout if told else "AWS_REGION=x;id" in done.stderr
    stack.write(region="ca-west-1")
    assert "ca-west-1a" in stack.run("plan", "--offline", check=0, env={"AWS_REGION": "eu-west-1"}).stdout


@pytest.mark.parametrize("release, parameter, image", [
    ("22.04", "22.04/stable/current/amd64/hvm/ebs-gp2", "hvm-ssd/ubuntu-jammy-22.04"),
    ("24.04", "24.04/stable/current/amd64/hvm/ebs-gp3", "hvm-ssd-gp3/ubuntu-noble-24.04"),
    ("26.04", "26.04/stable/current/amd64/hvm/ebs-gp3", "hvm-ssd-gp3/ubuntu-resolute-26.04"),
    ("25.10", None, None)])
def test_image_is_asked_for_by_canonicals_names(stack, release, parameter, image):
    stack.write(ubuntu=release)
    done = stack.run("plan")
    if not parameter:
        assert "expected 22.04, 24.04 or 26.04" in done.stderr and not stack.calls.exists()
        return
    calls = stack.calls.read_text()
    assert f"--name /aws/service/canonical/ubuntu/server/{parameter}/ami-id " in calls
    assert f"Name=name,Values=ubuntu/images/{image}-amd64-server-* " in calls
    # moto has but the first.
    assert done.returncode == (release != "22.04")


def test_no_image_of_openhands_is_no_stack(stack):
    """The network can be planned without; nothing is made that could not be finished."""
    stack.write(openhands=None)
    stack.run("plan", check=0)
    assert "write `openhands = VERSION@sha256:DIGEST`" in stack.apply(check=1).stderr
    assert not stack.mutations()


@pytest.mark.parametrize("text, expected", [
    ("{", "not JSON"), ("[]", "expected a JSON object of"), ('{"llm": {}}', "expected a JSON object of"),
    ('{"agent_settings_diff": 3}', "expected a JSON object of"), (None, "No such file")])
def test_settings_that_openhands_would_refuse_are_told_at_once(stack, text, expected):
    file = stack.folder / "settings.json"
    if text is not None:
        file.write_text(text)
    stack.write(openhands_settings=file)
    assert expected in stack.run("plan", check=1).stderr and not stack.mutations()


def test_two_at_a_time_are_refused(stack):
    stack.run("destroy", "--confirm", stack.name, check=0)  # makes the folder
    with open(stack.state / "aws" / stack.name / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another ohguard aws" in stack.apply(check=1).stderr
