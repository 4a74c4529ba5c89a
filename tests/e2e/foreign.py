# SPDX-License-Identifier: MIT
"""A BPF program that is not ours, at an interface and before all that is there: what it lets pass, it lets pass unseen.

usage: foreign.py HOOK INTERFACE VERDICT: stays, with its link, until it is killed. HOOK: egress, ingress or xdp.
"""
import ctypes
import os
import socket
import struct
import sys
import time

SYS_BPF = 321       # x86-64
PROG_LOAD, LINK_CREATE = 5, 28
PROGRAM = {"ingress": 3, "egress": 3, "xdp": 6}                 # SCHED_CLS, XDP
ATTACH = {"ingress": 46, "egress": 47, "xdp": 37}               # tcx, XDP
FLAGS = {"ingress": 8, "egress": 8, "xdp": 2}                   # BPF_F_BEFORE, XDP_FLAGS_SKB_MODE
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    buffer = ctypes.create_string_buffer(attr.ljust(128, b"\0"))
    fd = libc.syscall(SYS_BPF, command, buffer, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def load(kind, verdict):
    """r0 = verdict; exit"""
    code = ctypes.create_string_buffer(struct.pack("<BBhi", 0xB7, 0, 0, verdict) + struct.pack("<BBhi", 0x95, 0, 0, 0))
    license = ctypes.create_string_buffer(b"GPL")
    return bpf(PROG_LOAD,
               struct.pack("<IIQQIIQII16s", PROGRAM[kind], 2, ctypes.addressof(code), ctypes.addressof(license),
                           0, 0, 0, 0, 0, b"foreign"))


def main():
    kind, interface, verdict = sys.argv[1], sys.argv[2], int(sys.argv[3])
    program = load(kind, verdict)
    link = bpf(LINK_CREATE, struct.pack("<IIII", program, socket.if_nametoindex(interface), ATTACH[kind], FLAGS[kind]))
    print("attached", link, flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
