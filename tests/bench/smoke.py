"""smoke.py BUILD: the comparison, as small as it gets, runs to its end and leaves nothing behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
COMPARE = [sys.executable, str(TOP / "bench/compare.py")]
BUILD = ""
TIMEOUT_SECONDS = 100


def children_of(pid):
    """Processes whose parent is this one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            pass
    return found


class Smoke(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.scratch = Path(directory.name)
        (self.scratch / "tmp").mkdir()
        self.json = self.scratch / "result.json"
        self.environment = {**os.environ, "TMPDIR": str(self.scratch / "tmp")}
        self.command = [
            *COMPARE, "--build", BUILD, "--only", "plaintext,pipelined", "--rounds", "1",
            "--seconds", "1", "--connections", "8", "--subjects", "floor-uring,floor-epoll",
            "--json", str(self.json),
        ]  # fmt: skip

    def test_runs_and_writes_every_sample(self):
        done = subprocess.run(self.command, capture_output=True, text=True, env=self.environment,
                              timeout=TIMEOUT_SECONDS)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("floor io_uring ÷ floor epoll", done.stdout)
        self.assertIn(str(self.json), done.stdout)
        result = json.loads(self.json.read_text())
        samples = [s for workload in result["workloads"] for s in workload["samples"]]
        self.assertEqual(len(samples), 4)
        for sample in samples:
            self.assertIsNone(sample["invalid"])
            self.assertGreater(sample["requests"], 0)
            self.assertGreater(sample["cpu_ns"], 0)
            self.assertGreater(sample["latency_us"]["p99"], 0)
        self.assertEqual(list((self.scratch / "tmp").iterdir()), [])

    def test_an_interrupt_ends_everything(self):
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)) * 2:
            run = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, env=self.environment,
                                   stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
            children = []
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while len(children) < 2 and time.monotonic() < deadline:
                children = children_of(run.pid)
                time.sleep(0.002)
            run.send_signal(number)
            self.assertEqual(run.wait(TIMEOUT_SECONDS), status)
            self.assertEqual(len(children), 2, "a server and a load at once")
            left = [pid for pid in children if Path(f"/proc/{pid}").exists()]
            self.assertEqual(left, [])
            self.assertEqual(list((self.scratch / "tmp").iterdir()), [])
        self.assertFalse(self.json.exists())

    def test_a_missing_server_is_named(self):
        done = subprocess.run([*self.command[:-4], "--subjects", "uring", "--build",
                               str(self.scratch)], capture_output=True, text=True,
                              env=self.environment, timeout=TIMEOUT_SECONDS)  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("torc-lab", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)


if __name__ == "__main__":
    if shutil.which("wrk") is None:
        print("no wrk here: tools/setup --bench installs it")
        sys.exit(77)
    BUILD = sys.argv[1]
    unittest.main(argv=sys.argv[:1])
