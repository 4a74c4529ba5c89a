# SPDX-License-Identifier: MIT
"""A visitor who talks to the agent as OpenHands' page does: settings and start over https, events over a WebSocket, and
no key but the web password. Runs in the agent's root, for its WebSocket library; prints what it saw as JSON.

usage: talk.py ADDRESS PASSWORD [CONVERSATION]     goes on with a conversation that there is"""
import base64
import json
import ssl
import sys
import urllib.request

from websockets.sync.client import connect

address, password, *old = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
HEADERS = {"Authorization": "Basic " + base64.b64encode(f"agent:{password}".encode()).decode(),
           "Content-Type": "application/json"}


def ask(method, path, body=None, **headers):
    request = urllib.request.Request(f"https://{address}{path}", None if body is None else json.dumps(body).encode(),
                                     {**HEADERS, **headers}, method=method)
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        return json.load(answer)


message = {"role": "user", "content": [{"type": "text", "text": "Run the command."}], "run": True}
settings = ask("GET", "/api/settings", **{"X-Expose-Secrets": "encrypted"})
if old:
    conversation = old[0]
    before = len(ask("GET", f"/api/conversations/{conversation}/events/search?limit=100")["items"])
else:
    before = 0
    conversation = ask("POST", "/api/conversations", {
        "agent_settings": settings["agent_settings"], "secrets_encrypted": True,
        "workspace": {"working_dir": "/projects"}})["id"]
kinds, answer = [], None
with connect(f"wss://{address}/sockets/events/{conversation}", ssl=context, additional_headers=HEADERS) as socket:
    ask("POST", f"/api/conversations/{conversation}/events", message)
    while answer is None:
        event = json.loads(socket.recv(timeout=120))
        kinds.append(event["kind"])
        if event["kind"] == "ConversationErrorEvent":
            answer = event.get("detail", "error")
        elif event["kind"] == "MessageEvent" and event["source"] == "agent":
            answer = "".join(part.get("text", "") for part in event["llm_message"]["content"])
print(json.dumps({"conversation": conversation, "before": before, "kinds": kinds, "answer": answer,
                  "model": settings["agent_settings"]["llm"]["model"]}))
