# SPDX-License-Identifier: MIT
"""Tables that others fill: whoever fills one without end starves itself alone, and is told of."""
import contextlib
import json
import re
import subprocess
import sys

from guard import DEGRADED, Guard, poll
from lab import dnswire, topology
from lab.bridge import Bridge
from lab.lab import call
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
for query in sys.stdin:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("10.0.0.2", 53))
    try:
        s.send(bytes.fromhex(query))
    except PermissionError:
        pass
    s.close()
"""


def test_one_program_cannot_fill_the_event_buffer(guard):
    """More refusals than there is room for, of different names, which nobody reads; then one of another program."""
    guard.events()
    queries = "\n".join(dnswire.query(f"n{i}.flood.attacker.example").hex() for i in range(3000))
    guard.lab.server.run(["/usr/bin/python3", "-c", ASK_MANY], guarded=True, input=queries, check=True)
    guard.lab.server.run(["curl", "-sS", "https://google.com"], guarded=True)
    names = [e["name"] or "" for e in guard.events()]     # what exceeds the share is told in one event, without a name
    assert "google.com" in names and sum(n.endswith("flood.attacker.example") for n in names) == 256


# usage: FROM COUNT TO...: SYNs of its own making, each another connection to one of the addresses; then waits for an
# answer to the last one, if COUNT is 1
SYNS = """
import socket, struct, sys
me, count, to = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return ~(total % 0xffff) & 0xffff
def segment(there, port):
    tcp = struct.pack("!HHIIBBHHH", port, 443, 4096, 0, 0x50, 2, 0xffff, 0, 0)
    ends = socket.inet_aton(me) + socket.inet_aton(there) + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
    return tcp[:16] + struct.pack("!H", checksum(ends + tcp)) + tcp[18:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
s.settimeout(60)
for i in range(count):
    there = to[i % len(to)]
    try:
        s.sendto(segment(there, 1024 + i // len(to) % 64000), (there, 443))
    except OSError:
        pass        # a full queue
print("sent", flush=True)
while count == 1:
    packet, _ = s.recvfrom(64)
    if packet[33] == 0x12:      # SYN and ACK
        print("answered")
        break
"""


FLOODED = [topology.ZONE[name][0] for name in ("google.com", "www.google.com", "github.com", "example.com")]


@contextlib.contextmanager
def slow_server(lab):
    """Its answers to SYNs do not come before the end of this, when it repeats them. Who is flooded says nothing."""
    nft = ["nsenter", f"--net={lab.router.netns}", "nft"]
    call([*nft, "-f", "-"], f"""table ip slow {{ chain forward {{
        type filter hook forward priority 0
        ip daddr {{ {", ".join(FLOODED)} }} drop
        tcp flags & (syn|ack) == syn|ack drop
    }}; }}""")
    try:
        yield
    finally:
        call([*nft, "delete", "table", "ip", "slow"])


def let_out(guard, name):
    """Packets to a target."""
    return sum(t["packets"] for t in guard.json("stats")["targets"] if t["target"] == name)


def held_back(guard):
    """Packets from the bridge that found no room."""
    said = " ".join(guard.json("status", status=DEGRADED)["problems"])
    return int(re.search(r"unanswered connections from ohbr0 .*: (\d+) packets were held back", said)[1])


def test_flood_of_one_container_keeps_no_other_from_being_answered(fresh_lab):
    """Both are behind one bridge and NAT. The victim's SYN is sent once, before the flood, and answered after it. What
    it opens during another leaves at once."""
    there = topology.ZONE["api.openai.com"][0]
    bridge, guard = Bridge(fresh_lab), Guard(fresh_lab)
    flooding, victim = bridge.add(), bridge.add()
    run = [sys.executable, "-IS", "-c", SYNS]
    try:
        guard.load(guard=("uplink = auto",), allow=("api.openai.com", *FLOODED))
        with slow_server(fresh_lab):
            waiting = victim.popen([*run, victim.ip4, "1", there], guarded=False, stdout=subprocess.PIPE, text=True)
            assert waiting.stdout.readline() == "sent\n"
            flooding.run([*run, flooding.ip4, "200000", *FLOODED], guarded=False, check=True)
        assert waiting.communicate(timeout=90)[0] == "answered\n"
        held = held_back(guard)
        endless = [*run, flooding.ip4, "100000000", *FLOODED]
        with slow_server(fresh_lab), flooding.popen(endless, guarded=False) as flood:
            try:
                before = let_out(guard, "api.openai.com")
                poll(lambda: held_back(guard) > held, "the flood", 60)
                victim.run([*run, victim.ip4, "6", there], guarded=False, check=True)
                assert flood.poll() is None and let_out(guard, "api.openai.com") == before + 6
            finally:
                flood.kill()
    finally:
        guard.close()
        bridge.remove()
