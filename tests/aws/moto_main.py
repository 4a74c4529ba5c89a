# SPDX-License-Identifier: MIT
"""moto_server with what it forgets put right: it reads a network ACL entry's ICMP type under another name than the
one that its own request parser gives it, keeps the network ACL association of a subnet and the private address of an
instance that are gone, gives loopback addresses as elastic IPs, and does not show an instance's replaced profile."""
import random
import sys

from moto.ec2.models import EC2Backend, elastic_ip_addresses
from moto.ec2.models.instances import Instance
from moto.ec2.responses.network_acls import NetworkACLs
from moto.server import main

plain_get_param = NetworkACLs._get_param


def get_param(self, name, *rest, **keys):
    value = plain_get_param(self, name, *rest, **keys)
    if value is None and name.startswith("Icmp."):
        value = plain_get_param(self, "IcmpTypeCode." + name.removeprefix("Icmp."), *rest, **keys)
    return value


plain_delete_subnet = EC2Backend.delete_subnet


def delete_subnet(self, subnet_id):
    deleted = plain_delete_subnet(self, subnet_id)
    for acl in self.network_acls.values():
        for key in [k for k, a in acl._associations.items() if a.subnet_id == subnet_id]:
            del acl._associations[key]
    return deleted


plain_terminate = Instance.terminate


def terminate(self):
    addresses = [nic.private_ip_address for nic in self.nics.values()]
    state = plain_terminate(self)
    for address in addresses:
        self.ec2_backend.get_subnet(self.subnet_id).del_subnet_ip(address)
    return state


plain_replace_profile = EC2Backend.replace_iam_instance_profile_association


def replace_profile(self, *rest, **keys):
    association = plain_replace_profile(self, *rest, **keys)
    association.instance.iam_instance_profile = association.iam_instance_profile
    return association


elastic_ip_addresses.random_ip = lambda: f"198.18.{random.randrange(256)}.{random.randrange(1, 255)}"
EC2Backend.delete_subnet = delete_subnet
EC2Backend.replace_iam_instance_profile_association = replace_profile
Instance.terminate = terminate
NetworkACLs._get_param = get_param
sys.exit(main())
