# SPDX-License-Identifier: MIT
"""A network of containers on the lab's server, as Docker makes one: a bridge, and boxes behind its ports."""
import subprocess

from .lab import call


class Bridge:
    """`net` 31 is 10.31.0.0/24 and fd31::/64: the server has .1, boxes .2 and up. NAT has the kernel put fragments
    together before any hook."""

    def __init__(self, lab, name="ohbr0", net=31, nat=True):
        self.lab, self.name, self.net, self.nat, self.boxes = lab, name, net, nat, []
        lab.server.ip(f"link add {name} type bridge", f"addr add {self.ip4(1)}/24 dev {name}",
                      f"addr add {self.ip6(1)}/64 dev {name} nodad", f"link set {name} up")
        lab.server.run(["sh", "-ec",
                        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"],
                       check=True)
        if not nat:
            return
        lab.server.run(["nft", "-f", "-"], check=True, input=f"""
            table inet {name} {{
                chain out {{
                    type nat hook postrouting priority srcnat;
                    iifname "{name}" oifname != "{name}" masquerade
                }}
            }}""")

    def ip4(self, host):
        return f"10.{self.net}.0.{host}"

    def ip6(self, host):
        return f"fd{self.net}::{host}"

    def add(self):
        box = Box(self, len(self.boxes) + 2)
        self.boxes.append(box)
        return box

    def remove(self):
        for box in self.boxes:
            call(["ip", "netns", "del", box.netns])
        if self.nat:
            self.lab.server.run(["nft", "delete", "table", "inet", self.name], check=True)
        self.lab.server.ip(f"link del {self.name}")


class Box:
    def __init__(self, bridge, host):
        self.bridge, self.lab = bridge, bridge.lab
        self.ip4, self.ip6 = bridge.ip4(host), bridge.ip6(host)
        self.port = f"v{bridge.net}-{host}"
        self.netns = f"ohl-{self.lab.id}-{self.port}"
        call(["ip", "netns", "add", self.netns])
        # numbered as the bridge itself could be: a number alone must not make it one
        self.lab.server.ip(f"link add {self.port} type veth peer name eth0 netns {self.netns}",
                           f"link set {self.port} master {bridge.name} up")
        self.ip("link set lo up", f"addr add {self.ip4}/24 dev eth0", f"addr add {self.ip6}/64 dev eth0 nodad",
                "link set eth0 up", f"route add default via {bridge.ip4(1)}", f"route add default via {bridge.ip6(1)}")

    def ip(self, *lines):
        return call(["ip", "-n", self.netns, "-batch", "-"], "\n".join(lines) + "\n")

    def command(self, argv, guarded=True):
        join = f"echo $$ > '{self.lab.cgroup}/cgroup.procs' && " if guarded else ""
        holder = self.lab.state["machines"]["server"]
        return ["nsenter", f"--net=/run/netns/{self.netns}", f"--mount=/proc/{holder}/ns/mnt", "--", "sh", "-c",
                f'{join}exec "$@"', "sh", *map(str, argv)]

    def popen(self, argv, guarded=True, **kw):
        return subprocess.Popen(self.command(argv, guarded), env=self.lab.server.environment(), **kw)

    def run(self, argv, guarded=True, **kw):
        kw = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 60, **kw}
        return subprocess.run(self.command(argv, guarded), env=self.lab.server.environment(), **kw)
