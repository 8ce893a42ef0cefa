"""Two result files set against each other."""

import contextlib
import dataclasses
import io
import tempfile
import unittest
from argparse import Namespace
from pathlib import Path

import context  # noqa: F401
from lib import diff, results
from test_results import cell, run


class Diff(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.paths = [Path(directory.name) / name for name in ("a.json", "b.json")]

    def diff(self, one, other):
        for side, path in zip((one, other), self.paths):
            results.save(side, path)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            self.assertEqual(diff.run(Namespace(before=self.paths[0], after=self.paths[1])), 0)
        return printed.getvalue()

    def test_a_change_is_found_with_its_size(self):
        base = [5000 + 10 * n for n in range(10)]
        text = self.diff(run(cell(a=base, b=base)), run(cell(a=[x * 1.1 for x in base], b=base)))
        self.assertIn("the a in B uses 10.0 % more CPU per request than in A", text)
        self.assertIn("the b in B and in A: no difference in CPU per request", text)

    def test_figures_have_the_words_of_other_tables(self):
        text = self.diff(run(cell(a=[5000, 5000])), run(cell(a=[5500, 5500])))
        for name in ("the a, CPU µs/request ", "the a, requests/s "):
            self.assertIn(name, text)
        for name in ("cpu_ns", "per_second", "latency_us"):
            self.assertNotIn(name, text)
        self.assertEqual(diff.shown("latency_us.p99", 2500.0), ("p99 latency", "2.5 ms"))
        self.assertEqual(diff.shown("memory.user_bytes", 1e4), ("user memory, bytes", "10,000"))

    def test_environments(self):
        one, other = run(cell(a=[1, 2], b=[1, 2])), run(cell(a=[1, 2], b=[1, 2]))
        self.assertIn("the environments are the same", self.diff(one, other))
        one.environment, other.environment = {"cpu": {"m": "x"}}, {"cpu": {"m": "y"}}
        text = self.diff(one, other)
        self.assertIn("cpu.m: x and y", text)
        self.assertIn("The machines differ", text)

    def test_other_workloads_are_refused(self):
        one, other = run(cell(a=[1, 2], b=[1, 2])), run(cell(a=[1, 2], b=[1, 2]))
        other.cells[0].id = "json"
        with self.assertRaisesRegex(results.ResultsError, "in common: plaintext and json"):
            self.diff(one, other)
        other.cells[0].id = "plaintext"
        other.cells[0].workload["connections"] = 99
        with self.assertRaisesRegex(results.ResultsError, "connections 8 and 99"):
            self.diff(one, other)

    def test_some_cells_in_common(self):
        one = run(cell(a=[1, 2], b=[1, 2]), dataclasses.replace(cell(a=[1, 2], b=[1, 2]), id="x"))
        other = run(cell(a=[1, 2], c=[1, 2]), dataclasses.replace(cell(c=[1, 2]), id="x"))
        text = self.diff(one, other)
        self.assertIn("the a in B", text)
        self.assertNotIn("the b in B", text)
        self.assertIn("no variant in common", text)


if __name__ == "__main__":
    unittest.main()
