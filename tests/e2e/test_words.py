# SPDX-License-Identifier: MIT
"""What the commands say: on success, where nothing changes, and where something else was meant."""
import json
import os
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from guard import (ALLOWED, BINARY, DEGRADED, DONE, FAILED, NOT_LOADED, PINS, STATE, USAGE, assert_says, config,
                   poll)
from lab import topology


@pytest.fixture
def loaded(guard):
    guard.load()
    return guard


# -- what was meant ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("argv, meant", [
    (["laod"], "ohguard load"), (["lits"], "ohguard list"), (["help", "revok"], "ohguard revoke"),
    (["load", "--dryrun"], "--dry-run"), (["allow", "--form=2h", "x.example"], "--for"), (["list", "--jsn"], "--json"),
    (["aws", "aply"], "ohguard aws apply"), (["aws", "plan", "--offlin"], "--offline")])
def test_misspelt_word_is_told_with_what_was_meant(guard, argv, meant):
    assert_says(guard.run(*argv), USAGE, f"did you mean {meant}?")


@pytest.mark.parametrize("argv", [["zzzzz"], ["load", "--zzzzzz"]])
def test_what_resembles_nothing_is_not_guessed_at(guard, argv):
    assert "did you mean" not in assert_says(guard.run(*argv), USAGE, argv[-1], "--help")


@pytest.mark.parametrize("extra, words", [
    ("[dns]\nresolvr = 10.0.0.2", ("[dns] resolvr", "did you mean resolver?")),
    ("[alow]\n", ("[alow]", "did you mean [allow]?")),
    ("[allow]\nserver = x", ("[allow] server", "belongs into [ntp]")),
    ("[imds]\nzzzzzz = x", ("[imds] zzzzzz", "no such key: expected access")),
    ("[zzzzzz]\n", ("[zzzzzz]", "no such section: expected guard, dns, ", " or paths"))])
def test_misspelt_key_is_told_with_what_was_meant(guard, extra, words):
    guard.conf(extra=extra)
    assert_says(guard.run("load"), FAILED, *words)


def test_hostile_word_is_escaped(guard):
    assert "\x1b" not in assert_says(guard.run("lo\x1b[2Jad"), USAGE, "\\x1b")
    assert "\x1b" not in assert_says(guard.run("load", "--\x1b[2J"), USAGE, "\\x1b")


# -- help and version --------------------------------------------------------------------------------------------

HELP = Path(__file__).parent / "help"      # made by `make help-texts`


def listed(text):
    """Commands and what they do."""
    return re.findall(r"^  ([a-z-]+) +(.+)$", text, re.M)


def test_help_of_every_command_is_as_kept(guard):
    """A change shows as such."""
    aws = guard.ok("aws", "--help").stdout
    assert aws == (HELP / "aws").read_text() == guard.ok("help", "aws").stdout and max(map(len, aws.splitlines())) < 80
    commands = [((name,), what) for name, what in listed(guard.ok("--help").stdout) if name != "aws"]
    commands += [(("aws", name), what) for name, what in listed(aws)]
    assert {"-".join(words) for words, _ in commands} | {"aws"} == {f.name for f in HELP.iterdir()}
    for words, what in commands:
        text = guard.ok(*words, "--help").stdout
        assert text == (HELP / "-".join(words)).read_text() == guard.ok("help", *words).stdout, "make help-texts"
        lines = text.splitlines()
        assert lines[2] == what[0].upper() + what[1:] + "."
        assert lines[-1].startswith(f"Example: ohguard {' '.join(words)}") and max(map(len, lines)) < 80


def test_version_in_all_its_spellings(guard):
    said = {guard.ok(word).stdout for word in ("--version", "-V", "version")}
    assert len(said) == 1 and re.match(r"ohguard \d", said.pop())


# -- who runs it, and on what ------------------------------------------------------------------------------------

def test_not_root_is_told_the_command_to_type(loaded):
    r = loaded.lab.server.run(["setpriv", "--reuid=65534", "--clear-groups", BINARY, "status"])
    assert_says(r, FAILED, "run it as root: sudo ohguard status")


def test_other_instance_that_is_loaded_is_named(loaded):
    other = loaded.sub_cgroup("other")
    loaded.write("/etc/ohguard/b.conf", config(other))
    loaded.ok("unload", "--yes")
    loaded.ok("load", "--name", "b", "-c", "/etc/ohguard/b.conf")
    assert_says(loaded.run("status"), NOT_LOADED, "host is not loaded", "--name b")
    r = loaded.ok("unload", "--yes")
    assert "nothing to unload" in r.stdout and "--name b" in r.stdout
    loaded.ok("unload", "--yes", "--name", "b")
    assert loaded.ok("unload", "--yes").stdout == f"host: nothing to unload: not loaded (no {PINS}/host)\n"


# -- what came of it ---------------------------------------------------------------------------------------------

def test_allow_and_revoke_say_what_they_did_in_a_line(loaded):
    assert loaded.ok("allow", "github.com").stdout == "github.com:443 allowed for good: 198.51.100.30 and 1 more\n"
    assert loaded.ok("allow", "github.com").stdout == (
        "github.com:443 already allowed for good: 198.51.100.30 and 1 more\n")
    assert loaded.ok("allow", ALLOWED).stdout.startswith(
        f"{ALLOWED}:443 allowed by the configuration already, for good")
    assert loaded.ok("allow", "--sni", "off", "github.com:22").stdout.startswith(
        "github.com:22 sni=off allowed for good")
    assert loaded.ok("revoke", "github.com").stdout == "github.com:443 revoked\ngithub.com:22 stays allowed\n"
    assert loaded.ok("revoke", "github.com").stdout == "github.com:443 was not allowed\ngithub.com:22 stays allowed\n"
    assert loaded.ok("allow", "198.51.100.0/24").stdout == "198.51.100.0/24:443 allowed for good\n"
    assert loaded.ok("allow", "198.51.100.7").stdout == "198.51.100.7:443 allowed for good\n"
    assert loaded.ok("revoke", "198.51.100.7").stdout == (
        "198.51.100.7:443 revoked\n198.51.100.0/24:443 stays allowed\n")


def test_every_change_tells_in_json_whether_it_was_one(loaded):
    r = loaded.json("allow", "--for", "1h", "github.com")
    t, = r["targets"]
    assert r["changed"] and t["changed"] and (t["target"], t["port"]) == ("github.com", 443) and t["lapses"]
    assert set(t["addresses"]) == set(topology.ZONE["github.com"])
    assert loaded.json("allow", ALLOWED)["changed"] is False
    assert loaded.json("revoke", "github.com") == {
        "instance": "host", "targets": [{"target": "github.com", "port": 443, "changed": True}], "stays": [],
        "changed": True}
    assert loaded.json("revoke", "github.com")["changed"] is False
    assert loaded.json("refresh")["changed"] is False and loaded.json("refresh", "--now")["changed"] is True
    assert loaded.json("unlock")["changed"] is False and loaded.json("confirm")["changed"] is False
    assert loaded.json("unload", "--yes")["changed"] is True
    assert loaded.json("load")["changed"] is True


def test_one_of_a_kind_has_no_plural(guard):
    guard.lab.dns.add("one.lab.example", "203.0.113.77")
    said = [guard.load("--no-resolve", allow=("one.lab.example",), dns=("search = none",)).stdout]
    assert guard.curl("https://one.lab.example") == 0
    guard.probe("tcp", "203.0.113.77", 444)
    said += [guard.ok(*argv).stdout for argv in (("refresh",), ("list",), ("stats",), ("explain", "one.lab.example"))]
    guard.lab.dns.script("one.lab.example", "timeout")
    guard.ok("allow", "--for", "1h", "198.51.100.7")
    said += [guard.run("status").stdout, guard.run("revoke", "198.51.100.7").stdout]
    assert "1 hit " in said[2] and "refused 1 time," in said[4] and "1 name, 1 address," in said[3], said
    plural = re.compile(r"(?<![\d.:])1 (?!is\b|was\b|address\b)[a-z]+s\b")
    assert not [m.group() for text in said for m in plural.finditer(text)]


def test_list_shows_options_and_folds_what_is_default(guard):
    text = config(guard.cgroup, allow=(ALLOWED, "github.com:22 sni=off")).replace(
        f"server = {topology.TIME[0]}", "")
    guard.write("/etc/ohguard/ohguard.conf", text)
    guard.ok("load")
    lines = guard.ok("list").stdout.splitlines()
    assert [li for li in lines if li.startswith("github.com:22 sni=off  (config)")]
    assert [li for li in lines if "/ntp" in li] == [
        "0.debian.pool.ntp.org:123/ntp and 9 more time servers  (default)"]
    assert {t["target"]: t["sni"] for t in guard.json("list")["targets"]} | {ALLOWED: True, "github.com": False}


# -- pipes and clocks --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", ["status", "list", "allow github.com", "load", "refresh --now"])
def test_closed_pipe_ends_quietly(loaded, command):
    """Whoever reads has gone already."""
    r = loaded.lab.server.run(["bash", "-c", f"trap '' PIPE; sleep 0.1 | true; exec 3>&1; "
                                             f"{{ {BINARY} {command}; echo \"exit $?\" >&3; }} | true"])
    assert not r.stderr and re.search(r"exit (0|141)$", r.stdout.strip()), (r.stdout, r.stderr)
    loaded.assert_stands()


def test_change_that_cannot_be_told_is_not_said_to_have_failed(loaded):
    r = loaded.lab.server.run(["sh", "-c", f"{BINARY} allow github.com >/dev/full"])
    assert_says(r, DEGRADED, "standard output", "done")
    assert loaded.curl("https://github.com") == 0


def test_clock_that_jumped_shows_nothing_absurd(loaded):
    """Records from the future, as after the clock was set back by ten years."""
    loaded.ok("allow", "--for", "1h", "github.com")
    loaded.shell(r"""sed -i -E 's/^(record = \S+ \S+ )[0-9]+ [0-9]+ [0-9]+/\1 2110000000 2110000000 2110000000/' \
                 /var/lib/ohguard/host/records""")
    text = loaded.ok("list").stdout
    assert "resolved 0s ago" in text and not re.search(r"\d{6,}[smhd]", text)
    assert loaded.run("status").returncode in (DONE, DEGRADED)


# -- an outage ---------------------------------------------------------------------------------------------------

def test_outage_is_one_line_and_health_is_back_with_dns(guard):
    guard.load(allow=(ALLOWED, "github.com"))
    guard.lab.dns.script("*", "timeout")
    line = f"resolver {topology.RESOLVER} does not answer: all 4 lookups fail"
    assert_says(guard.run("refresh", "--now"), DEGRADED, line)
    assert guard.json("status", status=DEGRADED)["problems"] == [line]
    assert guard.at(ALLOWED, topology.ZONE[ALLOWED][0]) == 0
    guard.lab.dns.reset()
    # after a long outage nothing is due for minutes: one name is asked all the same, and then all that failed
    now = int(time.time())
    guard.shell(rf"sed -i -E 's/^(record = \S+ \S+ \S+) \S+ \S+ /\1 {now - 60} {now + 3600} /' {STATE}/host/records")
    assert guard.json("refresh") == {"instance": "host", "asked": 2, "failed": 0, "changed": True}
    assert guard.json("status")["healthy"]


def test_refresh_now_asks_again_what_is_not_due(loaded):
    assert loaded.json("refresh")["asked"] == 0
    assert loaded.json("refresh", "--now") == {"instance": "host", "asked": 2, "failed": 0, "changed": True}
    assert_says(loaded.run("refresh", "--now", "--watch"), USAGE, "--now")
    assert subprocess.run([BINARY, "refresh", "--help"], capture_output=True, text=True).returncode == 0


# -- on a terminal -----------------------------------------------------------------------------------------------

def on_a_terminal(guard, *argv):
    """What stands on the screen of a terminal of 80 columns, lines joined where they were wrapped."""
    name, tmux = f"ohguard-{os.getpid()}", lambda *a: guard.lab.server.run(["tmux", "-L", name, *a])
    line = " ".join(shlex.quote(str(a)) for a in (BINARY, *argv))
    tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "100", f"{line}; echo 'exit '$?; exec sleep 60")
    try:
        poll(lambda: "\nexit " in tmux("capture-pane", "-p").stdout, "the end of the command")
        return tmux("capture-pane", "-pJ").stdout.split("\nexit ")[0].splitlines()
    finally:
        tmux("kill-server")


@pytest.mark.parametrize("argv", [
    ("help", "allow"), ("load", "--dry-run"), ("list",), ("explain", "github.com"), ("revoke", "nope.example"),
    ("confirm",), ("laod",), ("status",), ("stats",), ("config",), ("verify",), ("suggest",), ("asks",), ("unlock",),
    ("refresh", "--now"), ("report", "/run/report.html"), ("help", "aws")])
def test_terminal_shows_what_a_pipe_gets(loaded, argv):
    loaded.ok("allow", "--sni", "off", "github.com:22")
    r = loaded.run(*argv)
    dots = lambda lines: [re.sub(r" *\d+ ?m?[smh]\b", "N", li.rstrip()) for li in lines]      # noqa: E731: times go on
    assert dots(on_a_terminal(loaded, *argv)) == dots((r.stdout + r.stderr).splitlines())


def test_hostile_program_is_escaped_where_it_is_explained(loaded):
    loaded.python("import socket\nopen('/proc/self/comm', 'wb').write(b'\\x1b]0;\\x07\\xff')\n"
                  "try: socket.create_connection(('203.0.113.66', 80), 2)\nexcept PermissionError: pass")
    for argv in (("explain",), ("explain", "203.0.113.66:80")):
        text = loaded.lab.server.run([BINARY, *argv], text=False).stdout
        assert b"\\x1b" in text and not set(text) & {0x1b, 0x07, 0xff}
        for line in loaded.lab.server.run([BINARY, *argv, "--json"], text=False).stdout.splitlines():
            assert json.loads(line) and not set(line) & {0x1b, 0x07, 0xff}
