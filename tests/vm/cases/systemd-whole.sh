#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# alone: yes
# timeout: 600
# kernels: all
# files: build/ohguard:/usr/sbin/ohguard tests/vm/whole.py:/vm/whole.py
# The whole machine guarded, with its uplink: what stays on it passes, and its kernel's own packets are no events. A
# lab, whose guard is of one cgroup, does not see what the kernel's own sockets send.
. /vm/lib.sh

whole() { python3 /vm/whole.py "$@"; }
there() { ip netns exec far "$@"; }
boxed() { ip netns exec box "$@"; }
events() { ohguard events --json | grep -v inbound-not-allowed >/tmp/events; }
wait_for() { for _ in $(seq 150); do grep -q "$2" "$1" && return; sleep 0.2; done; return 1; }
status_has() { ohguard status --json | tr -d ' \n' | grep -q "$1"; }

# The internet, behind a cable; and a container, behind a bridge.
modprobe bridge
ip netns add far
ip netns add box
ip link add up0 type veth peer name far0 netns far
ip addr add 192.0.2.1/24 dev up0
ip addr add fd02::1/64 dev up0 nodad
ip link set up0 up
there ip addr add 192.0.2.2/24 dev far0
there ip addr add fd02::2/64 dev far0 nodad
there ip link set far0 up
ip route add default via 192.0.2.2
ip link add br0 type bridge
ip addr add 10.31.0.1/24 dev br0
ip link set br0 up
ip link add box0 type veth peer name eth0 netns box
ip link set box0 master br0 up
boxed ip addr add 10.31.0.2/24 dev eth0
boxed ip link set eth0 up
boxed ip route add default via 10.31.0.1
boxed ip link set lo up
there python3 /vm/whole.py serve >/tmp/far &
boxed python3 /vm/whole.py serve >/tmp/box &
whole serve >/tmp/host &
for where in "" "ip netns exec box"; do
    $where sysctl -qw net.ipv4.ping_group_range='0 2147483647'
done
mkfifo /tmp/go
whole imitate 192.0.2.2 </tmp/go >/tmp/imitated &
exec 3>/tmp/go
for each in far box host imitated; do wait_for /tmp/$each ready || die "$each is ready"; done

mkdir -p /etc/ohguard
# The far side is of this machine too: what it answers passes as to an inbound connection.
printf '[inbound]\naccept = 8443 192.0.2.0/24\naccept = 8443 fd02::/64\n' >/etc/ohguard/ohguard.conf
printf '[dns]\nresolver = 192.0.2.2\n[ntp]\nserver = none\n' >>/etc/ohguard/ohguard.conf
printf '[allow]\ntarget = 192.0.2.2:8443\ntarget = [fd02::2]:8443\n' >>/etc/ohguard/ohguard.conf
want "load" ohguard load --no-resolve
want "its uplink is guarded" status_has '"hook":"uplink-egress","attached":true,"where":"up0"'
want "the container's network is local" status_has '"network":"10.31.0.0/24","bridge":"br0"'

want "host to container" whole close 10.31.0.2
want "container to host" boxed python3 /vm/whole.py close 10.31.0.1
want "container to the host's address on its uplink" boxed python3 /vm/whole.py close 192.0.2.1
want "an echo from container to host" boxed python3 /vm/whole.py ping 10.31.0.1
want "an echo from host to container" whole ping 10.31.0.2
want "what is allowed" whole close 192.0.2.2
want "over IPv6" whole close fd02::2
want "the far side got the last ACK of each" there python3 /vm/whole.py ended
want "so did the container" boxed python3 /vm/whole.py ended
echo go >&3
want "a process's raw socket cannot send that ACK" wait_for /tmp/imitated "Operation not permitted"
events      # what comes in is the far side's
cat /tmp/events
want "that is the one event: the kernel's own packets are none" sh -c 'grep -q raw-socket /tmp/events &&
    [ "$(wc -l </tmp/events)" = 1 ]'

# A new network namespace has its kernel report the groups that it listens to.
boxed ip addr add fd31::2/64 dev eth0
ip addr add fd31::1/64 dev br0
sleep 3
events
want "multicast reports are no events" sh -c '[ "$(wc -l </tmp/events)" = 1 ]'	# that of before
ohguard stats --json | tr -d ' \n' >/tmp/stats
want "but they are counted" grep -q '"protocol-not-allowed":{"packets":[1-9]' /tmp/stats

# A cable out becomes a port of the bridge.
want "while it watches" sh -c 'ohguard refresh --uplinks --watch >/tmp/watch 2>&1 & sleep 2'
ip link add out0 type vxlan id 7 remote 192.0.2.2 dstport 4789 dev up0
ip link set out0 master br0 up
for _ in $(seq 50); do status_has '"local":\[\]' && break; sleep 0.2; done
want "the network is local no longer" status_has '"local":\[\]'
deny "host to container" whole close 10.31.0.2
finish
