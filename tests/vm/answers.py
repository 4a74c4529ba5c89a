# SPDX-License-Identifier: MIT
"""Names on a whole machine, beyond tests/lab.

usage: answers.py internet INTERFACE MAC | ask FAMILY NAME | absent NAME | hello ADDRESS NAME

internet: its resolver, behind INTERFACE. The answers go to MAC by a packet socket that is older than the guard, since
its process is guarded too. It prints what it is asked and what comes over TCP, also on 443, which it does not answer.
ask: a VM's query, which no socket of this machine sends: by a TUN device; prints the response code. absent: whether
the C library says "no such name". hello: whether a TLS hello with that name ends with a reset.
"""
import fcntl
import ipaddress
import os
import select
import socket
import ssl
import struct
import subprocess
import sys

OURS = {4: ipaddress.ip_address("192.0.2.2"), 6: ipaddress.ip_address("fd02::2")}
GUEST = {4: ipaddress.ip_address("10.32.0.2"), 6: ipaddress.ip_address("fd32::2")}
KNOWN = "site.example"


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data)) if len(data) % 2 == 0 else None
    if total is None:
        return checksum(data + b"\0")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def datagram(source, destination, sport, dport, data):
    ends = source.packed + destination.packed
    udp = struct.pack("!4H", sport, dport, 8 + len(data), 0) + data
    udp = udp[:6] + checksum(ends + struct.pack("!HH", 17, len(udp)) + udp).to_bytes(2, "big") + udp[8:]
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + ends + udp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends
    return ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:] + udp


def question(name, kind):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return labels + struct.pack("!BHH", 0, kind, 1)


def name_of(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), query[12:at + 5]


def answer(query):
    name, asked = name_of(query)
    known = name == KNOWN and asked[-4:] == b"\0\1\0\1"
    head = query[:2] + struct.pack("!5H", 0x8180, 1, known, 0, 0)
    return name, head + asked + (b"\xc0\x0c\0\1\0\1\0\0\2\x58\0\4" + OURS[4].packed if known else b"")


def internet(interface, mac):
    out = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    sockets = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
    for s, own in zip(sockets, OURS.values()):
        s.bind((str(own), 53))
    listening = [socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) for port in (53, 443)]
    print("ready", flush=True)
    while True:
        for s in select.select([*sockets, *listening], [], [])[0]:
            if s in listening:
                sockets.append(s.accept()[0])
            elif s.type == socket.SOCK_STREAM:
                try:
                    data = s.recv(4096)
                except ConnectionResetError:
                    data = b""
                print("tcp", data, flush=True)
                if not data:
                    sockets.remove(s)
            else:
                query, who = s.recvfrom(4096)
                name, reply = answer(query)
                print(name, flush=True)
                to = ipaddress.ip_address(who[0])
                link = (interface, 0x0800 if to.version == 4 else 0x86DD, 0, 0, bytes.fromhex(mac.replace(":", "")))
                out.sendto(datagram(OURS[to.version], to, 53, who[1], reply), link)


def ask(family, name):
    version = int(family)
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"vm0", 0x1001))   # TUNSETIFF: IFF_TUN, IFF_NO_PI
    subprocess.run(["ip", "-batch", "-"], check=True, text=True,
                   input="link set vm0 up\naddr add 10.32.0.1/24 dev vm0\naddr add fd32::1/64 dev vm0 nodad\n")
    query = struct.pack("!6H", 4242, 0x0100, 1, 0, 0, 0) + question(name, 1)
    os.write(tun, datagram(GUEST[version], OURS[version], 4000, 53, query))
    header = 28 if version == 4 else 48
    while select.select([tun], [], [], 20)[0]:
        got = os.read(tun, 4096)
        if got[0] >> 4 == version and got[header:header + 2] == query[:2]:
            print(got[header + 3] & 15)
            return 0
    print("silence")
    return 1


def absent(name):
    try:
        socket.getaddrinfo(name, 443)
    except socket.gaierror as e:
        print(e)
        return e.errno != socket.EAI_NONAME
    return 1


def hello(address, name):
    context = ssl.create_default_context()
    try:
        with socket.create_connection((address, 443), 20) as s:
            context.wrap_socket(s, server_hostname=name)
    except ConnectionResetError:
        return 0
    except OSError as e:
        print(e)
    return 1


COMMANDS = {"internet": internet, "ask": ask, "absent": absent, "hello": hello}
sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]))
