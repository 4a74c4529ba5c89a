# SPDX-License-Identifier: MIT
"""The configuration in several files, and `ohguard config`."""
import subprocess

import pytest

from guard import ALLOWED, BINARY, CONF, DEGRADED, DONE, FAILED, assert_says

FOLDER = "/etc/ohguard/conf.d"
OTHER = "files.cdn.example"


def part(guard, name, text):
    guard.write(f"{FOLDER}/{name}", text)


@pytest.fixture
def parted(guard):
    """A guard whose lab starts and ends without the folder."""
    guard.shell(f"rm -rf {FOLDER}")
    yield guard
    guard.shell(f"rm -rf {FOLDER}")


def keys(guard, *args):
    return guard.json("config", *args)["keys"]


def one(found, key):
    return [(k["value"], k["file"], k["line"]) for k in found if k["key"] == key]


def test_files_of_the_folder_add_targets_and_the_last_word_counts(parted):
    guard = parted
    guard.conf(dns=("grace = 10s",))
    part(guard, "20-last.conf", "[dns]\ngrace = 30s\n")
    part(guard, "10-more.conf", f"; a comment\n[allow]\ntarget = {OTHER}\n[dns]\ngrace = 20s")   # no last newline
    part(guard, "README", "not a configuration\n")
    part(guard, ".hidden.conf", "nor this\n")
    guard.load()
    assert {f"{ALLOWED}:443", f"{OTHER}:443"} <= set(guard.targets())
    found = keys(guard)
    assert one(found, "grace") == [("30s", f"{FOLDER}/20-last.conf", 2)]
    assert one(found, "target") == [(ALLOWED, CONF, 9), (OTHER, f"{FOLDER}/10-more.conf", 3)]
    assert one(found, "max-ttl") == [("1h", None, None)]
    # what is in force stays so, and is shown so, when the files change
    assert guard.run("status").returncode == DONE
    guard.shell(f"rm {FOLDER}/20-last.conf")
    assert any("was edited" in p for p in guard.json("status", status=DEGRADED)["problems"])
    assert one(keys(guard), "grace") == [("30s", f"{FOLDER}/20-last.conf", 2)]
    assert one(keys(guard, "--edited"), "grace") == [("20s", f"{FOLDER}/10-more.conf", 5)]
    guard.ok("load")
    assert one(keys(guard), "grace") == [("20s", f"{FOLDER}/10-more.conf", 5)]


def test_printed_configuration_is_one(parted):
    guard = parted
    part(guard, "10-more.conf", f"[allow]\ntarget = {OTHER}\n[inbound]\naccept = 22 10.0.0.0/8\n")
    guard.load()
    text = guard.ok("config").stdout
    assert text.startswith("; in force\n") and f"target = {OTHER} ; {FOLDER}/10-more.conf:2\n" in text
    guard.write("/tmp/printed.conf", text)
    guard.ok("load", "-c", "/tmp/printed.conf")
    assert f"{OTHER}:443" in guard.targets()
    assert one(keys(guard), "target") == [(ALLOWED, "/tmp/printed.conf", text.split("\n").index(
        f"target = {ALLOWED} ; {CONF}:8") + 1), (OTHER, "/tmp/printed.conf", text.split("\n").index(
            f"target = {OTHER} ; {FOLDER}/10-more.conf:2") + 1)]


def test_named_file_stands_alone(parted):
    guard = parted
    part(guard, "10-more.conf", f"[allow]\ntarget = {OTHER}\n")
    guard.load("-c", CONF)
    assert f"{OTHER}:443" not in guard.targets()
    assert guard.run("status").returncode == DONE


def test_bad_part_is_refused_by_its_name_and_nothing_changes(parted):
    guard = parted
    guard.load()
    part(guard, "10-bad.conf", "[dns]\ngrace = 1s\ngrace = 2s\n")
    assert_says(guard.run("load"), FAILED, f"{FOLDER}/10-bad.conf:3", "[dns] grace: a second time in this file")
    part(guard, "10-bad.conf", "grace = 1s\n")    # the section of the file before is not its own
    assert_says(guard.run("load"), FAILED, f"{FOLDER}/10-bad.conf:1", "no such section")
    part(guard, "10-bad.conf", "")
    guard.shell(f"chmod 666 {FOLDER}/10-bad.conf")
    assert_says(guard.run("load"), FAILED, f"{FOLDER}/10-bad.conf", "writable by group or others")
    guard.shell(f"rm {FOLDER}/10-bad.conf; chmod 777 {FOLDER}")
    assert_says(guard.run("load"), FAILED, FOLDER, "others than root can put files there")
    guard.assert_stands()
    guard.shell(f"chmod 755 {FOLDER}")
    guard.ok("load")


def test_anyone_can_check_files_without_a_guard(tmp_path):
    tmp_path.chmod(0o777)
    good, bad, worse = (tmp_path / n for n in ("good.conf", "bad.conf", "worse.conf"))
    good.write_text("[allow]\ntarget = api.openai.com\n")
    bad.write_text("[allow]\ntarget = api.openai.com\ntarget = *.com\n")
    worse.write_text("[allowed]\n")
    good.chmod(0o666)   # of a checkout: whoever owns it
    for p in tmp_path.parents:
        if p.stat().st_uid == 0 and p != p.parent and str(p) != "/tmp":
            p.chmod(p.stat().st_mode | 0o055)

    def check(*files):
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY, "config",
                               "--check", *files], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    r = check(good)
    assert (r.returncode, r.stdout, r.stderr) == (DONE, f"{good}: ok\n", "")
    r = check(good, bad, worse, tmp_path / "missing.conf")
    assert r.returncode == FAILED and r.stdout == f"{good}: ok\n"
    said = r.stderr.splitlines()
    assert len(said) == 3
    assert f"{bad}:3" in said[0] and f"{worse}:1" in said[1] and "missing.conf" in said[2]
    for usage in (["--check"], [str(good)]):
        assert subprocess.run([BINARY, "config", *usage], capture_output=True).returncode == 2
