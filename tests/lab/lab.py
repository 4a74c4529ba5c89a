# SPDX-License-Identifier: MIT
"""The lab: network namespaces as the VPC of docs, with real servers in them. See README.md.

    with Lab() as lab:
        mark = lab.wire.mark()
        lab.server.run(["curl", "-sS", "https://api.openai.com"], guarded=True)
        assert lab.wire.traffic(mark, proto="tcp", dport=443)
"""
import atexit
import contextlib
import ipaddress
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from . import attacker, imds, ntp, resolver, topology, web, wire

BASE = Path("/tmp")
PREFIX = "ohguard-lab-"
BESIDE = "-beside"       # of a cgroup next to the lab's, which goes with it
HERE = Path(__file__).resolve().parent
SERVERS = HERE.parent.parent / "build/servers"     # unpacked by scripts/deps where they are not installed
LIBRARIES = ":".join(map(str, SERVERS.glob("usr/lib/*-linux-gnu*")))
PATH = f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{SERVERS}/usr/sbin:{SERVERS}/usr/bin"
TOOLS = {"ip": "iproute2", "nft": "nftables", "unbound": "unbound", "nginx": "nginx-light", "chronyd": "chrony",
         "openssl": "openssl", "nsenter": "util-linux", "curl": "curl", "dig": "bind9-dnsutils",
         "ping": "iputils-ping"}
# service -> (host, what makes its command line, what it listens on when it is ready)
SERVICES = {
    "unbound": ("aws", resolver.unbound, (("udp", 53), ("tcp", 53))),
    "chronyd": ("aws", ntp.chronyd, (("udp", 123),)),
    "imds": ("aws", imds.command, (("tcp", 80),)),
    "script": ("script", resolver.scripted, (("udp", 53), ("tcp", 53))),
    "nginx": ("internet", web.nginx, (("tcp", 80), ("tcp", 443))),
    "public": ("internet", resolver.public, (("udp", 53), ("tcp", 53))),
    "attacker": ("attacker", attacker.command, (("tcp", topology.ATTACKER_TCP[-1]),)),
}
SYSCTLS = {"ipv6/conf/default/accept_dad": 0, "ipv6/conf/default/accept_ra": 0, "ipv4/conf/all/rp_filter": 0,
           "ipv4/conf/default/rp_filter": 0, "ipv4/ping_group_range": "0 2147483647"}
FORWARDING = {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}
NAT = """
table ip nat {
    chain out {
        type nat hook postrouting priority srcnat;
        ip saddr %s oifname { "internet", "attacker" } snat to %s
    }
}
"""


class LabError(Exception):
    pass


def call(argv, stdin="", check=True):
    r = subprocess.run([str(a) for a in argv], input=stdin, text=True, capture_output=True,
                       env={**os.environ, "PATH": PATH})
    if check and r.returncode:
        raise LabError(f"{' '.join(map(str, argv))}: {r.stderr.strip() or r.stdout.strip()} (status {r.returncode})")
    return r.stdout


def cgroup2():
    """Where the cgroup2 file system is mounted on this machine."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        if right.split()[0] == "cgroup2":
            return Path(left.split()[4])
    raise LabError("no cgroup2 is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified")


def start_time(pid):
    """With the pid, a process for ever; None when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def namespace(pid, kind):
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    except OSError:
        return None


class Host:
    """One namespace. `run` and `popen` take an argv; there is no shell unless the argv is one."""

    def __init__(self, lab, name, machine):
        self.lab, self.name, self.machine = lab, name, machine
        self.netns = f"/run/netns/{lab.netns(name)}"

    def command(self, argv, guarded=False, cwd="/"):
        """The argv that runs `argv` here, to be pasted into a terminal if need be."""
        if guarded and self.name != "server":
            raise ValueError("only the server has a guarded workload")
        enter = ["nsenter", f"--net={self.netns}"]
        if self.machine:
            holder = self.lab.state["machines"][self.name]
            enter += [f"--mount=/proc/{holder}/ns/mnt", f"--uts=/proc/{holder}/ns/uts"]
        # Joined before exec, so that no socket of the workload is older than its membership.
        join = f"echo $$ > '{self.lab.cgroup}/cgroup.procs' && " if guarded else ""
        return [*enter, "--", "sh", "-c", f'cd "$1" && shift && {join}exec "$@"', "sh", str(cwd), *map(str, argv)]

    def environment(self, extra=None):
        """A clean one: the caller's proxies and locale have no say in a test."""
        env = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb"),
               "PYTHONPATH": str(HERE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        if LIBRARIES:
            env["LD_LIBRARY_PATH"] = LIBRARIES
        if self.machine:
            env["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
        return {**env, **(extra or {})}

    def popen(self, argv, guarded=False, env=None, cwd="/", **kw):
        return subprocess.Popen(self.command(argv, guarded, cwd), env=self.environment(env), **kw)

    def run(self, argv, guarded=False, env=None, cwd="/", timeout=30, check=False, **kw):
        """Runs to the end; output is captured as text. subprocess.TimeoutExpired after `timeout` seconds."""
        kw = {"capture_output": True, "text": True, **kw}
        if "input" not in kw:
            kw.setdefault("stdin", subprocess.DEVNULL)
        r = subprocess.run(self.command(argv, guarded, cwd), env=self.environment(env), timeout=timeout, **kw)
        if check and r.returncode:
            raise LabError(f"{self.name}: {' '.join(map(str, argv))}: {r.returncode}: {r.stderr or r.stdout}")
        return r

    def ip(self, *lines):
        """`ip` commands, one a line, all or an error."""
        return call(["ip", "-n", self.lab.netns(self.name), "-batch", "-"], "\n".join(lines) + "\n")


class Lab:
    """A context manager. `keep` leaves it up after the creating process; `capture` off spares a benchmark the tap."""

    def __init__(self, name=None, keep=False, capture=True):
        if name and not re.fullmatch(r"[a-z0-9]{1,16}", name):
            raise LabError(f"lab name {name!r}: use 1 to 16 of a-z and 0-9")
        self.id = name or secrets.token_hex(3)
        self.capture = capture
        owner = None if keep else [os.getpid(), start_time(os.getpid())]
        self.state = {"owner": owner, "machines": {}}
        self._locate()
        self._old_sigterm = None
        self._children = []

    @classmethod
    def attach(cls, name):
        """A lab that is up, from any process."""
        lab = cls(name)
        try:
            lab.state = json.loads((lab.dir / "state.json").read_text())
        except FileNotFoundError:
            raise LabError(f"no lab {name!r}: `lab list` shows what there is") from None
        return lab

    def _locate(self):
        self.dir = BASE / f"{PREFIX}{self.id}"
        self.cgroup = cgroup2() / f"{PREFIX}{self.id}"
        self.hosts = {s.name: Host(self, s.name, s.machine) for s in topology.HOSTS}
        self.hosts["router"] = Host(self, "router", False)
        self.server, self.proxy, self.router, self.internet, self.attacker = (
            self.hosts[n] for n in ("server", "proxy", "router", "internet", "attacker"))
        self.wire = wire.Wire(self.dir)
        self.dns = resolver.Dns(self)

    def netns(self, host):
        return f"ohl-{self.id}-{host}"

    def __enter__(self):
        if threading.current_thread() is threading.main_thread() and \
                signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            self._old_sigterm = signal.signal(signal.SIGTERM, _interrupt)
        try:
            return self.up()
        except BaseException:
            self._restore_sigterm()
            raise

    def __exit__(self, *exc):
        self.down()
        self._restore_sigterm()

    def _restore_sigterm(self):
        if self._old_sigterm is not None:
            signal.signal(signal.SIGTERM, self._old_sigterm)

    def up(self):
        if os.geteuid():
            raise LabError("the lab needs root")
        lacking = sorted({p for t, p in TOOLS.items() if not shutil.which(t, path=PATH)})
        if lacking:
            raise LabError(f"not installed: apt-get install {' '.join(lacking)}")
        gc()
        self._claim()
        try:
            self._bring_up()
        except BaseException:
            self.down()
            raise
        return self

    def down(self):
        """Ends every process of the lab and removes all it made; safe to repeat."""
        atexit.unregister(self.down)
        destroy(self.id)
        for proc in self._children:
            proc.wait()
        self._children.clear()

    def _bring_up(self):
        if self.state["owner"]:
            atexit.register(self.down)
        self.cgroup.mkdir()
        self._network()
        self._etc()
        machines = {s.name: self._machine(s.name) for s in topology.HOSTS if s.machine}
        running = [self._start(name) for name in SERVICES]
        for host, proc in machines.items():
            self._machine_ready(host, proc)
        self._save()
        if self.capture:
            running.append(self._start_capture())
        for ready, proc, name in running:
            self._wait(ready, proc, name)

    def route_owned(self, host, addresses):
        """From the next packet on the router sends these addresses to that host."""
        spec = next(s for s in topology.HOSTS if s.name == host)
        self.router.ip(*(f"route replace {a} via {(spec.ip6 if ':' in a else spec.ip4).split('/')[0]}"
                         for a in addresses))

    def web_hits(self):
        return web.hits(self.dir)

    def imds_hits(self):
        return imds.hits(self.dir)

    def loot(self):
        """Every byte that attacker.example has received."""
        return attacker.loot(self.dir)

    # -- how it comes up -------------------------------------------------------------------------------------

    def _claim(self):
        """The folder appears with its state in it, so that gc never sees a lab without an owner."""
        new = Path(tempfile.mkdtemp(prefix=".ohguard-lab-", dir=BASE))
        try:
            new.chmod(0o755)
            (new / "log").mkdir()
            (new / "state.json").write_text(json.dumps(self.state))
            if self.dir.exists():       # rename would replace an empty folder
                raise LabError(f"lab {self.id!r} is up already: `lab down {self.id}`")
            new.rename(self.dir)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def _save(self):
        new = self.dir / "state.new"
        new.write_text(json.dumps(self.state))
        new.replace(self.dir / "state.json")

    def _network(self):
        call(["ip", "-batch", "-"], "".join(f"netns add {self.netns(h)}\n" for h in self.hosts))
        for name, host in self.hosts.items():
            # These answer on addresses that no interface bears.
            values = {**SYSCTLS, "ipv6/ip_nonlocal_bind": 1}
            values.update(FORWARDING if name == "router" else {})
            lines = "".join(f"echo '{v}' > /proc/sys/net/{k}\n" for k, v in values.items())
            call(["nsenter", f"--net={host.netns}", "sh", "-e"], lines)
        self.router.ip("link set lo up", f"addr add {topology.NAT}/32 dev lo",
                       *(line for s in topology.HOSTS for line in self._router_lines(s)))
        for s in topology.HOSTS:
            self.hosts[s.name].ip(*_host_lines(s))
        for s in topology.HOSTS:
            if s.owns and not s.standby:
                self.route_owned(s.name, s.owns)
        call(["nsenter", f"--net={self.router.netns}", "nft", "-f", "-"], NAT % (topology.VPC, topology.NAT))

    def _router_lines(self, s):
        # One queue, or frames of two CPUs could overtake each other's capture markers.
        yield (f"link add {s.name} numrxqueues 1 numtxqueues 1 type veth "
               f"peer name eth0 netns {self.netns(s.name)} numrxqueues 1 numtxqueues 1")
        yield f"addr add {s.gw4}/{s.ip4.split('/')[1]} dev {s.name}"
        yield f"addr add {s.gw6}/64 dev {s.name} nodad"
        yield f"link set {s.name} up"

    def _etc(self):
        """What is laid over /etc of the machines: their resolver and the only CA they trust."""
        web.certificates(self.dir)
        certs = self.dir / "etc/ssl/certs"
        certs.mkdir(parents=True)
        shutil.copy(self.dir / "ca.pem", certs / "ca-certificates.crt")
        shutil.copy(self.dir / "ca.pem", self.dir / "etc/ssl/cert.pem")
        (self.dir / "etc/resolv.conf").write_text(f"nameserver {topology.RESOLVER}\n")
        (self.dir / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")

    def _machine(self, name):
        proc = subprocess.Popen(["nsenter", f"--net={self.hosts[name].netns}", "unshare", "--mount", "--uts",
                                 str(HERE / "machine.sh"), str(self.dir), name], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=self._log(name), start_new_session=True,
                                env={**os.environ, "PATH": PATH})
        self._children.append(proc)
        self.state["machines"][name] = proc.pid
        return proc

    def _machine_ready(self, name, proc):
        with proc.stdout:
            if proc.stdout.readline() != b"ready\n":
                raise LabError(f"machine {name} did not come up: {self._said(name)}")

    def _start(self, name):
        where, make, listens = SERVICES[name]
        host = self.hosts[where]
        proc = self._service(name, host, make(self.dir))
        self._children.append(proc)
        inode = os.stat(host.netns).st_ino
        return (lambda: all(_listening(proc.pid, inode, *port) for port in listens)), proc, name

    def _start_capture(self):
        argv = wire.command(self.server.netns, self.router.netns, self.dir)
        proc = subprocess.Popen(argv, env=self.server.environment(), cwd="/", **self._detached("wire"))
        self._children.append(proc)
        return (self.dir / "wire.sock").exists, proc, "wire"

    def _service(self, name, host, argv):
        # Debian confines unbound and chronyd by AppArmor to their own folders in /etc.
        if _apparmor() and (aa := shutil.which("aa-exec", path=PATH)):
            argv = [aa, "-p", "unconfined", "--", *argv]
        return host.popen(argv, **self._detached(name))

    def _detached(self, name):
        log = self._log(name)
        return {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}

    def _log(self, name):
        return open(self.dir / f"log/{name}.log", "ab")

    def _said(self, name):
        return (self.dir / f"log/{name}.log").read_text(errors="replace")[-2000:]

    def _wait(self, ready, proc, name):
        deadline = time.monotonic() + 20
        while not ready():
            if proc.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"{name} did not come up: {self._said(name)}")
            time.sleep(0.01)


def _host_lines(s):
    yield "link set lo up"
    yield f"addr add {s.ip4} dev eth0"
    yield f"addr add {s.ip6} dev eth0 nodad"
    yield "link set eth0 up"
    yield f"route add default via {s.gw4}"
    yield f"route add default via {s.gw6}"
    for a in (topology.RESOLVER, topology.UNBOUND):
        # In the public subnet by number, behind the router in fact.
        if ipaddress.ip_address(a) in ipaddress.ip_interface(s.ip4).network:
            yield f"route add {a} via {s.gw4}"
    for a in s.owns:
        # A local route makes the host answer on a whole prefix.
        yield f"route add local {a} dev lo" if "/" in a else f"addr add {a} dev lo"


def _apparmor():
    try:
        return Path("/sys/module/apparmor/parameters/enabled").read_text().strip() == "Y"
    except OSError:
        return False


def _interrupt(signum, stack):
    raise KeyboardInterrupt(f"signal {signum}")


def _listening(pid, netns_inode, proto, port):
    """Whether a socket in the process's own namespace is bound (UDP) or listens (TCP) there."""
    if namespace(pid, "net") != netns_inode:
        return False            # still on its way in
    for table in (proto, proto + "6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if int(local.rsplit(":", 1)[1], 16) == port and (proto == "udp" or state == "0A"):
                return True
    return False


# -- how it goes away: from the name alone, so that another process can do it ----------------------------------

def _processes(nets, mounts):
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            pid = int(entry)
            if namespace(pid, "net") in nets or namespace(pid, "mnt") in mounts:
                yield pid


def _kill(pid, nets, mounts):
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        # Looked at again through the descriptor: the number may have passed to another process.
        if namespace(pid, "net") in nets or namespace(pid, "mnt") in mounts:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        pass
    finally:
        os.close(fd)


def _until(done, what):
    deadline = time.monotonic() + 10
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"cannot end {what}")
        time.sleep(0.005)


def _remove_cgroup(path):
    if not path.exists():
        return
    def empty():
        # Looked for each time: what runs in one may be about to remove it, as Docker does.
        groups = sorted((Path(d) for d, _, _ in os.walk(path)), reverse=True)
        try:
            for g in groups:
                for pid in (g / "cgroup.procs").read_text().split():
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            for g in groups:
                if g.exists():
                    g.rmdir()
            return True
        except OSError:
            return not path.exists()

    _until(empty, f"the processes in {path}")


@contextlib.contextmanager
def _held(name):
    """The numbers of this lab's network namespaces, and of its machines' mount namespaces. They are held open: the
    kernel gives the number of a namespace that is gone to the next one at once, and what runs in a new lab would be
    killed for an old one's."""
    with contextlib.ExitStack() as stack:
        def hold(path):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return None
            stack.callback(os.close, fd)
            found = os.fstat(fd)
            # Another process may just be taking the namespace off its file.
            return found.st_ino if found.st_dev == os.stat("/proc/self/ns/net").st_dev else None

        nets = {hold(s) for s in Path("/run/netns").glob(f"ohl-{name}-*")} - {None}
        try:
            holders = json.loads((BASE / f"{PREFIX}{name}/state.json").read_text())["machines"].values()
        except (OSError, ValueError):
            holders = ()
        mounts = {hold(f"/proc/{p}/ns/mnt"): p for p in holders}
        # A holder's mount namespace counts only while it sits in one of our network namespaces.
        yield nets, {m for m, p in mounts.items() if namespace(p, "net") in nets and namespace(p, "mnt") == m} - {
            None, namespace("self", "mnt")}


def destroy(name):
    """Removes whatever there is of this lab."""
    with _held(name) as (nets, mounts):
        def gone():
            pids = list(_processes(nets, mounts))
            for pid in pids:
                _kill(pid, nets, mounts)
            return not pids

        if nets:
            _until(gone, f"the processes of lab {name}")
        for suffix in ("", BESIDE):
            _remove_cgroup(cgroup2() / f"{PREFIX}{name}{suffix}")
    for s in Path("/run/netns").glob(f"ohl-{name}-*"):
        call(["ip", "netns", "del", s.name], check=False)
    shutil.rmtree(BASE / f"{PREFIX}{name}", ignore_errors=True)


def labs():
    """Name -> state of every lab on this machine."""
    found = {}
    for path in BASE.glob(f"{PREFIX}*/state.json"):
        if path.parent.stat().st_uid == 0:
            found[path.parent.name[len(PREFIX):]] = json.loads(path.read_text())
    return found


def gc():
    """Removes labs whose creating process is dead; returns their names."""
    dead = [n for n, s in labs().items() if s["owner"] and start_time(s["owner"][0]) != s["owner"][1]]
    for name in dead:
        destroy(name)
    return dead
