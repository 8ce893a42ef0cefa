"""Sweep and scale on fakes, whole: the tables they end with."""

import os
import unittest

import context  # noqa: F401
from runs import Runs


class Tables(Runs):
    def table(self, kind, *arguments):
        done = self.bench(
            kind, *arguments, "--build", str(self.build), "--json", str(self.json), "--pairs", "1", "--seconds", "0.1"
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"page: bench/torc-bench report {self.json}", done.stdout)
        return done.stdout

    def test_a_sweep_ends_with_one(self):
        text = self.table("sweep", "--depth", "64,512", "--connections", "8")
        self.assertRegex(text, r"base\n.* depth +cost ÷ base")
        self.assertIn("1.000 (1.000–1.000)", text)

    def test_scale_ends_with_one_and_checks_options_for_any_core_count(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("one CPU")
        text = self.table("scale", "--cores", "1,2", "--server-args", "--cq-depth 8")
        self.assertIn("torc epoll, 2 cores", text)
        self.assertIn("capacity", text)


if __name__ == "__main__":
    unittest.main()
