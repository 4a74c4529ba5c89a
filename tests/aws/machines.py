# SPDX-License-Identifier: MIT
"""Two real machines in a VPC that world.py plays: a stack that moto holds, booted in QEMU from what moto tells of it.

Real: cloud-init with the Ec2 data source, user data, systemd, nginx, fail2ban, ufw, Docker, ohguard, sshd, and between
machines and world the rules of security groups and network ACLs as `aws` reads them back, in nftables. Not real: the
API, the packets' way through AWS, the image (Debian instead of Ubuntu, most packages in it already) and OpenHands,
which test_agent.py has."""
import base64
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from conftest import HERE, VENV

sys.path.insert(0, str(HERE.parent / "vm"))
import vm  # noqa: E402
from world import ADDRESSES, MACHINES, VISITORS  # noqa: E402

SUITE = os.environ.get("OHGUARD_CLOUD", "")  # whose programs they have: bookworm's, or trixie's


class Instance(vm.Run):
    """One machine. Its serial console is what AWS would tell of it."""

    def __init__(self, name, namespace, folder, files):
        self.name, self.namespace = name, namespace
        (folder / f"{name}.id").write_text(f"7f{os.urandom(15).hex()}\n")
        files = [*files, (folder / f"{name}.id", "/etc/machine-id")]
        super().__init__(vm.Machine("6.1", files=files, root="cloud " + SUITE), [])
        self.boots, self.qemu, self.megabytes = 0, None, 1024

    def __enter__(self):
        super().__enter__()
        with open(self.work / "state", "wb") as disk:
            disk.truncate(256 << 20)
        return self

    def command(self, boot, port):
        qemu = super().command(boot, port)
        qemu += ["-drive", f"if=virtio,format=raw,cache=unsafe,file={self.work}/state"]
        uuid = "ec2" + self.token[:5] + "-0000-4000-8000-000000000000"  # by which cloud-init knows where it is
        at = qemu.index("-nic")
        qemu[at + 1] = (f"tap,id=eth0,model=virtio-net-pci,ifname={self.name},script=no,downscript=no,"
                        f"mac={MACHINES[self.name][2]}")
        qemu[qemu.index("-m") + 1] = str(self.megabytes)
        qemu[qemu.index("-smp") + 1] = "1"  # more threads than this machine has processors wait for each other
        return [*self.namespace, *qemu, "-uuid", uuid, "-smbios",
                f"type=1,manufacturer=Amazon EC2,serial={uuid},uuid={uuid}"]

    def start(self):
        self.boots += 1
        nothing = os.open(os.devnull, os.O_WRONLY)  # no case runs in it
        with open(self.work / "qemu.log", "ab") as log:
            self.qemu = subprocess.Popen(self.command(self.boots, nothing), stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log, pass_fds=[nothing], preexec_fn=vm.dies_with_parent)
        os.close(nothing)

    def console(self):
        path = self.work / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def __exit__(self, *how):
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()
        super().__exit__(*how)


def ports(low, high):
    return f"{low}" if low == high else f"{low}-{high}"


def nft_group(stack, name, members):
    """A security group as two chains for first packets: answers do not get there."""
    group = stack.one("describe-security-groups", "SecurityGroups", name)
    lines = []
    for chain, permissions, side in (("in", group["IpPermissions"], "saddr"),
                                     ("out", group["IpPermissionsEgress"], "daddr")):
        rules = []
        for p in permissions:
            peers = [r["CidrIp"] for r in p["IpRanges"]] + [members[g["GroupId"]] for g in p["UserIdGroupPairs"]]
            rules += [f"ip {side} {peer} {p['IpProtocol']} dport {ports(p['FromPort'], p['ToPort'])} return"
                      for peer in peers]
        lines.append(f"chain {name}-{chain} {{ {'; '.join(rules)}; counter drop; }}")
    return lines


def nft_acl(stack, name):
    """A network ACL, which keeps no state: what no rule returns from is dropped."""
    entries = stack.one("describe-network-acls", "NetworkAcls", name)["Entries"]
    lines = []
    for chain, egress in (("in", False), ("out", True)):
        rules = []
        for e in sorted((e for e in entries if e["Egress"] == egress and e["RuleNumber"] < 32767),
                        key=lambda e: e["RuleNumber"]):
            peer = f"ip {'daddr' if egress else 'saddr'} {e['CidrBlock']}"
            if e["Protocol"] == "1":
                what = f"icmp type {e['IcmpTypeCode']['Type']} icmp code {e['IcmpTypeCode']['Code']}"
            else:
                protocol = {"6": "tcp", "17": "udp"}[e["Protocol"]]
                what = f"{protocol} dport {ports(e['PortRange']['From'], e['PortRange']['To'])}"
            rules.append(f"{peer} {what} {'return' if e['RuleAction'] == 'allow' else 'drop'}")
        lines.append(f"chain {name}-{chain} {{ {'; '.join(rules)}; counter drop; }}")
    return lines


def nft_rules(stack):
    """What AWS does with a packet, from what `aws` tells of the stack."""
    ids = {k: stack.one("describe-security-groups", "SecurityGroups", k)["GroupId"]
           for k in ("group-proxy", "group-server")}
    members = {ids["group-proxy"]: MACHINES["proxy"][0], ids["group-server"]: MACHINES["server-1"][0]}
    public, nat = (stack.one("describe-addresses", "Addresses", k)["PublicIp"] for k in ("proxy-ip", "nat-ip"))
    chains = [line for k in ids for line in nft_group(stack, k, members)]
    chains += [line for k in ("acl-public", "acl-private") for line in nft_acl(stack, k)]
    proxy = MACHINES["proxy"][0]
    return "flush ruleset\ntable ip vpc {\n" + "\n".join(chains) + f"""
chain untracked-in {{ type filter hook prerouting priority raw; ip daddr {{ 10.0.0.2, 169.254.0.0/16 }} notrack; }}
chain untracked-out {{ type filter hook output priority raw; ip saddr {{ 10.0.0.2, 169.254.0.0/16 }} notrack; }}
chain to-public {{ type nat hook prerouting priority -100; ip daddr {public} dnat to {proxy}; }}
chain from-public {{ type nat hook postrouting priority 100;
  oifname up0 ip saddr {proxy} snat to {public}
  oifname up0 ip saddr 10.0.1.0/24 snat to {nat}; }}
chain forward {{ type filter hook forward priority 0; policy drop;
  iifname proxy jump acl-public-out
  iifname server-1 jump acl-private-out
  iifname server-1 oifname up0 jump acl-public-in  # the NAT gateway is in the public subnet
  iifname server-1 oifname up0 jump acl-public-out
  iifname up0 oifname server-1 jump acl-public-in
  iifname up0 oifname server-1 jump acl-public-out
  oifname proxy jump acl-public-in
  oifname server-1 jump acl-private-in
  ct state established,related accept
  iifname proxy jump group-proxy-out
  iifname server-1 jump group-server-out
  oifname proxy jump group-proxy-in
  oifname server-1 jump group-server-in
  accept; }}
}}
"""


class Power(threading.Thread):
    """While it runs, does to the machines what AWS would: off and on as it is asked to, and on after a reboot."""

    def __init__(self, scene):
        super().__init__(daemon=True)
        self.scene, self.over, self.done = scene, threading.Event(), 0
        self.off = set()

    def __enter__(self):
        self.scene.power = self
        self.start()

    def __exit__(self, *how):
        self.over.set()
        self.join(600)
        self.scene.power = None

    def turn(self, line):
        for name, identity in self.scene.ids.items():
            instance = self.scene.instances[name]
            if identity in line and "stop-instances" in line:
                self.off.add(name)
                self.scene.on(name, "sync; systemctl poweroff &")
                instance.qemu.wait(600)
            elif identity in line and "start-instances" in line:
                self.off.discard(name)
                instance.start()

    def run(self):
        asked = self.scene.folder / "power"
        while not self.over.wait(1):
            lines = asked.read_text().splitlines() if asked.exists() else []
            for line in lines[self.done:]:
                self.turn(line)
            self.done = len(lines)
            for name, instance in self.scene.instances.items():
                if name not in self.off and instance.qemu.poll() is not None:
                    instance.start()


class Scene:
    """The world, the stack and its machines, and ways to look at them."""

    def __init__(self, stack, folder):
        self.stack, self.folder = stack, folder
        self.world, self.instances, self.power = None, {}, None

    def __enter__(self):
        names = ",".join("DNS:" + n for n in ADDRESSES) + ",IP:1.1.1.1"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "9", "-subj", "/CN=internet", "-addext", "subjectAltName=" + names,
                        "-keyout", self.folder / "site.key", "-out", self.folder / "site.pem"], check=True,
                       capture_output=True)
        self.tell_metadata()
        argv = [sys.executable, HERE / "world.py", self.folder, vm.image("packages", *SUITE.split())]
        self.world = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pids = json.loads(self.world.stdout.readline())
        self.stack.prefix = self.inside("internet")
        self.rules(nft_rules(self.stack))
        (self.folder / "jail").write_text("[DEFAULT]\nbackend = systemd\n")
        files = [(self.folder / "site.pem", "/etc/ssl/certs/ca-certificates.crt"),
                 (self.folder / "site.pem", "/usr/local/share/ca-certificates/internet.crt"),
                 (self.folder / "jail", "/etc/fail2ban/jail.d/defaults-ubuntu.conf")]     # as Ubuntu 24.04 has it
        try:
            for name in MACHINES:
                instance = Instance(name, self.inside("vpc"), self.folder, files)
                self.instances[name] = instance.__enter__()
                os.symlink(instance.work / "console", self.folder / f"console-{self.ids[name]}")
                instance.start()
        except BaseException:
            self.__exit__()
            raise
        # The quick client's `aws` runs in this machine's network: what is for the world's must not.
        self.stack.wrap(f"""[ $1 != s3api ] || exec {VENV}/bin/aws "$@"
if [ "$2" = get-console-output ]; then
	python3 -c 'import json, sys; print(json.dumps({{"Output": open(sys.argv[1], errors="replace").read()}}))' \\
		{self.folder}/console-$5
	exit; fi""", f"""case $2 in stop-instances | start-instances) echo "$*" >>{self.folder}/power ;; esac""")
        return self

    def __exit__(self, *how):
        # All before the first goes: the way to a server leads through the proxy.
        if keep := os.environ.get("OHGUARD_KEEP"):  # a folder for what helps after a failure
            for name, instance in self.instances.items():
                told = self.on(name,
                               "journalctl --no-pager -b | tail -n 2000; ohguard events --json | tail -n 200; ohguard "
                               "status")
                (Path(keep) / name).write_text(instance.console() + told.stdout + told.stderr)
        for instance in self.instances.values():
            instance.__exit__(*how)
        self.world.stdin.close()
        self.world.wait()

    def tell_metadata(self):
        """What the metadata service says, and the machines' ids: as moto was told by run-instances."""
        key = self.stack.state / "aws" / self.stack.name / "key.pem"
        made = subprocess.run(["ssh-keygen", "-y", "-f", key], check=True, capture_output=True, text=True)
        public = made.stdout.strip()
        listed = self.stack.mine("describe-instances", "Reservations[].Instances[]")
        self.ids, told = {}, {}
        for name, (address, _, _) in MACHINES.items():
            mine = [i["InstanceId"] for i in listed if {"Key": "ohguard:resource", "Value": name} in i["Tags"]]
            data = self.stack.aws("ec2", "describe-instance-attribute", "--attribute", "userData", "--instance-id",
                                  mine[0])
            self.ids[name] = mine[0]
            told[address] = {"id": mine[0], "key": public,
                             "user-data": base64.b64decode(data["UserData"]["Value"]).decode()}
        (self.folder / "instances.json").write_text(json.dumps(told))
        self.public = self.stack.one("describe-addresses", "Addresses", "proxy-ip")["PublicIp"]

    def inside(self, place):
        return ["nsenter", f"--net=/proc/{self.pids[place]}/ns/net", "--"]

    def rules(self, text):
        subprocess.run([*self.inside("vpc"), "nft", "-f", "-"], input=text, text=True, check=True)

    def out(self, *argv, place="internet", **keys):
        """A program of this machine, run at a place of the world."""
        return subprocess.run([*self.inside(place), *argv], capture_output=True, text=True, timeout=300, **keys)

    def port(self, address, number, place="internet"):
        """How a connection ends there: open, refused or silent."""
        probe = ("import socket, sys\ntry: socket.create_connection((sys.argv[1], int(sys.argv[2])), 8); "
                 "print('open')\n"
                 "except ConnectionRefusedError: print('refused')\nexcept OSError: print('silent')")
        return self.out(sys.executable, "-c", probe, address, str(number), place=place).stdout.strip()

    def on(self, host, script, timeout=900):
        """A script as root on a machine, over the way that `ohguard aws` itself takes. lib.sh is before it."""
        config = self.stack.state / "aws" / self.stack.name / "ssh_config"
        # From a file, where no test looks for secrets: what the script starts must not read the rest of it.
        run = "sudo -n bash -c 'f=$(mktemp -p /dev/shm); cat >$f; bash $f </dev/null; s=$?; rm $f; exit $s'"
        return subprocess.run([*self.inside("internet"), "ssh", "-F", config, "-T", host, "--", run], text=True,
                              input=(vm.GUEST / "lib.sh").read_text() + script, capture_output=True, timeout=timeout)

    def look(self, host, name, **values):
        """Runs NAME.sh there, a list of things that must hold."""
        head = "".join(f"{k}='{v}'\n" for k, v in values.items())
        done = self.on(host, head + (HERE / f"{name}.sh").read_text() + "finish\n")
        print(done.stdout)
        assert done.returncode == 0 and "ok: " in done.stdout, done.stdout + done.stderr

    def until(self, what, seconds=900):
        """The bound is for what hangs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if done := what():
                return done
            for i in self.instances.values():
                assert self.power or i.qemu.poll() is None, \
                    f"{i.name} ended: " + (i.work / "qemu.log").read_text() + i.console()[-2000:]
            time.sleep(6)
        raise AssertionError("never: " + "".join(i.console()[-2000:] for i in self.instances.values()))

    def answers(self):
        """Both machines, over ssh."""
        return self.until(lambda: self.stack.run("versions").returncode == 0 and
                          all(self.on(h, "true").returncode == 0 for h in MACHINES))

    def reboot(self, name):
        self.on(name, "sync; systemctl reboot &")
        self.instances[name].qemu.wait(300)
        self.instances[name].start()
        self.answers()
