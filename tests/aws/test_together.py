# SPDX-License-Identifier: MIT
"""Two people at one stack: a lock in a tag of its VPC."""
import json
import re
import signal
import subprocess
import threading
import time

import pytest

from conftest import PROGRAM, Stack
from network import called, changes, check_all, destroy, everything


class Person(Stack):
    def __init__(self, folder, url, client, user, name=None):
        folder.mkdir()
        super().__init__(folder, url, client)
        self.user = user
        self.env["USER"] = user
        if name:
            self.name = name
            self.write()

    def locks(self):
        return {t["Key"]: t["Value"] for vpc in self.mine("describe-vpcs", "Vpcs") for t in vpc["Tags"]
                if t["Key"].startswith("ohguard:lock:")}

    def began(self, *args):
        return subprocess.Popen([str(PROGRAM), "aws", args[0], "-c", str(self.config), *args[1:]],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.env)


def wait_for(what):
    for _ in range(600):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("never came")


@pytest.fixture(scope="module")
def two(tmp_path_factory, moto, aws_client):
    folder = tmp_path_factory.mktemp("together")
    alice = Person(folder / "alice", moto, aws_client, "alice")
    return alice, Person(folder / "bob", moto, aws_client, "bob", alice.name)


def test_two_first_applies_make_one_vpc(two):
    """Neither sees a VPC of the other before both are made."""
    folder = two[0].folder.parent

    def meet(person, place):
        return f"""if [ "$2" = create-vpc ] && [ ! -e {folder}/{place}-{person.user} ]; then
	touch {folder}/{place}-{person.user}
	while [ ! -e {folder}/{place}-alice ] || [ ! -e {folder}/{place}-bob ]; do sleep 0.1; done; fi"""
    for person in two:
        person.wrap(meet(person, "at"), meet(person, "after"))
    done = {}
    threads = [threading.Thread(target=lambda p=p: done.update({p.user: p.apply()})) for p in two]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(d.returncode for d in done.values()) == [0, 1], [d.stderr for d in done.values()]
    winner = next(p for p in two if done[p.user].returncode == 0)
    loser = next(p for p in two if p is not winner)
    assert f"{winner.user}@" in done[loser.user].stderr.splitlines()[-1]
    assert sum(" create-vpc " in c for p in two for c in p.mutations()) >= 2
    assert "ours goes" in done[loser.user].stderr
    assert not any(c.split()[1] not in ("create-vpc", "delete-vpc", "create-tags", "delete-tags")
                   for c in loser.mutations())
    check_all(winner)
    assert changes(winner) == [] and winner.locks() == {}
    for person in two:
        person.wrap("")
    # The key that the winner's folder has.
    for person in two:
        (person.state / "aws" / person.name).mkdir(parents=True, exist_ok=True)
    key = (winner.state / "aws" / winner.name / "key.pem").read_text()
    (loser.state / "aws" / loser.name / "key.pem").write_text(key)


def test_second_is_told_who_is_at_work_and_changes_nothing(two):
    alice, bob = two
    go = alice.folder / "go"
    alice.wrap(f"[ \"$2\" != stop-instances ] || while [ ! -e {go} ]; do sleep 0.1; done")
    working = alice.began("stop")
    wait_for(lambda: alice.calls.exists() and " stop-instances " in alice.calls.read_text())
    before = len(bob.mutations())
    told = re.compile(r"^ohguard: alice@\S+ until 20\S+Z: changes stack \S+ just now: .*--force$")
    for words in (["stop"], ["start"], ["apply", "--yes"], ["destroy", "--confirm", bob.name], ["update"]):
        assert told.match(bob.run(*words, check=1).stderr.splitlines()[-1]), words
    assert len(bob.mutations()) == before
    assert "Changed just now by alice@" in bob.run("status", check=0).stdout
    assert json.loads(bob.run("status", "--json", check=0).stdout)["lock"].startswith("alice@")
    bob.run("plan", check=0)
    go.touch()
    working.communicate(timeout=120)
    assert working.returncode == 0 and bob.locks() == {}
    alice.wrap("")


def test_of_two_that_take_the_lock_at_once_one_lets_go(two):
    """Neither has seen the other's when it writes its own."""
    folder = two[0].folder.parent
    for person in two:
        person.calls.unlink()
        person.wrap(f"""if [ "$2" = create-tags ] && [ ! -e {folder}/write-{person.user} ]; then
	touch {folder}/write-{person.user}
	while [ ! -e {folder}/write-alice ] || [ ! -e {folder}/write-bob ]; do sleep 0.1; done; fi""")
    running = [person.began("stop") for person in two]     # they are stopped: each changes only the lock
    ended = [(r.communicate(timeout=200)[1], r.returncode)[1] for r in running]
    wrote = sum(" create-tags " in c for person in two for c in person.mutations())
    assert sum(ended) <= 1 and wrote + sum(ended) >= 3 and two[0].locks() == {}
    for person in two:
        person.wrap("")


def test_lock_lapses_and_is_broken_by_force(two):
    vpc = two[0].one("describe-vpcs", "Vpcs", "vpc")["VpcId"]

    def held(until):
        two[0].aws("ec2", "create-tags", "--resources", vpc, "--tags",
                   f"Key=ohguard:lock:dead,Value=carol@far until {until}")
    held("2020-01-01T00:00:00Z")
    assert json.loads(two[1].run("start", "--json", check=0).stdout) == {"stack": two[1].name, "changed": True}
    assert two[1].locks() == {}
    for until in ("2999-01-01T00:00:00Z", "never"):
        held(until)
        assert "carol@far" in two[1].run("start", check=1).stderr
        assert json.loads(two[1].run("start", "--force", "--json", check=0).stdout)["changed"] is False
        assert two[1].locks() == {}


def test_killed_run_goes_on_and_others_wait(two):
    alice, bob = two
    alice.wrap("", "[ \"$2\" != stop-instances ] || kill -9 $PPID")
    assert alice.run("stop").returncode == -9
    alice.wrap("")
    assert "alice@" in bob.run("start", check=1).stderr
    alice.run("start", check=0)
    assert alice.locks() == {}


def test_lock_is_held_for_as_long_as_a_step_may_take(two):
    """A delivery may take an hour. Interrupted, it leaves no lock."""
    alice = two[0]
    alice.calls.unlink()

    def written():
        return [c for c in alice.mutations() if " create-tags " in c]
    working = alice.began("deliver", "proxy")
    wait_for(lambda: len(written()) > 1)
    working.send_signal(signal.SIGINT)
    working.communicate(timeout=120)
    times = [re.search(r"until 20\S+T(\d\d):(\d\d)", c).groups() for c in written()]
    first, second = (int(h) * 60 + int(m) for h, m in times)
    assert 50 < (second - first) % 1440 < 90 and alice.locks() == {}


def test_run_whose_lock_was_broken_ends(two):
    alice = two[0]
    alice.calls.unlink()
    # The third look: after those before and behind the writing of it.
    alice.wrap(f"""if [ "$2" = describe-vpcs ] && {called(alice, "create-tags")} &&
	[ $(grep -c "describe-vpcs" {alice.calls}) = 4 ]; then
	{alice.real_aws} ec2 describe-vpcs --region us-east-1 --output json --query 'Vpcs[]' "${{@:5}}" |
		/usr/bin/python3 -c 'import json, sys
for v in json.load(sys.stdin):
    v["Tags"] = [t for t in v["Tags"] if not t["Key"].startswith("ohguard:lock")]
    print(json.dumps([v]))'; exit; fi""")
    said = alice.run("deliver", "proxy", check=1).stderr
    assert "has taken the stack from this run by --force" in said.splitlines()[-1]
    alice.wrap("")


def test_destroy_leaves_nothing(two):
    destroy(two[0])
    assert everything(two[1]) == []
