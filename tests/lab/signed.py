# SPDX-License-Identifier: MIT
"""Signed zones from the root down, with a real server (named) that answers for all of them, as a public resolver that
has them in its cache does."""
ADDRESS = "203.0.113.53"        # in the lab's internet, where nothing else listens on port 53
# Each zone's records; what delegates to the zones below, and vouches for their keys, is added.
ZONES = {
    "example": "", "com": "", "net": "",
    "lab.example": "direct A 203.0.113.10\nalias CNAME one.cdn.net.\nchain CNAME edge.openai.com.\n",
    "openai.com": "api 7200 A 203.0.113.10\napi 7200 AAAA 2001:db8:10::10\nedge CNAME one.cdn.net.\n",
    "cdn.net": "one 60 A 203.0.113.11\ntwo 60 A 203.0.113.12\n",
    ".": "ns. A 203.0.113.53\n",
}
CONF = """options {{
    directory "{dir}"; listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none;
    recursion yes; allow-recursion {{ any; }}; dnssec-validation no; empty-zones-enable no; querylog yes;
    managed-keys-directory "{dir}";
}};
controls {{ }};
"""


def is_below(zone, name):
    return zone != name and (name == "." or zone.endswith("." + name))


def sign(folder, host):
    """Makes and signs the zones by programs of the host, those at the bottom first. The root's key is in the file
    `anchor`."""
    for zone in sorted(ZONES, key=lambda z: -len(z.strip(".").split(".")) if z != "." else 1):
        name = zone.rstrip(".")
        lines = [f"$ORIGIN {name}.", "$TTL 300", "@ SOA ns. h. 1 600 600 86400 60", "@ NS ns."]
        for below in ZONES:
            parents = [z for z in ZONES if is_below(below, z)]
            if parents and max(parents, key=len) == zone:
                lines += [f"{below}. NS ns.", (folder / f"dsset-{below}.").read_text()]
        (folder / f"{name}.zone").write_text("\n".join(lines) + "\n" + ZONES[zone])
        for argv in (["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone],
                     ["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", zone],
                     ["dnssec-signzone", "-q", "-S", "-x", "-o", zone, "-f", f"{name}.signed", f"{name}.zone"]):
            host.run(argv, cwd=folder, check=True)
    key = next(k for k in folder.glob("K.+*.key") if " 257 " in k.read_text())
    (folder / "anchor").write_text([line for line in key.read_text().splitlines() if line[0] != ";"][0] + "\n")


def key_of_anchor(folder):
    """The root's key as named's trust-anchors want it."""
    return "".join((folder / "anchor").read_text().split(" DNSKEY 257 3 13 ")[1].split())


def command(folder, host):
    """Signs the zones: the argv of their server, for a host that has ADDRESS."""
    sign(folder, host)
    zones = "".join(f'zone "{z}" {{ type primary; file "{z.rstrip(".")}.signed"; }};\n' for z in ZONES)
    (folder / "named.conf").write_text(CONF.format(dir=folder, address=ADDRESS) + zones)
    return ["named", "-g", "-n", "1", "-c", folder / "named.conf"]


def asked(folder):
    """What the server was asked, as "NAME TYPE", oldest first."""
    queries = (line.split(" query: ")[1].split() for line in (folder / "named.log").read_text().splitlines()
               if " query: " in line)
    return [f"{name} {kind}" for name, _, kind, *_ in queries]
