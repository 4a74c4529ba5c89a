#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Docker's command in the lab, where OpenHands comes from its registry and not from an image: `docker run` starts the
agent server of tests/agents in its root, with the environment, volumes and arguments that the real one would get.

usage: container.py ROOT run OPTION... IMAGE ARGUMENT..."""
import ctypes
import os
import subprocess
import sys
import tempfile

root, verb, *words = sys.argv[1:]
FLAGS = ("--rm",)                               # options without a value
NO_MATTER = ("--name", "--pull", "--network")   # there is one, it is here, and the network is this one's own
CLONE_NEWNS = 0x20000
environment = {"PATH": "/opt/openhands/bin:/usr/bin:/bin", "HOME": "/home/openhands", "LC_ALL": "C.UTF-8",
               "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
volumes = []

assert verb == "run", verb
while words[0].startswith("-"):
    option = words.pop(0)
    if option in FLAGS:
        continue
    value = words.pop(0)
    if option == "--env":
        name, has, text = value.partition("=")
        environment[name] = text if has else os.environ[name]
    elif option == "--volume":
        volumes.append(value.split(":"))
    elif option not in NO_MATTER:
        sys.exit(f"docker run: {option}: not played")
arguments = words[1:]

if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
    raise OSError(ctypes.get_errno(), "unshare")


def mount(*argv):
    subprocess.run(["mount", *argv], check=True)


mount("--make-rprivate", "/")
layers = tempfile.mkdtemp(dir="/run")
mount("-t", "tmpfs", "agent", layers)
for name in ("upper", "work", "root"):
    os.mkdir(f"{layers}/{name}")
here = f"{layers}/root"
mount("-t", "overlay", "agent", "-o", f"lowerdir={root},upperdir={layers}/upper,workdir={layers}/work", here)
for folder in ("dev", "proc", "sys"):
    mount("--rbind", f"/{folder}", f"{here}/{folder}")
for file in ("resolv.conf", "hosts", "ssl/certs/ca-certificates.crt"):
    with open(f"/etc/{file}", "rb") as f, open(f"{here}/etc/{file}", "wb") as copy:
        copy.write(f.read())
for source, target in volumes:
    os.makedirs(here + target, exist_ok=True)
    mount("--bind", source, here + target)
os.chroot(here)
os.chdir("/")
os.execve("/opt/openhands/bin/python", ["python", "-m", "openhands.agent_server", *arguments], environment)
