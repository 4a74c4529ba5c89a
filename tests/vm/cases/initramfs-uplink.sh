#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# alone: yes
# timeout: 600
# files: build/ohguard:/bin/ohguard build/tests/vm/foreign:/bin/foreign
# The uplink's hooks on this kernel, tcx or clsact: what has no guarded socket is refused, what is allowed passes.
. /vm/lib.sh

root=/sys/fs/cgroup
guarded=$root/guarded
mount_at cgroup2 "$root"
mount_at bpf /sys/fs/bpf
mkdir "$guarded"
mkdir -p /etc /run
echo 'nameserver 192.0.2.2' >/etc/resolv.conf

# The other end of the cable is another network namespace. busybox names that end itself.
ip link add up0 type veth
far=$(ls -d /sys/class/net/veth* | head -n 1 | xargs basename)
unshare -n sleep 300 &
other=$!
sleep 1
ip link set "$far" netns "$other"
ip addr add 192.0.2.1/24 dev up0
ip link set up0 up
there() { nsenter -t "$other" -n "$@"; }
there ip addr add 192.0.2.2/24 dev "$far"
there ip link set "$far" up
mkdir -p /tmp/www
echo hello >/tmp/www/hello
there httpd -p 192.0.2.2:443 -h /tmp/www
there httpd -p 192.0.2.2:8443 -h /tmp/www
httpd -p 192.0.2.1:8080 -h /tmp/www
httpd -p 192.0.2.1:22 -h /tmp/www
gets() { printf 'GET /hello HTTP/1.0\r\n\r\n' | nc -w 2 "$1" "$2" 2>/dev/null | grep -q hello; }
gets_there() { printf 'GET /hello HTTP/1.0\r\n\r\n' | there nc -w 2 "$1" "$2" 2>/dev/null | grep -q hello; }
refused() { ohguard stats | grep -q "  $1 "; }

want "unguarded, all works" gets 192.0.2.2 8443
printf '[inbound]\naccept = 22 192.0.2.2\n' >/tmp/conf
want "load" ohguard load -c /tmp/conf --cgroup "$guarded" --uplink up0 --no-resolve
want "load again" ohguard load -c /tmp/conf --no-resolve
want "allow" ohguard allow 192.0.2.2:443
want "it is healthy" ohguard status
want "the allowed port works, without a guarded socket" gets 192.0.2.2 443
deny "another port does not" gets 192.0.2.2 8443
want "that is counted" refused port-not-allowed
want "the inbound rule lets in" gets_there 192.0.2.1 22
deny "and nothing else gets in" gets_there 192.0.2.1 8080
want "that is counted" refused inbound-not-allowed
# A younger filter of the same priority comes before ours, and ends the run. Where there is tcx, filters come after it.
want "a filter of another's" foreign up0 egress 1
if gets 192.0.2.2 8443; then
	deny "with that, it is not healthy" ohguard status
	want "which says so" sh -c 'ohguard status | grep -q "foreign.*before it"'
	want "refresh" ohguard refresh --uplinks
fi
deny "ours is asked first" gets 192.0.2.2 8443
want "it is healthy" ohguard status
want "one that comes first once more" foreign up0 egress 2
want "load" ohguard load -c /tmp/conf --no-resolve
deny "is not first after a load" gets 192.0.2.2 8443
want "it is healthy" ohguard status

want "revoke" ohguard revoke 192.0.2.2:443
want "unload" ohguard unload --yes
want "unloaded, all works" gets 192.0.2.2 8443
want "and in" gets_there 192.0.2.1 8080
kill "$other"
finish
