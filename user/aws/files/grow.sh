#!/bin/bash
# Makes each file system as large as its disk, which may have grown.
set -euo pipefail

for place in / /var/lib/openhands-state; do
	device=$(findmnt -no SOURCE --mountpoint "$place" || true)
	if [ ! -b "$device" ] || [ "$(findmnt -no FSTYPE --mountpoint "$place")" != ext4 ]; then
		continue
	fi
	disk=/dev/$(lsblk -no PKNAME "$device")
	if [ "$disk" != /dev/ ] && command -v growpart >/dev/null; then
		growpart "$disk" "$(cat "/sys/class/block/${device##*/}/partition")" || true # 1: nothing to grow
	fi
	resize2fs "$device"
done
