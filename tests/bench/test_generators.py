"""torc-bench generators on fakes: a fake torc-load and a fake wrk."""

import unittest

import context  # noqa: F401
import fakes
from runs import Runs


class Generators(Runs):
    def setUp(self):
        super().setUp()
        fakes.executable(self.tools / "wrk", "#!/bin/sh\necho '  1000 requests in 1.00s, 1MB read'\n")

    def test_every_generator_has_its_row(self):
        done = self.bench(
            "generators", "--pairs", "2", "--seconds", "0.1", "--connections", "8", "--build", str(self.build)
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("wrk", "torc-load io_uring", "torc-load epoll"):
            self.assertIn(f"  {name} ", done.stdout)

    def test_a_generator_that_fails_is_said(self):
        done = self.bench(
            "generators", "--pairs", "1", "--seconds", "0.1", "--build", str(self.build), FAKE_ERRORS="io_uring"
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("torc-load ended (1)", done.stderr)

    def test_a_generator_without_an_answer_has_no_cost(self):
        fakes.executable(self.tools / "wrk", "#!/bin/sh\necho '  0 requests in 1.00s, 0B read'\n")
        done = self.bench("generators", "--pairs", "1", "--seconds", "0.1", "--build", str(self.build))
        self.assertEqual(done.returncode, 1)
        self.assertIn("wrk: no request was answered", done.stderr)


if __name__ == "__main__":
    unittest.main()
