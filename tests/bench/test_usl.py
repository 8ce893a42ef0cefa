"""The fit finds planted coefficients, keeps its constraints, and says how sure it is."""

import math
import random
import unittest

import context  # noqa: F401
from lib import usl

COUNTS = [1, 2, 4, 6, 8, 12, 16]


def exact(rate, contention, coherence, counts=COUNTS):
    planted = usl.Fit(rate, contention, coherence)
    return {n: planted.at(n) for n in counts}


def rounds(points, number=10, noise=0.01, seed=1):
    source = random.Random(seed)
    return {n: {r: x * source.gauss(1, noise) for r in range(number)} for n, x in points.items()}


class Exact(unittest.TestCase):
    def test_planted_coefficients_come_back(self):
        for planted in ((1e5, 0.03, 0.002), (1e5, 0.0, 0.001), (2e6, 0.2, 0.0), (995, 0.0, 0.0)):
            with self.subTest(planted):
                found = usl.fit(exact(*planted))
                self.assertAlmostEqual(found.rate / planted[0], 1, places=6)
                self.assertAlmostEqual(found.contention, planted[1], places=6)
                self.assertAlmostEqual(found.coherence, planted[2], places=6)
                self.assertLess(found.worst, 1e-6)

    def test_three_points_are_enough_and_two_are_not(self):
        found = usl.fit(exact(1e5, 0.05, 0.01, [1, 2, 4]))
        self.assertAlmostEqual(found.coherence, 0.01, places=6)
        with self.assertRaises(ValueError):
            usl.fit(exact(1e5, 0.05, 0.01, [1, 2]))
        with self.assertRaises(ValueError):
            usl.fit({1: 1e5, 2: 2e5, 4: 0.0})

    def test_peak(self):
        self.assertAlmostEqual(usl.Fit(1.0, 0.04, 0.0024).peak, 20.0)
        self.assertEqual(usl.Fit(1.0, 0.1, 0.0).peak, math.inf)
        self.assertEqual(usl.Fit(1.0, 0.5, 3.0).peak, 1.0)
        self.assertEqual(usl.Fit(1.0, 1.2, 0.1).peak, 1.0)


class Constraints(unittest.TestCase):
    def test_better_than_linear_does_not_go_below_zero(self):
        found = usl.fit({1: 1000, 2: 2100, 4: 4300, 8: 8800})
        self.assertEqual((found.contention, found.coherence), (0.0, 0.0))
        self.assertGreater(found.worst, 0.01)

    def test_the_fit_is_the_least_squares_one(self):
        """No coefficient nearby that the constraints allow is closer to noisy points."""
        for seed in range(20):
            source = random.Random(seed)
            points = {n: x * source.gauss(1, 0.05) for n, x in exact(1e5, 0.02, 0.0005).items()}
            found = usl.fit(points)

            def error(candidate):
                return sum((x / candidate.at(n) - 1) ** 2 for n, x in points.items())

            least = error(found)
            for _ in range(200):
                near = usl.Fit(
                    found.rate * source.gauss(1, 0.01),
                    max(0.0, found.contention + source.gauss(0, 0.005)),
                    max(0.0, found.coherence + source.gauss(0, 0.0005)),
                )
                self.assertGreaterEqual(error(near), least - 1e-12)


class Intervals(unittest.TestCase):
    def test_contain_the_planted_values(self):
        found = usl.fit_rounds(rounds(exact(1e5, 0.05, 0.003)), resamples=300)
        for bounds, planted in (
            (found.rate, 1e5),
            (found.contention, 0.05),
            (found.coherence, 0.003),
            (found.peak, math.sqrt(0.95 / 0.003)),
        ):
            self.assertLessEqual(bounds.low, planted)
            self.assertGreaterEqual(bounds.high, planted)
        self.assertLess(found.peak.high - found.peak.low, 4)
        at = found.at(32)
        self.assertLess(at.low, at.high)

    def test_linear_scaling_has_no_peak_it_is_sure_of(self):
        found = usl.fit_rounds(rounds(exact(1e5, 0.0, 0.0)), resamples=300)
        self.assertEqual(found.peak.high, math.inf)
        self.assertLess(found.contention.high, 0.05)

    def test_drift_shared_by_the_counts_is_not_scaling(self):
        drift = [1.0, 0.7, 1.3, 0.8, 1.2, 0.9, 1.1, 1.0]
        points = exact(1e5, 0.05, 0.003)
        shared = {n: {r: x * d for r, d in enumerate(drift)} for n, x in points.items()}
        found = usl.fit_rounds(shared, resamples=200)
        self.assertAlmostEqual(found.contention.low, found.contention.high, places=6)
        self.assertGreater(found.rate.high / found.rate.low, 1.05)

    def test_missing_rounds_and_counts(self):
        values = rounds(exact(1e5, 0.05, 0.003))
        values[4] = {}
        del values[8][2]
        found = usl.fit_rounds(values, resamples=100)
        self.assertEqual(found.points, len(COUNTS) - 1)

    def test_is_repeatable(self):
        values = rounds(exact(1e5, 0.05, 0.003))
        self.assertEqual(usl.fit_rounds(values, 50), usl.fit_rounds(values, 50))


if __name__ == "__main__":
    unittest.main()
