# SPDX-License-Identifier: MIT
"""Docker's own engine on a lab's server, in namespaces that vanish with the lab, and containers of it."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

from guard import poll
from lab.lab import PATH

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
PARENT = "box"          # the containers' cgroup parent, below the lab's cgroup
IMAGE = "box:1"
NETWORK = "mine"        # user-defined: its containers ask Docker's embedded resolver
EMBEDDED = "127.0.0.11"
# Beyond Docker's defaults, and the device that a VPN in a container is given.
ADMIN = ("--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN", "--device", "/dev/net/tun")
TOOLS = {"docker": "docker.io docker-cli", "dockerd": "docker.io", "containerd": "containerd", "runc": "runc",
         "iptables": "iptables", "busybox": "busybox-static"}


def lacking():
    """Why the engine cannot be started here, or None."""
    missing = sorted({p for t, p in TOOLS.items() if not shutil.which(t, path=PATH)})
    return f"not installed: {' '.join(missing)}: scripts/deps docker" if missing else None


class Engine:
    """root: what to use in place of the machine's: another engine's package, unpacked."""

    def __init__(self, lab, root=""):
        self.lab, self.root = lab, root
        self.dir = lab.dir / "docker"
        self.parent = lab.cgroup / PARENT
        self.process = None
        self.containers = {}

    def __enter__(self):
        self.dir.mkdir()
        # Where it is looked for by all, and not as an option: the guard reads it too.
        self.lab.server.run(["sh", "-ec", "mkdir -p /etc/docker; cat >/etc/docker/daemon.json"], check=True,
                            input=json.dumps({"data-root": f"{self.dir}/data"}))
        with open(self.lab.dir / "log/dockerd.log", "ab") as log:
            # What is forwarded over IPv6 is masqueraded too, as over IPv4.
            argv = ["unshare", "--mount", "--cgroup", HERE / "engine.sh", self.dir, f"/{PARENT}", self.root,
                    "--ipv6", "--fixed-cidr-v6", "fd00:30::/64", "--experimental", "--ip6tables"]
            self.process = self.lab.server.popen(argv, guarded=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        poll(lambda: self.process.poll() is not None or not self.docker("version", check=False).returncode,
             "the engine", 60)
        assert self.process.poll() is None, f"the engine ended: {self.said()}"
        image = subprocess.run([sys.executable, HERE / "image", TOP / "build"], check=True, capture_output=True,
                               text=True)
        self.docker("import", image.stdout.strip(), IMAGE)
        self.docker("network", "create", "--ipv6", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64", NETWORK)
        return self

    def __exit__(self, *exc):
        """What it leaves is in the lab's cgroup and folder, and ends with them."""
        self.process.kill()
        self.process.wait()

    def said(self):
        return (self.lab.dir / "log/dockerd.log").read_text(errors="replace")[-2000:]

    def command(self, *argv):
        return ["docker", "--host", f"unix://{self.dir}/sock", *map(str, argv)]

    def docker(self, *argv, check=True, **kw):
        return self.lab.server.run(self.command(*argv), **{"timeout": 60, "check": check, **kw})

    def gateway(self, network):
        """Of a bridge: its hardware address, and its addresses."""
        said = json.loads(self.docker("network", "inspect", network).stdout)[0]
        device = said["Options"].get("com.docker.network.bridge.name", "br-" + said["Id"][:12])
        mac = self.lab.server.run(["cat", f"/sys/class/net/{device}/address"], check=True).stdout.strip()
        routers = {":" in c["Subnet"]: c.get("Gateway", "fd00:30::1") for c in said["IPAM"]["Config"]}
        return mac, routers[False], routers[True].split("/")[0]

    def container(self, network, admin=False, number=0):
        """One that tests share: on that network, with Docker's default capabilities or with more."""
        key = network, admin, number
        if key not in self.containers:
            name = f"{network}-{'admin' if admin else 'plain'}-{number}"
            self.containers[key] = self.start(name, network, *(ADMIN if admin else ()))
        return self.containers[key]

    def start(self, name, network="bridge", *options):
        return Container(self, name, network, options)


class Container:
    """One that waits for commands, as a sandbox does."""

    def __init__(self, engine, name, network, options):
        self.engine, self.lab, self.name, self.network = engine, engine.lab, name, network
        certificates = f"{self.lab.dir}/etc/ssl/certs:/etc/ssl/certs:ro"
        started = engine.docker("run", "--detach", "--name", name, "--network", network, "--volume", certificates,
                                "--volume", f"{HERE.parent}/escapes:/escapes:ro", *options, IMAGE, "sleep", "86400")
        self.id = started.stdout.strip()
        self.cgroup = engine.parent / self.id

    def command(self, *argv):
        return self.engine.command("exec", "--interactive", "--env", "PYTHONDONTWRITEBYTECODE=1", self.name, *argv)

    def run(self, *argv, timeout=60):
        return self.lab.server.run(self.command(*argv), timeout=timeout)

    def python(self, code, *args):
        r = self.run("python3", "-IS", "-c", code, *args)
        assert r.returncode == 0, r.stderr
        return r.stdout.strip()

    def curl(self, url, *args):
        """curl's exit status: 0, 6, 7, 28 or 35."""
        argv = ["curl", "-sS", "-o", "/dev/null", "--connect-timeout", "3", "--max-time", "8", *map(str, args), url]
        return self.run(*argv).returncode

    def at(self, name, address, *args):
        address = f"[{address}]" if ":" in address else address
        return self.curl(f"https://{name}", "--resolve", f"{name}:443:{address}", *args)

    def look(self):
        """What the engine says of its network: address, IPv6 address, own hardware address."""
        said = json.loads(self.engine.docker("inspect", self.name).stdout)[0]
        said = said["NetworkSettings"]["Networks"][self.network]
        return said["IPAddress"], said["GlobalIPv6Address"], said["MacAddress"]

    def attacking(self, *more):
        """The command line of tests/escapes for it, but for the attacks."""
        argv = ["python3", "-IS", "/escapes/attack.py", "--inside", *more]
        if self.network != "host":
            ip4, ip6, mac = self.look()
            bridge, router, router6 = self.engine.gateway(self.network)
            places = {"source": ip4, "source6": ip6, "router": router, "router6": router6}
            argv += ["--mac", mac, bridge, *(w for key, value in places.items() for w in ("--set", f"{key}={value}"))]
        return argv

    def remove(self):
        self.engine.docker("rm", "--force", self.name)
