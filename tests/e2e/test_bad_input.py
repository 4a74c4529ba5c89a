# SPDX-License-Identifier: MIT
"""Bad input: one line that says what, why and what to do; and what was enforced stays enforced."""
import re
import subprocess
import sys

import pytest

from guard import (ALLOWED, CONF, DEGRADED, DONE, FAILED, NOT_LOADED, REFUSED_AT_ONCE, STATE, assert_says, config,
                   poll)
from lab import topology

NAME254 = ".".join(["a" * 49] * 5 + ["abcd"])      # 254 bytes; 253 are the most there can be
NAME253 = NAME254[1:]
LABEL64 = "b" * 64 + ".example"


@pytest.fixture
def loaded(guard):
    guard.load()
    yield guard
    # after each: the earlier enforcement still stands
    guard.assert_stands()


def assert_load_refused(guard, *words, args=()):
    """It says why, whether or not something is loaded already."""
    programs = guard.attached()
    line = assert_says(guard.run("load", *args), FAILED, *words)
    assert guard.attached() == programs, "nothing was replaced"
    return line


# -- the configuration ---------------------------------------------------------------------------------------------

BAD_LINES = {
    "unknown key": ("[guard]\ncgruop = /x", "cgruop"),
    "unknown section": ("[gaurd]\ncgroup = /x", "gaurd"),
    "key of another section": ("[dns]\ntarget = a.example", "target"),
    "key in another case": ("[dns]\nResolver = 10.0.0.2", "Resolver"),
    "relative cgroup": ("[guard]\ncgroup = x", "'x'"),
    "uplink that can be no interface": ("[guard]\nuplink = eth0/1", "eth0/1"),
    "too few addresses": ("[guard]\nmax-addresses = 1023", "1023"),
    "max-addresses of letters": ("[guard]\nmax-addresses = many", "many"),
    "negative max-addresses": ("[guard]\nmax-addresses = -1", "-1"),
    "resolver by name": ("[dns]\nresolver = dns.google", "dns.google"),
    "resolver with a port": ("[dns]\nresolver = 10.0.0.2:53", "10.0.0.2:53"),
    "ttl without meaning": ("[dns]\nmin-ttl = soon", "soon"),
    "negative ttl": ("[dns]\nmin-ttl = -1", "-1"),
    "ttl beyond all bounds": ("[dns]\nmax-ttl = 99999999999999999999", "99999999999999999999"),
    "min over max": ("[dns]\nmin-ttl = 2h\nmax-ttl = 1h", "min-ttl"),
    "private without range": ("[dns]\nprivate = a.example", "a.example"),
    "private with host bits": ("[dns]\nprivate = a.example 10.0.0.1/8", "10.0.0.1/8"),
    "ntp range": ("[ntp]\nserver = 169.254.0.0/16", "169.254.0.0/16"),
    "inbound port 0": ("[inbound]\naccept = 0 10.0.0.0/8", "'0'"),
    "inbound port 65536": ("[inbound]\naccept = 65536 10.0.0.0/8", "65536"),
    "inbound without range": ("[inbound]\naccept = 22", "'22'"),
    "inbound with more": ("[inbound]\naccept = 22 10.0.0.0/8 x", "22 10.0.0.0/8 x"),
    "imds": ("[imds]\naccess = maybe", "maybe"),
    "imds by the back door": ("[allow]\ntarget = 169.254.169.254:80", "imds"),
    "state folder": ("[paths]\nstate = here", "here"),
    "no ini": ("target google.com", "key = value"),
    "long line": ("[allow]\ntarget = " + "a" * 100000, "longer"),
    "empty value": ("[allow]\ntarget =", ""),
}
BAD_TARGETS = {
    f"a.example:{p}": p for p in ("0", "65536", "443abc", "-1", "99999999999999999999", "0x1bb", "+443", "")
} | {
    "10.0.0.1/8": "behind the prefix", "2001:db8::1/32": "behind the prefix", "10.0.0.0/33": "10.0.0.0/33",
    "10.0.0.0/": "10.0.0.0/", "10.0.0/8": "10.0.0/8", "1.2.3": "1.2.3",
    "0.0.0.0/0": "every address", "::/0": "every address", "::ffff:0:0/96": "every address",
    "256.1.1.1": "256.1.1.1", "[2001:db8::1": "[", "2001:db8::g": "2001:db8::g", "[a.example]:443": "a.example",
    NAME254: "253", LABEL64: "63", "a..b.example": "empty label", ".example": "empty label",
    "a b.example": "a b.example", "https://a.example": "https", "a.example/path": "a.example/path", "*": "*",
    "*.": "*.", "a.*.example": "*", "user@a.example": "@", "a.example:53": "53", "\u2028.example": "xn--",
    "x\ufffd.example": "xn--",
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_bad_configuration_is_refused_with_file_line_and_value(loaded, what):
    text, value = BAD_LINES[what]
    loaded.write(CONF, config(loaded.cgroup) + text + "\n")
    line = assert_load_refused(loaded, CONF, value[:60])
    where = re.search(re.escape(CONF) + r":(\d+)", line)
    lines = (config(loaded.cgroup) + text).count("\n") + (what != "unknown section")   # its own line, not its key's
    assert (where and int(where[1]) == lines) or what in ("min over max", "imds by the back door"), line
    assert_load_refused(loaded, CONF, args=["--dry-run"])


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_bad_target_is_refused_in_file_and_on_the_command_line(loaded, target):
    said = BAD_TARGETS[target]
    for command in ("allow", "revoke"):
        assert_says(loaded.run(command, target), FAILED, said)
    loaded.conf(allow=(ALLOWED, target))
    assert_load_refused(loaded, f"{CONF}:", said)
    assert target not in loaded.shell(f"cat {STATE}/host/grants", check=False).stdout


def test_name_of_253_bytes_and_label_of_63_are_taken(loaded):
    loaded.lab.dns.add(NAME253, "192.0.2.71")
    loaded.lab.dns.add("c" * 63 + ".example", "192.0.2.72")
    loaded.ok("allow", NAME253, "c" * 63 + ".example:1", "c" * 63 + ".example:65535")
    assert loaded.addresses(f"{NAME253}:443") == {"192.0.2.71"}
    loaded.load()
    assert loaded.addresses("c" * 63 + ".example:65535") == {"192.0.2.72"}


def test_missing_file_that_was_asked_for(loaded):
    assert_load_refused(loaded, "/nope.conf", "No such file", args=["-c", "/nope.conf"])


def test_folder_fifo_and_nul_in_place_of_the_file(loaded):
    assert_load_refused(loaded, "/etc", "regular", args=["-c", "/etc"])
    loaded.shell("mkfifo /run/fifo")
    assert_load_refused(loaded, "/run/fifo", "regular", args=["-c", "/run/fifo"])
    loaded.shell("rm /run/fifo; printf '[allow]\\ntarget = a\\0b.example\\n' > /etc/nul.conf")
    assert_load_refused(loaded, "/etc/nul.conf:2", "NUL", args=["-c", "/etc/nul.conf"])


@pytest.mark.parametrize("mode", ["666", "664", "622", "777"])
def test_configuration_that_others_can_write_is_refused(loaded, mode):
    loaded.shell(f"chmod {mode} {CONF}")
    assert_load_refused(loaded, CONF, "writable", "chmod go-w")


def test_configuration_of_another_user_is_refused(loaded):
    loaded.shell(f"chown 65534 {CONF}")
    assert_load_refused(loaded, CONF, "65534", "chown root")


# Amazon's, and what Debian and Ubuntu ship
DEFAULT_TIME = {"169.254.169.123:123", "ntp.ubuntu.com:123",
                *(f"{n}.{pool}.pool.ntp.org:123" for n in range(4) for pool in ("debian", "ubuntu"))}


def test_no_file_at_all_is_all_defaults_and_the_cgroup_stays(loaded):
    # an explicit cgroup, for the default is the root
    loaded.shell(f"rm {CONF}")
    loaded.load("--cgroup", str(loaded.cgroup))
    loaded.assert_refuses(ALLOWED, topology.ZONE[ALLOWED][0])
    assert {t for t in loaded.targets() if t.endswith(":123")} == DEFAULT_TIME
    loaded.conf()
    loaded.load()


def test_bad_configuration_with_nothing_loaded_attaches_nothing(guard):
    guard.conf(extra="nonsense = 1")
    assert_load_refused(guard, CONF, "nonsense")
    assert not guard.attached()
    guard.conf()
    assert_says(guard.run("status"), NOT_LOADED)


def test_bad_configuration_with_fail_closed_refuses_everything(guard):
    """What the service asks for at boot. Who repairs it gets in by the default inbound rule, and by no other port."""
    guard.conf(extra="nonsense = 1")
    r = guard.run("load", "--fail-closed", "--cgroup", str(guard.cgroup))
    assert r.returncode == DEGRADED and "nonsense" in r.stderr and "locked down" in r.stderr
    with guard.nothing_leaves():
        assert guard.probe("udp", "203.0.113.66", 31337) == "EPERM"
        assert guard.at(ALLOWED, topology.ZONE[ALLOWED][0]) == REFUSED_AT_ONCE
        assert guard.probe("udp", topology.RESOLVER, 53) == "EPERM"
    assert {e["reason"] for e in guard.events()} == {"lockdown"}
    assert guard.json("stats")["since"] is None and "1970" not in guard.ok("stats").stdout
    assert_says(guard.run("allow", "192.0.2.50"), FAILED, "locked down", "ohguard load")
    assert guard.probe("tcp", "192.0.2.50", 443) == "EPERM"
    assert any("locked down" in p for p in guard.json("status", status=DEGRADED)["problems"])
    serve = ("import socket\ns = [socket.create_server(('', p)) for p in (22, 3000)]\nprint('up', flush=True)\n"
             "c, _ = s[0].accept(); c.send(b'hello'); c.recv(9)")
    knock = "import socket, sys; print(socket.create_connection(('10.0.1.10', int(sys.argv[1])), 2).recv(9))"
    with guard.lab.server.popen([sys.executable, "-c", serve], guarded=True, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout.readline() == b"up\n"
            assert "hello" in guard.lab.proxy.run([sys.executable, "-c", knock, 22]).stdout
            assert guard.lab.proxy.run([sys.executable, "-c", knock, 3000]).returncode
        finally:
            server.kill()
    guard.load(extra="")
    guard.assert_stands()


def test_bad_configuration_with_fail_closed_keeps_what_is_loaded(loaded):
    loaded.conf(extra="nonsense = 1")
    assert_load_refused(loaded, "nonsense", args=["--fail-closed", "--cgroup", str(loaded.cgroup)])


def test_edited_to_nonsense_does_not_stop_the_timer(loaded):
    loaded.conf(extra="nonsense = 1")
    loaded.ok("refresh")
    loaded.ok("allow", "github.com")
    assert loaded.curl("https://github.com") == 0


# -- many ----------------------------------------------------------------------------------------------------------

def test_10000_targets_are_taken(loaded):
    many = [f"198.51.{100 + i // 250}.{i % 250}" for i in range(10000)]
    loaded.load(allow=(ALLOWED, "198.51.100.20", *many))
    assert loaded.at("google.com", "198.51.100.20") == 0
    assert len(loaded.targets()) == 10000 + 3
    assert loaded.ok("allow", "github.com") and loaded.at("github.com", "198.51.100.30") == 0
    with loaded.nothing_leaves():
        assert loaded.at("google.com", "198.51.100.251") == REFUSED_AT_ONCE


def test_10000_names_that_do_not_exist_are_told_in_a_line(loaded):
    loaded.conf(allow=(ALLOWED, *(f"n{i}.lab.example" for i in range(10000))))
    assert_says(loaded.run("load"), DEGRADED, "20000 lookups fail")


def test_20000_targets_are_refused(loaded):
    loaded.conf(allow=(ALLOWED, *(f"10.1.{i // 250}.{i % 250}" for i in range(20000))))
    assert_load_refused(loaded, "16383")


def test_too_many_addresses_are_told_and_what_was_there_stays(loaded):
    loaded.lab.dns.script("many.lab.example", "many", count=1100, by_type={"AAAA": {"kind": "empty"}})
    loaded.load(guard=["max-addresses = 1024"], dns=["private = many.lab.example 198.18.0.0/15"])
    assert_says(loaded.run("allow", "many.lab.example"), FAILED, "oh_addresses is full", "max-addresses")
    assert "many.lab.example:443" not in loaded.targets()
    with loaded.nothing_leaves():
        assert loaded.at("many.lab.example", "198.18.0.5") == REFUSED_AT_ONCE, "nothing of it stays"
    loaded.ok("allow", "github.com")


@pytest.mark.parametrize("again", [False, True])
def test_load_of_too_many_addresses_is_degraded_and_the_others_work(guard, again):
    if again:
        guard.load(guard=["max-addresses = 1024"])
    guard.lab.dns.script("many.lab.example", "many", count=1100, by_type={"AAAA": {"kind": "empty"}})
    guard.conf(allow=(ALLOWED, "many.lab.example"), guard=["max-addresses = 1024"],
               dns=["private = many.lab.example 198.18.0.0/15"])
    assert_says(guard.run("load"), DEGRADED, "full", "max-addresses")
    assert guard.run("refresh").returncode in (DONE, DEGRADED)
    guard.assert_stands()       # DNS and a name whose addresses sort behind the many


def test_too_many_ranges_are_told(loaded):
    ranges = [f"10.{i // 256}.{i % 256}.0/24" for i in range(4200)]
    loaded.conf(allow=(ALLOWED, *ranges))
    assert_says(loaded.run("load"), DEGRADED, "oh_ranges is full")


# -- the state folder ------------------------------------------------------------------------------------------------

@pytest.fixture
def full_disk(loaded):
    """The state folder on a file system of its own, without a byte left; grants from before are there."""
    loaded.lab.dns.add("site.lab.example", "192.0.2.50")
    loaded.shell("cp -a /var/lib/ohguard /run/kept; mount -t tmpfs -o size=64k full /var/lib/ohguard;"
                 "cp -a /run/kept/. /var/lib/ohguard/; dd if=/dev/zero of=/var/lib/ohguard/fill bs=1k 2>/dev/null || :;"
                 "! echo x > /var/lib/ohguard/more")
    try:
        yield loaded
    finally:
        loaded.shell("umount /var/lib/ohguard; rm -r /run/kept")


def test_full_disk_allow_is_refused_and_not_in_force(full_disk):
    assert_says(full_disk.run("allow", "site.lab.example"), FAILED, STATE, "No space left", "kept")
    with full_disk.nothing_leaves():
        assert full_disk.at("site.lab.example", "192.0.2.50") == REFUSED_AT_ONCE
    assert full_disk.shell(f"ls {STATE}/host").stdout.split() == ["grants", "records"] or \
        full_disk.shell(f"ls {STATE}/host").stdout.split() == ["records"], "no temporary file is left"


def test_full_disk_load_and_refresh_go_on_and_tell(full_disk):
    r = full_disk.run("load")
    assert r.returncode in (FAILED, DEGRADED) and "No space left" in r.stderr and r.stderr.count("\n") == 1
    full_disk.assert_stands()


def test_full_disk_refresh_is_degraded_and_the_list_is_fresh(loaded):
    loaded.lab.dns.script("site.lab.example", a=["192.0.2.60"], ttl=1)
    loaded.load(allow=(ALLOWED, "site.lab.example"), dns=["min-ttl = 1s", "grace = 1s"])
    loaded.shell("mount -t tmpfs -o size=64k full /var/lib/ohguard; mkdir /var/lib/ohguard/host;"
                 "dd if=/dev/zero of=/var/lib/ohguard/fill bs=1k 2>/dev/null || :")
    try:
        loaded.lab.dns.script("site.lab.example", a=["192.0.2.61"], ttl=60)

        def refresh():
            r = loaded.run("refresh")
            return r if r.returncode else None
        assert_says(poll(refresh, "a refresh that has something to write"), DEGRADED, "No space left")
        assert loaded.at("site.lab.example", "192.0.2.61") == 0
    finally:
        loaded.shell("umount /var/lib/ohguard")
        loaded.lab.dns.reset()


CORRUPT = {"empty": "", "noise": "\x01\x02\x7f[[[\n===", "another's": "root:x:0:0::/root:/bin/sh",
           "half a line": "; Kept by ohguard\n[allow]\ntarget = a.exam", "bad target": "[allow]\ntarget = 10.0.0.1/8\n",
           "bad time": "[allow]\ngrant = soon a.example\n", "every address": "[allow]\ntarget = 0.0.0.0/0\n"}


@pytest.mark.parametrize("what", [w for w in CORRUPT if w not in ("empty", "half a line")])
def test_corrupt_grants_are_refused_by_each_command(loaded, what):
    loaded.ok("allow", "github.com")
    kept = loaded.shell(f"cat {STATE}/host/grants").stdout
    loaded.write(f"{STATE}/host/grants", CORRUPT[what], "600")
    for command in (["load"], ["allow", "192.0.2.1"], ["revoke", "github.com"], ["list"], ["stats"]):
        assert_says(loaded.run(*command), FAILED, f"{STATE}/host/grants", "move it away")
    r = loaded.run("refresh")
    assert r.returncode == FAILED and f"{STATE}/host/grants" in r.stderr
    assert any("grants" in p for p in loaded.json("status", status=DEGRADED)["problems"])
    assert loaded.curl("https://github.com") == 0, "what was in force stays"
    loaded.write(f"{STATE}/host/grants", kept, "600")
    loaded.ok("revoke", "github.com")


def test_grants_that_others_can_write_are_refused(loaded):
    loaded.ok("allow", "github.com")
    loaded.shell(f"chmod 666 {STATE}/host/grants")
    assert_says(loaded.run("load"), FAILED, "grants", "writable")
    loaded.shell(f"chmod 600 {STATE}/host/grants")


@pytest.mark.parametrize("text", [*(CORRUPT[w] for w in ("noise", "another's", "bad target")),
                                  "[resolved]\nrecord = api.openai.com 5 1 1 1 0 -\n",
                                  "[resolved]\naddress = 203.0.113.66 9999999999 1\n"])
def test_corrupt_records_are_set_aside_and_told(loaded, text):
    loaded.write(f"{STATE}/host/records", text, "600")
    r = loaded.run("refresh")
    assert r.returncode == DONE and "records" in r.stderr and len(r.stderr.splitlines()) == 1, r.stderr
    loaded.assert_stands()
    loaded.load()
    assert loaded.json("status")["healthy"]


def test_records_of_a_name_that_is_not_allowed_admit_nothing(loaded):
    kept = loaded.shell(f"cat {STATE}/host/records").stdout
    loaded.write(f"{STATE}/host/records", kept + "record = google.com 4 9999999999 9999999999 9999999999 0 -\n"
                 "address = 198.51.100.20 9999999999 1\n", "600")
    loaded.load()
    with loaded.nothing_leaves():
        assert loaded.at("google.com", "198.51.100.20") == REFUSED_AT_ONCE


def test_state_folder_that_cannot_be_made(loaded):
    loaded.write("/etc/file", "")
    loaded.conf(extra="[paths]\nstate = /etc/file/below")
    assert_load_refused(loaded, "/etc/file")


def test_pins_outside_of_a_bpffs(loaded):
    loaded.conf(extra="[paths]\npins = /tmp/pins")
    assert_load_refused(loaded, "/tmp/pins", "bpffs")
