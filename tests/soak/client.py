# SPDX-License-Identifier: MIT
"""One client of the soak: does its exchange again and again until its standard input ends, then says how often it went
well.

usage: client.py KIND NAME|ADDRESS [FAMILY]     prints {"done": N, "failed": [what, ...]}
"""
import json
import select
import socket
import ssl
import sys
import time



def addresses(name, family):
    found = socket.getaddrinfo(name, 443, family, socket.SOCK_STREAM)
    assert found, "no address"
    return [a[4] for a in found]


def page(name, family):
    """TLS and a page, as a tool does it."""
    context = ssl.create_default_context()
    for to in addresses(name, family)[:1]:
        with socket.create_connection(to[:2], 10) as s, context.wrap_socket(s, server_hostname=name) as tls:
            tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            assert tls.recv(12).startswith(b"HTTP/1.1 "), "no answer"
            while tls.recv(65536):
                pass


def connect(name, family):
    """Each address of an answer that the next one will not have."""
    for to in addresses(name, family):
        socket.create_connection(to[:2], 10).close()


def keep():
    """One connection for all of the time, used now and then."""
    tls, since = None, 0

    def use(name, family):
        nonlocal tls, since
        if not tls or time.monotonic() > since + 500:       # the server ends it after ten minutes
            since = time.monotonic()
            s = socket.create_connection(addresses(name, family)[0][:2], 10)
            tls = ssl.create_default_context().wrap_socket(s, server_hostname=name)
            tls.sendall(f"GET /stream HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert tls.recv(65536), "cut"
    return use


def ntp(address, family):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((address, 123))
        s.send(b"\x23" + bytes(39) + time.time_ns().to_bytes(8, "big"))
        assert len(s.recv(100)) == 48, "no time"
    time.sleep(1.5)         # more than one a second is refused


def refused(name, family):
    """Turned round: it must fail. A name that may not be asked for, and a site beside an allowed one."""
    try:
        socket.getaddrinfo(f"secret{time.time_ns()}.attacker.example", 443)
    except OSError:
        pass
    else:
        raise AssertionError("a forbidden name was answered")
    context = ssl.create_default_context()
    address = addresses(name, family)[0]
    try:
        with socket.create_connection(address[:2], 3) as s:
            s.settimeout(3)
            context.wrap_socket(s, server_hostname="tenant.cdn.example").close()
    except OSError:
        return
    raise AssertionError("a site that is not allowed opened")


KINDS = {"page": page, "connect": connect, "keep": keep(), "ntp": ntp, "refused": refused}


def main():
    kind, name, family = *sys.argv[1:3], {"4": socket.AF_INET, "6": socket.AF_INET6}[sys.argv[3]]
    done, failed = 0, []
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        try:
            KINDS[kind](name, family)
            done += 1
        except (OSError, AssertionError) as e:
            failed.append(f"{time.strftime('%T')} {type(e).__name__} {e}")
    print(json.dumps({"done": done, "failed": failed}))


if __name__ == "__main__":
    main()
