"""A start of the databases: one that is interrupted leaves nothing behind, one that fails says why."""

import os
import resource
import signal
import socket
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


def no_large_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead


class Script(unittest.TestCase):
    def scratch(self, mode=0o755):
        """A directory for what is started; PostgreSQL is another user, where root starts it."""
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        os.chmod(place.name, mode)
        return Path(place.name)

    def ask(self, scratch, *words, env=(), **options):
        """What the script says, which takes `scratch` for the place of what it starts."""
        return subprocess.run(
            [context.TOP / "tools/backends", *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": str(scratch), **dict(env)},
            **options,
        )

    def start(self, scratch, *words, **options):
        """The directory of what it has started, until the test ends."""
        done = self.ask(scratch, "start", *words, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        directory = Path(done.stdout.splitlines()[0].removeprefix("dir="))
        self.addCleanup(lambda: directory.exists() and self.ask(scratch, "stop", "--dir", directory))
        return directory

    def test_a_place_that_is_closed_to_others(self):
        if why := stage.backends_missing():
            self.skipTest(why)
        scratch = self.scratch(0o700)  # as that of a user who logs in is
        directory = self.start(scratch)
        self.assertEqual(directory.is_relative_to(scratch), os.getuid() != 0)
        self.assertEqual(self.ask(scratch, "status", "--dir", directory).returncode, 0)
        self.assertEqual(self.ask(scratch, "stop", "--dir", directory).returncode, 0)
        self.assertFalse(directory.exists())

    def test_a_place_that_is_not_there(self):
        done = self.ask(self.scratch() / "nowhere", "status")
        self.assertNotIn("nowhere", done.stderr)

    def test_the_end_of_the_owner(self):
        if why := stage.backends_missing():
            self.skipTest(why)
        for env in {}, {"POSIXLY_CORRECT": "1"}:
            scratch = self.scratch()
            owner = subprocess.Popen(["sleep", "1000"])
            self.addCleanup(owner.wait)
            self.addCleanup(owner.kill)
            directory = self.start(scratch, "--with", owner.pid, env=env.items())
            self.assertEqual(self.ask(scratch, "status").returncode, 0)
            owner.kill()
            owner.wait()
            until = time.monotonic() + TIMEOUT_SECONDS
            while directory.exists():
                self.assertLess(time.monotonic(), until, f"it is still there: {env}")
                time.sleep(0.1)

    def test_a_start_that_fails_is_none(self):
        """Nobody takes what is left of it for something that was started."""
        if why := stage.backends_missing():
            self.skipTest(why)
        scratch = self.scratch()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.ask(scratch, "start", "--redis-port", port)
        [directory] = scratch.iterdir()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr.splitlines()[-1],
            f"tools/backends: redis does not start; all it said is in {directory}/redis.log",
        )
        self.assertEqual(list(directory.iterdir()), [directory / "redis.log"])
        self.assertIn(f"port {port} is taken\n", (directory / "redis.log").read_text())
        for command in "stop", "status":
            none = self.ask(scratch, command)
            self.assertEqual((none.returncode, none.stdout), (1, ""))
            self.assertIn("none were started", none.stderr)

    def rows(self, directory, *query):
        url = "postgresql://torc:{}@127.0.0.1:{}/torc".format(
            *((directory / name).read_text().strip() for name in ("pg.password", "pg.port"))
        )
        done = subprocess.run(["psql", url, "-qtAc", *query], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def test_a_start_that_fails_leaves_what_an_earlier_one_made(self):
        if why := stage.backends_missing():
            self.skipTest(why)
        scratch = self.scratch()
        directory = self.start(scratch)
        self.rows(directory, "CREATE TABLE kept AS SELECT 42 AS row")
        for which in "pg", "redis":
            self.assertEqual(self.ask(scratch, "halt", which).returncode, 0)
        for option, which in ("--redis-port", "redis"), ("--pg-port", "pg"):
            with socket.create_server(("127.0.0.1", 0)) as taken:
                done = self.ask(scratch, "start", "--dir", directory, option, taken.getsockname()[1])
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"{which} does not start; all it said is in {directory}/{which}.log", done.stderr)
            self.assertTrue((directory / "pg.password").exists())
            self.assertTrue((directory / "pg").is_dir())
            self.assertIn("pg does not run\nredis does not run\n", self.ask(scratch, "status").stdout)
        self.assertEqual(self.start(scratch, "--dir", directory), directory)
        self.assertEqual(self.rows(directory, "SELECT row FROM kept"), ["42"])
        self.assertEqual(self.ask(scratch, "stop").returncode, 0)
        self.assertFalse(directory.exists(), "it is still that of the first start")

    def test_the_status_of_what_never_started(self):
        if why := stage.backends_missing():
            self.skipTest(why)
        directory = self.scratch() / "named"
        self.ask(directory, "start", "--dir", directory, preexec_fn=no_large_files, restore_signals=False)
        done = self.ask(directory, "status", "--dir", directory)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.splitlines(), [f"dir={directory}", "pg does not run", "redis does not run"])

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
        scratch = self.scratch()
        done = self.ask(scratch, "start", preexec_fn=no_large_files, restore_signals=False)
        self.assertEqual(list(scratch.iterdir()), [])
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
