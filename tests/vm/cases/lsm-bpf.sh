#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# append: lsm=landlock,lockdown,yama,integrity,apparmor,bpf
# full: yes
. /vm/lib.sh

mount_at securityfs /sys/kernel/security
want "BPF LSM is on when the command line asks for it" grep -qw bpf /sys/kernel/security/lsm
fact "LSMs with lsm=...,bpf" "$(cat /sys/kernel/security/lsm)"
finish
