# SPDX-License-Identifier: MIT
"""Run by test_state.py in a mount namespace of its own: the script that mounts the volume with the agent's state, on a
real file system in a loop device, which lsblk shows as a disk. Prints what was found at each stage as JSON."""
import json
import os
import pathlib
import subprocess
import sys

from scene import overlay, write

folder = pathlib.Path(sys.argv[1])
STATE = "/var/lib/openhands-state"


def run(*argv, check=True):
    return subprocess.run(argv, check=check, capture_output=True, text=True).stdout.strip()


def mount_it():
    done = subprocess.run(["bash", folder / "state-disk"], capture_output=True, text=True)
    return [done.returncode, done.stderr, os.path.ismount(STATE)]


def main():
    for path in ("/etc", "/var/lib"):
        overlay(folder, path)
    image = folder / "disk"
    with open(image, "wb") as f:
        f.truncate(64 << 20)
    loop = run("losetup", "--find", "--show", image)
    seen = {}
    try:
        write(folder / "tools/lsblk", f'#!/bin/sh\ncase $1 in -dnpo) echo {loop} disk ;; *) echo "$3" ;; esac\n')
        write(folder / "tools/systemctl", "#!/bin/sh\n")
        os.environ["PATH"] = f"{folder}/tools:{os.environ['PATH']}"
        seen["empty"] = mount_it()
        write(f"{STATE}/kept", "here")
        seen["again"] = mount_it()
        run("umount", STATE)
        seen["found"] = mount_it()
        seen["kept"] = pathlib.Path(STATE, "kept").read_text()
        seen["fstab"] = [line.split()[:2] for line in open("/etc/fstab") if line.startswith("LABEL=ohguard")]
        run("umount", STATE)
        # Not ours to format, even if it is the only one.
        run("mkfs.ext4", "-qF", "-L", "other", loop)
        write(folder / "tools/seq", "#!/bin/sh\necho 1\n")
        write(folder / "tools/sleep", "#!/bin/sh\n")
        seen["other"] = [*mount_it(), run("blkid", "-p", "-o", "value", "-s", "LABEL", loop)]
    finally:
        run("losetup", "--detach", loop)
    print(json.dumps(seen))


main()
