#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Plays the VPC and the internet around virtual machines: `world.py WORK PACKAGES` makes two network namespaces, serves
in them until its standard input closes, and prints where they are: {"vpc": PID, "internet": PID}.

vpc: a tap device for each machine, the gateways, and what AWS serves in a VPC: DHCP, DNS, time, metadata. It forwards
nothing until rules are loaded there. internet: an archive with PACKAGES, a registry that has every image, sites that
must not be reached, and the addresses that visitors come from. Nothing of it leads anywhere else."""

import ctypes
import gzip
import hashlib
import io
import json
import os
import re
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
MACHINES = {  # name: address, gateway, hardware address
    "proxy": ("10.0.0.10", "10.0.0.1", "52:54:00:00:00:10"),
    "server-1": ("10.0.1.11", "10.0.1.1", "52:54:00:00:01:11"),
}
NAMES = ("api.openai.com", "archive.ubuntu.com", "security.ubuntu.com", "one.lab.example", "ghcr.io", "google.com",
         "github.com", "example.com", "pkg-containers.githubusercontent.com")
ADDRESSES = {name: f"203.0.113.{10 + i}" for i, name in enumerate(NAMES)}
VISITORS = ("203.0.113.6", "203.0.113.7")  # the operator's range, the last one is ours
RESOLVER, METADATA, CLOCK = "10.0.0.2", "169.254.169.254", "169.254.169.123"
CLONE_NEWNET, NTP_EPOCH = 0x40000000, 2208988800

libc = ctypes.CDLL(None, use_errno=True)


def run(*argv):
    subprocess.run(argv, check=True)


def ip(words):
    run("ip", *words.split())


def new_namespace():
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    ip("link set lo up")


def ntp(query):
    now = time.time() + NTP_EPOCH
    stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
    return struct.pack("!BBbbIII", 0x24, 1, 6, -20, 0, 0, 0x47505300) + stamp + query[40:48] + stamp + stamp


def serve_time():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((CLOCK, 123))
    while True:
        data, peer = s.recvfrom(2048)
        s.sendto(ntp(data), peer)


class Image:
    """One image under every name: a static busybox and a program with what of the agent server's API the delivered
    scripts ask for, which tells what it was given. It runs as a user, as the real one does."""

    def __init__(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name in ("bin", "tmp", "etc", "var", "var/run", "projects", "home"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                tar.addfile(folder)
            users = b"root:x:0:0::/:/bin/sh\nopenhands:x:10001:10001::/home:/bin/sh\n"
            groups = b"root:x:0:\nopenhands:x:10001:\n"
            for name, data in (("bin/busybox", Path("/bin/busybox").read_bytes()),
                               ("answer", (HERE / "agent.sh").read_bytes()), ("etc/passwd", users),
                               ("etc/group", groups)):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o755
                tar.addfile(entry, io.BytesIO(data))
            for name in ("sh", "test", "cut", "tr", "head", "tail", "sha1sum", "sha256sum", "base64", "xxd", "wget",
                         "timeout", "ssl_client", "sed", "touch", "chown"):
                link = tarfile.TarInfo("bin/" + name)
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        self.blobs = {}
        layer = self.add(gzip.compress(out.getvalue(), mtime=0))
        unpacked = "sha256:" + hashlib.sha256(out.getvalue()).hexdigest()
        config = self.add(json.dumps({
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [unpacked]},
            "config": {"Entrypoint": ["/bin/busybox", "nc", "-ll", "-p", "3000", "-e", "/answer"],
                       "Env": ["PATH=/bin"],
                       "User": "openhands"}}).encode())
        kind = "application/vnd.docker."
        config["mediaType"], layer["mediaType"] = kind + "container.image.v1+json", kind + "image.rootfs.diff.tar.gzip"
        self.type = kind + "distribution.manifest.v2+json"
        manifest = {"schemaVersion": 2, "mediaType": self.type, "config": config, "layers": [layer]}
        self.manifest = json.dumps(manifest).encode()
        self.digest = self.add(self.manifest)["digest"]

    def add(self, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return {"size": len(data), "digest": digest}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, data, kind="text/plain", status=200, **headers):
        self.send_response(status)
        for key, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, form, *words):
        with open(self.server.log, "a") as log:
            log.write(f"{self.headers.get('Host') if hasattr(self, 'headers') else ''} {form % words}\n")


class Site(Handler):
    packages = image = None

    def archive(self, path):
        path = path.removeprefix("/ubuntu/")
        if re.fullmatch("dists/[a-z]+/main/binary-amd64/Packages", path):  # not those of -updates and so on
            path = "Packages"
        file = self.packages / path
        if file.is_file() and (path == "Packages" or file.parent == self.packages / "pool"):
            self.reply(file.read_bytes(), "application/octet-stream")
        elif path.endswith(("/Packages", "/Sources", "/Translation-en")):
            self.reply(b"")  # the suites that it has besides
        else:
            self.reply(b"", status=404)

    def registry(self, path):
        words = path.split("/")
        if path == "/v2/":
            self.reply(b"{}", "application/json")
        elif "manifests" in words:
            self.reply(self.image.manifest, self.image.type, Docker_Content_Digest=self.image.digest)
        elif words[-1] in self.image.blobs:
            self.reply(self.image.blobs[words[-1]], "application/octet-stream")
        else:
            self.reply(b"", status=404)

    def do_GET(self):
        host = (self.headers.get("Host") or "").split(":")[0]
        path = urllib.parse.unquote(self.path)
        if host.endswith("ubuntu.com"):
            self.archive(path)
        elif host == "ghcr.io":
            self.registry(path)
        else:
            self.reply(f"{host} {path}\n".encode())

    do_HEAD = do_GET


class Metadata(Handler):
    """Version 2 of the metadata service, for the instances in WORK/instances.json: by address, {instance-id, ...}."""

    TOKEN = b"a-token"

    def do_PUT(self):
        if self.path.endswith("/api/token"):
            self.reply(self.TOKEN, X_aws_ec2_metadata_token_ttl_seconds="21600")
        else:
            self.reply(b"", status=403)

    def do_GET(self):
        if self.headers.get("X-aws-ec2-metadata-token", "").encode() != self.TOKEN:
            return self.reply(b"", status=401)
        mine = json.loads(self.server.instances.read_text())[self.client_address[0]]
        tree = {
            "meta-data": "instance-id\nlocal-ipv4\nlocal-hostname\npublic-keys/", "meta-data/instance-id": mine["id"],
            "meta-data/local-ipv4": self.client_address[0], "meta-data/local-hostname": mine["id"],
            "meta-data/public-keys": "0=key", "meta-data/public-keys/0/openssh-key": mine["key"],
            "dynamic/instance-identity": "document", "user-data": mine["user-data"],
            "dynamic/instance-identity/document": json.dumps({"instanceId": mine["id"], "region": "us-east-1"}),
        }
        path = self.path.strip("/").partition("/")[2]
        self.reply(tree.get(path, "").encode(), status=200 if path in tree else 404)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address, handler, work, tls=None):
        super().__init__(address, handler)
        self.tls, self.log, self.instances = tls, work / "world.log", work / "instances.json"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # HTTPServer's would look up its own name, where nobody answers
        self.server_name, self.server_port = self.server_address

    def finish_request(self, request, address):
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, address)

    def handle_error(self, request, address):
        pass  # a visitor that was cut off


def serve_internet(work, packages):
    Site.packages, Site.image = packages, Image()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(work / "site.pem", work / "site.key")
    tls.set_ciphers("ALL:@SECLEVEL=0")  # busybox knows few
    return [Server((address, 80), Site, work) for address in ADDRESSES.values()] + [
        Server((address, 443), Site, work, tls) for address in (*ADDRESSES.values(), "1.1.1.1")]


def make_vpc(work, other):
    ip(f"link add up0 type veth peer name vpc0 netns {other}")
    ip("address add 192.0.2.2/30 dev up0")
    ip("link set up0 up")
    for name, (_, gateway, _) in MACHINES.items():
        ip(f"tuntap add {name} mode tap")
        ip(f"address add {gateway}/24 dev {name}")
        ip(f"link set {name} up")
    for address in (RESOLVER, METADATA, CLOCK):
        ip(f"address add {address}/32 dev lo")
    ip("route add default via 192.0.2.1")
    run("nft", "add table ip vpc; add chain ip vpc forward { type filter hook forward priority 0; policy drop; }")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    names = [f"--address=/{name}/{address}" for name, address in ADDRESSES.items()]
    machines = [f"--dhcp-host={mac},{address}" for address, _, mac in MACHINES.values()]
    ranges = ["--dhcp-range=10.0.0.0,static,255.255.255.0", "--dhcp-range=10.0.1.0,static,255.255.255.0"]
    dnsmasq = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--address=/#/",
               "--pid-file=", "--user=root", "--log-facility=" + str(work / "dnsmasq.log"), "--log-queries",
               "--local-ttl=60", f"--dhcp-option=option:dns-server,{RESOLVER}", f"--dhcp-leasefile={work}/leases"]
    threading.Thread(target=serve_time, daemon=True).start()
    return Server((METADATA, 80), Metadata, work), subprocess.Popen(dnsmasq + names + machines + ranges)


def make_internet():
    ip("address add 192.0.2.1/30 dev vpc0")
    ip("link set vpc0 up")
    for address in (*VISITORS, *ADDRESSES.values(), "8.8.8.8", "1.1.1.1"):
        ip(f"address add {address}/32 dev lo")
    # To the private addresses too: that they cannot be reached from here must be the doing of the VPC's rules.
    ip(f"route add default via 192.0.2.2 src {VISITORS[-1]}")


def main():
    work, packages = Path(sys.argv[1]), Path(sys.argv[2])
    new_namespace()
    read_end, write_end = os.pipe()
    # ends with this process, however it ends: dnsmasq changes its user, and so loses a death signal
    alive, held = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if not child:
        os.close(held)
        new_namespace()
        keep, dnsmasq = make_vpc(work, parent)
        os.write(write_end, b"1")
        os.read(alive, 1)
        dnsmasq.kill()
        del keep
        os._exit(0)
    os.close(write_end)
    if not os.read(read_end, 1):
        sys.exit("world: no VPC")
    make_internet()
    keep = serve_internet(work, packages)
    print(json.dumps({"vpc": child, "internet": parent}), flush=True)
    sys.stdin.read()
    del keep


if __name__ == "__main__":
    main()
