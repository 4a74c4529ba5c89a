#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# alone: yes
# timeout: 600
# full: yes
# files: build/ohguard:/usr/sbin/ohguard tests/escapes:/opt/escapes
# Attacks in the machine's first network namespace, which no lab has: there a raw ICMPv6 socket may be made.
. /vm/lib.sh

root=/sys/fs/cgroup
guarded=$root/escapes
pcap=/tmp/far.pcap

# The far end of the cable; nothing answers, and all that arrives is kept. networkd would take the cable's near end for
# its own.
systemctl -q stop systemd-networkd.socket systemd-networkd.service
ip netns add far
ip link set eth0 down
ip link set eth0 name nic0
ip link add eth0 type veth peer name far0 netns far
ip addr add 10.0.1.10/24 dev eth0
ip addr add fd00:1::10/64 dev eth0 nodad
ip link set eth0 up
ip netns exec far sh -ec \
    'ip addr add 10.0.1.1/24 dev far0; ip addr add fd00:1::1/64 dev far0 nodad; ip link set far0 up'
ip route replace default via 10.0.1.1
ip -6 route replace default via fd00:1::1
capture() {
    ip netns exec far tcpdump -U -s 0 -i far0 -w $pcap >/dev/null 2>&1 &
    tcpdump=$!
    for _ in $(seq 50); do [ -s $pcap ] && return; sleep 0.1; done
    die "tcpdump runs"
}
seen() {
    sleep 1
    kill $tcpdump
    wait $tcpdump
    LC_ALL=C grep -aoE 'oh[0-9a-f]{6}' $pcap | sort | uniq -c
    rm -f $pcap
}
# shellcheck disable=SC2016  # expanded by the inner shell
inside() {
    yes '' | sh -c 'echo $$ >"$0/cgroup.procs"; exec python3 /opt/escapes/attack.py "$@"' "$guarded" "$@" \
        >/tmp/said 2>&1
}

list() {
    python3 /opt/escapes/attack.py --list | awk -v stop="$1" -v theme="$2" '$3 ~ stop && index($0, theme) { print $1 }'
}
# An early attack finds the guard loaded already, so that its socket is a new one.
names=$(list 'connect|sock_create|cgroup' 'sockets: '; list . 'network managers: '
    list . 'io_uring: '; list . 'older than the guard: ')
families=
if grep -qw bpf /sys/kernel/security/lsm; then
    modprobe -aq rds_tcp tipc smc l2tp_ip l2tp_ip6 vsock_loopback af_alg algif_hash af_key kcm
    families=$(list lsm 'socket families: ')
    names=$(echo "$names"; list . 'socket families: ')
fi
# What may be heard on the link only; and what is meant for the machine itself.
names=$(echo "$names" | grep -vE '^(icmp6_solicitation_link|own_addresses|moved_|passed_|multicast_join|reload_)' |
    grep -vE '^(lapsed_|revoked_|old_conn|old_shared|old_list|outside)')

mkdir -p $guarded
# shellcheck disable=SC2086
[ -z "$families" ] || inside $families
deny "unguarded, a family is refused" grep -q ' refused .Errno 1. ' /tmp/said
capture
# shellcheck disable=SC2086
inside icmp6_solicitation_spoofed udp4 raw_header6
want "unguarded, three are seen" test "$(seen | wc -l)" = 3
mkdir -p /etc/ohguard
printf '[dns]\nresolver = 10.0.0.2\n[allow]\ntarget = 203.0.113.10\ntarget = 2001:db8:10::10\n' \
    >/etc/ohguard/ohguard.conf
want "load" ohguard load --cgroup $guarded
capture
# shellcheck disable=SC2086
inside $names
leaked=$(seen)
want "nothing is seen of $(echo "$names" | wc -l) attacks" test -z "$leaked"
[ -z "$leaked" ] || { echo "$leaked"; for n in $names; do
    echo "$leaked" | grep -q "oh$(printf %s "$n" | sha256sum | cut -c1-6)" && grep "^$n " /tmp/said; done; }
want "each was tried" test "$(grep -cE ' (sent|refused|unavailable)' /tmp/said)" = "$(echo "$names" | wc -l)"
for n in $families; do want "$n is refused by LSM" grep -q "^$n refused .Errno 1. " /tmp/said; done
want "the socket that network managers need was made" sh -c \
    'grep -q "^icmp6_echo refused .Errno 1. Operation not permitted" /tmp/said'
want "unload" ohguard unload --yes
finish
