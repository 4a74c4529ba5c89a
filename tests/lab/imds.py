# SPDX-License-Identifier: MIT
"""The instance metadata service, version 2 in looks; each request is a line of JSON in the file given."""
import json
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import topology

ROLE = "/latest/meta-data/iam/security-credentials/"


class Metadata(BaseHTTPRequestHandler):
    log = -1

    def log_message(self, *args):
        pass

    def handle_one(self):
        line = {"method": self.command, "path": self.path, "from": self.client_address[0]}
        os.write(self.log, (json.dumps(line) + "\n").encode())
        if self.command == "PUT":
            body = "lab-token"
        else:
            body = {ROLE: "lab-role", ROLE + "lab-role": '{"AccessKeyId": "LABSECRET"}'}.get(self.path, "i-lab")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_PUT = do_POST = handle_one


class Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def command(directory):
    return [sys.executable, "-m", "lab.imds", str(directory / "imds.hits")]


def hits(directory):
    path = directory / "imds.hits"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main():
    Metadata.log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    # HTTPServer.server_bind asks DNS for its own name, which nobody answers here.
    socket.getfqdn = lambda name="": name
    for address in topology.METADATA + topology.CREDENTIALS:
        server = (Server6 if ":" in address else ThreadingHTTPServer)((address, 80), Metadata)
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
