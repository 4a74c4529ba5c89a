# SPDX-License-Identifier: MIT
"""explain: by what something is allowed, who was refused it, and what to type, which then works."""
import json
import shlex

import pytest

from guard import ALLOWED, CONF, FAILED, NOT_LOADED, REFUSED_AT_ONCE, USAGE, assert_says, poll
from lab import topology

GITHUB = topology.ZONE["github.com"]


@pytest.fixture
def loaded(guard):
    guard.load()
    return guard


def explain(guard, target):
    """What it says in JSON; the text says the same."""
    told, text = guard.json("explain", target), guard.ok("why", target).stdout
    assert text.splitlines()[0].startswith(f"{target if ':' in target else target + ':443'}: "
                                           f"{'allowed' if told['allowed'] else 'not allowed'}")
    for part in (told["by"], told["where"], told["advice"]):
        assert not part or part in text
    return told


def type_it(guard, line):
    """What the advice says to type."""
    name, *argv = shlex.split(line)
    assert name == "ohguard"
    guard.ok(*argv)


def test_target_of_the_configuration_is_told_with_its_line(loaded):
    told = explain(loaded, ALLOWED)
    number = loaded.shell(f"grep -n 'target = {ALLOWED}' {CONF}").stdout.split(":")[0]
    assert (told["allowed"], told["by"], told["source"], told["where"]) == (
        True, f"{ALLOWED}:443", "config", f"{CONF}:{number}")
    assert {d["address"] for d in told["dns"] if d["admitted"]} == set(topology.ZONE[ALLOWED])
    assert told["advice"] is None and told["refusals"] == []
    address = topology.ZONE[ALLOWED][0]
    assert explain(loaded, address)["by"] == f"{ALLOWED}:443"
    assert explain(loaded, f"{address}:8443")["reason"] == "port-not-allowed"


def test_name_that_is_not_allowed_is_allowed_by_what_it_says_to_type(loaded):
    assert loaded.curl("https://github.com") != 0
    told = explain(loaded, "github.com")
    assert (told["allowed"], told["by"], told["reason"]) == (False, None, "dns-name-not-allowed")
    assert {d["address"] for d in told["dns"]} == set(GITHUB) and all(d["admitted"] for d in told["dns"])
    assert told["refusals"][0]["command"] == "curl" and told["refusals"][0]["reason"] == "dns-name-not-allowed"
    assert told["advice"] == "ohguard allow github.com"
    type_it(loaded, told["advice"])
    assert loaded.curl("https://github.com") == 0
    told = explain(loaded, "github.com")
    assert (told["allowed"], told["source"], told["where"], told["advice"]) == (True, "runtime", None, None)


def test_port_80_and_plain_are_in_what_it_says_to_type(loaded):
    told = explain(loaded, "example.com:80")
    assert told["advice"] == "ohguard allow example.com:80 --sni off"
    type_it(loaded, told["advice"])
    assert loaded.curl("http://example.com") == 0
    assert explain(loaded, "example.com:80")["allowed"] and not explain(loaded, "example.com")["allowed"]


def test_address_is_explained_by_what_the_kernel_holds(loaded):
    assert loaded.at("github.com", GITHUB[0]) == REFUSED_AT_ONCE
    told = explain(loaded, GITHUB[0])
    assert (told["allowed"], told["reason"]) == (False, "address-not-allowed") and told["refusals"]
    type_it(loaded, told["advice"])
    assert explain(loaded, GITHUB[0])["allowed"] and loaded.at("github.com", GITHUB[0]) == 0
    assert explain(loaded, topology.METADATA[0])["advice"] == "[imds] access = allow"
    told = explain(loaded, topology.CREDENTIALS[0])
    assert (told["reason"], told["advice"]) == ("metadata-service", None)


def test_grant_that_lapsed_is_told(loaded):
    loaded.ok("allow", "--for", "2s", "github.com")
    assert explain(loaded, "github.com")["source"] == "grant"
    poll(lambda: not loaded.json("explain", "github.com")["allowed"], "the end of the grant")
    told = poll(lambda: (t := explain(loaded, "github.com"))["lapsed"] and t, "its end by the calendar")
    assert not told["allowed"] and "a grant lapsed" in loaded.ok("explain", "github.com").stdout


def test_other_ports_refusals_are_told_with_lines_of_their_own(loaded):
    """What is asked about and what was refused may be two things: no line to type stands for the other one."""
    loaded.curl(f"http://{ALLOWED}")
    loaded.probe("tcp", topology.ZONE[ALLOWED][0], 444)
    told = explain(loaded, ALLOWED)
    assert told["allowed"] and told["advice"] is None
    lines = {r["destination_port"]: r["advice"] for r in told["refusals"]}
    assert lines == {80: f"ohguard allow {ALLOWED}:80 --sni off", 444: f"ohguard allow {ALLOWED}:444"}
    assert loaded.ok("explain", ALLOWED).stdout.count("to allow that: ohguard allow") == 2
    for port, line in lines.items():
        told, text = explain(loaded, f"{ALLOWED}:{port}"), loaded.ok("explain", f"{ALLOWED}:{port}").stdout
        assert told["advice"] == line and {r["destination_port"] for r in told["refusals"]} == {port}
        assert text.count(line) == 1 and "to allow it" in text
    type_it(loaded, lines[80])
    loaded.curl(f"http://{ALLOWED}")
    assert {r["destination_port"]: r["advice"] for r in explain(loaded, ALLOWED)["refusals"]} == {
        80: None, 444: lines[444]}, "it is allowed by now"


def test_addresses_of_one_target_are_one_refusal(loaded):
    for address in topology.ZONE[ALLOWED]:
        loaded.probe("tcp", address, 444)
    (refusal,) = explain(loaded, ALLOWED)["refusals"]
    assert refusal["count"] == len(topology.ZONE[ALLOWED])
    (line,) = loaded.ok("events", "--summary").stdout.splitlines()
    assert f"({ALLOWED}:443)" in line and line.endswith(f": ohguard allow {ALLOWED}:444")


def test_refused_name_is_no_refusal_of_its_resolver(loaded):
    loaded.curl("https://github.com")
    assert explain(loaded, "10.0.0.0/24")["refusals"] == []


def test_what_verify_tried_is_not_to_be_allowed(loaded):
    loaded.ok("verify")
    told = [json.loads(line) for line in loaded.ok("explain", "--json").stdout.splitlines()]
    assert {r["command"] for r in told if r["name"]} == {"ohguard verify"}
    assert not any(r["advice"] for r in told if r["command"])


def test_private_answer_is_told_with_the_line_that_would_admit_it(guard):
    guard.lab.dns.script("inside.lab.example", a=["10.9.9.9"])
    guard.load(status=4, allow=(ALLOWED, "inside.lab.example"))
    told = explain(guard, "inside.lab.example")
    assert told["dns"] == [{"address": "10.9.9.9", "admitted": False, "why": "private"}]
    assert told["advice"] == "[dns] private = inside.lab.example 10.9.9.9"
    guard.lab.dns.script("inside.lab.example", a=["169.254.169.254"])
    told = explain(guard, "inside.lab.example")
    assert told["dns"][0]["why"] == "metadata" or not told["dns"][0]["admitted"]
    assert told["advice"] is None, "no line admits that one"


def test_what_is_observed_decides_nothing_here(loaded):
    """Explaining asks the tables: it counts nothing, and makes no event."""
    before = loaded.json("stats")["reasons"], len(loaded.events())
    explain(loaded, "github.com")
    explain(loaded, GITHUB[0])
    assert (loaded.json("stats")["reasons"], len(loaded.events())) == before


def test_without_an_argument_it_ranks_what_was_refused(loaded):
    for _ in range(3):
        loaded.curl("https://github.com")
    loaded.at("google.com", topology.ZONE["google.com"][0])
    first, *rest = (json.loads(line) for line in loaded.ok("explain", "--json").stdout.splitlines())
    assert first["name"] == "github.com" and first["advice"] == "ohguard allow github.com" and first["count"] >= 3
    assert any(r["reason"] == "address-not-allowed" for r in rest)
    assert "ohguard allow github.com" in loaded.ok("explain").stdout
    loaded.ok("allow", "github.com")
    said = loaded.ok("explain").stdout
    assert "ohguard allow github.com" not in said and "(allowed by now)" in said


def test_container_is_explained_by_what_it_was_refused(loaded):
    ident = "0123456789abcdef" * 4
    cgroup = loaded.sub_cgroup(f"docker-{ident}.scope")
    loaded.in_cgroup(cgroup, ["curl", "-sS", "https://google.com"])
    loaded.curl("https://github.com")
    said = loaded.ok("explain", ident[:12]).stdout
    assert "google.com" in said and "github.com" not in said


def test_wrong_use(loaded):
    assert_says(loaded.run("explain", "a.example", "b.example"), USAGE, "one at a time")
    assert_says(loaded.run("explain", "a.exa\x1bmple"), FAILED, "\\x1b")
    loaded.ok("unload", "--yes")
    assert_says(loaded.run("explain", ALLOWED), NOT_LOADED)
