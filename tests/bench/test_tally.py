"""One subject against another over all workloads."""

import unittest

import context  # noqa: F401
import sample_results
from lib import answer, tally


class Away(unittest.TestCase):
    def test_what_is_not_counted_is_named(self):
        run = sample_results.compare(3, lambda id, number, name: "dead" if number and id == "json" else None)
        found = tally.of_epoll(run)
        self.assertEqual(found.away, ["json"])
        self.assertIn(" Not counted, with fewer than two valid pairs: json.", answer.against_epoll(run))
        self.assertNotIn("Not counted", answer.against_epoll(sample_results.compare(3)))


if __name__ == "__main__":
    unittest.main()
