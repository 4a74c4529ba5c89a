# SPDX-License-Identifier: MIT
"""What the network of a stack must be, read back by the real `aws`; and an `aws` that answers otherwise for a while."""
import json

ANY = "0.0.0.0/0"
OPERATOR = "203.0.113.7/32"


def rules(permissions):
    found = set()
    for p in permissions:
        peers = [r["CidrIp"] for r in p["IpRanges"]] + [r["CidrIpv6"] for r in p.get("Ipv6Ranges", [])] + \
                [g["GroupId"] for g in p["UserIdGroupPairs"]]
        found |= {(p["IpProtocol"], p.get("FromPort"), p.get("ToPort"), peer) for peer in peers}
    return found


def acl(entries, egress):
    return {(int(e["RuleNumber"]), e["Protocol"], e["RuleAction"], e["CidrBlock"],
             *(e.get("PortRange") or {"From": e["IcmpTypeCode"]["Type"], "To": e["IcmpTypeCode"]["Code"]}).values())
            for e in entries if e["Egress"] == egress and int(e["RuleNumber"]) < 32767}


def check_network(stack):
    vpc = stack.one("describe-vpcs", "Vpcs", "vpc")
    assert (vpc["CidrBlock"], vpc["InstanceTenancy"]) == ("10.0.0.0/16", "default")
    ranges = vpc["CidrBlockAssociationSet"] + vpc.get("Ipv6CidrBlockAssociationSet", [])
    assert [r["CidrBlock"] for r in ranges
            if (r.get("CidrBlockState") or r["Ipv6CidrBlockState"])["State"] == "associated"] == ["10.0.0.0/16"]
    gateway = stack.one("describe-internet-gateways", "InternetGateways", "gateway")
    assert [a["VpcId"] for a in gateway["Attachments"]] == [vpc["VpcId"]]
    subnets = {k: stack.one("describe-subnets", "Subnets", f"subnet-{k}") for k in ("public", "private")}
    assert {k: s["CidrBlock"] for k, s in subnets.items()} == {"public": "10.0.0.0/24", "private": "10.0.1.0/24"}
    assert {s["AvailabilityZone"] for s in subnets.values()} == {"us-east-1a"}
    assert not any(s["MapPublicIpOnLaunch"] for s in subnets.values())
    # moto does not look at this call's filter, and other tests' gateways are listed for a while
    nat = [n for n in stack.mine("describe-nat-gateways", "NatGateways", option="--filter")
           if {"Key": "ohguard:stack", "Value": stack.name} in n["Tags"] and n["State"] != "deleted"]
    assert [(n["SubnetId"], n["State"]) for n in nat] == [(subnets["public"]["SubnetId"], "available")]
    nat_ip = stack.one("describe-addresses", "Addresses", "nat-ip")
    assert nat[0]["NatGatewayAddresses"][0]["AllocationId"] == nat_ip["AllocationId"]
    targets = {"public": ("GatewayId", gateway["InternetGatewayId"]),
               "private": ("NatGatewayId", nat[0]["NatGatewayId"])}
    for side, (member, target) in targets.items():
        table = stack.one("describe-route-tables", "RouteTables", f"table-{side}")
        routes = {r["DestinationCidrBlock"]: r for r in table["Routes"]}
        assert set(routes) == {"10.0.0.0/16", ANY} and routes[ANY][member] == target
        assert [a["SubnetId"] for a in table["Associations"]] == [subnets[side]["SubnetId"]]
    return vpc, subnets


def check_acls(stack, subnets):
    for side in ("public", "private"):
        found = stack.one("describe-network-acls", "NetworkAcls", f"acl-{side}")
        assert [a["SubnetId"] for a in found["Associations"]] == [subnets[side]["SubnetId"]]
        incoming, outgoing = acl(found["Entries"], False), acl(found["Entries"], True)
        if side == "private":
            assert incoming == {(100, "6", "allow", "10.0.0.0/24", 22, 22),
                                (110, "6", "allow", "10.0.0.0/24", 3000, 3000), (120, "6", "allow", ANY, 32768, 65535),
                                (130, "17", "allow", ANY, 32768, 65535), (140, "1", "allow", ANY, 3, 4)}
            assert outgoing == {(100, "6", "allow", ANY, 443, 443), (110, "17", "allow", ANY, 123, 123),
                                (120, "17", "allow", "10.0.0.0/16", 53, 53),
                                (130, "6", "allow", "10.0.0.0/24", 1024, 65535), (140, "1", "allow", ANY, 3, 4)}
        else:
            assert {(r[1], r[3], r[4]) for r in incoming if r[4] in (22, 80, 443)} == {
                ("6", OPERATOR, 22), ("6", OPERATOR, 80), ("6", OPERATOR, 443), ("6", "10.0.1.0/24", 443)}


def check_hosts(stack, subnets):
    groups = {k: stack.one("describe-security-groups", "SecurityGroups", f"group-{k}") for k in ("proxy", "server")}
    proxy_id = groups["proxy"]["GroupId"]
    assert rules(groups["proxy"]["IpPermissions"]) == {("tcp", p, p, OPERATOR) for p in (22, 80, 443)}
    assert rules(groups["proxy"]["IpPermissionsEgress"]) == {
        ("tcp", 22, 22, "10.0.1.0/24"), ("tcp", 3000, 3000, "10.0.1.0/24"), ("tcp", 443, 443, ANY)}
    assert rules(groups["server"]["IpPermissions"]) == {("tcp", 22, 22, proxy_id), ("tcp", 3000, 3000, proxy_id)}
    assert rules(groups["server"]["IpPermissionsEgress"]) == {
        ("tcp", 443, 443, ANY), ("udp", 53, 53, "10.0.0.0/16"), ("udp", 123, 123, ANY)}
    for key, kind, side, address in (("proxy", "t3.small", "public", "10.0.0.10"),
                                     ("server-1", "t3.large", "private", "10.0.1.11")):
        i = [x for x in stack.mine("describe-instances", "Reservations[].Instances[]")
             if {"Key": "ohguard:resource", "Value": key} in x["Tags"] and x["State"]["Name"] == "running"]
        assert len(i) == 1 and (i[0]["InstanceType"], i[0]["PrivateIpAddress"]) == (kind, address)
        assert i[0]["SubnetId"] == subnets[side]["SubnetId"] and i[0]["KeyName"] == stack.name + "-key"
        assert i[0]["MetadataOptions"]["HttpTokens"] == "required"
        assert i[0]["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert [g["GroupId"] for g in i[0]["SecurityGroups"]] == [groups[key.split("-")[0]]["GroupId"]]
        if key == "server-1":
            assert not i[0].get("PublicIpAddress")
        else:
            assert stack.one("describe-addresses", "Addresses", "proxy-ip")["InstanceId"] == i[0]["InstanceId"]


def check_all(stack):
    _, subnets = check_network(stack)
    check_acls(stack, subnets)
    check_hosts(stack, subnets)


def everything(stack):
    return [x for call, query in [("describe-vpcs", "Vpcs"), ("describe-subnets", "Subnets"),
                                  ("describe-addresses", "Addresses"), ("describe-route-tables", "RouteTables"),
                                  ("describe-security-groups", "SecurityGroups"),
                                  ("describe-network-acls", "NetworkAcls"), ("describe-key-pairs", "KeyPairs"),
                                  ("describe-internet-gateways", "InternetGateways"),
                                  ("describe-instances",
                                   "Reservations[].Instances[?State.Name!='terminated'][]")]
            for x in stack.mine(call, query)]


def destroy(stack):
    stack.run("destroy", "--confirm", stack.name, "--wait", "5", check=0)
    assert everything(stack) == []


def changes(stack):
    """But for what is to be delivered: moto's machines take nothing."""
    return [c for c in json.loads(stack.run("plan", "--json", check=0).stdout)["changes"] if c["action"] != "deliver"]


def once(stack, call, action, times=1, when="true"):
    """For the first `times` of a call, where `when` holds, `action` instead of the real one."""
    mark = stack.folder / f"times-{call}"
    return f"""if [ "$2" = {call} ] && {when} && [ $(cat {mark} 2>/dev/null | wc -l) -lt {times} ]; then echo >>{mark}
	{action}; fi
"""


def answers(stack, edit):
    """The real answer, edited."""
    return f"""{stack.real_aws} "$@" | {edit}; exit"""


def fails(code, text="why"):
    return f"echo 'An error occurred ({code}) when calling the X operation: {text}' >&2; exit 254"


def called(stack, call):
    return f"grep -q ' {call} ' {stack.calls}"
