"""Tables, verdicts and warnings from made-up samples."""

import unittest

import context  # noqa: F401
from lib import report, table
from lib.measure import Sample, saturated
from lib.stats import Interval
from lib.workloads import workloads


def sample(subject, number, cost, **more):
    fields = dict(requests=1000, seconds=1.0, per_second=1000.0, cpu_ns=cost * 1000,
                  cpu_ns_per_request=cost, server_share=1.0, load_share=0.5,
                  latency_us={"p50": 900, "p99": 2500, "mean": 1000.0})  # fmt: skip
    return Sample("plaintext", subject, number, 256, 0.0, **{**fields, **more})


class Table(unittest.TestCase):
    def test_columns_align(self):
        lines = table.table(("", "n"), [("a", "1"), ("long", "1,000")]).splitlines()
        self.assertEqual(lines[0], "             n")
        self.assertEqual(lines[2:], ["  a          1", "  long   1,000"])

    def test_numbers(self):
        self.assertEqual(table.cost(5432), "5.43")
        self.assertEqual(table.cost(12345), "12.3")
        self.assertEqual(table.microseconds(870.4), "870 µs")
        self.assertEqual(table.microseconds(2122), "2.1 ms")
        self.assertEqual(table.microseconds(None), "–")
        self.assertEqual(table.thousands(1234567.8), "1,234,568")


class Saturated(unittest.TestCase):
    def test_names_the_full_core(self):
        self.assertEqual(saturated(0.99, 0.5), "server")
        self.assertEqual(saturated(0.7, 1.01), "load")
        self.assertEqual(saturated(1, 1), "both")
        self.assertEqual(saturated(0.5, 0.5), "neither")


class Verdict(unittest.TestCase):
    def test_contains_one(self):
        text = report.verdict("A", "B", Interval(0.99, 0.97, 1.04, 10))
        self.assertEqual(text, "A and B: no difference detectable within ±4.0 %.")

    def test_less(self):
        text = report.verdict("A", "B", Interval(0.9, 0.88, 0.93, 10))
        self.assertEqual(text, "A uses 10.0 % less CPU per request than B (7.0 to 12.0 %).")

    def test_more(self):
        text = report.verdict("A", "B", Interval(1.1, 1.05, 1.2, 10))
        self.assertEqual(text, "A uses 10.0 % more CPU per request than B (5.0 to 20.0 %).")

    def test_few_rounds_are_said(self):
        self.assertIn("3 rounds", report.verdict("A", "B", Interval(1.1, 1.05, 1.2, 3)))
        self.assertIn("one round says nothing", report.verdict("A", "B", Interval(1.1, 1.1, 1.1, 1)))


class Reports(unittest.TestCase):
    def test_invalid_samples_are_shown_and_do_not_count(self):
        samples = [sample("uring", 0, 5000), sample("uring", 1, 90000, invalid="7 read errors")]
        self.assertEqual(report.invalid_lines(samples),
                         ["  INVALID round 1, torc io_uring: 7 read errors"])  # fmt: skip
        rows = report.cost_table(samples, ("uring", "epoll")).splitlines()
        self.assertIn("5.00–5.00", rows[2])
        self.assertIn("–", rows[3])

    def test_ratio_pairs_rounds(self):
        samples = [sample("uring", n, 5000 + 1000 * n) for n in range(4)]
        samples += [sample("floor-uring", n, 2500 + 500 * n) for n in range(4)]
        interval = report.ratio(samples, "uring", "floor-uring")
        self.assertEqual((interval.low, interval.median, interval.high), (2, 2, 2))
        self.assertIsNone(report.ratio(samples, "uring", "nginx"))

    def test_warns_of_a_noisy_floor_with_a_remedy(self):
        quiet = [sample("floor-uring", n, 5000 + n) for n in range(5)]
        noisy = [sample("floor-epoll", n, cost) for n, cost in
                 enumerate((4000, 5000, 6000, 7000, 8000))]  # fmt: skip
        self.assertEqual(report.warnings(quiet), [])
        (line,) = report.warnings(quiet + noisy)
        self.assertIn("floor epoll varied", line)
        self.assertIn("--rounds", line)

    def test_warns_of_others_and_of_reopened_connections(self):
        lines = report.warnings([sample("uring", 0, 5000, others_share=0.4, reopened=300)])
        self.assertEqual(len(lines), 2)

    def test_delay_says_which_core_was_full(self):
        (workload,) = [w for w in workloads(256, 15000) if w.connections == 15000]
        samples = [sample("uring", 0, 5000, steady_per_second=375000.0)]
        lines = report.delay_lines(workload, samples, ("uring", "epoll"))
        self.assertIn("750,000 requests/s", lines[0])
        self.assertIn("50.0 %", lines[1])
        self.assertIn("the server's core is full", lines[1])
        self.assertEqual(len(lines), 2)


class Workloads(unittest.TestCase):
    def test_ratios_are_of_its_own_subjects(self):
        for workload in workloads(256, 15000):
            for pair in workload.ratios:
                self.assertLessEqual(set(pair), set(workload.subjects), workload.name)

    def test_the_main_one_has_most_rounds(self):
        main, *rest = workloads(256, 15000)
        self.assertGreater(main.rounds, max(workload.rounds for workload in rest))


if __name__ == "__main__":
    unittest.main()
