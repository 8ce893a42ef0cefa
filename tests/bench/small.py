"""small.py BUILD: comparisons as small as they get, of real servers by the real torc-load."""

import errno
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
TIMEOUT_SECONDS = 300
BUILD = ""


class Small(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.scratch = Path(directory.name)
        (self.scratch / "tmp").mkdir()

    def compare(self, *arguments):
        path = self.scratch / "r.json"
        small = ("--pairs", "1", "--seconds", "0.2", "--connections", "16")
        done = subprocess.run(
            [*BENCH, "compare", *arguments, "--build", BUILD, "--json", str(path), *small],
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


# Runs a command under a filter that answers io_uring_setup with an error.
FILTERED = """
import ctypes, os, struct, sys
load, equal, answer = 0x20, 0x15, 0x06
lines = ((load, 0, 0, 0), (equal, 0, 1, 425), (answer, 0, 0, 0x50000 | int(sys.argv[1])), (answer, 0, 0, 0x7FFF0000))
program = b"".join(struct.pack("HBBI", *line) for line in lines)
kept = ctypes.create_string_buffer(program, len(program))
words = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(kept)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, words, 0, 0):
    sys.exit(77)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Doctor(unittest.TestCase):
    """What the server says of this kernel, and what the doctor makes of it."""

    def refused(self, error=errno.EPERM):
        """What comes before a command that runs where io_uring is refused."""
        return sys.executable, "-c", FILTERED, str(error)

    def findings(self, *before):
        words = [*before, *BENCH, "doctor", "--json", "--build", BUILD]
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        if done.returncode == 77:
            self.skipTest("no seccomp filter can be set here")
        found = {one["id"]: one for one in json.loads(done.stdout)["findings"]}
        if "no-check" in found:
            self.skipTest(found["no-check"]["text"])
        return found, done.returncode

    def test_this_kernel(self):
        found, status = self.findings()
        if status == 0:
            self.assertIn("single-issuer", found["io-uring"]["text"])
            self.assertIn("memlock", found)

    def test_a_filter_refuses_io_uring(self):
        if self.findings()[1]:
            self.skipTest("io_uring is refused here already")
        for error in (errno.EPERM, errno.ENOSYS):
            found, status = self.findings(*self.refused(error))
            self.assertEqual(status, 1)
            self.assertEqual(found["io-uring-seccomp"]["level"], "fail")
            self.assertNotIn("io-uring", found)

    def test_where_io_uring_is_refused_epoll_is_compared(self):
        small = ("--pairs", "1", "--seconds", "0.1", "--connections", "8", "--workloads", "plaintext")
        with tempfile.TemporaryDirectory() as directory:
            for floor, expected in (("floor-epoll", 0), ("floor", 2)):
                path = Path(directory, f"{floor}.json")
                words = (*BENCH, "compare", "epoll", floor, *small, "--build", BUILD, "--json", str(path))
                done = subprocess.run(
                    [*self.refused(), *words],
                    capture_output=True,
                    text=True,
                    timeout=TIMEOUT_SECONDS,
                    env={**os.environ, "TMPDIR": directory},
                )
                if done.returncode == 77:
                    self.skipTest("no seccomp filter can be set here")
                self.assertEqual(done.returncode, expected, done.stdout + done.stderr)
                if expected:
                    self.assertRegex(done.stderr, "^torc-bench: floor-uring: engine io_uring: .*not permitted")
                else:
                    self.assertEqual(results.load(path).cell("plaintext").names, ["epoll", "floor-epoll"])


if __name__ == "__main__":
    BUILD = sys.argv[1]
    try:
        load.program(Path(BUILD))
    except proc.ProcessError as error:
        print(error)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
