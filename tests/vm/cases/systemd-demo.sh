#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: systemd
# alone: yes
# full: yes
# timeout: 600
# files: build/ohguard:/opt/build/ohguard scripts/demo:/opt/scripts/demo tests/lab:/opt/tests/lab
# files: tests/lab/machine.sh:/opt/tests/lab/machine.sh
# `make demo` on this kernel: the nine tries, with the wire as the witness.
. /vm/lib.sh

python3 /opt/scripts/demo >/tmp/said 2>&1
status=$?
cat /tmp/said
want "the demo succeeds" test $status = 0
want "all nine tries end as they must" grep -qx '9 of 9 as they must be' /tmp/said
finish
