# SPDX-License-Identifier: MIT
"""Plays Route 53 Resolver's DNS Firewall, which moto has not, behind the real `aws`, which checks what is sent and what
comes back: names with the dot at their end, parts that hold each other, and associations that take their time."""
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Refused(Exception):
    pass


class Resolver:
    def __init__(self):
        self.lists, self.groups, self.links, self.tags, self.config, self.calls = {}, {}, {}, {}, {}, []

    def new(self, store, kind, member, asked):
        id_ = f"rslvr-{kind}-{os.urandom(6).hex()}"
        item = {"Id": id_, "Arn": f"arn:aws:route53resolver:us-east-1:123456789012:{member}/{id_}",
                "Name": asked["Name"], "CreatorRequestId": asked["CreatorRequestId"]}
        self.tags[item["Arn"]] = {t["Key"]: t["Value"] for t in asked.get("Tags", [])}
        store[id_] = item
        return item

    @staticmethod
    def get(store, id_):
        if id_ not in store:
            raise Refused("ResourceNotFoundException")
        return store[id_]

    def create_firewall_domain_list(self, asked):
        made = self.new(self.lists, "fdl", "firewall-domain-list", asked)
        made["names"] = []
        return {"FirewallDomainList": self.shown(made)}

    @staticmethod
    def shown(item):
        return {k: v for k, v in item.items() if k[0].isupper()}

    def list_firewall_domain_lists(self, _):
        aws = {"Id": "rslvr-fdl-1", "Arn": "arn:aws:x", "Name": "AWSManagedDomainsMalwareDomainList",
               "ManagedOwnerName": "Route 53 Resolver DNS Firewall"}
        return {"FirewallDomainLists": [aws, *map(self.shown, self.lists.values())]}

    def update_firewall_domains(self, asked):
        found = self.get(self.lists, asked["FirewallDomainListId"])
        assert asked["Operation"] == "REPLACE"
        found["names"] = [n.rstrip(".") + "." for n in asked["Domains"]]
        return {"Id": found["Id"], "Status": "UPDATING"}

    def list_firewall_domains(self, asked):
        return {"Domains": self.get(self.lists, asked["FirewallDomainListId"])["names"]}

    def delete_firewall_domain_list(self, asked):
        if any(r["FirewallDomainListId"] == asked["FirewallDomainListId"] for g in self.groups.values()
               for r in g["rules"]):
            raise Refused("ConflictException")
        self.get(self.lists, asked["FirewallDomainListId"])
        del self.lists[asked["FirewallDomainListId"]]
        return {}

    def create_firewall_rule_group(self, asked):
        made = self.new(self.groups, "frg", "firewall-rule-group", asked)
        made["rules"] = []
        return {"FirewallRuleGroup": self.shown(made)}

    def list_firewall_rule_groups(self, _):
        return {"FirewallRuleGroups": list(map(self.shown, self.groups.values()))}

    def create_firewall_rule(self, asked):
        group = self.get(self.groups, asked["FirewallRuleGroupId"])
        self.get(self.lists, asked["FirewallDomainListId"])
        if any(r["Priority"] == asked["Priority"] for r in group["rules"]):
            raise Refused("ValidationException")
        group["rules"].append({"FirewallDomainRedirectionAction": "INSPECT_REDIRECTION_DOMAIN", **asked})
        return {"FirewallRule": group["rules"][-1]}

    def rule(self, asked):
        group = self.get(self.groups, asked["FirewallRuleGroupId"])
        for r in group["rules"]:
            if r["FirewallDomainListId"] == asked["FirewallDomainListId"]:
                return group, r
        raise Refused("ResourceNotFoundException")

    def update_firewall_rule(self, asked):
        self.rule(asked)[1].update(asked)
        return {"FirewallRule": self.rule(asked)[1]}

    def delete_firewall_rule(self, asked):
        group, rule = self.rule(asked)
        group["rules"].remove(rule)
        return {}

    def list_firewall_rules(self, asked):
        return {"FirewallRules": self.get(self.groups, asked["FirewallRuleGroupId"])["rules"]}

    def delete_firewall_rule_group(self, asked):
        group = self.get(self.groups, asked["FirewallRuleGroupId"])
        if group["rules"] or any(k["FirewallRuleGroupId"] == group["Id"] for k in self.links.values()):
            raise Refused("ConflictException")
        del self.groups[group["Id"]]
        return {}

    def associate_firewall_rule_group(self, asked):
        if any(k["VpcId"] == asked["VpcId"] for k in self.links.values()):
            raise Refused("ConflictException")
        self.get(self.groups, asked["FirewallRuleGroupId"])
        made = self.new(self.links, "frgassoc", "firewall-rule-group-association", asked)
        made.update(looks=2, Status="UPDATING", **{k: asked[k] for k in ("FirewallRuleGroupId", "VpcId", "Priority")})
        return {"FirewallRuleGroupAssociation": self.shown(made)}

    def list_firewall_rule_group_associations(self, _):
        for link in list(self.links.values()):
            link["looks"] -= 1
            if link["looks"] <= 0 and link["Status"] == "DELETING":
                del self.links[link["Id"]]
            elif link["looks"] <= 0:
                link["Status"] = "COMPLETE"
        return {"FirewallRuleGroupAssociations": list(map(self.shown, self.links.values()))}

    def disassociate_firewall_rule_group(self, asked):
        self.get(self.links, asked["FirewallRuleGroupAssociationId"]).update(looks=3, Status="DELETING")
        return {}

    def get_firewall_config(self, asked):
        return {"FirewallConfig": {"Id": "rslvr-fc-1", "ResourceId": asked["ResourceId"], "OwnerId": "123456789012",
                                   "FirewallFailOpen": self.config.get(asked["ResourceId"], "DISABLED")}}

    def update_firewall_config(self, asked):
        self.config[asked["ResourceId"]] = asked["FirewallFailOpen"]
        return self.get_firewall_config(asked)

    def list_tags_for_resource(self, asked):
        return {"Tags": [{"Key": k, "Value": v} for k, v in self.tags[asked["ResourceArn"]].items()]}

    def tag_resource(self, asked):
        self.tags[asked["ResourceArn"]].update({t["Key"]: t["Value"] for t in asked["Tags"]})
        return {}

    def answer(self, call, asked):
        self.calls.append(call)
        name = "".join("_" + c.lower() if c.isupper() else c for c in call)[1:]
        return getattr(self, name)(asked)


def serve(resolver):
    """Its address."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            call = self.headers["X-Amz-Target"].split(".")[-1]
            try:
                with lock:
                    status, answer = 200, resolver.answer(call, asked)
            except Refused as e:
                status, answer = 400, {"__type": str(e), "Message": "why"}
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
