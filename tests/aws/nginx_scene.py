# SPDX-License-Identifier: MIT
"""Run by test_proxy.py in a network namespace of its own: real nginx with the generated site, two servers behind it
at their real addresses, and a visitor. Prints what the visitor saw as JSON."""
import base64
import hashlib
import http.client
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

import visitor

folder = pathlib.Path(sys.argv[1])
ADDRESSES = ("10.0.1.11", "10.0.1.12")
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def backend_connection(connection, address):
    request = b""
    while b"\r\n\r\n" not in request:
        data = connection.recv(4096)
        if not data:
            return
        request += data
    lines = request.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if ": " in line)}
    if headers.get("upgrade", "").lower() == "websocket":
        accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + GUID).encode()).digest()).decode()
        connection.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        frame = connection.recv(4096)  # masked, short
        mask, body = frame[2:6], frame[6:]
        text = bytes(b ^ mask[i % 4] for i, b in enumerate(body))
        connection.sendall(bytes([0x81, len(text)]) + text)
        connection.recv(1)
    else:
        body = json.dumps({"at": address, "path": lines[0], "headers": headers}).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    connection.close()


def backend(address):
    listener = socket.create_server((address, 3000))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=backend_connection, args=(connection, address), daemon=True).start()


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", address + "/32", "dev", "lo"], check=True)
        threading.Thread(target=backend, args=(address,), daemon=True).start()
    nginx = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", 443), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        challenge = http.client.HTTPConnection("127.0.0.1", timeout=10)
        challenge.request("GET", "/.well-known/acme-challenge/token", headers={"Host": "agent.example.com"})
        challenge = challenge.getresponse()
        good = "agent:" + (folder / "passwords/agent").read_text()
        print(json.dumps({
            **visitor.look(good), "challenge": [challenge.status, challenge.read().decode()],
            "choose": visitor.get("/server/2", good), "choose_unasked": visitor.get("/server/2"),
            "second": visitor.get("/", good, "ohguard_server=2"),
            "nonsense_server": visitor.get("/", good, "ohguard_server=99"),
        }))
    finally:
        nginx.terminate()
        nginx.wait()


main()
