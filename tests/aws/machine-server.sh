# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# On a server that was delivered to and has its key, behind tests/vm/guest/lib.sh: what must hold. $key: the API key.
active() { systemctl -q is-active "$1"; }
started() { systemctl show -P "$1" "$2"; }

want "cloud-init ended well" sh -c \
	'test ! -e /run/cloud-init/result.json || grep -q "\"errors\": \[\]" /run/cloud-init/result.json'
deny "the package sources have http" grep -rhE '^deb[^#]* http:' /etc/apt/sources.list /etc/apt/sources.list.d
want "its list for installing is kept" grep -q 'target = ghcr.io' /etc/ohguard/policy-install.conf
want "the guard is in force" sh -c 'ohguard status --json | grep -q "\"enforcing\": true"'
want "with the strict list" sh -c 'ohguard list | grep -q api.openai.com && ! ohguard list | grep -q ubuntu.com:443'
want "OpenHands runs" active openhands
want "its state is on a volume of its own" mountpoint -q /var/lib/openhands-state
want "the guard came before it, by systemd's clock" test "$(started ExecMainStartTimestampMonotonic openhands)" -gt \
	"$(started ActiveEnterTimestampMonotonic ohguard)"
want "the timer refreshes" active ohguard-refresh.timer
deny "first boot's mask stays" sh -c 'systemctl is-enabled snapd.service snapd.socket motd-news.timer | grep masked'
want "the agent has no group but its own" test "$(id -Gn openhands)" = openhands
want "root's Docker is off" test "$(systemctl is-enabled docker.service docker.socket | sort -u)" = disabled
for unit in openhands openhands-docker; do
	want "$unit.service is well formed" systemd-analyze verify --man=no /etc/systemd/system/$unit.service
	fact "$unit.service exposure" "$(systemd-analyze security --no-pager $unit.service | tail -n 1)"
done
want "OpenHands' process has no capability" test \
	"$(sed -n 's/^CapBnd:\t//p' "/proc/$(started MainPID openhands)/status")" = 0000000000000000
want "and cannot get one" test "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$(started MainPID openhands)/status")" = 1
want "only root reads the key" test "$(stat -c '%U %a' /etc/credstore/openhands.llm-api-key)" = "root 600"
want "and the session's" test "$(stat -c '%U %a' /etc/credstore/openhands.session-key)" = "root 600"
want "and that of what is stored" test "$(stat -c '%U %a' /var/lib/openhands-state/secret-key)" = "root 600"
deny "the key is in an argument" grep -lsaF "$key" /proc/[0-9]*/cmdline
deny "the key is in another file" grep -rlsF "$key" /etc/ohguard /etc/systemd /usr/local /var/lib/ohguard \
	/var/lib/ohguard-setup /var/lib/cloud /var/log /home /root
deny "the key is in the journal" sh -c "journalctl --no-pager | grep -qF '$key'"
