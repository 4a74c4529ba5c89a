#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# append: lsm=landlock,lockdown,yama,integrity,apparmor,bpf
# timeout: 600
# files: build/ohguard:/bin/ohguard build/tests/vm/poke:/bin/poke
# `ohguard lock`: what root can do to a guard, and no longer once it is locked. Each attempt is made unlocked too, where
# it works: so it is the lock that refuses it.
. /vm/lib.sh

root=/sys/fs/cgroup
guarded=$root/guarded
pins=/sys/fs/bpf/ohguard/host
state=/var/lib/ohguard/host
key=/etc/ohguard/lock.key

# shellcheck disable=SC2016  # expanded by the inner shell
inside() { sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$guarded" "$@"; }
quiet() { "$@" >/dev/null 2>&1 </dev/null; }
refused() { text=$1; shift; deny "refused: $text" quiet "$@"; }
works() { text=$1; shift; want "works: $text" quiet "$@"; }
# Its process 1 is not the host's.
container() { unshare -m -p -f --mount-proc "$@"; }
# A configuration in force that is not in force.
fake() {
    unshare -m sh -c 'mount -t tmpfs tmpfs /run && mkdir -p /run/ohguard/host &&
        cp /tmp/evil.conf /run/ohguard/host/loaded.conf && ohguard list | grep 203.0.113.66'
}
locked_is() { ohguard status --json | grep -q "\"locked\": $1"; }

mount_at cgroup2 "$root"
mount_at bpf /sys/fs/bpf
mount_at securityfs /sys/kernel/security
mkdir -p "$guarded" /etc/ohguard/conf.d /var/lib /mnt /tmp/other
printf '[guard]\ncgroup = %s\nuplink = up0\n[dns]\nresolver = 10.0.2.3\n[allow]\ntarget = 203.0.113.5\n' "$guarded" \
    >/etc/ohguard/ohguard.conf
printf '[guard]\ncgroup = %s\n[allow]\ntarget = 203.0.113.66\n' "$guarded" >/tmp/evil.conf

ip link add up0 type veth
works "a packet socket, unguarded" inside poke packet 17
want "load" ohguard load
refused "a packet socket, inside" inside poke packet 17
refused "AF_XDP, inside" inside poke packet 44
works "a packet socket, outside" poke packet 17
works "PACKET_QDISC_BYPASS, outside" poke bypass
want "status says so" sh -c 'ohguard status | grep -q "packet sockets: refused by LSM"'
want "an event tells it" sh -c \
    "ohguard events --json | grep '\"hook\": \"lsm\"' | grep -q '\"reason\": \"packet-socket\"'"
want "load again keeps it" ohguard load
refused "a packet socket, after a second load" inside poke packet 17

link=$(poke ids $pins/egress | sed -n 's/^link //p')
connect4=$(poke ids $pins/connect4 | sed -n 's/^link //p')
control=$(poke ids $pins/egress | sed -n 's/^map \(.*\) oh_control/\1/p')

# ---- without the lock all this works: else it would prove nothing ----
want "not locked" locked_is false
works "map write by id" poke map-write "$control"
works "link by pin" poke pin-get $pins/egress
works "link by id" poke link-get "$link"
works "any link" poke any-link
works "detach by id" poke link-detach "$connect4"
works "rename of a pin" mv $pins/connect6 $pins/other
works "removal of a pin" rm $pins/other
works "a file in the state folder" touch $state/x
works "writing the binary's folder entry" sh -c 'cp /bin/ohguard /bin/ohguard.copy && mv /bin/ohguard.copy /bin/ohguard'
works "another name for the state, elsewhere" ln $state/records /var/lib/records
rm -f /var/lib/records
works "a mount over the state" mount -t tmpfs tmpfs $state
works "its removal" umount $state
ohguard refresh --watch >/dev/null 2>&1 &
watcher=$!
sleep 1
works "attaching to a running ohguard" poke attach $watcher
works "its memory" poke memory $watcher
kill $watcher
works "spoofed as the binary: a pin" poke spoof /bin/ohguard $pins/egress
works "traced from its start" poke traced /bin/ohguard list
works "inside the guarded cgroup" inside ohguard list
works "in another mount namespace" unshare -m ohguard list
works "in another mount namespace, by what is mounted there" fake
works "in a container" container ohguard list
works "in another network namespace" unshare -n ohguard list
works "by another clock" poke clocks /bin/ohguard list
mkdir -p /tmp/jail
works "in a chroot" sh -c 'mount -o rbind / /tmp/jail && chroot /tmp/jail /bin/ohguard list'
works "its end" umount -l /tmp/jail
works "unload" ohguard unload --yes
want "load" ohguard load
poke handle $state/records $state >/tmp/handle
link=$(poke ids $pins/egress | sed -n 's/^link //p')
control=$(poke ids $pins/egress | sed -n 's/^map \(.*\) oh_control/\1/p')

# ---- with it ----
deny "refused: a copy of the key where there is a file" ohguard lock --copy-key /tmp/handle
want "not locked then" locked_is false
rm -f $key
want "lock" ohguard lock --copy-key /tmp/copy
want "locked" locked_is true
want "the copy is 0600" test "$(stat -c %a /tmp/copy)" = 600
refused "another copy" ohguard lock --copy-key /tmp/other/copy
want "the key is 0600" test "$(stat -c %a $key)" = 600
refused "reading the key" cat $key
refused "reading the key, inside" inside cat $key
refused "writing the key" sh -c "echo x >$key"
refused "removing the key" rm -f $key

refused "link by id" poke link-get "$link"
refused "detach by id" poke link-detach "$link"
refused "link by pin" poke pin-get $pins/egress
refused "link of the lock by pin" poke pin-get $pins/lock/oh_open
refused "map by id" poke map-get "$control"
refused "map write by id" poke map-write "$control"
refused "ids by pins" poke ids $pins/egress
for pin in egress packet/oh_socket_create lock/oh_open; do
    refused "removal of $pin" rm -f $pins/$pin
    refused "rename of $pin" mv $pins/$pin $pins/other
    refused "rename of $pin to elsewhere" mv $pins/$pin /sys/fs/bpf/other
done
refused "rename of the pins' folder" mv $pins /sys/fs/bpf/ohguard/other
refused "rename of its folder" mv /sys/fs/bpf/ohguard /sys/fs/bpf/other
refused "a new pin folder" mkdir $pins/new
refused "chmod of the pins' folder" chmod 777 $pins
refused "umount" umount /sys/fs/bpf
refused "umount, lazy" umount -l /sys/fs/bpf
refused "umount, in a peer namespace" unshare -m --propagation shared umount -l /sys/fs/bpf
refused "mount over" mount -t tmpfs tmpfs /sys/fs/bpf
refused "mount over pins" mount -t tmpfs tmpfs $pins
refused "bind over" mount -o bind /tmp/other /sys/fs/bpf
refused "bind over, by move_mount" poke move-mount /tmp/other /sys/fs/bpf
refused "mount over, in a peer namespace" unshare -m --propagation shared mount -t tmpfs tmpfs /sys/fs/bpf
refused "mount over /var" mount -t tmpfs tmpfs /var
refused "moving the mount away" mount -o move /sys/fs/bpf /mnt
works "a mount elsewhere" sh -c 'mount -t tmpfs tmpfs /mnt && umount /mnt'
works "a mount over it in a namespace of its own" unshare -m mount -t tmpfs tmpfs /sys/fs/bpf

refused "writing the binary" sh -c 'echo >>/bin/ohguard'
refused "removing the binary" rm -f /bin/ohguard
refused "renaming the binary" mv /bin/ohguard /bin/other
refused "renaming over the binary" mv /tmp/evil.conf /bin/ohguard
refused "renaming its folder" mv /bin /nib
refused "chmod of the binary" chmod 0 /bin/ohguard
refused "truncating the binary" truncate -s 0 /bin/ohguard
refused "mounting over the binary" mount -o bind /bin/busybox /bin/ohguard
refused "writing the configuration" sh -c 'echo >>/etc/ohguard/ohguard.conf'
refused "another configuration" mv /tmp/evil.conf /etc/ohguard/ohguard.conf
refused "a new file in the configuration's folder" touch /etc/ohguard/new
refused "a new part of the configuration" touch /etc/ohguard/conf.d/new.conf
refused "a new file in the state folder" touch $state/new
refused "writing the state" sh -c "echo >>$state/records"
refused "reading the state" cat $state/records
refused "the state by a handle" poke handle $state/records $state "$(cat /tmp/handle)"
refused "another name for the state, elsewhere" ln $state/records /var/lib/records
refused "removing the state" rm -rf $state
refused "renaming the state's folder" mv /var/lib /var/lib2
refused "the configuration in force" sh -c 'echo >>/run/ohguard/host/loaded.conf'
works "a file elsewhere" touch /tmp/elsewhere

ohguard refresh --watch >/dev/null 2>&1 &
watcher=$!
sleep 1
want "ohguard runs" kill -0 $watcher
refused "attaching to a running ohguard" poke attach $watcher
refused "its memory" poke memory $watcher
kill $watcher
refused "spoofed as the binary: a pin" poke spoof /bin/ohguard $pins/egress
refused "traced from its start" poke traced /bin/ohguard list
refused "inside the guarded cgroup" inside ohguard list
works "in another mount namespace, from which it goes to that of process 1" unshare -m ohguard list
refused "in another mount namespace, by what is mounted there" fake
refused "in a container" container ohguard list
refused "in a container, unlocking" container ohguard unlock
refused "in another network namespace" unshare -n ohguard list
refused "in another network namespace and mount namespace" unshare -m -n ohguard list
refused "by another clock" poke clocks /bin/ohguard list
refused "by a copy of the binary" sh -c 'cp /bin/ohguard /tmp/ohguard; /tmp/ohguard list'
refused "in a chroot" sh -c 'mount -o rbind / /tmp/jail && chroot /tmp/jail /bin/ohguard list'
works "removing a bind mount of the root" umount -l /tmp/jail
refused "as another instance, by a link" sh -c \
    'ln -s host /var/lib/ohguard/evil; ln -s host /sys/fs/bpf/ohguard/evil; ohguard load --name evil -c /tmp/evil.conf'
refused "an unload of that" ohguard unload --yes --name evil
rm -f /var/lib/ohguard/evil /sys/fs/bpf/ohguard/evil

# ---- what goes on, with and without the key ----
works "refresh" ohguard refresh
works "status" ohguard status
works "list" ohguard list
works "stats" ohguard stats
refused "a packet socket, inside" inside poke packet 17
echo 00000000000000000000000000000000000000000000000000000000000000aa >/tmp/wrong
chmod 600 /tmp/wrong
for command in unlock "unload --yes" load "allow 203.0.113.7" "revoke 203.0.113.5" lock; do
    # shellcheck disable=SC2086  # words
    refused "$command with a wrong key" ohguard $command --key /tmp/wrong
    # shellcheck disable=SC2086
    refused "$command with no key" ohguard $command --key /tmp/none
done
refused "another configuration with a wrong key" ohguard load -c /tmp/evil.conf --key /tmp/wrong
works "allow with the key" ohguard allow 203.0.113.7
works "allow with its copy" ohguard allow 203.0.113.8 --key /tmp/copy
works "load with the key" ohguard load
refused "detach by id, after load" poke link-detach "$link"
refused "removal of a pin, after load" rm -f $pins/egress
refused "a packet socket, after load" inside poke packet 17
works "refresh, after load" ohguard refresh
works "lock again" ohguard lock
ip link del up0
ip link add up0 type veth
works "refresh, with an uplink that appears" ohguard refresh
refused "any link, the new ones too" poke any-link
want "healthy" quiet ohguard status

want "unlock with the key" ohguard unlock
want "not locked" locked_is false
works "map write by id, again" poke map-write "$control"
works "the state, again" touch $state/new
works "the key, again" cat $key
works "detach by id, again" poke link-detach "$link"
want "load repairs" ohguard load
mkdir -p /stick /mnt/stick
works "a key on something mounted" sh -c "mv $key /stick/key && mount -o bind /stick /mnt/stick"
want "lock with it" ohguard lock --key /mnt/stick/key
refused "reading that key" cat /mnt/stick/key
refused "reading it by its other path" cat /stick/key
refused "removing it" rm -f /stick/key
works "taking away what it is on" umount /mnt/stick
works "refresh without it" ohguard refresh
refused "unlock without it" ohguard unlock
want "unlock with it" ohguard unlock --key /stick/key
works "the key, back in its place" mv /stick/key $key
want "lock with the key that is there" ohguard lock
want "unload with the key" ohguard unload --yes
deny "nothing is left" test -e $pins
# Links of LSM programs end a while after their pins.
works "a packet socket, unloaded" inside sh -c \
    "for i in \$(seq 100); do poke packet 17 && exit 0; sleep 0.2; done; exit 1"
finish
