"""The AWS part against an emulator of its API, read back by the real `aws`."""
import fcntl
import json
import re

import pytest

from conftest import Stack
from network import ANY, changes, check_all, destroy, everything


@pytest.fixture(scope="module")
def standing(tmp_path_factory, moto, aws_client):
    """One stack for all that follows, in the order of the file; the last one destroys it."""
    stack = Stack(tmp_path_factory.mktemp("standing"), moto, aws_client)
    assert "not made" in stack.run("status", check=0).stdout
    assert "nothing was done" in stack.run("apply", "--no-deliver", stdin="n\n", check=1).stderr and not stack.mutations()
    stack.said = stack.run("apply", "--no-deliver", stdin="y\n", check=0).stderr
    return stack


def test_apply_makes_all_and_tells_its_progress(standing):
    check_all(standing)
    assert re.search(r"^\[ *\d+:\d\d\] nat +NAT gateway$", standing.said, re.M)
    key = standing.state / "aws" / standing.name / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600 and key.parent.stat().st_mode & 0o777 == 0o700


def test_second_apply_changes_nothing(standing):
    made = len(standing.mutations())
    again = standing.apply(check=0)
    assert len(standing.mutations()) == made and "nothing to change" in again.stderr


def test_drift_is_shown_and_mended(standing):
    group = standing.one("describe-security-groups", "SecurityGroups", "group-server")["GroupId"]
    standing.aws("ec2", "authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "8080",
                 "--cidr", ANY)
    standing.aws("ec2", "revoke-security-group-egress", "--group-id", group, "--ip-permissions",
                 "IpProtocol=udp,FromPort=123,ToPort=123,IpRanges=[{CidrIp=0.0.0.0/0}]")
    table = standing.one("describe-route-tables", "RouteTables", "table-private")["RouteTableId"]
    standing.aws("ec2", "delete-route", "--route-table-id", table, "--destination-cidr-block", ANY)
    gateway = standing.one("describe-internet-gateways", "InternetGateways", "gateway")["InternetGatewayId"]
    standing.aws("ec2", "create-route", "--route-table-id", table, "--destination-cidr-block", "198.51.100.0/24", "--gateway-id", gateway)
    entry = standing.one("describe-network-acls", "NetworkAcls", "acl-private")["NetworkAclId"]
    standing.aws("ec2", "create-network-acl-entry", "--network-acl-id", entry, "--ingress", "--rule-number", "50",
                 "--protocol", "-1", "--rule-action", "allow", "--cidr-block", ANY)
    found = {(c["resource"], c["action"]) for c in changes(standing)}
    assert found == {("group-server", "remove"), ("group-server", "set"), ("table-private", "set"),
                     ("table-private", "remove"), ("acl-private", "remove")}
    standing.apply(check=0)
    check_all(standing)


def test_plan_shows_commands_and_what_it_costs(stack):
    text = stack.run("plan", check=0).stdout
    assert re.search(r"^    aws ec2 create-vpc .*--cidr-block 10.0.0.0/16", text, re.M)
    costs = {k: float(v) for k, v in re.findall(r"^  (\S+) +(\d+\.\d\d) USD$", text, re.M)}
    assert costs == {"nat-ip": 3.65, "nat": 32.85, "proxy-ip": 3.65, "proxy": 16.46, "server-1": 65.53, "all": 122.14}
    stack.write(server_type="x9.odd", servers=2)
    told = json.loads(stack.run("plan", "--json", check=0).stdout)
    assert {c["resource"]: c["cents_a_month"] for c in told["cost"]} == {
        "nat-ip": 365, "nat": 3285, "proxy-ip": 365, "proxy": 1646, "server-1": None, "server-2": None}
    assert not stack.mutations()


def instance(stack, key):
    found = [x for x in stack.mine("describe-instances", "Reservations[].Instances[]")
             if {"Key": "ohguard:resource", "Value": key} in x["Tags"] and x["State"]["Name"] == "running"]
    return found[0]["InstanceId"] if found else None


def test_servers_added_and_removed_change_only_themselves(standing):
    standing.write(servers=3)
    assert {(c["resource"], c["action"]) for c in changes(standing)} == {("server-2", "make"), ("server-3", "make")}
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
    assert {c["resource"] for c in planned} == {"server-1"}
    standing.apply("--replace", "server-1", check=0)
    assert instance(standing, "proxy") == proxy and instance(standing, "server-1") not in (server, None)
    standing.apply("--replace", "proxy", check=0)
    assert instance(standing, "proxy") not in (proxy, None)
    check_all(standing)
    assert changes(standing) == []
    for what in ("vpc", "server-9"):
        assert standing.run("plan", "--replace", what).returncode == 1


def test_instance_terminated_by_hand_comes_back(standing):
    standing.aws("ec2", "terminate-instances", "--instance-ids", instance(standing, "server-1"))
    assert [(c["resource"], c["action"]) for c in changes(standing)] == [("server-1", "make")]
    standing.apply(check=0)
    check_all(standing)


def test_status_draws_ids_and_tells_them_as_json(standing):
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]
    picture = standing.run("status", check=0).stdout
    assert vpc in picture and "10.0.1.11" in picture and picture.count("running, ok") == 2 and max(map(len, picture.splitlines())) <= 80
    told = {r["resource"]: r for r in json.loads(standing.run("status", "--json", check=0).stdout)["resources"]}
    assert told["vpc"]["id"] == vpc and (told["server-1"]["state"], told["server-1"]["health"]) == ("running", "ok")


def test_destroy_waits_names_what_it_cannot_remove_and_leaves_what_is_not_ours(standing):
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]
    other = standing.aws("ec2", "create-security-group", "--group-name", standing.name + "-other", "--description", "x",
                         "--vpc-id", vpc)["GroupId"]
    standing.run("destroy", "--confirm", "wrong", check=1)
    asked = standing.run("destroy", stdin="no\n", check=1).stderr
    assert vpc in asked and "nothing was done" in asked and len(everything(standing)) > 10

    def fails(call, error, times=99):
        return (f"if [ \"$2\" = {call} ] && [ $(grep -c ' {call}' {standing.calls}) -le {times} ]; then\n"
                f"echo 'An error occurred ({error}) when calling the X operation: why' >&2; exit 254; fi\n")
    standing.calls.unlink()
    # A subnet in use for a while, a NAT gateway that takes its time, and a VPC that may not be removed.
    standing.wrap(fails("delete-subnet", "DependencyViolation", 2) + fails("delete-vpc", "UnauthorizedOperation") +
                  f"""if [ "$2" = describe-nat-gateways ] && grep -q delete-nat-gateway {standing.calls} && [ ! -e {standing.folder}/later ]; then
	touch {standing.folder}/later; {standing.real_aws} "$@" | sed 's/"deleted"/"deleting"/'; exit; fi""")
    said = standing.run("destroy", "--confirm", standing.name, check=1).stderr
    assert "NAT gateway on its way out" in said and sum(" delete-subnet" in c for c in standing.mutations()) == 4
    left = [line for line in said.splitlines() if "NOT removed" in line]
    assert len(left) == 1 and "lacks that permission" in left[0] and "1 could not be removed" in said.splitlines()[-1]
    held = '[{"NetworkInterfaceId": "eni-1", "Description": "of someone", "Status": "in-use"}]'
    standing.wrap(fails("delete-vpc", "DependencyViolation") +
                  f"""[ "$2" != describe-network-interfaces ] || {{ echo '{held}'; exit; }}""")
    said = standing.run("destroy", "--confirm", standing.name, "--wait", "0", check=1).stderr
    assert "DependencyViolation" in said and "held by interface eni-1 (of someone, in-use)" in said
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
    assert "zone = us-east-1z: this account has no such zone in us-east-1, but us-east-1a, " in done.stderr.splitlines()[-1]
    assert not stack.mutations()


def test_aws_that_hangs_is_ended(stack):
    stack.wrap("[ $1 = --version ] || sleep 60")
    done = stack.run("plan", "--timeout", "2", check=1)
    assert "no end after 2 seconds" in done.stderr and "aws ec2 describe-vpcs" in done.stderr


@pytest.mark.parametrize("said, expected", [
    ("An error occurred (ExpiredToken) when calling the X operation: expired", "log in again"),
    ("An error occurred (UnauthorizedOperation) when calling the X operation: no", "lacks that permission"),
    ("An error occurred (VpcLimitExceeded) when calling the X operation: max", "quota"),
    ("Unable to locate credentials. You can configure credentials by running aws configure.", "log in again"),
    ('Could not connect to the endpoint URL: "https://ec2.xx-nowhere-1.amazonaws.com/"', "cannot be reached"),
])
def test_aws_errors_are_told_apart(stack, said, expected):
    stack.wrap(f"[ \"$1\" = --version ] || {{ echo '{said}' >&2; exit 254; }}")
    done = stack.apply(check=1)
    assert expected in done.stderr and done.stderr.count("\n") == 1


def test_throttling_is_waited_out(stack):
    stack.wrap(f"if [ $2 = describe-vpcs ] && [ ! -e {stack.folder}/once ]; then touch {stack.folder}/once\n"
               "echo 'An error occurred (RequestLimitExceeded) when calling the X operation: slow' >&2; exit 254; fi")
    stack.run("plan", check=0)
    assert sum(" describe-vpcs" in c for c in stack.calls.read_text().splitlines()) == 2


@pytest.mark.parametrize("script, expected", [
    ("echo garbage; exit 0", "aws --version"),
    ("[ $1 = --version ] && { echo aws-cli/1.2.3 Python; exit; }; exit 1", "too old"),
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
    ({"operator": None}, "operator = ADDRESS"),
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
    ({"domain": "a.example.com$(id)"}, "domain"),
    ({"servers": "17"}, "servers"),
    ({"servers": "2x"}, "servers"),
    ({"mirror": "http://archive.ubuntu.com/ubuntu"}, "https"),
    ({"policy": "relative"}, "policy"),
    ({"colour": "red"}, "no such key"),
])
def test_bad_configuration_is_refused_before_any_call(stack, keys, expected):
    stack.write(**keys)
    done = stack.run("plan", check=1)
    assert expected in done.stderr and done.stderr.count("\n") == 1
    assert not stack.calls.exists()


def test_two_at_a_time_are_refused(stack):
    stack.run("destroy", "--confirm", stack.name, check=0)  # makes the folder
    with open(stack.state / "aws" / stack.name / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another ohguard aws" in stack.apply(check=1).stderr
