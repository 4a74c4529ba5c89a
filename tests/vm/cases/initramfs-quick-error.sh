#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# files: build/ohguard:/bin/ohguard
# A connection that is refused for what it asks ends by itself, on this kernel too; one that is held does not.
. /vm/lib.sh

root=/sys/fs/cgroup
guarded=$root/quick
resolver=198.18.5.1

# shellcheck disable=SC2016  # expanded by the inner shell
inside() { sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$guarded" "$@"; }
# Writes to the resolver, and reads until the connection ends or the seconds are over: true where it was cut.
# shellcheck disable=SC2016
is_cut() {
    inside timeout "$1" nc $resolver 53 -e sh -c 'printf "$0"; exec cat' "$2" 2>/tmp/said
    grep -q 'timed out' /tmp/said
}

mount_at cgroup2 "$root"
mount_at bpf /sys/fs/bpf
mkdir "$guarded"
mkdir -p /etc/ohguard
ip link add ours type veth	# this ip cannot name the other end, and other cases have some too
far=$(grep -lx "$(cat /sys/class/net/ours/iflink)" /sys/class/net/*/ifindex | cut -d / -f 5)
# shellcheck disable=SC2016  # expanded by the inner shell
unshare -n sh -c 'while ! ip addr add 198.18.5.1/24 dev $0; do sleep 0.1; done; ip link set $0 up
    exec nc -ll -p 53 -e sleep 60' "$far" 2>/dev/null &
peer=$!
sleep 1
ip link set "$far" netns $peer
ip addr add 198.18.5.2/24 dev ours
ip link set ours up
printf '[dns]\nresolver = %s\ninspect = on\n' $resolver >/etc/ohguard/quick.conf
for _ in $(seq 100); do	# until the peer listens
    grep -qs ':0035 .* 0A ' "/proc/$peer/net/tcp" "/proc/$peer/net/tcp6" && break
    sleep 0.2
done
want "load" ohguard load --name quick -c /etc/ohguard/quick.conf --cgroup "$guarded" --uplink none --no-resolve
want "all hooks are attached" sh -c 'ohguard status --name quick | grep "sock_ops *since"'
want "a refused query's connection is cut" is_cut 30 '\000\020not a DNS message'
deny "one whose query is not whole yet is cut" is_cut 5 '\000\100not a'
want "unload" ohguard unload --name quick --yes
kill $peer
rm -r /etc/ohguard
finish
