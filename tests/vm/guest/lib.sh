# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# For cases: each check prints a line, and the case goes on, so that one boot shows all that is wrong.
failed=0

pass() { echo "ok: $*"; }
fail() { echo "FAILED: $*"; failed=1; }
die() { fail "$@"; exit 1; }

# want TEXT COMMAND...: the command must succeed. deny TEXT COMMAND...: it must not.
want() { text=$1; shift; if "$@"; then pass "$text"; else fail "$text ($*: status $?)"; fi; }
deny() { text=$1; shift; if "$@"; then fail "$text ($*: done)"; else pass "$text"; fi; }

# outside want|deny wire|console TEXT: whether it is there by the end of this boot; the host looks, since a case cannot.
outside() { echo "outside: $*"; }

# Last line of every case.
finish() { exit "$failed"; }

# mount_at TYPE DIR: unless it is there already, as under systemd.
mount_at() { grep -q " $2 " /proc/mounts || { mkdir -p "$2" && mount -t "$1" "$1" "$2"; }; }

# fact NAME VALUE: a line of the table of what each kernel has.
fact() { echo "fact: $1 = $2"; }
