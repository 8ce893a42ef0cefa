"""The sweep's cells, its grid, its knee and what it skips, on planted costs."""

import contextlib
import io
import json
import unittest
from unittest import mock

import context  # noqa: F401
from fake_session import FakeSession, parse
from lib import experiment, sweep, workloads


def planted(floor_at=128, epoll=6300.0, floor=6000.0):
    """io_uring falls to a floor at a depth; epoll has one cost."""

    def cost(variant, workload):
        if variant.subject == "epoll":
            return epoll
        depth = int(dict(zip(variant.args, variant.args[1:])).get("--depth", 512))
        return floor * (1 + 0.05 * max(0, floor_at / depth - 1))

    return cost


def swept(*arguments, cost=None, **more):
    session = FakeSession(parse(sweep, *arguments), cost or planted(), **more)
    with mock.patch.object(workloads, "connections_possible", lambda: 19_000):
        sweep.measure(session, session.options)
    json.dumps(session.run.extra, allow_nan=False)
    return session


class Options(unittest.TestCase):
    def test_lists(self):
        options = parse(sweep, "--depth", "32..1024", "--cores", "2,1,2", "--connections", "64,256")
        self.assertEqual(options.depths, [32, 64, 128, 256, 512, 1024])
        self.assertEqual((options.core_counts, options.connection_counts), ([1, 2], [64, 256]))
        self.assertEqual((options.cores, options.connections), (1, None))  # what a session reads
        self.assertEqual(parse(sweep, "--depth", "48..200,7").depths, [7, 48, 96, 192])

    def test_wrong_ones_name_the_option(self):
        wrong_ones = [("--depth", one) for one in ("0", "64..32", "40000", "a,b", "64..", "")]
        wrong_ones += [("--workload", one) for one in ("idle", "none")]
        for wrong in (*wrong_ones, ("--cores", "0"), ("--connections", "x"), ("--engines", "io_uring,kqueue")):
            errors = io.StringIO()
            with self.subTest(wrong), contextlib.redirect_stderr(errors):
                with self.assertRaises(SystemExit) as stop:
                    parse(sweep, *wrong)
                self.assertEqual(stop.exception.code, 2)
                self.assertIn(wrong[0], errors.getvalue().splitlines()[-1])


class Cells(unittest.TestCase):
    def test_every_depth_beside_one_epoll(self):
        session = swept("--depth", "64,128,256", "--cores", "1,2", "--connections", "64,256")
        places = [f"cores={cores} connections={count}" for cores in (1, 2) for count in (64, 256)]
        self.assertEqual([name for name, _, _ in session.calls], ["noise", *places])
        names = ("io_uring depth=64", "io_uring depth=128", "io_uring depth=256", "epoll")
        self.assertEqual(session.calls[1][2], names)
        self.assertEqual(session.expected, session.measured)
        self.assertIn("no ring and so no depth", session.run.extra["note"])
        self.assertEqual(session.run.cell("cores=2 connections=64").workload["connections"], 64)
        cores = {v["cores"] for v in session.run.cell("cores=2 connections=64").variants}
        self.assertEqual(cores, {2})

    def test_what_the_machine_cannot_do_is_skipped_and_said(self):
        session = swept("--depth", "64,128", "--cores", "1,2,3", "--connections", "256,20000", affinity=[1000, 1001])
        self.assertEqual([name for name, _, _ in session.calls], ["noise", "cores=1 connections=256"])
        self.assertEqual(len(session.run.extra["skipped"]), 5)
        text = "\n".join(session.run.conclusions)
        self.assertIn("3 cores, 256 connections: 3 cores of 2 CPUs.", text)
        self.assertIn("leave the load generator none", text)
        self.assertIn("only 19,000 connections", text)

    def test_one_cpu_is_measured_and_flagged(self):
        session = swept("--depth", "64,128", affinity=[1000])
        self.assertTrue(all(row["shared_cpus"] for row in session.run.extra["grid"]))

    def test_nothing_possible_measures_nothing(self):
        session = swept("--cores", "9")
        self.assertEqual((session.calls, session.run.extra["grid"]), ([], []))
        self.assertEqual(len(session.run.conclusions), 1)


class Findings(unittest.TestCase):
    def test_grid_has_a_row_for_each_depth_and_one_for_epoll(self):
        session = swept("--depth", "32..512", more=lambda v: {"completions_per_wait": 40.0})
        grid = session.run.extra["grid"]
        self.assertEqual([row["depth"] for row in grid], [32, 64, 128, 256, 512, None])
        self.assertIsNone(grid[-1]["against_epoll"])
        for row in grid[2:-1]:
            self.assertAlmostEqual(row["against_epoll"]["median"], 6000 / 6300, delta=0.01)
            self.assertEqual(row["against_epoll"]["pairs"], 10)
            self.assertAlmostEqual(row["cost_us"]["median"], 6.0, delta=0.4)
            self.assertEqual((row["saturated"], row["completions_per_wait"]), ("server", 40.0))

    def test_the_planted_knee_and_epoll_there(self):
        session = swept("--depth", "32..1024")
        (found,) = session.run.extra["knees"]
        self.assertIn(found["depth"], (128, 256))
        self.assertRegex(found["text"], r"^1 core, 256 connections: beyond depth \d+ nothing is " r"gained, .* %\.$")
        said = r"^1 core, 256 connections: torc io_uring, depth \d+ uses \d\.\d % less CPU per request than torc epoll"
        self.assertRegex(session.run.conclusions[1], said)

    def test_no_effect(self):
        session = swept(cost=lambda variant, workload: 6000.0, seed=4)
        (found,) = session.run.extra["knees"]
        self.assertTrue(found["alike"])
        self.assertEqual(found["depth"], 32)
        self.assertIn("no detectable difference in CPU per request", session.run.conclusions[1])

    def test_quick_still_has_enough_pairs_for_an_interval(self):
        self.assertEqual({pairs for _, pairs, _ in swept("--quick").calls}, {experiment.QUICK_PAIRS})

    def test_a_depth_without_a_valid_sample(self):
        plain = planted()
        session = swept("--depth", "64,128,256", cost=lambda v, w: None if "depth=256" in v.name else plain(v, w))
        self.assertEqual(session.run.extra["grid"][2]["cost_us"], None)
        self.assertEqual(session.run.extra["knees"][0]["depth"], 128)

    def test_epoll_alone_has_no_knee(self):
        session = swept("--engines", "epoll")
        self.assertEqual(session.run.extra["knees"], [])
        self.assertEqual(len(session.run.extra["grid"]), 1)

    def test_resumes_to_the_same_findings(self):
        whole = swept("--connections", "64,256")
        broken = FakeSession(parse(sweep, "--connections", "64,256"), planted())
        broken.stop_after = whole.measured // 2
        with self.assertRaises(KeyboardInterrupt):
            sweep.measure(broken, broken.options)
        self.assertEqual(len(broken.run.extra["knees"]), 0)
        broken.stop_after, before = 10**9, broken.measured
        sweep.measure(broken, broken.options)
        self.assertLess(broken.measured - before, whole.measured)
        self.assertEqual(broken.run.extra, whole.run.extra)
        self.assertEqual(broken.run.conclusions, whole.run.conclusions)


class Printed(unittest.TestCase):
    def test_a_row_for_each_place_of_the_grid(self):
        session = swept("--depth", "64,512", "--connections", "256")
        rows = sweep.printed(session.run)
        places = [("io_uring", "64"), ("io_uring", "512"), ("epoll", "–")]
        self.assertEqual([row[:2] for row in rows], [[f"{one}, 1 core, 256 connections", at] for one, at in places])
        self.assertEqual([row[4] for row in rows], ["512"] * 3)
        self.assertEqual(rows[1][5], "1")
        self.assertRegex(rows[0][5], r"^\d\.\d{3} \(\d\.\d{3}–\d\.\d{3}\)$")
        self.assertTrue(all(len(row) == len(sweep.HEADER) for row in rows))

    def test_without_the_default_depth_the_best_is_the_base(self):
        rows = sweep.printed(swept("--depth", "32,128", "--engines", "io_uring").run)
        self.assertEqual([row[4] for row in rows], ["128", "128"])


if __name__ == "__main__":
    unittest.main()
