"""Workloads, load commands and reports, counters, CPUs."""

import contextlib
import dataclasses
import os
import signal
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
import fakes
from lib import env, load, measure, proc, subjects, syscalls, workloads
from lib.host import Machine
from lib.results import Sample
from lib.subject import Place, Server, SubjectError, Variant
from lib.workloads import WORKLOADS


class Workloads(unittest.TestCase):
    def test_each_can_be_asked_of_torc(self):
        for name, workload in WORKLOADS.items():
            self.assertEqual(name, workload.name)
            self.assertEqual(bool(workload.paths), not workload.templates)

    def test_the_baseline_forms_are_right_and_have_one_answer(self):
        asked = measure.requests(WORKLOADS["baseline"], "h", 1)
        self.assertEqual(len(asked), 3)
        for one in asked:
            head, _, body = one.partition(b"\r\n\r\n")
            method, path = head.split()[:2]
            if b"chunked" in head:
                body = b"".join(body.split(b"\r\n")[1:-3:2])
            self.assertEqual(fakes.reply(method.decode(), path.decode(), body, None, ""), b"75")

    def test_placeholders_are_filled_before_timing(self):
        (asked,) = measure.requests(dataclasses.replace(WORKLOADS["delay"], paths=("/delay/{rand:10:30}",)), "h", 1)
        self.assertTrue(asked.startswith(b"GET /delay/10 HTTP/1.1\r\n"))

    def test_bodies_and_pipelines(self):
        (asked,) = measure.requests(WORKLOADS["upload"], "h", 1)
        head, _, body = asked.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: 20971520", head)
        self.assertEqual(len(body), 20 << 20)
        self.assertEqual(len(measure.requests(WORKLOADS["pipelined"], "h", 1)), 16)

    def test_files_have_their_sizes_and_stay(self):
        with tempfile.TemporaryDirectory() as scratch:
            www = Path(scratch)
            workloads.write_static(www)
            sizes = {path.stem: path.stat().st_size for path in (www / "static").iterdir()}
            self.assertEqual(sizes, {"1k": 1024, "4k": 4096, "16k": 16384, "64k": 65536})
            (www / "static/1k.txt").write_text("mine")
            workloads.write_static(www, large=True)
            self.assertEqual((www / "static/1k.txt").read_text(), "mine")
            self.assertEqual((www / "static/64m.txt").stat().st_size, 64 << 20)


class LoadCommand(unittest.TestCase):
    def words(self, workload, cpus=(1,)):
        with tempfile.TemporaryDirectory() as scratch:
            build = fakes.build(Path(scratch) / "b")
            place = Place(build, Path(scratch), Path("/www"))
            server = Server(None, "127.0.0.1", 81)
            return load.command(workload, server, place, cpus, 0.6, 0.25, [7, 8])

    def value(self, words, name):
        return words[words.index(name) + 1]

    def test_plain(self):
        words = self.words(WORKLOADS["plaintext"], (1, 2))
        self.assertEqual(words[-1], "http://127.0.0.1:81/plaintext")
        for name, expected in (
            ("--connections", "256"),
            ("--duration", "600ms"),
            ("--cores", "2"),
            ("--warmup", "250ms"),
            ("--expect-body", "Hello, World!"),
            ("--expect-status", "200"),
        ):
            self.assertEqual(self.value(words, name), expected)
        self.assertEqual([words[i + 1] for i, w in enumerate(words) if w == "--watch"], ["7", "8"])
        for absent in ("--rate", "--pipeline", "--requests-per-connection", "--template"):
            self.assertNotIn(absent, words)

    def test_no_more_cores_than_connections(self):
        few = dataclasses.replace(WORKLOADS["plaintext"], connections=1)
        self.assertEqual(self.value(self.words(few, (1, 2)), "--cores"), "1")

    def test_the_others(self):
        self.assertEqual(self.words(WORKLOADS["baseline"]).count("--template"), 3)
        open_loop = dataclasses.replace(WORKLOADS["latency"], rate=45454.0)
        for workload, name, expected in (
            (WORKLOADS["pipelined"], "--pipeline", "16"),
            (WORKLOADS["short-lived"], "--requests-per-connection", "10"),
            (WORKLOADS["upload"], "--body-size", "20971520"),
            (WORKLOADS["static-small-4k"], "--expect-body-file", "/www/static/4k.txt"),
            (open_loop, "--rate", "45454"),
            (open_loop, "--arrivals", "poisson"),
        ):
            self.assertEqual(self.value(self.words(workload), name), expected)


class Reports(unittest.TestCase):
    def test_errors_are_named(self):
        first = {"status": "404 for GET /nope"}
        for counts, answered, text in (
            ({"reset": 2, "body": 1}, 9, "2 reset errors, 1 body errors"),
            ({"reset": 0, "status": 3}, 9, "3 status errors (first: 404 for GET /nope)"),
            ({"reset": 0}, 0, "no request was answered"),
            ({"reset": 0}, 1, None),
        ):
            self.assertEqual(load.errors({"errors": counts, "answered": answered, "first_errors": first}), text)

    def test_several_runs_as_one(self):
        def report(values, seconds, **more):
            latency = {
                "count": len(values),
                "mean": sum(values) / len(values),
                "min": min(values),
                "max": max(values),
                "histogram": [[one, 1] for one in sorted(values)],
            }
            return {
                "seconds": seconds,
                "answered": len(values),
                "connects": 2,
                "unsent": 0,
                "errors": {"reset": 0},
                "saturated": False,
                "advice": None,
                "latency_ns": {"corrected": latency, "raw": latency},
                "cpu": {"user_ns": 5, "share": 0.5},
                "watch": {"cpu_ns": 7},
                **more,
            }

        one, other = report(range(1, 51), 1.0), report(range(51, 101), 3.0, advice="more")
        self.assertEqual(load.merged([one]), {**one, "parts": [[50, 7, 10**9]]})
        both = load.merged([one, other])
        latency = both["latency_ns"]["corrected"]
        self.assertEqual(
            [latency[key] for key in ("count", "mean", "min", "max", "p50", "p99")], [100, 50.5, 1, 100, 50, 99]
        )
        self.assertEqual((both["answered"], both["seconds"], both["per_second"]), (100, 4.0, 25.0))
        self.assertEqual((both["connects"], both["errors"]), (4, {"reset": 0}))
        self.assertEqual(both["watch"], {"cpu_ns": 14, "waited_ns": None}, "one of them does not know it")
        self.assertEqual(both["parts"], [[50, 7, 10**9], [50, 7, 3 * 10**9]])
        self.assertEqual(both["advice"], "more")

    def test_quantiles_are_values_that_were_recorded(self):
        self.assertEqual(load.quantile([[10, 1], [20, 99]], 0.01), 10)
        self.assertEqual(load.quantile([[10, 1], [20, 99]], 0.02), 20)
        self.assertEqual(load.quantile([], 0.5), 0)

    def test_coarse_bins_are_narrow_and_lose_nothing(self):
        fine = [[upper, 1] for upper in range(1, 100_000, 37)]
        coarse = load.coarse(fine)
        self.assertEqual(sum(count for _, count in coarse), len(fine))
        self.assertLess(len(coarse), 400)
        self.assertEqual(coarse, sorted(coarse))
        for upper, _ in fine:
            ((bound, _),) = load.coarse([[upper, 1]])
            self.assertTrue(upper <= bound <= upper * 1.04 + 1, (upper, bound))

    def test_perf(self):
        text = "1234,,raw_syscalls:sys_enter,1000,100.00,,\n"
        self.assertEqual(syscalls.parse(text), 1234)
        self.assertIsNone(syscalls.parse("<not counted>,,raw_syscalls:sys_enter,0,,,\n"))

    def test_counters(self):
        sample = Sample("a", 0, 0, 0.0)
        measure._count(
            sample, {"requests": 200, "syscalls": 50, "turns": 20, "cqes": 400, "cq_overflows": 3, "buffers_short": 4}
        )
        self.assertEqual((sample.syscalls_per_request, sample.completions_per_wait), (0.25, 20))
        self.assertEqual((sample.overflows, sample.starved), (3, 4))

    def test_saturated(self):
        cases = ((1, 1, "both"), (1, 0, "server"), (0, 1, "load"), (0, 0, "neither"))
        for server, generator, word in cases:
            self.assertEqual(measure.saturated(bool(server), bool(generator)), word)


class Worker(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.scratch = Path(directory.name)

    def child(self, script):
        child = proc.Child(["sh", "-c", script], (), self.scratch / "log")
        self.addCleanup(child.stop)
        return child

    def running(self, child):
        server = Server(child, "127.0.0.1", 81)
        return measure.Running(subjects.variant("nginx"), subjects.known()["nginx"], server, 0, 0)

    def part(self, victim):
        """The sample of a server one of whose processes is killed under load."""
        child = self.child("sleep 60 & while :; do wait; sleep 0.02; done")
        while len(proc.family(child.pid)) < 2:
            time.sleep(0.01)
        run = self.running(child)

        def load(*_):
            os.kill(run.pids[victim], signal.SIGKILL)
            child.wait(0.2)

        with mock.patch("lib.load.run", load):
            run.part(WORKLOADS["plaintext"], None, (), 0.1)
        return run.finish()

    def grown(self, when):
        """The sample of a server that starts a second process before its first part, or in it."""
        go = self.scratch / "go"
        os.mkfifo(go)
        child = self.child(f"read line <{go}; sleep 60 & wait")
        run = self.running(child)
        run.pids = [child.pid]

        def grow(moment):
            if when == moment:
                go.write_text("now\n")
                while "sleep 60" not in self.commands(child.pid):
                    time.sleep(0.01)

        def load(*_):
            grow("in it")
            return mock.Mock(cpu_seconds=0.0, wall=0.1, report={"errors": {}, "answered": 1})

        grow("before")
        with mock.patch("lib.load.run", load):
            run.part(WORKLOADS["plaintext"], None, (), 0.1)
        return run

    @staticmethod
    def commands(pid):
        """What the process and its own run, in words."""
        found = []
        for one in proc.family(pid):
            with contextlib.suppress(OSError):
                found.append(Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ").strip())
        return found

    def test_ticks_that_fall_into_another_part_are_not_of_other_programs(self):
        run = self.running(self.child("exec sleep 60"))
        done = mock.Mock(cpu_seconds=0.0, wall=0.5, report={"errors": {}, "answered": 1})
        busy = [(seconds, 0.0) for seconds in (0.0, 0.6, 1.0, 1.2)]
        with (
            mock.patch("lib.load.run", return_value=done),
            mock.patch.object(time, "process_time", side_effect=[0.0, 0.1] * 2),
            mock.patch.object(proc, "machine_seconds", side_effect=busy),
            mock.patch.object(proc, "cpu_ns", side_effect=[0, 300_000_000] * 2),
        ):
            for _ in range(2):
                run.part(WORKLOADS["plaintext"], None, (), 0.1)
        self.assertAlmostEqual(run.others, 0.0)

    def parts(self, *answered):
        """The sample of three parts, and how many loads it took, which answer that many each; -1 is an error."""

        def load(*_):
            count = next(left)
            latency = fakes.record(1000)
            report = {"mode": "closed", "seconds": 0.2, "answered": max(count, 0), "per_second": count / 0.2}
            report |= {"errors": {"reset": int(count < 0)}, "connects": 0, "unsent": 0, "advice": None}
            report |= {"cpu": {"user_ns": 1, "system_ns": 1, "share": 0.5}, "watch": {"cpu_ns": 10**8}}
            report |= {"latency_ns": {"corrected": latency, "raw": latency}, "saturated": False}
            return mock.Mock(cpu_seconds=0.0, wall=0.3, report=report)

        left, run = iter(answered), self.running(self.child("exec sleep 60"))
        with mock.patch("lib.load.run", load):
            for _ in range(3):
                run.part(WORKLOADS["plaintext"], None, (), 0.2)
        self.assertEqual(list(left), [], "loads that were not run")
        return run.finish()

    def test_a_part_without_a_reply_is_taken_again_wherever_it_lies(self):
        for answered in ([0, 1000, 1000, 1000], [1000, 0, 1000, 1000], [1000, 1000, 0, 0, 1000]):
            with self.subTest(answered):
                sample = self.parts(*answered)
                self.assertIsNone(sample.invalid)
                self.assertEqual([part[0] for part in sample.parts], [1000, 1000, 1000])
                self.assertEqual((sample.per_second, sample.cpu_ns_per_request), (5000, 10**5))
                self.assertEqual(sample.retaken, len(answered) - 3)

    def test_a_part_that_stays_empty_makes_the_sample_invalid_wherever_it_lies(self):
        for answered, parts in (
            ([0, 0, 0, 1000, 1000], [0, 1000, 1000]),
            ([1000, 0, 0, 0, 1000], [1000, 0, 1000]),
            ([1000, 1000, 0, 0, 0], [1000, 1000, 0]),
        ):
            with self.subTest(answered):
                sample = self.parts(*answered)
                self.assertEqual(sample.invalid, "no request was answered in 1 of its 3 parts")
                self.assertEqual([part[0] for part in sample.parts], parts)
                self.assertEqual(sample.retaken, measure.RETAKEN)

    def test_one_that_is_never_answered_is_soon_done(self):
        self.assertEqual(self.parts(0, 0, 0, 0, 0).invalid, "no request was answered")

    def test_none_is_taken_after_an_error(self):
        sample = self.parts(1000, -1)
        self.assertEqual((sample.invalid, len(sample.parts)), ("1 reset errors", 2))

    def test_one_that_starts_before_is_counted(self):
        run = self.grown("before")
        self.assertIsNone(run.sample.invalid)
        self.assertEqual(len(run.pids), 2)

    def test_one_that_starts_in_a_part_makes_the_sample_invalid(self):
        text = "the server started processes while it was measured, whose CPU time is not counted"
        self.assertEqual(self.grown("in it").sample.invalid, text)

    def test_one_that_ends_makes_the_sample_invalid(self):
        self.assertEqual(self.part(1).invalid, "a process of the server ended")

    def test_all_of_it_ends(self):
        self.assertEqual(self.part(0).invalid, "the server ended: it printed nothing")


class Cpus(unittest.TestCase):
    def divide(self, allowed, cores, smt=False):
        pairs = (lambda _, cpu: {cpu & ~1, cpu | 1}) if smt else (lambda _, cpu: {cpu})
        with mock.patch.object(Machine, "siblings", pairs):
            return env.divide_cpus(allowed, cores)

    def test_disjoint_where_there_are_enough(self):
        self.assertEqual(self.divide([0, 1], 1), ([0], [1], None))
        self.assertEqual(self.divide([0, 1, 2, 3], 1), ([0], [1, 2], None))
        self.assertEqual(self.divide([0, 1, 2, 3], 2), ([0, 1], [2, 3], None))

    def test_siblings_are_kept_apart(self):
        self.assertEqual(self.divide([0, 1, 2, 3], 1, smt=True), ([0], [2, 3], None))
        self.assertEqual(self.divide(list(range(8)), 2, smt=True), ([0, 2], [4, 6, 5, 7], None))

    def test_says_when_siblings_have_to_do(self):
        server, generator, text = self.divide([0, 1], 1, smt=True)
        self.assertEqual((server, generator), ([0], [1]))
        self.assertIn("SMT", text)

    def test_says_when_there_are_too_few(self):
        server, generator, text = self.divide([0, 1], 2)
        self.assertEqual((server, generator), ([0, 1], [0, 1]))
        self.assertIn("share 2 CPUs", text)
        self.assertIn("3 or more", text)
        self.assertIn("share 1 CPU:", self.divide([5], 1)[2])


class Environment(unittest.TestCase):
    def test_differences(self):
        one = {"cpu": {"model": "a", "n": [1, 2]}, "load_average": [1], "same": 1}
        other = {"cpu": {"model": "b", "n": (1, 2)}, "load_average": [2], "same": 1, "new": 2}
        self.assertEqual(env.differences(one, other), ["cpu.model: a and b", "new: None and 2"])


class LateFailures(unittest.TestCase):
    """A command of the user's that started before and does not any more."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.place = Place(Path(directory.name), Path(directory.name), Path(directory.name))
        self.subject = subjects.user_command("own=false {port}")
        self.variant = Variant("own", "own", "own")

    def round(self, subject):
        return measure.take_round(
            WORKLOADS["plaintext"], [(self.variant, subject)], self.place, lambda _: ([], []), 0, 0.1, lambda _: None
        )

    def test_its_sample_does_not_count(self):
        (sample,) = self.round(self.subject)
        self.assertEqual(sample.invalid, "the server did not start: false ended (1): it printed nothing")

    def test_any_other_ends_the_run(self):
        with self.assertRaisesRegex(proc.ProcessError, "false ended"):
            self.round(dataclasses.replace(self.subject, trusted=True))

    def test_one_that_never_listens(self):
        with mock.patch.object(proc, "READY_SECONDS", 0.1):
            why = measure.start_failure(
                self.variant, subjects.user_command("own=sleep 9{port}"), self.place, lambda _: ([], [])
            )
        self.assertIn("sleep does not listen after", why)


class Commands(unittest.TestCase):
    def test_a_port_in_the_command(self):
        found = subjects.user_command("mine=./server --port {port} '{www}/a b' {cores}")
        place = Place(Path("b"), Path("s"), Path("/w"))
        self.assertEqual(found.command(place, 81, 2), ["./server", "--port", "81", "/w/a b", "2"])

    def test_a_fixed_port(self):
        self.assertEqual(subjects.user_command("mine:8080=./server").port, 8080)

    def test_wrong_ones(self):
        for wrong in ("x", "=y {port}", "mine=./server", "io_uring=x {port}", "a:70000=x", "a:1= "):
            with self.subTest(wrong), self.assertRaises(SubjectError):
                subjects.user_command(wrong)

    def test_a_directory_that_goes_while_a_program_is_looked_for(self):
        with tempfile.TemporaryDirectory() as scratch:
            build = fakes.build(Path(scratch) / "b")
            (build / "gone").mkdir()
            look = os.scandir

            def scandir(path):
                if str(path).endswith("gone"):
                    raise FileNotFoundError(2, "No such file or directory", str(path))
                return look(path)

            with mock.patch("os.scandir", scandir):
                self.assertEqual(subjects.binary(build, "torc-lab"), str(build / "src/torc-lab"))

    def test_floor_stands_for_both(self):
        self.assertEqual(
            subjects.expand(["epoll", "floor", "floor-epoll", "epoll"]), ["epoll", "floor-uring", "floor-epoll"]
        )


if __name__ == "__main__":
    unittest.main()
