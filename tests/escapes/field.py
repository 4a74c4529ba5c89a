# SPDX-License-Identifier: MIT
"""A place where attacks are tried: one lab with a container in it, one guard, and what an attack may ask to be done
outside.

This one is the machine itself, in the guarded cgroup, with its uplink guarded too. tests/docker has another, and
tests/vm one without Python.
"""
import os
import subprocess
import sys
import time
from pathlib import Path

from guard import ALLOWED, DEGRADED, DONE, Guard, config, poll
from lab import topology
from lab.bridge import Bridge
from lab.lab import BESIDE, call
from table import marker

THOROUGH = bool(os.environ.get("OHGUARD_ESCAPES"))     # all of the control, and more reloads
ATTACK = Path(__file__).resolve().parent / "attack.py"
NAMES = (ALLOWED, "files.cdn.example", "meta.lab.example", "alias.lab.example")
GRANTED = f"{topology.ATTACKER[0]}:31337"
# From the attacker's own address, whatever else its host has.
SEND_IN = """
import socket, sys
kind, family, source, to, port = sys.argv[1:]
s = socket.socket(int(family), socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.settimeout(1)
s.bind((source, 0))
try:
    if kind == "udp":
        s.sendto(b"in", (to, int(port)))
    else:
        s.connect((to, int(port)))
except OSError:
    pass
"""


class Field:
    SHOWN = 1 if THOROUGH else 9    # of the attacks, each so-manieth without a guard
    TRIED = 1                       # and with one

    def __init__(self, lab):
        self.lab = lab
        self.guard = Guard(lab)
        self.loaded = False
        self.uplink = False
        self.hops = 0           # a marker overtakes what has devices of its own to pass yet: one for each
        self.reloads = 20 if THOROUGH else 4
        self.box = -1
        self.begun = {}         # early attacks that wait for the guard: name -> process
        self.before = {}        # counters at the last look
        self.beside = lab.cgroup.with_name(lab.cgroup.name + BESIDE)

    # -- the place

    def set_up(self):
        self.beside.mkdir()
        self.lab.dns.add("meta.lab.example", topology.METADATA[0])
        self.lab.dns.add_alias("alias.lab.example", "edge.cdn.example")
        self.uplink = "--uplink" in self.guard.run("load", "--help").stdout and not \
            self.guard.run("load", "--uplink", "auto", "--dry-run", "--cgroup", str(self.lab.cgroup)).returncode == 2
        self.container()
        self.network()
        self.meet(self.lab.server.netns, "10.0.1.1", "fd00:1::1")

    @staticmethod
    def meet(netns, *routers):
        """An attack whose first packet waits for its router's link address would show nothing."""
        for router in routers:
            call(["nsenter", f"--net={netns}", "ping", "-c1", "-w10", router])

    def container(self):
        """As Docker does it, but without NAT: that would have the kernel put fragments together before any hook."""
        box = self.lab.netns("box")
        call(["ip", "netns", "add", box])
        self.box = os.open(f"/run/netns/{box}", os.O_RDONLY)       # the server has a /run of its own
        self.lab.server.ip(f"link add box0 address 02:6f:68:00:00:0a type veth peer name eth0 address "
                           f"02:6f:68:00:00:0b netns {box}",
                           "addr add 172.30.0.1/24 dev box0", "addr add fd00:30::1/64 dev box0 nodad",
                           "link set box0 up",
                           "route add 10.0.1.76/32 dev box0")       # an address for who crafts a TCP of its own
        call(["ip", "-n", box, "-batch", "-"],
             "link set lo up\naddr add 172.30.0.2/24 dev eth0\naddr add fd00:30::2/64 dev eth0 nodad\n"
             "link set eth0 up\nroute add default via 172.30.0.1\nroute add default via fd00:30::1\n")
        call(["nsenter", f"--net={self.lab.server.netns}", "sh", "-ec",
              "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/eth0/proxy_arp; echo 1 "
              ">/proc/sys/net/ipv6/conf/all/forwarding"])
        self.meet(f"/run/netns/{box}", "172.30.0.1", "fd00:30::1")

    def network(self):
        """One that stays on the machine: [guard] local."""
        self.bridge = Bridge(self.lab, nat=False)
        self.bridge.add()

    def close(self):
        for process in self.begun.values():
            process.kill()
            process.wait()
        if self.box >= 0:
            os.close(self.box)
        self.bridge.remove()
        self.guard.run("unload", "--yes")
        self.guard.close()
        poll(lambda: not (self.beside / "cgroup.procs").read_text(), "an empty cgroup beside")
        self.beside.rmdir()

    def load(self):
        text = config(self.lab.cgroup, allow=NAMES, guard=("local = auto",),
                      dns=("inspect = on", "min-ttl = 1h", f"resolver = {topology.RESOLVERS[2]}"),
                      extra=f"[ntp]\nserver = {topology.TIME[1]}")
        self.guard.write("/etc/ohguard/ohguard.conf", text)
        r = self.guard.run("load", *self.options())
        assert r.returncode in (DONE, DEGRADED), r.stderr
        self.loaded = True
        self.before = self.counters()

    def options(self):
        return ("--uplink", "auto") if self.uplink else ()

    def counters(self):
        return {k: v["packets"] for k, v in self.guard.json("stats")["reasons"].items()}

    # -- what must become of an attack here

    @staticmethod
    def shown(attack):
        """Whether a run without a guard can show that it works."""
        return not attack.unseen

    def untried(self, attack):
        """Why it is not tried here, or None."""
        if attack.stop == "uplink" and not self.uplink:
            return "stopped at the uplink, which this build does not guard (--uplink)"
        if attack.stop == "lsm":
            return "stopped by BPF LSM alone, which this machine does not have on: see tests/vm"
        return None

    def leaves(self, attack):
        """Why it is known to get out, or None."""
        return None if self.uplink and attack.uplink else attack.leaves

    def reasons(self, attack):
        """One of these counters moves; of none, if there are none."""
        return {attack.reason, attack.uplink if self.uplink else ""} - {""}

    # -- an attack

    def start(self, attack):
        argv = [sys.executable, "-IS", str(ATTACK), attack.name, "--box", f"/proc/self/fd/{self.box}"]
        return self.lab.server.popen(argv, guarded=attack.where != "outside", stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
                                     pass_fds=(self.box,), env={"PYTHONDONTWRITEBYTECODE": ""})

    def begin(self, attack):
        """As far as an early attack goes without a guard."""
        process = self.start(attack)
        line = process.stdout.readline().split()
        assert line[1:] == ["waits", "load"], line
        self.begun[attack.name] = process

    def run(self, attack):
        """Tries it: what it says in the end, and which frames left that should not have."""
        mark = self.lab.wire.mark()
        process = self.begun.pop(attack.name, None)
        if process:
            process.stdin.write("\n")
        else:
            process = self.start(attack)
        try:
            said, mark = self.follow(process, attack, mark)
        finally:
            self.end(process)
        return said, self.leaked(mark, attack)

    def follow(self, process, attack, mark):
        """Does what it asks for until it is through: what it says then, and where in the capture it began."""
        verb, rest = "nothing", []
        for line in process.stdout:
            if not line.startswith(attack.name + " "):
                rest = [line]       # of a tool that it ran, or why it died
                continue
            verb, *rest = line.split(None, 2)[1:]
            if verb != "waits":
                break
            mark = self.do(rest[0].split(), process.pid, attack) or mark
            process.stdin.write("\n")
        return " ".join([verb, *rest]).strip(), mark

    def end(self, process):
        try:
            process.stdin.close()
            process.wait(30)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def moved(self):
        """Reasons whose counters moved since the last call."""
        now = self.counters()
        found = {k for k, v in now.items() if v > self.before.get(k, 0)}
        self.before = now
        return found

    # -- what an attack asks for

    def do(self, wish, pid, attack):
        """A new mark, where what went before was allowed."""
        return getattr(self, "do_" + wish[0])(pid, attack, *wish[1:])

    def do_load(self, pid, attack):
        pass        # it is, or this is a run without

    def do_out(self, pid, attack):
        self.move(pid, self.beside)

    def do_in(self, pid, attack):
        self.move(pid, self.lab.cgroup)

    def move(self, pid, cgroup):
        """With its child, which is what attacks."""
        (cgroup / "cgroup.procs").write_text(str(pid))
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            (cgroup / "cgroup.procs").write_text(child)

    def do_reload(self, pid, attack):
        for _ in range(self.reloads if self.loaded else 0):
            assert self.guard.run("load", *self.options()).returncode in (DONE, DEGRADED)
        if not self.loaded:
            time.sleep(0.5)

    def do_grant(self, pid, attack):
        if self.loaded:
            self.guard.ok("allow", GRANTED, "--for", "2s")

    def do_lapse(self, pid, attack):
        if self.loaded:
            poll(lambda: not self.guard.targets().get(GRANTED), "the grant's end")
            time.sleep(1.1)     # list and kernel each count whole seconds
        return self.lab.wire.mark()

    def do_revoke(self, pid, attack):
        if self.loaded:
            self.guard.ok("revoke", GRANTED)
        return self.lab.wire.mark()

    def do_tcp(self, pid, attack, port):
        self.knock("tcp", attack, port)

    def do_udp(self, pid, attack, port):
        self.knock("udp", attack, port)

    def knock(self, kind, attack, port):
        """The attacker's host connects to the workload, or sends to it."""
        six = attack.family == 6
        self.lab.attacker.run([sys.executable, "-c", SEND_IN, kind, "10" if six else "2", topology.ATTACKER[six],
                               "fd00:1::10" if six else "10.0.1.10", port])

    # -- the wire

    def leaked(self, mark, attack):
        for _ in range(self.hops):
            self.lab.wire.mark()
        data = marker(attack.name)
        return [f for f in self.lab.wire.since(mark) if data in f.raw or not expected(f, attack)]


ALLOWED_ADDRESSES = {a for n in (ALLOWED, "files.cdn.example") for a in topology.ZONE[n]}

FOREIGN = {*topology.ATTACKER, "10.0.1.99"}     # sources that no packet from here has: see sources.py
ASKED_FOR = {"10.0.1.77": "neighbour_lookup4", "10.0.1.78": "box_neighbour4"}


def expected(f, attack):
    """What leaves a healthy machine in any case."""
    if f.src in FOREIGN:
        return False
    if f.proto == "arp" and f.dst in ASKED_FOR:         # which goes on for some seconds
        return ASKED_FOR[f.dst] != attack.name
    if f.housekeeping or (f.proto == "igmp" and not attack.name.startswith("multicast_join")):
        return True
    if f.malformed or f.extensions or f.fragment is not None:
        return False
    return (f.dst in topology.RESOLVERS and f.dport == 53) or \
        (f.dst in topology.TIME and f.proto == "udp" and f.dport == 123) or \
        (f.proto == "tcp" and f.dst in ALLOWED_ADDRESSES and f.dport == 443)


