"""One run measures at a time."""

import os
import pkgutil
import signal
import subprocess
import tempfile
import unittest
from unittest import mock

import context  # noqa: F401
from lib import alone, ending
from lib.subject import SubjectError
from runs import BENCH, TIMEOUT_SECONDS, Runs


class Alone(Runs):
    def test_a_second_run_is_refused_at_once(self):
        here = {"TMPDIR": str(self.scratch)}
        wanted = ["io_uring", "epoll", "--workloads", "plaintext", "--pairs", "1", "--seconds", "0.1"]
        lock = self.scratch / alone.NAME
        run = self.start(*wanted, FAKE_STUCK="1", **here)
        self.assertTrue(run.stderr.readline())
        run.send_signal(signal.SIGSTOP)  # it would give the load up in the end
        self.assertEqual(lock.read_text(), f"{run.pid}\n")
        for arguments in (["compare", *wanted], ["generators"]):
            done = subprocess.run(
                [*BENCH, *arguments, "--build", str(self.build)],
                text=True,
                capture_output=True,
                env=self.environment(here),
                timeout=TIMEOUT_SECONDS,
            )
            self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
            self.assertEqual(
                done.stderr,
                f"torc-bench: another torc-bench (pid {run.pid}) is "
                "measuring here, and each would spoil the other's figures: wait for "
                f"its end ({lock} is its lock)\n",
            )
        run.send_signal(signal.SIGTERM)
        run.send_signal(signal.SIGCONT)
        run.communicate(timeout=TIMEOUT_SECONDS)
        self.assertFalse(lock.exists())

    def test_a_lock_that_a_killed_run_left_is_taken(self):
        with mock.patch.object(tempfile, "tempdir", str(self.scratch)):
            path = self.scratch / alone.NAME
            path.write_text("1 and more\n")
            with alone.lock():
                self.assertEqual(path.read_text(), f"{os.getpid()}\n")
                with self.assertRaisesRegex(SubjectError, f"pid {os.getpid()}"):
                    self.enter()
            self.assertFalse(path.exists())
            path.symlink_to(self.json)
            with self.assertRaisesRegex(SubjectError, "set TMPDIR"):
                self.enter()
            self.assertFalse(self.json.exists())

    def test_scratch_directories_that_nobody_holds_go(self):
        with mock.patch.object(tempfile, "tempdir", str(self.scratch)):
            kept = ["torc-bench-abc", "other-1-a", "torc-bench-1-link", "torc-bench-1-file"]
            for name in (*kept[:2], "torc-bench-1-left"):
                (self.scratch / name).mkdir()
            (self.scratch / kept[2]).symlink_to(self.scratch / kept[0])
            (self.scratch / kept[3]).touch()
            with alone.lock() as mine:
                self.assertFalse((self.scratch / "torc-bench-1-left").exists())
                with self.assertRaises(alone.Busy):
                    self.enter()
                self.assertTrue(mine.is_dir())
            self.assertFalse(mine.exists())
            self.assertTrue(all((self.scratch / name).exists() for name in kept))

    def enter(self):
        with alone.lock():
            pass

    def test_a_signal_at_any_step_leaves_nothing(self):
        """As its directory is made, while it is held, and as all goes: the first or a second one."""
        before = {number: signal.getsignal(number) for number in ending.ENDING_SIGNALS}
        self.addCleanup(lambda: [signal.signal(number, what) for number, what in before.items()])
        ending.expect()
        for name in ("mkdtemp", "TemporaryDirectory.cleanup"):
            with self.subTest(name), mock.patch.object(tempfile, "tempdir", str(self.scratch)):
                with signals_after(name), self.assertRaises(ending.Ended):
                    self.enter()
                self.assertEqual(list(self.scratch.glob("torc-bench*")), [])
        with mock.patch.object(tempfile, "tempdir", str(self.scratch)):
            with signals_after("TemporaryDirectory.cleanup"), self.assertRaises(ending.Ended), alone.lock():
                signal.raise_signal(signal.SIGTERM)
                self.fail("the signal waits")
        self.assertEqual(list(self.scratch.glob("torc-bench*")), [])


def signals_after(name):
    """A signal comes as soon as that function of tempfile has done its work."""
    whole = f"tempfile.{name}"
    real = pkgutil.resolve_name(whole)

    def wrapper(*arguments, **named):
        done = real(*arguments, **named)
        signal.raise_signal(signal.SIGINT)
        return done

    return mock.patch(whole, wrapper)


if __name__ == "__main__":
    unittest.main()
