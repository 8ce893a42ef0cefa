"""Scaling with planted coefficients: the basis, the fit, the steps, and what cannot be said."""

import json
import unittest

import context  # noqa: F401
from fake_session import FakeSession, parse
from lib import scale, usl

PLANTED = usl.Fit(1e9 / 6000, 0.02, 0.004)  # peaks at 15.7 cores
MACHINE = range(1000, 1016)


def cost(variant, workload):
    """Such that cores ÷ cost follows the law; epoll is a little dearer and scales alike."""
    return variant.cores * 1e9 / PLANTED.at(variant.cores) * (1.05 if variant.subject == "epoll" else 1)


def scaled(*arguments, cost=cost, **more):
    more.setdefault("affinity", MACHINE)
    session = FakeSession(parse(scale, *arguments), cost, **more)
    scale.measure(session, session.options)
    json.dumps(session.run.extra, allow_nan=False)
    return session


class Counts(unittest.TestCase):
    def test_leave_the_load_its_own_where_they_can(self):
        for cpus, most in ((1, 1), (2, 2), (3, 3), (4, 3), (9, 8)):
            self.assertEqual(scale.counts(range(1000, 1000 + cpus)), list(range(1, most + 1)))

    def test_are_few_on_a_large_machine(self):
        found = scale.counts(range(1000, 1129))
        self.assertEqual((found[0], found[-1], len(found)), (1, 128, 8))


class Fits(unittest.TestCase):
    def test_planted_peak_by_throughput(self):
        session = scaled("--cores", "1,2,4,6,8,12")
        extra = session.run.extra
        self.assertEqual(extra["basis"], "throughput")
        for engine in ("io_uring", "epoll"):
            fit = extra["fits"][engine]
            self.assertEqual((fit["points"], fit["confidence"]), (6, "good"))
            for name, planted in (("sigma", 0.02), ("kappa", 0.004)):
                self.assertLessEqual(fit[name]["low"], planted + 0.005)
                self.assertGreaterEqual(fit[name]["high"], planted - 0.005)
            self.assertAlmostEqual(fit["peak"]["cores"], PLANTED.peak, delta=3)
            self.assertTrue(fit["peak"]["extrapolated"])
            beyond = {one["cores"]: one["extrapolated"] for one in fit["curve"]}
            self.assertEqual((beyond[12], beyond[13], max(beyond)), (False, True, 24))
        self.assertIn("extrapolated from at most 12", session.run.conclusions[0])
        self.assertNotIn("indicative only", session.run.conclusions[0])
        self.assertEqual(len([name for name, _, _ in session.calls]), 2)
        self.assertEqual(session.expected, session.measured)
        self.assertEqual(session.run.cell("cores").workload["connections"], 64 * 12)

    def test_linear_scaling_has_no_peak(self):
        session = scaled("--cores", "1,2,4,6,8,12", cost=lambda v, w: 6000.0, noise=0.001, seed=2)
        peak = session.run.extra["fits"]["io_uring"]["peak"]
        self.assertTrue(peak["cores"] is None or peak["low"] > 24)
        self.assertIn("no peak in sight", session.run.conclusions[0])

    def test_few_counts_are_indicative(self):
        fit = scaled("--cores", "1,2,4").run.extra["fits"]["epoll"]
        self.assertEqual(fit["confidence"], "indicative")
        self.assertIn("indicative only: 3 core counts for three coefficients", fit["text"])

    def test_a_bound_load_makes_cost_the_basis(self):
        def more(variant):
            # The load gives out at 4 cores: throughput stays, cost per request does not.
            return {"saturated": "load", "per_second": 5e5} if variant.cores > 4 else {}

        extra = scaled("--cores", "1,2,3,4,6,8", more=more).run.extra
        self.assertEqual(extra["basis"], "cost")
        self.assertIn("load generator was the bottleneck at 6, 8 cores", extra["basis_text"])
        self.assertIn("With --cores 1,2,3,4 throughput would do.", extra["basis_text"])
        self.assertAlmostEqual(extra["fits"]["io_uring"]["kappa"]["median"], 0.004, delta=0.003)
        self.assertEqual([p["load_bound"] for p in extra["points"]], [False] * 8 + [True] * 4)

    def test_nobody_saturated(self):
        extra = scaled("--cores", "1,2", more=lambda v: {"saturated": "neither"}).run.extra
        self.assertIn("Neither side was saturated at 1, 2 cores", extra["basis_text"])


class SmallMachine(unittest.TestCase):
    def test_two_cpus(self):
        session = scaled(affinity=[1000, 1001])
        extra = session.run.extra
        self.assertEqual((extra["cores"], extra["basis"]), ([1, 2], "cost"))
        self.assertEqual(extra["fits"], {"io_uring": None, "epoll": None})
        self.assertEqual([p["shared_cpus"] for p in extra["points"]], [False, False, True, True])
        steps = [(one["engine"], one["from"], one["to"]) for one in extra["steps"]]
        self.assertEqual(steps, [("io_uring", 1, 2), ("epoll", 1, 2)])
        self.assertAlmostEqual(extra["steps"][0]["ratio"]["median"], 1.028, delta=0.01)
        text = "\n".join(session.run.conclusions)
        said = r"torc io_uring, 1 core → 2: \d\.\d % more CPU per request \(.*\), with server and load sharing CPUs\.\n"
        self.assertRegex(text, r"^From 2 cores on, server and load shared CPUs: .*\n" + said)
        self.assertIn("2 core counts measured, and the scalability law has 3 coefficients", text)
        self.assertEqual(text.count("server and load shared CPUs: those"), 1)
        self.assertEqual([row[3] == "–" for row in scale.rows(session.run)], [False, False, True, True])

    def test_one_cpu_and_too_many_cores(self):
        session = scaled("--cores", "1,2", affinity=[1000])
        self.assertEqual(session.run.extra["skipped"], [{"cores": 2, "why": "2 cores of 1 CPUs"}])
        self.assertEqual(session.run.extra["steps"], [])
        self.assertIn("1 core count measured", "\n".join(session.run.conclusions))
        session = scaled("--cores", "4", affinity=[1000])
        self.assertEqual(session.calls, [])
        self.assertEqual(session.run.conclusions[-1], "Not measured: 4 cores of 1 CPUs.")

    def test_an_engine_without_valid_samples(self):
        dead = lambda v, w: None if v.subject == "epoll" and v.cores > 1 else cost(v, w)  # noqa: E731
        session = scaled("--cores", "1,2,4", cost=dead)
        extra = session.run.extra
        self.assertIsNone(extra["fits"]["epoll"])
        self.assertIsNotNone(extra["fits"]["io_uring"])
        self.assertEqual({s["engine"] for s in extra["steps"]}, {"io_uring"})
        self.assertIn("torc epoll: 1 core count measured", "\n".join(session.run.conclusions))

    def test_no_effect_of_a_second_core(self):
        session = scaled("--cores", "1,2", cost=lambda v, w: 6000.0, seed=3)
        self.assertIn("no detectable difference in CPU per request (within", "\n".join(session.run.conclusions))


class Printed(unittest.TestCase):
    def test_a_row_for_each_engine_and_core_count(self):
        rows = scale.rows(scaled("--cores", "1,2").run)
        names = {f"torc {engine}, {cores}" for engine in ("io_uring", "epoll") for cores in ("1 core", "2 cores")}
        self.assertEqual({row[0] for row in rows}, names)
        self.assertTrue(all(len(row) == len(scale.HEADER) for row in rows))
        self.assertEqual([row[4] for row in rows if row[0].endswith("1 core")], ["–", "–"])
        self.assertTrue(all("(" in row[4] for row in rows if row[0].endswith("2 cores")))


if __name__ == "__main__":
    unittest.main()
