# SPDX-License-Identifier: MIT
"""Every command in the place where it does most: what it starts from, and what must hold after it failed or died."""
import sys

from ground import ALLOWED, ALLOWED_AT, KEPT, OTHER, OTHER_CONF, PINS, SITE, SITE_AT, STATE
from guard import DEGRADED, DONE, FAILED, other_layout, poll

SCENES = {}
CGROUP = "CGROUP"       # stands for the lab's


class Scene:
    """Starts from a guard that is loaded and whole; after it, a load makes it so again."""
    argv = ()
    inspect = False     # programs verify three times as fast without, and user space does the same
    uplink = False      # packet sockets are tried too
    in_table = False    # what failed may be told there, and not on standard error
    light = False       # a fault changes little: not each is followed by a load
    share = 1           # only each how-manieth fault, where another scene has the same code

    def start(self, g):
        pass

    def after(self, g, fault, status):
        """Complaints, before anything is repaired."""
        if "set aside" not in g.said:       # what is known of names is gone then: the disk failed
            yield from (f"{a} is refused meanwhile" for a in ALLOWED_AT if g.connects(a) != "ok")

    options = ()        # of the load that repairs

    def repair(self, g):
        """The next load, when names that failed are due again."""
        g.all_due()
        g.load(*self.options)


def scene(cls):
    SCENES[cls.__doc__.rstrip(".")] = cls()
    return cls


def exactly(g, address, admitted, why):
    if (g.connects(address) == "ok") != admitted:
        yield f"{address} is {'refused' if admitted else 'admitted'}: {why}"


# -- load ------------------------------------------------------------------------------------------------------------

@scene
class First(Scene):
    """load first."""
    argv = ("load",)

    def start(self, g):
        g.unload()

    def after(self, g, fault, status):
        state = g.state()
        if state == "half open" or (status in (DONE, DEGRADED) and state != "closed"):
            yield f"exit {status} and {state}"
        if state == "closed":
            g.ask("shut")
        else:
            g.forget()      # it never stood: a link lives with its process until it is pinned
        pinned = not g.guard.shell(f"ls {PINS}/host/egress {PINS}/host/egress-new 2>/dev/null | grep -q "
                                   f".", check=False).returncode
        if pinned != (state == "closed"):
            yield f"{state}, and a pin of egress is {'' if pinned else 'not '}there"
        if status == DONE:
            yield from super().after(g, fault, status)


@scene
class FirstClosed(First):
    """load first, fail closed."""
    argv = ("load", "--fail-closed", "--cgroup", CGROUP)     # or it would fall back to this machine's root

    def after(self, g, fault, status):
        yield from super().after(g, fault, status)
        # whatever fails once, the second try is another run of the same call
        # (but libbpf asks what the kernel can do once in a process)
        if not fault.kills and not fault.lasting and "refuses the programs" not in g.said and g.state() != "closed":
            yield f"exit {status} and not closed"


@scene
class FirstInspect(First):
    """load first, with inspection."""
    inspect = True
    share = 7


@scene
class FirstUplink(First):
    """load first, with an uplink."""
    argv = ("load", "--uplink", "auto")
    options = ("--uplink", "auto")
    share = 2


@scene
class Again(Scene):
    """load again, another list."""
    argv = ("load", "-c", OTHER_CONF)

    def after(self, g, fault, status):
        yield from super().after(g, fault, status)
        if status in (DONE, DEGRADED):
            yield from exactly(g, KEPT, False, "it was taken from the list")
            yield from exactly(g, OTHER, True, "it was put on the list")


@scene
class Anew(Again):
    """load again, with programs that are loaded anew."""
    argv = ("load", "--anew", "-c", OTHER_CONF)


@scene
class AnewInspect(Anew):
    """load again, anew and with inspection."""
    inspect = True
    share = 7


@scene
class AddUplink(Scene):
    """load again, with an uplink."""
    argv = ("load", "--uplink", "auto")
    options = ("--uplink", "none")
    share = 2


@scene
class AgainUplink(Scene):
    """load again, over an uplink."""
    argv = ("load", "--anew")
    uplink = True

    def start(self, g):
        if not any(h["hook"] == "uplink-egress" for h in g.status()[1]["hooks"]):
            g.load("--uplink", "auto")


@scene
class Upgrade(Scene):
    """upgrade from another layout."""
    argv = ("load",)
    share = 2

    def start(self, g):
        g.load(binary=other_layout())


@scene
class Confirm(Scene):
    """confirm."""
    argv = ("confirm",)

    def start(self, g):
        g.load("-c", OTHER_CONF, "--confirm", "1h")

    def after(self, g, fault, status):
        """It changes when the load is taken back, and nothing that is allowed."""
        yield from super().after(g, fault, status)
        yield from exactly(g, OTHER, True, "it is on the list, confirmed or not")
        waits = not g.guard.shell(f"test -e {STATE}/host/back", check=False).returncode
        if status == DONE and waits:
            yield "confirm said that it is done, and it would go back"

    def repair(self, g):
        g.guard.run("confirm")
        super().repair(g)


# -- what is allowed -------------------------------------------------------------------------------------------------

class Grant(Scene):
    address = SITE_AT

    light = True

    def start(self, g):
        held = g.guard.shell(f"cat {STATE}/host/grants 2>/dev/null || :").stdout
        for target in (t for t in (SITE, SITE_AT) if t in held):
            g.guard.ok("revoke", target)

    def after(self, g, fault, status):
        yield from super().after(g, fault, status)
        if status == DONE:
            yield from exactly(g, self.address, True, "allow said that it is done")
        elif status == FAILED and not fault.lasting:
            yield from exactly(g, self.address, False, "allow said that it failed")


@scene
class AllowName(Grant):
    """allow a name."""
    argv = ("allow", SITE)


@scene
class AllowAddress(Grant):
    """allow an address."""
    argv = ("allow", SITE_AT)


@scene
class AllowFor(Grant):
    """allow for a time."""
    argv = ("allow", SITE, "--for", "1h")
    share = 3


@scene
class Revoke(Scene):
    """revoke."""
    argv = ("revoke", SITE)
    light = True

    def start(self, g):
        Grant.start(self, g)
        g.guard.ok("allow", SITE)

    def after(self, g, fault, status):
        yield from super().after(g, fault, status)
        if status == DONE:
            yield from exactly(g, SITE_AT, False, "revoke said that it is done")

    def repair(self, g):
        """What revoke took out of the file is not admitted, what it did not is."""
        super().repair(g)
        held = SITE in g.guard.shell(f"cat {STATE}/host/grants 2>/dev/null || :").stdout
        assert (g.connects(SITE_AT) == "ok") == held, f"{'in' if held else 'not in'} the file"


# -- the others ------------------------------------------------------------------------------------------------------

@scene
class Refresh(Scene):
    """refresh."""
    argv = ("refresh",)
    light = True

    def start(self, g):
        g.all_due()


@scene
class RefreshUplink(Refresh):
    """refresh, over an uplink."""
    uplink = True
    share = 2

    def start(self, g):
        AgainUplink.start(self, g)
        super().start(g)


@scene
class Unload(Scene):
    """unload, then load."""
    argv = ("unload", "--yes")

    def after(self, g, fault, status):
        """Hook by hook, the verdict last: it may end at any of them. Links end a moment after their last pin."""
        if status == DONE:
            poll(lambda: g.state() == "open", "the guard's end")
        state = g.state()
        if state == "open":
            g.forget()      # as was asked for
        if state == "closed" and not fault.kills:
            yield from super().after(g, fault, status)


# usage: ADDRESS; a SYN, which waits for an answer while its process lives
ASKER = """
import socket, sys, time
s = socket.socket()
s.setblocking(False)
s.connect_ex((sys.argv[1], 443))
time.sleep(600)
"""


@scene
class Deny(Scene):
    """deny."""
    options = ("--ask", "2m")
    asked = 0

    def start(self, g):
        """A question of its own each time: what is denied stays so for a while."""
        self.asked += 1
        self.address = f"198.18.{self.asked // 250}.{self.asked % 250 + 1}"
        self.argv = ("deny", self.address)
        if g.status()[1].get("mode") != "ask":
            g.load(*self.options)
        self.asker = g.lab.server.popen([sys.executable, "-IS", "-c", ASKER, self.address], guarded=True)
        poll(lambda: self.address in g.guard.ok("asks").stdout, "its question")

    def after(self, g, fault, status):
        yield from super().after(g, fault, status)
        if status == DONE and self.address in g.guard.ok("asks").stdout:
            yield "deny said that it is done, and it waits"
        yield from exactly(g, self.address, False, "nobody allowed it")
        self.asker.kill()
        self.asker.wait()


@scene
class Verify(Scene):
    """verify."""
    argv = ("verify",)
    in_table = True
    light = True

    def after(self, g, fault, status):
        """Its cgroup is gone, or was left by one that was killed and is removed by the next."""
        yield from super().after(g, fault, status)
        left = list(g.guard.cgroup.glob("ohguard-verify-*"))
        if left and not fault.kills and not fault.lasting and fault.syscall not in ("rmdir", "openat", "getdents64"):
            yield f"left behind: {left}"
        for cgroup in left:
            poll(lambda c=cgroup: not (c / "cgroup.procs").read_text(), "the end of what was tried inside")
        g.guard.ok("verify")
        if list(g.guard.cgroup.glob("ohguard-verify-*")):
            yield "its cgroup stays"


class Look(Scene):
    light = True


for name, *arguments in (("list",), ("stats",), ("status",), ("events",), ("explain", ALLOWED),
                         ("report", "/run/report.html")):
    scene(type(name, (Look,), {"__doc__": f"{name}.", "argv": (name, *arguments)}))
