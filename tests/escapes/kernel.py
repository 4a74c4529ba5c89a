# SPDX-License-Identifier: MIT
"""System calls and constants that Python 3.10 has no name for."""
import ctypes
import fcntl
import mmap
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)

IP_HDRINCL, IP_OPTIONS, IP_TTL, IP_TRANSPARENT, IP_FREEBIND = 3, 4, 2, 19, 15
IPV6_HDRINCL, IPV6_FREEBIND, IPV6_TRANSPARENT = 36, 78, 75
IPV6_HOPOPTS, IPV6_DSTOPTS, IPV6_RTHDR, IPV6_UNICAST_HOPS = 54, 59, 57, 16
SO_BINDTODEVICE, SO_MARK, SO_ZEROCOPY, MSG_ZEROCOPY, MSG_FASTOPEN = 25, 36, 60, 0x4000000, 0x20000000
TCP_ULP, TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_REPAIR_WINDOW = 31, 19, 20, 21, 29
TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE = 30, 34
UDP_SEGMENT, UDP_CORK = 103, 1
SOL_PACKET, PACKET_QDISC_BYPASS, PACKET_TX_RING = 263, 20, 13
CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWUSER = 0x20000, 0x40000000, 0x10000000
MS_REC, MS_PRIVATE, MNT_DETACH = 0x4000, 1 << 18, 2
IPPROTO_MPTCP, IPPROTO_UDPLITE, IPPROTO_SCTP, IPPROTO_DCCP, SOCK_DCCP = 262, 136, 132, 33, 6
CAPS = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP")


def vmsplice(pipe, page, size):
    """Gives a page of memory to a pipe, and keeps it."""
    class IoVec(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
    whole = (ctypes.c_char * size).from_buffer(page)
    return checked(libc.vmsplice(pipe, ctypes.byref(IoVec(ctypes.addressof(whole), size)), 1, 0), "vmsplice")


def checked(result, what):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def unshare(flags):
    checked(libc.unshare(flags), "unshare")


def setns(path):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    checked(libc.setns(fd, CLONE_NEWNET), "setns")
    os.close(fd)


def hide(*paths):
    """What no container sees of the host: mounts, in a mount namespace of our own."""
    unshare(CLONE_NEWNS)
    checked(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount")
    for path in paths:
        if os.path.ismount(path):
            checked(libc.umount2(path.encode(), MNT_DETACH), f"umount {path}")


def keep_caps(names):
    """Drops every capability but these, for good."""
    keep = sum(1 << CAPS.index(n) for n in names)
    for cap in range(64):
        if not keep >> cap & 1 and libc.prctl(24, cap, 0, 0, 0):        # PR_CAPBSET_DROP
            break                                                       # no such capability, nor any behind it
    low, high = keep & 0xFFFFFFFF, keep >> 32
    head = struct.pack("Ii", 0x20080522, 0)
    checked(libc.capset(head, struct.pack("6I", low, low, low, high, high, high)), "capset")


def tun(name=b"oh%d"):
    """A TUN device: descriptor and name."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    made = fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name, 0x1001))        # IFF_TUN | IFF_NO_PI
    return fd, made[:16].rstrip(b"\0").decode()


class Ring:
    """An io_uring of a few entries, one request at a time."""

    def __init__(self, flags=0):
        params = ctypes.create_string_buffer(120)
        struct.pack_into("I", params, 8, flags)
        self.fd = checked(libc.syscall(425, 4, params), "io_uring_setup")
        sq_off = struct.unpack_from("8I", params, 40)
        cq_off = struct.unpack_from("6I", params, 80)
        entries, cq_entries = struct.unpack_from("II", params, 0)
        self.ring = mmap.mmap(self.fd, max(sq_off[6] + entries * 4, cq_off[5] + cq_entries * 16), offset=0)
        self.sqes = mmap.mmap(self.fd, entries * 64, offset=0x10000000)
        self.sq_tail, self.sq_array = sq_off[1], sq_off[6]
        self.cq_head, self.cq_tail, self.cqes = cq_off[0], cq_off[1], cq_off[5]
        self.mask, self.cq_mask = entries - 1, cq_entries - 1

    def call(self, opcode, fd, address=0, length=0, offset=0, flags=0, more=b""):
        """The result; raises OSError where it is an error."""
        tail = struct.unpack_from("I", self.ring, self.sq_tail)[0]
        at = (tail & self.mask) * 64
        entry = struct.pack("BBHiQQIIQ", opcode, 0, 0, fd, offset, address, length, flags, 0)
        self.sqes[at:at + 64] = entry + more.ljust(24, b"\0")
        struct.pack_into("I", self.ring, self.sq_array + (tail & self.mask) * 4, tail & self.mask)
        struct.pack_into("I", self.ring, self.sq_tail, tail + 1)
        # GETEVENTS, and SQ_WAKEUP: the kernel's own thread (SQPOLL) may have gone to sleep
        checked(libc.syscall(426, self.fd, 1, 1, 1 | 2, None, 0), "io_uring_enter")
        head = struct.unpack_from("I", self.ring, self.cq_head)[0]
        result = struct.unpack_from("Qi", self.ring, self.cqes + (head & self.cq_mask) * 16)[1]
        struct.pack_into("I", self.ring, self.cq_head, head + 1)
        if result < 0:
            raise OSError(-result, f"io_uring: {os.strerror(-result)}")
        return result


def address_of(data):
    """Of a mutable buffer, for a ring."""
    return ctypes.addressof(ctypes.c_char.from_buffer(data))
