# SPDX-License-Identifier: MIT
"""What the generated files do: the nginx site with a real nginx, and each file's own checker."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from conftest import HERE, PROGRAM

SCRIPTS = ("proxy-setup", "proxy-password", "proxy-session", "certificate", "server-setup", "openhands-run.sh",
           "openhands-docker.sh", "state-disk", "grow", "update", "set-key.sh", "verify", "verify-proxy")
CONFIGURATIONS = ({}, {"domain": "agent.example.com", "email": "ops@example.com", "agent_docker": "yes",
                       "agent_sudo": "yes", "ubuntu": "24.04", "servers": "16"})


def render(folder, name, **keys):
    config = folder / "render.conf"
    lines = [f"{k.replace('_', '-')} = {v}" for k, v in {"operator": "203.0.113.7", **keys}.items()]
    config.write_text("[stack]\n" + "\n".join(lines) + "\n")
    config.chmod(0o600)
    return subprocess.run([str(PROGRAM), "aws", "render", "-c", str(config), *([name] if name else [])], check=True,
                          capture_output=True, text=True).stdout


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")


def test_sections_of_the_guard_may_stand_beside_the_stack(tmp_path):
    render(tmp_path, None)
    config = tmp_path / "render.conf"
    told = subprocess.run([str(PROGRAM), "config", "--edited", "--json", "-c", str(config)], check=True,
                          capture_output=True, text=True).stdout
    sections = {k["section"] for k in json.loads(told)["keys"]}
    assert {"guard", "verify"} <= sections
    config.write_text(config.read_text() + "".join(f"[{s}]\n" for s in sections))
    assert subprocess.run([str(PROGRAM), "aws", "render", "-c", str(config)], capture_output=True).returncode == 0


@pytest.mark.parametrize("keys", CONFIGURATIONS)
def test_no_value_is_left_open(tmp_path, keys):
    for name in [line.split()[0] for line in render(tmp_path, None).splitlines()]:
        assert not re.search(r"@[A-Z_]+@|@file:|@backends", render(tmp_path, name, **keys)), name


@pytest.mark.parametrize("keys", CONFIGURATIONS)
@pytest.mark.parametrize("host", ["proxy", "server-3"])
def test_user_data_is_valid_small_and_has_no_http(tmp_path, host, keys):
    need("cloud-init")
    text = render(tmp_path, host, **keys)
    assert len(text) < 16384 and not re.search(r"uri: http:", text)
    (tmp_path / "user-data").write_text(text)
    done = subprocess.run(["cloud-init", "schema", "-c", str(tmp_path / "user-data")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("keys", CONFIGURATIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_pass_shellcheck(tmp_path, name, keys):
    need("shellcheck")
    (tmp_path / "script").write_text(render(tmp_path, name, **keys))
    done = subprocess.run(["shellcheck", str(tmp_path / "script")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_units_pass_systemd_analyze(tmp_path):
    need("systemd-analyze")
    names = [line.split()[0] for line in render(tmp_path, None).splitlines()]
    units = []
    for name in (n for n in names if n.endswith((".service", ".timer"))):
        # The programs are on the servers, not here.
        text = re.sub(r"^(Exec\w+=-?)/\S+", r"\1/bin/true", render(tmp_path, name), flags=re.M)
        prefix = "ohguard-" if name == "certificate.service" else ""
        (tmp_path / (prefix + name)).write_text(text)
        units.append(str(tmp_path / (prefix + name)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert ours == [], done.stderr


# Docker's command: what `openhands-settings` asks of OpenHands, and whether that says then that it has a key.
DOCKER = """#!/usr/bin/python3
import http.server, json, sys
class OpenHands(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.command == "PATCH":
            print("told", body, flush=True)
        answer = json.dumps({"llm_api_key_is_set": %s, "agent_settings": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    do_PATCH = do_GET
    def log_message(self, *words):
        pass
if sys.argv[1] == "run":
    http.server.HTTPServer(("127.0.0.1", 3000), OpenHands).serve_forever()
"""


@pytest.mark.parametrize("takes_the_key, state", [(True, "active running"), (False, "failed failed")])
def test_openhands_is_up_for_systemd_when_it_has_its_settings(tmp_path, child_cgroup, takes_the_key, state):
    """By systemd itself, with credentials: see unit_scene.py."""
    if not os.path.exists("/lib/systemd/systemd"):
        pytest.skip("this machine has no systemd")
    for name, template in (("openhands.service", "openhands.service"), ("openhands-run", "openhands-run.sh"),
                           ("openhands-settings", "openhands-settings.py")):
        (tmp_path / name).write_text(render(tmp_path, template, openhands="1.24.0@sha256:" + "0" * 64))
    (tmp_path / "docker").write_text(DOCKER % takes_the_key)
    done = subprocess.run([sys.executable, str(HERE / "unit_scene.py"), str(tmp_path), str(child_cgroup)],
                          capture_output=True, text=True, timeout=600)
    for group in sorted((p for p in child_cgroup.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
        group.rmdir()
    said = (tmp_path / "out/log").read_text()
    assert re.findall(r"State=(\w+)", said) == state.split(), said + done.stderr
    (told,) = re.findall(r"^told (.*)$", said, flags=re.M)
    assert json.loads(told)["agent_settings_diff"]["llm"]["api_key"] == "k-llm-api-key"
    assert ("OpenHands has no key now" in said) == (not takes_the_key)


def test_policies_are_the_strict_and_the_install_list(tmp_path):
    def targets(name, **keys):
        return re.findall(r"^target = (.*)$", render(tmp_path, name, **keys), flags=re.M)
    archive = ["archive.ubuntu.com", "security.ubuntu.com"]
    assert targets("policy") == ["api.openai.com"]
    assert targets("policy-install") == [*archive, "ghcr.io", "pkg-containers.githubusercontent.com"]
    assert targets("policy-proxy") == ["10.0.1.0/24:3000", "10.0.1.0/24:22", *archive]
    more = {"access": "endpoint", "domain": "agent.example.com", "mirror": "https://mirror.example.com/ubuntu"}
    assert targets("policy-proxy", **more) == ["10.0.1.0/24:3000", "mirror.example.com", "mirror.example.com",
                                               "acme-v02.api.letsencrypt.org"]
    # Ubuntu's archive of the architecture that each machine has.
    arm = {"server_type": "t4g.large"}
    assert set(targets("policy-install", **arm)) >= {"ports.ubuntu.com"} > set(archive) & set(targets("policy", **arm))
    assert targets("policy-proxy", **arm)[2:] == archive
    assert "https://ports.ubuntu.com/ubuntu-ports" in render(tmp_path, "server-1", **arm)
    assert "https://archive.ubuntu.com/ubuntu" in render(tmp_path, "proxy", **arm)
    assert '"https to archive.ubuntu.com"' in render(tmp_path, "verify-proxy", **arm)


@pytest.fixture
def child_cgroup():
    """One of our own: a dry run attaches nothing, and were it to, then only there."""
    if os.geteuid():
        pytest.skip("needs root for a cgroup")
    mounts = [line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "cgroup2"]
    path = pathlib.Path(mounts[0]) / f"oh-aws-{os.getpid()}"
    path.mkdir()
    yield path
    path.rmdir()
    for folder in ("/run/ohguard", "/var/lib/ohguard"):     # the instance goes by its name
        shutil.rmtree(f"{folder}/{path.name}", ignore_errors=True)


@pytest.mark.parametrize("name", ["policy", "policy-install", "policy-proxy"])
def test_policies_are_what_the_guard_takes(tmp_path, child_cgroup, name):
    policy = tmp_path / "policy.conf"

    def load(text):
        policy.write_text(text)
        # With a bpffs of its own, as this machine may have none.
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-ec",
                               'mount -t bpf bpf /sys/fs/bpf; exec "$@"', "sh", str(PROGRAM), "load", "--dry-run",
                               "--uplink", "none", "--cgroup", str(child_cgroup), "--name", child_cgroup.name, "-c",
                               str(policy)], capture_output=True, text=True)

    text = render(tmp_path, name, base_url="https://llm.example.net/v1", public="10.0.2.0/24")
    assert ("llm.example.net" in text) == (name == "policy")
    assert ("10.0.2.10/32" in text) == (name != "policy-proxy")
    done = load(text)
    assert done.returncode == 0, done.stderr
    assert load(text.replace("accept = 22", "accept = 22x")).returncode == 1


# What `deliver` sends to the proxy.
PROXY_FILES = re.findall(r'"([^"]+)"', " ".join(re.search(
    r"define GUARD_UNITS (.*?)\n\n.*proxy_files\[\] = \{(.*?)\};",
    (HERE.parents[1] / "user/aws/deliver.c").read_text(), re.S).groups()))


@pytest.mark.parametrize("email", [None, "ops@example.com"])
def test_certificate_comes_by_acme_and_is_renewed(tmp_path, email):
    """From a real ACME server, by real certbot through real nginx: see acme_scene.py."""
    for tool in ("nginx", "htpasswd", "certbot", "dnsmasq"):
        need(tool)
    if not shutil.which("pebble"):
        pytest.skip("pebble is not in this distribution's archive")
    (tmp_path / "delivery-id").touch()
    for name in PROXY_FILES:
        keys = {"email": email} if email else {}
        (tmp_path / name).write_text(render(tmp_path, name, domain="agent.example.com", **keys))
    for name in ("grow", "ohguard"):
        (tmp_path / name).write_text("#!/bin/sh\n")    # these are this machine's disks, and its network
    done = subprocess.run(["unshare", "--net", "--mount", "--propagation", "private", sys.executable,
                           str(HERE / "acme_scene.py"), str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    live = "/etc/letsencrypt/live/agent.example.com/"
    # A name that leads elsewhere leaves the self-signed one; systemd starts the unit again.
    assert seen["setup"] == 0 and seen["elsewhere"].replace("-", " ") == "self signed certificate"
    assert "Some challenges have failed" in seen["first"]
    assert (seen["unit"], seen["again"]) == (0, 0) and seen["files"] == [live + "fullchain.pem", live + "privkey.pem"]
    assert re.fullmatch("[0-9A-F]+", seen["trusted"]) and re.fullmatch("[0-9A-F]+", seen["renewed"])
    assert seen["kept"] == seen["trusted"] != seen["renewed"]
    assert seen["contact"] == bool(email)


def test_agent_gets_docker_and_sudo_only_when_asked(tmp_path):
    assert 'agent_docker="no"' in render(tmp_path, "server-setup")
    assert 'agent_docker="yes"' in render(tmp_path, "server-setup", agent_docker="yes")


def web_door(folder):
    """The generated site and its first password, with their files moved to a folder."""
    need("nginx")
    need("htpasswd")
    if os.geteuid():
        pytest.skip("needs root for a network namespace")
    folder.chmod(0o755)
    (folder / "acme/.well-known/acme-challenge").mkdir(parents=True)
    (folder / "acme/.well-known/acme-challenge/token").write_text("challenge")
    site = render(folder, "nginx-site", servers="2", domain="agent.example.com")
    places = {"/etc/ohguard/tls": folder, "/etc/ohguard/sessions": f"{folder}/sessions", "/etc/nginx/": f"{folder}/",
              "/var/www/acme": f"{folder}/acme"}
    for place, here in places.items():
        site = site.replace(place, str(here))
    (folder / "sessions").mkdir()
    (folder / "sessions/10.0.1.11.conf").write_text("10.0.1.11:3000 5e5e;")
    (folder / "nginx.conf").write_text(
        f"user root;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\nhttp {{\n"
        f"access_log {folder}/access.log;\n{site}\n}}\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=proxy", "-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")],
                   check=True, capture_output=True)
    # The script that makes the password, with its files moved here.
    script = render(folder, "proxy-password").replace("/etc/ohguard", str(folder)).replace("/etc/nginx", str(folder))
    (folder / "proxy-password").write_text(script)
    subprocess.run(["bash", str(folder / "proxy-password"), "--new"], check=True)
    hashed = (folder / "ohguard.htpasswd").read_text()
    assert re.fullmatch(r"agent:\$2[aby]\$05\$\S{53}\n", hashed)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    web_door(folder)
    done = subprocess.run(["unshare", "--net", sys.executable, str(HERE / "nginx_scene.py"), str(folder)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    first = subprocess.run(["bash", str(folder / "proxy-password")], capture_output=True, text=True)
    again = subprocess.run(["bash", str(folder / "proxy-password")], capture_output=True, text=True)
    return {**json.loads(done.stdout), "folder": folder, "fetched": [first, again]}


def test_nginx_tls_and_redirect(seen):
    assert seen["redirect"] == [301, "https://proxy/x?y=1"]
    assert seen["challenge"] == [200, "challenge"]
    assert seen["tls"] == {"TLSv1": None, "TLSv1_1": None, "TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}


def test_nginx_site_says_what_this_openssl_would_not_show(tmp_path):
    """Debian's OpenSSL refuses TLS 1.1 whatever the site says, and no test waits for a timeout."""
    site = render(tmp_path, "nginx-site")
    assert re.findall(r"ssl_protocols (.*);", site) == ["TLSv1.2 TLSv1.3"]
    assert re.findall(r"proxy_(\w+)_timeout (.*);", site) == [("connect", "60s"), ("send", "1h"), ("read", "1h")]


def test_nginx_asks_for_the_password(seen):
    assert seen["no_password"][0] == seen["wrong_password"][0] == 401
    assert "Basic" in seen["no_password"][1]["WWW-Authenticate"]
    assert seen["websocket_no_password"][0] == 401
    assert seen["password"][0] == 200


def test_nginx_forwards_with_headers_but_not_the_password(seen):
    told = json.loads(seen["password"][2])
    assert told["at"] == "10.0.1.11" and told["path"] == "GET /a?b=c HTTP/1.1"
    assert told["headers"]["x-forwarded-proto"] == "https" and told["headers"]["x-real-ip"] == "127.0.0.1"
    assert told["headers"]["host"] == "proxy" and "authorization" not in told["headers"]
    # To the server that it is for, whatever the visitor says.
    assert told["headers"]["x-session-api-key"] == "5e5e"
    assert "x-session-api-key" not in json.loads(seen["second"][2])["headers"]


def test_nginx_carries_websockets(seen):
    assert seen["websocket"] == [101, "ping"]


def test_nginx_chooses_the_server_by_cookie(seen):
    status, headers, _ = seen["choose"]
    assert status == 302 and headers["Set-Cookie"].startswith("ohguard_server=2; Path=/; Secure; HttpOnly")
    assert headers["Location"] == "https://proxy/"
    status, headers, _ = seen["choose_unasked"]
    assert status == 401 and "Set-Cookie" not in headers
    assert json.loads(seen["second"][2])["at"] == "10.0.1.12"
    assert json.loads(seen["nonsense_server"][2])["at"] == "10.0.1.11"


def test_password_is_told_once(seen):
    first, again = seen["fetched"]
    assert first.returncode == 0 and len(first.stdout.strip()) == 24
    assert again.returncode == 1 and not (seen["folder"] / "passwords/agent").exists()
    logs = (seen["folder"] / "access.log").read_text() + (seen["folder"] / "error.log").read_text()
    assert first.stdout.strip() not in logs


def test_who_guesses_is_shut_out_until_there_is_a_new_password(tmp_path):
    """By fail2ban itself, with the generated jail and filter. 502: past the door, where no server is."""
    places = [p for p in (pathlib.Path("/"), HERE.parents[1] / "build/servers")
              if (p / "usr/bin/fail2ban-server").exists()]
    if not places:
        pytest.skip("fail2ban is not here: scripts/deps aws unpacks it")
    web_door(tmp_path)
    (tmp_path / "jail").write_text(render(tmp_path, "fail2ban"))
    (tmp_path / "filter").write_text(render(tmp_path, "fail2ban-web"))
    done = subprocess.run(["unshare", "--net", sys.executable, str(HERE / "ban_scene.py"), str(tmp_path),
                           str(places[0])], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "first": [502, 502], "all_counted": True, "each_below": [502, 502], "banned": True, "from_elsewhere": 502,
        "lifted": True, "old_password": 401, "removed": [401, 502], "guesser_of_names": True}
