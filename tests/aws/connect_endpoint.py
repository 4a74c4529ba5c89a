# SPDX-License-Identifier: MIT
"""Plays the calls of EC2 Instance Connect Endpoint, which moto has not; the real `aws` has checked the arguments.
usage: connect_endpoint.py FILE ARGUMENT...    (what it knows is in FILE)"""
import json
import os
import pathlib
import sys

file, (_, call, *rest) = pathlib.Path(sys.argv[1]), sys.argv[2:]
known = json.loads(file.read_text()) if file.exists() else []


def option(name):
    return rest[rest.index(name) + 1]


if call.startswith("create"):
    tags = [dict(pair.replace("'", "").split("=", 1) for pair in tag.strip("{}").split(",", 1))
            for tag in option("--tag-specifications").split("Tags=[")[1].rstrip("]").split("},{")]
    known.append({"InstanceConnectEndpointId": "eice-" + os.urandom(8).hex(), "SubnetId": option("--subnet-id"),
                  "SecurityGroupIds": [option("--security-group-ids")], "State": "create-in-progress", "Tags": tags,
                  "looks": 2})
    print(json.dumps({"InstanceConnectEndpoint": known[-1]}))
elif call.startswith("delete"):
    for e in known:
        if e["InstanceConnectEndpointId"] == option("--instance-connect-endpoint-id"):
            e.update(State="delete-in-progress", looks=2)
else:
    for e in known:
        e["looks"] -= 1
        if e["looks"] <= 0:
            e["State"] = e["State"].replace("in-progress", "complete")
    print(json.dumps([e for e in known if e["State"] != "delete-complete"]))
file.write_text(json.dumps(known))
