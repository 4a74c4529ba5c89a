# SPDX-License-Identifier: MIT
"""Traffic to one allowed address among 1,000, past each kind of filter.

Each filter has a network namespace of its own with a cable to one sink, so that all are there at once and bursts go
round: what else this machine does slows all of them alike. The guard is on the lab's cgroup, and only its path joins.
"""
import json
import statistics
import subprocess

from lab.lab import LabError, call

ADDRESSES = 1000
PATHS = ("none", "ohguard", "uplink", "nft", "ipset", "iptables")
GUARDS = {"ohguard": (), "uplink": ("--uplink", "eth0")}
LABELS = {"none": "no filter", "ohguard": "ohguard, 1,000 addresses", "uplink": "ohguard, with an uplink",
          "nft": "nft set of 1,000", "ipset": "ipset of 1,000 and iptables", "iptables": "iptables, 1,000 rules"}
# kind: what it is called, rounds, datagrams or connections in a burst
TRAFFIC = {"udp": ("UDP send, connected socket", 400, 500), "sendto": ("UDP sendto", 400, 500),
           "tcp": ("TCP connect and close", 400, 20)}
FLOOD = ("none", "uplink")     # what comes in uninvited: the others filter what leaves
IPERF_ROUNDS = 15
CONNECT_MOST, RATE_LEAST = 1.10, 0.97   # with an uplink, of none
IPERF_BYTES = "500M"
IPERF_PORT = 5201

GUARD = """[guard]
cgroup = {cgroup}
[dns]
resolver = {hole}
[allow]
target = bench.lab.example
target = {sink}:443
target = {sink}:{iperf}
{others}
"""
NFT = """table inet bench {{
    set allowed {{ type ipv4_addr; elements = {{ {list} }} }}
    chain out {{
        type filter hook output priority filter; policy drop;
        ip daddr @allowed accept
    }}
}}
"""


def others():
    return [f"198.18.{i // 250}.{i % 250 + 1}" for i in range(ADDRESSES - 2)]


class Paths:
    """Destroyed with the lab, whose names they bear."""

    def __init__(self, bench):
        self.bench, self.lab = bench, bench.lab
        self.sink = self.lab.netns("sink")
        call(["ip", "netns", "add", self.sink])
        call(["ip", "-n", self.sink, "link", "set", "lo", "up"])
        for name in PATHS:
            self._cable(name)
        for name in GUARDS:
            self.cgroup(name).mkdir()
            self._guard(name)
        self._nft()
        self._ipset()
        self._iptables()

    def netns(self, name):
        return self.lab.netns(f"bench-{name}")

    def cgroup(self, name):
        return self.lab.cgroup / name

    def to(self, name):
        """Where the sink takes connections."""
        return f"10.99.{PATHS.index(name)}.1"

    def hole(self, name):
        """What the sink drops unread, since it is nobody's there: a datagram's time is then that of sending it."""
        return f"10.98.{PATHS.index(name)}.1"

    def allowed(self, name):
        """Those that are used come last: it is seldom iptables' first rule that a workload needs."""
        return [*others(), self.to(name), self.hole(name)]

    def spec(self, name, kind):
        return ",".join([name, f"/run/netns/{self.netns(name)}", str(self.cgroup(name)) if name in GUARDS else "",
                         self.to(name) if kind == "tcp" else self.hole(name)])

    def command(self, name, argv):
        join = f"echo $$ > '{self.cgroup(name)}/cgroup.procs' && " if name in GUARDS else ""
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
        conf.write_text(GUARD.format(cgroup=self.cgroup(name), sink=self.to(name), hole=self.hole(name),
                                     iperf=IPERF_PORT, others="\n".join(f"target = {a}" for a in others())))
        server = self.lab.state["machines"]["server"]
        call(["nsenter", f"--net=/run/netns/{self.netns(name)}", f"--mount=/proc/{server}/ns/mnt", "--",
              self.bench.ohguard, "load", "--no-resolve", "-c", conf, "--name", f"bench-{name}", *GUARDS[name]])

    def _inside(self, name, argv, stdin=""):
        call(["nsenter", f"--net=/run/netns/{self.netns(name)}", *argv], stdin)

    def _nft(self):
        self._inside("nft", ["nft", "-f", "-"], NFT.format(list=", ".join(self.allowed("nft"))))

    def _ipset(self):
        adds = "".join(f"add allowed {a}\n" for a in self.allowed("ipset"))
        self._inside("ipset", ["ipset", "restore"], f"create allowed hash:ip\n{adds}")
        self._inside("ipset", ["iptables-restore"], "*filter\n:OUTPUT DROP [0:0]\n"
                     "-A OUTPUT -m set --match-set allowed dst -j ACCEPT\nCOMMIT\n")

    def _iptables(self):
        rules = "".join(f"-A OUTPUT -d {a} -j ACCEPT\n" for a in self.allowed("iptables"))
        self._inside("iptables", ["iptables-restore"], f"*filter\n:OUTPUT DROP [0:0]\n{rules}COMMIT\n")


def add(bench, values, unit, **targets):
    """Each path beside none, by pairs from the same round. The note has half of the pairs within it: the noise.
    targets: those of the path with an uplink."""
    for name in values:
        ratios = [v / base for v, base in zip(values[name], values["none"])]
        low, middle, high = statistics.quantiles(ratios, n=4)
        bench.add(LABELS[name], statistics.median(values[name]), unit, middle,
                  note="" if name == "none" else f"{low:.2f} to {high:.2f}", **(targets if name == "uplink" else {}))


def traffic(bench, paths, kind):
    what, rounds, burst = TRAFFIC[kind]
    bench.section(f"{what}: time of one, and its ratio to no filter")
    r = subprocess.run([bench.tool("traffic"), kind, str(rounds), str(burst),
                        *(paths.spec(name, kind) for name in PATHS)], capture_output=True, text=True)
    if r.returncode:
        raise LabError(f"traffic {kind}: {r.stderr.strip()}")
    values = {name: list(map(float, values)) for name, *values in map(str.split, r.stdout.splitlines())}
    add(bench, values, "ns", **({"limit": CONNECT_MOST} if kind == "tcp" else {}))


def flood(bench, paths):
    bench.section("A flood of small datagrams from outside: time of one with its sender, and its ratio to no filter")
    specs = [f"{name},/run/netns/{paths.sink},,{paths.to(name)[:-1]}2" for name in FLOOD]
    r = subprocess.run([bench.tool("traffic"), "sendto", "400", "500", *specs], capture_output=True, text=True)
    if r.returncode:
        raise LabError(f"traffic: {r.stderr.strip()}")
    add(bench, {name: list(map(float, values)) for name, *values in map(str.split, r.stdout.splitlines())}, "ns",
        limit=1)


def iperf(bench, paths, way, *args):
    bench.section(f"iperf3, one TCP stream, {way}, and its ratio to no filter")
    rates = {name: [] for name in PATHS}
    for _ in range(IPERF_ROUNDS):
        for name in PATHS:
            r = call(paths.command(name, ["iperf3", "-J", "-n", IPERF_BYTES, "-p", str(IPERF_PORT),
                                          "-c", paths.to(name), *args]))
            rates[name].append(json.loads(r)["end"]["sum_received"]["bits_per_second"] / 1e9)
    add(bench, rates, "Gb/s", least=RATE_LEAST)


def run(bench):
    paths = Paths(bench)
    inside = ["nsenter", f"--net=/run/netns/{paths.sink}"]
    quiet = {"stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([*inside, bench.tool("traffic"), "sink"], stdout=subprocess.PIPE, **quiet) as sink, \
            subprocess.Popen([*inside, "iperf3", "--forceflush", "-s", "-p", str(IPERF_PORT)], stdout=subprocess.PIPE,
                             **quiet) as server:
        try:
            sink.stdout.readline()
            server.stdout.readline()
            for kind in TRAFFIC:
                traffic(bench, paths, kind)
            flood(bench, paths)
            iperf(bench, paths, "upload")
            iperf(bench, paths, "download", "-R")
        finally:
            sink.kill()
            server.kill()
    for name in GUARDS:
        bench.guard("unload", "--yes", "--name", f"bench-{name}")
