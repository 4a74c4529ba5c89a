# SPDX-License-Identifier: MIT
"""A guard in a lab: fixture `guard`, and what tests need to look at it from all sides."""
import contextlib
import fcntl
import functools
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import topology

REPO = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("OHGUARD", str(REPO / "build/ohguard"))
CONF = "/etc/ohguard/ohguard.conf"
PINS = "/sys/fs/bpf/ohguard"
STATE = "/var/lib/ohguard"
ALLOWED = "api.openai.com"
# A forbidden packet: no name, no port and no address of it is anywhere near what a test allows.
FORBIDDEN = (topology.ATTACKER[0], 31337)

NOT_RESOLVED, REFUSED_AT_ONCE = 6, 7     # curl's

DONE, FAILED, USAGE, NOT_LOADED, DEGRADED = range(5)

# At the cgroup, as `status` lists them, with the default configuration.
HOOKS = ["egress", "connect4", "connect6", "sendmsg4", "sendmsg6", "sock_create", "ingress", "sock_ops", "sockopt",
         "bind4", "bind6"]

# usage: [FAMILY KIND HOST PORT]...; prints "ok" or the error's name for each.
PROBE = """
import errno, socket, sys
for i in range(1, len(sys.argv), 4):
    family, kind, host, port = sys.argv[i:i + 4]
    try:
        s = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET,
                          socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        s.settimeout(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        to = socket.getaddrinfo(host, int(port), s.family, s.type,
                                flags=socket.AI_NUMERICHOST | socket.AI_V4MAPPED)[0][4]
        if kind == "udp":
            s.sendto(b"secret", to)
        else:
            s.connect(to)
            if kind == "udp-connected":
                s.send(b"secret")
        print("ok")
    except OSError as e:
        print(errno.errorcode.get(e.errno, "timeout"))
"""


@functools.cache
def other_layout():
    """The same program with another layout of its largest maps, as after an upgrade; or what OHGUARD_OTHER names, as a
    real older version."""
    if "OHGUARD_OTHER" in os.environ:
        return os.environ["OHGUARD_OTHER"]
    build = REPO / "build/other-layout"
    build.mkdir(parents=True, exist_ok=True)
    with open(build / "lock", "w") as lock:     # tests run two at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "-C", REPO, f"BUILD={build}", "DEFINES=-DOH_GRANTS_MAX=4", f"{build}/ohguard"],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return str(build / "ohguard")


def poll(check, what, seconds=20):
    """Waits until check() is true, and gives its value back. The bound is for a broken subject only."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)


def assert_says(r, status, *words):
    """One line on standard error that holds each of the words, and that exit status."""
    assert r.returncode == status, f"exit {r.returncode}: {r.stderr or r.stdout}"
    lines = r.stderr.removesuffix("\n").split("\n")
    assert len(lines) == 1 and lines[0].startswith("ohguard: "), r.stderr
    for word in words:
        assert word in lines[0], f"{word!r} not in: {lines[0]}"
    return lines[0]


def config(cgroup, allow=(ALLOWED,), guard=(), dns=(), extra=""):
    lines = ["[guard]", f"cgroup = {cgroup}", *guard, "[dns]", f"resolver = {topology.RESOLVER}", *dns,
             "[ntp]", f"server = {topology.TIME[0]}", "[allow]", *(f"target = {a}" for a in allow), extra]
    return "\n".join(lines) + "\n"


def newer(events, before, ret_now):
    """Those of `events` that are not in what an earlier call had left, by their count."""
    new = []
    for e in events:
        key = json.dumps({k: v for k, v in e.items() if k not in ("count", "last")})
        ret_now[key] = e["count"]
        if e["count"] > before.get(key, 0):
            new.append({**e, "count": e["count"] - before.get(key, 0)})
    return new


class Stream:
    """A download that trickles for ten minutes, in the workload."""

    def __init__(self, lab, name, *args):
        self.name = name
        self.curl = lab.server.popen(["curl", "-sSN", *args, f"https://{name}/stream"], guarded=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def read(self, seconds=20):
        """Some more of it, or None where nothing comes."""
        if not select.select([self.curl.stdout], [], [], seconds)[0]:
            return None
        return os.read(self.curl.stdout.fileno(), 65536) or None

    def drain(self):
        while self.read(0):
            pass

    def goes_on(self):
        """Bytes that were not yet here when this was called."""
        self.drain()
        return self.curl.poll() is None and self.read() is not None

    def __enter__(self):
        assert self.read(), "the stream does not start"
        return self

    def __exit__(self, *exc):
        self.curl.kill()
        self.curl.wait()
        self.curl.stdout.close()


class Guard:
    """ohguard on lab.server, beside the workload. Always with an explicit cgroup: the lab's."""

    def __init__(self, lab):
        self.lab = lab
        self.cgroup = lab.cgroup
        self.extra_cgroups = []
        self.told = {}
        self.conf()     # a load without one would guard this machine's root cgroup

    def write(self, path, text, mode="644"):
        """A file of the lab's server, seen there alone."""
        self.lab.server.run(["sh", "-ec", 'mkdir -p "$(dirname "$1")"; cat > "$1"; chmod "$2" "$1"', "sh", path, mode],
                            input=text, check=True)

    def shell(self, script, *args, check=True):
        return self.lab.server.run(["sh", "-ec", script, "sh", *args], check=check)

    def conf(self, *args, **kw):
        """Writes the configuration; nothing takes it up before load()."""
        self.write(CONF, config(self.cgroup, *args, **kw))

    def run(self, *args, **kw):
        # It falls back to the defaults, and their cgroup is the root: of this very machine.
        assert "--fail-closed" not in args or "--cgroup" in args
        return self.lab.server.run([BINARY, *args], **{"timeout": 60, **kw})

    def ok(self, *args, **kw):
        r = self.run(*args, **kw)
        assert r.returncode == DONE, f"{args}: exit {r.returncode}: {r.stderr}"
        return r

    def load(self, *args, status=DONE, **kw):
        """conf() with what is given, then load."""
        if kw:
            self.conf(**kw)
        r = self.run("load", *args)
        assert r.returncode == status, f"exit {r.returncode}: {r.stderr}"
        return r

    def json(self, *args, status=DONE):
        r = self.run(*args, "--json")
        assert status is None or r.returncode == status, f"{args}: exit {r.returncode}: {r.stderr}"
        return json.loads(r.stdout)

    def events(self):
        """What was refused since the last call, each with how often since then."""
        before, self.told = self.told, {}
        return newer(map(json.loads, self.ok("events", "--json").stdout.splitlines()), before, self.told)

    def targets(self):
        """What `list` shows, by "target:port"."""
        listed = self.json("list")
        listed = listed["targets"] if isinstance(listed, dict) else listed
        return {f"{t['target']}:{t['port']}": t for t in listed}

    def addresses(self, target):
        return {a["address"] for a in self.targets()[target]["addresses"]}

    def reason(self, name):
        """Packets and attempts refused for it."""
        return self.json("stats")["reasons"][name]["packets"]

    def links(self):
        """Link ids by hook, from the pins."""
        pins = self.shell(f"ls {PINS}/host").stdout.split()
        show = [json.loads(self.shell(f"bpftool -j link show pinned {PINS}/host/$1", p).stdout) for p in pins]
        return {p: s["id"] for p, s in zip(pins, show)}

    # -- the workload

    def curl(self, url, *args, **kw):
        """0, or curl's exit status: 6 where the name was not resolved, 7 where the connection was refused at once,
        28 where it hung."""
        return self.lab.server.run(["curl", "-sS", "-o", "/dev/null", "--connect-timeout", "15", "--max-time", "25",
                                    *args, url],
                                   guarded=True, **kw).returncode

    def at(self, name, address, *args):
        """curl to a name at an address of our choice."""
        address = f"[{address}]" if ":" in address else address
        return self.curl(f"https://{name}", "--resolve", f"{name}:443:{address}", *args)

    def assert_refuses(self, name, address):
        """The name does not resolve, and at its address it is refused all the same, both at once."""
        assert (self.curl(f"https://{name}"), self.at(name, address)) == (NOT_RESOLVED, REFUSED_AT_ONCE)

    def probe(self, kind, host, port, family=None):
        family = family or ("6" if ":" in host else "4")
        return self.python(PROBE, family, kind, host, str(port))

    def python(self, code, *args, **kw):
        r = self.lab.server.run([sys.executable, "-IS", "-c", code, *args], guarded=True, **kw)
        assert r.returncode == 0, r.stderr
        return r.stdout.strip()

    def stream(self, name=ALLOWED, *args):
        return Stream(self.lab, name, *args)

    @contextlib.contextmanager
    def nothing_leaves(self, *but):
        """Within it, nothing leaves the server but DNS to the resolver and what goes to the addresses in `but`."""
        mark = self.lab.wire.mark()
        yield
        left = [f for f in self.lab.wire.traffic(mark)
                if f.dst not in but and not (f.dst == topology.RESOLVER and f.dport == 53)]
        assert not left, f"on the wire: {left}"

    def assert_stands(self):
        """The guard guards: what is forbidden is refused and not on the wire, what is allowed works."""
        with self.nothing_leaves(*topology.ZONE[ALLOWED]):
            to = [str(f) for f in FORBIDDEN]
            assert self.python(PROBE, "4", "udp", *to, "4", "tcp", *to) == "EPERM\nEPERM"
            assert self.curl(f"https://{ALLOWED}") == 0

    def sub_cgroup(self, *parts):
        """A cgroup below or beside the lab's, gone after the test."""
        path = self.cgroup.joinpath(*parts)
        path.mkdir()
        self.extra_cgroups.insert(0, path)
        return path

    def in_cgroup(self, cgroup, argv):
        """Runs an argv as a workload of another cgroup."""
        return self.lab.server.run(["sh", "-c", 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"', "sh", cgroup,
                                    *argv])

    def close(self, workload=True):
        """From scratch and without ohguard's help: it may be what is broken. The workload ends too, unless it is to be
        kept."""
        for cgroup in (*self.extra_cgroups, *([self.cgroup] if workload else ())):
            with contextlib.suppress(OSError):
                (cgroup / "cgroup.kill").write_text("1")
        self.shell("rm -rf /sys/fs/bpf/ohguard /sys/fs/bpf/test /run/ohguard /etc/ohguard /var/lib/ohguard "
                   "/var/log/ohguard")
        for cgroup in self.extra_cgroups:
            if cgroup.exists():
                poll(lambda: not (cgroup / "cgroup.procs").read_text(), f"an empty {cgroup}")
                cgroup.rmdir()
        # Links end a moment after their last pin.
        poll(lambda: not self.attached(), "a cgroup without programs")

    def attached(self, cgroup=None):
        """Programs at the cgroup, as the kernel tells."""
        out = self.shell("bpftool -j cgroup show $1", str(cgroup or self.cgroup), check=False).stdout
        return json.loads(out) if out.strip() else []


@contextlib.contextmanager
def staying(lab):
    """A guard at whose end what runs in the lab's cgroup lives on: an engine, servers."""
    g = Guard(lab)
    try:
        yield g
    finally:
        g.cgroup = lab.cgroup       # one below it may be about to go
        g.close(workload=False)


@contextlib.contextmanager
def serving(guard, guarded=False):
    """`ohguard serve` beside the guard, or in it: the process, alive and known to the kernel."""
    process = guard.lab.server.popen([BINARY, "serve"], guarded, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                     text=True)
    try:
        poll(lambda: guard.json("status")["refused_names"] == "answered", "a helper")
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def guard(lab):
    """A guard that is not loaded yet, with the default configuration of these tests written; nothing is left of it."""
    g = Guard(lab)
    try:
        g.conf()
        yield g
    finally:
        g.close()


@pytest.fixture
def fresh_guard(fresh_lab):
    """The same in a lab of its own, for what changes the machine itself."""
    g = Guard(fresh_lab)
    g.conf()
    return g
