# SPDX-License-Identifier: MIT
"""Delivery, key and checks over real ssh through a real proxy: see ssh_scene.py."""
import base64
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from conftest import HERE, OPENHANDS, PROGRAM, Stack, tracer
from test_proxy import render

SECRET = "sk-test-0123456789-abcdefghijklmnop"


@pytest.fixture(scope="module")
def applied(tmp_path_factory, moto, aws_client):
    """One stack for all: each test has its own machines, host keys and known hosts."""
    if os.geteuid():
        pytest.skip("needs root for namespaces")
    for tool in ("/usr/sbin/sshd", "/usr/bin/strace", "/usr/bin/htpasswd"):
        if not os.path.exists(tool):
            pytest.skip(f"{tool} is not installed: scripts/deps aws")
    stack = Stack(tmp_path_factory.mktemp("ssh"), moto, aws_client)
    stack.prefix = tracer(stack.folder / "apply.trace")
    stack.said = stack.apply(check=0)
    stack.prefix = []
    return stack


def node(stack, name):
    return [i for i in stack.mine("describe-instances", "Reservations[].Instances[]")
            if {"Key": "ohguard:resource", "Value": name} in i["Tags"]][0]["InstanceId"]


def scene(stack, folder, steps, wrong_key=False):
    """Gives the stack's machines host keys, as AWS's console would tell them, and runs the steps."""
    public = stack.one("describe-addresses", "Addresses", "proxy-ip")["PublicIp"]
    consoles = {}
    for name in ("proxy", "server-1", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / f"{name}.hostkey")],
                       check=True)
    for name in ("proxy", "server-1"):
        told = "other" if wrong_key and name == "server-1" else name
        consoles[node(stack, name)] = (folder / f"{told}.hostkey.pub").read_text()
    for instance, key in consoles.items():
        console = ("[   20.1] boot\nci-info: no\n-----BEGIN SSH HOST KEY KEYS-----\n" + key +
                   "-----END SSH HOST KEY KEYS-----\n[   21.0] done\n")
        (folder / f"console-{instance}").write_text(json.dumps({"InstanceId": instance, "Output": console}))
    # As of an instance type before Nitro, and as nginx would answer; test_machines.py asks as of Nitro, and a real one.
    stack.wrap(f"""if [ "$2" = get-console-output ] && [ "$3" = --latest ]; then
	echo "An error occurred (UnsupportedOperation) when calling the GetConsoleOutput operation: no" >&2
	exit 254; fi
if [ "$2" = get-console-output ]; then cat "{folder}/console-$4"; exit 0; fi
[ $1 != s3api ] || {{
	echo "An error occurred (401) when calling the ListBuckets operation: Unauthorized" >&2; exit 254; }}""")
    home = stack.state / "aws" / stack.name
    (home / "known_hosts").unlink(missing_ok=True)
    (folder / "key.pem").symlink_to(home / "key.pem")
    done = subprocess.run([*tracer(folder / "scene.trace"), "unshare", "--net", "--mount", "--propagation", "private",
                           sys.executable, str(HERE / "ssh_scene.py"), str(folder), public], input=json.dumps(steps),
                          capture_output=True, text=True, timeout=1800,
                          env={**stack.env, "OHGUARD": str(PROGRAM), "OHGUARD_CONF": str(stack.config)})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


STEPS = {
    "apply": [["apply", "--yes"], None], "versions": [["versions", "--json"], None],
    "plan": [["plan"], None], "set-key": [["set-key"], SECRET + "\n"],
    "look": [["sh", "-c", "stat -c %a /etc/credstore /etc/credstore/*; cat /etc/credstore/*; "
                          "cat /etc/ohguard/ohguard.conf; stat -c %a /usr/local/sbin/ohguard; "
                          "stat -c %a /var/lib/openhands-state/secret-key"], None],
    "logs": [["logs", "server-1", "--unit", "openhands", "--since", "2026-01-01 10:00"], None],
    "bad unit": [["logs", "--unit", "x;id"], None], "ssh": [["ssh", "server-1", "echo", "here"], None],
    "no machine": [["ssh", "server-9"], None], "update": [["update", "server-1"], None],
    "sessions": [["sh", "-c", "cat /etc/ohguard/sessions/*; stat -c %a /etc/ohguard/sessions/*"], None],
    "verify": [["verify", "--json"], None], "other server": [["set-key", "server-9"], SECRET + "\n"],
    "password": [["password"], None], "again": [["password"], None], "another": [["password", "--new"], None],
    "hash": [["sh", "-c", "stat -c %a /etc/nginx/ohguard.htpasswd; cat /etc/nginx/ohguard.htpasswd"], None],
    "another user": [["password", "bob", "--new", "--json"], None],
    "users": [["sh", "-c", "cut -d : -f 1 /etc/nginx/ohguard.htpasswd"], None],
    "taken away": [["password", "bob", "--remove", "--json"], None],
    "who": [["password", "bob", "--remove"], None], "odd": [["password", "bob;id"], None],
    "users now": [["sh", "-c", "cut -d : -f 1 /etc/nginx/ohguard.htpasswd"], None],
    "no agent": [["ssh", "server-1", """echo 'printf "active\\nactive\\nfailed\\n"; exit 3' """
                                     ">$(command -v systemctl)"], None],
    "status": [["status"], None], "status in JSON": [["status", "--json"], None],
}


@pytest.fixture(scope="module")
def full_run(applied, tmp_path_factory):
    """Everything once, each program that starts noted: what each step said, by its name, and the folder."""
    folder = tmp_path_factory.mktemp("full")
    return dict(zip(STEPS, scene(applied, folder, list(STEPS.values())))), folder


def test_delivery_guards_before_it_installs(full_run):
    said, folder = full_run
    assert said["apply"][0] == 0, said["apply"]
    done = (folder / "server-calls.log").read_text().splitlines()
    assert done.index("ohguard load") < min(i for i, line in enumerate(done) if line.startswith("apt-get"))
    pulled = [i for i, line in enumerate(done) if line.startswith("docker pull")]
    strict = [i for i, line in enumerate(done) if line.startswith("ohguard load --dry-run")]
    assert len(pulled) == 1 and pulled[-1] < strict[0] and OPENHANDS in done[pulled[0]]
    # The guard refuses a file of another user, and the delivery is that of who logs in.
    assert [done[i].split()[-1] for i in strict] == ["/etc/ohguard/ohguard.conf.new"]
    assert done.index("systemctl disable --now openhands.service") < done.index("ohguard load")
    assert not any("groups docker" in line or "groups sudo" in line for line in done if line.startswith("usermod"))
    server = json.loads(said["versions"][1])["servers"][0]
    assert server["server"] == "server-1" and len(server["program"]) == len(server["policy"]) == 12


def pending(stack):
    told = json.loads(stack.run("plan", "--json", check=0).stdout)["changes"]
    return [c["resource"] for c in told if (c["action"], c["command"]) == ("deliver", [])]


@pytest.mark.parametrize("keys, host", [
    ({"openhands": OPENHANDS.replace("1.24.0", "1.24.1")}, "server-1"), ({"model": "openai/gpt-4o"}, "server-1"),
    ({"base_url": "https://llm.example.com/v1"}, "server-1"), ({"agent_docker": "yes"}, "server-1"),
    ({"agent_sudo": "yes"}, "server-1"), ({"policy": "[allow]\ntarget = example.com\n"}, "server-1"),
    ({"openhands_settings": '{"misc_settings_diff": {}}'}, "server-1"), ({"domain": "agent.example.com"}, "proxy")])
def test_plan_tells_what_is_to_be_delivered(full_run, applied, tmp_path, keys, host):
    """Nothing, once it is; then what differs, to the machine that it is for."""
    assert "nothing to change" in full_run[0]["plan"][1] and pending(applied) == []
    for key in {"policy", "openhands_settings"} & set(keys):
        (tmp_path / key).write_text(keys[key])
        keys = {key: tmp_path / key}
    applied.write(**keys)
    told = pending(applied)
    applied.write()
    assert told == [host]


def test_operator_looks_and_updates(full_run):
    said, folder = full_run
    done = (folder / "server-calls.log").read_text().splitlines()
    assert said["logs"][0] == 0 and [line for line in done if line.startswith("journalctl")][0] == (
        "journalctl --no-pager --lines 200 --output short-iso --unit openhands --since 2026-01-01 10:00")
    assert said["bad unit"][0] == 1 and "--unit x;id: expected" in said["bad unit"][2]
    assert said["ssh"][:2] == [0, "here\n"] and "no such machine" in said["no machine"][2]
    assert said["update"][0] == 0 and "server-1: up to date" in said["update"][2]
    assert "systemctl start ohguard-update.service" in done


def test_each_user_has_a_password_of_their_own(full_run, applied):
    said = full_run[0]
    made = json.loads(said["another user"][1])
    assert (made["user"], made["changed"], len(made["password"])) == ("bob", True, 24)
    assert said["users"][1].split() == ["agent", "bob"] and said["users now"][1].split() == ["agent"]
    assert json.loads(said["taken away"][1]) == {"stack": applied.name, "changed": True, "user": "bob",
                                                 "password": None}
    assert said["who"][0] == 1 and "bob: no such user" in said["who"][2]
    assert said["odd"][0] == 1 and "expected 1 to 32 of" in said["odd"][2]


def test_status_has_the_state_of_each_service(full_run):
    said = full_run[0]
    assert "\nserver-1   ohguard active, ohguard-refresh active, openhands failed\n" in said["status"][1]
    assert "\nproxy      ohguard unknown, nginx unknown, fail2ban unknown\n" in said["status"][1]
    told = {r["resource"]: r.get("services") for r in json.loads(said["status in JSON"][1])["resources"]}
    assert told["server-1"][2] == {"unit": "openhands.service", "state": "failed"} and told["vpc"] is None


@pytest.mark.parametrize("looks, seconds, ended, asked", [
    (0, 60, 0, 1), (2, 60, 0, 3), (99, 1, 1, None)])
def test_key_waits_until_no_conversation_is_at_work(tmp_path, looks, seconds, ended, asked):
    if os.geteuid():
        pytest.skip("needs root for a network namespace")
    (tmp_path / "settings").write_text(render(tmp_path, "openhands-settings.py"))
    done = subprocess.run(["unshare", "--net", sys.executable, str(HERE / "idle_scene.py"), str(tmp_path), str(looks),
                           str(seconds)], check=True, capture_output=True, text=True, timeout=120)
    status, said, count = json.loads(done.stdout)
    assert status == ended and (asked is None or count == asked)
    assert ("still at work: nothing was changed" in said) == bool(ended)


@pytest.mark.parametrize("fails", [False, True])
def test_update_has_the_wide_list_and_no_agent_and_ends_with_the_strict_one(tmp_path, fails):
    """The script as its unit calls it: at the end too, however the first part ended."""
    conf = tmp_path / "ohguard.conf"
    conf.write_text("[stack]\n")
    conf.chmod(0o600)
    text = subprocess.run([str(PROGRAM), "aws", "render", "update", "-c", str(conf)], check=True, capture_output=True,
                          text=True).stdout
    (tmp_path / "policy-install.conf").touch()
    for tool, more in (("ohguard", "[ $1 != refresh ] || exit 4"), ("systemctl", ""),
                       ("apt-get", "exit 1" if fails else "")):
        (tmp_path / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >>{tmp_path}/calls\n{more}\n')
        (tmp_path / tool).chmod(0o755)
    script = tmp_path / "update"
    script.write_text(text.replace("/usr/local/sbin", str(tmp_path)).replace("/etc/ohguard", str(tmp_path)))
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert subprocess.run(["bash", str(script)], env=env).returncode == fails
    subprocess.run(["bash", str(script), "end"], env=env, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    wide, strict = (calls.index(f"ohguard load -c {tmp_path}/{n}.conf") for n in ("policy-install", "ohguard"))
    stopped, started = (calls.index(f"systemctl {verb} openhands.service") for verb in ("stop", "start --no-block"))
    installs = [i for i, line in enumerate(calls) if line.startswith("apt-get")]
    assert stopped < wide < installs[0] <= installs[-1] < strict < started


def test_key_goes_to_the_credential(full_run):
    said, _ = full_run
    assert said["set-key"][0] == 0, said["set-key"]
    told = said["look"][1]
    assert told.startswith("700\n600\n600\n600\n" + SECRET) and told.endswith("755\n600\n")
    assert "target = api.openai.com" in told


def test_proxy_gets_its_site_and_the_session_key(full_run):
    said, folder = full_run
    done = (folder / "proxy-calls.log").read_text().splitlines()
    first = next(i for i, line in enumerate(done) if line.startswith("apt-get"))
    # The guard, with its one list, before anything is fetched.
    assert [line for line in done[:first] if line.startswith("ohguard")] == [
        "ohguard load --dry-run -c /etc/ohguard/ohguard.conf.new", "ohguard load", "ohguard refresh"]
    assert "systemctl enable ohguard.service ohguard-refresh.timer" in done[:first] and first < done.index("nginx -t")
    calls = [done.index(c) for c in ("nginx -t", "systemctl reload-or-restart nginx", "systemctl reload nginx")]
    assert calls == sorted(calls)
    # A new password lifts the bans of those who went on with the old one; that of `verify` does not.
    assert done.count("fail2ban-client unban --all") == 3
    key, site = said["sessions"][1].splitlines()
    assert re.fullmatch(r"10\.0\.1\.11:3000 [0-9a-f]{64};", key) and site == "600"
    assert said["other server"][0] == 1 and "no such server" in said["other server"][2]


def test_verify_tells_what_failed(full_run):
    verify = full_run[0]["verify"]
    checks = {(c["host"], c["check"]): c["ok"] for c in json.loads(verify[1])["checks"]}
    assert verify[0] == 1 and checks["server-1", "https to github.com"] and checks["proxy", "https to google.com"]
    assert not checks["server-1", "https to api.openai.com"] and not checks["proxy", "guard is loaded"]
    assert not checks["outside", "server not reachable directly"] and checks["outside", "https asks for the password"]


def told_password(step):
    found = re.fullmatch(r"user agent, password (\S{24})\n", step[1])
    assert step[0] == 0 and found, step
    return found[1]


def test_password_is_told_once_and_can_be_made_anew(full_run):
    said, _ = full_run
    first, second = told_password(said["password"]), told_password(said["another"])
    assert first != second
    assert said["again"][0] == 1 and first not in said["again"][1] and "fetched already" in said["again"][2]
    mode, hashed = said["hash"][1].splitlines()
    assert mode == "640"
    stored = full_run[1] / "htpasswd"
    stored.write_text(hashed + "\n")
    tried = [subprocess.run(["htpasswd", "-iv", str(stored), "agent"], input=p, capture_output=True, text=True)
             for p in (first, second)]
    assert tried[0].returncode != 0 and tried[1].returncode == 0


def test_no_secret_shows_anywhere(full_run, applied):
    said, folder = full_run
    home = applied.state / "aws" / applied.name
    lines = (home / "key.pem").read_text().splitlines()
    secrets = {"api key": SECRET, "first password": told_password(said["password"]),
               "second password": told_password(said["another"]), "private key": lines[len(lines) // 2],
               "session key": said["sessions"][1].split()[1].rstrip(";")}
    allowed = {("api key", "credstore"), ("session key", "credstore"), ("session key", "ohguard/sessions/"),
               ("private key", str(home / "key.pem"))}
    where = [p for top in (folder, applied.folder) for p in top.rglob("*") if p.is_file() and not p.is_symlink()]
    traces = [p for p in where if p.suffix == ".trace"]
    # The tracer did its work: programs of both sides are there, with their environment.
    seen = "".join(p.read_text() for p in traces)
    for program in ("create-key-pair", "/usr/bin/scp", "ohguard-set-key", "ohguard-proxy-password", '"htpasswd"',
                    '"openssl"', "SSH_CLIENT="):
        assert program in seen, program
    documents = {}
    for name in ("proxy", "server-1"):
        told = applied.aws("ec2", "describe-instance-attribute", "--attribute", "userData", "--instance-id",
                           node(applied, name))["UserData"]["Value"]
        documents["user data of " + name] = base64.b64decode(told)
    assert all(d.startswith(b"#cloud-config") for d in documents.values())
    documents.update({f"output of {k}": json.dumps(v).encode() for k, v in said.items()
                      if k not in ("look", "password", "another", "sessions")})
    documents["output of the first apply"] = (applied.said.stdout + applied.said.stderr).encode()
    documents.update({str(p): p.read_bytes() for p in where})
    for kind, secret in secrets.items():
        assert len(secret) >= 24
        for place, text in documents.items():
            if secret.encode() in text:
                assert any(k == kind and mark in place for k, mark in allowed), f"{kind} in {place}"


def test_guard_that_does_not_load_stops_the_setup(applied, tmp_path):
    (tmp_path / "guard-fails").touch()
    told = scene(applied, tmp_path, [[["deliver", host], None] for host in ("proxy", "server-1")])
    for host, said in zip(("proxy", "server"), told):
        assert said[0] == 1 and "\n  why\n  and why\n" in said[2]
        assert f"{host}-setup failed" in said[2].splitlines()[-1]
        done = (tmp_path / f"{host}-calls.log").read_text().splitlines()
        assert done[-1].startswith("ohguard load")
        assert not any(line.startswith(("apt-get", "docker", "systemctl enable", "systemctl start")) for line in done)
    # Nor does an agent run, or come back with the next boot, while the list is the wide one.
    assert "systemctl disable --now openhands.service" in done[:-1]


def test_host_key_that_aws_does_not_know_is_refused(applied, tmp_path):
    (key,) = scene(applied, tmp_path, [[["set-key"], SECRET + "\n"]], wrong_key=True)
    assert key[0] == 1 and "verification failed" in key[2]


def test_what_ssh_says_is_told_after_the_first_try(stack):
    """And not after all the minutes for which a machine may still be starting."""
    stack.apply(check=0)
    stack.wrap("""if [ "$2" = get-console-output ]; then
	echo '{"Output": "-----BEGIN SSH HOST KEY KEYS-----\\nssh-rsa AAAA\\n-----END SSH HOST KEY KEYS-----"}'
	exit 0; fi""")
    ssh = stack.folder / "bin/ssh"
    ssh.write_text("#!/bin/sh\necho 'ssh: connect to host 198.18.0.1 port 22: Connection refused' >&2\nexit 255\n")
    ssh.chmod(0o755)
    working = subprocess.Popen([str(PROGRAM), "aws", "deliver", "-c", str(stack.config), "proxy"], env=stack.env,
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    told = working.stderr.readline()
    working.send_signal(signal.SIGINT)
    assert working.wait(60) == 1 and "interrupted" in working.stderr.read()
    assert re.fullmatch("proxy: not reached yet: .*port 22: Connection refused\n", told), told


def test_address_that_is_none_does_not_get_into_ssh(applied, tmp_path):
    """A line more would be an instruction to it."""
    config = applied.state / "aws" / applied.name / "ssh_config"
    config.unlink(missing_ok=True)
    applied.wrap(f"""if [ "$2" = get-console-output ]; then
	echo '{{"Output": "-----BEGIN SSH HOST KEY KEYS-----\\nssh-rsa AAAA\\n-----END SSH HOST KEY KEYS-----"}}'
	exit 0; fi
if [ "$2" = describe-addresses ]; then
	{applied.real_aws} "$@" | sed 's/"PublicIp": "/&1.2.3.4\\\\nProxyCommand touch x\\\\n/'; exit 0; fi""")
    done = applied.run("versions", check=1)
    assert "proxy: AWS does not show its address yet" in done.stderr and not config.exists()


@pytest.mark.parametrize("text, expected", [("", "nothing"), ("two words\n", "visible"), ("x" * 3000, "visible")])
def test_set_key_refuses_what_is_no_key(stack, text, expected):
    done = stack.run("set-key", stdin=text, check=1)
    assert expected in done.stderr


def ssm_server(stack, folder, answers):
    """`aws` whose get-command-invocation gives these answers, one after the other, the last for good. The rest is
    moto."""
    (folder / "answers").write_text("\n".join(answers) + "\n")
    stack.wrap(f"""if [ "$2" = get-command-invocation ]; then
	answer=$(head -n 1 {folder}/answers)
	[ $(wc -l <{folder}/answers) = 1 ] || sed -i 1d {folder}/answers
	case $answer in
	*Exception*|*Exist*) echo "An error occurred ($answer) when calling the X operation: none" >&2; exit 254 ;;
	esac
	printf '{{"Status": "%s", "StandardErrorContent": "ohguard: line 3", ' $answer
	printf '"StandardOutputContent": "0123456789ab ba9876543210"}}'; exit 0; fi""")


def test_policy_by_ssm_is_one_call_and_checked_before_it_is_put_in_place(applied, tmp_path):
    ssm_server(applied, tmp_path, ["InvocationDoesNotExist", "Pending", "InProgress", "Success"])
    applied.calls.unlink(missing_ok=True)
    done = applied.run("deliver", "--via", "ssm", check=0)
    assert re.search("^server-1 +0123456789ab  ba9876543210$", done.stderr, re.M)
    sent = [c for c in applied.calls.read_text().splitlines() if c.startswith("ssm send-command")]
    assert len(sent) == 1 and sent[0].split("--instance-ids ")[1].split()[0] == node(applied, "server-1")
    assert node(applied, "proxy") not in sent[0]
    script = json.loads(re.search(r"--parameters (\{.*\}) --", sent[0])[1])["commands"][0]
    # The script as the agent would run it: what it puts in place, and that a bad policy is not.
    etc, tools = tmp_path / "etc", tmp_path / "tools"
    etc.mkdir()
    tools.mkdir()
    guard = tools / "ohguard"
    script = script.replace("/etc/ohguard", str(etc))
    for bad, status in ((True, 1), (False, 0)):
        guard.write_text(f"#!/bin/sh\necho $* >>{tmp_path}/guard.log\necho host: would guard /\n" +
                         ('[ "$2" != --dry-run ] || exit 1\n' if bad else '[ "$2" = --dry-run ] || exit 4\n'))
        guard.chmod(0o755)
        ran = subprocess.run(["sh", "-c", script], env={"PATH": f"{tools}:/usr/bin:/bin"}, stdout=subprocess.PIPE,
                             text=True)
        assert ran.returncode == status and "host:" not in ran.stdout and (etc / "ohguard.conf").exists() != bad
    assert "target = api.openai.com" in (etc / "ohguard.conf").read_text()
    assert (tmp_path / "guard.log").read_text().splitlines()[-2:] == ["load", "refresh"]


@pytest.mark.parametrize("answers, expected", [
    (["Failed"], "server-1: Failed: ohguard: line 3"),
    (["Pending", "TimedOut"], "server-1: TimedOut"),
    (["Undeliverable"], "server-1: Undeliverable"),
    (["AccessDeniedException"], "lacks that permission"),
])
def test_policy_by_ssm_says_which_server_did_not_take_it(applied, tmp_path, answers, expected):
    ssm_server(applied, tmp_path, answers)
    done = applied.run("deliver", "--via", "ssm", check=1)
    assert expected in done.stderr and "1 servers did not take the policy" in done.stderr


def test_policy_by_ssm_to_what_ssm_does_not_know(applied):
    applied.wrap('if [ "$2" = send-command ]; then\n'
                 'echo "An error occurred (InvalidInstanceId) when calling the SendCommand operation: "'
                 '"Instances not in a valid state" >&2\nexit 254; fi')
    done = applied.run("deliver", "--via", "ssm", check=1)
    assert "not all of the servers are known to Systems Manager" in done.stderr and done.stderr.count("\n") == 1
    assert "no such server" in applied.run("deliver", "--via", "ssm", "server-7", check=1).stderr


def test_machine_gets_the_program_of_its_architecture(applied, tmp_path):
    other = tmp_path / "for-arm64"
    other.write_bytes(b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xb7\0" + bytes(44))
    applied.write(server_type="t4g.large", program=other)
    (deliver,) = scene(applied, tmp_path, [[["deliver"], None]])
    assert deliver[0] == 0, deliver[2]
    copied = [line.split()[-2:] for line in (tmp_path / "copies").read_text().splitlines()]
    assert [c for c in copied if c[1].endswith("/ohguard")] == [
        [str(PROGRAM), "proxy:.ohguard-delivery/ohguard"], [str(other), "server-1:.ohguard-delivery/ohguard"]]
    assert pending(applied) == []
    other.write_bytes(other.read_bytes() + b"newer")
    assert pending(applied) == ["server-1"]
    applied.write()
