# SPDX-License-Identifier: MIT
"""Suffixes below which anyone can have a name: refused, or taken when it is said and shown as such ever after."""
from guard import DONE, FAILED, assert_says

WIDE = "*.windows.net"      # not itself public: *.blob.core.windows.net is


def shown(guard, target):
    return next(t for t in guard.json("list")["targets"] if t["target"] == target)


def notes(guard):
    status = guard.json("status")
    assert status["healthy"]
    return [n for n in status["notes"] if WIDE in n]


def test_wide_suffix_is_taken_when_it_is_said_and_shown(guard):
    guard.load(allow=("*.lab.example",))
    assert_says(guard.run("allow", WIDE), FAILED, WIDE, "--wide")
    assert not notes(guard)
    guard.ok("allow", "--wide", WIDE)
    assert shown(guard, WIDE)["wide"] and not shown(guard, "*.lab.example")["wide"]
    assert [n for n in notes(guard) if "anyone can have a name below" in n]
    assert f"{WIDE}:443  (runtime, wide: anyone can have a name below" in guard.ok("list").stdout
    guard.ok("load")        # the state file keeps it
    assert shown(guard, WIDE)["wide"]
    guard.ok("revoke", WIDE)
    assert not notes(guard)


def test_wide_suffix_of_the_configuration(guard):
    guard.conf(allow=(WIDE,))
    assert_says(guard.run("load"), FAILED, WIDE, "wide")
    guard.load(allow=(f"{WIDE} wide",), dns=["name = *.on.aws wide"])
    assert shown(guard, WIDE)["wide"] and shown(guard, WIDE)["source"] == "config"
    assert notes(guard) and [n for n in guard.json("status")["notes"] if "*.on.aws may be asked for" in n]


def test_wide_is_for_suffixes(guard):
    guard.load()
    assert_says(guard.run("allow", "--wide", "api.openai.com"), FAILED, "api.openai.com", "suffixes")


def test_newer_list_of_the_system_counts(guard):
    """From the next `load` on: what is in force already goes on, and is told of."""
    guard.load(allow=("*.tenants.lab.example",))
    guard.shell("mkdir -p /usr/share/publicsuffix && mount -t tmpfs tmpfs /usr/share/publicsuffix")
    try:
        guard.write("/usr/share/publicsuffix/public_suffix_list.dat",
                    "// VERSION: 2999-01-01_00-00-00_UTC\ntenants.lab.example\n")
        assert guard.run("refresh").returncode == DONE
        assert shown(guard, "*.tenants.lab.example")["wide"]
        assert [n for n in guard.json("status")["notes"] if "*.tenants.lab.example" in n]
        assert_says(guard.run("load"), FAILED, "*.tenants.lab.example", "anyone can have a name")
        assert_says(guard.run("allow", "*.tenants.lab.example:8443"), FAILED, "anyone can have a name")
    finally:
        guard.shell("umount /usr/share/publicsuffix")
    guard.ok("load")
