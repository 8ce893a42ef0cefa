"""Flows of which torc-load reports nothing that could be told."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

import context  # noqa: F401
from lib import proc
from lib.lab import flow

ONE = flow.Flow("/x", connections=9, seconds=0.1)
URL = "http://127.0.0.1:1"


class Reports(unittest.TestCase):
    def run_load(self, script):
        """One flow, by a torc-load that does this; sys.argv is its command line."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "torc-load")
            path.write_text(f"#!{sys.executable} -BSE\nimport json, sys\n{script}\n")
            path.chmod(0o755)
            return flow.run([ONE], URL, Path(directory), Path(directory), (), ())

    def test_one_that_cannot_run_says_why_itself(self):
        with self.assertRaisesRegex(proc.ProcessError, "no report: torc-load: a limit"):
            self.run_load("print('torc-load: a limit', file=sys.stderr)\nsys.exit(1)")

    def test_one_that_measured_nothing_has_no_figures(self):
        errors = {"connect": 9, "timeout": 0}
        report = {"seconds": 0, "answered": 0, "errors": errors, "first_errors": {"connect": "127.0.0.1:1: refused"}}
        write = f"open(sys.argv[sys.argv.index('--json') + 1], 'w').write({json.dumps(report)!r})\nsys.exit(1)"
        with self.assertRaisesRegex(proc.ProcessError, "nothing: 9 connect errors .first: 127.0.0.1:1: refused"):
            self.run_load(write)


if __name__ == "__main__":
    unittest.main()
