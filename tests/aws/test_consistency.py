# SPDX-License-Identifier: MIT
"""What AWS does and moto does not: lists that lag and come in any order, parts that hold each other, faults told
late."""
import json
import re

import pytest

from conftest import Stack
from network import answers, called, changes, check_all, destroy, everything, fails, once


def calls(stack):
    return [[*c.split(), ""][1] for c in stack.calls.read_text().splitlines()]


def count(stack, call):
    return calls(stack).count(call)


@pytest.fixture(scope="module")
def standing(tmp_path_factory, moto, aws_client):
    stack = Stack(tmp_path_factory.mktemp("lagging"), moto, aws_client)
    # Seen, and then not in the next list: no second one.
    hide = answers(stack, "sed -n 's/.*/[]/;1p'")
    third = f"[ $(grep -c ' describe-internet-gateways ' {stack.calls}) = 3 ]"
    stack.wrap(once(stack, "describe-internet-gateways", hide, when=third) +
               once(stack, "describe-network-acls", hide, 2, called(stack, "create-subnet")))
    stack.apply(check=0)
    stack.wrap("")
    return stack


def test_lists_that_lag_make_no_second(standing):
    check_all(standing)
    assert count(standing, "create-internet-gateway") == 1
    assert (standing.folder / "times-describe-internet-gateways").exists()
    assert count(standing, "create-network-acl") == 2 and not re.search("<", standing.calls.read_text())


def test_proxy_has_its_address_before_aws_picks_one_for_the_gateway(standing):
    assert calls(standing).index("run-instances") < calls(standing).index("create-nat-gateway")


def test_range_that_cannot_change_is_only_told(standing):
    standing.write(vpc="10.0.0.0/17")
    assert {(c["resource"], c["action"]) for c in changes(standing)} == {
        ("vpc", "note"), ("acl-private", "set"), ("group-server", "set"), ("group-server", "remove")}
    standing.write()


def test_replaced_one_that_is_still_listed_as_running(standing):
    old = standing.one("describe-instances", "Reservations[].Instances[]", "server-1")["InstanceId"]
    standing.wrap(once(standing, "describe-instances", answers(standing, "sed 's/\"terminated\"/\"running\"/'"), 2,
                       called(standing, "terminate-instances")))
    standing.apply("--replace", "server-1", check=0)
    standing.wrap("")
    new = [i["InstanceId"] for i in standing.mine("describe-instances", "Reservations[].Instances[]")
           if {"Key": "ohguard:resource", "Value": "server-1"} in i["Tags"] and i["State"]["Name"] == "running"]
    assert len(new) == 1 and new[0] != old
    check_all(standing)


def test_route_of_an_endpoint_is_not_ours_to_remove(standing):
    vpc = standing.one("describe-vpcs", "Vpcs", "vpc")["VpcId"]
    table = standing.one("describe-route-tables", "RouteTables", "table-private")["RouteTableId"]
    made = standing.aws("ec2", "create-vpc-endpoint", "--vpc-id", vpc, "--service-name", "com.amazonaws.us-east-1.s3",
                        "--route-table-ids", table)["VpcEndpoint"]["VpcEndpointId"]
    assert made in json.dumps(standing.one("describe-route-tables", "RouteTables", "table-private")["Routes"])
    assert changes(standing) == []


def test_destroy_waits_for_what_lags_and_holds(standing):
    """A gateway that is listed as available after it went, and holds its address for a while; groups in the other
    order; an address whose release finds something else gone."""
    proxy = standing.one("describe-security-groups", "SecurityGroups", "group-proxy")["GroupId"]
    server = standing.one("describe-security-groups", "SecurityGroups", "group-server")["GroupId"]
    standing.calls.unlink()
    backwards = answers(standing,
                        "/usr/bin/python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)[::-1]))'")
    denied = fails("AuthFailure", "You do not have permission to access the specified resource.")
    standing.wrap(
        once(standing, "describe-nat-gateways", answers(standing, "sed 's/\"deleted\"/\"available\"/'"), 1,
             called(standing, "delete-nat-gateway")) +
        once(standing, "release-address", denied, 2) +
        once(standing, "describe-security-groups", backwards, 99) +
        f"""if [ "$2" = delete-security-group ] && [ "$4" = {proxy} ] &&
	! grep -q 'delete-security-group --group-id {server}' {standing.calls}; then
	{fails("DependencyViolation")}; fi
if [ "$2" = release-address ] && [ ! -e {standing.folder}/half ]; then
	touch {standing.folder}/half; {fails("InvalidNetworkInterfaceID.NotFound")}; fi
""")
    said = standing.run("destroy", "--confirm", standing.name, check=0).stderr
    assert everything(standing) == [] and "NOT removed" not in said
    assert f"held by security group {server} ({standing.name}-group-server, " in said
    assert (standing.folder / "half").exists() and count(standing, "release-address") == 5


def test_destroy_does_not_believe_what_is_still_listed(stack):
    """Deleted, says AWS, and lists it: the private key stays until it is gone."""
    stack.apply(check=0)
    key = stack.state / "aws" / stack.name / "key.pem"
    stack.wrap('[ "$2" != release-address ] || exit 0')
    said = stack.run("destroy", "--confirm", stack.name, "--wait", "3", check=1).stderr
    assert said.count("NOT removed: it is still "
                      "listed") == 2 and "2 could not be removed" in said.splitlines()[-1] and key.exists()
    stack.wrap("")
    destroy(stack)
    assert not key.exists()


def test_gateway_that_fails_says_why(stack):
    stack.wrap(f"""if [ "$2" = describe-nat-gateways ]; then
	{stack.real_aws} "$@" |
		sed 's/"State": "available"/"State": "failed", "FailureMessage": "Subnet has no free addresses"/'
	exit; fi""")
    said = stack.apply(check=1).stderr
    assert re.search(r"nat: was made, but is gone again: Subnet has no free addresses$", said.splitlines()[-1])
    stack.wrap("")
    destroy(stack)


def test_type_that_the_zone_has_not_is_said_before_anything_is_made(stack):
    stack.write(server_type="t3.huge")
    assert "server-type = t3.huge: us-east-1a has no such instance type" in stack.apply(check=1).stderr
    assert not stack.mutations()


def test_aws_is_told_how_to_word_its_errors_and_has_nobody_to_ask(stack):
    """A code of MFA would be asked for at the terminal, between the lines of progress."""
    (stack.folder / ".aws").mkdir()
    (stack.folder / ".aws" / "config").write_text(
        "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = me\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
        "[profile me]\naws_access_key_id = AKIATESTTESTTESTTEST\naws_secret_access_key = x\n")
    stack.wrap('[ $1 = --version ] || [ "$AWS_CLI_ERROR_FORMAT" = legacy ] || exit 3\n'
               f'tty </dev/tty >>{stack.folder}/tty 2>&1')
    done = stack.run("plan", check=1, env={"AWS_PROFILE": "work", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
                     timeout=60)
    assert "check with `aws sts get-caller-identity`" in done.stderr.splitlines()[-1]
