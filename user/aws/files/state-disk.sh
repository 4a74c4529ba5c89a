#!/bin/bash
# Mounts the volume with what the agent makes: the disk with our label, or the one empty disk there is, which gets it.
set -euo pipefail
state=/var/lib/openhands-state
label=ohguard-state

# Neither partitions, nor anything that blkid knows, nor in use.
empty_disks() {
	lsblk -dnpo NAME,TYPE | while read -r disk type; do
		if [ "$type" = disk ] && [ "$(lsblk -npo NAME "$disk" | wc -l)" = 1 ] &&
			! findmnt -S "$disk" >/dev/null &&
			[ "$(blkid -p -o value -s TYPE "$disk" 2>&1; echo $?)" = 2 ]; then
			echo "$disk"
		fi
	done
}

install -d -m 0755 "$state"
if mountpoint -q "$state"; then
	exit 0
fi
# AWS attaches it a little later than the machine starts.
for _ in $(seq 60); do
	disk=$(blkid -c /dev/null -L "$label" || true)
	[ -z "$disk" ] || break
	mapfile -t empty < <(empty_disks)
	if [ ${#empty[@]} = 1 ]; then
		mkfs.ext4 -q -L "$label" "${empty[0]}"
	elif [ ${#empty[@]} -gt 1 ]; then
		echo "state-disk: several empty disks (${empty[*]}): which is for the agent's state? Label it:" \
			"mkfs.ext4 -L $label" >&2
		exit 1
	else
		sleep 2
	fi
done
if [ -z "$disk" ]; then
	echo "state-disk: no volume for the agent's state is attached: run \`ohguard aws apply\`" >&2
	exit 1
fi
# nofail: a machine that is to be mended must boot. OpenHands does not start without it.
if ! grep -q "^LABEL=$label " /etc/fstab; then
	echo "LABEL=$label $state ext4 defaults,nodev,nosuid,nofail,x-systemd.device-timeout=60s 0 2" >>/etc/fstab
	systemctl daemon-reload
fi
mount "$state"
