# SPDX-License-Identifier: MIT
"""The history of refusals: `ohguard serve` writes it, and `ohguard events` reads it and takes nothing from it."""
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

import pytest

from guard import (ALLOWED, BINARY, DONE, FAILED, FORBIDDEN, NOT_LOADED, NOT_RESOLVED, assert_says, poll,
                   serving)
from lab import topology
from test_uplink import ACK, ME4, PACKET, checksum, mac, tcp

LOG = "/var/log/ohguard/host.jsonl"

SENDS = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(int(sys.argv[1]), int(sys.argv[2])):
    try: s.sendto(b'x', ('203.0.113.66', port))
    except PermissionError: pass
"""

LOOKUPS = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.0.0.2", 53))
for n in range(int(sys.argv[1])):
    name = b"".join(bytes([len(p)]) + p for p in (b"n%d" % n, b"flood", b"example"))
    try: s.send(struct.pack("!6H", n & 0xffff, 0x100, 1, 0, 0, 0) + name + b"\\0" + struct.pack("!2H", 1, 1))
    except OSError: pass
"""


@pytest.fixture
def loaded(guard):
    guard.load()
    return guard


@pytest.fixture
def written(loaded):
    """A loaded guard whose history is written."""
    loaded.shell("rm -rf /var/log/ohguard")
    with serving(loaded) as process:
        loaded.server = process
        yield loaded


def history(guard, *args, status=DONE):
    r = guard.run("events", "--json", *args)
    assert r.returncode == status, r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()]


def told(guard, *args, **want):
    """The records that have these values."""
    return [e for e in history(guard, *args) if all(e[k] == v for k, v in want.items())]


def test_history_stays_for_any_number_of_readers(written):
    written.curl("https://google.com")
    first, = poll(lambda: [e for e in told(written, name="google.com") if e["count"] >= 2], "both queries of a lookup",
                  seconds=30)
    assert len(told(written, name="google.com")) == 1
    assert first["reason"] == "dns-name-not-allowed" and first["command"] == "curl"
    assert history(written) == history(written)
    written.ok("unload", "--yes")
    r = written.run("events", "--json")
    assert r.returncode == NOT_LOADED and "google.com" in r.stdout


def test_repeats_are_added_up(written):
    for _ in range(5):
        written.probe("udp", *FORBIDDEN)
    poll(lambda: sum(e["count"] for e in told(written, destination_port=FORBIDDEN[1])) == 5 or None,
         "five of it", seconds=30)
    assert len(told(written, destination_port=FORBIDDEN[1])) == 1
    line = json.loads(written.ok("events", "--summary", "--json").stdout.splitlines()[0])
    assert (line["count"], line["destination"], line["command"][:6]) == (5, FORBIDDEN[0], "python")
    assert line["advice"] is None       # nothing lets UDP pass


def test_summary_says_what_to_type_and_that_works(written):
    assert written.curl("https://google.com") == NOT_RESOLVED
    line = poll(lambda: written.ok("events", "--summary").stdout, "the lookup")
    assert line.endswith(": ohguard allow google.com\n"), line
    entry = json.loads(written.ok("events", "--summary", "--json").stdout)
    assert entry["advice"] == "ohguard allow google.com"
    written.ok(*entry["advice"].split()[1:])
    assert written.curl("https://google.com") == 0


def test_flood_of_names_hides_nobody(written):
    """100,000 names of one program, and another one's refusal is in the history."""
    written.python(LOOKUPS, "100000")
    written.curl("http://203.0.113.67")
    poll(lambda: told(written, command="curl"), "curl's refusal")
    poll(lambda: sum(e["count"] for e in told(written, reason="dns-name-not-allowed")) == 100000 or None,
         "all that were refused", seconds=40)
    assert written.json("stats")["events_lost"] == 0
    lines = int(written.shell(f"wc -l <{LOG}").stdout)
    assert lines < 3000, "and the disk is not full of it"


def test_writer_killed_at_any_moment(written):
    for n in range(4):
        written.python(SENDS, str(1000 * n + 1000), str(1000 * n + 1200))
        written.server.kill()
        written.server.wait()
        if n == 1:      # torn, as by a machine that lost its power
            written.shell(f'printf "{{\\"line\\": 7, \\"fir" >>{LOG}')
        with serving(written) as process:
            written.server = process
            poll(lambda: told(written, destination_port=1000 * n + 1199), "what was refused while nobody wrote")
            written.server.kill()
            written.server.wait()
    r = written.ok("events", "--verify")
    assert "1 lines were torn" in r.stderr and "each with the hash" in r.stdout


def test_changed_and_cut_history_shows(written):
    written.python(SENDS, "2000", "2010")
    poll(lambda: len(history(written)) == 10 or None, "ten records")
    v = written.json("events", "--verify")
    assert (v["intact"], v["lines"], v["torn"], v["problem"]) == (True, 10, 0, None)
    for change in ("s/2003/2103/", "4d", "$d", "/2005/s/refused/observed/"):
        written.shell(f"cp {LOG} {LOG}.was; sed -i '{change}' {LOG}")
        assert_says(written.run("events", "--verify"), FAILED, LOG, "line")
        assert not written.json("events", "--verify", status=FAILED)["intact"]
        written.shell(f"mv {LOG}.was {LOG}")
    written.ok("events", "--verify")


def test_full_disk_stops_nothing_and_is_said(written):
    written.server.terminate()
    written.server.wait()
    written.shell("mkdir -p /var/log/ohguard; mount -t tmpfs -o size=64k,mode=750 none /var/log/ohguard; "
                  "dd if=/dev/zero of=/var/log/ohguard/other bs=1k 2>/dev/null || true")
    try:
        with serving(written):
            written.python(SENDS, "3000", "3010")
            said = poll(lambda: [p for p in written.json("status")["notes"] if "history" in p], "what is wrong")
            assert "No space left" in said[0]
            assert written.curl("https://google.com") == 6, "names are answered as ever"
            written.shell("rm /var/log/ohguard/other")
            poll(lambda: len(told(written, protocol="udp")) >= 10 or None, "what could not be written", seconds=30)
            poll(lambda: not [p for p in written.json("status")["notes"] if "history" in p] or None, "no problem")
        written.ok("events", "--verify")
    finally:
        written.shell("umount /var/log/ohguard")


def test_filters(written):
    began = int(time.time())
    written.curl("http://203.0.113.67")
    written.curl("https://google.com")
    poll(lambda: len(history(written)) >= 2 or None, "both")
    assert {e["name"] for e in history(written, "*.com")} == {"google.com"}
    assert {e["destination"] for e in history(written, "203.0.113.*")} == {"203.0.113.67"}
    assert {e["reason"] for e in history(written, "--reason", "address-not-allowed")} == {"address-not-allowed"}
    assert history(written, "--command", "cur?") == history(written)
    assert history(written, "--command", "wget") == [] and history(written, "--until", "1h") == []
    assert history(written, "--since", "10m") == history(written) and began
    for wrong in (("--since", "soon"), ("--reason", "because"), ("a", "b"), ("--summary", "--follow")):
        assert written.run("events", *wrong).returncode == 2


def test_follow_tells_at_once(written):
    with written.lab.server.popen([BINARY, "events", "--follow", "--json"], text=True,
                                  stdout=subprocess.PIPE) as reader:
        try:
            for n in range(3):
                written.probe("udp", FORBIDDEN[0], 4000 + n)
                assert json.loads(reader.stdout.readline())["destination_port"] == 4000 + n
            reader.terminate()
            assert reader.wait(10) == 0
        finally:
            reader.kill()


def on_terminal(guard, columns, *args):
    """What a terminal of that width is sent."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with guard.lab.server.popen([BINARY, *args], stdout=there, stderr=subprocess.DEVNULL) as process:
        os.close(there)
        out = b""
        while True:
            try:
                part = os.read(here, 65536)
            except OSError:
                break
            if not part:
                break
            out += part
        assert process.wait(10) == 0
    os.close(here)
    return out.decode()


def test_terminal_has_a_table_that_fits(written):
    code = ("import socket\nopen('/proc/self/comm', 'wb').write(b'\\x1b]0;\\xe2\\x80\\xae\\xff')\n"
            "try: socket.create_connection(('203.0.113.66', 80), 2)\nexcept PermissionError: pass")
    written.python(code)
    written.curl("https://a-name-that-is-longer-than-any-column-of-a-terminal-would-be.google.com")
    poll(lambda: len(history(written)) >= 2 or None, "both")
    for columns in (80, 132):
        for args in (("events",), ("events", "--utc"), ("events", "--summary")):
            text = on_terminal(written, columns, *args)
            plain = re.sub("\x1b\\[\\d+m", "", text)
            assert "\x1b" not in plain and "\u202e" not in plain and "\x1b[31m" in text
            rows = plain.splitlines()
            if "--summary" in args:     # each with its line to type, which is not cut
                assert [("allow" in x, x.startswith("    ")) for x in rows[1::2]] == [(True, True)] * 2, plain
                rows = rows[::2]
            assert len(rows) == 2 and max(map(len, rows)) <= columns, plain


def test_refusal_of_what_has_lapsed_names_its_target(guard):
    """That is what to allow again, and not the address."""
    at = topology.ZONE["google.com"][0]
    guard.load()
    guard.ok("allow", "--for", "2s", "google.com")
    poll(lambda: guard.probe("tcp", at, 443) == "EPERM", "its end")
    assert {(e["reason"], e["target"]) for e in guard.events()} == {("address-not-allowed", "google.com:443")}
    assert json.loads(guard.ok("events", "--summary", "--json").stdout)["advice"] == "ohguard allow google.com"


def test_refused_answer_of_a_time_wait_is_counted_and_told_as_nobodys(guard):
    """No process has that connection any more: the kernel answers a late segment."""
    at = topology.ZONE["google.com"][0]
    guard.load("--uplink", "eth0")
    guard.ok("allow", at)
    port = int(guard.python("import socket, sys\ns = socket.create_connection((sys.argv[1], 443))\ns.shutdown(1)\n"
                            "while s.recv(9): pass\nprint(s.getsockname()[1])", at))
    guard.ok("revoke", at)
    assert str(port) in guard.shell("ss -Htn state time-wait").stdout
    before = guard.reason("address-not-allowed")
    late = bytearray(tcp(at, ME4, 443, port, ACK))
    late[36:38] = checksum(late[12:20] + bytes([0, 6, 0, 20]) + late[20:]).to_bytes(2, "big")
    r = guard.lab.router.run([sys.executable, "-IS", "-c", PACKET.replace("eth0", "server"), "raw",
                              (mac(guard) + bytes(6) + b"\x08\0" + late).hex()])
    assert r.stdout == "sent\n", r.stderr
    poll(lambda: guard.reason("address-not-allowed") > before, "a refused answer")
    assert guard.events() == []


def test_journal_has_the_fields(loaded):
    """systemd's own protocol, to a socket in its place."""
    loaded.shell("rm -rf /var/log/ohguard; mkdir -p /run/systemd/journal")
    code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "s.bind('/run/systemd/journal/socket')\nprint('bound', flush=True)\ns.settimeout(20)\n"
            "sys.stdout.buffer.write(s.recv(65536))")
    with loaded.lab.server.popen(["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE) as journal:
        try:
            assert journal.stdout.readline() == b"bound\n"
            with serving(loaded):
                loaded.curl("https://google.com")
                message = journal.stdout.read()
        finally:
            journal.kill()
            loaded.shell("rm -f /run/systemd/journal/socket")
    fields = {}
    while message:
        field, _, rest = message.partition(b"\n")
        if b"=" in field:
            name, _, value = field.partition(b"=")
        else:
            size = struct.unpack("<Q", rest[:8])[0]
            name, value, rest = field, rest[8:8 + size], rest[9 + size:]
        fields[name.decode()] = value.decode()
        message = rest
    assert fields["OHGUARD_REASON"] == "dns-name-not-allowed" and fields["OHGUARD_NAME"] == "google.com"
    assert fields["OHGUARD_COMMAND"] == "curl" and fields["SYSLOG_IDENTIFIER"] == "ohguard"
    assert "google.com" in fields["MESSAGE"] and re.fullmatch("[0-9a-f]{64}", fields["OHGUARD_HASH"])


def test_answer_to_a_connection_from_outside_says_what_to_write(written):
    code = ("import socket\ns = socket.socket()\ns.bind(('0.0.0.0', 8000))\ns.listen()\nprint('up', flush=True)\n"
            "import time; time.sleep(30)")
    with written.lab.server.popen(["/usr/bin/python3", "-c", code], guarded=True, stdout=subprocess.PIPE) as listener:
        try:
            assert listener.stdout.readline() == b"up\n"
            written.lab.proxy.run(["curl", "-s", "-m", "2", "http://10.0.1.10:8000"])
            e = poll(lambda: told(written, reply=True), "its answer")[0]
            assert e["source_port"] == 8000
            assert "reply from port 8000" in written.ok("events").stdout
            assert re.search(r"write accept = 8000 \S+ under \[inbound\]", written.ok("events").stdout)
        finally:
            listener.kill()


def test_refusal_names_the_target_of_its_address(written):
    written.curl(f"http://{ALLOWED}:8080")
    e = poll(lambda: told(written, reason="port-not-allowed"), "its record")[0]
    assert e["target"] == f"{ALLOWED}:443"
