# SPDX-License-Identifier: MIT
"""Programs on a terminal: fixture `terminal`."""
import contextlib
import fcntl
import os
import pty
import select
import signal
import termios
import time

import pytest


class Terminal:
    """A terminal with a program in front of it."""

    def __init__(self, lab, argv):
        self.master, slave = pty.openpty()

        def take():
            # tests that run in the background are born with it ignored, and what a shell starts here is not
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = lab.server.popen(argv, stdin=slave, stdout=slave, stderr=slave, preexec_fn=take)
        os.close(slave)
        self.seen = ""

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, word, seconds=30):
        """Until the terminal shows the word; what came before it is forgotten."""
        deadline = time.monotonic() + seconds
        while word not in self.seen:
            assert time.monotonic() < deadline, f"{word!r} never came: {self.seen!r}"
            if select.select([self.master], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.master, 4096).decode(errors="replace")
                except OSError:     # the other end is closed
                    assert word in self.seen, self.seen
        before, self.seen = self.seen.split(word, 1)
        return before

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(lab):
    with contextlib.ExitStack() as stack:
        def start(*argv):
            t = Terminal(lab, argv)
            stack.callback(t.close)
            return t
        yield start
