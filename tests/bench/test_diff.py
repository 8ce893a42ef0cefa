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
        self.assertIn("the b in B and in A: no detectable difference in CPU per request", text)

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

    def test_noise_is_said_first(self):
        one, other = run(cell(a=[1, 2], b=[1, 2])), run(cell(a=[1, 2], b=[1, 2]))
        one.noise = {"metric": results.COST, "low": 0.93, "median": 1, "high": 1.01, "pairs": 10}
        for found in other.cells[0].samples:
            found.others_share = 0.3
        lines = self.diff(one, other).splitlines()
        self.assertIn("A was noisy: the A/A run gave −7.0 to +1.0 %, wider than ±2 %", lines[2])
        self.assertEqual(lines[3], "B: no A/A run shows how noisy this machine was")
        self.assertIn("B was noisy: other programs used 30 % of a CPU", lines[4])

    def test_the_copies_of_an_a_a_run_are_left_out(self):
        names = {"a": [5000, 5010], "a (again)": [5000, 5010]}
        text = self.diff(run(cell(**names)), run(cell(**names)))
        self.assertIn("the a in B", text)
        self.assertNotIn("again", text)

    def test_rates_are_of_one_machine_where_it_is_one(self):
        one, other = run(cell(a=[1, 2], b=[1, 2])), run(cell(a=[1, 2], b=[1, 2]))
        one.cells[0].workload["rate"], other.cells[0].workload["rate"] = 5000.0, 6000.0
        text = self.diff(one, other)
        self.assertIn("each is a share of the capacity that its run measured", text)
        other.environment = {"cpu": {"model": "y"}}
        self.assertIn("each is a share of its own machine's capacity", self.diff(one, other))

    def test_pairs_are_compared_as_each_file_has_them(self):
        base = [5000 + 200 * (n % 3) for n in range(10)]  # both sides drift alike
        one = run(cell(a=base, b=[x * 1.1 for x in base]))
        other = run(cell(a=[x * 3 for x in base], b=[x * 3 for x in base]))
        text = self.diff(one, other)
        said = "the a ÷ the b, CPU per request: 0.909 (0.909–0.909) in A, 1.000 (1.000–1.000) in B: "
        self.assertIn(said + "10.0 % higher in B (10.0 to 10.0 %).", text)
        self.assertIn("no detectable change (within ±0.0 %)", self.diff(one, one))
        other.noise = {"metric": results.COST, "low": 0.8, "median": 1, "high": 1.2, "pairs": 10}
        self.assertIn("within the A/A noise (−20.0 to +20.0 %)", self.diff(one, other))

    def test_of_many_variants_only_different_subjects_are_paired(self):
        costs = {name: [5000, 5000] for name in "abc"}
        one, other = run(cell(**costs)), run(cell(**costs))
        for cells in (one.cells, other.cells):
            cells[0].variants[1]["subject"] = "a"
        text = self.diff(one, other)
        self.assertNotIn("the a ÷ the b", text)
        self.assertIn("the b ÷ the c", text)

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
