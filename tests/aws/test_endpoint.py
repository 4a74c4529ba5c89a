# SPDX-License-Identifier: MIT
"""access = endpoint: ssh by EC2 Instance Connect, and none from the proxy or the world."""
import json
import subprocess
import sys

import pytest

from conftest import HERE, VENV, Stack
from network import acl, changes, everything, rules
from test_proxy import render

KEYS = {"access": "endpoint"}


def play(stack):
    stack.wrap(f"""[ "$1" != --version ] || {{ echo aws-cli/2.15.0 Python; exit; }}
case "$2" in *-instance-connect-endpoint*)
	{VENV}/bin/aws "$@" --generate-cli-skeleton output >/dev/null || exit
	{sys.executable} {HERE}/connect_endpoint.py {stack.folder}/endpoints "$@"
	exit ;; esac""")


@pytest.fixture(scope="module")
def standing(tmp_path_factory, moto, aws_client):
    stack = Stack(tmp_path_factory.mktemp("endpoint"), moto, aws_client)
    play(stack)
    stack.write(**KEYS)
    stack.apply(check=0)
    return stack


def groups(stack):
    return {k: stack.one("describe-security-groups", "SecurityGroups", f"group-{k}")
            for k in ("endpoint", "proxy", "server")}


def ssh_rules(stack, member):
    return {k: {r[3] for r in rules(g[member]) if r[1] == 22} for k, g in groups(stack).items()}


def test_ssh_comes_from_the_endpoint_alone(standing):
    endpoint = groups(standing)["endpoint"]["GroupId"]
    assert ssh_rules(standing, "IpPermissions") == {"endpoint": set(), "proxy": {endpoint}, "server": {endpoint}}
    assert ssh_rules(standing, "IpPermissionsEgress") == {
        "endpoint": {"10.0.0.0/24", "10.0.1.0/24"}, "proxy": set(), "server": set()}
    entries = standing.one("describe-network-acls", "NetworkAcls", "acl-public")["Entries"]
    assert not [r for r in acl(entries, False) if r[4] == 22]
    assert changes(standing) == [] and "endpoint for ssh eice-" in standing.run("status", check=0).stdout


def test_guard_takes_ssh_from_where_the_endpoint_is(tmp_path):
    for name in ("policy", "policy-install"):
        assert "accept = 22 10.0.0.0/24\n" in render(tmp_path, name, **KEYS)
        assert "accept = 22 10.0.0.10/32\n" in render(tmp_path, name)


def test_ssh_is_told_to_go_by_it(standing):
    """As ssh itself reads the file."""
    servers = [i for i in standing.mine("describe-instances", "Reservations[].Instances[]")]
    console = r"""-----BEGIN SSH HOST KEY KEYS-----\nssh-ed25519 AAAA x\n-----END SSH HOST KEY KEYS-----\n"""
    play(standing)
    path = standing.folder / "bin" / "aws"
    path.write_text(path.read_text().replace("case", f"""[ "$2" != get-console-output ] || {{
	printf '%s' '{{"Output": "{console}"}}'; exit; }}
case""", 1))
    standing.run("ssh", "server-1")     # which reaches nothing here
    config = standing.state / "aws" / standing.name / "ssh_config"
    for host in ("proxy", "server-1"):
        told = subprocess.run(["ssh", "-F", str(config), "-G", host], check=True, capture_output=True, text=True).stdout
        instance = next(i["InstanceId"] for i in servers
                        if {"Key": "ohguard:resource", "Value": host} in i["Tags"])
        assert (f"proxycommand aws ec2-instance-connect open-tunnel --instance-id {instance} --remote-port 22 "
                "--region us-east-1\n") in told and "proxyjump" not in told
    play(standing)


def test_old_aws_has_no_tunnel(stack):
    stack.write(**KEYS)
    assert "access = endpoint needs 2.12 or later" in stack.run("plan", check=1).stderr


def test_back_to_ssh_through_the_proxy(standing):
    standing.write()
    standing.apply(check=0)
    proxy = standing.one("describe-security-groups", "SecurityGroups", "group-proxy")
    assert {r[3] for r in rules(proxy["IpPermissions"]) if r[1] == 22} == {"203.0.113.7/32"}
    assert changes(standing) == [] and not [g for g in standing.mine("describe-security-groups", "SecurityGroups")
                                            if g["GroupName"].endswith("-group-endpoint")]


def test_destroy_removes_it(standing):
    standing.write(**KEYS)
    standing.apply(check=0)
    standing.run("destroy", "--confirm", standing.name, "--wait", "90", check=0)
    assert everything(standing) == []
    assert '"delete-complete"' in (standing.folder / "endpoints").read_text()
    assert "in-progress" not in (standing.folder / "endpoints").read_text()
    allowed = {a.lower() for s in json.loads(standing.run("policy", check=0).stdout)["Statement"] for a in s["Action"]}
    calls = {c.split()[1] for c in standing.calls.read_text().splitlines() if c.startswith("ec2 ")}
    assert {f"ec2:{c.replace('-', '')}" for c in calls if not c.startswith("describe-")} <= allowed
