#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A model API that plays one scene: asked for the first time it calls the agent's shell, and once it sees what that
printed, it says so and ends. OpenAI's chat completions and Anthropic's messages, streamed or not.

usage: model.py SOCKET LOG     nginx stands in front of it, see tests/lab/web.py
"""
import hashlib
import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler

# The shell does the sum: its result stands in no request that an agent makes before it has run the command.
COMMAND = "echo result-$((6 * 7))"
RESULT = "result-42"
ANSWER = "The command printed result-42. Done."
SHELLS = ("Bash", "terminal")       # what agents call theirs
CALL = "call_1"
USAGE = 10                          # tokens, in and out


def shell_of(tools):
    """The arguments of the agent's own shell, and its name; None where it offers none, as for a title."""
    for tool in tools or ():
        name = tool.get("function", tool).get("name")
        if name in SHELLS:
            needed = tool.get("function", tool).get("parameters") or tool.get("input_schema") or {}
            extra = {k: "what it is for" for k in needed.get("required", ()) if k != "command"}
            return name, {"command": COMMAND, **extra}
    return None


def turn(request):
    """The shell to call, or the text to say."""
    shell = shell_of(request.get("tools"))
    if not shell:
        return None, "a title"
    ran = RESULT in json.dumps(request["messages"])
    return (None, ANSWER) if ran else (shell, "")


def completion(request):
    shell, text = turn(request)
    message = {"role": "assistant", "content": text}
    if shell:
        message["tool_calls"] = [{"id": CALL, "type": "function", "index": 0,
                                  "function": {"name": shell[0], "arguments": json.dumps(shell[1])}}]
    common = {"id": "chat-1", "created": 1, "model": request["model"]}
    ends = "tool_calls" if shell else "stop"
    usage = {"prompt_tokens": USAGE, "completion_tokens": USAGE, "total_tokens": 2 * USAGE}
    if not request.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": ends}
        return [{**common, "object": "chat.completion", "choices": [choice], "usage": usage}]
    chunk = {**common, "object": "chat.completion.chunk"}
    return [(None, {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]}),
            (None, {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": ends}], "usage": usage}),
            (None, "[DONE]")]


def message(request):
    shell, text = turn(request)
    block = {"type": "tool_use", "id": CALL, "name": shell[0], "input": shell[1]} if shell else \
        {"type": "text", "text": text}
    ends = {"stop_reason": "tool_use" if shell else "end_turn", "stop_sequence": None}
    usage = {"input_tokens": USAGE, "output_tokens": USAGE}
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": request["model"], "content": [block],
             **ends, "usage": usage}
    if not request.get("stream"):
        return [whole]
    delta = {"type": "input_json_delta", "partial_json": json.dumps(shell[1])} if shell else \
        {"type": "text_delta", "text": text}
    empty = {**block, "input": {}} if shell else {**block, "text": ""}
    events = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
              {"type": "content_block_start", "index": 0, "content_block": empty},
              {"type": "content_block_delta", "index": 0, "delta": delta},
              {"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "delta": ends, "usage": {"output_tokens": USAGE}},
              {"type": "message_stop"}]
    return [(event["type"], event) for event in events]


ANSWERS = {"/v1/chat/completions": completion, "/v1/messages": message,
           "/v1/messages/count_tokens": lambda request: [{"input_tokens": USAGE}]}


def lines(part):
    """One server-sent event."""
    kind, data = part
    data = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {kind}\n" if kind else "") + f"data: {data}\n\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.split("?")[0]
        if path not in ANSWERS:
            return self.reply(404, "application/json", "{}")
        parts = ANSWERS[path](request)
        if isinstance(parts[0], dict):
            return self.reply(200, "application/json", json.dumps(parts[0]))
        return self.reply(200, "text/event-stream", "".join(map(lines, parts)))

    def do_GET(self):
        self.reply(404, "application/json", "{}")

    def reply(self, status, kind, text):
        with open(sys.argv[2], "a", encoding="utf-8") as log:
            # Who asks, without the key itself.
            who = hashlib.sha256((self.headers.get("Authorization") or "").encode()).hexdigest()[:16]
            log.write(f"{self.command} {self.path} {status} {who}\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def address_string(self):       # of a Unix socket there is none
        return "nginx"

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    Server(sys.argv[1], Handler).serve_forever()
