# SPDX-License-Identifier: MIT
"""Targets of several ports, and inbound rules of several."""
import subprocess
import sys

from guard import USAGE, FAILED, assert_says
from lab import topology

EVIL4, EVIL6 = topology.ATTACKER
BELOW, FIRST, BETWEEN, LAST, ABOVE = 5222, 8000, 8080, 8443, 9001      # the attacker listens on each

# usage: ADDRESS PORT: what the server there says
TALK = """
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).recv(9))
except OSError as e:
    print(type(e).__name__)
"""
SERVE = """
import socket, sys
listening = [socket.create_server(("", int(port))) for port in sys.argv[1:]]
print("ready", flush=True)
import select
while True:
    for s in select.select(listening, [], [])[0]:
        c, _ = s.accept()
        c.sendall(b"hello")
        c.close()
"""


def reached(guard, address):
    return [guard.probe("tcp", address, port) for port in (BELOW, FIRST, BETWEEN, LAST, ABOVE)]


def test_several_ports_of_an_address_and_of_a_range(guard):
    guard.load()
    targets = (f"{EVIL4}:{FIRST}-{LAST}", f"[2001:db8:66::/48]:{FIRST}-{LAST}")
    guard.ok("allow", *targets)
    for address in (EVIL4, EVIL6):
        assert reached(guard, address) == ["EPERM", "ok", "ok", "ok", "EPERM"]
    listed = {t["target"]: (t["port"], t["last_port"]) for t in guard.json("list")["targets"]}
    assert listed[EVIL4] == listed["2001:db8:66::/48"] == (FIRST, LAST)
    assert f"{FIRST}-{LAST}" in guard.ok("list").stdout
    guard.load()
    assert reached(guard, EVIL4)[2] == "ok"
    guard.ok("revoke", *targets)
    assert reached(guard, EVIL4) == ["EPERM"] * 5


def test_in_the_configuration_as_well(guard):
    guard.load(allow=(f"{EVIL4}:{FIRST}-{LAST}",))
    assert reached(guard, EVIL4) == ["EPERM", "ok", "ok", "ok", "EPERM"]


def test_part_of_the_ports_is_another_target(guard):
    guard.load()
    guard.ok("allow", f"{EVIL4}:{FIRST}-{LAST}", f"{EVIL4}:{BETWEEN}")
    guard.ok("revoke", f"{EVIL4}:{FIRST}-{LAST}")
    assert reached(guard, EVIL4) == ["EPERM", "EPERM", "ok", "EPERM", "EPERM"]


def test_inbound_rule_of_several_ports(lab, guard):
    guard.load(guard=("uplink = eth0",), extra="[inbound]\naccept = 8000-8001 10.0.0.10\n")
    server = lab.server.popen([sys.executable, "-ISc", SERVE, "7999", "8000", "8001", "8002"], guarded=True,
                              stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n"
        said = [lab.proxy.run([sys.executable, "-ISc", TALK, "10.0.1.10", port]).stdout.strip()
                for port in ("7999", "8000", "8001", "8002")]
        assert said == ["TimeoutError", "b'hello'", "b'hello'", "TimeoutError"]
    finally:
        server.kill()
        server.wait()


def test_name_has_one_port(guard):
    guard.load()
    r = guard.run("allow", "example.com:443-444")
    assert_says(r, USAGE if r.returncode == USAGE else FAILED, "several ports go with an address")
