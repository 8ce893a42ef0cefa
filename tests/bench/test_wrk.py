"""What is read out of wrk's output, and that its invented observations are taken out exactly."""

import random
import unittest

import context  # noqa: F401
from lib import wrk


def corrected(latency, interval):
    """wrk's stats_correct: for each observation, invented ones at multiples of interval below."""
    result = dict(latency)
    for us in sorted(latency):
        if us >= 2 * interval:
            below = us - interval
            while below > interval:
                result[below] = result.get(below, 0) + latency[us]
                below -= interval
    least = min(latency)  # wrk's walk over its counters begins at its least real observation
    return {us: count for us, count in result.items() if us >= least}


def output(latency, requests, duration_us, errors="0 0 0 0 0"):
    lines = ["Running 1s test @ http://127.0.0.1:1/", "  1 threads and 4 connections",
             f"figures {requests} {duration_us} 1000 38 {errors}"]
    lines += [f"latency {us} {count}" for us, count in latency.items()]
    return "\n".join(lines) + "\n"


class Uncorrected(unittest.TestCase):
    def test_takes_out_what_wrk_added(self):
        source = random.Random(11)
        for _ in range(50):
            real = {}
            for _ in range(300):
                us = int(source.expovariate(1 / 400)) + 20
                real[us] = real.get(us, 0) + source.randint(1, 3)
            interval = source.randint(5, 900)
            self.assertEqual(wrk.uncorrected(corrected(real, interval), interval), real)

    def test_the_correction_does_add(self):
        self.assertNotEqual(corrected({1000: 1, 300: 2}, 200), {1000: 1, 300: 2})

    def test_refuses_what_no_correction_made(self):
        with self.assertRaises(wrk.WrkError):
            wrk.uncorrected({300: 1, 400: 5}, 100)


class Parse(unittest.TestCase):
    def test_reads_figures(self):
        figures = wrk.parse(output({100: 30, 120: 10}, 40, 1_000_000), connections=4, depth=1)
        self.assertEqual(figures.requests, 40)
        self.assertEqual(figures.per_second, 40)
        self.assertEqual(figures.steady_per_second, 38)
        self.assertEqual(figures.latency, {100: 30, 120: 10})
        self.assertEqual(set(figures.errors.values()), {0})

    def test_names_errors(self):
        figures = wrk.parse(output({100: 40}, 40, 1_000_000, "1 2 3 4 5"), 4, 1)
        self.assertEqual(figures.errors, {"connect": 1, "read": 2, "write": 3, "timeout": 4,
                                          "status": 5})  # fmt: skip

    def test_counts_a_pipelined_batch_as_its_requests(self):
        figures = wrk.parse(output({5000: 10}, 160, 1_000_000), connections=1, depth=16)
        self.assertEqual(figures.latency, {5000: 10})

    def test_allows_batches_that_the_end_cut_off(self):
        wrk.parse(output({5000: 10}, 170, 1_000_000), connections=1, depth=16)

    def test_refuses_a_histogram_that_lacks_requests(self):
        with self.assertRaises(wrk.WrkError):
            wrk.parse(output({100: 20}, 40, 1_000_000), connections=4, depth=1)

    def test_refuses_output_without_figures(self):
        for text in ("", "unable to connect to 127.0.0.1:1 Connection refused\n"):
            with self.assertRaises(wrk.WrkError):
                wrk.parse(text, 4, 1)

    def test_fewer_requests_than_connections(self):
        figures = wrk.parse(output({100: 3}, 3, 1_000_000), connections=4, depth=1)
        self.assertEqual(figures.latency, {100: 3})


class Script(unittest.TestCase):
    def test_has_its_depth(self):
        self.assertIn("local depth = 16\n", wrk.script(16))
        self.assertNotIn("{depth}", wrk.script(1))


if __name__ == "__main__":
    unittest.main()
