"""What tests of whole runs share: a scratch directory, fakes in it, and torc-bench run on those."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import context
import fakes
from lib import cli, ending

BENCH = [sys.executable, "-B", str(context.TOP / "bench/torc-bench")]
TIMEOUT_SECONDS = 300  # machines stand still
ARGUMENTS = ("io_uring", "epoll", "--pairs", "1", "--seconds", "0.1", "--workloads", "plaintext")


class Runs(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.scratch = Path(directory.name)
        (self.scratch / "tmp").mkdir()
        # Its own, for the lock of a torc-bench that measures is in the one of the machine.
        temporary = mock.patch.object(tempfile, "tempdir", str(self.scratch / "tmp"))
        temporary.start()
        self.addCleanup(temporary.stop)
        self.build = fakes.build(self.scratch / "build")
        self.tools = fakes.tools(self.scratch / "tools")
        self.json = self.scratch / "r.json"
        self.places = ("--build", str(self.build), "--json", str(self.json))

    def environment(self, more):
        return {**os.environ, "TMPDIR": str(self.scratch / "tmp"), "PATH": f"{self.tools}:{os.environ['PATH']}", **more}

    def nothing_is_left(self):
        self.assertEqual(list((self.scratch / "tmp").iterdir()), [], "scratch is left behind")

    def bench(self, *arguments, **environment):
        done = subprocess.run(
            [*BENCH, *arguments],
            capture_output=True,
            text=True,
            env=self.environment(environment),
            timeout=TIMEOUT_SECONDS,
        )
        self.nothing_is_left()
        return done

    def bench_here(self, *arguments):
        """The same without a start of Python, which takes longer than what ends before it measures."""
        before = [(number, signal.getsignal(number)) for number in ending.ENDING_SIGNALS]
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.dict(
                os.environ, self.environment({})
            ):
                status = cli.main(arguments)
        finally:
            for number, handler in before:
                signal.signal(number, handler)
        self.nothing_is_left()
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    def compare(self, *arguments, **environment):
        """Samples as short as one part of them is: what a fake load reports depends on no time."""
        small = ("--seconds", "0.1", "--connections", "8")
        return self.bench("compare", *small, *arguments, *self.places, **environment)

    def start(self, *arguments, **environment):
        """A comparison that goes on until it is ended from without."""
        return subprocess.Popen(
            [*BENCH, "compare", *arguments, *self.places],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(environment),
            start_new_session=True,
        )
