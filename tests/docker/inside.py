# SPDX-License-Identifier: MIT
"""The scene of tests/escapes with a real container as the place that is attacked from: bridged, with CAP_NET_RAW and CAP_NET_ADMIN."""
import contextlib
import subprocess

from engine import ADMIN
from field import Field

# So that the attacker's host can reach it at all: as an agent's sandbox publishes its ports.
PUBLISHED = ("--publish", "22:22", "--publish", "3000:3000", "--publish", "3999:3999", "--publish", "3998:3998/udp")
# As a VPN in a container is given; and pings without a raw socket.
SYSCTLS = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.disable_ipv6=0",
           "net.ipv4.ping_group_range=0 2147483647")


class Inside(Field):
    """The attacker is a container; what is done outside is done to its cgroup."""

    def __init__(self, engine):
        super().__init__(engine.lab)
        self.engine = engine
        self.hops = 3       # bridge, forwarding, uplink
        self.serving = None

    def container(self):
        self.box = -1
        self.attacker = self.engine.start("attacker", "bridge", *ADMIN, *PUBLISHED, *(w for s in SYSCTLS for w in ("--sysctl", s)))
        ip4, ip6, mac = self.attacker.look()
        bridge = self.guard.shell("cat /sys/class/net/docker0/address").stdout.strip()
        places = {"source": ip4, "source6": ip6, "unused": "172.30.0.76", "router": "172.30.0.1", "router6": "fd00:30::1"}
        self.argv = ["python3", "-IS", "/escapes/attack.py", "--inside", "--mac", mac, bridge,
                     *(word for key, value in places.items() for word in ("--set", f"{key}={value}"))]

    def close(self):
        if self.serving:
            super().end(self.serving)
        for process in self.begun.values():
            process.kill()
            process.wait()
        self.attacker.remove()
        self.guard.run("unload", "--yes")
        self.guard.close(workload=False)
        self.beside.rmdir()

    def start(self, attack):
        if attack.early:
            return self.enter(attack.name)
        if not self.serving or self.serving.poll() is not None:
            self.serving = self.enter("-")
        self.serving.stdin.write(attack.name + "\n")
        return self.serving

    def enter(self, what):
        return self.lab.server.popen(self.attacker.command(*self.argv, what), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, bufsize=1)

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
