# SPDX-License-Identifier: MIT
"""A visitor of the proxy: what one sees of it from outside. As a program: `visitor.py ADDRESS USER:PASSWORD` prints
that as JSON."""
import base64
import http.client
import json
import socket
import ssl
import sys

ADDRESS = "127.0.0.1"


def anything_goes(low=None, high=None):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = low or ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = high or ssl.TLSVersion.MAXIMUM_SUPPORTED
    return context


def get(path, user=None, cookie=None, host="proxy"):
    connection = http.client.HTTPSConnection(ADDRESS, context=anything_goes(), timeout=30)
    headers = {"Host": host, "X-Session-API-Key": "of the visitor"}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    if cookie:
        headers["Cookie"] = cookie
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")


def speaks(version):
    try:
        with socket.create_connection((ADDRESS, 443), timeout=10) as plain:
            with anything_goes(version, version).wrap_socket(plain) as tls:
                return tls.version()
    except (ssl.SSLError, OSError):
        return None


def websocket(user):
    tls = anything_goes().wrap_socket(socket.create_connection((ADDRESS, 443), timeout=10))
    auth = f"Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n" if user else ""
    tls.sendall(("GET /sockets HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
                 f"{auth}\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += tls.recv(4096)
    status = int(head.split()[1])
    if status != 101:
        return status, ""
    tls.sendall(bytes([0x81, 0x84]) + bytes(4) + b"ping")
    return status, tls.recv(64)[2:].decode()


def redirect():
    plain = http.client.HTTPConnection(ADDRESS, timeout=10)
    plain.request("GET", "/x?y=1", headers={"Host": "proxy"})
    answer = plain.getresponse()
    return [answer.status, answer.getheader("Location")]


def look(user):
    v = ssl.TLSVersion
    return {"redirect": redirect(), "tls": {x.name: speaks(x) for x in (v.TLSv1, v.TLSv1_1, v.TLSv1_2, v.TLSv1_3)},
            "no_password": get("/"), "wrong_password": get("/", "agent:wrong"), "password": get("/a?b=c", user),
            "websocket": websocket(user), "websocket_no_password": websocket(None)}


if __name__ == "__main__":
    ADDRESS = sys.argv[1]
    print(json.dumps(look(sys.argv[2])))
