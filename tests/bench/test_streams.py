"""A whole run with streams that are full or closed, or a signal before it began."""

import signal
import subprocess
import unittest

import context  # noqa: F401
import test_results
from lib import results
from runs import ARGUMENTS, BENCH, TIMEOUT_SECONDS, Runs


class Streams(Runs):
    def run_with(self, *arguments, **more):
        return subprocess.run([*BENCH, *arguments], text=True, timeout=TIMEOUT_SECONDS, **more)

    def test_a_full_stdout_is_one_line(self):
        results.save(test_results.run(test_results.cell(a=[5000], b=[5500])), self.json)
        for arguments in (("--help",), ("diff", str(self.json), str(self.json))):
            with self.subTest(arguments), open("/dev/full", "w") as full:
                done = self.run_with(*arguments, stdout=full, stderr=subprocess.PIPE)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr, "torc-bench: standard output: No space left on device\n")

    def test_an_encoding_without_the_micro_sign_loses_only_that(self):
        results.save(test_results.run(test_results.cell(a=[5000], b=[5500])), self.json)
        ascii_only = self.environment({"PYTHONIOENCODING": "ascii"})
        done = self.run_with("diff", *[str(self.json)] * 2, stdout=subprocess.PIPE, env=ascii_only)
        self.assertEqual(done.returncode, 0)
        self.assertIn("CPU ?s", done.stdout)

    def test_closed_streams_do_not_matter(self):
        words = [*BENCH, "compare", *ARGUMENTS, *self.places]
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" 2>&- <&-', "sh", *words],
            text=True,
            stdout=subprocess.PIPE,
            timeout=TIMEOUT_SECONDS,
            env=self.environment({}),
        )
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"every sample: {self.json}", done.stdout)

    def test_a_full_stderr_does_not_matter(self):
        with open("/dev/full", "w") as full:
            for words, status in (("compare", *ARGUMENTS, *self.places), 0), (("compare", "--nonsense"), 2):
                done = self.run_with(*words, stdout=subprocess.PIPE, stderr=full, env=self.environment({}))
                self.assertEqual(done.returncode, status, done.stdout)
        self.assertTrue(results.load(self.json).cell("plaintext").complete)

    def test_a_library_that_is_missing_is_named(self):
        (self.scratch / "scipy.py").write_text("raise ModuleNotFoundError('no scipy', name='scipy')")
        done = self.run_with("doctor", capture_output=True, env=self.environment({"PYTHONPATH": str(self.scratch)}))
        self.assertEqual(done.returncode, 1)
        text = "torc-bench: Python's scipy is not installed: tools/setup --bench installs it\n"
        self.assertEqual(done.stderr, text)

    def test_a_signal_while_it_is_imported(self):
        (self.scratch / "argparse.py").write_text(
            "import sys, time; print('importing', file=sys.stderr, flush=True); time.sleep(60)"
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            environment = self.environment({"PYTHONPATH": str(self.scratch)})
            self.interrupt_import((number,), number, environment)
        for ignored in (signal.SIGHUP, signal.SIGINT):
            self.interrupt_import((ignored, signal.SIGTERM), signal.SIGTERM, environment, ignored)

    def interrupt_import(self, sent, obeyed, environment, ignored=None):
        """It ends by the last of these, unless by one before."""

        def begin():
            for number in (signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN if number == ignored else signal.SIG_DFL)

        told = {"stderr": subprocess.PIPE, "text": True, "env": environment}
        with subprocess.Popen([*BENCH, "doctor"], preexec_fn=begin, **told) as run:
            self.assertEqual(run.stderr.readline(), "importing\n")
            for number in sent:
                run.send_signal(number)
            self.assertEqual(run.communicate(timeout=TIMEOUT_SECONDS)[1], "torc-bench: interrupted\n")
            self.assertEqual(run.returncode, 128 + obeyed)


if __name__ == "__main__":
    unittest.main()
