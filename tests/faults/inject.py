# SPDX-License-Identifier: MIT
"""Faults at system calls, by strace: which there are in a run, and one run with one of them failing or the last."""
import re
import subprocess
from collections import Counter
from dataclasses import dataclass

# What each can fail with; taken in turn. ENOMEM of brk is another result, and no error.
ERRORS = {
    "bpf": ("EPERM", "ENOMEM", "EMFILE"), "openat": ("EMFILE", "EACCES", "EIO"), "open_by_handle_at": ("ESTALE",),
    "read": ("EIO", "EINTR"), "write": ("ENOSPC", "EIO"), "fsync": ("EIO",), "rename": ("EIO", "ENOSPC"),
    "unlink": ("EPERM", "EIO"), "rmdir": ("EBUSY",), "mkdir": ("ENOSPC", "EROFS"), "symlink": ("ENOSPC",),
    "fchmod": ("EPERM",), "socket": ("EMFILE", "EPERM"), "bind": ("EPERM",), "connect": ("EPERM", "ENETUNREACH"),
    "getsockname": ("ENOBUFS",), "sendto": ("EPERM", "ENOBUFS"), "recvmsg": ("ENOMEM", "ENOBUFS"),
    "recvfrom": ("EIO", "EINTR"), "poll": ("EINTR", "ENOMEM"), "setsockopt": ("EPERM",), "getsockopt": ("EPERM",),
    "ioctl": ("EIO", "EPERM"), "mount": ("EPERM",), "mmap": ("ENOMEM",), "mremap": ("ENOMEM",), "brk": ("ENOMEM",),
    "fcntl": ("EMFILE",), "dup3": ("EMFILE", "EINTR"), "flock": ("EINTR", "ENOLCK"), "newfstatat": ("EIO", "ENOMEM"),
    "statfs": ("EIO",), "readlink": ("EIO",), "getdents64": ("EIO",), "access": ("EIO",), "faccessat2": ("EIO",),
    "lseek": ("EIO",), "uname": ("EFAULT",), "epoll_create1": ("EMFILE",), "epoll_ctl": ("ENOMEM",),
    "epoll_wait": ("EINTR",), "epoll_pwait": ("EINTR",), "prlimit64": ("EPERM",), "getrandom": ("EIO",),
    "signalfd4": ("EMFILE",), "rt_sigaction": ("EINVAL",), "statx": ("EIO",), "pread64": ("EIO",),
}
# Between any two of these the outside looks the same, so that it is enough to die before each.
EFFECTS = {"bpf", "rename", "unlink", "rmdir", "mkdir", "symlink", "write", "fsync", "sendto", "mount"}
READS = re.compile(r"^bpf\(BPF_\w*(GET|LOOKUP|PROG_LOAD|BTF_LOAD|MAP_CREATE|MAP_FREEZE|QUERY)")
# What runs out stays so: from the first failure on all fail.
LASTING = {"openat": "EMFILE", "write": "ENOSPC", "bpf": "EPERM", "mmap": "ENOMEM", "brk": "ENOMEM", "socket": "EMFILE",
           "rename": "EIO", "unlink": "EIO", "fsync": "EIO", "sendto": "EPERM", "fcntl": "EMFILE"}
CALL = re.compile(r"^(\d+) +((\w+)\(.*)")
# What fails for no reason that there is; and a probe of libbpf, after which the verifier has minutes of work.
NEVER = re.compile(r"^fcntl\(\d+, F_(GET|SET)|^bpf\(BPF_BTF_LOAD")
ALIKE = 50              # a thousand events are read by the same calls a thousand times
FIRST = 'openat(AT_FDCWD, "/dev/null", O_RDWR)'     # of main(): what comes before is the C library's


@dataclass(frozen=True)
class Fault:
    syscall: str
    nth: int
    action: str             # strace's words
    lasting: bool = False
    text: str = ""          # of the call in the dry run

    def __str__(self):
        return f"{self.syscall} {self.nth}{'+' if self.lasting else ''} {self.action} [{self.text[:90]}]"

    @property
    def kills(self):
        return self.action == "signal=KILL"

    def options(self):
        when = f"{self.nth}+" if self.lasting else str(self.nth)
        fast = [] if self.kills else ["--seccomp-bpf"]      # by which strace 6.1 kills nobody
        return [*fast, "-e", f"trace={self.syscall}", "-e", f"inject={self.syscall}:{self.action}:when={when}"]


def strace(log, *options):
    return ["strace", "-f", "-qq", "-o", str(log), *options]


def calls(log):
    """Each call of a dry run, but the C library's own at the start: name, how-manieth of its process, text. Of a call
    that several processes make for the same time there is one: all of them meet its fault."""
    seen, same, own, found = Counter(), Counter(), False, {}
    for line in log.read_text(errors="replace").splitlines():
        m = CALL.match(line)
        if not m:
            continue
        pid, text, name = m.groups()
        seen[pid, name] += 1
        nth = seen[pid, name]
        own = own or FIRST in line
        alike = re.sub(r"0x[0-9a-f]+|\d+", "#", text)
        same[alike] += 1
        if own and same[alike] <= ALIKE and not (name == "write" and nth > ALIKE):
            found.setdefault((name, nth), text)
    return [(name, nth, text) for (name, nth), text in found.items()]


def faults(found, kinds=("error", "kill", "lasting")):
    """Every fault that such a run can meet."""
    for name, nth, text in found:
        if NEVER.match(text):
            continue
        if "error" in kinds and name in ERRORS:
            yield Fault(name, nth, failure(name, ERRORS[name][nth % len(ERRORS[name])]), text=text)
        if "kill" in kinds and name in EFFECTS and not READS.match(text):
            yield Fault(name, nth, "signal=KILL", text=text)
        if "lasting" in kinds and name in LASTING:
            yield Fault(name, nth, failure(name, LASTING[name]), True, text)


def failure(name, error):
    return "retval=0" if name == "brk" else f"error={error}"


def spread(items, count):
    """So many of them, from first to last."""
    items = list(items)
    return items if count >= len(items) else [items[i * len(items) // count] for i in range(count)]


def injected(fault, log):
    """Whether the run came to the fault at all."""
    return ("+++ killed by SIGKILL" if fault.kills else "INJECTED") in log.read_text(errors="replace")


def run(host, argv, log, *options, seconds=40):
    """Exit status and lines on standard error; None where it hangs."""
    said = log.with_suffix(".err")
    with open(said, "w+") as err:
        process = host.popen([*strace(log, *options), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=err)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
        err.seek(0)
        return status, err.read().splitlines()
