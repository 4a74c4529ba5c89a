#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# boots: 2
# alone: yes
# full: yes
# timeout: 600
# append: lsm=landlock,lockdown,yama,integrity,apparmor,bpf
# files: build/ohguard:/usr/sbin/ohguard build/tests/vm/poke:/usr/local/bin/poke
# files: build/systemd/ohguard.service:/etc/systemd/system/ohguard.service
# files: build/systemd/ohguard-gate.service:/etc/systemd/system/ohguard-gate.service
# files: build/systemd/ohguard-refresh.service:/etc/systemd/system/ohguard-refresh.service
# files: build/systemd/ohguard-lock.service:/etc/systemd/system/ohguard-lock.service
# files: systemd/ohguard-refresh.timer:/etc/systemd/system/ohguard-refresh.timer
# prepare: mkdir /etc/ohguard;
# prepare: printf '[dns]\nresolver = 10.0.2.3\n[allow]\ntarget = 203.0.113.5\n' >/etc/ohguard/ohguard.conf;
# prepare: systemctl -q enable ohguard.service ohguard-lock.service ohguard-refresh.timer
# A machine that is guarded whole and locked from boot on: its units work, which have mounts of their own, and nobody
# else.
. /vm/lib.sh

key=/etc/ohguard/lock.key
status_has() { ohguard status --json | grep -q "$1"; }
quiet() { "$@" >/dev/null 2>&1 </dev/null; }
container() { unshare --mount --pid --fork --ipc --cgroup --mount-proc "$@"; }
confined() {
    systemd-run -q --wait -p ProtectSystem=strict -p PrivateTmp=yes -p ProtectHome=yes -p PrivateDevices=yes "$@"
}
monotonic() { systemctl show -P "$2" "$1"; }
# A unit whose /run says that another configuration is in force.
fake() { systemd-run -q --pipe --wait -p BindPaths=/root/fake:/run/ohguard ohguard list 2>&1 | grep "$1"; }
# By the timer, after a moment of this boot in microseconds.
refreshed_since() {
    for _ in $(seq 300); do
        [ "$(monotonic ohguard-refresh.service ExecMainExitTimestampMonotonic)" -gt "$1" ] && break
        sleep 0.2
    done
    [ "$(monotonic ohguard-refresh.service ExecMainExitTimestampMonotonic)" -gt "$1" ] &&
        [ "$(systemctl show -P Result ohguard-refresh.service)" = success ]
}
now() { awk '{ print int($1 * 1000000) }' /proc/uptime; }

for unit in ohguard ohguard-lock; do
    systemctl -q is-active $unit.service ||
        { systemctl status --no-pager -l $unit.service; die "$unit.service is active"; }
done
want "it enforces" status_has '"enforcing": true'
want "it is locked" status_has '"locked": true'
want "it was locked before networkd began" test "$(monotonic ohguard-lock.service ActiveEnterTimestampMonotonic)" -le \
    "$(monotonic systemd-networkd.service ExecMainStartTimestampMonotonic)"
want "eth0 got its address by DHCP through the guard" sh -c \
    'for _ in $(seq 50); do ip -4 addr show dev eth0 | grep -q "inet 10.0.2.15" && exit 0; sleep 0.2; done; exit 1'
want "a refresh by the timer" refreshed_since "$(monotonic ohguard-lock.service ActiveEnterTimestampMonotonic)"
deny "removal of a pin" quiet rm /sys/fs/bpf/ohguard/host/egress
deny "reading the key" quiet cat $key
if [ "$OHGUARD_VM_BOOT" = 2 ]; then
    deny "the boot before ended with file systems not clean" sh -c \
        'journalctl -k -b | grep -Eq "recovering journal|recovery complete"'
    want "unlock" ohguard unlock
    finish
fi

want "packet sockets are refused" status_has '"packet_sockets": "refused"'
want "a packet socket of the host itself" quiet poke packet 17
deny "a packet socket in a container" quiet container poke packet 17
deny "AF_XDP, of the host itself" quiet poke packet 44
deny "PACKET_QDISC_BYPASS, of the host itself" quiet poke bypass
deny "a new configuration" quiet sh -c 'echo >>/etc/ohguard/ohguard.conf'
deny "from a container" quiet container ohguard list
deny "unlocking from a container" quiet container ohguard unlock
deny "in another network namespace" quiet unshare -n ohguard list
deny "by another clock" quiet poke clocks /usr/sbin/ohguard list
deny "in a unit that may not enter the host's mounts" confined -p CapabilityBoundingSet='CAP_BPF CAP_SYS_ADMIN' \
    ohguard list
want "in a unit that may" confined ohguard list
want "other units start, with mounts of their own" confined -p ProtectKernelTunables=yes true
mkdir -p /root/fake/host
printf '[allow]\ntarget = 203.0.113.66\n' >/root/fake/host/loaded.conf
want "a unit with another /run is told what is true" fake 203.0.113.5
deny "and not what was put there" fake 203.0.113.66

want "reload by the unit" systemctl reload ohguard.service
want "still locked" status_has '"locked": true'
want "restart by hand, which loads again" systemctl restart ohguard.service
want "and it is locked as before" status_has '"locked": true'
want "allow" ohguard allow 203.0.113.7
want "a refresh by the timer after that" refreshed_since "$(now)"

# The key kept elsewhere.
want "unlock" ohguard unlock
want "a unit with another /run believes it, unlocked" fake 203.0.113.66
mv $key /root/key
want "lock with the key elsewhere" ohguard lock --key /root/key
deny "unlock without it" quiet ohguard unlock
deny "reload without it" quiet systemctl reload ohguard.service
want "it enforces still" status_has '"enforcing": true'
want "a refresh by the timer needs none" refreshed_since "$(now)"
want "a refresh by hand" systemctl start ohguard-refresh.service

# An upgrade.
cp /usr/sbin/ohguard /root/ohguard
deny "another binary" quiet mv /root/ohguard /usr/sbin/ohguard
want "unlock with it" ohguard unlock --key /root/key
mv /root/key $key
want "another binary, unlocked" mv /root/ohguard /usr/sbin/ohguard
want "reload by it" systemctl reload ohguard.service
want "lock by it" ohguard lock
want "a refresh by the timer, by it" refreshed_since "$(now)"
want "healthy" quiet ohguard status
sync
finish
