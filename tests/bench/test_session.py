"""Whole runs of torc-bench on fakes: files, resumption, signals, refusals."""

import contextlib
import errno
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import context
import fakes
import test_results
from lib import alone, cli, compare, progress, results, schema, scratch, session
from lib.page import page, svg
from lib.proc import family
from lib.subject import SubjectError

BENCH = [sys.executable, "-B", str(context.TOP / "bench/torc-bench")]
SCHEMA = json.loads((context.TOP / "bench/results.schema.json").read_text())
TIMEOUT_SECONDS = 120


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
        self.json = self.scratch / "r.json"

    def environment(self, more):
        return {**os.environ, "TMPDIR": str(self.scratch / "tmp"), **more}

    def bench(self, *arguments, **environment):
        done = subprocess.run([*BENCH, *arguments], capture_output=True, text=True,
                              env=self.environment(environment), timeout=TIMEOUT_SECONDS)  # fmt: skip
        self.assertEqual(list((self.scratch / "tmp").iterdir()), [], "scratch is left behind")
        return done

    def compare(self, *arguments, **environment):
        return self.bench("compare", *arguments, "--build", str(self.build), "--json",
                          str(self.json), "--connections", "8", **environment)  # fmt: skip


class Compare(Runs):
    def test_all_of_it(self):
        done = self.compare("io_uring", "epoll", "floor", "--pairs", "2", "--seconds", "0.1",
                            "--workloads", "plaintext,pipelined,baseline,static-small-4k,upload,"
                            "delay,idle,latency", FAKE_UNSENT="epoll")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("torc io_uring uses 9.1 % less CPU per request than torc epoll", done.stdout)
        self.assertIn("baseline: floor epoll cannot serve it and is left out", done.stdout)
        self.assertIn(f"page: bench/torc-bench report {self.json}", done.stdout)
        self.assertRegex(done.stdout, r": 8 workloads, \d+ samples, about \d+ (s|min)\n")
        self.assertIn("upload: torc io_uring uses 5.9 % less CPU per request of server and load "
                      "together than torc epoll", self.json.read_text())  # fmt: skip
        content = json.loads(self.json.read_text())
        self.assertEqual(list(schema.faults(content, SCHEMA, SCHEMA)), [])
        run = results.load(self.json)
        self.assertIsNotNone(run.finished)
        self.assertEqual((run.noise["low"], run.noise["high"], run.noise["pairs"]), (1, 1, 2))
        ids = ["noise", "plaintext", "pipelined", "baseline", "static-small-4k", "upload", "delay",
               "idle", "latency-capacity", "latency-50", "latency-70", "latency-90"]  # fmt: skip
        self.assertEqual([cell.id for cell in run.cells], ids)
        for cell in run.cells:
            self.assertTrue(cell.complete)
            self.assertEqual(cell.answers, "alike")
            self.assertEqual(cell.invalid, [])
        order = [(s.variant, s.round, s.order) for s in run.cell("baseline").samples]
        self.assertEqual(order, [("io_uring", 0, 0), ("epoll", 0, 1), ("epoll", 1, 0),
                                 ("io_uring", 1, 1)])  # fmt: skip
        (found,) = [r for r in run.cell("plaintext").ratios if r.metric == "cpu_ns_per_request"
                    and (r.numerator, r.denominator) == ("io_uring", "epoll")]  # fmt: skip
        self.assertAlmostEqual(found.median, 5000 / 5500, 4)
        capacity = run.cell("latency-capacity")
        self.assertEqual(len(capacity.valid("epoll")), compare.CAPACITY_ROUNDS)
        slow = capacity.median("epoll", "per_second")
        for percent in (50, 70, 90):
            cell = run.cell(f"latency-{percent}")
            self.assertEqual(cell.workload["rate"], round(slow * percent / 100))
            self.assertIsNotNone(cell.samples[0].latency_raw_us)
        self.assertIsNone(run.cell("plaintext").samples[0].latency_raw_us)
        said = "torc epoll: 2,000 requests whose time had come were not sent: the rate of "
        self.assertEqual(done.stdout.count(said), 3, done.stdout)
        self.assertIn("50 % of the measured capacity of torc epoll, is more than", done.stdout)
        with mock.patch.object(svg, "available", return_value=False):
            self.assertIn(said, page.page(run))
        self.assertGreater(run.cell("idle").median("epoll", "memory.user_bytes"), 0)
        self.assertAlmostEqual(run.cell("plaintext").median("epoll", results.WITH_LOAD), 8500, -1)
        self.assertIsNone(run.cell("idle").median("epoll", results.WITH_LOAD))
        self.assertIn("with load µs", done.stdout)
        self.assertEqual(run.cell("plaintext").median("io_uring", "completions_per_wait"), 2)
        self.assertTrue(all(one.startswith(tuple(ids)) for one in run.conclusions))

    def test_invalid_samples_are_named_and_fail_the_run(self):
        done = self.compare("io_uring", "epoll", "--pairs", "1", "--workloads", "plaintext",
                            FAKE_ERRORS="epoll")  # fmt: skip
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = done.stdout.splitlines()
        first = next(i for i, line in enumerate(lines) if "INVALID round 1, torc epoll" in line)
        self.assertIn("3 timeout errors", lines[first])
        self.assertLess(first, next(i for i, line in enumerate(lines) if "CPU µs/request" in line))
        self.assertEqual(done.stdout.count("INVALID round"), 1)
        self.assertEqual(lines[-1], "1 sample is invalid and does not count: see INVALID above; "
                         "the exit status is 1 for it")  # fmt: skip
        cell = results.load(self.json).cell("plaintext")
        self.assertIsNone(results.ratio(cell, "io_uring", "epoll"))

    def test_invalid_samples_of_every_cell_of_every_kind_are_named(self):
        done = self.bench("sweep", "--depth", "64", "--build", str(self.build), "--pairs", "1",
                          "--json", str(self.json), "--seconds", "0.1", FAKE_ERRORS="io_uring")
        self.assertEqual(done.returncode, 1, done.stderr)
        for cell in results.load(self.json).cells:
            count = len(cell.invalid)
            self.assertGreater(count, 0)
            self.assertEqual(done.stdout.count(f"{cell.id}: INVALID round 1"), count, done.stdout)
        self.assertRegex(done.stdout, r"3 samples are invalid and do not count: see INVALID above; "
                         r"the exit status is 1 for it\n$")  # fmt: skip

    def test_answers_have_to_be_alike(self):
        done = self.compare("epoll", "io_uring", "--workloads", "plaintext", FAKE_UNLIKE="io_uring")
        self.assertEqual(done.returncode, 1)
        self.assertIn("plaintext: torc io_uring: does not answer the body", done.stderr)
        self.assertFalse(self.json.exists())

    def test_a_command_of_ones_own(self):
        script = self.scratch / "own.py"
        script.write_text(
            "import sys; sys.path.insert(0, sys.argv[1]); import fakes\n"
            "fakes.accept(fakes.listen(int(sys.argv[2]))[0], None, 'own',\n"
            "             dict.fromkeys(('requests', 'syscalls', 'cqes', 'turns'), 0))\n")  # fmt: skip
        command = f"own={sys.executable} -B {script} {Path(fakes.__file__).parent} {{port}}"
        done = self.compare("own", "io_uring", "--command", command, "--pairs", "1", "--workloads",
                            "plaintext,static-small-4k")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("static-small-4k: own is left out: answered HTTP/1.1 404", done.stdout)
        run = results.load(self.json)
        self.assertEqual(run.cell("plaintext").names, ["own", "io_uring"])
        self.assertIsNone(run.cell("static-small-4k"))
        self.assertGreater(run.cell("plaintext").median("own", "requests"), 0)

    def test_commands_that_do_not_run_are_left_out_with_the_reason(self):
        script = self.scratch / "no-format"
        script.write_text("true")
        script.chmod(0o755)
        commands = {"ends": "false {port}", "none": "/nowhere/x {port}", "odd": f"{script} {{port}}"}
        done = self.compare("io_uring", "epoll", *commands, *(
            word for name, one in commands.items() for word in ("--command", f"{name}={one}")),
            "--pairs", "1", "--workloads", "plaintext")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run = results.load(self.json)
        for note in ("ends is left out: false ended (1): it printed nothing",
                     "none is left out: no program /nowhere/x",
                     f"odd is left out: {script}: Exec format error"):  # fmt: skip
            self.assertIn(f"note: {note}", done.stdout)
            self.assertIn(note, run.notes)
        self.assertEqual(run.cell("plaintext").names, ["io_uring", "epoll"])

    def test_options_of_one_variant(self):
        done = self.compare("io_uring", "io_uring --depth 64", "--pairs", "1", "--workloads",
                            "plaintext", "--server-args", "--cq-depth 8")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run = results.load(self.json)
        self.assertEqual(run.commands["io_uring"][-2:], ["--cq-depth", "8"])
        self.assertEqual(run.commands["io_uring --depth 64"][-2:], ["--depth", "64"])

    def test_a_full_generator_is_said_with_its_remedy(self):
        done = self.compare("io_uring", "epoll", "--pairs", "1", "--workloads", "plaintext",
                            FAKE_FULL="epoll")  # fmt: skip
        self.assertIn("torc epoll: the load generator was the bottleneck", done.stdout)
        self.assertIn("give the load --cores 2", done.stdout)


class Tables(Runs):
    def table(self, kind, *arguments):
        done = self.bench(kind, *arguments, "--build", str(self.build), "--json", str(self.json),
                          "--pairs", "1", "--seconds", "0.1")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"page: bench/torc-bench report {self.json}", done.stdout)
        return done.stdout

    def test_a_sweep_ends_with_one(self):
        text = self.table("sweep", "--depth", "64,512", "--connections", "8")
        self.assertRegex(text, r"base\n.* depth +cost ÷ base")
        self.assertIn("1.000 (1.000–1.000)", text)

    def test_scale_ends_with_one_and_checks_options_for_any_core_count(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("one CPU")
        text = self.table("scale", "--cores", "1,2", "--server-args", "--cq-depth 8")
        self.assertIn("torc epoll, 2 cores", text)
        self.assertIn("capacity", text)


class Sessions(Runs):
    ARGUMENTS = ("io_uring", "epoll", "--pairs", "1", "--seconds", "0.1", "--workloads",
                 "plaintext")  # fmt: skip

    def session(self, *arguments, kind="compare"):
        options = cli.parse([kind, *self.ARGUMENTS, "--build", str(self.build), *arguments])
        return session.Session(kind, options)


class Files(Sessions):
    def results(self):
        """Makes default files go into the scratch directory."""
        (self.scratch / "bench").mkdir()
        patched = mock.patch("lib.session.TOP", self.scratch)
        patched.start()
        self.addCleanup(patched.stop)
        return self.scratch / "bench/results"

    def test_runs_of_one_second_have_files_of_their_own(self):
        where = self.results()
        where.mkdir(parents=True)
        for name in ("compare-now.json", "compare-now-2.json"):
            (where / name).write_text("another's")
        with mock.patch("time.strftime", lambda form: form.replace("%Y%m%d-%H%M%S", "now")):
            with contextlib.redirect_stdout(io.StringIO()), self.session() as mine:
                self.assertEqual(mine.path, where / "compare-now-3.json")
                self.assertTrue(mine.path.exists())
        self.assertFalse(mine.path.exists(), "it took no sample")
        self.assertEqual((where / "compare-now.json").read_text(), "another's")

    def test_a_result_is_not_replaced(self):
        self.assertEqual(self.compare(*self.ARGUMENTS).returncode, 0)
        before = self.json.read_bytes()
        done = self.compare(*self.ARGUMENTS)
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"go on with that by --resume {self.json}", done.stderr)
        self.assertEqual(self.json.read_bytes(), before)

    def test_a_result_without_a_sample_is_replaced(self):
        results.save(results.Run("compare", "t", "x"), self.json)
        with self.session("--json", str(self.json)):
            self.assertNotEqual(results.load(self.json).started, "x")
        self.assertTrue(self.json.exists())

    def test_where_no_file_can_be_is_refused_before_measuring(self):
        (self.scratch / "file").touch()
        for path, text in (("/dev/full", "no regular file"), (self.scratch, "no regular file"),
                           (self.scratch / "file/r.json", "cannot be written: "),
                           ("/proc/r.json", "/proc/r.json cannot be written: No such file"),
                           (self.scratch / "file", "not a result file, from line 1, column 1 on, and "
                            "is not written over")):
            with self.subTest(path), self.assertRaisesRegex(SubjectError, f"--json: .*{text}"):
                with self.session("--json", str(path)):
                    self.fail("it began")

    def test_what_is_no_file_is_not_read(self):
        with self.assertRaisesRegex(results.ResultsError, "^/dev/full: no regular file"):
            results.load(Path("/dev/full"))


class Streams(Runs):
    def run_with(self, *arguments, **more):
        return subprocess.run([*BENCH, *arguments], text=True, timeout=TIMEOUT_SECONDS, **more)

    def test_a_full_stdout_is_one_line(self):
        results.save(test_results.run(test_results.cell(a=[5000], b=[5500])), self.json)
        for arguments in (("--help",), ("diff", str(self.json), str(self.json))):
            with self.subTest(arguments), open("/dev/full", "w") as full:
                done = self.run_with(*arguments, stdout=full, stderr=subprocess.PIPE)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr,
                                 "torc-bench: standard output: No space left on device\n")

    def test_closed_streams_do_not_matter(self):
        words = [*BENCH, "compare", *Sessions.ARGUMENTS, "--build", str(self.build), "--json",
                 str(self.json)]  # fmt: skip
        done = subprocess.run(["sh", "-c", 'exec "$@" 2>&- <&-', "sh", *words], text=True,
                              stdout=subprocess.PIPE, env=self.environment({}),
                              timeout=TIMEOUT_SECONDS)  # fmt: skip
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"every sample: {self.json}", done.stdout)

    def test_a_signal_while_it_is_imported(self):
        (self.scratch / "argparse.py").write_text(
            "import sys, time; print('importing', file=sys.stderr, flush=True); time.sleep(60)")
        for number in (signal.SIGINT, signal.SIGTERM):
            run = subprocess.Popen([*BENCH, "doctor"], stderr=subprocess.PIPE, text=True,
                                   env=self.environment({"PYTHONPATH": str(self.scratch)}))
            self.assertEqual(run.stderr.readline(), "importing\n")
            run.send_signal(number)
            self.assertEqual(run.communicate(timeout=TIMEOUT_SECONDS)[1],
                             "torc-bench: interrupted\n")  # fmt: skip
            self.assertEqual(run.returncode, 128 + number)


class FullDisk(Sessions):
    def ended(self, *samples):
        """A run whose file cannot be saved again once it has a cell of these samples."""
        full = mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        self.addCleanup(full.stop)
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            with self.assertRaisesRegex(results.ResultsError, "r.json cannot be written: No space"):
                with self.session("--json", str(self.json)) as run:
                    run.run.cells.append(results.Cell("plaintext", {}, samples=list(samples)))
                    run.save()
                    full.start()
                    run.run.cells.append(results.Cell("json", {}, samples=[
                        results.Sample("epoll", 0, 0, 1.0)]))  # fmt: skip
                    run.save()
        return said.getvalue()

    def test_keeps_the_cells_before(self):
        said = self.ended(results.Sample("io_uring", 0, 0, 1.0))
        self.assertRegex(said, "^what was saved before is in .*r.json; go on with: .*--resume")
        self.assertEqual([cell["id"] for cell in json.loads(self.json.read_text())["cells"]],
                         ["plaintext"])  # fmt: skip

    def test_leaves_no_file_without_samples(self):
        self.assertEqual(self.ended(), "")
        self.assertFalse(self.json.exists())


class Words(unittest.TestCase):
    def test_how_long_it_takes(self):
        self.assertEqual([progress.about(s) for s in (2, 41, 114, 121, 400)],
                         ["5 s", "40 s", "110 s", "2 min", "7 min"])  # fmt: skip


class Interrupted(Runs):
    def interrupt(self, number, cell="plaintext"):
        """Ends a run inside a cell; what it printed, its status and the processes left."""
        self.json.unlink(missing_ok=True)
        run = subprocess.Popen(
            [*BENCH, "compare", "io_uring", "epoll", "--build", str(self.build), "--json",
             str(self.json), "--connections", "8", "--pairs", "3", "--workloads", "plaintext,json"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=self.environment({"FAKE_SECONDS": "0.3"}), start_new_session=True)  # fmt: skip
        printed = ""
        while f"{cell}, round 2" not in printed:
            line = run.stderr.readline()
            self.assertTrue(line, printed)
            printed += line
        deadline = time.monotonic() + TIMEOUT_SECONDS
        members = []
        while len(members) < 4 and time.monotonic() < deadline:
            members = family(run.pid)
            time.sleep(0.002)
        run.send_signal(number)
        printed += run.communicate(timeout=TIMEOUT_SECONDS)[1]
        self.assertEqual(len(members), 4, "it, two servers and a load")
        self.assertEqual([pid for pid in members[1:] if Path(f"/proc/{pid}").exists()], [])
        self.assertEqual(list((self.scratch / "tmp").iterdir()), [])
        return run.returncode, printed

    def test_keeps_what_is_done_and_goes_on(self):
        status, printed = self.interrupt(signal.SIGINT)
        self.assertEqual(status, 130)
        self.assertIn(f"--resume {self.json}", printed)
        before = results.load(self.json)
        self.assertIsNone(before.finished)
        self.assertTrue(before.cell("noise").complete)
        self.assertFalse(before.cell("plaintext").complete)
        whole = [s for s in before.cell("plaintext").samples if s.round == 0]
        self.assertEqual(len(whole), 2)
        content = json.loads(self.json.read_text())
        self.assertEqual(list(schema.faults(content, SCHEMA, SCHEMA)), [])

        done = self.bench("compare", "--resume", str(self.json))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"2 workloads, 10 of 18 samples left, about \d+ s")
        first, *_, last = done.stderr.splitlines()
        self.assertTrue(first.startswith("[1/10] plaintext, round 2 of 3"), first)
        self.assertTrue(last.startswith("[9/10] json, round 3 of 3"), last)
        after = results.load(self.json)
        self.assertIsNotNone(after.finished)
        self.assertEqual(after.cell("noise"), before.cell("noise"))
        self.assertEqual([cell.id for cell in after.cells], ["noise", "plaintext", "json"])
        self.assertEqual(after.cell("plaintext").samples[:2], whole)
        for cell in after.cells:
            pairs = sorted((s.round, s.variant) for s in cell.samples)
            self.assertEqual(pairs, sorted((n, name) for n in range(3) for name in cell.names))
        self.assertGreater(after.seconds, before.seconds)

        again = self.bench("compare", "--resume", str(self.json))
        self.assertEqual(again.returncode, 0)
        self.assertEqual(results.load(self.json).cells, after.cells)
        for note in results.load(self.json).notes:
            self.assertEqual(again.stdout.count(f"note: {note}\n"), 1)

    def test_the_other_signals(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            status, _ = self.interrupt(number)
            self.assertEqual(status, 128 + number)
            self.assertTrue(results.load(self.json).cell("noise").complete)


class Abandoned(Runs):
    def test_what_a_killed_run_left_goes_with_the_next(self):
        run = subprocess.Popen(
            [*BENCH, "compare", "io_uring", "epoll", "--build", str(self.build), "--json",
             str(self.json), "--pairs", "3", "--workloads", "plaintext"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=self.environment({"FAKE_SECONDS": "0.3"}))  # fmt: skip
        self.assertTrue(run.stderr.readline())
        run.kill()
        run.communicate(timeout=TIMEOUT_SECONDS)
        left, lock = sorted(path.name for path in (self.scratch / "tmp").iterdir())
        self.assertTrue(left.startswith(f"torc-bench-{run.pid}-"))
        self.assertEqual(lock, alone.NAME)
        self.bench("compare", "apache", "--build", str(self.build))  # asserts that it is gone

    def test_what_lives_stays(self):
        dead = subprocess.Popen(["true"])
        dead.wait()
        names = ["torc-bench-1-a", f"torc-bench-{os.getpid()}-a", "torc-bench-abc", "other-1-a",
                 f"torc-bench-{dead.pid}-locked", f"torc-bench-{dead.pid}-gone"]  # fmt: skip
        for name in names:
            (self.scratch / name).mkdir()
        lock = os.open(self.scratch / names[4], os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        scratch.remove_abandoned(self.scratch)
        self.assertEqual([n for n in names if not (self.scratch / n).exists()], names[5:])


class Alone(Runs):
    def test_a_second_run_is_refused_at_once(self):
        fake = {**os.environ, "TMPDIR": str(self.scratch)}
        wanted = ["compare", "io_uring", "epoll", "--build", str(self.build), "--workloads",
                  "plaintext", "--pairs", "1", "--seconds", "0.1"]  # fmt: skip
        lock = self.scratch / alone.NAME
        run = subprocess.Popen(
            [*BENCH, *wanted, "--json", str(self.json)], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env={**fake, "FAKE_SECONDS": "2"})  # fmt: skip
        self.assertTrue(run.stderr.readline())
        for arguments in (wanted, ["generators", "--build", str(self.build)]):
            done = subprocess.run([*BENCH, *arguments], capture_output=True, text=True, env=fake,
                                  timeout=TIMEOUT_SECONDS)  # fmt: skip
            self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
            self.assertEqual(done.stderr, f"torc-bench: another torc-bench (pid {run.pid}) is "
                             "measuring here, and each would spoil the other's figures: wait for "
                             f"its end ({lock} is its lock)\n")  # fmt: skip
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=TIMEOUT_SECONDS)
        self.assertFalse(lock.exists())

    def test_a_lock_that_a_killed_run_left_is_taken(self):
        with mock.patch.object(tempfile, "tempdir", str(self.scratch)):
            path = self.scratch / alone.NAME
            path.write_text("1 and more\n")
            with alone.Lock():
                self.assertEqual(path.read_text(), f"{os.getpid()}\n")
                with self.assertRaisesRegex(SubjectError, f"pid {os.getpid()}"):
                    alone.Lock()
            self.assertFalse(path.exists())
            path.symlink_to(self.json)
            with self.assertRaisesRegex(SubjectError, "set TMPDIR"):
                alone.Lock()
            self.assertFalse(self.json.exists())


class Refusals(Runs):
    def refused(self, *arguments):
        done = self.bench(*arguments)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertTrue(all(line.startswith("note: ") for line in done.stdout.splitlines()))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_wrong_options_say_so_in_one_line(self):
        cases = ((["--pairs", "0"], "--pairs: takes a whole number above 0"),
                 (["--seconds", "x"], "--seconds: takes seconds"),
                 (["--workloads", "nothing"], "--workloads: takes names of plaintext"),
                 (["--build", "/nowhere"], "--build: takes a directory that exists"),
                 (["--command", "x=y"], "--command: x needs its port"),
                 (["--command", "x='{port}"], "--command: takes words"),
                 (["--server-args", "'"], "--server-args: takes words"),
                 (["--resume", "/nowhere.json"], "--resume: takes a result file"),
                 (["--nonsense"], "--nonsense"), (["--pair", "3"], "--pair"))  # fmt: skip
        for wrong, text in cases:
            said = io.StringIO()
            with self.subTest(wrong), contextlib.redirect_stderr(said):
                with self.assertRaises(SystemExit) as stop:
                    cli.parse(["compare", *wrong])
                self.assertEqual(stop.exception.code, 2)
                self.assertEqual(said.getvalue().count("\n"), 1)
                self.assertIn(text, said.getvalue())

    def test_subjects(self):
        build = ("--build", str(self.build), "--json", str(self.json))
        self.assertIn("threads: this build has no threads engine",
                      self.refused("compare", "threads", "epoll", *build))  # fmt: skip
        self.assertIn("takes subjects of io_uring", self.refused("compare", "apache", *build))
        self.assertIn("floor-epoll: runs on one core only",
                      self.refused("compare", "floor-epoll", "--cores", "2", *build))  # fmt: skip
        self.assertIn("takes no options of its own", self.refused("compare", "nginx --x", *build))
        self.assertIn("io_uring: unknown option --dpeth, did you mean --depth?",
                      self.refused("compare", "io_uring --dpeth 64", "epoll", *build))  # fmt: skip
        self.assertIn("unknown option --dpeth",
                      self.refused("compare", "--server-args", "--dpeth 64", *build))  # fmt: skip
        self.assertIn("io_uring is named twice: name it once; what a server set against itself",
                      self.refused("compare", "io_uring", " io_uring", *build))  # fmt: skip
        self.assertIn("takes words as a shell does", self.refused("compare", "io_uring '", *build))
        self.assertIn("--command: own is not among the subjects",
                      self.refused("compare", "--command", "own=true {port}", *build))  # fmt: skip
        self.assertIn("own: no program /nowhere/x",
                      self.refused("compare", "own", "--command", "own=/nowhere/x {port}", *build))
        self.assertIn("too few subjects are left: own: false ended (1): it printed nothing",
                      self.refused("compare", "own", "epoll", "--command", "own=false {port}",
                                   *build))  # fmt: skip
        self.assertFalse(self.json.exists())

    def test_more_cores_than_there_are(self):
        build = ("--build", str(self.build), "--json", str(self.json))
        here = len(os.sched_getaffinity(0))
        for kind in ("compare", "sweep", "scale"):
            self.assertIn(f"--cores: takes 1 to {here} here, not 4000",
                          self.refused(kind, "--cores", "4000", *build))  # fmt: skip

    def test_resume_goes_alone_and_with_its_own_kind(self):
        results.save(results.Run("sweep", "t", "x", command=["b", "sweep"]), self.json)
        self.assertIn("is of torc-bench sweep", self.refused("compare", "--resume", str(self.json)))
        results.save(results.Run("compare", "t", "x", command=["b", "compare"]), self.json)
        self.assertIn("goes alone",
                      self.refused("compare", "--resume", str(self.json), "--quick"))  # fmt: skip

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
