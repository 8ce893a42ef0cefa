"""The tournament finds a planted winner, survives failures, and spends what it planned."""

import random
import unittest

import context  # noqa: F401
from lib import halving

NAMES = [f"c{number:02}" for number in range(16)]


class Field:
    """Candidates with planted ratios, and a record of what was measured."""

    def __init__(self, planted, noise=0.01, seed=1):
        self.planted, self.noise, self.source = planted, noise, random.Random(seed)
        self.calls = []

    def measure(self, number, names, pairs):
        self.calls.append((number, names, pairs))
        return {
            name: [self.planted[name] * self.source.gauss(1, self.noise) for _ in range(pairs)]
            for name in names
            if self.planted[name] is not None
        }


class Halving(unittest.TestCase):
    def test_finds_the_one_that_is_better(self):
        for seed in range(20):
            field = Field({**dict.fromkeys(NAMES, 1.0), "c11": 0.95}, seed=seed)
            self.assertEqual(halving.run(NAMES, 3, field.measure).winner, "c11")

    def test_rungs_halve_and_pairs_double(self):
        field = Field(dict.fromkeys(NAMES, 1.0))
        outcome = halving.run(NAMES, 3, field.measure)
        self.assertEqual(
            [(number, len(names), pairs) for number, names, pairs in field.calls],
            [(0, 16, 3), (1, 8, 6), (2, 4, 12), (3, 2, 24)],
        )
        self.assertEqual(halving.plan(16, 3), [(16, 3), (8, 6), (4, 12), (2, 24)])
        self.assertEqual(len(outcome.ratios[outcome.winner]), 45)
        self.assertEqual(len(outcome.out), 15)
        self.assertEqual(outcome.rungs[0].kept, field.calls[1][1])

    def test_the_plan_is_what_happens(self):
        for count in range(1, 18):
            field = Field({name: 1.0 for name in NAMES + ["c16"]})
            halving.run((NAMES + ["c16"])[:count], 2, field.measure)
            self.assertEqual([(len(names), pairs) for _, names, pairs in field.calls], halving.plan(count, 2))

    def test_earlier_rungs_count(self):
        """Lucky in the last rung alone is not enough."""
        ratios = [{"a": [0.9] * 8, "b": [0.98] * 8, "c": [2.0] * 8, "d": [3.0] * 8}, {"a": [0.97] * 6, "b": [0.96] * 6}]
        outcome = halving.run("abcd", 1, lambda number, names, pairs: ratios[number])
        self.assertEqual(outcome.winner, "a")

    def test_one_that_fails_leaves(self):
        planted = {**dict.fromkeys(NAMES, 1.0), "c00": None, "c05": None}
        outcome = halving.run(NAMES, 1, Field(planted).measure)
        self.assertEqual(outcome.out["c05"], "no valid sample")
        self.assertIsNotNone(outcome.winner)
        self.assertNotIn(outcome.winner, ("c00", "c05"))

    def test_all_fail(self):
        outcome = halving.run(NAMES, 1, Field(dict.fromkeys(NAMES)).measure)
        self.assertIsNone(outcome.winner)
        self.assertEqual(len(outcome.out), 16)

    def test_one_candidate_is_measured_and_none_is_nothing(self):
        field = Field({"c00": 1.2})
        self.assertEqual(halving.run(["c00"], 2, field.measure).winner, "c00")
        self.assertEqual(len(field.calls), 1)
        self.assertIsNone(halving.run([], 2, field.measure).winner)

    def test_equal_ones_keep_their_order(self):
        outcome = halving.run("dcba", 1, lambda number, names, pairs: {n: [1.0] for n in names})
        self.assertEqual(outcome.winner, "d")


if __name__ == "__main__":
    unittest.main()
