# SPDX-License-Identifier: MIT
"""Across time and processes: old, passed and moved sockets, reload and expiry; and what comes in."""
import array
import os
import signal
import socket
import time

import craft
from table import attack

LIFE, INBOUND = "old, passed and moved sockets", "inbound"
NAME, KIND = ("connect", "address-not-allowed"), ("connect", "protocol-not-allowed")


@attack(LIFE, "a UDP socket connected before the guard was loaded", "cgroup", "protocol-not-allowed", early=True)
def old_connected_udp(t):
    s = t.socket()
    s.connect((t.to, t.port))
    yield "load"
    s.send(t.marker)


@attack(LIFE, "a TCP connection opened before the guard was loaded", "cgroup", "address-not-allowed", early=True)
def old_connection(t):
    s = t.connected(t.to, t.port)
    yield "load"
    s.send(t.marker)
    time.sleep(0.3)


@attack(LIFE, "a connection to a shared address, opened before the guard was loaded", "cgroup", "tls-incomplete",
        families=(4,), early=True)
def old_shared_connection(t):
    s = t.connected(t.shared, 443)
    yield "load"
    s.send(craft.hello(t.marker, craft.server_name("tenant.cdn.example")))
    time.sleep(0.3)


@attack(LIFE, "a listening socket from before the guard was loaded", "cgroup", "address-not-allowed", families=(4,),
        early=True, uplink="inbound-not-allowed")
def old_listener(t):
    s = socket.create_server(("", 3999))
    s.settimeout(1)
    yield "load"
    yield "tcp 3999"
    s.accept()[0].send(t.marker)


@attack(LIFE, "a socket of a process that was moved out of the guarded cgroup since", *KIND)
def moved_out(t):
    s = t.socket()
    yield "out"
    s.sendto(t.marker, (t.to, t.port))


@attack(LIFE, "a TCP socket of a process that was moved out", *NAME)
def moved_out_tcp(t):
    s = t.socket(socket.SOCK_STREAM)
    yield "out"
    s.connect((t.to, t.port))
    s.send(t.marker)


@attack(LIFE, "a new socket of a process that was moved in", *KIND, where="outside")
def moved_in(t):
    yield "in"
    t.socket().sendto(t.marker, (t.to, t.port))


@attack(LIFE, "a socket made in the guarded cgroup and passed to a process outside, which sends", *KIND)
def passed_out(t):
    s = t.socket()
    ours, theirs = socket.socketpair()
    socket.send_fds(ours, [b"x"], [s.fileno()])
    yield "out"
    fd = socket.recv_fds(theirs, 1, 1)[1][0]
    socket.socket(fileno=fd).sendto(t.marker, (t.to, t.port))


@attack(LIFE, "a socket made outside, in a process that was moved in", "", "", where="outside", families=(4,),
        uplink="protocol-not-allowed",
        leaves="a socket keeps the cgroup that it was made in: one from outside is not guarded, unless the guard is on "
               "the root")
def outside_socket(t):
    s = t.socket()
    yield "in"
    s.sendto(t.marker, (t.to, t.port))


@attack(LIFE, "a socket made outside and passed in (SCM_RIGHTS)", "", "", where="outside", families=(4,),
        uplink="protocol-not-allowed", leaves="the same: who hands out sockets must be guarded or trusted")
def passed_in(t):
    s = t.socket()
    ours, theirs = socket.socketpair()
    socket.send_fds(ours, [b"x"], [s.fileno()])
    s.close()
    yield "in"
    fd = socket.recv_fds(theirs, 1, 1)[1][0]
    socket.socket(fileno=fd).sendto(t.marker, (t.to, t.port))


def flood(t, once):
    """A child that repeats it as fast as it goes."""
    pid = os.fork()
    if pid:
        return pid
    while True:
        try:
            once()
        except OSError:
            pass


@attack(LIFE, "datagrams at full rate while the guard is reloaded again and again", *KIND, families=(4,))
def reload_udp(t):
    s = t.socket()
    pid = flood(t, lambda: s.sendto(t.marker, (t.to, t.port)))
    try:
        yield "reload"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@attack(LIFE, "connections at full rate while the guard is reloaded again and again", *NAME, families=(6,))
def reload_tcp(t):
    def once():
        with t.socket(socket.SOCK_STREAM) as s:
            s.connect((t.to, t.port))
    pid = flood(t, once)
    try:
        yield "reload"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@attack(LIFE, "a new connection when the address's time is over", *NAME, families=(4,))
def lapsed_new(t):
    yield "grant"
    t.connected(t.to, t.port).close()
    yield "lapse"
    t.connected(t.to, t.port).send(t.marker)


@attack(LIFE, "a connection that was allowed, when its grant's time is over", "cgroup", "address-not-allowed",
        families=(4,))
def lapsed_connection(t):
    yield "grant"
    s = t.connected(t.to, t.port)
    yield "lapse"
    s.send(t.marker)
    time.sleep(0.3)


@attack(LIFE, "a connection whose target was revoked", "cgroup", "address-not-allowed", families=(4,))
def revoked_connection(t):
    yield "grant"
    s = t.connected(t.to, t.port)
    yield "revoke"
    s.send(t.marker)
    time.sleep(0.3)


# ---- inbound ----

@attack(INBOUND, "a server on an inbound rule's port, for the attacker to connect to", "cgroup", "address-not-allowed",
        uplink="inbound-not-allowed")
def listen_22(t):
    yield from serve(t, 22)


@attack(INBOUND, "a server on the agent's own port (3000)", "cgroup", "address-not-allowed",
        uplink="inbound-not-allowed")
def listen_3000(t):
    yield from serve(t, 3000)


def serve(t, port):
    with socket.create_server(("", port), family=t.af, reuse_port=True) as s:
        s.settimeout(0.5)
        yield f"tcp {port}"
        s.accept()[0].send(t.marker)


@attack(INBOUND, "a datagram from the attacker, and the answer to it", "connect", "protocol-not-allowed")
def answer_udp(t):
    s = t.socket()
    s.bind(("", 3998))
    yield "udp 3998"
    s.settimeout(0.5)
    try:
        peer = s.recvfrom(2048)[1]
    except TimeoutError:
        peer = (t.to, 3998)     # dropped before it came here: answered all the same
    s.sendto(t.marker, peer[:2])


@attack(INBOUND, "a connection of our own from an inbound rule's port", *NAME)
def from_port_22(t):
    s = t.socket(socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", 22))
    s.connect((t.to, t.port))
    s.send(t.marker)


@attack(INBOUND, "the same from the agent's port, by fast open", *NAME)
def from_port_3000(t):
    s = t.socket(socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, 34, 1)
    s.bind(("", 3000))
    s.sendto(t.marker, 0x20000000, (t.to, t.port))


@attack(INBOUND, "a connection into the private network from an inbound rule's port", *NAME, families=(4,))
def from_port_22_private(t):
    s = t.socket(socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, 34, 1)
    s.bind(("", 22))
    s.sendto(t.marker, 0x20000000, ("10.0.0.10", 4444))


@attack(INBOUND, "a datagram from an inbound rule's port into the private network", *KIND, families=(4,))
def udp_port_22(t):
    s = t.socket()
    s.bind(("", 22))
    s.sendto(t.marker, ("10.0.0.10", 4444))
