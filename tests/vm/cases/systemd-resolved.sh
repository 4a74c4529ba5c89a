#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# alone: yes
# full: yes
# timeout: 600
# files: build/ohguard:/usr/sbin/ohguard
# prepare: printf '[Match]\nName=eth0\n[Network]\nDHCP=no\n' >/etc/systemd/network/eth0.network;
# prepare: printf '[Resolve]\nDNS=10.53.0.2\nDomains=~.\nLLMNR=no\nMulticastDNS=no\n' >/etc/systemd/resolved.conf;
# prepare: ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
# Who asks is systemd-resolved, for programs that ask its stub. A pool of 200 addresses rotates with a TTL of 1: what an
# answer says is allowed before the program that waits for it can connect.
. /vm/lib.sh

asked=/run/asked	# names that have reached the upstream resolver

ip netns add far
ip link add up0 type veth peer name far0 netns far
ip addr add 10.53.0.1/24 dev up0
ip link set up0 up
ip route add 203.0.113.0/24 via 10.53.0.2
ip netns exec far sh -ec \
    'ip addr add 10.53.0.2/24 dev far0; ip link set far0 up; ip link set lo up
    ip route add local 203.0.113.0/24 dev lo'

# Not in the guarded slice. Two addresses to a question for pool.example, others than to the one before.
cat >/run/upstream.py <<'PY'
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.53.0.2", 53))
turn = 0
while True:
    q, who = s.recvfrom(4096)
    at, labels = 12, []
    while q[at]:
        labels.append(q[at + 1 : at + 1 + q[at]].decode())
        at += 1 + q[at]
    kind, = struct.unpack("!H", q[at + 1 : at + 3])
    name = ".".join(labels).lower()
    print(name, flush=True)
    rest = []
    if name in ("pool.example", "warm.example") and kind == 1:
        rest = [bytes([203, 0, 113, 1 + (turn + i) % 200]) for i in (0, 1)]
        turn += 2
    ttl = struct.pack("!I", 600 if name == "warm.example" else 1)
    a = b"".join(b"\xc0\x0c\0\1\0\1" + ttl + b"\0\4" + address for address in rest)
    s.sendto(q[:2] + b"\x81\x80\0\1" + struct.pack("!HHH", len(rest), 0, 0) + q[12 : at + 5] + a, who)
PY
# Asks, and connects at once: nothing listens there, so that "connection refused" says that the far end has answered.
cat >/run/client.py <<'PY'
import socket, sys, time
refused, addresses, failed = 0, set(), 0
for _ in range(int(sys.argv[2])):
    try:
        found = socket.getaddrinfo(sys.argv[1], 443, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        failed += 1
        continue
    for *_, where in found:
        with socket.socket() as s:
            s.settimeout(20)
            try:
                s.connect(where)
            except PermissionError:
                refused += 1
            except ConnectionRefusedError:
                addresses.add(where[0])
    time.sleep(1.2)  # the stub's cache
print(f"refused={refused} reached={len(addresses)} failed={failed}")
PY
client() { said=$(python3 /run/client.py "$@"); echo "$said"; }

systemd-run -q --slice=far.slice -p StandardOutput=file:$asked ip netns exec far python3 /run/upstream.py
want "systemd-resolved starts" systemctl -q start systemd-resolved.service
want "programs ask its stub" grep -q 'nameserver 127.0.0.53' /etc/resolv.conf
for _ in $(seq 50); do
    getent ahostsv4 unguarded.example >/dev/null
    grep -q unguarded.example $asked && break
    sleep 0.2
done
want "unguarded, any name reaches the upstream resolver" grep -q unguarded.example $asked
client warm.example 1
want "what the stub got before the guard, it keeps" test "$said" = "refused=0 reached=2 failed=0"

mkdir -p /etc/ohguard
printf '[guard]\ncgroup = /sys/fs/cgroup/system.slice\n[dns]\nmin-ttl = 1s\n[allow]\ntarget = %s\ntarget = %s\n' \
    pool.example warm.example >/etc/ohguard/ohguard.conf
want "load: the resolver is the one behind the stub" ohguard load
client warm.example 1
want "load has emptied its cache: what it hands out is allowed" test "$said" = "refused=0 reached=2 failed=0"
client pool.example 15
want "no connection is refused" test "${said%% *}" = refused=0
want "no lookup has failed" test "${said##* }" = failed=0
want "to some thirty addresses" sh -c "[ $(echo "$said" | sed 's/.*reached=\([0-9]*\).*/\1/') -ge 20 ]"
client stolen-data.example 1
want "a foreign name does not resolve" test "${said##* }" = failed=1
deny "and does not reach the upstream resolver" grep -q stolen-data $asked
want "that is counted" sh -c 'ohguard stats | grep -q "  dns-name-not-allowed "'
# Refused by an error, resolved goes over to TCP and tries for 10 seconds: tens of events a name. Answered, it asks for
# each family, and once more without EDNS (DVE-2018-0001).
refusals() { ohguard stats | sed -n 's/^  dns-name-not-allowed *\([0-9]*\).*/\1/p'; }
absent() { python3 -c 'import socket, sys
try:
    socket.getaddrinfo(sys.argv[1], 443)
except socket.gaierror as e:
    sys.exit(e.errno != socket.EAI_NONAME)
sys.exit(1)' "$1"; }
systemd-run -q --slice=far.slice ohguard serve
for _ in $(seq 50); do ohguard status | grep -q 'answered as no such name' && break; sleep 0.2; done
count=$(refusals)
want "through resolved, a foreign name does not exist" absent other-data.example
want "and was asked for twice a family at the most" test $(($(refusals) - count)) -le 4
deny "and does not reach the upstream resolver either" grep -q other-data $asked
client pool.example 2
want "the allowed one resolves still" test "$said" = "refused=0 reached=4 failed=0"

sed -i 's/^min-ttl/inspect = off\nmin-ttl/' /etc/ohguard/ohguard.conf
want "load, with no look at answers" ohguard load
client pool.example 3
deny "then connections are refused" test "${said%% *}" = refused=0
want "unload" ohguard unload --yes
finish
