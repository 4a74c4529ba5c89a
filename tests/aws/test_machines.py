# SPDX-License-Identifier: MIT
"""The first boot of both machines, delivery, OpenHands' start, `verify` and a reboot, on real machines: see
machines.py. In the order of the file: each stage stands on the one before."""
import json
import os
import re
import sys
from hashlib import sha256

import pytest

from conftest import HERE, Stack
from machines import MACHINES, VISITORS, Power, Scene, nft_rules
from world import Image

if not os.environ.get("OHGUARD_KERNELS"):
    pytest.skip("a quarter of an hour: make check-vm, or OHGUARD_KERNELS=6.1", allow_module_level=True)
KEYS = ("sk-test-first-0123456789-abcdefghij", "sk-test-second-0123456789-abcdefghi")
DIRECT = "outside", "server not reachable directly"
STACK = {"operator": "203.0.113.6/31", "openhands": "1.24.0@" + Image().digest}


@pytest.fixture(scope="module")
def booted(tmp_path_factory, moto, aws_client):
    stack = Stack(tmp_path_factory.mktemp("machines"), moto, aws_client)
    stack.write(**STACK)
    stack.apply(check=0)
    with Scene(stack, stack.folder) as scene:
        scene.answers()
        for host in MACHINES:
            scene.on(host, "cloud-init status --wait >/dev/null")
        yield scene


@pytest.fixture(scope="module")
def opened(booted):
    booted.stack.run("deliver", "proxy", check=0, timeout=2400)
    return booted


@pytest.fixture(scope="module")
def password(opened):
    return re.fullmatch(r"user agent, password (\S{24})\n", opened.stack.run("password", check=0).stdout)[1]


@pytest.fixture(scope="module")
def delivered(opened):
    opened.said = opened.stack.run("deliver", "server-1", check=0, timeout=2400)
    opened.stack.run("set-key", stdin=KEYS[0] + "\n", check=0, timeout=900)
    return opened


@pytest.fixture(scope="module")
def rebooted(delivered):
    """The proxy as it is, and the server for its updates."""
    delivered.reboot("proxy")
    delivered.on("server-1", "echo kept >/var/lib/openhands-state/projects/kept; touch /run/reboot-required")
    with Power(delivered):
        delivered.said = delivered.stack.run("update", "server-1", timeout=2400)
    assert delivered.said.returncode == 0, delivered.said.stderr
    return delivered


@pytest.fixture(scope="module")
def bigger(rebooted):
    """AWS's part of another type and a larger disk: off, and on with more memory and the disk grown."""
    server = rebooted.instances["server-1"]
    server.megabytes = 1536
    os.truncate(server.work / "state", 512 << 20)
    rebooted.stack.write(**STACK, server_type="m5.large", state_disk=30)
    with Power(rebooted):
        rebooted.stack.run("apply", "--yes", check=0, timeout=2400)
    return rebooted


def verify(scene):
    done = scene.stack.run("verify", "--json", timeout=900)
    print(done.stdout, done.stderr)
    return done.returncode, {(c["host"], c["check"]): c["ok"] for c in json.loads(done.stdout)["checks"]}


def seen(scene, user):
    """None while the machines are too busy to answer."""
    done = scene.out(sys.executable, str(HERE / "visitor.py"), scene.public, user)
    return None if done.returncode else json.loads(done.stdout)


def works(scene, user, key):
    """OpenHands through the whole way: TLS, password, proxy, guard, rootless Docker."""
    told = scene.until(lambda: (s := seen(scene, user)) and s["password"][0] == 200 and s, 600)
    assert told["password"][2].splitlines() == [
        "path /a?b=c", "key " + sha256(key.encode()).hexdigest()[:16],
        "password not told", "model reached: 42", "/projects is its own", "/home/openhands/.openhands is its own",
        "container contained"]
    assert told["websocket"] == [101, "ping"] and told["websocket_no_password"][0] == 401
    assert told["no_password"][0] == told["wrong_password"][0] == 401
    assert told["redirect"] == [301, "https://proxy/x?y=1"]
    assert told["tls"] == {"TLSv1": None, "TLSv1_1": None, "TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}


def test_proxy_from_its_delivery(opened, password):
    opened.look("proxy", "machine-proxy", password=password)
    assert opened.stack.run("password").returncode == 1


def test_three_ports_are_open_whatever_the_group_lets_in(opened):
    opened.on("proxy", "systemd-run -q --unit other python3 -m http.server 8080")
    opened.until(lambda: opened.on("proxy", "curl -s -o /dev/null http://127.0.0.1:8080/").returncode == 0, 120)
    assert [opened.port("10.0.0.10", p, place="vpc") for p in (22, 80, 443, 8080)] == ["open"] * 3 + ["silent"]


def test_many_connections_of_the_operator_are_no_attack(opened):
    assert [opened.port(opened.public, 22) for _ in range(15)] == ["open"] * 15
    # sshd refuses some of whoever comes while it still has ten that have not told who they are (MaxStartups)
    opened.until(lambda: opened.on("proxy", "! pgrep -f 'sshd: (.accepted|unknown)'").returncode == 0, 300)


def test_verify_tells_what_is_not_guarded(opened):
    """Without guard and rules what must fail works on the server: the checks can tell. The proxy has its guard."""
    opened.rules("flush chain ip vpc forward\nadd rule ip vpc forward accept")
    try:
        status, checks = verify(opened)
    finally:
        opened.rules(nft_rules(opened.stack))
    assert status == 1
    assert {c for c, ok in checks.items() if not ok} >= {DIRECT, *(("server-1", name) for name in (
        "guard is loaded", "https to google.com", "https to github.com", "DNS for github.com", "http to example.com",
        "https to 1.1.1.1", "ping 8.8.8.8", "openhands.service runs", "conversation"))}
    assert {c for c, ok in checks.items() if c[0] == "proxy" and not ok} == set()


def test_server_waits_for_the_guard(booted):
    done = booted.on("server-1",
                     "systemctl is-enabled apt-daily.timer snapd.service; ls /usr/local/sbin; systemctl is-active "
                     "docker ohguard")
    assert done.stdout.split() == ["masked", "masked-runtime", "inactive", "inactive"]


def test_delivery_brings_guard_docker_and_openhands(delivered, password):
    works(delivered, "agent:" + password, KEYS[0])
    delivered.look("server-1", "machine-server", key=KEYS[0])


def test_verify_from_outside(delivered):
    status, checks = verify(delivered)
    assert [c for c, ok in checks.items() if not ok] == [] and status == 0
    assert checks["outside", "https asks for the password"] and checks[DIRECT]
    assert checks["server-1", "conversation"] and checks["proxy", "https to google.com"]
    assert delivered.port("10.0.1.11", 22) == delivered.port("10.0.1.11", 3000) == "silent"


def test_guard_shuts_the_server_where_the_rules_do_not(delivered):
    delivered.rules("flush chain ip vpc forward\nadd rule ip vpc forward accept")
    try:
        found = [delivered.port("10.0.1.11", port) for port in (22, 3000)]
    finally:
        delivered.rules(nft_rules(delivered.stack))
    assert found == ["silent", "silent"]


def test_key_is_rotated_without_a_reboot(delivered, password):
    before = delivered.on("server-1", "cat /proc/sys/kernel/random/boot_id").stdout
    delivered.stack.run("set-key", stdin=KEYS[1] + "\n", check=0)
    works(delivered, "agent:" + password, KEYS[1])
    delivered.look("server-1", "machine-server", key=KEYS[1])
    assert delivered.on("server-1", "cat /proc/sys/kernel/random/boot_id").stdout == before
    assert delivered.on("server-1", f"grep -rlsF {KEYS[0]} /etc /var/lib/ohguard /run/credentials").stdout == ""


def test_second_delivery_installs_nothing(delivered):
    delivered.stack.run("deliver", check=0)
    log = delivered.on("server-1", "journalctl -q --no-pager -b -u openhands | grep -c Started").stdout
    assert log.strip().isdigit()
    versions = json.loads(delivered.stack.run("versions", "--json", check=0).stdout)["servers"]
    assert [len(s["program"]) for s in versions] == [12]


def test_fail2ban_shuts_out_who_guesses(delivered):
    guesser, operator = VISITORS
    url = f"https://{delivered.public}/"

    def answer(source, *more):
        return delivered.out("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", "--interface",
                             source, *more, url).stdout
    assert answer(guesser) == "401"
    for _ in range(12):
        answer(guesser, "--user", "agent:guess")
    delivered.until(lambda: answer(guesser) == "000", 120)
    assert answer(operator) == "401"


def test_after_updates_and_a_reboot_the_guard_comes_first(rebooted, password):
    assert "server-1: starts again" in rebooted.said.stderr and "server-1: up to date" in rebooted.said.stderr
    works(rebooted, "agent:" + password, KEYS[1])
    rebooted.look("server-1", "machine-server", key=KEYS[1])
    order = rebooted.on("server-1", "journalctl -q --no-pager -b -o json "
                                    "--output-fields=_SYSTEMD_UNIT,UNIT,MESSAGE").stdout
    said = [json.loads(line) for line in order.splitlines()]
    done = [m.get("UNIT") for m in said if str(m.get("MESSAGE")).startswith(("Finished", "Started"))]
    assert done.index("ohguard.service") < done.index("systemd-networkd.service") < done.index("openhands.service")


def test_bigger_type_has_what_the_agent_made(bigger, password):
    works(bigger, "agent:" + password, KEYS[1])
    told = bigger.on("server-1", "cat /var/lib/openhands-state/projects/kept; free -m | awk '/^Mem/ { print $2 }'; "
                                 "df -m --output=size /var/lib/openhands-state | tail -n 1")
    kept, memory, disk = told.stdout.split()
    assert kept == "kept" and int(memory) > 1200 and int(disk) > 400


def test_verify_at_the_end(bigger):
    status, checks = verify(bigger)
    assert [c for c, ok in checks.items() if not ok] == [] and status == 0
