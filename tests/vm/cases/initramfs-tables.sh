#!/bin/sh
# SPDX-License-Identifier: MIT
# mode: initramfs
# alone: yes
# timeout: 600
# files: build/tests/bpf/test_decision:/t/test_decision build/tests/bpf/test_headers:/t/test_headers
# files: build/tests/bpf/test_names:/t/test_names build/tests/bpf/test_publish:/t/test_publish
# files: build/tests/bpf/test_turned:/t/test_turned
# files: /lib64/ld-linux-x86-64.so.2:/t/ld.so /lib/x86_64-linux-gnu/libc.so.6:/t/libc.so.6
# files: /lib/x86_64-linux-gnu/libcmocka.so.0:/t/libcmocka.so.0
# The packet tables, judged by this kernel's verifier and run by its JIT.
. /vm/lib.sh

mount_at bpf /sys/fs/bpf
for test in /t/test_*; do
    if /t/ld.so --library-path /t "$test" >/tmp/out 2>&1; then
        passed=$(grep -c '^\[       OK \]' /tmp/out)
        pass "$(basename "$test"): $passed tests, $(grep -o '^[0-9]* packets judged' /tmp/out)"
    else
        fail "$(basename "$test")"
        grep -vE '^\[ RUN|^\[       OK' /tmp/out | head -n 40
    fi
done
finish
