"""Options and subjects that torc-bench refuses, and how its options are read."""

import contextlib
import errno
import io
import os
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
from lib import cli, results, workloads
from runs import Runs


class Refusals(Runs):
    def refused(self, *arguments):
        done = self.bench_here(*arguments)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertTrue(all(line.startswith("note: ") for line in done.stdout.splitlines()))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_wrong_options_say_so_in_one_line(self):
        cases = (
            (["--pairs", "0"], "--pairs: takes a whole number above 0"),
            (["--pairs", "1000000000"], "--pairs: takes a whole number up to 1,000,000"),
            (["--seconds", "x"], "--seconds: takes seconds"),
            (["--workloads", "nothing"], "--workloads: takes names of plaintext"),
            (["--build", "/nowhere"], "--build: takes a directory that exists"),
            (["--command", "x=y"], "--command: x needs its port"),
            (["--command", "x='{port}"], "--command: takes words"),
            (["--command", "floor=x {port}"], "--command: floor is already the name of a subject"),
            (["--command", "x=a {port}", "--command", "x=b {port}"], "--command: x is named twice: each needs"),
            (["--server-args", "'"], "--server-args: takes words"),
            (["--resume", "/nowhere.json"], "--resume: takes a result file"),
            (["--nonsense"], "--nonsense"),
            (["--pair", "3"], "unrecognized arguments: --pair, did you mean --pairs?"),
            (["--workload=json"], "unrecognized arguments: --workload=json, did you mean --workloads?"),
            (["--server-args", "--no-direct"], "expected one argument, as in --server-args=--no-direct"),
        )
        for wrong, text in cases:
            said = io.StringIO()
            with self.subTest(wrong), contextlib.redirect_stderr(said):
                with self.assertRaises(SystemExit) as stop:
                    cli.parse(["compare", *wrong])
                self.assertEqual(stop.exception.code, 2)
                self.assertEqual(said.getvalue().count("\n"), 1)
                self.assertIn(text, said.getvalue())

    def test_a_command_is_refused_where_torc_alone_is_measured(self):
        for kind in ("sweep", "ablate", "tune", "scale"):
            said = io.StringIO()
            with self.subTest(kind), contextlib.redirect_stderr(said), self.assertRaises(SystemExit):
                cli.parse([kind, "--command", "own=true {port}"])
            self.assertIn("unrecognized arguments: --command own=true {port}", said.getvalue())

    def test_help_lists_the_workloads(self):
        for command in ("compare", "sweep", "ablate", "tune", "scale"):
            said = io.StringIO()
            with self.subTest(command), contextlib.redirect_stdout(said):
                with self.assertRaises(SystemExit):
                    cli.parse([command, "--help"])
                for name in ("plaintext", "short-lived", "upload"):
                    self.assertIn(name, said.getvalue())

    def test_a_configuration_that_could_not_be_written(self):
        for path, why in ((self.scratch, "Is a directory"), ("/proc/x.conf", "No such file")):
            said = self.refused("tune", "--config-file", str(path), "--build", str(self.build))
            self.assertIn(f"--config-file: {path} cannot be written: {why}", said)

    def test_a_full_disk_that_no_error_names(self):
        full = mock.Mock(f_bfree=0, f_bavail=0, f_frsize=4096, f_blocks=10**6, f_ffree=9, f_files=10)
        error = OSError(errno.ENOSPC, "No space left on device")
        words = ("compare", "io_uring", "epoll", *self.places)
        with mock.patch.object(workloads, "write_static", side_effect=error):
            with mock.patch.object(os, "statvfs", return_value=full):
                done = self.bench_here(*words)
        self.assertEqual(done.returncode, 1)
        text = f"^torc-bench: {self.scratch}/tmp/torc-bench-\\S+ is full: make room .*: No space left on device\n"
        self.assertRegex(done.stderr, text)

    def test_no_connection_is_possible(self):
        words = ("compare", "io_uring", "epoll", "--workloads", "plaintext", *self.places)
        with mock.patch.object(workloads, "connections_possible", lambda: 0):
            said = self.refused(*words)
        self.assertIn("torc-bench: plaintext: no connection can be had", said)
        self.assertIn("raise ulimit -n", said)

    def test_subjects(self):
        twice = "io_uring is named twice: name it once; every comparison starts with an A/A run"
        for words, text in (
            (["threads", "epoll"], "threads: this build has no threads engine"),
            (["apache"], "takes subjects of io_uring"),
            (["floor-epoll", "--cores", "2"], "floor-epoll: runs on one core only"),
            (["nginx --x"], "takes no options of its own"),
            (["io_uring --dpeth 64", "epoll"], "io_uring: unknown option --dpeth, did you mean --depth?"),
            (["--server-args", "--dpeth 64"], "unknown option --dpeth"),
            (["io_uring", " io_uring"], twice),
            (["io_uring '"], "takes words as a shell does"),
            (["--command", "own=true {port}"], "--command: own is not among the subjects"),
            (["own", "--command", "own=/nowhere/x {port}"], "own: no program /nowhere/x"),
            (
                ["own", "epoll", "--command", "own=false {port}"],
                "too few subjects are left: own: false ended (1): it printed nothing",
            ),
        ):
            with self.subTest(words):
                self.assertIn(text, self.refused("compare", *words, *self.places))
        self.assertFalse(self.json.exists())

    def test_more_cores_than_there_are(self):
        here = len(os.sched_getaffinity(0))
        for kind in ("compare", "sweep", "scale"):
            self.assertIn(
                f"--cores: takes 1 to {here} here, not 4000", self.refused(kind, "--cores", "4000", *self.places)
            )

    def test_resume_goes_alone_and_with_its_own_kind(self):
        results.save(results.Run("sweep", "t", "x", command=["b", "sweep"]), self.json)
        self.assertIn("is of torc-bench sweep", self.refused("compare", "--resume", str(self.json)))
        results.save(results.Run("compare", "t", "x", command=["b", "compare"]), self.json)
        self.assertIn("goes alone", self.refused("compare", "--resume", str(self.json), "--quick"))

    def test_resume_takes_its_file_however_it_is_written(self):
        run = results.Run("compare", "t", "x", command=["b", "compare", "--quick"])
        results.save(run, self.json)
        here = os.path.relpath(self.json)
        for words in (["--resume", f"./{here}"], [f"--resume=./{here}"], [f"--resume={self.json}"]):
            with self.subTest(words):
                self.assertTrue(cli.parse(["compare", *words]).quick)
        for more in (["--quick", f"--resume={here}"], [f"--resume={here}", "--quick"]):
            with self.subTest(more), contextlib.redirect_stderr(io.StringIO()) as said:
                with self.assertRaises(SystemExit):
                    cli.parse(["compare", *more])
                self.assertIn("goes alone", said.getvalue())

    def test_places_in_the_command_hold_in_every_directory(self):
        here = os.path.relpath(self.build)
        for words in (["--build", here], [f"--build={here}"]):
            with self.subTest(words):
                argv = cli.parse(["tune", *words, "--config-file", "x.conf"]).argv
                self.assertEqual(argv[-1], str(Path("x.conf").absolute()))
                self.assertEqual(argv[-3].removeprefix("--build="), str(self.build))

    def test_help_knows_the_subcommands(self):
        done = self.bench("--help")
        self.assertEqual(done.returncode, 0)
        for name in ("compare", "diff"):
            self.assertIn(f"\n    {name} ", done.stdout)


if __name__ == "__main__":
    unittest.main()
