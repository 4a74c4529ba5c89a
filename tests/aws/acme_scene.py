# SPDX-License-Identifier: MIT
"""Run by test_proxy.py in namespaces of its own (network and mounts): the proxy's own set-up script with a domain, real
nginx, certbot and an ACME server (Debian's pebble) that looks for the domain by a real DNS server. What would change a
machine is played: apt-get and ufw do nothing, systemctl starts what it is told to. Prints what a visitor saw at each
stage as JSON."""
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

from scene import overlay, write

folder = pathlib.Path(sys.argv[1])
DOMAIN = "agent.example.com"
# As systemd would: nginx reads its files again, the certificate's unit ends in its own time.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>{folder}/systemctl.log
case "$*" in
	"reload-or-restart nginx") nginx ;;
	"reload nginx") nginx -s reload ;;
	*--no-block*ohguard-certificate.service) /usr/local/sbin/ohguard-certificate >{folder}/first.log 2>&1; exit 0 ;;
	*ohguard-certificate.service) exec /usr/local/sbin/ohguard-certificate >{folder}/certificate.log 2>&1 ;;
esac
"""


def place():
    """What is delivered to the proxy, and where certbot finds its server."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for path in ("/etc", "/usr/local", "/var"):
        overlay(folder, path)
    shutil.rmtree("/etc/nginx/sites-enabled")
    os.mkdir("/etc/nginx/sites-enabled")
    for name in ("apt-get", "ufw"):
        write(folder / "tools" / name, "#!/bin/sh\n")
    write(folder / "tools/systemctl", SYSTEMCTL.format(folder=folder))
    write("/etc/letsencrypt/cli.ini", "server = https://localhost:14000/dir\n")
    os.environ.update(PATH=f"{folder}/tools:{os.environ['PATH']}", REQUESTS_CA_BUNDLE=str(folder / "pebble.pem"),
                      PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT="0")


def dns(address):
    """The domain leads there."""
    return subprocess.Popen(["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                             "--port=8053", "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file",
                             f"--host-record={DOMAIN},{address}"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def acme():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                    folder / "pebble.key", "-out", folder / "pebble.pem"], check=True, capture_output=True)
    write(folder / "pebble.json", json.dumps({"pebble": {
        "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
        "certificate": str(folder / "pebble.pem"), "privateKey": str(folder / "pebble.key"), "httpPort": 80,
        "tlsPort": 443}}))
    with open(folder / "pebble.log", "w") as log:
        server = subprocess.Popen(["pebble", "-config", folder / "pebble.json", "-dnsserver", "127.0.0.1:8053"],
                                  stdout=log, stderr=log)
    told = ssl.create_default_context(cafile=folder / "pebble.pem")

    def roots():
        said = urllib.request.urlopen("https://localhost:15000/roots/0", context=told).read().decode()
        write(folder / "roots.pem", said)
        return True
    until(roots)
    return server


def until(what):
    for _ in range(150):
        try:
            if found := what():
                return found
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("never")


def certificate():
    """Its serial number where the domain's visitors trust it, or why they do not."""
    trust = ssl.create_default_context(cafile=folder / "roots.pem")
    with socket.create_connection(("127.0.0.1", 443), timeout=10) as s:
        try:
            with trust.wrap_socket(s, server_hostname=DOMAIN) as t:
                return t.getpeercert()["serialNumber"]
        except ssl.SSLCertVerificationError as e:
            return e.verify_message


def main():
    place()
    server, names = acme(), dns("192.0.2.9")
    seen = {}
    try:
        # A name that leads elsewhere: the unit fails, and is started again later.
        seen["setup"] = subprocess.run(["bash", folder / "proxy-setup"]).returncode
        until(lambda: socket.create_connection(("127.0.0.1", 443), timeout=1))
        seen["elsewhere"] = certificate()
        names.kill()
        names.wait()
        names = dns("127.0.0.1")
        seen["unit"] = subprocess.run(["systemctl", "start", "ohguard-certificate.service"]).returncode
        seen["trusted"] = until(lambda: (c := certificate()) != seen["elsewhere"] and c)
        seen["files"] = [os.readlink(f"/etc/ohguard/tls/{n}.pem") for n in ("certificate", "key")]
        seen["again"] = subprocess.run(["systemctl", "start", "ohguard-certificate.service"]).returncode
        seen["kept"] = certificate()
        # As certbot's own timer does, when it is time.
        subprocess.run(["certbot", "-q", "renew", "--force-renewal", "--no-random-sleep-on-renew"], check=True)
        seen["renewed"] = until(lambda: (c := certificate()) != seen["trusted"] and c)
        asked = "".join(p.read_text() for p in pathlib.Path("/var/log/letsencrypt").iterdir())
        seen["contact"] = '"mailto:ops@example.com"' in asked
        seen["first"] = (folder / "first.log").read_text()
        print(json.dumps(seen))
    except BaseException:
        for log in ("first.log", "certificate.log", "pebble.log", "systemctl.log"):
            if (folder / log).exists():
                sys.stderr.write(f"-- {log}\n" + (folder / log).read_text()[-3000:])
        raise
    finally:
        for process in (server, names):
            process.kill()
            process.wait()
        subprocess.run(["nginx", "-s", "stop"], stderr=subprocess.DEVNULL)


main()
