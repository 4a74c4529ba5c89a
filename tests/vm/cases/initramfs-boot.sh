#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
. /vm/lib.sh

fact version "$(uname -r)"
deny "there is no /lib" test -e /lib
want "the kernel has BTF" test -s /sys/kernel/btf/vmlinux
mkdir -p /tmp/cgroup /tmp/bpf
want "cgroup2 mounts" mount -t cgroup2 cgroup2 /tmp/cgroup
want "a child cgroup can be made" mkdir /tmp/cgroup/child
want "bpffs mounts" mount -t bpf bpf /tmp/bpf
want "there is an eth0" test -d /sys/class/net/eth0
want "veth is loaded" ip link add v0 type veth peer name v1
want "lo is up" ping -c 1 -W 5 127.0.0.1
mount_at securityfs /sys/kernel/security
fact "LSMs by default" "$(cat /sys/kernel/security/lsm)"
finish
