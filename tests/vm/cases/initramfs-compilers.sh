#!/bin/sh
# mode: initramfs
# timeout: 120
# files: build/newest/ohguard:/bin/newest
# What the newest clang makes of the programs verifies here too, whatever of them is loaded. Those of the other clangs, on the
# kernel that is there: tests/e2e/test_compilers.py.
. /vm/lib.sh

mount_at cgroup2 /sys/fs/cgroup
mount_at bpf /sys/fs/bpf
mkdir /sys/fs/cgroup/newest
ip link set eth0 up
for inspect in off on; do for uplink in none eth0; do
    printf '[dns]\nresolver = 192.0.2.2\ninspect = %s\n' $inspect >/tmp/newest.conf
    want "inspect = $inspect, uplink $uplink" newest load -c /tmp/newest.conf --cgroup /sys/fs/cgroup/newest --uplink $uplink --dry-run
done; done
finish
