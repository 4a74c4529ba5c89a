# SPDX-License-Identifier: MIT
"""Numbers: what `stats --prometheus` prints, and the alert rules and the dashboard that use it."""
import json
import re
import subprocess
from pathlib import Path

import pytest

from guard import BINARY, DONE, FORBIDDEN, poll, serving

MONITORING = Path(__file__).parents[2] / "docs/monitoring"
NAME = re.compile(r"\bohguard_[a-z_]+")


def promtool(*args, text=None):
    r = subprocess.run(["promtool", *args], input=text, capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.fixture
def loaded(guard):
    guard.load()
    return guard


@pytest.fixture
def exposition(loaded):
    with serving(loaded):
        loaded.probe("udp", *FORBIDDEN)
        yield poll(lambda: (lambda t: t if 'program="python' in t else None)(
            loaded.ok("stats", "--prometheus").stdout), "the program that was refused")


def test_exposition_is_well_formed(exposition):
    promtool("check", "metrics", text=exposition)
    assert re.search(r'^ohguard_up\{instance="host"\} 1$', exposition, re.M)
    assert re.search(r'^ohguard_program_refusals\{instance="host",program="python.*"\} 1$', exposition, re.M)


def test_not_loaded_is_a_number_too(guard):
    r = guard.ok("stats", "--prometheus")
    promtool("check", "metrics", text=r.stdout)
    assert re.search(r'^ohguard_up\{instance="host"\} 0$', r.stdout, re.M)


def test_alert_rules_and_dashboard_use_what_there_is(exposition):
    promtool("check", "rules", str(MONITORING / "alerts.yml"))
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    queries = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
    there = set(re.findall(r"^(ohguard_[a-z_]+)", exposition, re.M))
    for text in (*queries, (MONITORING / "alerts.yml").read_text()):
        assert set(NAME.findall(text)) <= there
    assert len(queries) > 5 and all(NAME.search(q) for q in queries)
    # a label that no series has makes an empty graph, and no error
    for text in queries:
        labels = set(re.findall(r"(\w+)(?:=~?|!=|!~)\"", text)) | set(re.findall(r"by \((\w+)\)", text))
        has = [set(re.findall(r"(\w+)=\"", line)) for name in NAME.findall(text)
               for line in re.findall(rf"^{name}{{(.*)}} ", exposition, re.M)]
        assert has and all(labels <= h for h in has), text
    # the queries are rules too, with the dashboard's variables filled in
    filled = [re.sub(r"\$__rate_interval", "5m", q).replace("$instance", ".*") for q in queries]
    rules = {"groups": [{"name": "dashboard", "rules": [{"record": f"q{i}", "expr": q} for i, q in enumerate(filled)]}]}
    path = Path("/tmp") / f"ohguard-rules-{id(filled)}.json"
    path.write_text(json.dumps(rules))     # JSON is YAML
    try:
        promtool("check", "rules", str(path))
    finally:
        path.unlink()


def test_output_replaces_the_file(loaded):
    loaded.ok("stats", "--prometheus", "--output", "/run/ohguard.prom")
    assert "ohguard_up" in loaded.shell("cat /run/ohguard.prom").stdout
    loaded.ok("unload", "--yes")
    loaded.ok("stats", "--prometheus", "--output", "/run/ohguard.prom")
    assert 'ohguard_up{instance="host"} 0' in loaded.shell("cat /run/ohguard.prom; rm /run/ohguard.prom").stdout


def test_watch_prints_rates(loaded):
    with loaded.lab.server.popen([BINARY, "stats", "--watch"], text=True, stdout=subprocess.PIPE) as watch:
        try:
            said = ""
            while "protocol-not-allowed" not in said:
                loaded.probe("udp", *FORBIDDEN)
                said += watch.stdout.readline()
            assert re.search(r"protocol-not-allowed +[0-9.]+ packets/s", said)
            watch.terminate()
            assert watch.wait(10) == DONE
        finally:
            watch.kill()
