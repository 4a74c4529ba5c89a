# SPDX-License-Identifier: MIT
"""The VPC resolver: unbound with the lab's zone, and the switch to the scripted server in front of it."""
import ipaddress
import json
import os
import subprocess
import sys

from . import topology

CONFIG = """
server:
    {interfaces}
    access-control: 0.0.0.0/0 allow
    access-control: ::0/0 allow
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: ""
    do-daemonize: no
    use-syslog: no
    num-threads: 1
    module-config: "iterator"
    hide-version: yes
    # Nothing is asked of anyone: what is not in the zone does not exist.
    local-zone: "." static
    local-data: ". 60 IN SOA lab. lab. 1 60 60 60 60"
    {records}
remote-control:
    control-enable: yes
    control-use-cert: no
    control-interface: "{control}"
"""


def records(name, addresses, ttl):
    for a in addresses:
        yield f"{name}. {ttl} IN {'AAAA' if ipaddress.ip_address(a).version == 6 else 'A'} {a}"


def unbound(directory):
    zone = [r for name, a in topology.ZONE.items() for r in records(name, a, topology.ZONE_TTL)]
    (directory / "unbound.conf").write_text(CONFIG.format(
        interfaces="\n    ".join(f"interface: {a}" for a in (*topology.RESOLVERS, topology.UNBOUND)),
        records="\n    ".join(f"local-data: '{r}'" for r in zone),
        dir=directory, control=directory / "unbound.ctl"), encoding="utf-8")
    return ["unbound", "-d", "-c", str(directory / "unbound.conf")]


def scripted(directory):
    (directory / "script.json").write_text("{}", encoding="utf-8")
    return python_dns(directory, "script", "--upstream", topology.UNBOUND, *topology.RESOLVERS)


def public(directory):
    (directory / "public.json").write_text("{}", encoding="utf-8")
    return python_dns(directory, "public", "--upstream", topology.UNBOUND, *topology.PUBLIC_DNS)


def python_dns(directory, name, *args):
    return [sys.executable, "-m", "lab.dns", "--table", str(directory / f"{name}.json"),
            "--log", str(directory / f"{name}.queries"), *args]


class Dns:
    """lab.dns: add names to the real server, or have the scripted one answer in its place."""

    def __init__(self, lab):
        self.lab = lab
        self.table_file = lab.dir / "script.json"
        self.changed = False        # by this process

    def add(self, name, *addresses, ttl=topology.ZONE_TTL):
        """Names with addresses in the real server; replaces what the name had."""
        self.add_many({name: addresses}, ttl)

    def add_many(self, zone, ttl=topology.ZONE_TTL):
        """{name: addresses} in one go, thousands if need be."""
        self.changed = True
        self._control("local_datas_remove", "".join(f"{name}.\n" for name in zone))
        self._control("local_datas", "".join(r + "\n" for name, a in zone.items() for r in records(name, a, ttl)))

    def add_alias(self, name, target, ttl=topology.ZONE_TTL):
        """A name whose answer is a CNAME without an address, as this server gives it."""
        self.changed = True
        self._control("local_datas", f"{name}. {ttl} IN CNAME {target}.\n")

    def remove(self, *names):
        self.changed = True
        self._control("local_datas_remove", "".join(f"{name}.\n" for name in names))

    def script(self, name, kind="answer", **behaviour):
        """`name` does as dns.KINDS[kind] from the next query on. While any name is scripted, the scripted
        server answers at the resolver's addresses and relays the rest to unbound."""
        table = self._table()
        table[name.lower().rstrip(".")] = {"kind": kind, **behaviour}
        self._write(table)

    def unscript(self, name):
        table = self._table()
        table.pop(name.lower().rstrip("."), None)
        self._write(table)

    def reset(self):
        """Nothing scripted, unbound answers again, and its zone is as at the start."""
        self._write({})
        listed = self._control("list_local_data").splitlines()
        extra = {line.split()[0].rstrip(".").lower() for line in listed if line and line[0] != "."}
        extra = {n for n in extra if n not in topology.ZONE and not n.endswith(".arpa") and "localhost" not in n}
        if extra:
            self.remove(*extra)
        self.add_many(topology.ZONE)
        self.changed = False

    def queries(self, who="script"):
        """What the scripted server ("script"), 8.8.8.8 ("public") was asked, oldest first."""
        path = self.lab.dir / f"{who}.queries"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _table(self):
        return json.loads(self.table_file.read_text())

    def _write(self, table):
        self.changed = True
        new = self.table_file.with_suffix(".new")
        new.write_text(json.dumps(table), encoding="utf-8")
        os.replace(new, self.table_file)
        self.lab.route_owned("script" if table else "aws", topology.RESOLVERS)

    def _control(self, verb, stdin=""):
        argv = ["unbound-control", "-c", str(self.lab.dir / "unbound.conf"), verb]
        return subprocess.run(argv, input=stdin, text=True, check=True, capture_output=True,
                              env=self.lab.server.environment()).stdout
