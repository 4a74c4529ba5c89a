# SPDX-License-Identifier: MIT
"""Run by test_ssh.py in a network namespace of its own: openhands-settings waits for conversations that are at work, as
the agent server's search lists them in two pages. Prints how it ended and after how many looks.
usage: idle_scene.py FOLDER LOOKS SECONDS    (for LOOKS looks one is at work)"""
import json
import pathlib
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

folder, looks, seconds = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
asked = []


class Agent(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers["X-Session-API-Key"] != "5e5e" or not self.path.startswith("/api/conversations/search?"):
            self.send_error(401)
            return
        second = "page_id=2" in self.path
        if second:
            asked.append(self.path)
        status = "running" if second and len(asked) <= looks else "finished"
        text = json.dumps({"items": [{"id": "1", "execution_status": status}],
                           "next_page_id": None if second else "2"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
server = HTTPServer(("127.0.0.1", 3000), Agent)
threading.Thread(target=server.serve_forever, daemon=True).start()
(folder / "openhands.session-key").write_text("5e5e\n")
done = subprocess.run([sys.executable, "-I", str(folder / "settings"), "--when-idle", seconds], capture_output=True,
                      text=True, env={"CREDENTIALS_DIRECTORY": str(folder)})
print(json.dumps([done.returncode, done.stderr.strip(), len(asked)]))
