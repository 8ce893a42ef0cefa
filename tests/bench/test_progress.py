"""The progress line, on a terminal and elsewhere."""

import errno
import io
import os
import unittest

import context  # noqa: F401
from lib.progress import Progress, Steps, about, plan


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Lines(unittest.TestCase):
    def test_elsewhere_a_line_for_each_round(self):
        stream = io.StringIO()
        progress = Progress(4, stream)
        for what in ("a, round 1: x", "a, round 1: y", "a, round 2: y", "a, round 2: x"):
            progress.show(what)
        progress.clear()
        self.assertEqual(stream.getvalue(), "[1/4] a, round 1\n[3/4] a, round 2\n")

    def test_a_terminal_has_a_bar_that_grows_and_goes(self):
        stream = Terminal()
        progress = Progress(2, stream)
        progress.show("a: x")
        self.assertNotIn("█", stream.getvalue())
        progress.show("a: y")
        self.assertIn("█" * 10 + "░" * 10 + " 2/2 a: y", stream.getvalue())
        progress.clear()
        self.assertTrue(stream.getvalue().endswith("\r\033[K"))
        self.assertNotIn("\n", stream.getvalue())


class Full(io.StringIO):
    """A stream whose file takes nothing."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def flush(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullStream(unittest.TestCase):
    def test_what_cannot_be_written_ends_nothing(self):
        for terminal in (True, False):
            progress, steps = Progress(2, Full(terminal)), Steps([1.0, 2.0], Full(terminal))
            progress.show("a: x")
            progress.clear()
            steps.begin("a")("more")
            steps.end()
            self.assertEqual((progress.done, steps.done), (1, 1))


class Plan(unittest.TestCase):
    def test_how_long_it_takes(self):
        self.assertEqual([about(s) for s in (2, 41, 114, 121, 400)], ["5 s", "40 s", "110 s", "2 min", "7 min"])

    def test_of_a_whole_run_and_of_a_resumed_one(self):
        self.assertEqual(plan(18, 18, 41.0), "18 samples, about 40 s")
        self.assertEqual(plan(10, 18, 41.0), "10 of 18 samples left, about 40 s")
        self.assertEqual(plan(0, 18, 0.0), "0 of 18 samples left")


if __name__ == "__main__":
    unittest.main()
