"""What an interval allows to say, by itself and beside an A/A run."""

import unittest

import context  # noqa: F401
from lib import words
from lib.verdict import Verdict
from lib.words import COST, WITH_LOAD

IDLE, BOTH = "A holds an idle connection in", "CPU per request of server and load together"
NOISE = {"metric": COST, "low": 0.974, "median": 1.0, "high": 1.021, "pairs": 10}


def say(low, median, high, metric=COST, pairs=10, noise=None):
    return Verdict(metric, median, low, high, pairs, noise).sentence("A", "B")


class Sentences(unittest.TestCase):
    def test_by_metric_and_direction(self):
        for ratio, metric, text in (
            ((0.88, 0.9, 0.93), COST, "A uses 10.0 % less CPU per request than B (7.0 to 12.0 %)."),
            ((1.05, 1.1, 1.2), "per_second", "A serves 10.0 % more requests/s than B (5.0 to 20.0 %)."),
            ((0.8, 0.9, 0.95), "latency_us.p99", "A has a 10.0 % lower p99 latency than B (5.0 to 20.0 %)."),
            ((0.8, 0.9, 0.95), "memory.user_bytes", f"{IDLE} 10.0 % less user memory than B (5.0 to 20.0 %)."),
            ((2.8, 2.9, 3.1), COST, "A uses 190.0 % more CPU per request than B (180.0 to 210.0 %)."),
            ((3.5, 4.04, 4.5), COST, "A uses 4.0 times as much CPU per request as B (3.5 to 4.5 times)."),
            ((200, 245.1, 300), "latency_us.p99", "A has 245 times as high a p99 latency as B (200 to 300 times)."),
            ((0.88, 0.9, 0.93), WITH_LOAD, f"A uses 10.0 % less {BOTH} than B (7.0 to 12.0 %)."),
            ((0.99, 1.0, 1.014), COST, "A and B: no detectable difference in CPU per request (within ±1.4 %)."),
            ((1, 1, 1), COST, "A and B: no detectable difference in CPU per request (within ±0.0 %)."),
            ((0.4, 1, 2.1), "latency_us.p99", "A and B: p99 latency varied too much between rounds to compare."),
        ):
            with self.subTest(text):
                self.assertEqual(say(*ratio, metric), text)

    def test_one_pair_says_nothing(self):
        text = "A and B: a single round cannot show a difference in CPU per request."
        self.assertEqual(say(1.1, 1.1, 1.1, pairs=1), text)
        self.assertEqual(Verdict.of(COST, None).kind, "unmeasured")

    def test_sizes(self):
        self.assertEqual((words.size(0.9), words.size(12.4)), ("10.0 %", "12 times"))
        titles = {"latency_raw_us.p99": "raw p99 latency", "memory.user_bytes": "user memory", "overflows": "overflows"}
        for metric, title in titles.items():
            self.assertEqual(words.metric_title(metric), title)


class BesideNoise(unittest.TestCase):
    def say(self, low, high, metric=COST, **more):
        return say(low, (low + high) / 2, high, metric, noise={**NOISE, **more})

    def test_as_large_as_the_noise(self):
        for low, high in ((0.98, 0.99), (1.01, 1.02), (0.974, 0.98)):
            self.assertRegex(self.say(low, high), r" %\), within the A/A noise \(−2\.6 to \+2\.1 %\)\.$")

    def test_partly_as_large(self):
        for low, high in ((0.9, 0.99), (0.9, 0.974)):
            self.assertRegex(self.say(low, high), r" to 10\.0 %\), partly within the A/A noise \(")

    def test_beyond_it_or_of_another_metric_nothing_is_added(self):
        others = [(0.98, 0.99, {"metric": "per_second"}), (0.98, 0.99, {"pairs": 1})]
        for low, high, more in [(0.9, 0.973, {}), (1.03, 1.04, {}), (0.99, 1.01, {}), *others]:
            with self.subTest(low=low, high=high):
                self.assertNotIn("A/A", say(low, (low + high) / 2, high, noise={**NOISE, **more}))


if __name__ == "__main__":
    unittest.main()
