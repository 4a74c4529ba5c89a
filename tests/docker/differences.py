# SPDX-License-Identifier: MIT
"""What becomes of the attacks of tests/escapes in a container of Docker's, bridged, where it is not what stands in their table.

A key is an attack's name, or its function's for both families.
"""
from table import TABLE

BRIDGE = "it ends at Docker's bridge, which passes on nothing of the kind"
JOINED = "NAT has the host's kernel put fragments together first, and drop what does not fit"
ROUTED = "the host's kernel forwards no source routes"

# The counter that moves instead. All of these are stopped at the uplink.
INSTEAD = {
    "packet_raw": "forwarded", "packet_dgram": "forwarded", "packet_bypass": "forwarded", "packet_spoofed": "forwarded",
    "packet_xdp": "forwarded", "packet_solicitation": "forwarded", "packet_fragments": "packet-malformed", "packet_routed6": "source-route",
    "packet_dns": "dns-name-not-allowed", "vxlan": "forwarded", "ipip": "forwarded", "gre": "forwarded",
    "sit": "forwarded", "macvlan": "forwarded", "dhcp_private": "forwarded", "icmp6_solicitation_spoofed": "forwarded",
    "icmp6_solicitation_bound": "forwarded", "icmp6_advertisement_spoofed": "forwarded",
}
# It is refused, or held for good as a part of something larger, which nothing counts: whether NAT takes it for its connection's.
HELD = {"packet_forged": "tls-incomplete, or held"}
# It gets no further, whether there is a guard or not: nothing is counted.
ENDS = {
    "packet_routed4": ROUTED, "packet_vlan": BRIDGE, "packet_ethertype": BRIDGE, "packet_arp": BRIDGE, "tc_from_loopback": BRIDGE,
    "icmp6_solicitation_link": BRIDGE, "multicast_join": BRIDGE, "nft_dup": "the host's kernel takes no loopback address from a bridge",
    "box_fragments": JOINED,
}
# The guard stops it in the container itself; without one it would end here.
UNSEEN = {
    "old_fragment_first": JOINED, "old_fragment_later": JOINED, "old_fragment_overlapping": JOINED, "old_fragment_tiny": JOINED, "old_fragment_atomic": JOINED,
    "old_hidden_fragment": JOINED, "icmp6_fragment": JOINED, "old_source_route": ROUTED, "old_strict_route": ROUTED, "multicast": BRIDGE,
    "multicast_dns": BRIDGE, "broadcast": BRIDGE,
}


def of(table, attack):
    return table.get(attack.name) or table.get(attack.act.__name__)


def untried(attack):
    """Why it is no attack for a container, or None."""
    if "SYS_ADMIN" in attack.caps:
        return "a container with CAP_SYS_ADMIN counts as root on the host"
    return {"outside": "no container begins outside of the guarded cgroup",
            "both": "needs a process on the host network"}.get(attack.where)


def reason(attack):
    """The counter that moves; "" for none."""
    return of(INSTEAD, attack) or ("" if of(ENDS, attack) or of(HELD, attack) else attack.reason)


def known_to_leave(attack):
    return bool(attack.leaves) and not of(INSTEAD, attack) and not of(ENDS, attack)


def told(attack):
    """For the document."""
    if untried(attack):
        return "-"
    if of(ENDS, attack):
        return "nothing has to: " + of(ENDS, attack)
    if known_to_leave(attack):
        return "**gets out** too"
    instead = of(INSTEAD, attack) or of(HELD, attack)
    return f"uplink: {instead}" if instead else "same"


assert all(any(key in (a.name, a.act.__name__) for a in TABLE.values()) for key in (*INSTEAD, *HELD, *ENDS, *UNSEEN)), "of no attack"
