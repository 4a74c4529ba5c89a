#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# boots: 2
# alone: yes
# timeout: 600
# files: build/ohguard:/usr/sbin/ohguard build/systemd/ohguard.service:/etc/systemd/system/ohguard.service
# files: build/systemd/ohguard-gate.service:/etc/systemd/system/ohguard-gate.service
# files: build/systemd/ohguard-events.service:/etc/systemd/system/ohguard-events.service
# files: build/systemd/ohguard-refresh.service:/etc/systemd/system/ohguard-refresh.service
# files: build/systemd/ohguard-uplink.service:/etc/systemd/system/ohguard-uplink.service
# files: systemd/ohguard-refresh.timer:/etc/systemd/system/ohguard-refresh.timer
# files: build/systemd/90-ohguard.rules:/etc/udev/rules.d/90-ohguard.rules tests/vm/shout.py:/vm/shout.py
# files: tests/vm/shout.service:/etc/systemd/system/shout.service
# prepare: mkdir /etc/ohguard;
# prepare: printf '[guard]\nuplink = eth0\n[dns]\nresolver = 127.0.0.1\n[allow]\ntarget = 203.0.113.5\n'
# prepare: >/etc/ohguard/ohguard.conf;
# prepare: systemctl -q enable ohguard.service ohguard-refresh.timer shout.service
# The whole machine, guarded from its first boot on, then with a broken configuration. All the while something tries to
# get out by eth0, and the host records what does.
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
has_address() {
    for _ in $(seq 150); do
        ip -4 addr show dev eth0 2>/dev/null | grep -q "inet 10.0.2.15" && return
        sleep 0.2
    done
    return 1
}
guarded() {
    systemctl -q is-active ohguard.service ||
        { systemctl status --no-pager -l ohguard.service; die "ohguard.service is active"; }
    want "it was in force before systemd-networkd began" before systemd-networkd.service ExecMainStartTimestampMonotonic
    want "it was in force before network-pre.target" before network-pre.target ActiveEnterTimestampMonotonic
    want "the root cgroup is guarded" status_has '"cgroup": "/sys/fs/cgroup"'
    want "it enforces" status_has '"enforcing": true'
    want "eth0 got its address by DHCP through the guard" has_address
    want "a forbidden connection is refused at once" refused_at_once $outside 443
    want "a forbidden IPv6 connection is refused at once" refused_at_once 2001:db8::1 443
    want "loopback works" python3 -c 'import socket
l = socket.create_server(("127.0.0.1", 0)); socket.create_connection(l.getsockname(), 5)'
    want "something tries to get out" systemctl -q is-active shout.service
    outside deny wire oh-shut-datagram
    deny "networkd has given eth0 up" sh -c 'networkctl --no-legend list eth0 | grep -q failed'
}

case $OHGUARD_VM_BOOT in
    1)
        guarded
        outside deny wire oh-shut-frame
        want "the units are well formed" systemd-analyze verify --man=no /etc/systemd/system/ohguard.service \
            /etc/systemd/system/ohguard-refresh.service /etc/systemd/system/ohguard-refresh.timer \
            /etc/systemd/system/ohguard-uplink.service /etc/systemd/system/ohguard-events.service \
            /etc/systemd/system/ohguard-gate.service
        for unit in ohguard ohguard-refresh ohguard-uplink ohguard-events; do
            fact "$unit.service exposure" "$(systemd-analyze security --no-pager $unit.service | tail -n 1)"
        done
        want "the timer is active" systemctl -q is-active ohguard-refresh.timer
        want "a refresh by the timer succeeds" sh -c \
            'ended() { [ "$(systemctl show -P ExecMainExitTimestampMonotonic ohguard-refresh.service)" -gt 0 ]; }
             for _ in $(seq 300); do ended && break; sleep 0.2; done
             [ "$(systemctl show -P Result ohguard-refresh.service)" = success ] && ended'
        want "and says nothing, having nothing to say" test -z "$(journalctl -q -b -u ohguard-refresh.service)"
        want "what watches for uplinks runs" systemctl -q is-active ohguard-uplink.service
        want "what answers refused names runs" systemctl -q is-active ohguard-events.service
        want "and is known to the kernel" status_has '"refused_names": "answered"'
        want "allow" ohguard allow 203.0.113.9:8443
        deny "what is allowed is not refused" refused_at_once 203.0.113.9 8443
        dnsmasq --no-resolv --no-hosts --listen-address=127.0.0.1 --bind-interfaces --local-ttl=60 --local=/example/ \
            --host-record=site.example,203.0.113.77
        want "allow a name" ohguard allow site.example
        want "reload keeps the guard" systemctl reload ohguard.service
        want "after it a forbidden connection is refused at once" refused_at_once $outside 443
        want "the unit can be stopped" systemctl stop ohguard.service
        want "and that opens nothing" refused_at_once $outside 443
        want "nor does it stop the network" systemctl -q is-active systemd-networkd.service
        want "start" systemctl start ohguard.service
        want "events name the process" sh -c 'ohguard events --json | grep -q "\"command\": \"python3\""'
        device=$(basename "$(readlink -f /sys/class/net/eth0/device)")
        index=$(cat /sys/class/net/eth0/ifindex)
        echo "$device" >/sys/bus/virtio/drivers/virtio_net/unbind
        want "a refresh without the uplink" ohguard refresh
        echo "$device" >/sys/bus/virtio/drivers/virtio_net/bind
        want "eth0 is back" has_address
        deny "and is another one" test "$(cat /sys/class/net/eth0/ifindex)" = "$index"
        want "it is guarded" ohguard status
        echo 'nonsense = 1' >>$conf
        sync
        vm-reset
        ;;
    2)
        # A bad configuration: closed, said, and the machine is up to be repaired.
        guarded
        want "it says that it is locked down" status_has 'locked down'
        want "the journal says why" sh -c 'journalctl -b -u ohguard.service | grep -q "nonsense"'
        outside want console nonsense
        outside want console "is locked down"
        want "what the configuration allows is refused too" refused_at_once 203.0.113.5 443
        want "events say lockdown" sh -c 'ohguard events --json | grep -q "\"reason\": \"lockdown\""'
        sed -i '/nonsense/d' $conf
        want "load repairs it" ohguard load --no-resolve
        deny "what is allowed is not refused" refused_at_once 203.0.113.5 443
        want "what was allowed outlives a power cut" sh -c 'ohguard list | grep -q "203.0.113.9:8443"'
        deny "and is in force" refused_at_once 203.0.113.9 8443
        deny "without DNS, what it last said is in force" refused_at_once 203.0.113.77 443
        touch /run/open
        want "unload" ohguard unload --yes
        want "disable --now" systemctl -q disable --now ohguard.service ohguard-refresh.timer
        want "the network goes on" systemctl -q is-active systemd-networkd.service
        deny "and nothing of ours holds it back at the next boot" test -e \
            /etc/systemd/system/systemd-networkd.service.requires/ohguard-gate.service
        deny "then nothing is refused" refused_at_once $outside 443
        sleep 2
        outside want wire oh-open-datagram
        outside want wire oh-open-frame
        ;;
esac
finish
