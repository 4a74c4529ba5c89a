# SPDX-License-Identifier: MIT
"""The scene of tests/escapes with a real container as the place that is attacked from: bridged, with CAP_NET_RAW and
CAP_NET_ADMIN."""
import contextlib
import os
import subprocess

from engine import ADMIN
from field import Field
from table import not_for_containers

THOROUGH = os.environ.get("OHGUARD_DOCKER") == "all"

# So that the attacker's host can reach it at all: as an agent's sandbox publishes its ports.
PUBLISHED = ("--publish", "22:22", "--publish", "3000:3000", "--publish", "3999:3999", "--publish", "3998:3998/udp")
# As a VPN in a container is given; and pings without a raw socket.
SYSCTLS = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.disable_ipv6=0",
           "net.ipv4.ping_group_range=0 2147483647")


class Inside(Field):
    """The attacker is a container; what is done outside is done to its cgroup."""

    SHOWN, TRIED = (1, 1) if THOROUGH else (40, 12)

    def __init__(self, engine):
        super().__init__(engine.lab)
        self.engine = engine
        self.hops = 3       # bridge, forwarding, uplink
        self.serving = self.attacker = None

    def container(self):
        self.box = -1
        self.attacker = self.engine.start("attacker", "bridge", *ADMIN, *PUBLISHED,
                                          *(w for s in SYSCTLS for w in ("--sysctl", s)))
        self.argv = self.attacker.attacking("--set", "unused=172.30.0.76")
        pid = self.engine.docker("inspect", "--format", "{{.State.Pid}}", self.attacker.name).stdout.strip()
        self.meet(f"/proc/{pid}/ns/net", *self.engine.gateway("bridge")[1:])

    @staticmethod
    def shown(attack):
        return not attack.unseen and not not_for_containers(attack) and not attack.container.ends

    def untried(self, attack):
        return not_for_containers(attack)

    def leaves(self, attack):
        return attack.leaves if attack.container.reason is None else None

    def reasons(self, attack):
        instead = attack.container.reason
        return {attack.reason if instead is None else instead, attack.uplink} - {""}

    def close(self):
        if self.serving:
            super().end(self.serving)
        for process in self.begun.values():
            process.kill()
            process.wait()
        if self.attacker:
            self.attacker.remove()
        self.guard.run("unload", "--yes")
        self.guard.close(workload=False)
        # Or what they still send to connections that have ended here would be refused in the tests to come.
        for host in ("internet", "aws", "script"):
            self.lab.hosts[host].run(["ss", "--kill", "--tcp"])
        self.beside.rmdir()

    def start(self, attack):
        if attack.early:
            return self.enter(attack.name)
        if not self.serving or self.serving.poll() is not None:
            self.serving = self.enter("-")
        self.serving.stdin.write(attack.name + "\n")
        return self.serving

    def enter(self, what):
        return self.lab.server.popen(self.attacker.command(*self.argv, what), stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)

    def end(self, process):
        if process is not self.serving:
            super().end(process)
        self.move_back()

    def move(self, pid, cgroup):
        """All of it but what sleeps: nothing in a container could move itself."""
        target = self.attacker.cgroup if cgroup == self.lab.cgroup else cgroup
        for source in {self.attacker.cgroup, self.beside} - {target}:
            for each in (source / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    (target / "cgroup.procs").write_text(each)

    def move_back(self):
        if (self.beside / "cgroup.procs").read_text():
            self.move(0, self.lab.cgroup)
