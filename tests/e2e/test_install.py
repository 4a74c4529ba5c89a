# SPDX-License-Identifier: MIT
"""make install and uninstall, in a root of their own."""
import subprocess
from pathlib import Path

import pytest

from guard import BINARY

ROOT = Path(__file__).resolve().parents[2]
SBIN, UNITS, MAN, DOC = "sbin/ohguard", "lib/systemd/system", "share/man", "share/doc/ohguard"
SERVICES = [p.name.removesuffix(".in") for p in (ROOT / "systemd").glob("*.service.in")]
TIMERS = [p.name for p in (ROOT / "systemd").glob("*.timer")]
FILES = {SBIN: 0o755, **{f"{UNITS}/{s}": 0o644 for s in (*SERVICES, *TIMERS)},
         "lib/udev/rules.d/90-ohguard.rules": 0o644, f"{MAN}/man8/ohguard.8": 0o644,
         f"{MAN}/man5/ohguard.conf.5": 0o644, f"{DOC}/README.md": 0o644,
         "share/bash-completion/completions/ohguard": 0o644, "share/zsh/vendor-completions/_ohguard": 0o644,
         "share/fish/vendor_completions.d/ohguard.fish": 0o644}
CONF = "etc/ohguard/ohguard.conf"
PROFILE = "etc/apparmor.d/ohguard"


def make(target, root, prefix):
    subprocess.run(["make", "-s", target, f"DESTDIR={root}", f"PREFIX={prefix}"], cwd=ROOT, check=True,
                   capture_output=True)


def files(root):
    return {str(p.relative_to(root)): p.stat().st_mode & 0o7777 for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local"])
def test_install_puts_all_in_place_and_uninstall_takes_it_away(tmp_path, prefix):
    make("install", tmp_path, prefix)
    below = prefix.lstrip("/")
    assert files(tmp_path) == {f"{below}/{name}": mode for name, mode in FILES.items()} | \
        {CONF: 0o644, PROFILE: 0o644}
    assert f"\n  {prefix}/{SBIN} mrix,\n" in (tmp_path / PROFILE).read_text()
    for unit in SERVICES:
        text = (tmp_path / below / UNITS / unit).read_text()
        assert "@SBINDIR@" not in text
        of_prefix = f"ExecStart={prefix}/{SBIN} " in text
        assert of_prefix or unit == "ohguard-gate.service", "whatever PREFIX it was built with"
    (tmp_path / CONF).write_text("; mine\n")
    make("install", tmp_path, prefix)
    assert (tmp_path / CONF).read_text() == "; mine\n"
    make("uninstall", tmp_path, prefix)
    make("uninstall", tmp_path, prefix)
    assert files(tmp_path) == {CONF: 0o644} and not (tmp_path / below / DOC).exists()


def test_leaving_refuses_while_loaded_or_unloads_when_told(guard):
    """What `make uninstall` does before it removes anything."""
    guard.load()
    leave = [ROOT / "scripts/leave", BINARY]
    r = guard.lab.server.run(leave)
    assert r.returncode == 1 and "host is loaded" in r.stderr and "UNLOAD=1" in r.stderr, r.stderr
    guard.assert_stands()
    r = guard.lab.server.run([*leave, "1"])
    assert r.returncode == 0, r.stderr
    assert guard.run("status").returncode == 3
    assert guard.lab.server.run(leave).returncode == 0
