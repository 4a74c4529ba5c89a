#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# alone: yes
# timeout: 600
# files: build/ohguard:/bin/ohguard
# The static binary with no /lib beside it: load, refuse, let pass, unload.
. /vm/lib.sh

root=/sys/fs/cgroup
guarded=$root/guarded
outside=192.0.2.1

# shellcheck disable=SC2016  # expanded by the inner shell
inside() { sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$guarded" "$@"; }
error_of() { "$@" 2>&1 >/dev/null </dev/null; }
soon() { for _ in 1 2 3 4 5 6 7 8 9 10; do "$@" && return; sleep 1; done; return 1; }
refused_at_once() { error_of inside nc -w 3 "$outside" 443 | grep -q 'Operation not permitted'; }

deny "there is no /lib" test -e /lib
mount_at cgroup2 "$root"
mkdir "$guarded"
# A way out, so that only the guard can be what refuses.
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
mkdir -p /etc
echo 'nameserver 10.0.2.3' >/etc/resolv.conf
httpd -p 127.0.0.1:8080 -h /tmp
echo hello >/tmp/hello

deny "unguarded, a connection is not refused" refused_at_once
deny "no bpffs is mounted" grep -q ' bpf ' /proc/mounts
deny "refused: load in mounts of its own, with which the guard would end" \
    unshare -m ohguard load --cgroup "$guarded" --uplink none
want "load" ohguard load --cgroup "$guarded" --uplink none
want "load has mounted one" grep -q ' /sys/fs/bpf bpf ' /proc/mounts
want "for root alone" sh -c 'stat -c %a /sys/fs/bpf | grep -qx 1*700'
want "status succeeds" sh -c 'ohguard status --json >/tmp/status'
want "status says that it enforces" grep -Eq '"enforcing": *true' /tmp/status
want "a forbidden connection is refused at once" refused_at_once
want "load, with questions, for an uplink too" ohguard load --cgroup "$guarded" --uplink eth0 --ask 60s --dry-run
want "load, with questions" ohguard load --cgroup "$guarded" --uplink none --ask 60s
(error_of inside nc -w 50 "$outside" 443 >/tmp/asked; echo ended >>/tmp/asked) &
want "a forbidden connection waits" soon sh -c "ohguard asks | grep -q '^$outside '"
deny "and has not ended" grep -q ended /tmp/asked
want "deny" ohguard deny "$outside"
want "denied, it ends" soon grep -q ended /tmp/asked
want "and is refused at once from then on" refused_at_once
want "load, without questions" ohguard load --cgroup "$guarded" --uplink none
want "a forbidden connection is refused at once again" refused_at_once
want "loopback works" inside wget -q -O /dev/null http://127.0.0.1:8080/hello
want "unload" ohguard unload --yes
deny "unloaded, a connection is not refused" refused_at_once
ohguard status --json >/dev/null
want "status then ends with 3, not loaded" test $? = 3
finish
