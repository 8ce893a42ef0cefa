"""small.py BUILD: comparisons as small as they get, of real servers by the real torc-load."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import context
from lib import load, proc, results, schema

BENCH = [sys.executable, "-B", str(context.TOP / "bench/torc-bench")]
TIMEOUT_SECONDS = 100
BUILD = ""


class Small(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.scratch = Path(directory.name)
        (self.scratch / "tmp").mkdir()

    def compare(self, *arguments):
        path = self.scratch / "r.json"
        done = subprocess.run(
            [
                *BENCH,
                "compare",
                *arguments,
                "--build",
                BUILD,
                "--json",
                str(path),
                "--pairs",
                "1",
                "--seconds",
                "0.2",
                "--connections",
                "16",
            ],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            env={**os.environ, "TMPDIR": str(self.scratch / "tmp")},
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(list((self.scratch / "tmp").iterdir()), [])
        faults = list(schema.faults(json.loads(path.read_text())))
        self.assertEqual(faults, [])
        return results.load(path)

    def test_engines_and_floors(self):
        run = self.compare("io_uring", "epoll", "floor", "--workloads", "plaintext,short-lived,idle")
        for cell in run.cells:
            names = ["io_uring", "epoll", "floor-uring", "floor-epoll"]
            self.assertEqual(
                sorted(s.variant for s in cell.samples if cell.id != "noise"),
                sorted(names if cell.id != "noise" else []),
            )
        for sample in run.cell("plaintext").samples + run.cell("short-lived").samples:
            self.assertGreater(sample.cpu_ns_per_request, 0)
            self.assertLess(sample.server_share, 1.2)
            self.assertGreater(sample.latency_us["p99"], 0)
            self.assertEqual(sum(sample.errors.values()), 0)
            self.assertGreater(sum(count for _, count in sample.histogram), 0)
        for sample in run.cell("idle").samples:
            self.assertIn("user_bytes", sample.memory)
        mine = run.cell("plaintext").valid("io_uring")[0]
        self.assertLess(mine.syscalls_per_request, 3)
        self.assertGreater(mine.completions_per_wait, 0)
        self.assertEqual(mine.overflows, 0)
        reopened = run.cell("short-lived").valid("epoll")[0]
        self.assertGreater(reopened.connects, 16)

    def test_every_form_of_request(self):
        run = self.compare("io_uring", "epoll", "--workloads", "json,pipelined,baseline,static-small-4k,delay,latency")
        for cell in run.cells:
            self.assertEqual(cell.invalid, [])
        for sample in run.cell("latency-50").samples:
            self.assertIsNotNone(sample.latency_raw_us)


if __name__ == "__main__":
    BUILD = sys.argv[1]
    try:
        load.program(Path(BUILD))
    except proc.ProcessError as error:
        print(error)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
