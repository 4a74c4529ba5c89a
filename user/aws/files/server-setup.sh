#!/bin/bash
# Makes an Ubuntu machine a guarded OpenHands server, from the files beside this one. May run again at any time:
# replaces what changed, and never leaves a moment without the guard.
set -euo pipefail
umask 022
export DEBIAN_FRONTEND=noninteractive
here=$(dirname "$(readlink -f "$0")")
image="ghcr.io/openhands/@OPENHANDS@"
agent_docker="@AGENT_DOCKER@"
agent_sudo="@AGENT_SUDO@"
state=/var/lib/openhands-state
done_mark="/var/lib/ohguard-setup/${image##*:}-$agent_docker-$agent_sudo"

say() { printf '%s\n' "server-setup: $*"; }

random_key() { openssl rand -hex 32; }

docker_of_agent() { runuser -u openhands -- env DOCKER_HOST="$DOCKER_HOST" docker "$@"; }

@file:put@

@file:guard@

put_guard
put openhands.service /etc/systemd/system/openhands.service 0644
put openhands-docker.service /etc/systemd/system/openhands-docker.service 0644
put openhands-run.sh /usr/local/lib/ohguard/openhands-run 0755
put openhands-settings.py /usr/local/lib/ohguard/openhands-settings 0755
put openhands-docker.sh /usr/local/lib/ohguard/openhands-docker 0755
put set-key.sh /usr/local/sbin/ohguard-set-key 0755
put state-disk /usr/local/lib/ohguard/state-disk 0755
put grow /usr/local/sbin/ohguard-grow 0755
put update /usr/local/sbin/ohguard-update 0755
put update.service /etc/systemd/system/ohguard-update.service 0644
put policy-install /etc/ohguard/policy-install.conf 0644
install -d -m 0755 /var/lib/ohguard-setup
systemctl daemon-reload

/usr/local/lib/ohguard/state-disk
/usr/local/sbin/ohguard-grow

if [ ! -e "$done_mark" ] || [ ! -e "$state/home" ]; then
	# No agent while the list is wider than its own, nor after a reboot in the middle of this: it is enabled at the
	# end. Its sandboxes end with the Docker that runs them.
	systemctl disable --now openhands.service
	for unit in openhands-docker.service docker.service docker.socket; do
		systemctl stop "$unit" 2>/dev/null || true
	done
	say "guard with the list for installing (/etc/ohguard/policy-install.conf)"
	put policy-install /etc/ohguard/ohguard.conf 0644
	guard load
	guard refresh
	enable_guard

	say "packages"
	# No SRV records: there are none for these names, and the guard refuses to ask.
	options=(-o Acquire::Retries=5 -o Acquire::EnableSrvRecords=false -o DPkg::Lock::Timeout=300)
	# The system's own look at the archive may hold the lists, which no option waits for.
	for try in 1 2 3; do
		if apt-get "${options[@]}" update; then break; fi
		[ "$try" != 3 ]
		sleep 20
	done
	apt-get "${options[@]}" -y --no-install-recommends install \
		docker.io rootlesskit slirp4netns uidmap fuse-overlayfs iptables curl openssl python3
	if ! id openhands >/dev/null 2>&1; then
		useradd --system --create-home --home-dir /var/lib/openhands --shell /usr/sbin/nologin openhands
	fi
	# The subordinate ids of its containers' users: a range of its own, once.
	grep -q '^openhands:' /etc/subuid || usermod --add-subuids 300000-365535 --add-subgids 300000-365535 openhands
	if [ "$agent_docker" = yes ]; then
		say "agent-docker = yes: the agent's user may use Docker's socket, and that is root on this machine"
		usermod --append --groups docker openhands
		echo "DOCKER_HOST=unix:///var/run/docker.sock" >/etc/ohguard/openhands.env
		systemctl enable --now docker.service
	else
		gpasswd --delete openhands docker 2>/dev/null || true
		echo "DOCKER_HOST=unix:///run/openhands/docker.sock" >/etc/ohguard/openhands.env
		systemctl disable --now docker.service docker.socket
		systemctl enable --now openhands-docker.service
	fi
	if [ "$agent_sudo" = yes ]; then
		usermod --append --groups sudo openhands
	else
		gpasswd --delete openhands sudo 2>/dev/null || true
	fi

	say "OpenHands: $image"
	# shellcheck disable=SC1091
	. /etc/ohguard/openhands.env
	# Its socket comes a little later than the service.
	for _ in $(seq 120); do
		if docker_of_agent version >/dev/null 2>&1; then break; fi
		sleep 1
	done
	docker_of_agent pull --quiet "$image"
	# Its folders belong to the user that the image runs as, as whom Docker shows that one here.
	install -d -m 0755 "$state" "$state/home" "$state/projects"
	user=$(docker_of_agent image inspect --format '{{.Config.User}}' "$image")
	user=${user:-root}
	# Through Docker's own user, since only that one may give a file away to them.
	chown openhands: "$state/home" "$state/projects"
	docker_of_agent run --rm --pull never --network none --user root --entrypoint chown --volume "$state/home:/a" \
		--volume "$state/projects:/b" "$image" "${user%%:*}" /a /b
	touch "$done_mark"
fi
(
	umask 077
	install -d -m 0700 /etc/credstore
	[ -s /etc/credstore/openhands.session-key ] || random_key >/etc/credstore/openhands.session-key
	[ -s "$state/secret-key" ] || random_key >"$state/secret-key"
	put openhands.settings /etc/credstore/openhands.settings 0600
)

say "guard with the strict list"
guard_with policy
systemctl enable openhands.service
if [ -s /etc/credstore/openhands.llm-api-key ]; then
	systemctl restart openhands.service
else
	say "no API key yet: ohguard aws set-key starts OpenHands"
fi
# What first boot held back: the agent of Systems Manager is a snap.
for unit in apt-daily.timer apt-daily-upgrade.timer motd-news.timer snapd.socket snapd.service; do
	systemctl unmask --runtime "$unit" 2>/dev/null || true
	systemctl start --no-block "$unit" 2>/dev/null || true
done
install -m 0644 "$here/delivery-id" /var/lib/ohguard-setup/delivery-id
