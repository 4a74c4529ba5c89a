#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the mount namespace it runs in into a machine of the lab, then holds it.
# usage: machine.sh DIR NAME   DIR/etc is laid over /etc; nothing is written outside DIR.
set -eu
dir=$1 name=$2
hostname "$name"

# Layers on a tmpfs: it vanishes with the namespace, and works where / is an overlay itself.
layers=$dir/machine-$name
mkdir "$layers"
mount -t tmpfs lab "$layers"
for tree in /etc /var/lib /var/log; do
	mkdir -p "$layers/upper$tree" "$layers/work$tree"
	mount -t overlay lab -o "lowerdir=$tree,upperdir=$layers/upper$tree,workdir=$layers/work$tree" "$tree"
done
rm -rf /etc/ohguard /var/lib/ohguard /var/log/ohguard
rm -rf /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem
cp -R "$dir/etc/." /etc/
mount -t tmpfs -o mode=755 lab /run

# sysfs shows the interfaces of the network namespace it was mounted in, so it needs a new one;
# what was mounted below the old one (cgroup2 above all) comes along, except bpffs: pins are the machine's own.
below="fs/cgroup kernel/security kernel/tracing kernel/debug"
for m in $below; do
	if mountpoint -q "/sys/$m"; then
		mkdir -p "$layers/sys/$m"
		mount --rbind "/sys/$m" "$layers/sys/$m"
	fi
done
mount -t sysfs lab /sys
for m in $below; do
	if [ -d "$layers/sys/$m" ]; then
		mount --rbind "$layers/sys/$m" "/sys/$m"
	fi
done
mount -t bpf -o mode=700 lab /sys/fs/bpf

echo ready
exec sleep infinity >/dev/null
