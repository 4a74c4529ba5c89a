# SPDX-License-Identifier: MIT
"""Run by test_proxy.py in a network namespace of its own: nginx with the generated site, fail2ban with the generated
jail, and visitors at several addresses who try passwords. Prints what they saw as JSON.
usage: ban_scene.py FOLDER FAIL2BAN    (where fail2ban's files are unpacked, or /)"""
import base64
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import time

folder, files = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
HOME, OTHER = "198.51.100.7", "198.51.100.8"
TRIES = 10  # as the jail says
client = [sys.executable, str(files / "usr/bin/fail2ban-client"), "-s", str(folder / "fail2ban.sock"), "-p",
          str(folder / "fail2ban.pid"), "-c", str(folder / "fail2ban")]
environment = {**os.environ, "PYTHONPATH": str(files / "usr/lib/python3/dist-packages"),
               "PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"}


def ask(address, user, password):
    """The status, or None if nobody answers."""
    tls = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", context=tls, timeout=3, source_address=(address, 0))
    try:
        connection.request("GET", "/", headers={
            "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def wait_for(what):
    """fail2ban looks at the log once a second."""
    for _ in range(300):
        if what():
            return True
        time.sleep(0.2)
    return False


def open_door():
    with socket.socket() as s:
        return not s.connect_ex(("127.0.0.1", 443))


def counted():
    told = subprocess.run([*client, "status", "nginx-http-auth"], env=environment, capture_output=True, text=True)
    return int(told.stdout.split("Total failed:")[1].split()[0])


def password(*words):
    done = subprocess.run(["bash", str(folder / "proxy-password"), *words], env=environment, check=True,
                          capture_output=True, text=True)
    return done.stdout.strip()


def prepare():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (HOME, OTHER):
        subprocess.run(["ip", "address", "add", address + "/32", "dev", "lo"], check=True)
    subprocess.run(["cp", "-r", str(files / "etc/fail2ban"), str(folder)], check=True)
    for other in (folder / "fail2ban/jail.d").iterdir():
        other.unlink()
    jail = (folder / "jail").read_text().replace("/var/log/nginx/error.log", str(folder / "error.log"))
    # The visitors are at addresses of this machine. Its sshd is no part of this.
    jail = jail.replace("[DEFAULT]", "[DEFAULT]\nignoreself = false").replace(
        "[sshd]\nenabled = true", "[sshd]\nenabled = false")
    (folder / "fail2ban/jail.d/ohguard.local").write_text(jail)
    (folder / "fail2ban/filter.d/ohguard-web.conf").write_text((folder / "filter").read_text())
    (folder / "fail2ban/fail2ban.local").write_text(
        f"[Definition]\nlogtarget = {folder}/fail2ban.log\nsocket = {folder}/fail2ban.sock\n"
        f"pidfile = {folder}/fail2ban.pid\ndbfile = None\n")
    # What proxy-password calls.
    (folder / "fail2ban-client").write_text("#!/bin/sh\nexec " + " ".join(client) + ' "$@"\n')
    (folder / "fail2ban-client").chmod(0o755)


def look():
    seen = {}
    old = password()
    password("--new", "bob")
    bob = password("bob")
    seen["first"] = [ask(HOME, "agent", old), ask(HOME, "bob", bob)]
    for _ in range(TRIES - 1):
        ask(HOME, "agent", "wrong")
        ask(HOME, "bob", "wrong")
    seen["all_counted"] = wait_for(lambda: counted() == 2 * (TRIES - 1))
    seen["each_below"] = [ask(HOME, "agent", old), ask(HOME, "bob", bob)]
    ask(HOME, "agent", "wrong")
    seen["banned"] = wait_for(lambda: ask(HOME, "bob", bob) is None)
    seen["from_elsewhere"] = ask(OTHER, "agent", old)
    password("--new")
    new = password()
    seen["lifted"] = wait_for(lambda: ask(HOME, "agent", new) == 502)
    seen["old_password"] = ask(HOME, "agent", old)
    password("--remove", "bob")
    seen["removed"] = [ask(HOME, "bob", bob), ask(HOME, "agent", new)]
    for n in range(TRIES):
        ask(OTHER, f"nobody{n}", "x")
    seen["guesser_of_names"] = wait_for(lambda: ask(OTHER, "agent", new) is None)
    return seen


def main():
    prepare()
    nginx = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    server = subprocess.Popen([sys.executable, str(files / "usr/bin/fail2ban-server"), "-f", "-x", *client[2:],
                               "start"], env=environment, stdout=subprocess.DEVNULL)
    try:
        ready = wait_for(lambda: not subprocess.run([*client, "status", "nginx-http-auth"], env=environment,
                                                    capture_output=True).returncode)
        assert ready and wait_for(open_door), (folder / "fail2ban.log").read_text()
        print(json.dumps(look()))
    finally:
        for program in (server, nginx):
            program.terminate()
            program.wait()


main()
