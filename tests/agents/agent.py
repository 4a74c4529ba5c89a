# SPDX-License-Identifier: MIT
"""The agents: how each is installed, once, and what runs it in the lab to its final answer."""
import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from guard import REPO, poll
from model import ANSWER

HERE = Path(__file__).resolve().parent
# Beside the machines of tests/vm: large, and good for more than one checkout.
CACHE = Path(os.environ.get("OHGUARD_CACHE", "/var/cache/ohguard-vm")) / "agents"
DOC = REPO / "docs/agents.md"
TASK = "Run the command."
# What npm, pip and mmdebstrap say where they reach nobody; whatever else stops them is a failure.
AWAY = re.compile("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|Temporary failure in name resolution|"
                  "Could not resolve|Failed to establish a new connection|Network is unreachable|"
                  "have no Debian archive")


class Absent(Exception):
    """Cannot be installed on this machine: the reason of a skip."""


class Agent:
    name = api = None
    needs = {}          # program -> what brings it

    def __init__(self):
        self.files = HERE / self.name
        look = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(self.files.iterdir()) if p.is_file()))
        self.home = CACHE / f"{self.name}-{look.hexdigest()[:16]}"

    def install(self):
        """Whole or not at all, however many ask for it."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        with open(self.home.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.home.exists():
                self._fetch()
        return self

    def _fetch(self):
        if lacking := sorted({p for t, p in self.needs.items() if not shutil.which(t)}):
            raise Absent(f"not installed: {' '.join(lacking)}: scripts/deps agents")
        new = self.home.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        r = subprocess.run([self.files / "install", new], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if r.returncode and AWAY.search(r.stderr):
            raise Absent(f"a registry cannot be reached: {r.stderr.strip().splitlines()[-1]}")
        assert not r.returncode, r.stderr
        new.rename(self.home)

    def run(self, lab, *args, guarded=True):
        """Until its final answer, which is asserted: nobody says it who has not seen what the command printed."""
        r = lab.server.run(self.argv(*args), guarded, self.environment(), timeout=300)
        assert r.returncode == 0 and ANSWER in r.stdout, f"{r.stdout[-2000:]}\n{r.stderr[-2000:]}"

    def environment(self):
        return {}


class Claude(Agent):
    name, api = "claude", "api.anthropic.com"
    title = "Claude Code"
    needs = {"node": "nodejs", "npm": "npm"}

    def argv(self):
        program = self.home / "node_modules/@anthropic-ai/claude-code/cli.js"
        return ["node", program, "--print", TASK, "--allowedTools", "Bash"]

    def environment(self):
        return {"ANTHROPIC_API_KEY": "none", "NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt",
                "HOME": "/run"}    # of the lab's server: its own, and empty

    @property
    def version(self):
        return re.search(r'claude-code": "([\d.]+)"', (self.files / "package.json").read_text())[1]


class OpenHands(Agent):
    name, api = "openhands", "api.openai.com"
    title = "OpenHands"
    needs = {"mmdebstrap": "mmdebstrap"}

    def install(self):
        if platform.machine() != "x86_64":
            raise Absent("its wheels are pinned for x86-64")
        return super().install()

    def inside(self, *argv):
        return ["unshare", "--mount", self.files / "enter", self.home, "/opt/openhands/bin/python", *argv]

    def argv(self, *args):
        return self.inside("-c", (self.files / "run.py").read_text(), TASK, *args)

    @property
    def version(self):
        return re.search(r"^openhands-sdk==([\d.]+)", (self.files / "requirements.txt").read_text(), re.M)[1]


AGENTS = {kind.name: kind for kind in (Claude, OpenHands)}


@contextlib.contextmanager
def playing(lab):
    """The model's API, behind the lab's own sites."""
    log = lab.dir / "log/model.log"
    process = lab.internet.popen([sys.executable, HERE / "model.py", lab.dir / "model", log])
    try:
        poll((lab.dir / "model").exists, "a model")
        yield
    finally:
        process.kill()
        process.wait()
        os.unlink(lab.dir / "model")


def documented(agent):
    """Of docs/agents.md: the version, and the names that it asks for besides its model's."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOC.read_text().splitlines()
            if line.startswith("|")]
    row = next(row for row in rows if row[0].startswith(agent.title))
    return row[1], set(re.findall(r"`([a-z0-9.-]+\.[a-z]+)`", row[2]))
