#!/bin/sh
# SPDX-License-Identifier: MIT
# A command line of a user who runs Podman, in a lab's server: rootless, with the packages as Debian has them.
# usage: podman.sh FOLDER SERVERS COMMAND...
# Run it as root in namespaces of its own (mount, cgroup). FOLDER is the user's home, and outlives the call. What
# SERVERS has unpacked (scripts/deps), it uses beside what the machine has installed.
set -eu
home=$1 servers=$2
shift 2
user=1000

if [ -e "$servers/usr/bin/podman" ]; then
	mount -t overlay podman -o "lowerdir=$servers/usr:/usr" /usr
	mkdir -p /etc/containers
	cp -R "$servers/etc/containers/." /etc/containers/
fi
# Podman sees one cgroup2 tree, as a host of today has.
umount -R /sys/fs/cgroup
mount -t cgroup2 lab /sys/fs/cgroup
run=/run/user/$user
mkdir -p "$home" "$run"
chown "$user:$user" "$home" "$run"
if ! grep -q "^podman:" /etc/passwd; then
	sed -i "1i podman:x:$user:$user::$home:/bin/sh" /etc/passwd	# the first one with this number
	echo "podman:100000:65536" | tee /etc/subuid >/etc/subgid
	mknod -m 666 /run/tun c 10 200
fi
mount --bind /run/tun /dev/net/tun	# root's alone on some machines
mount --make-rshared /
cd /
exec setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all \
	env -i PATH="$PATH" HOME="$home" USER=podman XDG_RUNTIME_DIR="$run" LANG=C.UTF-8 "$@"
