#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# alone: yes
# timeout: 600
# files: build/ohguard:/usr/sbin/ohguard build/systemd/ohguard.service:/etc/systemd/system/ohguard.service
# files: build/systemd/ohguard-gate.service:/etc/systemd/system/ohguard-gate.service
# files: build/systemd/ohguard-events.service:/etc/systemd/system/ohguard-events.service
# files: build/systemd/ohguard-refresh.service:/etc/systemd/system/ohguard-refresh.service
# files: build/systemd/ohguard-uplink.service:/etc/systemd/system/ohguard-uplink.service
# files: systemd/ohguard-refresh.timer:/etc/systemd/system/ohguard-refresh.timer
# files: tests/vm/answers.py:/vm/answers.py
# prepare: printf '[Match]\nName=eth0\n[Network]\nDHCP=no\n' >/etc/systemd/network/eth0.network;
# prepare: printf '[Resolve]\nDNS=192.0.2.2 fd02::2\nDomains=~.\nLLMNR=no\nMulticastDNS=no\n'
# prepare: >/etc/systemd/resolved.conf;
# prepare: ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
# The whole machine with its uplink, by the units and the default configuration: a refused name is answered at once to
# the host (glibc, systemd-resolved), to a container and to a VM; nothing of it leaves. Downloads pass tc ingress. An
# agent's server and its sandbox reach each other by the networks that stay here, which nobody has configured.
. /vm/lib.sh

answers() { python3 /vm/answers.py "$@"; }
boxed() { ip netns exec box "$@"; }
fetch() { curl -sSf --max-time 60 -o /tmp/got "$@"; }
wait_for() { for _ in $(seq 150); do "$@" && return; sleep 0.2; done; return 1; }
status_has() { ohguard status --json | tr -d ' \n' | grep -q "$1"; }
# The question's own answer, which says who gave it. WHERE WORDS...
blocked() { where=$1; shift; $where dig +tries=1 +time=10 "$@" >/tmp/dig; grep -q 'status: NXDOMAIN' /tmp/dig &&
    grep -q 'EDE: 15' /tmp/dig || { cat /tmp/dig; return 1; }; }

# The internet, behind a cable; a container, behind a bridge; and a VM, behind a TUN device. The cable comes before
# eth0, which gets an IPv6 default route of its own.
modprobe -a bridge tun
ip netns add far
ip netns add box
ip link add up0 type veth peer name far0 netns far
ip link add br0 type bridge
ip link add box0 type veth peer name eth0 netns box
ip link set box0 master br0
ip -batch - <<'IP'
addr add 192.0.2.1/24 dev up0
addr add fd02::1/64 dev up0 nodad
link set up0 up
route add default via 192.0.2.2
route add default via fd02::2 metric 9
addr add 10.31.0.1/24 dev br0
addr add fd31::1/64 dev br0 nodad
link set br0 up
link set box0 up
IP
ip -n far -batch - <<'IP'
link set lo up
addr add 192.0.2.2/24 dev far0
addr add fd02::2/64 dev far0 nodad
link set far0 up
route add default via 192.0.2.1
route add default via fd02::1
IP
ip -n box -batch - <<'IP'
link set lo up
addr add 10.31.0.2/24 dev eth0
addr add fd31::2/64 dev eth0 nodad
link set eth0 up
route add default via 10.31.0.1
route add default via fd31::1
IP
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns exec far python3 /vm/answers.py internet far0 "$(cat /sys/class/net/up0/address)" >/tmp/asked &
mkdir /tmp/www
head -c 8000000 /dev/urandom >/tmp/www/file
ip netns exec far python3 -m http.server -d /tmp/www 8443 >/dev/null 2>&1 &
python3 -m http.server -d /tmp/www 3000 >/dev/null 2>&1 &
boxed python3 -m http.server -d /tmp/www 8000 >/dev/null 2>&1 &
want "a resolver" wait_for grep -q ready /tmp/asked
want "systemd-resolved" systemctl -q start systemd-resolved.service
want "before the guard, any name reaches the resolver" sh -c \
    'getent ahostsv4 open.example; grep -q open.example /tmp/asked'

mkdir -p /etc/ohguard
# The far side is of this machine too: what it answers over TCP passes as to an inbound connection.
printf '[allow]\ntarget = site.example:8443 sni=off\ntarget = site.example\n[inbound]\n' >/etc/ohguard/ohguard.conf
printf 'accept = %s\n' '53 192.0.2.0/24' '53 fd02::/64' '53 10.31.0.0/24' '53 fd31::/64' '443 192.0.2.0/24' \
    '8443 192.0.2.0/24' >>/etc/ohguard/ohguard.conf
want "the unit guards" systemctl -q start ohguard.service
want "a refresh wants the unit that answers" systemctl -q start ohguard-refresh.service
want "which the kernel knows" wait_for status_has '"refused_names":"answered"'
want "the uplink is guarded, what comes in at tc" status_has '"hook":"uplink-ingress","attached":true,"where":"up0"'
deny "no XDP is in the way" status_has '"hook":"inbound","attached":true'

want "the container's network is local" status_has '"network":"10.31.0.0/24","bridge":"br0"'
want "host to container" fetch http://10.31.0.2:8000/file
want "container to host" boxed curl -sSf --max-time 60 -o /tmp/got http://10.31.0.1:3000/file

want "systemd-resolved: no such name" answers absent secret-resolved.example
want "glibc by itself: no such name" unshare --mount sh -c 'echo nameserver 192.0.2.2 >/run/direct &&
    mount --bind /run/direct /run/systemd/resolve/stub-resolv.conf &&
    python3 /vm/answers.py absent secret-glibc.example'
for server in 192.0.2.2 fd02::2; do
    for transport in +notcp +tcp; do
        want "host, $server $transport" blocked "" "@$server" $transport secret-host.example
        want "container, $server $transport" blocked "ip netns exec box" "@$server" $transport secret-box.example
    done
done
for family in 4 6; do
    want "a VM, IPv$family: no such name" test "$(answers ask $family secret-vm.example)" = 3
    want "and what is allowed has its answer" test "$(answers ask $family site.example)" = 0
done
deny "no such name has reached the resolver" grep secret /tmp/asked
want "the kernel counts" sh -c 'ohguard stats | grep -q "  dns-name-not-allowed "'
rm /tmp/got
want "an allowed name, and a download" fetch http://site.example:8443/file
want "of all that there is" cmp /tmp/got /tmp/www/file
want "a TLS hello for another name is reset" answers hello 192.0.2.2 secret-hello.example

pid=$(systemctl show -P MainPID ohguard-events.service)
want "kill it" systemctl kill --signal=KILL ohguard-events.service
want "it comes back" wait_for blocked "" @192.0.2.2 secret-killed.example
deny "as another process" test "$(systemctl show -P MainPID ohguard-events.service)" = "$pid"
want "load again" systemctl -q reload ohguard.service
want "after it, it answers" wait_for blocked "" @192.0.2.2 secret-again.example
want "stopped" systemctl -q stop ohguard-events.service
deny "nobody answers the host" blocked "" @192.0.2.2 secret-stopped.example
want "but the uplink's program the VM, by itself" test "$(answers ask 4 secret-vm.example)" = 3
deny "and still no such name has reached the resolver" grep secret /tmp/asked
finish
