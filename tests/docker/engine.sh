#!/bin/sh
# SPDX-License-Identifier: MIT
# Docker's engine in a lab's server: what it takes for a machine is the lab's, and nothing outlives the namespaces.
# usage: engine.sh FOLDER CGROUP-PARENT ROOT [OPTION...]
# Run it in namespaces of its own (mount, cgroup) and in the lab's cgroup. What ROOT has, it uses in place of the
# machine's: another engine, and the libraries that it needs. "": nothing.
set -eu
folder=$1 parent=$2 root=$3
shift 3

# The engine sees one cgroup2 tree, whose root is the lab's cgroup: it cannot enable controllers for this machine.
umount -R /sys/fs/cgroup
mount -t cgroup2 lab /sys/fs/cgroup
# At its start it raises the limits of the kernel's key rings, which no namespace has of its own.
mount --bind /proc/sys/kernel /proc/sys/kernel
mount -o remount,bind,ro /proc/sys/kernel
# A container that is given tracing or security folders must not get this machine's.
for below in /sys/kernel/security /sys/kernel/tracing /sys/kernel/debug; do
	if mountpoint -q $below; then umount -R $below; fi
done

# All by one program that needs none of what is replaced meanwhile.
if [ "$root" ]; then
	ROOT=$root busybox sh -euc 'cd "$ROOT"; find . -type f -o -type l | while read -r file; do
		if [ -f "$file" ] && [ -f "/$file" ]; then mount -o bind "$file" "/$file"; fi
	done'
fi

exec dockerd --exec-root "$folder/exec" --pidfile "$folder/pid" --host "unix://$folder/sock" \
	--exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "$parent" --storage-driver overlay2 \
	--bip 172.30.0.1/24 --default-address-pool base=172.31.0.0/16,size=24 "$@"
