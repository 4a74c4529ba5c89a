#!/bin/bash
# Ubuntu's updates on this machine. On a server no agent runs meanwhile, and the guard has the list for installing: what
# is on disk stays the strict one, which any boot loads. Run by ohguard-update.service, which calls `update end`
# however this ends.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
guard() { /usr/local/sbin/ohguard "$@" || [ $? = 4 ]; }
is_server() { [ -e /etc/ohguard/policy-install.conf ]; }

if [ "${1-}" = end ]; then
	if is_server; then
		guard load -c /etc/ohguard/ohguard.conf
		guard refresh
		for unit in docker.service openhands-docker.service openhands.service; do
			! systemctl --quiet is-enabled "$unit" || systemctl start --no-block "$unit"
		done
	fi
	exit 0
fi
if is_server; then
	for unit in openhands.service openhands-docker.service docker.service docker.socket; do
		systemctl stop "$unit" 2>/dev/null || true
	done
	guard load -c /etc/ohguard/policy-install.conf
	guard refresh
fi
options=(-o Acquire::Retries=5 -o Acquire::EnableSrvRecords=false -o DPkg::Lock::Timeout=300
	-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)
apt-get "${options[@]}" update
apt-get "${options[@]}" -y upgrade
