#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# append: lockdown=confidentiality
# timeout: 600
# files: build/ohguard:/bin/ohguard
# A kernel that lets no program read its memory: the guard loads and holds, and says what it cannot see there.
. /vm/lib.sh

root=/sys/fs/cgroup
guarded=$root/locked

mount_at cgroup2 "$root"
mount_at bpf /sys/fs/bpf
mount_at securityfs /sys/kernel/security
mkdir "$guarded"
mkdir -p /etc/ohguard
printf '[dns]\nresolver = 198.18.7.1\ninspect = on\n' >/etc/ohguard/locked.conf
want "the kernel is locked down" grep -q '\[confidentiality\]' /sys/kernel/security/lockdown
want "load" ohguard load --name locked -c /etc/ohguard/locked.conf --cgroup "$guarded" --uplink none --no-resolve
want "status says what is not seen" sh -c 'ohguard status --name locked | grep "does not show which pages"'
want "unload" ohguard unload --name locked --yes
rm -r /etc/ohguard
finish
