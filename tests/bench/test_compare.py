"""Comparisons on fakes, whole: what they measure, print, leave out and fail of."""

import json
import os
import sys
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
import fakes
from lib import compare, results, schema
from lib.page import page, svg
from runs import Runs

PLAIN = "io_uring epoll --pairs 1 --workloads plaintext".split()


class Compare(Runs):
    def whole(self, ids, *arguments, **environment):
        """What it printed, and the run of it, whose cells have these names and are as they should be."""
        done = self.compare("io_uring", "epoll", "floor", "--pairs", "2", *arguments, **environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        content = json.loads(self.json.read_text())
        self.assertEqual(list(schema.faults(content)), [])
        run = results.load(self.json)
        self.assertIsNotNone(run.finished)
        self.assertEqual((run.noise["low"], run.noise["high"], run.noise["pairs"]), (1, 1, 2))
        self.assertEqual([cell.id for cell in run.cells], ids)
        for cell in run.cells:
            self.assertTrue(cell.complete)
            self.assertEqual(cell.answers, "alike")
            self.assertEqual(cell.invalid, [])
        self.assertTrue(all(one.startswith(tuple(ids)) for one in run.conclusions))
        return done, run

    def test_closed_loops_and_idle(self):
        ids = ["noise", "plaintext", "pipelined", "baseline", "static-small-4k", "upload", "delay", "idle"]
        done, run = self.whole(ids, "--workloads", ",".join(ids[1:]), PATH=os.environ["PATH"])
        self.assertIn("torc io_uring uses 9.1 % less CPU per request than torc epoll", done.stdout)
        self.assertIn("baseline: floor epoll cannot serve it and is left out", done.stdout)
        self.assertIn(f"page: bench/torc-bench report {self.json}", done.stdout)
        self.assertRegex(done.stdout, r": 7 workloads, \d+ samples, about \d+ (s|min)\n")
        said = "upload: torc io_uring uses 5.9 % less CPU per request of server and load together than torc epoll"
        self.assertIn(said, self.json.read_text())
        order = [(s.variant, s.round, s.order) for s in run.cell("baseline").samples]
        self.assertEqual(order, [("io_uring", 0, 0), ("epoll", 0, 1), ("epoll", 1, 0), ("io_uring", 1, 1)])
        ratios = {(r.metric, r.numerator, r.denominator): r for r in run.cell("plaintext").ratios}
        found = ratios[results.COST, "io_uring", "epoll"]
        self.assertAlmostEqual(found.median, 5000 / 5500, 4)
        self.assertIsNone(run.cell("plaintext").samples[0].latency_raw_us)
        self.assertGreater(run.cell("idle").median("epoll", "memory.user_bytes"), 0)
        self.assertAlmostEqual(run.cell("plaintext").median("epoll", results.WITH_LOAD), 8500, -1)
        self.assertIsNone(run.cell("idle").median("epoll", results.WITH_LOAD))
        self.assertIn("load µs", done.stdout)
        self.assertEqual(run.cell("plaintext").median("io_uring", "completions_per_wait"), 2)

    def test_open_loops(self):
        ids = ["noise", "latency-capacity", "latency-50", "latency-70", "latency-90"]
        done, run = self.whole(ids, "--workloads", "latency", FAKE_UNSENT="epoll")
        capacity = run.cell("latency-capacity")
        self.assertEqual(len(capacity.valid("epoll")), compare.CAPACITY_ROUNDS)
        slow = capacity.median("epoll", "per_second")
        for percent in (50, 70, 90):
            cell = run.cell(f"latency-{percent}")
            self.assertEqual(cell.workload["rate"], round(slow * percent / 100))
            self.assertIsNotNone(cell.samples[0].latency_raw_us)
        said = "torc epoll: 2,000 requests were due but not sent: "
        self.assertEqual(done.stdout.count(said), 3, done.stdout)
        with mock.patch.object(svg, "available", return_value=False):
            self.assertIn(said, page.page(run))

    def test_invalid_samples_are_named_and_fail_the_run(self):
        done = self.compare(*PLAIN, "--seconds", "0.6", FAKE_ERRORS="epoll")
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = done.stdout.splitlines()
        first = next(i for i, line in enumerate(lines) if "INVALID round 1, torc epoll" in line)
        self.assertIn("3 timeout errors", lines[first])
        self.assertLess(first, next(i for i, line in enumerate(lines) if "CPU µs/" in line))
        self.assertEqual(done.stdout.count("INVALID round"), 1)
        said = "1 sample is invalid and does not count: see INVALID above; the exit status is 1 for it"
        self.assertEqual(lines[-1], said)
        cell = results.load(self.json).cell("plaintext")
        self.assertIsNone(results.ratio(cell, "io_uring", "epoll"))
        parts = {sample.variant: len(sample.parts) for sample in cell.samples}
        self.assertEqual(parts, {"io_uring": 3, "epoll": 1}, "none after the one that failed")

    def test_invalid_samples_of_every_cell_of_every_kind_are_named(self):
        words = "sweep --depth 64 --pairs 1 --seconds 0.1 --build".split()
        done = self.bench(*words, str(self.build), "--json", str(self.json), FAKE_ERRORS="io_uring")
        self.assertEqual(done.returncode, 1, done.stderr)
        for cell in results.load(self.json).cells:
            count = len(cell.invalid)
            self.assertGreater(count, 0)
            self.assertEqual(done.stdout.count(f"{cell.id}: INVALID round 1"), count, done.stdout)
        said = "3 samples are invalid and do not count: see INVALID above; the exit status is 1 for it\n$"
        self.assertRegex(done.stdout, said)

    def test_answers_have_to_be_alike(self):
        done = self.compare("epoll", "io_uring", "--workloads", "plaintext", FAKE_UNLIKE="io_uring")
        self.assertEqual(done.returncode, 1)
        self.assertIn("plaintext: torc io_uring: does not answer the body", done.stderr)
        self.assertFalse(self.json.exists())

    def test_a_command_of_ones_own(self):
        script = self.scratch / "own.py"
        script.write_text(
            "import sys; sys.path.insert(0, sys.argv[1]); import fakes\n"
            "fakes.accept(fakes.listen(int(sys.argv[2]))[0], None, 'own',\n"
            "             dict.fromkeys(('requests', 'syscalls', 'cqes', 'turns'), 0))\n"
        )
        command = f"own={sys.executable} -B {script} {Path(fakes.__file__).parent} {{port}}"
        words = "own io_uring --pairs 1 --workloads plaintext,static-small-4k --command".split()
        done = self.compare(*words, command)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("static-small-4k: own is left out: answered HTTP/1.1 404", done.stdout)
        run = results.load(self.json)
        self.assertEqual(run.cell("plaintext").names, ["own", "io_uring"])
        self.assertIsNone(run.cell("static-small-4k"))
        self.assertGreater(run.cell("plaintext").median("own", "requests"), 0)

    def test_commands_that_do_not_run_are_left_out_with_the_reason(self):
        script = self.scratch / "no-format"
        script.write_text("true")
        script.chmod(0o755)
        commands = {"ends": "false {port}", "none": "/nowhere/x {port}", "odd": f"{script} {{port}}"}
        named = [word for name, one in commands.items() for word in ("--command", f"{name}={one}")]
        done = self.compare(*PLAIN[:2], *commands, *named, *PLAIN[2:])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run = results.load(self.json)
        for note in (
            "ends is left out: false ended (1): it printed nothing",
            "none is left out: no program /nowhere/x",
            f"odd is left out: {script}: Exec format error",
        ):
            self.assertIn(f"note: {note}", done.stdout)
            self.assertIn(note, run.notes)
        self.assertEqual(run.cell("plaintext").names, ["io_uring", "epoll"])

    def test_a_floor_that_does_not_start_is_left_out_with_the_reason(self):
        done = self.compare(*PLAIN[:2], "floor", *PLAIN[2:], FAKE_REFUSES="floor-uring")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run = results.load(self.json)
        note = f"floor io_uring is left out: {self.build}/src/floor-uring ended (1): floor: a ring: Invalid argument"
        self.assertIn(f"note: {note}", done.stdout)
        self.assertIn(note, run.notes)
        self.assertEqual(run.cell("plaintext").names, ["io_uring", "epoll", "floor-epoll"])

    def test_options_of_one_variant(self):
        done = self.compare("io_uring", "io_uring --depth 64", *PLAIN[2:], "--server-args", "--cq-depth 8")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run = results.load(self.json)
        self.assertEqual(run.commands["io_uring"][-2:], ["--cq-depth", "8"])
        self.assertEqual(run.commands["io_uring --depth 64"][-2:], ["--depth", "64"])

    def test_a_full_generator_is_said_with_its_remedy(self):
        done = self.compare(*PLAIN, FAKE_FULL="epoll")
        self.assertIn("torc epoll: the load generator was the bottleneck", done.stdout)
        self.assertIn("give the load --cores 2", done.stdout)


if __name__ == "__main__":
    unittest.main()
