"""Medians, intervals and percentiles on values whose answers are known."""

import random
import unittest

import context  # noqa: F401
from lib import stats


class MedianDeviation(unittest.TestCase):
    def test_is_the_median_distance(self):
        self.assertEqual(stats.median_deviation([1, 2, 3, 4, 100]), 1)

    def test_of_equal_values_is_zero(self):
        self.assertEqual(stats.median_deviation([5.0] * 4), 0)


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
        self.assertFalse(interval.contains_one)

    def test_few_values_give_their_range(self):
        interval = stats.bootstrap_median([0.9, 1.0, 1.1])
        self.assertEqual((interval.low, interval.high), (0.9, 1.1))

    def test_nothing_is_refused(self):
        with self.assertRaises(ValueError):
            stats.bootstrap_median([])

    def test_covers_the_true_median_about_as_often_as_it_says(self):
        source = random.Random(7)
        resamples, stats.RESAMPLES = stats.RESAMPLES, 400
        try:
            covered = 0
            for _ in range(200):
                interval = stats.bootstrap_median([source.gauss(1, 0.05) for _ in range(15)])
                covered += interval.low <= 1 <= interval.high
        finally:
            stats.RESAMPLES = resamples
        self.assertGreater(covered, 176)  # 88 %: well below 95 %, well above chance
        self.assertLess(covered, 200)

    def test_one_inside_and_outside(self):
        self.assertTrue(stats.Interval(1.0, 0.98, 1.02, 9).contains_one)
        self.assertFalse(stats.Interval(0.9, 0.88, 0.92, 9).contains_one)
        self.assertFalse(stats.Interval(1.1, 1.05, 1.2, 9).contains_one)


class PairedRatios(unittest.TestCase):
    def test_pairs_by_round_and_skips_what_has_no_partner(self):
        ratios = stats.paired_ratios({0: 2.0, 1: 3.0, 3: 9.0}, {1: 1.5, 0: 4.0, 2: 7.0})
        self.assertEqual(ratios, [0.5, 2.0])

    def test_skips_a_zero_denominator(self):
        self.assertEqual(stats.paired_ratios({0: 1.0}, {0: 0.0}), [])


class Histogram(unittest.TestCase):
    HUNDRED = {value: 1 for value in range(1, 101)}

    def test_percentiles_of_one_to_a_hundred(self):
        for percent in (1, 50, 99, 100):
            self.assertEqual(stats.histogram_percentile(self.HUNDRED, percent), percent)

    def test_weighs_by_count_whatever_the_order(self):
        self.assertEqual(stats.histogram_percentile({900: 1, 10: 99}, 99), 10)
        self.assertEqual(stats.histogram_percentile({900: 1, 10: 99}, 99.5), 900)

    def test_mean(self):
        self.assertEqual(stats.histogram_mean({10: 3, 50: 1}), 20)

    def test_empty_has_none(self):
        self.assertIsNone(stats.histogram_percentile({}, 50))
        self.assertIsNone(stats.histogram_mean({}))


if __name__ == "__main__":
    unittest.main()
