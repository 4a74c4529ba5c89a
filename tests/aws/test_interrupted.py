# SPDX-License-Identifier: MIT
"""Killed or interrupted anywhere, the next run goes on from there."""
import signal
import subprocess
import time

from conftest import PROGRAM
from network import changes, check_all, destroy, everything

# The program is killed once each call has taken effect, which is also "before the next one": every creation, and the
# first of every other kind that changes something. Some are killed before they start too, in case nothing came first.
# A call is known by its words without the ids and times in them.
KILL_BEFORE = r"""
case "$2" in describe-*|get-*) ;; create-network-acl-entry|authorize-*|revoke-*|modify-*|create-route) id=$2 ;;
	*) [ "$1" = --version ] ||
		id=$(printf '%s ' "$@" | sed 's/[a-z]*-[0-9a-f]\{17\}//g; s/until 20[^ ]*//' | md5sum | cut -c 1-12) ;;
esac
case "$2" in create-subnet|create-nat-gateway|run-instances|create-key-pair|associate-address|\
	terminate-instances|delete-vpc)
	if [ ! -e FOLDER/before-$2 ]; then touch FOLDER/before-$2; kill -9 $PPID; exit 1; fi ;;
esac
"""
KILL_AFTER = """
if [ -n "$id" ] && [ ! -e FOLDER/after-$id ]; then
	touch FOLDER/after-$id; echo "$2" >>FOLDER/killed; kill -9 $PPID
fi
"""


def until_done(run):
    """Runs it again as often as it was killed; how often that was."""
    for killed in range(90):
        done = run()
        if done.returncode == 0:
            return killed
        assert done.returncode == -9, done.stderr
    raise AssertionError("never ends")


def test_interrupted_at_every_step_converges(stack):
    stack.wrap(KILL_BEFORE.replace("FOLDER", str(stack.folder)), KILL_AFTER.replace("FOLDER", str(stack.folder)))
    assert until_done(stack.apply) >= 30
    stack.wrap("")
    check_all(stack)
    assert changes(stack) == []
    stack.wrap(KILL_BEFORE.replace("FOLDER", str(stack.folder)), KILL_AFTER.replace("FOLDER", str(stack.folder)))
    assert until_done(lambda: stack.run("destroy", "--confirm", stack.name, "--wait", "5")) >= 12
    assert everything(stack) == []
    # What was killed after is all that changes something.
    killed = set((stack.folder / "killed").read_text().split())
    assert {c.split()[1] for c in stack.mutations()} == killed


def test_interrupt_lets_the_call_finish_and_stops(stack):
    stack.wrap("", f'if [ "$2" = create-vpc ]; then touch {stack.folder}/made; sleep 3; fi')
    program = subprocess.Popen([str(PROGRAM), "aws", "apply", "--yes", "--no-deliver", "-c", str(stack.config)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=stack.env)
    while program.poll() is None and not (stack.folder / "made").exists():
        time.sleep(0.1)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=120)
    assert program.returncode == 1 and said.splitlines()[-1].startswith("ohguard: interrupted")
    assert len(stack.mine("describe-vpcs", "Vpcs")) == 1
    assert [c.split()[1] for c in stack.mutations()] == ["create-vpc", "delete-tags"]  # the lock is given back
    destroy(stack)
