"""One run measures at a time."""

import os
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
        run.communicate(timeout=TIMEOUT_SECONDS)
        self.assertFalse(lock.exists())

    def test_a_lock_that_a_killed_run_left_is_taken(self):
        with mock.patch.object(tempfile, "tempdir", str(self.scratch)):
            path = self.scratch / alone.NAME
            path.write_text("1 and more\n")
            with alone.Lock():
                self.assertEqual(path.read_text(), f"{os.getpid()}\n")
                with self.assertRaisesRegex(SubjectError, f"pid {os.getpid()}"):
                    alone.Lock()
            self.assertFalse(path.exists())
            path.symlink_to(self.json)
            with self.assertRaisesRegex(SubjectError, "set TMPDIR"):
                alone.Lock()
            self.assertFalse(self.json.exists())

    def test_scratch_directories_that_nobody_holds_go(self):
        with mock.patch.object(tempfile, "tempdir", str(self.scratch)):
            kept = ["torc-bench-abc", "other-1-a", "torc-bench-1-link", "torc-bench-1-file"]
            for name in (*kept[:2], "torc-bench-1-left"):
                (self.scratch / name).mkdir()
            (self.scratch / kept[2]).symlink_to(self.scratch / kept[0])
            (self.scratch / kept[3]).touch()
            with alone.Lock() as mine:
                self.assertFalse((self.scratch / "torc-bench-1-left").exists())
                with self.assertRaises(alone.Busy):
                    alone.Lock()
                self.assertTrue(mine.scratch.is_dir())
            self.assertFalse(mine.scratch.exists())
            self.assertTrue(all((self.scratch / name).exists() for name in kept))

    def test_a_second_signal_leaves_nothing(self):
        before = {number: signal.getsignal(number) for number in ending.ENDING_SIGNALS}
        self.addCleanup(lambda: [signal.signal(number, what) for number, what in before.items()])
        ending.expect()
        with mock.patch.object(tempfile, "tempdir", str(self.scratch)):
            lock = alone.Lock()
            remove = lock._directory.cleanup
            lock._directory.cleanup = lambda: (signal.raise_signal(signal.SIGINT), remove())
            with self.assertRaises(ending.Ended), lock:
                pass
        self.assertEqual(list(self.scratch.glob("torc-bench*")), [])


if __name__ == "__main__":
    unittest.main()
