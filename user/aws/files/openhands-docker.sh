#!/bin/bash
# Docker of the agent's user, without root: in namespaces of its own, whose packets slirp4netns sends on as its own.
set -euo pipefail

if [ "${1-}" != inside ]; then
	# Port 3000 leads in, and nothing in there gets at the host's loopback.
	exec rootlesskit --net=slirp4netns --mtu=1500 --slirp4netns-sandbox=auto --slirp4netns-seccomp=auto \
		--disable-host-loopback --port-driver=builtin --publish=0.0.0.0:3000:3000/tcp \
		--copy-up=/etc --copy-up=/run --propagation=rslave "$0" inside
fi
rm -f /run/docker /run/containerd /run/xtables.lock
# Asked by name, as the guard knows it: slirp4netns has an address of its own for it, which is no resolver of the
# host's.
echo "nameserver @RESOLVER@" >/etc/resolv.conf
# Its containers stay in this service's cgroup: systemd makes others only for users who are logged in.
exec dockerd --data-root /var/lib/openhands/docker --dns @RESOLVER@ --exec-opt native.cgroupdriver=cgroupfs
