#!/usr/bin/python3 -I
"""Tells OpenHands its model and key where it reads them: in its settings, which it stores encrypted. The service is not
up before it has them, and ends without. With --when-idle SECONDS it only waits, until no conversation is at work."""
import json
import os
import pathlib
import signal
import socket
import sys
import time
import urllib.error
import urllib.request

ADDRESS = "http://127.0.0.1:3000"
SECONDS = 540  # the first start of a large image
credentials = pathlib.Path(os.environ["CREDENTIALS_DIRECTORY"])


def credential(name):
    """As systemd hands it over, or, with --when-idle, where it is stored."""
    path = credentials / name
    return (path if path.exists() else credentials / f"openhands.{name}").read_text().strip()


SESSION = credential("session-key")


def ask(method, path, body=None, **more):
    headers = {"X-Session-API-Key": SESSION, "Content-Type": "application/json", **more}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADDRESS + path, data, headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return json.load(answer)


def wait():
    end = time.monotonic() + SECONDS
    while True:
        try:
            return ask("GET", "/ready")
        except (OSError, ValueError) as e:
            if time.monotonic() > end:
                raise SystemExit(f"openhands-settings: OpenHands does not answer: {e}")
        time.sleep(1)


def conversations():
    page = ""
    while page is not None:
        found = ask("GET", "/api/conversations/search?limit=100" + (page and "&page_id=" + page))
        yield from found["items"]
        page = found.get("next_page_id")


def rotate(key):
    """A conversation has a copy of the key that it began with: each gets the new one, and keeps its model."""
    for conversation in conversations():
        llm = (conversation.get("agent") or {}).get("llm")
        if llm:
            kept = {k: v for k, v in llm.items() if not (isinstance(v, str) and v.startswith("****"))}
            ask("POST", f"/api/conversations/{conversation['id']}/switch_llm", {"llm": {**kept, "api_key": key}})


def tell():
    key = credential("llm-api-key")
    now = ask("GET", "/api/settings", **{"X-Expose-Secrets": "plaintext"})["agent_settings"].get("llm") or {}
    # First, so that a run that was cut short is made good by the next.
    if now.get("api_key") not in (None, key):
        rotate(key)
    settings = json.loads(credential("settings"))
    agent = settings.setdefault("agent_settings_diff", {})
    agent.setdefault("llm", {}).update(model="@MODEL@", base_url="@BASE_URL@", api_key=key)
    return ask("PATCH", "/api/settings", settings)


def wait_until_idle(seconds):
    end = time.monotonic() + seconds
    while any(c.get("execution_status") == "running" for c in conversations()):
        if time.monotonic() > end:
            raise SystemExit(f"openhands-settings: after {seconds} seconds the agent is still at work: "
                             "nothing was changed")
        time.sleep(2)


def ready():
    """As sd_notify(3) says it to systemd."""
    if path := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"READY=1", path.replace("@", "\0", 1) if path.startswith("@") else path)


def start():
    wait()
    try:
        if not tell().get("llm_api_key_is_set"):
            raise SystemExit("openhands-settings: OpenHands has no key now: is this version supported?")
    except urllib.error.HTTPError as e:
        raise SystemExit(f"openhands-settings: OpenHands refuses {e.url}: {e.code} "
                         f"{e.read(300).decode(errors='replace')}")
    ready()


if sys.argv[1:2] == ["--when-idle"]:
    wait_until_idle(int(sys.argv[2]))
    sys.exit()
try:
    start()
except BaseException:
    os.kill(os.getppid(), signal.SIGTERM)   # openhands-run, which has become `docker run`
    raise
