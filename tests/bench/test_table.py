"""Tables on a terminal."""

import unittest

import context  # noqa: F401
from lib import table


class Tables(unittest.TestCase):
    def test_a_wide_name_takes_two_lines(self):
        shown = table.table(
            ("", "CPU µs/request", "p50", "completions/wait"), [("torc epoll", "8.05", "2.0 ms", "353.1")]
        )
        self.assertEqual(
            shown.split("\n"),
            [
                "               CPU µs/            completions/",
                "               request      p50           wait",
                "  ──────────   ───────   ──────   ────────────",
                "  torc epoll      8.05   2.0 ms          353.1",
            ],
        )

    def test_one_line_where_all_names_fit(self):
        shown = table.table(("name", "p50"), [("torc epoll", "2.0 ms")])
        self.assertEqual(shown.split("\n")[0].split(), ["name", "p50"])

    def test_without_rows(self):
        self.assertEqual(table.table(("a b", "c"), []).split("\n"), ["  a", "  b   c", "  ─   ─"])


if __name__ == "__main__":
    unittest.main()
