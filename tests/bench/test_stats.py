"""Medians, intervals and percentiles on values whose answers are known."""

import collections
import itertools
import math
import random
import statistics
import unittest

import context  # noqa: F401
from lib import stats


class BootstrapMedian(unittest.TestCase):
    def test_contains_its_median(self):
        interval = stats.bootstrap_median([0.9, 1.1, 1.0, 1.2, 0.8, 1.05])
        self.assertLessEqual(interval.low, interval.median)
        self.assertLessEqual(interval.median, interval.high)
        self.assertEqual(interval.count, 6)

    def test_is_repeatable(self):
        values = [0.9, 1.1, 1.0, 1.2, 0.8]
        self.assertEqual(stats.bootstrap_median(values), stats.bootstrap_median(values))

    def test_equal_values_give_a_point(self):
        interval = stats.bootstrap_median([0.97] * 8)
        self.assertEqual((interval.low, interval.median, interval.high), (0.97, 0.97, 0.97))

    def test_few_values_give_more_than_their_range(self):
        interval = stats.bootstrap_median([0.9, 1.0, 1.1])
        wider = 4.3027 / 1.95996 * math.sqrt(3 / 2)  # Student's t with 2 degrees of freedom
        self.assertAlmostEqual(interval.low, 0.9**wider, 4)
        self.assertAlmostEqual(interval.high, 1.1**wider, 4)

    def test_one_value_is_a_point(self):
        interval = stats.bootstrap_median([0.9])
        self.assertEqual((interval.low, interval.high, interval.count), (0.9, 0.9, 1))

    def test_values_that_are_no_ratios(self):
        interval = stats.bootstrap_median([0.0, 0.0, 0.0, 1.0, 1.0])
        self.assertLess(interval.low, interval.median + 1e-12)
        self.assertGreater(interval.high, 1.0)

    def test_nothing_is_refused(self):
        with self.assertRaises(ValueError):
            stats.bootstrap_median([])

    def test_covers_the_true_median_about_as_often_as_it_says(self):
        source = random.Random(7)
        covered = 0
        for _ in range(200):
            interval = stats.bootstrap_median([source.gauss(1, 0.05) for _ in range(15)])
            covered += interval.low <= 1 <= interval.high
        self.assertGreater(covered, 180)
        self.assertLess(covered, 200)


class ResampledMedians(unittest.TestCase):
    def test_are_what_all_resamples_have(self):
        for values in ([3.0], [1.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 2.0, 9.0, 9.5]):
            counted = collections.Counter(
                statistics.median(drawn) for drawn in itertools.product(values, repeat=len(values))
            )
            total = len(values) ** len(values)
            found = collections.Counter()
            for median, chance in stats.resampled_medians(values):
                found[median] += chance
            for median, count in counted.items():
                self.assertAlmostEqual(found.pop(median), count / total, 12)
            self.assertAlmostEqual(sum(found.values()), 0, 12)

    def test_of_many_are_certain_together(self):
        for count in (29, 100):
            total = sum(chance for _, chance in stats.resampled_medians(range(count)))
            self.assertAlmostEqual(total, 1, 9)


class BootstrapRatio(unittest.TestCase):
    def test_is_of_the_medians(self):
        interval = stats.bootstrap_ratio([2.0, 2.2, 2.4, 2.1, 2.3], [1.0, 1.1, 1.2])
        self.assertAlmostEqual(interval.median, 2.0)
        self.assertTrue(interval.low < interval.median < interval.high)
        self.assertEqual(interval.count, 3)

    def test_equal_values_give_a_point(self):
        interval = stats.bootstrap_ratio([3.0] * 5, [2.0] * 7)
        self.assertEqual((interval.low, interval.median, interval.high), (1.5, 1.5, 1.5))

    def test_nothing_is_refused(self):
        with self.assertRaises(ValueError):
            stats.bootstrap_ratio([], [1.0])


class BootstrapRounds(unittest.TestCase):
    def test_one_value_each_is_the_plain_bootstrap(self):
        values = [0.9, 1.1, 1.0, 1.2, 0.8]
        self.assertEqual(stats.bootstrap_rounds([[one] for one in values]), stats.bootstrap_median(values))

    def test_values_of_a_round_stay_together(self):
        apart = stats.bootstrap_rounds([[1.0, 1.0, 1.0]] * 3 + [[2.0, 2.0, 2.0]] * 3)
        mixed = stats.bootstrap_rounds([[1.0, 2.0]] * 9)
        self.assertEqual(apart.count, 6)
        self.assertLess(apart.low, 1.0)
        self.assertGreater(apart.high, 2.0)
        self.assertEqual((mixed.low, mixed.high), (1.5, 1.5))

    def test_equal_values_give_a_point(self):
        interval = stats.bootstrap_rounds([[0.97] * 5] * 8)
        self.assertEqual((interval.median, interval.low, interval.high), (0.97,) * 3)

    def test_nothing_is_refused(self):
        with self.assertRaises(ValueError):
            stats.bootstrap_rounds([])

    def covered(self, count, times=300):
        source, hits = random.Random(7), 0
        for _ in range(times):
            rounds = []
            for _ in range(count):
                shift = source.gauss(0, 0.02)
                rounds.append([math.exp(shift + source.gauss(0, 0.03)) for _ in range(8)])
            interval = stats.bootstrap_rounds(rounds)
            hits += interval.low <= 1 <= interval.high
        return hits / times

    def test_covers_the_truth_as_often_as_it_says_with_few_rounds_too(self):
        for count in (3, 4, 6, 10):  # plain percentiles: 77, 82, 86, 90 %
            share = self.covered(count)
            self.assertGreaterEqual(share, 0.9, count)
            self.assertLess(share, 1, count)


class PairedRatios(unittest.TestCase):
    def test_pairs_by_round_and_skips_what_has_no_partner(self):
        ratios = stats.paired_ratios({0: 2.0, 1: 3.0, 3: 9.0}, {1: 1.5, 0: 4.0, 2: 7.0})
        self.assertEqual(ratios, [0.5, 2.0])

    def test_skips_a_zero_denominator(self):
        self.assertEqual(stats.paired_ratios({0: 1.0}, {0: 0.0}), [])


if __name__ == "__main__":
    unittest.main()
