"""Runs that end early: what they keep and go on with, and what a killed one leaves."""

import json
import signal
import time
import unittest

import context
from lib import alone, results, schema
from lib.proc import family
from runs import TIMEOUT_SECONDS, Runs


class Interrupted(Runs):
    def interrupt(self, number, cell="plaintext"):
        """Ends a run inside a cell; what it printed, its status and the processes left."""
        self.json.unlink(missing_ok=True)
        (self.build / "src/torc-load.count").unlink(missing_ok=True)
        stuck = 2 * 3 + 2 + 1  # the A/A run's three rounds, the first of the cell, and into the second
        small = ("--connections", "8", "--pairs", "3", "--seconds", "0.1", "--workloads", "plaintext,json")
        run = self.start("io_uring", "epoll", *small, FAKE_STUCK=str(stuck))
        printed = ""
        while f"{cell}, round 2" not in printed:
            line = run.stderr.readline()
            self.assertTrue(line, printed)
            printed += line
        deadline = time.monotonic() + TIMEOUT_SECONDS
        members = []
        while len(members) < 4 and time.monotonic() < deadline:
            members = family(run.pid)
            time.sleep(0.002)
        run.send_signal(number)
        printed += run.communicate(timeout=TIMEOUT_SECONDS)[1]
        self.assertEqual(len(members), 4, "it, two servers and a load")
        # What was killed may take a moment longer than the run itself.
        while any(map(context.runs, members[1:])) and time.monotonic() < deadline:
            time.sleep(0.002)
        self.assertEqual([pid for pid in members[1:] if context.runs(pid)], [])
        self.assertEqual(list((self.scratch / "tmp").iterdir()), [])
        return run.returncode, printed

    def test_keeps_what_is_done_and_goes_on(self):
        status, printed = self.interrupt(signal.SIGINT)
        self.assertEqual(status, 130, printed)
        self.assertIn(f"--resume {self.json}", printed)
        before = results.load(self.json)
        self.assertIsNone(before.finished)
        self.assertTrue(before.cell("noise").complete)
        self.assertFalse(before.cell("plaintext").complete)
        whole = [s for s in before.cell("plaintext").samples if s.round == 0]
        self.assertEqual(len(whole), 2)
        content = json.loads(self.json.read_text())
        self.assertEqual(list(schema.faults(content)), [])

        done = self.bench("compare", "--resume", str(self.json))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"2 workloads, 10 of 18 samples left, about \d+ s")
        first, *_, last = done.stderr.splitlines()
        self.assertTrue(first.startswith("[1/10] plaintext, round 2 of 3"), first)
        self.assertTrue(last.startswith("[9/10] json, round 3 of 3"), last)
        after = results.load(self.json)
        self.assertIsNotNone(after.finished)
        self.assertEqual(after.cell("noise"), before.cell("noise"))
        self.assertEqual([cell.id for cell in after.cells], ["noise", "plaintext", "json"])
        self.assertEqual(after.cell("plaintext").samples[:2], whole)
        for cell in after.cells:
            pairs = sorted((s.round, s.variant) for s in cell.samples)
            self.assertEqual(pairs, sorted((n, name) for n in range(3) for name in cell.names))
        self.assertGreater(after.seconds, before.seconds)

        again = self.bench("compare", "--resume", str(self.json))
        self.assertEqual(again.returncode, 0)
        self.assertEqual(results.load(self.json).cells, after.cells)
        for note in results.load(self.json).notes:
            self.assertEqual(again.stdout.count(f"note: {note}\n"), 1)

    def test_the_other_signals(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            status, printed = self.interrupt(number)
            self.assertEqual(status, 128 + number, printed)
            self.assertTrue(results.load(self.json).cell("noise").complete)


class Abandoned(Runs):
    def test_what_a_killed_run_left_goes_with_the_next(self):
        run = self.start("io_uring", "epoll", "--pairs", "3", "--workloads", "plaintext", FAKE_STUCK="1")
        self.assertTrue(run.stderr.readline())
        run.kill()
        run.communicate(timeout=TIMEOUT_SECONDS)
        left, lock = sorted(path.name for path in (self.scratch / "tmp").iterdir())
        self.assertTrue(left.startswith(f"torc-bench-{run.pid}-"))
        self.assertEqual(lock, alone.NAME)
        self.bench("compare", "apache", "--build", str(self.build))  # asserts that it is gone


if __name__ == "__main__":
    unittest.main()
