#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
. /vm/lib.sh

want "process 1 is systemd" grep -qx systemd /proc/1/comm
state=$(systemctl is-system-running --wait)
case $state in
    running) pass "the system is running" ;;
    # A unit of the distribution that fails is none of ours, but is named.
    degraded) pass "the system is running, degraded"; systemctl --failed --no-legend ;;
    *) fail "the system is $state" ;;
esac
want "multi-user.target is reached" systemctl -q is-active multi-user.target
want "cgroup2 is mounted" test "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs
want "bpffs is mounted" test "$(stat -fc %T /sys/fs/bpf)" = bpf_fs
want "the kernel has BTF" test -s /sys/kernel/btf/vmlinux
want "modules of this kernel load" modprobe vxlan
want "bpftool can ask the kernel" sh -c "bpftool prog list >/dev/null"
want "eth0 has its address" sh -c 'ip -4 addr show dev eth0 | grep -q 10.0.2.15'
# QEMU's resolver would answer here if the network were not restricted.
deny "nothing outside answers" dig @10.0.2.3 api.openai.com +time=2 +tries=1 +short
finish
