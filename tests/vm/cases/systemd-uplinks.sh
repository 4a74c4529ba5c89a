#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# alone: yes
# timeout: 600
# files: build/ohguard:/usr/sbin/ohguard
# The whole machine, and every way out of it that this kernel can make: none is named, each is guarded where it is
# lowest.
. /vm/lib.sh

ip netns add far
for n in 1 2 3 4 5 6; do
    ip link add "up$n" type veth peer name "far$n" netns far
    ip link set "up$n" up
    ip -n far link set "far$n" up
done
ip -n far link set lo up
ip link add vlan0 link up1 type vlan id 5
ip -n far link add vlan0 link far1 type vlan id 5
ip link set up2 down
ip link add bond0 type bond
ip link set up2 master bond0
ip link add ipvlan0 link up3 type ipvlan
ip link add macvlan0 link up4 type macvlan mode bridge
ip link add bridge0 type bridge
ip link set up5 master bridge0
n=0
for upper in vlan0 bond0 ipvlan0 macvlan0 bridge0; do
    n=$((n + 1))
    ip link set "$upper" up
    ip addr add "10.5.$n.1/24" dev "$upper"
    ip route add default via "10.5.$n.2" dev "$upper" table "$((100 + n))"
done
# a bridge as Docker's, with no way beyond it
ip link add docker9 type bridge
ip link set up6 master docker9
ip link set docker9 up
ip addr add 10.5.6.1/24 dev docker9
ip -n far addr add 10.5.1.2/24 dev vlan0
ip -n far link set vlan0 up
mkdir -p /run/www
echo hello >/run/www/hello
ip netns exec far python3 -m http.server -d /run/www -b 10.5.1.2 443 >/dev/null 2>&1 &
ip netns exec far python3 -m http.server -d /run/www -b 10.5.1.2 8443 >/dev/null 2>&1 &
gets() { curl -sS -m 5 --connect-timeout 5 "http://10.5.1.2:$1/hello" 2>/dev/null | grep -q hello; }
for _ in 1 2 3 4 5 6 7 8 9; do gets 443 && gets 8443 && break; sleep 1; done
want "unguarded, all works over the VLAN" gets 8443

mkdir -p /etc/ohguard
printf '%s\n' '[dns]' 'resolver = 10.0.2.3' '[ntp]' 'server = none' '[allow]' 'target = 10.5.1.2:443' '[inbound]' \
    'accept = 443 10.5.1.0/24' \
    >/etc/ohguard/ohguard.conf
want "load" ohguard load --no-resolve
want "it is healthy" ohguard status
guarded=$(ohguard status --json | python3 -c 'import json, sys
print(*sorted({h["where"] for h in json.load(sys.stdin)["hooks"] if h["hook"] == "uplink-egress" and h["attached"]}))')
want "all ways out are guarded, and no others: $guarded" test "$guarded" = "eth0 up1 up2 up3 up4 up5"
want "what is allowed works over the VLAN" gets 443
deny "what is not does not" gets 8443

refused() { ohguard stats --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["reasons"]["packet-socket"]["packets"])'; }
sends() {   # INTERFACE: a frame that no rule allows, from a packet socket: whether it was refused
    before=$(refused)
    python3 -c 'import socket, sys
s = socket.socket(17, 3, 0)
try:
    s.sendto(b"\xff" * 6 + b"\2oh\0\0\1" + b"\x88\xb6" + b"secret" * 9, (sys.argv[1], 0))
except OSError:
    pass' "$1"
    [ "$(refused)" -gt "$before" ]
}
for n in 1 2 3 4 5; do want "a frame by up$n is refused" sends "up$n"; done
for upper in vlan0 bond0 macvlan0 bridge0; do want "and by $upper above one" sends "$upper"; done
deny "what stays within the machine is not looked at" sends docker9
want "unload" ohguard unload --yes
finish
