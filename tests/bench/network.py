# SPDX-License-Identifier: MIT
"""Traffic to one allowed address among 1,000, past each kind of filter, and to a name over TLS.

Each filter has a network namespace of its own with a cable to one sink, so that all are there at once and bursts go
round: what else this machine does slows all of them alike. The guard is on the lab's cgroup, and only its path joins.
"""
import contextlib
import subprocess
import sys
import time
from pathlib import Path

from lab.lab import LabError, call
from record import rounds

ADDRESSES = 1000
LABELS = {"none": "no filter", "ohguard": "ohguard, 1,000 addresses", "uplink": "ohguard, with an uplink",
          "nft": "nft set of 1,000", "conntrack": "nft set with conntrack", "ipset": "ipset of 1,000 and iptables",
          "iptables10": "iptables, 10 rules", "iptables": "iptables, 1,000 rules",
          "netdev": "nft at netdev ingress", "input": "nft at input"}
PATHS = ("none", "ohguard", "uplink", "nft", "conntrack", "ipset", "iptables10", "iptables")
FLOOD = ("none", "uplink", "netdev", "input")    # what comes in uninvited: the others filter what leaves
GUARDS = {"ohguard": (), "uplink": ("--uplink", "eth0")}
LESS = ("ohguard judges IPv4 and IPv6, DNS names, NTP requests and TLS names, each packet's source, expiry in the "
        "kernel, and counts by target; with an uplink also what has no socket. The others compare an IPv4 address "
        "of what leaves, and no more; `iptables` is the script that ohguard replaces. systemd's IPAddressAllow= is "
        "not here: it needs systemd as the first process.")
# kind: slug, what it is called, rounds, datagrams or connections in a burst, targets of ohguard and of the uplink
TRAFFIC = {"udp": ("udp-send", "A DNS query, connected socket", 400, 500, 1.20, 1.28),
           "sendto": ("udp-sendto", "A DNS query by sendto()", 400, 500, None, None),
           "tcp": ("connect", "TCP connect and close", 400, 20, 1.06, 1.08)}
# kind of tls.py: slug, what it is called, unit, targets at most or at least
TLS = {"exchange": ("tls-exchange", "Connect, first TLS exchange and a request", "us", {"limit": 1.01}),
       "request": ("tls-request", "A request on a TLS connection that stays", "us", {}),
       "up": ("tls-up", "Upload over TLS, one stream", "Gb/s", {"least": 0.97}),
       "up16": ("tls-up-16", "Upload over TLS, 16 streams", "Gb/s", {"least": 0.97}),
       "down": ("tls-down", "Download over TLS, one stream", "Gb/s", {"least": 0.97}),
       "down16": ("tls-down-16", "Download over TLS, 16 streams", "Gb/s", {"least": 0.97})}
TRIPS = ("p50", "p99", "p99.9")
TLS_ROUNDS = 11
TLS_PORT = 8443
NAME = "bench.lab.example"
CLIENT = Path(__file__).with_name("tls.py")

GUARD = """[guard]
cgroup = {cgroup}
[dns]
resolver = {hole}
[allow]
target = bench.lab.example
target = bench.lab.example:{tls}
target = {sink}:443
{others}
"""
# What DNS would have said of the name: there is no resolver here.
RECORDS = """[resolved]
record = bench.lab.example 4 {now} {now} {later} 0 -
address = {sink} {later} 1
record = bench.lab.example 6 {now} {now} {later} 0 -
"""
NFT = """table inet bench {{
    set allowed {{ type ipv4_addr; elements = {{ {list} }} }}
    chain out {{
        type filter hook output priority filter; policy drop;
        {first}
        ip daddr @allowed accept
    }}
}}
"""
NETDEV = """table netdev bench {
    chain in {
        type filter hook ingress device eth0 priority 0; policy accept;
        ip protocol udp udp dport 53 drop
    }
}
"""
INPUT = """table inet bench {
    chain in {
        type filter hook input priority filter; policy accept;
        udp dport 53 drop
    }
}
"""


def others(count=ADDRESSES):
    return [f"198.18.{i // 250}.{i % 250 + 1}" for i in range(count - 2)]


class Paths:
    """Destroyed with the lab, whose names they bear. guards: by path, the program and its options."""

    def __init__(self, bench, names, guards):
        self.bench, self.lab, self.names, self.guards = bench, bench.lab, list(names), guards
        self.sink = self.lab.netns("sink")
        call(["ip", "netns", "add", self.sink])
        call(["ip", "-n", self.sink, "link", "set", "lo", "up"])
        for name in self.names:
            self._cable(name)
        for name in guards:
            self.cgroup(name).mkdir()
            self._guard(name)

    def filter(self):
        """What the others have in place of a guard."""
        self._nft("nft", "")
        self._nft("conntrack", "ct state established,related accept")
        self._ipset()
        self._iptables("iptables10", 10)
        self._iptables("iptables", ADDRESSES)
        self._inside("netdev", ["nft", "-f", "-"], NETDEV)
        self._inside("input", ["nft", "-f", "-"], INPUT)

    @contextlib.contextmanager
    def running(self, *argv):
        """A server at the far side, once it has said that it is ready."""
        with subprocess.Popen(["nsenter", f"--net=/run/netns/{self.sink}", *argv], stderr=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True) as server:
            try:
                if server.stdout.readline() != "ready\n":
                    raise LabError(f"{argv[0]} does not start")
                yield
            finally:
                server.kill()

    def sinking(self):
        """Takes connections and closes them."""
        return self.running(self.bench.tool("traffic"), "sink")

    def unload(self):
        for name, (program, _) in self.guards.items():
            self.lab.server.run([program, "unload", "--yes", "--name", f"bench-{name}"], check=True, timeout=60)

    def netns(self, name):
        return self.lab.netns(f"bench-{name}")

    def cgroup(self, name):
        return self.lab.cgroup / name

    def to(self, name):
        """Where the sink takes connections."""
        return f"10.99.{self.names.index(name)}.1"

    def hole(self, name):
        """What the sink drops unread, since it is nobody's there: a datagram's time is then that of sending it."""
        return f"10.98.{self.names.index(name)}.1"

    def allowed(self, name, count=ADDRESSES):
        """Those that are used come last: it is seldom iptables' first rule that a workload needs."""
        return [*others(count), self.to(name), self.hole(name)]

    def spec(self, name, kind):
        return ",".join([name, f"/run/netns/{self.netns(name)}", str(self.cgroup(name)) if name in self.guards else "",
                         self.to(name) if kind == "tcp" else self.hole(name)])

    def command(self, name, argv):
        join = f"echo $$ > '{self.cgroup(name)}/cgroup.procs' && " if name in self.guards else ""
        return ["nsenter", f"--net=/run/netns/{self.netns(name)}", "sh", "-c", f'{join}exec "$@"', "sh", *argv]

    def _cable(self, name):
        call(["ip", "netns", "add", self.netns(name)])
        call(["ip", "-n", self.sink, "link", "add", name, "type", "veth", "peer", "name", "eth0",
              "netns", self.netns(name)])
        call(["ip", "-n", self.sink, "-batch", "-"], f"addr add {self.to(name)}/24 dev {name}\nlink set {name} up\n")
        call(["ip", "-n", self.netns(name), "-batch", "-"],
             f"link set lo up\naddr add {self.to(name)[:-1]}2/24 dev eth0\nlink set eth0 up\n"
             f"route add {self.hole(name)} via {self.to(name)}\n")

    def _guard(self, name):
        """In the path's network namespace, where its uplink is; its pins are the lab server's."""
        conf = self.lab.dir / f"bench-{name}.conf"
        conf.write_text(GUARD.format(cgroup=self.cgroup(name), sink=self.to(name), hole=self.hole(name), tls=TLS_PORT,
                                     others="\n".join(f"target = {a}" for a in others())))
        program, options = self.guards[name]
        now = int(time.time())
        records = RECORDS.format(now=now, later=now + 7200, sink=self.to(name))
        state = f"/var/lib/ohguard/bench-{name}"
        self.lab.server.run(["sh", "-ec", f"mkdir -p -m 700 {state}; umask 077; cat >{state}/records"], input=records,
                            check=True)
        server = self.lab.state["machines"]["server"]
        call(["nsenter", f"--net=/run/netns/{self.netns(name)}", f"--mount=/proc/{server}/ns/mnt", "--",
              program, "load", "--no-resolve", "-c", conf, "--name", f"bench-{name}", *options])

    def _inside(self, name, argv, stdin=""):
        call(["nsenter", f"--net=/run/netns/{self.netns(name)}", *argv], stdin)

    def _nft(self, name, first):
        self._inside(name, ["nft", "-f", "-"], NFT.format(list=", ".join(self.allowed(name)), first=first))

    def _ipset(self):
        adds = "".join(f"add allowed {a}\n" for a in self.allowed("ipset"))
        self._inside("ipset", ["ipset", "restore"], f"create allowed hash:ip\n{adds}")
        self._inside("ipset", ["iptables-restore"], "*filter\n:OUTPUT DROP [0:0]\n"
                     "-A OUTPUT -m set --match-set allowed dst -j ACCEPT\nCOMMIT\n")

    def _iptables(self, name, count):
        rules = "".join(f"-A OUTPUT -d {a} -j ACCEPT\n" for a in self.allowed(name, count))
        self._inside(name, ["iptables-restore"], f"*filter\n:OUTPUT DROP [0:0]\n{rules}COMMIT\n")


def add(bench, values, unit, targets):
    """Each path beside none, by pairs from the same round. targets: by path."""
    for name in values:
        bench.figures.append(rounds(LABELS[name], values[name], unit, values["none"], **targets.get(name, {})))


def burst(bench, kind, count, size, specs):
    r = subprocess.run([bench.tool("traffic"), kind, str(count), str(size), *specs], capture_output=True, text=True)
    if r.returncode:
        raise LabError(f"traffic {kind}: {r.stderr.strip()}")
    return {name: list(map(float, values)) for name, *values in map(str.split, r.stdout.splitlines())}


def traffic(bench, paths, kind):
    slug, what, count, size, most, most_uplink = TRAFFIC[kind]
    bench.section(slug, f"{what}: time of one, and its ratio to no filter", LESS)
    values = burst(bench, kind, bench.fewer(count), size, [paths.spec(name, kind) for name in PATHS])
    add(bench, values, "ns", {"ohguard": {"limit": most}, "uplink": {"limit": most_uplink}})


def flood(bench, paths):
    bench.section("flood", "A flood of small datagrams from outside: time of one with its sender, and its ratio to no "
                  "filter", "All of them refuse each datagram. nft's netdev ingress drops what goes to one port; "
                  "ohguard looks for the inbound rule or the flow that it may answer.")
    specs = [f"{name},/run/netns/{paths.sink},,{paths.to(name)[:-1]}2" for name in FLOOD]
    add(bench, burst(bench, "sendto", bench.fewer(400), 500, specs), "ns", {"uplink": {"limit": 1}})


def tls(bench, paths, kind):
    """One number for each path and round, or three."""
    values = {name: [] for name in PATHS}
    for _ in range(bench.fewer(TLS_ROUNDS)):
        for name in PATHS:
            out = call(paths.command(name, [sys.executable, CLIENT, kind, paths.to(name), str(TLS_PORT), NAME,
                                            paths.lab.dir / "ca.pem"]))
            values[name].append(list(map(float, out.split())))
    return values


def over_tls(bench, paths, kind):
    slug, what, unit, target = TLS[kind]
    values = {name: [v[0] for v in each] for name, each in tls(bench, paths, kind).items()}
    bench.section(slug, f"{what}, and its ratio to no filter", LESS)
    add(bench, values, unit, {"ohguard": target, "uplink": target})


def trips(bench, paths):
    values = tls(bench, paths, "trips")
    for i, part in enumerate(TRIPS):
        bench.section(f"trips-{part.replace('.', '-')}", f"Round trip over TLS while another stream uploads, {part}, "
                      "and its ratio to no filter", LESS)
        add(bench, {name: [v[i] for v in each] for name, each in values.items()}, "us", {})


def run(bench):
    paths = Paths(bench, LABELS, {name: (bench.ohguard, options) for name, options in GUARDS.items()})
    paths.filter()
    far = [sys.executable, CLIENT, "serve", str(TLS_PORT), bench.lab.dir / "site.pem", bench.lab.dir / "site.key"]
    with paths.sinking(), paths.running(*far):
        for kind in TRAFFIC:
            traffic(bench, paths, kind)
        flood(bench, paths)
        for kind in TLS:
            over_tls(bench, paths, kind)
        trips(bench, paths)
    paths.unload()
