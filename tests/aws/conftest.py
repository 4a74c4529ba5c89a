# SPDX-License-Identifier: MIT
"""moto_server, the real `aws` and the program under test, each test with a stack of its own."""
import fcntl
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.request

import pytest

import aws_server

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
VENV = pathlib.Path(os.environ.get("OHGUARD_AWS_VENV", TOP / "build" / "aws-venv"))
PROGRAM = pathlib.Path(os.environ.get("OHGUARD", TOP / "build" / "ohguard"))

OPENHANDS = "1.24.0@sha256:" + "0123456789abcdef" * 4

# What moto knows of Canonical's images ends with 16.04.
JAMMY = {
    "ami_id": "ami-0abcdef1234567890", "name": "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260101",
    "owner_id": "099720109477", "architecture": "x86_64", "virtualization_type": "hvm", "hypervisor": "xen",
    "image_type": "machine", "public": True, "root_device_name": "/dev/sda1", "root_device_type": "ebs",
    "sriov": "simple", "state": "available", "description": "Ubuntu 22.04", "creation_date": "2026-01-01T00:00:00.000Z",
}
JAMMY_ARM = {**JAMMY, "ami_id": "ami-0fedcba9876543210", "name": JAMMY["name"].replace("amd64", "arm64"),
             "architecture": "arm64"}


@pytest.fixture(scope="session")
def venv():
    """Made once; OHGUARD_AWS_VENV names one that is there already."""
    VENV.parent.mkdir(exist_ok=True)
    with open(VENV.with_suffix(".lock"), "w") as lock:  # of several workers one makes it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (VENV / "bin" / "moto_server").exists():
            subprocess.run(["/usr/bin/python3", "-m", "venv", str(VENV)], check=True)
            subprocess.run([str(VENV / "bin" / "pip"), "install", "-q", "-r", str(HERE / "requirements.txt")],
                           check=True)
    return VENV


@pytest.fixture(scope="session")
def moto(venv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("moto")
    (folder / "amis.json").write_text(json.dumps([JAMMY, JAMMY_ARM]))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen([str(venv / "bin" / "python"), str(HERE / "moto_main.py"), "-p", str(port)],
                                  stdout=log, stderr=log, env={
                                      **os.environ, "MOTO_AMIS_PATH": str(folder / "amis.json")})
    url = f"http://127.0.0.1:{port}"
    for _ in range(150):
        try:
            urllib.request.urlopen(url + "/moto-api/", timeout=1).close()
            break
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.2)
    else:
        server.kill()
        pytest.fail("moto_server does not answer")
    yield url
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def aws_client(venv, tmp_path_factory):
    """A quick way to the real `aws`: see aws_server.py."""
    folder = tmp_path_factory.mktemp("aws")
    path = folder / "socket"
    server = subprocess.Popen([str(venv / "bin" / "python"), str(HERE / "aws_server.py"), str(path)],
                              stdout=subprocess.PIPE, text=True, cwd=folder,
                              env={"PATH": os.environ["PATH"], "HOME": str(folder)})
    assert server.stdout.readline() == "ready\n"
    client = folder / "aws"
    client.write_text(aws_server.CLIENT.format(path=str(path)))
    client.chmod(0o755)
    yield client
    server.terminate()
    server.wait()


def tracer(log):
    """A prefix that notes the arguments and the environment of every program that starts, however briefly it runs."""
    return ["strace", "-f", "-qq", "--seccomp-bpf", "-v", "-s", "100000", "-e", "trace=execve,execveat", "-e",
            "signal=none", "-o", str(log)]


class Stack:
    """One stack's configuration, state folder and AWS, and the program run on them."""

    def __init__(self, folder, url, client):
        self.folder, self.url = folder, url
        self.name = "t" + os.urandom(4).hex()
        self.config = folder / "ohguard.conf"
        self.state = folder / "state"
        self.calls = folder / "calls"
        self.prefix = []  # what the program runs under
        self.write()
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        self.real_aws = client
        self.wrap("")
        self.env = {"PATH": f"{bin_folder}:/usr/bin:/bin:/usr/sbin", "HOME": str(folder), "AWS_ENDPOINT_URL": url,
                    "AWS_ACCESS_KEY_ID": aws_server.KEYS[0], "AWS_SECRET_ACCESS_KEY": aws_server.KEYS[1],
                    "LC_ALL": "C.UTF-8"}

    def write(self, **keys):
        keys = {"name": self.name, "operator": "203.0.113.7", "openhands": OPENHANDS, **keys}
        lines = [f"{k.replace('_', '-')} = {v}" for k, v in keys.items() if v is not None]
        self.config.write_text("[stack]\n" + "\n".join(lines) + f"\n[paths]\nstate = {self.state}\n")
        self.config.chmod(0o600)

    def wrap(self, before, after=""):
        """Replaces `aws` by a script: notes the call, then `before`, the real one, `after`."""
        path = self.folder / "bin" / "aws"
        path.write_text(f"#!/bin/bash\nprintf '%s\\n' \"$*\" >>{self.calls}\n{before}\n"
                        f"{self.real_aws} \"$@\"\nstatus=$?\n{after}\nexit $status\n")
        path.chmod(0o755)

    def run(self, *args, check=None, stdin=None, timeout=600, env=None):
        done = subprocess.run([*self.prefix, str(PROGRAM), "aws", args[0], "-c", str(self.config), *args[1:]],
                              input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True,
                              text=True, env={**self.env, **(env or {})}, timeout=timeout)
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    def apply(self, *args, **kw):
        return self.run("apply", "--yes", "--no-deliver", *args, **kw)

    def aws(self, *args):
        out = subprocess.run([str(self.real_aws), "--region", "us-east-1", "--output", "json", *args],
                             env=self.env, stdout=subprocess.PIPE, text=True, check=True).stdout
        return json.loads(out) if out.strip() else None

    def mine(self, call, query, option="--filters"):
        return self.aws("ec2", call, option, f"Name=tag:ohguard:stack,Values={self.name}", "--query", query)

    def one(self, call, array, key):
        found = [x for x in self.mine(call, array) if {"Key": "ohguard:resource", "Value": key} in x["Tags"]]
        assert len(found) == 1, (key, found)
        return found[0]

    def machine(self, key):
        """The instance that runs."""
        found = [x for x in self.mine("describe-instances", "Reservations[].Instances[]")
                 if {"Key": "ohguard:resource", "Value": key} in x["Tags"] and x["State"]["Name"] == "running"]
        assert len(found) == 1, (key, found)
        return found[0]

    def mutations(self):
        """The calls so far that change something."""
        if not self.calls.exists():
            return []
        reads = ("describe-", "get-", "--version")
        return [c for c in self.calls.read_text().splitlines()
                if not any(w.startswith(reads) for w in c.split()[:2])]


@pytest.fixture
def stack(tmp_path, moto, aws_client):
    assert PROGRAM.exists(), f"{PROGRAM}: run make first"
    return Stack(tmp_path, moto, aws_client)
