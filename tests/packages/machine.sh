#!/bin/sh
# SPDX-License-Identifier: MIT
# In a whole machine: Debian's package from its installation to its end, in two boots. All the while shout.service tries
# to get out, and the host records what does: "oh-open" while it may, "oh-shut" while the guard is in force.
. /vm/lib.sh

pins=/sys/fs/bpf/ohguard/host
outside=203.0.113.9
open() { : >/run/open; }
shut() { rm -f /run/open; }
quiet() { "$@" >/tmp/said 2>&1 </dev/null; }
said() { grep -q "$1" /tmp/said; }
package() { DEBIAN_FRONTEND=noninteractive quiet dpkg --force-confold "$@" || { cat /tmp/said; return 1; }; }
version() { dpkg-query -W -f '${Version}' ohguard; }
program() { ohguard status --json | tr -d ' \n' | sed 's/.*"hook":"egress"[^}]*"since":"\([^"]*\)".*/\1/'; }
status_has() { ohguard status --json | grep -q "$1"; }
refused_at_once() { python3 -c '
import socket, sys
try:
    socket.create_connection((sys.argv[1], 443), 5)
except PermissionError:
    sys.exit(0)
except OSError:
    pass
sys.exit(1)' $outside; }
soon() { for _ in $(seq 150); do quiet "$@" && return; sleep 0.2; done; return 1; }
enabled() { systemctl list-unit-files --no-legend 'ohguard*' | awk '$2 == "enabled"' | grep .; }
confined() { soon sh -c "grep -q '^ohguard (enforce)' /proc/\$(systemctl show -P MainPID $1)/attr/apparmor/current"; }
in_force() {
    want "$1: it enforces" status_has '"enforcing": true'
    want "$1: a forbidden connection is refused at once" refused_at_once
    want "$1: something tries to get out" systemctl -q is-active shout.service
    want "$1: the configuration is kept" grep -q '^# mine' /etc/ohguard/ohguard.conf
}
refreshed() {
    systemctl start ohguard-refresh.service
    want "$1: uplinks are watched" soon systemctl -q is-active ohguard-uplink.service
    want "$1: by a service that AppArmor confines" confined ohguard-uplink.service
    want "$1: a refused name is answered, not dropped" soon sh -c \
        "python3 -c 'import socket; socket.getaddrinfo(\"refused.example\", 443)' 2>&1 | grep -q 'not known'"
    want "$1: the history has a refusal" soon grep -q '"reason":' /var/log/ohguard/host.jsonl
}
no_denial() {
    want "AppArmor confines at all" aa-enabled --quiet
    deny "AppArmor denied something" sh -c \
        'journalctl -k -b --no-pager | grep "apparmor=\"DENIED\".*profile=\"ohguard\""'
}

case $OHGUARD_VM_BOOT in
    1)
        open
        systemctl -q enable --now shout.service
        echo 'nameserver 10.0.2.3' >/etc/resolv.conf
        want "eth0 has its address" soon sh -c 'ip -4 addr show dev eth0 | grep -q "inet 10.0.2.15"'
        want "install, of an older commit" package -i /deb/before.deb
        was=$(version)
        deny "that enables a unit" enabled
        deny "that loads anything" test -e $pins
        outside want wire oh-open-datagram
        sleep 2
        printf '# mine\n[guard]\nuplink = eth0\n[dns]\nresolver = 10.0.2.3\n[allow]\ntarget = 203.0.113.5\n' \
            >/etc/ohguard/ohguard.conf
        systemctl -q enable --now ohguard.service ohguard-refresh.timer
        shut
        outside deny wire oh-shut-datagram
        outside deny wire oh-shut-frame
        in_force "before"
        before=$(program)

        want "lock" quiet ohguard lock
        deny "an upgrade of what is locked" package -i /deb/this.deb
        want "which says what to type" said 'ohguard unlock'
        want "unlock" quiet ohguard unlock

        want "upgrade" package -i /deb/this.deb
        deny "the version is that of before" test "$(version)" = "$was"
        in_force "upgraded"
        deny "the programs are those of before" test "$(program)" = "$before"
        deny "the programs are of another build" sh -c 'ohguard status | grep "another build"'
        refreshed "upgraded"

        deny "a downgrade" package -i /deb/before.deb
        want "which says why" said 'is installed, and the guard in force may not understand'
        in_force "not downgraded"
        deny "removal of what is loaded" package --remove ohguard
        want "which says what to type" said 'ohguard unload'
        in_force "not removed"
        no_denial
        sync
        ;;
    2)
        outside deny wire oh-shut-datagram
        outside deny wire oh-shut-frame
        want "eth0 has its address, through the guard" soon sh -c 'ip -4 addr show dev eth0 | grep -q "inet 10.0.2.15"'
        in_force "booted"
        refreshed "booted"
        no_denial
        open
        want "purge" package --purge ohguard
        deny "the guard is still there" test -e $pins
        deny "there is still a file of it" sh -c \
            'ls -d /usr/sbin/ohguard /etc/ohguard /var/lib/ohguard /var/log/ohguard /etc/apparmor.d/ohguard \
            /lib/systemd/system/ohguard* 2>/dev/null | grep .'
        deny "a unit still asks for it" sh -c 'find /etc/systemd -name "*ohguard*" | grep .'
        want "the network starts" systemctl restart systemd-networkd.service
        want "and has its address" soon sh -c 'ip -4 addr show dev eth0 | grep -q "inet 10.0.2.15"'
        outside want wire oh-open-datagram
        sleep 2
        ;;
esac
finish
