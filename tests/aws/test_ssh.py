"""Delivery, key and checks over real ssh through a real proxy: see ssh_scene.py."""
import json
import os
import subprocess
import sys

import pytest

from conftest import HERE, PROGRAM, Stack

SECRET = "sk-test-0123456789-abcdefghijklmnop"


@pytest.fixture(scope="module")
def applied(tmp_path_factory, moto, aws_client):
    """One stack for all: each test has its own machines, host keys and known hosts."""
    if os.geteuid():
        pytest.skip("needs root for namespaces")
    if not os.path.exists("/usr/sbin/sshd"):
        pytest.skip("openssh-server is not installed")
    stack = Stack(tmp_path_factory.mktemp("ssh"), moto, aws_client)
    stack.apply(check=0)
    return stack


def scene(stack, folder, steps, wrong_key=False):
    """Gives the stack's machines host keys, as AWS's console would tell them, and runs the steps."""
    public = stack.one("describe-addresses", "Addresses", "proxy-ip")["PublicIp"]
    consoles = {}
    for name in ("proxy", "server-1", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / f"{name}.hostkey")], check=True)
    for name in ("proxy", "server-1"):
        node = [i for i in stack.mine("describe-instances", "Reservations[].Instances[]")
                if {"Key": "ohguard:resource", "Value": name} in i["Tags"]][0]["InstanceId"]
        told = "other" if wrong_key and name == "server-1" else name
        consoles[node] = (folder / f"{told}.hostkey.pub").read_text()
    for node, key in consoles.items():
        console = ("[   20.1] boot\nci-info: no\n-----BEGIN SSH HOST KEY KEYS-----\n" + key +
                   "-----END SSH HOST KEY KEYS-----\n[   21.0] done\n")
        (folder / f"console-{node}").write_text(json.dumps({"InstanceId": node, "Output": console}))
    stack.wrap(f'if [ "$2" = get-console-output ]; then cat "{folder}/console-$5"; exit 0; fi')
    home = stack.state / "aws" / stack.name
    (home / "known_hosts").unlink(missing_ok=True)
    (folder / "key.pem").symlink_to(home / "key.pem")
    done = subprocess.run(["unshare", "--net", "--mount", "--propagation", "private", sys.executable,
                           str(HERE / "ssh_scene.py"), str(folder), public, json.dumps(steps)],
                          capture_output=True, text=True, timeout=400,
                          env={**stack.env, "OHGUARD": str(PROGRAM), "OHGUARD_CONF": str(stack.config)})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_deliver_set_key_and_verify_through_the_proxy(applied, tmp_path):
    log = tmp_path / "server.log"
    deliver, versions, key, look, verify, direct = scene(applied, tmp_path, [
        [["deliver"], None], [["versions", "--json"], None], [["set-key"], SECRET + "\n"],
        [["sh", "-c", "stat -c %a /etc/credstore /etc/credstore/*; cat /etc/credstore/*; "
                      "cat /etc/ohguard/ohguard.conf; stat -c %a /usr/local/sbin/ohguard"], None],
        [["verify", "--json"], None],
        [["set-key", "server-9"], SECRET + "\n"]])
    assert deliver[0] == 0, deliver
    done = log.read_text().splitlines()
    assert done.index("ohguard load") < min(i for i, line in enumerate(done) if line.startswith("apt-get"))
    pulled = [i for i, line in enumerate(done) if line.startswith("docker pull")]
    strict = [i for i, line in enumerate(done) if line.startswith("ohguard load --dry-run")]
    assert len(pulled) == 2 and pulled[-1] < strict[0]
    assert not any("groups docker" in line or "groups sudo" in line for line in done if line.startswith("usermod"))
    server = json.loads(versions[1])["servers"][0]
    assert server["server"] == "server-1" and len(server["program"]) == len(server["policy"]) == 12
    assert key[0] == 0, key
    assert look[1].startswith("700\n600\n" + SECRET) and "target = api.openai.com" in look[1]
    checks = {c["check"]: c["ok"] for c in json.loads(verify[1])["checks"]}
    assert verify[0] == 1 and checks["https to github.com"] is True
    assert checks["https to api.openai.com"] is False and checks["server not reachable directly"] is False
    assert direct[0] == 1 and "no such server" in direct[2]
    # The key is nowhere but there.
    for path in [*tmp_path.rglob("*"), *applied.folder.rglob("*")]:
        if path.is_file() and "credstore" not in str(path):
            assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in json.dumps([deliver, versions, key, verify, direct])


def test_guard_that_does_not_load_stops_the_setup(applied, tmp_path):
    (tmp_path / "guard-fails").touch()
    (deliver,) = scene(applied, tmp_path, [[["deliver"], None]])
    assert deliver[0] == 1 and "server-setup failed" in deliver[2]
    done = (tmp_path / "server.log").read_text()
    assert "ohguard load" in done and "apt-get" not in done and "docker" not in done


def test_host_key_that_aws_does_not_know_is_refused(applied, tmp_path):
    (key,) = scene(applied, tmp_path, [[["set-key"], SECRET + "\n"]], wrong_key=True)
    assert key[0] == 1 and "verification failed" in key[2]


@pytest.mark.parametrize("text, expected", [("", "nothing"), ("two words\n", "visible"), ("x" * 3000, "visible")])
def test_set_key_refuses_what_is_no_key(stack, text, expected):
    done = stack.run("set-key", stdin=text, check=1)
    assert expected in done.stderr
