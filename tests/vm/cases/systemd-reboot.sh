#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# boots: 3
# alone: yes
# full: yes
# What the cases of several boots rest on: a clean reboot, then a power cut, keep the disk and nothing else.
. /vm/lib.sh

state=/var/lib/vm-reboot
boot_id=/proc/sys/kernel/random/boot_id

case $OHGUARD_VM_BOOT in
    1)
        deny "the disk is new" test -e "$state"
        cat "$boot_id" >"$state"
        ;;
    2)
        want "the disk outlives a reboot" test -s "$state"
        deny "this is another boot" cmp -s "$state" "$boot_id"
        echo cut >"$state"
        sync "$state"
        touch /run/vm-volatile
        vm-reset
        ;;
    3)
        want "what was synced outlives a power cut" grep -qx cut "$state"
        deny "what was in memory does not" test -e /run/vm-volatile
        ;;
esac
finish
