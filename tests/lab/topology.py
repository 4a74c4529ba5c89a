# SPDX-License-Identifier: MIT
"""The lab's one table: who is where. Every address exists only inside the lab's namespaces."""
from dataclasses import dataclass

RESOLVER = "10.0.0.2"                # the VPC resolver
RESOLVERS = (RESOLVER, "169.254.169.253", "fd00:ec2::253")
UNBOUND = "10.0.0.3"                 # the real server behind it, reachable whoever answers at RESOLVER
METADATA = ("169.254.169.254", "fd00:ec2::254")
CREDENTIALS = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23")    # of an ECS task, of an EKS pod
TIME = ("169.254.169.123", "fd00:ec2::123")
NAT = "100.64.0.1"                   # the NAT gateway's elastic IP
VPC = "10.0.0.0/16"
PUBLIC_DNS = ("8.8.8.8", "2001:4860:4860::8888")
ATTACKER = ("203.0.113.66", "2001:db8:66::66")


@dataclass(frozen=True)
class Spec:
    """A host on a cable of its own to the router; the router's end of that cable bears the host's name."""
    name: str
    ip4: str                # with prefix length; eth0
    gw4: str                # the router's end
    ip6: str
    gw6: str
    owns: tuple = ()        # what the router sends here besides; whole prefixes answer on every address
    standby: bool = False   # owns them, but gets no route until a test asks for it
    machine: bool = False   # has its own /etc, /var/lib, /var/log, /run, /sys and bpffs, as a real machine does


HOSTS = (
    Spec("server", "10.0.1.10/24", "10.0.1.1", "fd00:1::10/64", "fd00:1::1", machine=True),
    Spec("proxy", "10.0.0.10/24", "10.0.0.1", "fd00::10/64", "fd00::1", machine=True),
    Spec("aws", "100.64.1.2/30", "100.64.1.1", "fd00:64:1::2/64", "fd00:64:1::1",
         owns=(*RESOLVERS, UNBOUND, *METADATA, *CREDENTIALS, *TIME)),
    Spec("script", "100.64.2.2/30", "100.64.2.1", "fd00:64:2::2/64", "fd00:64:2::1",
         owns=RESOLVERS, standby=True),
    Spec("internet", "100.64.3.2/30", "100.64.3.1", "fd00:64:3::2/64", "fd00:64:3::1",
         owns=("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "198.18.0.0/15", "2001:db8::/32",
               *PUBLIC_DNS)),
    Spec("attacker", "100.64.4.2/30", "100.64.4.1", "fd00:64:4::2/64", "fd00:64:4::1", owns=ATTACKER),
)

# What unbound says; the sites are nginx in `internet`, each with a name in the lab's certificate.
ZONE = {
    "api.openai.com": ("203.0.113.10", "203.0.113.11", "203.0.113.12", "2001:db8:10::10", "2001:db8:10::11"),
    "api.anthropic.com": ("203.0.113.20", "2001:db8:10::20"),
    "google.com": ("198.51.100.20", "2001:db8:20::20"),
    "www.google.com": ("198.51.100.21", "2001:db8:20::21"),
    "github.com": ("198.51.100.30", "2001:db8:30::30"),
    "example.com": ("198.51.100.40", "2001:db8:40::40"),
    # Two tenants of one CDN address: only the TLS name tells them apart.
    "files.cdn.example": ("198.51.100.50", "2001:db8:50::50"),
    "tenant.cdn.example": ("198.51.100.50", "2001:db8:50::50"),
    "dns.google": PUBLIC_DNS,
    "attacker.example": ATTACKER,
}
ZONE_TTL = 60
# Names a test may add and still get a valid certificate for, at any address of `internet`.
CERTIFIED = ("*.lab.example", "*.cdn.example")

POOL = "192.0.2"            # rotating pools: nginx answers on each address of it
MANY = "198.18"             # answers with hundreds of addresses: likewise

# Where the attacker listens and records; any other port is still seen on the wire.
ATTACKER_TCP = (21, 22, 25, 53, 80, 123, 443, 465, 587, 853, 993, 1194, 3000, 4444, 5222, 6667, 8000, 8080,
                8443, 9001, 9418, 31337)
ATTACKER_UDP = (53, 69, 123, 161, 443, 500, 514, 853, 1194, 1900, 3478, 4444, 4500, 5353, 8125, 31337, 51820)
