#!/bin/sh
# mode: systemd
# boots: 4
# alone: yes
# timeout: 360
# files: build/ohguard:/vm/units.bin/ohguard build/systemd/ohguard.service:/vm/units/ohguard.service build/systemd/ohguard-refresh.service:/vm/units/ohguard-refresh.service systemd/ohguard-refresh.timer:/vm/units/ohguard-refresh.timer
# The whole machine: installed, then rebooted with the guard on the root cgroup, then with a broken configuration.
. /vm/lib.sh

conf=/etc/ohguard/ohguard.conf
outside=192.0.2.1	# a test network: nothing is there, and the guard must refuse before the network does

# shellcheck disable=SC2016  # expanded by the inner shell
refused_at_once() { python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.settimeout(5)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
except PermissionError:
    sys.exit(0)
except OSError:
    pass
sys.exit(1)' "$1" "$2"; }
monotonic() { systemctl show -P "$2" "$1"; }
before() { test "$(monotonic ohguard.service ActiveEnterTimestampMonotonic)" -gt 0 &&
    test "$(monotonic ohguard.service ActiveEnterTimestampMonotonic)" -le "$(monotonic "$1" "$2")"; }
status_has() { ohguard status --json | grep -q "$1"; }
guarded() {
    systemctl -q is-active ohguard.service || { systemctl status --no-pager -l ohguard.service; die "ohguard.service is active"; }
    want "it was in force before systemd-networkd began" before systemd-networkd.service ExecMainStartTimestampMonotonic
    want "it was in force before network-pre.target" before network-pre.target ActiveEnterTimestampMonotonic
    want "the root cgroup is guarded" status_has '"cgroup": "/sys/fs/cgroup"'
    want "it enforces" status_has '"enforcing": true'
    want "eth0 got its address by DHCP through the guard" sh -c \
        'for i in $(seq 50); do ip -4 addr show dev eth0 | grep -q "inet 10.0.2.15" && exit 0; sleep 0.2; done; exit 1'
    want "a forbidden connection is refused at once" refused_at_once $outside 443
    want "a forbidden IPv6 connection is refused at once" refused_at_once 2001:db8::1 443
    want "loopback works" python3 -c 'import socket
l = socket.create_server(("127.0.0.1", 0)); socket.create_connection(l.getsockname(), 5)'
    deny "networkd has given eth0 up" sh -c 'networkctl --no-legend list eth0 | grep -q failed'
}

case $OHGUARD_VM_BOOT in
    1)
        deny "not guarded yet" refused_at_once $outside 443
        mkdir -p /etc/ohguard
        printf '[allow]\ntarget = 203.0.113.5\n' >$conf
        cp /vm/units/* /etc/systemd/system/
        cp /vm/units.bin/ohguard /usr/sbin/ohguard
        want "the units are well formed" systemd-analyze verify --man=no /etc/systemd/system/ohguard.service \
            /etc/systemd/system/ohguard-refresh.service /etc/systemd/system/ohguard-refresh.timer
        want "enable" systemctl -q enable ohguard.service ohguard-refresh.timer
        for unit in ohguard ohguard-refresh; do
            fact "$unit.service exposure" "$(systemd-analyze security --no-pager $unit.service | tail -n 1)"
        done
        sync
        ;;
    2)
        guarded
        want "the timer is active" systemctl -q is-active ohguard-refresh.timer
        want "a refresh by the timer succeeds" sh -c \
            'for i in $(seq 300); do [ "$(systemctl show -P ExecMainExitTimestampMonotonic ohguard-refresh.service)" -gt 0 ] && break; sleep 0.2; done
             [ "$(systemctl show -P Result ohguard-refresh.service)" = success ] &&
             [ "$(systemctl show -P ExecMainExitTimestampMonotonic ohguard-refresh.service)" -gt 0 ]'
        want "allow" ohguard allow 203.0.113.9:8443
        deny "what is allowed is not refused" refused_at_once 203.0.113.9 8443
        want "reload keeps the guard" systemctl reload ohguard.service
        want "after it a forbidden connection is refused at once" refused_at_once $outside 443
        deny "stopping by hand is refused" systemctl stop ohguard.service
        want "events name the process" sh -c 'ohguard events --json | grep -q "\"command\": \"python3\""'
        vm-reset
        ;;
    3)
        guarded
        want "what was allowed outlives a power cut" sh -c 'ohguard list | grep -q "203.0.113.9:8443"'
        deny "and is in force" refused_at_once 203.0.113.9 8443
        echo 'nonsense = 1' >>$conf
        sync
        ;;
    4)
        # A bad configuration: closed, said, and the machine is up to be repaired.
        guarded
        want "it says that it is locked down" status_has 'locked down'
        want "the journal says why" sh -c 'journalctl -b -u ohguard.service | grep -q "nonsense"'
        want "what the configuration allows is refused too" refused_at_once 203.0.113.5 443
        want "events say lockdown" sh -c 'ohguard events --json | grep -q "\"reason\": \"lockdown\""'
        sed -i '/nonsense/d' $conf
        want "load repairs it" ohguard load
        deny "what is allowed is not refused" refused_at_once 203.0.113.5 443
        ;;
esac
finish
