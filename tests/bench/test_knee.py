"""The knee of planted curves: flat, falling to a floor, falling throughout, rising again."""

import random
import unittest

import context  # noqa: F401
from lib import knee

DEPTHS = [32, 64, 128, 256, 512, 1024]


def curve(costs, rounds=10, noise=0.004, drift=0.05, seed=1):
    """Rounds of depths with a planted cost, noise per sample and a drift all depths share."""
    source = random.Random(seed)
    shared = [1 + drift * source.uniform(-1, 1) for _ in range(rounds)]
    return {
        depth: {number: cost * shared[number] * source.gauss(1, noise) for number in range(rounds)}
        for depth, cost in costs.items()
    }


class Find(unittest.TestCase):
    def test_a_floor_reached_at_128(self):
        costs = dict(zip(DEPTHS, [7000, 6400, 6000, 6000, 6000, 6000]))
        found = knee.find(curve(costs))
        self.assertIn(found.depth, (128, 256))
        self.assertLess(found.change[1], 0.0)
        self.assertGreater(found.change[2], -1.0)
        self.assertFalse(found.alike)
        self.assertEqual(found.dearer, ())
        text = knee.sentence(found, DEPTHS, "1 core, 256 connections")
        self.assertRegex(
            text, r"^1 core, 256 connections: beyond depth \d+ nothing is gained, " r"[−+]?\d\.\d to [−+]?\d\.\d %\.$"
        )

    def test_no_effect_has_the_smallest_depth_as_knee(self):
        found = knee.find(curve(dict.fromkeys(DEPTHS, 5500), seed=3))
        self.assertEqual(found.depth, 32)
        self.assertTrue(found.alike)
        self.assertIn("makes no difference", knee.sentence(found, DEPTHS))

    def test_a_depth_of_which_little_is_known_is_passed_over(self):
        flat = curve(dict.fromkeys(DEPTHS, 6000))
        loose = curve({32: 6200}, noise=0.15, drift=0.05)
        found = knee.find({**flat, **loose})
        self.assertEqual(found.depth, 64)
        self.assertIn("beyond depth 64 nothing is gained", knee.sentence(found, DEPTHS))
        only = {depth: loose[32] if depth == 32 else flat[64] for depth in (32, 64)}
        self.assertIn("no gain can be seen beyond depth 32", knee.sentence(knee.find(only), (32, 64)))

    def test_a_single_round_shows_nothing(self):
        for costs in ([9000, 8500, 8000], [8000, 8500, 9000], [8000, 8000, 8000]):
            found = knee.find(curve(dict(zip(DEPTHS[:3], costs)), rounds=1))
            self.assertIsNone(found.change)
            self.assertEqual(found.dearer, ())
            self.assertIn("a single round cannot show", knee.sentence(found, DEPTHS[:3]))

    def test_falling_throughout_asks_for_more(self):
        costs = dict(zip(DEPTHS, [9000, 8500, 8000, 7500, 7000, 6500]))
        found = knee.find(curve(costs))
        self.assertEqual((found.depth, found.best, found.other), (1024, 1024, 512))
        self.assertLess(found.change[2], -4)
        self.assertIn("try deeper", knee.sentence(found, DEPTHS))

    def test_rising_again_names_what_costs_more(self):
        costs = dict(zip(DEPTHS, [7000, 6000, 6500, 6500, 7000, 7000]))
        found = knee.find(curve(costs))
        self.assertEqual((found.depth, found.best), (64, 64))
        self.assertEqual(found.dearer, (128, 256, 512, 1024))
        self.assertGreater(found.change[1], 5)
        self.assertIn("depth 64 is the best, and every deeper", knee.sentence(found, DEPTHS))

    def test_a_dip_beyond_a_flat_stretch_is_named(self):
        costs = dict(zip(DEPTHS, [6600, 6000, 6000, 6000, 6000, 6500]))
        found = knee.find(curve(costs, seed=2))
        self.assertEqual(found.dearer, (1024,))
        self.assertRegex(knee.sentence(found, DEPTHS), r"nothing is gained, .*; 1024 costs more\.")

    def test_drift_that_all_share_does_not_hide_the_knee(self):
        costs = dict(zip(DEPTHS, [6300, 6000, 6000, 6000, 6000, 6000]))
        found = knee.find(curve(costs, drift=0.3, seed=5))
        self.assertGreater(found.depth, 32)

    def test_a_wide_interval_tells_nothing(self):
        for alike in (True, False):
            found = knee.Knee(128, 512, 512, (3.0, -3.8, 29.2), (1024,), alike)
            text = knee.sentence(found, DEPTHS, "", 4)
            self.assertNotIn("nothing is gained", text)
            self.assertNotIn("no difference", text)
            self.assertEqual(
                text,
                "no gain can be seen beyond depth 128, but 4 pairs leave "
                "−3.8 to +29.2 % CPU per request open at 512: give more; "
                "1024 costs more.",
            )
        text = knee.sentence(knee.Knee(64, 64, 128, (-9, -19, 0.1)), [64])
        self.assertIn("so few pairs leave −19.0 to +0.1 %", text)

    def test_better_ratios_than_those_of_the_costs(self):
        costs = curve(dict.fromkeys(DEPTHS, 5500), noise=0.2)  # of no use by themselves
        planted = dict(zip(DEPTHS, [6300, 6000, 6000, 6000, 6000, 6000]))
        exact = curve(planted, drift=0)

        def ratios(one, other):
            return [[exact[one][number] / exact[other][number]] for number in range(10)]

        found = knee.find(costs, ratios)
        self.assertEqual(found.depth if found.best != 32 else 64, 64)
        if found.other > found.depth:
            self.assertGreater(found.change[1], -2)
            self.assertLess(found.change[2], 2)

    def test_what_a_depth_differs_from_itself_is_no_gain_and_no_loss(self):
        costs = dict(zip(DEPTHS, [6150, 6150, 6000, 6000, 6000, 6150]))
        plain, minding = (knee.find(curve(costs, noise=0.001), slack=slack) for slack in (0, 4.0))
        self.assertEqual((plain.depth, plain.dearer), (128, (1024,)))
        self.assertEqual((minding.depth, minding.dearer, minding.alike), (32, (), True))
        text = knee.sentence(minding, DEPTHS)
        self.assertIn("makes no difference that can be detected from 32 to 1024", text)
        self.assertIn("A depth set against itself differs by up to 4.0 % here.", text)

    def test_missing_depths_and_rounds(self):
        rounds = curve(dict(zip(DEPTHS, [7000, 6000, 6000, 6000, 6000, 6000])))
        rounds[128] = {}
        del rounds[64][3]
        found = knee.find(rounds)
        self.assertIn(found.depth, (64, 256))

    def test_one_depth_and_none(self):
        self.assertEqual(knee.find({64: {0: 1.0}}).change, None)
        self.assertIn("only depth 64", knee.sentence(knee.find({64: {0: 1.0}}), [64]))
        self.assertIn("no depth", knee.sentence(knee.find({64: {}}), [64]))


class Words(unittest.TestCase):
    def test_bounds(self):
        self.assertEqual(knee.bounds(-0.42, 0.31), "−0.4 to +0.3 %")
        self.assertEqual(knee.bounds(-0.04, 0.04), "0.0 to 0.0 %")


if __name__ == "__main__":
    unittest.main()
