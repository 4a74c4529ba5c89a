# SPDX-License-Identifier: MIT
"""Names: what each parser costs, and how long a program takes to resolve a name and connect, past each kind of
filter."""
import statistics
import subprocess
import sys

from lab import topology
from lab.lab import LabError, call
from record import rounds

ROUNDS = 31
BURST = 40
NAME = "bench.lab.example"
# The parser over an empty program, by the packet of the fuzzers' corpus: ns at most.
PARSERS = {"plain": ("DNS query", 250), "edns-cookie": ("DNS query with EDNS", 250),
           "one": ("DNS answer, 1 record", None), "thirteen": ("DNS answer, 13 records", 2000),
           "openssl-13": ("TLS hello, 517 bytes", 500), "post-quantum": ("TLS hello, post-quantum", 500),
           "chrony": ("NTP request", None)}
LABELS = {"none": "no filter", "ohguard": "ohguard", "nftset": "dnsmasq --nftset, and nft"}
GUARD = f"""[guard]
cgroup = {{cgroup}}
[dns]
resolver = {topology.RESOLVER}
[allow]
target = {NAME}
"""
NFT = """table inet bench {
    set allowed { type ipv4_addr; }
    chain out {
        type filter hook output priority filter; policy drop;
        oif lo accept
        ip daddr { %s } udp dport 53 accept
        ip daddr @allowed accept
    }
}
""" % topology.RESOLVER
DNSMASQ = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
           "--pid-file", "--bind-interfaces", "--listen-address=127.0.0.1", "--cache-size=0",
           f"--server={topology.RESOLVER}", f"--nftset=/{NAME}/4#inet#bench#allowed"]
# usage: NAME TIMES; prints the microseconds of each. The resolver is asked each time: nothing here caches.
PROGRAM = """
import socket, sys, time
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    address = socket.getaddrinfo(sys.argv[1], 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    s = socket.create_connection(address, timeout=5)
    print((time.perf_counter() - start) * 1e6)
    s.close()
"""


def parsers(bench):
    top = bench.build.parent
    out = bench.build / "wire"
    subprocess.run(["make", "-s", "-C", top / "tests/bpf/wire", "BPF_CPU=v2", f"OUT={out}", "all"], check=True,
                   stdout=sys.stderr)
    bench.section("parsers", "Parser of a payload alone, over an empty program's run time: median of 5 runs of 100,000")
    for line in call([out / "wire-run", "time", out / "wire.bpf.o", top / "tests/fuzz/corpus"]).splitlines():
        word = line.split()
        if word[0] in PARSERS and word[-1] == "0":
            what, limit = PARSERS[word[0]]
            bench.add(what, float(word[3]), "ns", limit=limit, note=f"{word[1]} bytes")


def resolve_and_connect(bench):
    lab = bench.lab
    lab.dns.add(NAME, f"{topology.POOL}.1")
    conf = lab.dir / "bench-names.conf"
    conf.write_text(GUARD.format(cgroup=lab.cgroup))
    bench.guard("load", "-c", conf)
    lab.proxy.run(["nft", "-f", "-"], input=NFT, check=True)
    dnsmasq = lab.proxy.popen(DNSMASQ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    times = {path: [] for path in LABELS}
    try:
        lab.proxy.run(["sh", "-c", "echo nameserver 127.0.0.1 >/etc/resolv.conf"], check=True)
        for i in range(bench.fewer(ROUNDS) + 1):
            for path, burst in times.items():
                host = lab.proxy if path == "nftset" else lab.server
                r = host.run(["/usr/bin/python3", "-c", PROGRAM, NAME, BURST], guarded=path == "ohguard")
                if i and r.returncode:          # the first warms up, while dnsmasq starts
                    raise LabError(f"resolve and connect, {path}: {r.stderr.strip()[-300:]}")
                if i:
                    burst.append(statistics.median(map(float, r.stdout.split())))
    finally:
        dnsmasq.kill()
        dnsmasq.wait()
        lab.proxy.run(["sh", "-c",
                       f"echo nameserver {topology.RESOLVER} >/etc/resolv.conf; nft delete table inet bench"])
        bench.guard("unload", "--yes")
    bench.section("resolve", "Resolve a name and connect: time of one, and its ratio to no filter",
                  "dnsmasq takes the query, asks the resolver and enters the answer into nft's set; ohguard reads the "
                  "answer on its way. dnsmasq forgets no address, checks no TLS name and sees no query past it.")
    for path, values in times.items():
        bench.figures.append(rounds(LABELS[path], values, "us", times["none"]))


def run(bench):
    parsers(bench)
    resolve_and_connect(bench)
