# SPDX-License-Identifier: MIT
"""Run by test_proxy.py: boots systemd as process 1 of namespaces of its own, over this machine's files, and starts the
delivered openhands.service with the delivered scripts. Docker's command is played: it is OpenHands' settings. Leaves
what the unit said and came to in FOLDER/out/log.
usage: unit_scene.py FOLDER CGROUP     FOLDER has openhands.service, openhands-run, openhands-settings and docker"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

folder, cgroup = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
# What a namespace inside another cannot have; and what is not here.
LEFT_OUT = re.compile(r"^(Protect(Proc|Kernel\w+|Hostname|ControlGroups|Clock)|PrivateDevices|Requires|After|Wants|"
                      r"RequiresMountsFor|AssertPathIsMountPoint|Restart)=.*\n", re.M)
OUT = "StandardOutput=append:/out/log\nStandardError=append:/out/log\nTimeoutStopSec=5\n"
DONE = ("[Unit]\nDefaultDependencies=no\nAfter=openhands.service\n[Service]\nType=oneshot\n" + OUT +
        "ExecStart=/bin/sh -c 'systemctl show -p ActiveState -p SubState openhands; "
        "systemctl --force --force poweroff'\n")
TARGET = "[Unit]\nDefaultDependencies=no\nWants=openhands.service done.service\n"


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def make_root():
    """This machine's files, with changes that go when the scene ends."""
    mount("--make-rprivate", "/")
    layers, root = folder / "layers", folder / "layers/root"
    layers.mkdir()
    mount("-t", "tmpfs", "layers", layers)
    for name in ("up", "work", "root"):
        (layers / name).mkdir()
    mount("-t", "overlay", "root", "-o", f"lowerdir=/,upperdir={layers}/up,workdir={layers}/work", root)
    for kind, place, *more in (("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "dev"), ("sysfs", "sys", "-o", "ro"),
                               ("cgroup2", "sys/fs/cgroup")):
        mount("-t", kind, *more, kind, root / place)
    for device in ("null", "zero", "urandom"):
        (root / "dev" / device).touch()
        mount("--bind", f"/dev/{device}", root / "dev" / device)
    (root / "out").mkdir()
    (folder / "out").mkdir()
    mount("--bind", folder / "out", root / "out")
    return root


def fill(root):
    units = root / "etc/systemd/system"
    shutil.rmtree(units)
    units.mkdir()
    unit = LEFT_OUT.sub("", (folder / "openhands.service").read_text())
    (units / "openhands.service").write_text(unit.replace("[Service]\n", "[Service]\n" + OUT))
    (units / "done.service").write_text(DONE)
    (units / "try.target").write_text(TARGET)
    for path, name in (("usr/local/lib/ohguard/openhands-run", "openhands-run"), ("usr/local/sbin/docker", "docker"),
                       ("usr/local/lib/ohguard/openhands-settings", "openhands-settings")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, root / path)
        (root / path).chmod(0o755)
    for path in ("etc/credstore", "etc/ohguard", "var/lib/openhands-state"):
        (root / path).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("llm-api-key", "session-key"):
        (root / "etc/credstore" / f"openhands.{name}").write_text("k-" + name)
    (root / "etc/credstore/openhands.settings").write_text("{}")
    (root / "var/lib/openhands-state/secret-key").write_text("s")
    (root / "etc/ohguard/openhands.env").write_text("DOCKER_HOST=unix:///run/none\n")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nopenhands:x:999:999::/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nopenhands:x:999:\n")


def main():
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    if os.environ.get("OHGUARD_INSIDE") is None:
        os.environ["OHGUARD_INSIDE"] = "yes"
        os.execvp("unshare", ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup",
                              "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    root = make_root()
    fill(root)
    mount("--make-rshared", root)   # as systemd makes it where it is not in a container: credentials come by it
    os.chroot(root)
    os.chdir("/")
    os.execve("/lib/systemd/systemd", ["systemd", "--system", "--unit=try.target",
                                       "systemd.unified_cgroup_hierarchy=1"],
              {"container": "other", "PATH": os.defpath + ":/usr/sbin:/sbin"})


main()
