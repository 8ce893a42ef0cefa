"""Flows: the CPUs that they run on, and reports of which nothing can be told."""

import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
from lib import proc
from lib.host import Machine
from lib.lab import flow, stage

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


class Cpus(unittest.TestCase):
    """Each torc-load pins itself to the first CPU that it is given."""

    def given(self, flows, cpus, apart):
        report = {"seconds": 1.0, "status": {}, "errors_measured": {"timeout": 0, "status": 0}, "answered": 1}
        report |= {"latency_ns": {"corrected": {"p50": 1, "p99": 1}}, "unsent": 0}
        with (
            mock.patch.object(flow.load, "program", return_value="torc-load"),
            mock.patch.object(flow.load, "written", return_value=report),
            mock.patch.object(flow.proc, "Child") as child,
        ):
            child.return_value.__enter__.return_value.wait.return_value = 0
            self.assertEqual(len(flow.run([ONE] * flows, URL, Path("b"), Path("/nowhere"), cpus, (), apart)), flows)
        return [list(call.args[1]) for call in child.call_args_list]

    def test_each_flow_has_its_own_where_there_are_enough(self):
        self.assertEqual(self.given(2, [2, 3], True), [[2], [3]])
        self.assertEqual(self.given(2, [2, 3, 4, 5, 6], True), [[2, 4, 6], [3, 5]])
        self.assertEqual(self.given(1, [2, 3], True), [[2, 3]])

    def test_too_few_are_shared(self):
        self.assertEqual(self.given(2, [1], True), [[1], [1]])
        self.assertEqual(self.given(3, [1, 2], True), [[1, 2]] * 3)

    def test_those_of_the_server_are_left_as_they_are(self):
        self.assertEqual(self.given(2, [0, 1], False), [[0, 1], [0, 1]])

    def stage_asks(self, affinity, cores):
        """Whether a server of so many cores, on these CPUs, has its flows run apart from it."""
        here = stage.Stage(None, affinity, True, "epoll")
        here.repeat = mock.Mock()
        subject = mock.MagicMock()
        subject.started.return_value.__enter__.return_value.child = child = mock.Mock()
        here.place = mock.Mock(started=mock.MagicMock())
        with (
            mock.patch.object(stage, "known", return_value={"epoll": subject}),
            mock.patch.object(stage.load, "program"),
            mock.patch.object(stage.proc, "family", return_value=[]),
            mock.patch.object(stage.measures, "Window"),
            mock.patch.object(stage.measures, "of", return_value={}),
            mock.patch.object(Machine, "siblings", lambda _, cpu: {cpu}),
            mock.patch.object(flow, "run", return_value=[]) as run,
            here.torc(cores=cores) as server,
        ):
            here.ask(server, ONE, ONE)
            self.assertIs(server.child, child)
        self.assertEqual(here.apart, set())
        return run.call_args.args[4], run.call_args.args[6]

    def test_a_stage_knows_whose_cpus_they_are(self):
        self.assertEqual(self.stage_asks([0, 1, 2, 3], 1), ([1, 2], True))
        self.assertEqual(self.stage_asks([0, 1], 1), ([1], True))
        self.assertEqual(self.stage_asks([0, 1], 2), ([0, 1], False))


if __name__ == "__main__":
    unittest.main()
