#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# alone: yes
# timeout: 600
# files: build/ohguard:/bin/ohguard build/newest/ohguard:/bin/newest build/tests/vm/facts:/bin/facts
# What docs/kernels.md tells of this kernel: every combination of programs loads, what the newest clang makes of them
# verifies too (each clang: tests/e2e/test_compilers.py), how they are attached, what they cost the verifier.
. /vm/lib.sh

root=/sys/fs/cgroup
mount_at cgroup2 "$root"
mount_at bpf /sys/fs/bpf
mount_at securityfs /sys/kernel/security
mkdir "$root/facts"
ip link add up0 type veth
ip link set up0 up
mkdir -p /etc

fact kernel "$(uname -r)"
fact lsm "$(cat /sys/kernel/security/lsm)"
for inspect in off on; do for uplink in none up0; do
    printf '[guard]\ninbound = xdp\n[dns]\nresolver = 192.0.2.2\ninspect = %s\n' $inspect >/tmp/facts.conf
    want "load with inspect = $inspect, uplink $uplink" ohguard load -c /tmp/facts.conf --cgroup "$root/facts" \
        --uplink $uplink --no-resolve
    want "status is clean" ohguard status
    facts >/tmp/facts
    [ $inspect = off ] || while read -r program how steps; do fact "$program" "$how $steps"; done </tmp/facts
    want "the egress hook is attached" grep -q '^oh_egress cgroup ' /tmp/facts
    want "unload" ohguard unload --yes
    for ask in "" "--ask 60s"; do
        # shellcheck disable=SC2086  # two words, or none
        want "the newest clang's $ask" newest load -c /tmp/facts.conf --cgroup "$root/facts" --uplink $uplink \
            --dry-run $ask
    done
    want "with questions" ohguard load -c /tmp/facts.conf --cgroup "$root/facts" --uplink $uplink --dry-run --ask 60s
done; done
finish
