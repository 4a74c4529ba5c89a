#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# append: lsm=landlock,lockdown,yama,integrity,apparmor,bpf
# timeout: 600
# files: build/ohguard:/bin/ohguard build/tests/vm/poke:/bin/poke
# BPF LSM: which families of sockets the workload may have. The kernel asks before it looks whether it knows the family:
# so one that it lacks is refused too, and not told to be missing.
. /vm/lib.sh

root=/sys/fs/cgroup
guarded=$root/families
conf=/tmp/families.conf

# shellcheck disable=SC2016  # expanded by the inner shell
inside() { sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$guarded" "$@"; }
quiet() { "$@" >/dev/null 2>&1 </dev/null; }
not_permitted() { "$@" 2>&1 </dev/null | grep -q "Operation not permitted"; }
works() { text=$1; shift; want "works: $text" quiet "$@"; }
# Its process 1 is not the host's.
container() { unshare -m -p -f "$@"; }
counted() {
    # "reasons" come before "observed"
    ohguard stats --name families --json | grep -o '"family-not-allowed": {"packets": [0-9]*' | grep -o '[0-9]*$' |
        head -n 1
}

mount_at securityfs /sys/kernel/security
mount_at cgroup2 "$root"
mount_at bpf /sys/fs/bpf
want "BPF LSM is on when the command line asks for it" grep -qw bpf /sys/kernel/security/lsm
fact "LSMs with lsm=...,bpf" "$(cat /sys/kernel/security/lsm)"

# name:number, as in docs/threat-model.md
families="VSOCK:40 RDS:21 TIPC:30 SMC:43 PPPOX:24 X25:9 CAN:29 KEY:15 ALG:38 BLUETOOTH:31 QIPCRTR:42 KCM:41 RXRPC:33
    LLC:26 AX25:3 IEEE802154:36 PHONET:35"
# A number behind the last one that the kernel knows it asks nobody about.
[ "$OHGUARD_VM_KERNEL" = 5.10 ] || families="$families MCTP:45"
mkdir -p "$guarded"
printf '[guard]\ncgroup = %s\nuplink = none\n[dns]\nresolver = 10.0.2.3\n' "$guarded" >$conf
for f in $families; do
    deny "AF_${f%:*} is refused without a guard" not_permitted inside poke family "${f#*:}"
done
want "load" ohguard load --name families -c $conf --no-resolve
before=$(counted)
for f in $families; do
    want "AF_${f%:*} is refused" not_permitted inside poke family "${f#*:}"
    deny "AF_${f%:*} is refused outside" not_permitted poke family "${f#*:}"
done
for f in UNIX:1 INET:2 INET6:10 NETLINK:16; do works "AF_${f%:*}" inside poke family "${f#*:}"; done
want "each try is counted" test "$(counted)" -ge $((before + $(echo "$families" | wc -w)))
want "an event tells it" sh -c \
    "ohguard events --name families --json | grep '\"hook\": \"lsm\"' | grep -q '\"reason\": \"family-not-allowed\"'"
want "status says so" sh -c 'ohguard status --name families | grep -q "families other than IP, Unix and netlink"'
want "load, observing" ohguard load --name families -c $conf --no-resolve --observe
# The links of before end a while after their pins.
want "AF_VSOCK is not refused by who observes" sh -c \
    'echo $$ >"$0/cgroup.procs"
    for i in $(seq 100); do poke family 40 2>&1 | grep -q "not permitted" || exit 0; sleep 0.2; done
    exit 1' "$guarded"
want "unload" ohguard unload --name families --yes

# The whole machine: its services may go on.
printf '[guard]\ncgroup = %s\nuplink = none\n[dns]\nresolver = 10.0.2.3\n' "$root" >$conf
want "load of the whole machine" ohguard load --name families -c $conf --no-resolve
deny "AF_VSOCK is refused to the host's root" not_permitted poke family 40
deny "AF_INET6 is refused to a user" not_permitted poke family-as 1000 10
want "AF_VSOCK is refused to a user" not_permitted poke family-as 1000 40
want "AF_VSOCK is refused to a container's root" not_permitted container poke family 40
want "unload of it" ohguard unload --name families --yes
finish
