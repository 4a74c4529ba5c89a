# SPDX-License-Identifier: MIT
"""Tables that others fill: whoever fills one without end starves itself alone, and is told of."""
import json

from lab import dnswire
from test_names import POOL, guard, learned     # noqa: F401  (guard is a fixture)

CROWD = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect(("10.0.0.2", 53))
for q in sys.stdin.read().split():
    s.send(bytes.fromhex(q))
    s.recv(4096)
"""


def status(guard):
    r = guard.ohguard("status", "--json")
    return r.returncode, json.loads(r.stdout)


def crowd(guard, count):
    """So many answers of 64 new addresses each, for names below one suffix."""
    queries = [dnswire.query(f"n{i}.crowd.lab.example", qid=i, edns=4096).hex() for i in range(count)]
    guard.lab.server.run(["/usr/bin/python3", "-c", CROWD], guarded=True, input="\n".join(queries), check=True)


def test_answer_teaches_sixteen_addresses(guard):
    guard.lab.dns.script("*.crowd.lab.example", "crowd")
    assert guard.ohguard("allow", "*.crowd.lab.example").returncode == 0
    crowd(guard, 1)
    assert len(learned(guard, "*.crowd.lab.example")) == 16


def test_hostile_zone_starves_itself_alone(guard):
    guard.lab.dns.script("*.crowd.lab.example", "crowd")
    guard.lab.dns.script("pool.lab.example", "rotate")
    assert guard.ohguard("allow", "*.crowd.lab.example", "pool.lab.example").returncode == 0
    assert status(guard)[0] == 0
    crowd(guard, 1060)
    assert guard.python(POOL, "pool.lab.example", 200).stdout == "failed 0\n"
    assert len(learned(guard, "pool.lab.example")) >= 199
    code, said = status(guard)
    assert code == 4 and not said["healthy"]
    assert any("*.crowd.lab.example" in p and "not learned" in p for p in said["problems"])


ASK_MANY = """
import socket, sys
for i in range(int(sys.argv[1])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("10.0.0.2", 53))
    try:
        s.send(bytes.fromhex(sys.argv[2]))
    except PermissionError:
        pass
    s.close()
"""


def test_one_program_cannot_fill_the_event_buffer(guard):
    """More refusals than there is room for, which nobody reads; then one of another program."""
    guard.events()
    query = dnswire.query("flood.attacker.example").hex()
    assert guard.lab.server.run(["/usr/bin/python3", "-c", ASK_MANY, "3000", query], guarded=True).returncode == 0
    guard.lab.server.run(["curl", "-sS", "https://google.com"], guarded=True)
    names = [e["name"] for e in guard.events()]
    assert "google.com" in names and names.count("flood.attacker.example") == 256
