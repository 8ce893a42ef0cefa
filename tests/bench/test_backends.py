"""A start of the databases: one that is interrupted leaves nothing behind, one that fails says why."""

import os
import resource
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import context
from lib import ending, program
from lib.lab import stage

TIMEOUT_SECONDS = 60


class Script(unittest.TestCase):
    def test_an_interrupt_removes_what_was_begun(self):
        if why := stage.backends_missing():
            self.skipTest(why)
        with tempfile.TemporaryDirectory() as scratch:
            os.chmod(scratch, 0o755)  # PostgreSQL is another user, where root starts it
            start = subprocess.Popen(
                [context.TOP / "tools/backends", "start"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "XDG_RUNTIME_DIR": scratch},
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            while not list(Path(scratch).glob("*/pg/PG_VERSION")):  # one of the first files
                self.assertIsNone(start.poll())
                time.sleep(0.005)
            os.killpg(start.pid, signal.SIGINT)
            self.assertEqual(start.wait(TIMEOUT_SECONDS), 130)
            self.assertEqual(list(Path(scratch).iterdir()), [])

    def test_a_start_that_fails_says_why(self):
        if why := stage.backends_missing():
            self.skipTest(why)

        def no_large_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead

        with tempfile.TemporaryDirectory() as scratch:
            os.chmod(scratch, 0o755)
            done = subprocess.run(
                [context.TOP / "tools/backends", "start"],
                capture_output=True,
                text=True,
                env={**os.environ, "XDG_RUNTIME_DIR": scratch},
                preexec_fn=no_large_files,
                restore_signals=False,
            )
        self.assertEqual(done.returncode, 1)
        last = done.stderr.splitlines()[-1]  # which is all that torc-bench shows
        self.assertRegex(last, "^tools/backends: initdb failed: .*could not write file .*: File too large$")


class Started(unittest.TestCase):
    """torc-bench waits for the end of a start, and stops what it has started."""

    def test_an_interrupt_waits_for_the_start(self):
        asked = []

        def ask(script, command, *words, seconds):
            asked.append((command, *words[-2:]))
            if command == "start":
                signal.raise_signal(signal.SIGTERM)
            return program.Said(0, "dir=/a/b\npg=postgresql://x\nredis=127.0.0.1:1", "")

        before = {number: signal.getsignal(number) for number in ending.ENDING_SIGNALS}
        self.addCleanup(lambda: [signal.signal(number, what) for number, what in before.items()])
        ending.expect()
        with mock.patch.object(program, "ask", ask):
            one = stage.Stage(None, [0], False, "epoll")
            with self.assertRaises(ending.Ended), one.backends():
                self.fail("it goes on")
        self.assertEqual(asked, [("start", "--with", str(os.getpid())), ("stop", "--dir", "/a/b")])


if __name__ == "__main__":
    unittest.main()
