#!/bin/sh
# mode: systemd
# boots: 3
# alone: yes
# full: yes
# root: cloud
# place: server
# timeout: 1500
# files: build/ohguard:/vm/ohguard /bin/busybox:/vm/busybox
# A server's user data from its first boot on, then what `aws deliver` runs there: guard, Docker, OpenHands' unit with a
# stand-in for its image, the key, a reboot, and the checks of `aws verify`.
. /vm/cloud.sh

key=sk-test-0123456789-abcdefghijklmnop
told() { curl -s --max-time 10 http://127.0.0.1:3000/cgi-bin/told; }
tells() { told | grep -q "$1"; }
key_is() { tells "key $(printf %s "$1" | sha256sum | cut -c 1-16)"; }
within() { n=$1; shift; for _ in $(seq "$n"); do "$@" && return; sleep 1; done; return 1; }
verify() { ohguard aws render verify -c /root/stack.conf | bash -s >/root/verify; cat /root/verify; }
failing() { grep -c ^FAIL /root/verify; }
started() { systemctl show -P "$2" "$1"; }
after() { test "$(started "$1" ExecMainStartTimestampMonotonic)" -gt "$(started "$2" ExecMainStartTimestampMonotonic)"; }

deliver() {
    mkdir -p /root/delivery
    for file in server-setup policy policy-install openhands-run.sh set-key.sh openhands.service openhands-docker.service \
        ohguard.service ohguard-refresh.service ohguard-refresh.timer; do
        /vm/ohguard aws render $file -c /root/stack.conf >/root/delivery/$file || die "render $file"
    done
    cp /vm/ohguard /root/delivery/
    echo 1 >/root/delivery/delivery-id
    want "$1" sh -c 'bash /root/delivery/server-setup >/root/setup.log 2>&1'
    well || { tail -n 60 /root/setup.log; journalctl --no-pager -b -u openhands-docker | tail -n 40; }
}

runs() {
    want "OpenHands answers" within 240 tells runtime
    well || journalctl --no-pager -b -u openhands -u openhands-docker | tail -n 60
    want "it started after the guard" after openhands.service ohguard.service
    want "with the key from its credential" key_is "$1"
    want "with the pinned runtime image" tells "runtime docker.openhands.dev/openhands/runtime:0.61-nikolaik"
    want "with the agent's Docker, which is not root's" tells "socket there"
    want "its container cannot leave" tells contained
    deny "the key is in an argument" grep -lsaF "$1" /proc/[0-9]*/cmdline
    deny "the key is in another file" grep -rlsF "$1" /etc/ohguard /etc/systemd /usr/local /var/lib/ohguard /var/lib/ohguard-setup /var/log
    deny "the key is in the journal" sh -c "journalctl --no-pager | grep -qF $1"
    want "the proxy reaches it" looks get/10.0.0.10/http/3000/cgi-bin/told 200
    want "nobody else does" looks port/10.0.1.1/3000 silent
    want "the proxy reaches ssh" looks port/10.0.0.10/22 open
    want "nobody else does" looks port/10.0.1.1/22 silent
    verify
    want "all checks of verify are as they must be" test "$(failing)" = 0
}

case $OHGUARD_VM_BOOT in
    1) seed server-1 10.0.1.11 10.0.1.1 ;;
    2)
        cp /vm/ohguard /usr/local/sbin/
        first_boot_done
        want "IPv6 is off" test "$(cat /proc/sys/net/ipv6/conf/all/disable_ipv6)" = 1
        deny "the package sources have http" grep -rhE '^deb[^#]* http:' /etc/apt/sources.list /etc/apt/sources.list.d
        want "nothing goes out by itself" test "$(systemctl is-enabled apt-daily.timer snapd.service | sort -u)" = masked-runtime
        deny "the guard is there" systemctl -q is-active ohguard
        # Without the guard all that must fail works: the checks can tell.
        verify
        want "verify fails without the guard" test "$(failing)" -ge 8

        deliver "server-setup ended well"
        want "its list for installing is kept" grep -q 'target = ghcr.io' /etc/ohguard/policy-install.conf
        want "the strict list is in force" sh -c 'ohguard list | grep -q api.openai.com && ! ohguard list | grep -q ubuntu.com'
        want "OpenHands does not run without a key" test "$(systemctl is-active openhands)" != active
        want "the agent has no group but its own" test "$(id -Gn openhands)" = openhands
        want "root's Docker is off" test "$(systemctl is-enabled docker.service docker.socket | sort -u)" = disabled
        for unit in openhands openhands-docker; do
            want "$unit.service is well formed" systemd-analyze verify --man=no /etc/systemd/system/$unit.service
            fact "$unit.service exposure" "$(systemd-analyze security --no-pager $unit.service | tail -n 1)"
        done

        want "set-key" sh -c "printf %s first-$key | bash /usr/local/sbin/ohguard-set-key"
        want "only root reads it" test "$(stat -c '%U %a' /etc/credstore/openhands.llm-api-key)" = "root 600"
        runs first-$key
        want "another key, without a reboot" sh -c "printf %s $key | bash /usr/local/sbin/ohguard-set-key"
        want "it has that one then" within 120 key_is $key
        deliver "the same delivery again"
        want "installs nothing" sh -c '! grep -q packages /root/setup.log'
        sync
        ;;
    3) runs $key ;;
esac
finish
