# SPDX-License-Identifier: MIT
"""Boots a real kernel in QEMU, runs cases in it, and says how each ended."""

import ctypes
import io
import os
import re
import secrets
import select
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
GUEST = HERE / "guest"
KERNELS = ("5.10", "6.1", "6.12", "sid", "6.1-arm64", "6.12-arm64")
BUSYBOX = Path("/bin/busybox")
CONSOLE_LINES = 40
PR_SET_PDEATHSIG = 1

# The second half only makes an emulated machine quicker: no mitigations, no clock calibration, little on the console.
COMMAND_LINE = "panic=-1 net.ifnames=0 root=/dev/vda systemd.getty_auto=no "
COMMAND_LINE += "mitigations=off tsc=reliable no_timer_check audit=0 loglevel=5 systemd.show_status=error"

# The machine that each architecture gets, with the console that its kernel knows. Graviton's processor for arm64.
MACHINES = {
    "amd64": (["qemu-system-x86_64", "-cpu", "max"], "ttyS0"),
    "arm64": (["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "neoverse-n1"], "ttyAMA0"),
}

OUTSIDE = re.compile(rb"^outside: (want|deny) (wire|console) (.+)$", re.M)


class VmError(Exception):
    """The machine did not do its part: it died, hung, or could not be built."""


@dataclass
class Case:
    """One program to run in the guest, and the seconds after which it counts as hung."""

    name: str
    script: bytes
    timeout: int = 120
    prepare: str = ""  # run by a shell in the root of mode systemd, before its first boot


@dataclass
class Result:
    status: int
    output: str


@dataclass
class Machine:
    """What to boot. files: pairs of a path here and an absolute path there. root: which of image's."""

    kernel: str
    mode: str = "systemd"
    files: list = field(default_factory=list)
    append: str = ""
    boots: int = 1
    root: str = "guard"
    boot_timeout: int = 600

    def __post_init__(self):
        if self.kernel not in KERNELS:
            raise VmError(f"no kernel {self.kernel!r}; there are {', '.join(KERNELS)}")
        if self.mode not in ("initramfs", "systemd"):
            raise VmError(f"no mode {self.mode!r}; there are initramfs and systemd")
        if self.boots > 1 and self.mode == "initramfs":
            raise VmError("several boots need mode systemd: an initramfs keeps nothing")

    @property
    def arch(self):
        return arch_of(self.kernel)


def arch_of(kernel):
    return "arm64" if kernel.endswith("-arm64") else "amd64"


def image(*what):
    """The folder of a built image; builds it where the cache has none."""
    done = subprocess.run([HERE / "image", *what], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise VmError(f"cannot build the image: tests/vm/image {' '.join(what)} failed")
    return Path(done.stdout.strip())


def cpio(entries):
    """An initramfs (newc): entries are (path, mode, content), with content None for what is not a file."""
    out = io.BytesIO()
    for inode, (path, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, None)], 1):
        data = content or b""
        name = path.encode() + b"\0"
        device = (5, 1) if stat.S_ISCHR(mode) else (0, 0)
        numbers = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        out.write(b"070701" + b"".join(b"%08x" % n for n in numbers) + name)
        out.write(b"\0" * (-out.tell() % 4) + data)
        out.write(b"\0" * (-out.tell() % 4))
    return out.getvalue()


def initramfs(kernel_dir, payload):
    folders = ("bin", "dev", "proc", "sys", "run", "tmp", "newroot", "modules")
    entries = [(name, stat.S_IFDIR | 0o755, None) for name in folders]
    # Without it the first process has no output until it has mounted /dev.
    entries.append(("dev/console", stat.S_IFCHR | 0o600, None))
    entries.append(("init", stat.S_IFREG | 0o755, (GUEST / "init").read_bytes()))
    busybox = kernel_dir / "busybox"
    entries.append(("bin/busybox", stat.S_IFREG | 0o755, (busybox if busybox.exists() else BUSYBOX).read_bytes()))
    for module in sorted((kernel_dir / "early").iterdir()):
        entries.append((f"modules/{module.name}", stat.S_IFREG | 0o644, module.read_bytes()))
    entries.append(("payload.tar", stat.S_IFREG | 0o644, payload))
    return cpio(entries)


def payload_tar(files, cases):
    """Everything that goes into the guest. Holds no parent folders, so that none of the guest's changes its mode."""

    def as_root(info):
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info

    def add_bytes(tar, name, content):
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = len(content), 0o755, int(time.time())
        tar.addfile(info, io.BytesIO(content))

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("driver", "lib.sh", "bin"):
            tar.add(GUEST / name, f"vm/{name}", filter=as_root)
        for case in cases:
            add_bytes(tar, f"vm/cases/{case.name}", case.script)
        add_bytes(tar, "vm/plan", "".join(f"{c.name} {c.timeout}\n" for c in cases).encode())
        add_bytes(tar, "vm/prepare", "\n".join(["#!/bin/sh -e", *(c.prepare for c in cases), ""]).encode())
        for source, target in files:
            tar.add(Path(source).resolve(), target.lstrip("/"), filter=as_root)   # a library is a link to its version
    return out.getvalue()


class Reader:
    """Takes the guest's port apart into marks and each case's output."""

    def __init__(self, token, stream=None):
        self.mark = re.compile(rb"\n@@%s ([^\n]*)\n" % token.encode())
        self.stream = stream
        self.pending = b""
        self.current = None
        self.output = {}
        self.status = {}
        self.booted = self.ending = None

    def feed(self, data):
        self.pending += data
        while found := self.mark.search(self.pending):
            self._text(self.pending[: found.start()])
            self._mark(found.group(1).decode().split())
            self.pending = self.pending[found.end() :]
        # What may be the beginning of a mark waits for its rest.
        keep = self.pending.rfind(b"\n@@")
        if keep < 0:
            keep = len(self.pending) - self.pending.endswith(b"\n") - 2 * self.pending.endswith(b"\n@")
        self._text(self.pending[:keep])
        self.pending = self.pending[keep:]

    def _text(self, data):
        if self.current and data:
            self.output[self.current] += data
            if self.stream:
                self.stream.write(data)
                self.stream.flush()

    def _mark(self, words):
        if words[0] == "boot":
            self.booted = words[2]
        elif words[0] == "begin":
            self.current = words[1]
            self.output.setdefault(self.current, b"")
        elif words[0] == "end":
            # Of several boots the first that failed counts.
            self.status[words[1]] = self.status.get(words[1]) or int(words[2])
            self.current = None
        elif words[0] in ("reboot", "reset", "finished"):
            self.ending = words[0]
            self.current = None

    def results(self):
        return {name: Result(status, self.output[name].decode(errors="replace"))
                for name, status in self.status.items()}


def dies_with_parent():
    """Runs in the child before QEMU: no machine is left behind when its runner is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Run:
    """One machine from its first boot to its last, with a disk of its own over the cached one."""

    def __init__(self, machine, cases, stream=None):
        self.machine = machine
        self.cases = cases
        self.token = secrets.token_hex(8)
        self.reader = Reader(self.token, stream)
        self.work = None
        self.boot_seconds = []

    def __enter__(self):
        self.kernel_dir = image("kernel", self.machine.kernel)
        of_arch = ["arm64"] if self.machine.arch == "arm64" else []
        root = None
        if self.machine.mode == "systemd":
            root = image("root", *self.machine.root.split(), *of_arch) / "root.ext4"
        self.work = Path(tempfile.mkdtemp(prefix="ohguard-vm."))
        try:
            payload = payload_tar(self.machine.files, self.cases)
            (self.work / "initrd").write_bytes(initramfs(self.kernel_dir, payload))
            if root:
                overlay = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", root, self.work / "root.qcow2"]
                subprocess.run(overlay, check=True)
        except BaseException:
            shutil.rmtree(self.work)
            raise
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.work)

    def command(self, boot, port):
        m = self.machine
        options = {"mode": m.mode, "boot": boot, "boots": m.boots, "kernel": m.kernel, "token": self.token}
        emulator, console = MACHINES[m.arch]
        append = f"console={console} {COMMAND_LINE} {m.append} "
        append += "".join(f"vm.{key}={value} " for key, value in options.items())
        qemu = [*emulator, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
        qemu += ["-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024"]
        qemu += ["-kernel", self.kernel_dir / "vmlinuz", "-initrd", self.work / "initrd", "-append", append]
        qemu += ["-serial", f"file:{self.work}/console"]
        qemu += ["-device", "virtio-serial-pci", "-chardev", f"file,id=port,path=/dev/fd/{port}"]
        qemu += ["-device", "virtserialport,chardev=port"]
        # An eth0 from which nothing gets anywhere, and a record of what tried to.
        qemu += ["-nic", "user,id=eth0,model=virtio-net-pci,restrict=on"]
        qemu += ["-object", f"filter-dump,id=wire,netdev=eth0,file={self.work}/wire"]
        if m.mode == "systemd":
            qemu += ["-drive", f"if=virtio,format=qcow2,cache=unsafe,file={self.work}/root.qcow2"]
            qemu += ["-drive", f"if=virtio,format=raw,readonly=on,file={self.kernel_dir}/modules.ext4"]
        return qemu

    def run(self):
        for boot in range(1, self.machine.boots + 1):
            self.reader.ending = self.reader.booted = None
            said = {name: len(text) for name, text in self.reader.output.items()}
            self.boot(boot)
            if not self.reader.booted and self.panicked():
                print(f"kernel {self.machine.kernel}, boot {boot}: panicked before init began; once more",
                      file=sys.stderr)
                self.boot(boot)
            self.look_outside(said)
            expected = ("finished",) if boot == self.machine.boots else ("reboot", "reset")
            if self.reader.ending not in expected:
                raise VmError(self.obituary(boot))
            if any(self.reader.status.values()):
                break
        return self.reader.results()

    def panicked(self):
        """Seen of emulated CPUs, once in hundreds of boots: one runs code that the other is patching."""
        return "Kernel panic" in self.text_of("console")

    def text_of(self, name):
        path = self.work / name
        return path.read_text(errors="replace") if path.exists() else ""

    def look_outside(self, said):
        """Judges what the cases said in this boot of the wire and the console, which they cannot see."""
        for name, output in self.reader.output.items():
            for verb, where, text in OUTSIDE.findall(output[said.get(name, 0) :]):
                seen = text in (self.work / where.decode()).read_bytes()
                good = seen == (verb == b"want")
                line = f"{text.decode()} {'' if seen else 'not '}on the {where.decode()}\n"
                self.reader.output[name] += f"{'ok' if good else 'FAILED'}: {line}".encode()
                self.reader.status[name] = self.reader.status.get(name) or int(not good)

    def boot(self, boot):
        started = time.monotonic()
        read_end, write_end = os.pipe()
        with open(read_end, "rb", buffering=0) as port:
            with open(self.work / "qemu.log", "wb") as log:
                qemu = subprocess.Popen(self.command(boot, write_end), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        pass_fds=[write_end], preexec_fn=dies_with_parent)
            os.close(write_end)
            try:
                self.listen(port, started)
            finally:
                # Asked first: a killed QEMU loses what the guest has synced but the overlay's tables do not show yet.
                qemu.terminate()
                try:
                    qemu.wait(10)
                except subprocess.TimeoutExpired:
                    qemu.kill()
                    qemu.wait()

    def listen(self, port, started):
        """Until the machine has nothing more to say. The bound is for a hang only: each case has its own, in the
        guest."""
        deadline = started + self.machine.boot_timeout
        in_cases = sum(case.timeout for case in self.cases) + self.machine.boot_timeout
        booted = False
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([port], [], [], left)[0]:
                return
            data = port.read(65536)
            if not data:
                return
            self.reader.feed(data)
            if self.reader.booted and not booted:
                booted = True
                self.boot_seconds.append(time.monotonic() - started)
                deadline = time.monotonic() + in_cases
            if self.reader.ending in ("finished", "reset"):
                return

    def obituary(self, boot):
        if self.reader.current:
            where = f"in case {self.reader.current}"
        else:
            where = "between cases" if self.reader.booted else "before it ran any case"
        text = [f"kernel {self.machine.kernel}, mode {self.machine.mode}, boot {boot}: the machine ended or hung "
                f"{where}"]
        for name in ("qemu.log", "console"):
            lines = self.text_of(name).splitlines()
            if lines:
                text += [f"--- last lines of {name}", *lines[-CONSOLE_LINES:]]
        return "\n".join(text)
