# SPDX-License-Identifier: MIT
"""`ohguard report` writes one page, which a real browser shows."""
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from guard import FAILED, FORBIDDEN, NOT_LOADED, poll, serving

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium: scripts/deps check installs it")


def chromium(folder, *args):
    r = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile",
                        "--hide-scrollbars", *args, f"file://{folder}/report.html"], capture_output=True, timeout=120)
    assert r.returncode == 0, r.stderr.decode()
    return r.stdout.decode()


def size(png):
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


@pytest.fixture
def page(guard, tmp_path):
    guard.load()
    with serving(guard):
        for name in ("google.com", "github.com", "a.very.long.name.that.has.to.wrap.on.a.phone.example.com"):
            guard.curl(f"https://{name}")
        guard.probe("udp", *FORBIDDEN)
        guard.python("import socket\nopen('/proc/self/comm', 'wb').write(b'<b>&\"\\x1b[2J')\n"
                     "try: socket.create_connection(('203.0.113.66', 80), 2)\nexcept PermissionError: pass")
        poll(lambda: all(what in guard.ok("events").stdout for what in ("203.0.113.66", "google.com")), "it all")
        guard.ok("report", "/run/report.html")
        (tmp_path / "report.html").write_text(guard.shell("cat /run/report.html; rm /run/report.html").stdout)
    return tmp_path


def test_page_opens_in_a_browser(page):
    text = (page / "report.html").read_text()
    assert not re.search(r"<script|<link|src=|url\(|https?:|@import", text), "nothing from elsewhere"
    assert "\x1b" not in text and "<b>&\"" not in text
    dom = chromium(page, "--dump-dom")
    assert "google.com" in dom and "203.0.113.66" in dom and "never used" in dom and "&lt;b&gt;&amp;" in dom
    assert "dns-name-not-allowed" in dom and re.search(r"<svg.*<rect", dom, re.S)
    for name, width, more in (("wide", 1200, ()), ("phone", 500, ()), ("dark", 1200, ("--force-dark-mode",))):
        shot = page / f"{name}.png"
        chromium(page, f"--window-size={width},1600", f"--screenshot={shot}", *more)
        assert size(shot) == (width, 1600)


def test_page_begins_with_its_first_refusal_and_ranks_reasons(page):
    text = (page / "report.html").read_text()
    begin, end = re.search(r"<p class=.soft.>(\S+ \S+) UTC to (\S+ \S+) UTC</p>", text).groups()
    assert (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).days < 1, "a week would be one column"
    reasons = [int(n) for n in re.findall(r"<b>(\d+)</b>", text.split("By reason")[1].split("</section>")[0])]
    assert len(reasons) > 1 and reasons == sorted(reasons, reverse=True)


def test_page_needs_a_guard_and_a_place(guard):
    assert guard.run("report", "/run/x.html").returncode == NOT_LOADED
    guard.load()
    assert guard.run("report").returncode == 2
    assert guard.run("report", "/nowhere/x.html").returncode == FAILED
