#!/usr/bin/python3 -I
"""A conversation with a server's agent as a visitor of the proxy has it: by its web door, with a password that lives
as long as this program. One line for each check, as verify.sh has them.

usage: converse.py SERVER     its number"""
import base64
import http.client
import json
import signal
import ssl
import subprocess
import sys
import time

SECONDS = 180
USER = "ohguard-verify"
PASSWORDS = "/usr/local/sbin/ohguard-proxy-password"
QUESTION = "Run the command `echo $((6 * 7))`, and answer with the number that it prints."
server = sys.argv[1]


def report(name, ok, detail):
    print("ok" if ok else "FAIL", name, " ".join(detail.split())[:300], sep="\t")
    return ok


class Door:
    def __init__(self, password):
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE  # self-signed, and this machine
        word = base64.b64encode(f"{USER}:{password}".encode()).decode()
        self.headers = {"Host": "localhost", "Authorization": "Basic " + word,
                        "Cookie": "ohguard_server=" + server, "Content-Type": "application/json"}

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPSConnection("127.0.0.1", context=self.context, timeout=60)
        connection.request(method, path, None if body is None else json.dumps(body), {**self.headers, **headers})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status >= 300:
            raise ValueError(f"{method} {path}: {answer.status} {text[:200]}")
        return json.loads(text)


def last_event(door, path):
    """What the agent or the model's API said last."""
    items = door.ask("GET", path + "/events/search?limit=1&sort_order=TIMESTAMP_DESC").get("items") or [{}]
    return str(items[0].get("detail") or items[0].get("error") or items[0].get("kind"))


def converse(door):
    settings = door.ask("GET", "/api/settings", **{"X-Expose-Secrets": "encrypted"})["agent_settings"]
    begun = door.ask("POST", "/api/conversations", {
        "agent_settings": settings, "secrets_encrypted": True, "workspace": {"working_dir": "/tmp/ohguard-verify"},
        "initial_message": {"role": "user", "content": [{"type": "text", "text": QUESTION}], "run": True}})
    path = "/api/conversations/" + begun["id"]
    try:
        end = time.monotonic() + SECONDS
        while (state := door.ask("GET", path)["execution_status"]) in ("idle", "running") and time.monotonic() < end:
            time.sleep(1)
        answer = door.ask("GET", path + "/agent_final_response")["response"]
        if state != "finished":
            return report("conversation", False, f"the agent is {state}: {last_event(door, path)}")
        return report("conversation", "42" in answer, answer or "no answer")
    finally:
        door.ask("DELETE", path)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    subprocess.run([PASSWORDS, "--new", USER], check=True)
    password = subprocess.run([PASSWORDS, USER], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        converse(Door(password))
    except (OSError, ValueError, KeyError, http.client.HTTPException) as e:
        report("conversation", False, str(e))
    finally:
        subprocess.run([PASSWORDS, "--remove", USER], check=True)


main()
