# SPDX-License-Identifier: MIT
"""Completion in real shells: what is typed, a tab, and the line that is there then."""
import shlex

import pytest

from guard import BINARY, DONE, REPO

FILES = REPO / "completions"
TARGETS = ("github.com", "docs.example:8443")
# What each becomes, up to the space that a shell puts after a whole word.
CASES = [
    ("ohguard sugg", "ohguard suggest"),
    ("ohguard help unlo", "ohguard help unlo"),         # two begin so: unload, unlock
    ("ohguard load --upl", "ohguard load --uplink"),
    ("ohguard load --uplink au", "ohguard load --uplink auto"),
    ("ohguard load --uplink=au", "ohguard load --uplink=auto"),
    ("ohguard list --name ho", "ohguard list --name host"),
    ("ohguard aws dest", "ohguard aws destroy"),
    ("ohguard revoke git", "ohguard revoke github.com:443"),
    ("ohguard revoke docs.example:8", "ohguard revoke docs.example:8443"),
    ("ohguard config --check /etc/host-", "ohguard config --check /etc/host-file"),
]
SHELLS = {
    "bash": (["bash", "--norc", "-i"], f"source {FILES}/ohguard.bash; PS1='$''> '; bind 'set bell-style none'"),
    "zsh": (["zsh", "-f", "-i"], f"fpath=({FILES} $fpath); autoload -U compinit; compinit -D -u; "
                                 "unsetopt beep listbeep; bindkey -e; PROMPT='$''> '"),
}


@pytest.fixture
def loaded(guard):
    guard.conf(allow=TARGETS)
    guard.shell("touch /etc/host-file")
    guard.ok("load", "--no-resolve")
    yield guard
    guard.shell("rm /etc/host-file")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_completes_the_word(loaded, terminal, shell):
    argv, set_up = SHELLS[shell]
    t = terminal("env", f"PATH={BINARY.rpartition('/')[0]}:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb",
                 "COLUMNS=200", *argv)
    t.type(set_up + "\n")
    t.wait_for("$> ")
    for typed, whole in CASES:
        # the line itself is then printed: ^A and ^E lead to its ends
        t.type(f"{typed}\t\x01echo '[\x05]'\n")
        t.wait_for("\n[")
        assert t.wait_for("]").rstrip() == whole
        t.wait_for("$> ")
    t.type("exit\n")


def test_fish_completes_with_descriptions(loaded):
    for typed, whole in CASES:
        script = (f"set PATH {BINARY.rpartition('/')[0]} $PATH; source {FILES}/ohguard.fish; "
                  f"complete -C {shlex.quote(typed)}")
        r = loaded.shell(f"fish -N -c {shlex.quote(script)}")
        said = [line.partition("\t") for line in r.stdout.splitlines()]
        words = [word for word, _, _ in said]
        if whole == typed:
            assert words == ["unload", "unlock"]
            assert said[0][2] == "detach and remove everything"
        else:
            assert words == [whole.split()[-1]], (typed, r.stderr)


def test_nothing_is_offered_where_nothing_is_known(guard):
    """No guard is loaded, an option does not exist, the words are another program's."""
    for words in (["revoke", ""], ["load", "--nothing-like-it"], ["run", "--", "ls", "--"], ["no-such", ""],
                  ["list", ""]):
        r = guard.run("complete", *words)
        assert (r.returncode, r.stdout, r.stderr) == (DONE, "", ""), words
