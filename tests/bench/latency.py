"""The programs of bench/latency print what they measured, and say what they take."""

import os
import re
import subprocess
import sys
import unittest

WAKE, SSE, LAB = sys.argv[1:4]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


class Latency(unittest.TestCase):
    def test_wake(self):
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            self.skipTest("one CPU signals, another waits")
        got = run(WAKE, str(cpus[0]), str(cpus[1]), "5")
        self.assertEqual(got.returncode, 0, got.stderr)
        lines = got.stdout.splitlines()
        for line, name in zip(lines, ("event", "eventfd")):
            self.assertRegex(line, rf"^{name} +p50 \d+\.\d\d us  p99 \d+\.\d\d us$")
        p50, bare = (float(re.search(r"p50 (\S+)", line)[1]) for line in lines[:2])
        self.assertGreater(p50, 0)
        self.assertAlmostEqual(float(lines[2].split()[-1]), p50 / bare, delta=0.05)

    def test_sse(self):
        lab = subprocess.Popen([LAB, "--listen", "127.0.0.1:0", "--cores", "1"], stderr=subprocess.PIPE, text=True)
        try:
            port = next(m[1] for m in (re.search(r"ready http://127\.0\.0\.1:(\d+)", line) for line in lab.stderr) if m)
            got = run(SSE, port, "20", "3")
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertRegex(
                got.stdout, r"^20 clients, 3 messages: p50 \d+\.\d\d ms  " r"p99 \d+\.\d\d ms  max \d+\.\d\d ms\n$"
            )
        finally:
            lab.kill()
            lab.communicate()

    def test_usage(self):
        for command in ([WAKE, "0"], [WAKE, "0", "0"], [SSE], [SSE, "x"], [SSE, "80", "0"]):
            got = run(*command)
            self.assertEqual(got.returncode, 2, command)
            self.assertIn("usage: ", got.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
