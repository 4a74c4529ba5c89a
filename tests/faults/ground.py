# SPDX-License-Identifier: MIT
"""Where faults are tried: a lab, a guard, and a workload that never stops sending what is forbidden."""
import json
import subprocess
import sys
from pathlib import Path

from guard import ALLOWED, BINARY, CONF, DEGRADED, DONE, FAILED, NOT_LOADED, PINS, STATE, Guard, config, poll
from lab import topology
from lab.lab import call
import inject
import sender

SENDER = Path(sender.__file__)
SITE, SITE_AT = "site.lab.example", "192.0.2.50"        # what allow and revoke are about
KEPT, OTHER = "198.51.100.40", "198.51.100.30"          # in one configuration, in the other
ALLOWED_AT = (topology.ZONE[ALLOWED][0], topology.ZONE[ALLOWED][-1])
DOORS = 4
PROBED = "ohguard: the kernel refuses the programs"     # told a second time where the load is one that must end closed
# `status` tells of what is degraded on standard output. Where all fails that comes, undoing fails too and is told.
EXPECTED_LINES = {DONE: (0, 1), FAILED: (1,), NOT_LOADED: (1,), DEGRADED: (0, 1, 2)}
OTHER_CONF = "/etc/ohguard/other.conf"


class Ground:
    def __init__(self, lab):
        self.lab, self.guard = lab, Guard(lab)
        self.mark, self.said = 0, ""        # since when leaks count; what the last command said
        self.log = lab.dir / "strace.log"
        lab.dns.script(SITE, a=[SITE_AT], ttl=60)
        near, gateway = (self.mac(h, link) for h, link in ((lab.server, "eth0"), (lab.router, "server")))
        # Before any load: its sockets must be older than the guard.
        self.process = lab.server.popen(
            [sys.executable, "-IS", SENDER, "10.0.1.10", "fd00:1::10", *topology.ATTACKER, near, gateway], guarded=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.process.stdout.readline() == "open\n"
        poll(lambda: self.ask("round") == DOORS, "every door to be open without a guard")

    def set_up(self, inspect):
        """A guard that is loaded and whole."""
        dns = (f"inspect = {'on' if inspect else 'off'}",)
        self.guard.conf(allow=(ALLOWED, KEPT), dns=dns)
        self.guard.write(OTHER_CONF, config(self.guard.cgroup, allow=(ALLOWED, OTHER), dns=dns))
        self.load("--uplink", "none")

    def mac(self, host, link):
        out = call(["ip", "-n", self.lab.netns(host.name), "-j", "link", "show", link])
        return json.loads(out)[0]["address"]

    def close(self):
        self.process.kill()
        self.process.communicate()
        self.guard.close()

    # -- the workload

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        answer = self.process.stdout.readline().strip()
        assert answer, "the workload died"
        return int(answer) if answer.isdigit() else answer

    def connects(self, address):
        """"ok", or why not."""
        return self.ask("connect", address, "443")

    def state(self):
        """How many doors are open: 0 with a guard, all of them without."""
        return {0: "closed", DOORS: "open"}.get(self.ask("round"), "half open")

    def forget(self):
        """From here on what passes may pass, until the next refusal."""
        self.ask("reset")
        self.mark = self.lab.wire.mark()

    def leaked(self):
        """Frames on the wire that were sent after the first refusal."""
        return [f for f in self.lab.wire.traffic(self.mark) if sender.MARK + b"S" in f.payload or
                (f.proto == "tcp" and f.dport == sender.PORT and "S" in f.flags and f.sport >= sender.SHUT_PORTS)]

    # -- the guard

    def load(self, *args, binary=BINARY, status=DONE):
        r = self.lab.server.run([binary, "load", *args], timeout=60)
        assert r.returncode == status, f"load {args}: exit {r.returncode}: {r.stderr}"

    def all_due(self):
        """As if time had passed: every name is asked for at the next chance."""
        path = f"{STATE}/host/records"
        self.guard.shell(f"! [ -e {path} ] || sed -i 's/^\\(record = [^ ]* [46] [0-9]* [0-9]*\\) [0-9]*/\\1 1/' {path}")

    def unload(self):
        """And what it knew is gone, so that the next load is a first one."""
        assert self.guard.run("unload", "--yes").returncode in (DONE, NOT_LOADED)
        self.guard.shell(f"rm -rf {STATE} /run/ohguard; rm -rf {PINS}/host; rmdir {PINS} 2>/dev/null || :")
        poll(lambda: self.state() == "open", "the guard's end")
        self.forget()

    def status(self):
        r = self.guard.run("status", "--json")
        return r.returncode, json.loads(r.stdout) if r.stdout else {"problems": [r.stderr]}

    def litter(self):
        """Files that a command leaves only where it is killed."""
        found = self.guard.shell(f"find {STATE} /run/ohguard {PINS} -name '*[.-]new*' 2>/dev/null || :").stdout.split()
        return [f"left behind: {p}" for p in found]

    def stands(self):
        """What is not as it should be in a guard that is whole."""
        status, said = self.status()
        yield from (f"not healthy: exit {status}: {said['problems']}" for _ in range(status != DONE))
        yield from (f"{a} is refused: {self.connects(a)}" for a in (*ALLOWED_AT, KEPT) if self.connects(a) != "ok")
        yield from (f"doors are {s}" for s in (self.state(),) if s != "closed")

    def disturbed(self):
        """Whether this whole machine is guarded too, at its root cgroup: by someone who knows nothing of this test."""
        return bool(attached_programs(self.guard.cgroup.parent))

    def command(self, argv):
        assert "--fail-closed" not in argv or "--cgroup" in argv
        return [BINARY, *(str(self.guard.cgroup) if a == "CGROUP" else a for a in argv)]

    def inject(self, argv, fault):
        status, said = inject.run(self.lab.server, self.command(argv), self.log, *fault.options())
        self.said = "\n".join(said)
        return status, said

    def calls(self, argv):
        """What a run without a fault asks of the kernel."""
        status, said = inject.run(self.lab.server, self.command(argv), self.log)
        assert status in (DONE, NOT_LOADED), f"{argv}: exit {status}: {said}"
        return inject.calls(self.log)


def attached_programs(cgroup):
    out = call(["bpftool", "-j", "cgroup", "show", cgroup], check=False)
    return json.loads(out) if out.strip() else []


def check_words(fault, status, said, in_table=False):
    """A documented exit status, and one clear line where something failed; in_table: or a line on standard output."""
    if fault.kills:
        return
    if status is None:
        yield f"hangs: {said}"
    elif status not in (DONE, FAILED, NOT_LOADED, DEGRADED):
        yield f"exit {status}: {said}"
    elif not all(line.startswith("ohguard: ") and len(line) > 15 for line in said):
        yield f"not its own words: {said}"
    elif in_table and status == FAILED and not said:
        return
    elif len([s for s in said if "events were lost" not in s]) not in EXPECTED_LINES[status]:
        if not (fault.lasting or said[0].startswith(PROBED)) or len(said) != (0 if fault.syscall == "write" else 2):
            yield f"exit {status} with {len(said)} lines: {said}"
