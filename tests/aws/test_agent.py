# SPDX-License-Identifier: MIT
"""The agent answers: OpenHands' own server, started by the delivered scripts under the guard, behind the proxy's nginx,
and a model's API with TLS. In the order of the file: each stage stands on the one before.

Not real: systemd and Docker (container.py), which test_machines.py has."""
import hashlib
import json
import os
import select
import socket
import subprocess
import sys

import pytest

from conftest import HERE

sys.path[:0] = [str(HERE.parent / p) for p in ("", "e2e", "agents")]
from agent import AGENTS, Absent, playing               # noqa: E402
from guard import BINARY, Guard, config, poll, serving  # noqa: E402
from lab.lab import Lab                                 # noqa: E402
from test_proxy import need, render                     # noqa: E402

if os.environ.get("OHGUARD_AGENTS") != "all":
    pytest.skip("installs OpenHands, 1 GB: make check-agents, or OHGUARD_AGENTS=all", allow_module_level=True)
KEYS = ("sk-test-first-0123456789-abcdefghij", "sk-test-second-0123456789-abcdefghi")
IMAGE = "agent-server:1.58.2-python@sha256:" + "0" * 64
SETTINGS = {"conversation_settings_diff": {"max_iterations": 77, "security_analyzer": "llm"},
            "misc_settings_diff": {"theme": {"dark": True}}}
STACK = {"openhands": IMAGE, "model": "openai/gpt-4o", "base_url": "https://api.openai.com/v1"}
DOOR = "10.0.0.10"
PLACE = "/etc/ohguard-test"     # /etc is each machine's own


class Ended(Exception):
    """Before it was up: what it said."""


class Scene:
    """Server and proxy of a lab, as deliveries leave them."""

    def __init__(self, lab, guard, openhands, folder):
        self.lab, self.guard, self.openhands, self.folder = lab, guard, openhands, folder
        self.server = None
        self.service = {"PATH": f"{PLACE}:{os.defpath}", "CREDENTIALS_DIRECTORY": f"{PLACE}/credentials"}

    def put(self, host, name, text, mode="755"):
        host.run(["sh", "-ec", 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"', "sh", name, mode], input=text,
                 check=True)

    def deliver(self):
        server, proxy = self.lab.server, self.lab.proxy
        server.ip("addr add 10.0.1.11/24 dev eth0")
        for name, path in (("openhands-run.sh", f"{PLACE}/openhands-run"),
                           ("openhands-settings.py", f"{PLACE}/openhands-settings")):
            self.put(server, path, render(self.folder, name, **STACK).replace("/usr/local/lib/ohguard", PLACE))
        self.put(server, f"{PLACE}/docker", f'#!/bin/sh\nexec {sys.executable} {HERE}/container.py '
                                            f'{self.openhands.home} "$@"\n')
        for name, text in (("session-key", "5e" * 32), ("secret-key", "ec" * 32), ("settings", json.dumps(SETTINGS))):
            self.put(server, f"{PLACE}/credentials/{name}", text, "600")
        server.run(["mkdir", "-p", "/var/lib/openhands-state/home", "/var/lib/openhands-state/projects"], check=True)
        self.door(proxy)

    def door(self, proxy):
        for name in ("proxy-password", "proxy-session"):
            self.put(proxy, f"{PLACE}/ohguard-{name}", render(self.folder, name, **STACK))
        self.put(proxy, f"{PLACE}/systemctl", "#!/bin/sh\n[ ! -e /run/nginx.pid ] || nginx -s reload\n")
        self.put(proxy, "/etc/nginx/site", render(self.folder, "nginx-site", **STACK), "644")
        self.put(proxy, "/etc/nginx/nginx.conf",
                 "user root; pid /run/nginx.pid; error_log /run/nginx.log; events {}\nhttp {\n"
                 "access_log /run/access.log; client_body_temp_path /run/body; proxy_temp_path /run/proxy;\n"
                 "fastcgi_temp_path /run/fastcgi; uwsgi_temp_path /run/uwsgi; scgi_temp_path /run/scgi;\n"
                 "include /etc/nginx/site; }\n", "644")
        self.on_proxy("mkdir -p /etc/ohguard/tls /etc/ohguard/sessions; cd /etc/ohguard/tls; openssl req -x509 -nodes "
                      "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=proxy -keyout key.pem "
                      "-out certificate.pem")
        self.on_proxy(f"printf %s {'5e' * 32} | ohguard-proxy-session 10.0.1.11:3000; "
                      "ohguard-proxy-password --new; nginx -e /run/nginx.log -c /etc/nginx/nginx.conf")
        self.password = self.on_proxy("ohguard-proxy-password").strip()

    def on_proxy(self, script, **keys):
        done = self.lab.proxy.run(["sh", "-ec", script], env={"PATH": f"{PLACE}:{os.defpath}:/usr/sbin"}, timeout=300,
                                  **keys)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, key):
        """What the unit does: the run script, and the service is up when it says so."""
        self.put(self.lab.server, f"{PLACE}/credentials/llm-api-key", key, "600")
        notify = self.folder / "notify"
        notify.unlink(missing_ok=True)
        with open(self.folder / "agent.log", "ab") as log, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(notify))
            systemd.setblocking(False)
            self.server = self.lab.server.popen([f"{PLACE}/openhands-run"], guarded=True, stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL,
                                                env={**self.service, "NOTIFY_SOCKET": str(notify)})
            while self.server.poll() is None:
                if select.select([systemd], [], [], 1)[0]:
                    assert systemd.recv(64) == b"READY=1"
                    return
        raise Ended((self.folder / "agent.log").read_text()[-3000:])

    def stop(self):
        self.server.terminate()
        self.server.wait(120)

    def converse(self):
        """What `aws verify` runs on the proxy."""
        program = render(self.folder, "converse", **STACK).replace("/usr/local/sbin", PLACE)
        return self.on_proxy(f"{sys.executable} -I - 1", input=program).strip().split("\t")

    def talk(self, *more):
        """A visitor with the password and nothing else."""
        argv = self.openhands.inside("-c", (HERE / "talk.py").read_text(), DOOR, self.password, *more)
        done = self.lab.proxy.run(argv, timeout=300)
        assert done.returncode == 0, done.stderr + (self.folder / "agent.log").read_text()[-3000:]
        return json.loads(done.stdout)

    def keys_seen(self):
        return [line.split()[-1] for line in (self.lab.dir / "log/model.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    for tool in ("nginx", "htpasswd"):
        need(tool)
    try:
        openhands = AGENTS["openhands"]().install()
    except Absent as e:
        pytest.skip(str(e))
    folder = tmp_path_factory.mktemp("agent")
    with Lab() as lab, playing(lab):
        guard = Guard(lab)
        scene = Scene(lab, guard, openhands, folder)
        try:
            policy = render(folder, "policy", **STACK)
            scene.put(lab.server, "/etc/ohguard/ohguard.conf", config(lab.cgroup, allow=(), extra=policy), "644")
            guard.ok("load")
            with serving(guard):
                scene.deliver()
                scene.start(KEYS[0])
                yield scene
                scene.stop()
        finally:
            if scene.server:
                scene.server.kill()
            lab.proxy.run(["nginx", "-e", "/run/nginx.log", "-c", "/etc/nginx/nginx.conf", "-s", "stop"])
            guard.close()


def fingerprint(key):
    return hashlib.sha256(f"Bearer {key}".encode()).hexdigest()[:16]


def test_visitor_gets_an_answer_over_the_websocket(scene):
    seen = scene.talk()
    assert "result-42" in seen["answer"] and seen["model"] == STACK["model"]
    # The agent ran the command that the model asked for, and that is how it knows.
    assert "ActionEvent" in seen["kinds"] and "ObservationEvent" in seen["kinds"]
    assert set(scene.keys_seen()) == {fingerprint(KEYS[0])}
    scene.conversation = seen["conversation"]


def test_further_settings_are_those_of_the_file(scene):
    """And not in place of the model, which [stack] has."""
    user = "agent:" + scene.password
    told = json.loads(scene.lab.proxy.run(["curl", "-sk", "--user", user, f"https://{DOOR}/api/settings"]).stdout)
    asked = SETTINGS["conversation_settings_diff"]
    assert {k: told["conversation_settings"][k] for k in asked} == asked
    assert told["misc_settings"]["theme"] == {"dark": True}
    assert told["agent_settings"]["llm"]["model"] == STACK["model"]


def test_verify_holds_a_conversation(scene):
    ok, name, detail = scene.converse()
    assert (ok, name) == ("ok", "conversation") and "result-42" in detail
    # Neither the user that it was nor what was said is left.
    assert [line.split(":")[0] for line in scene.on_proxy("cat /etc/nginx/ohguard.htpasswd").splitlines()] == ["agent"]
    assert scene.on_proxy("ls /etc/ohguard/passwords") == ""


def test_nobody_gets_in_without_the_password_or_the_key(scene):
    def status(host, url, *more):
        return host.run(["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", *more, url]).stdout
    lab, user = scene.lab, "agent:" + scene.password
    assert status(lab.proxy, f"https://{DOOR}/api/settings") == "401"
    assert status(lab.proxy, f"https://{DOOR}/api/settings", "--user", user) == "200"
    assert status(lab.proxy, "http://10.0.1.11:3000/health") == "200"
    assert status(lab.proxy, "http://10.0.1.11:3000/api/settings") == "401"
    assert status(lab.proxy, f"https://{DOOR}/health", "--user", user) == "200"


def test_key_is_in_no_file_and_no_argument(scene):
    where = scene.lab.server.run(["grep", "-rlsF", KEYS[0], "/var/lib/openhands-state", "/etc"]).stdout.split()
    assert where == [f"{PLACE}/credentials/llm-api-key"]
    found = scene.lab.server.run(["sh", "-c", "grep -lsaFf - /proc/[0-9]*/cmdline"], input=KEYS[0] + "\n")
    assert found.stdout == ""


def test_guard_refused_nothing_that_docs_do_not_tell(scene):
    assert scene.guard.events() == []


def test_conversation_goes_on_after_a_restart_with_another_key(scene):
    """As after a reboot, and `set-key`: what was said is there, and the new key is the one that is used."""
    scene.stop()
    scene.start(KEYS[1])
    before = len(scene.keys_seen())
    seen = scene.talk(scene.conversation)
    assert seen["before"] > 3 and "result-42" in seen["answer"]
    assert scene.converse()[0] == "ok"
    assert set(scene.keys_seen()[before:]) == {fingerprint(KEYS[1])}


def test_after_an_update_the_agent_is_back_under_the_strict_list(scene):
    """By the delivered script and the real guard; the order of its steps is in test_ssh.py."""
    server = scene.lab.server
    wide = config(scene.lab.cgroup, allow=(), extra=render(scene.folder, "policy-install", **STACK))
    scene.put(server, "/etc/ohguard/policy-install.conf", wide, "644")
    scene.put(server, f"{PLACE}/update", render(scene.folder, "update", **STACK).replace(
        "/usr/local/sbin/ohguard", BINARY))
    scene.put(server, f"{PLACE}/apt-get", f"#!/bin/sh\n{BINARY} list >{PLACE}/during\n")
    scene.put(server, f"{PLACE}/systemctl", "#!/bin/sh\n")
    scene.stop()
    for words in ([], ["end"]):
        done = server.run(["bash", f"{PLACE}/update", *words], env={"PATH": f"{PLACE}:{os.defpath}:/usr/sbin"},
                          timeout=300)
        assert done.returncode == 0, done.stderr
    during = server.run(["cat", f"{PLACE}/during"]).stdout
    now = server.run([BINARY, "list"]).stdout
    assert "archive.ubuntu.com" in during and "api.openai.com" not in during
    assert "archive.ubuntu.com" not in now and "api.openai.com" in now
    scene.start(KEYS[1])
    seen = scene.talk(scene.conversation)
    assert "result-42" in seen["answer"] and scene.converse()[0] == "ok"


def test_settings_that_it_refuses_end_it(scene):
    """Without its settings it is not to be used; and the unit's last lines say why."""
    scene.stop()
    file = f"{PLACE}/credentials/settings"
    scene.put(scene.lab.server, file, '{"conversation_settings_diff": {"max_iterations": "many"}}', "600")
    with pytest.raises(Ended, match="OpenHands refuses http://127.0.0.1:3000/api/settings: 4"):
        scene.start(KEYS[1])
    scene.put(scene.lab.server, file, json.dumps(SETTINGS), "600")


def test_verify_says_why_there_is_no_answer(scene):
    scene.stop()
    ok, name, detail = scene.converse()
    assert (ok, name) == ("FAIL", "conversation") and "502" in detail
    scene.start(KEYS[1])
