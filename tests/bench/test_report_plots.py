"""The plots of the report's pages: what they show is what the tables and the answer say."""

import unittest

import context  # noqa: F401
import sample_results
from lib.page import svg, sweep_plots, sweep_points
from test_report_html import Reader, written


class Sweep(unittest.TestCase):
    """Lines over the depth."""

    def setUp(self):
        self.run = sample_results.sweep_run()
        self.entry = self.run.extra["knees"][0]
        self.points = [point for point in sweep_points.points(self.run)
                       if point.cell.id == self.entry["cell"]]  # fmt: skip

    def drawn(self, field="cost"):
        with svg.styled():
            return sweep_plots.curve(self.run, self.points, "depth", ["io_uring", "epoll"],
                                     field).axes[0]  # fmt: skip

    def knee(self):
        """Its name and whether its line is dashed."""
        axes = self.drawn()
        upright = [one for one in axes.lines if one.get_linewidth() == 1.2]
        return ([text.get_text() for text in axes.texts],
                [one.get_linestyle() != "-" for one in upright])  # fmt: skip

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_a_knee_is_drawn_as_surely_as_the_run_tells_it(self):
        self.assertEqual(self.knee(), ([f"knee {self.entry['depth']}"], [False]))
        self.assertNotIn("question mark", written(self.run))
        self.entry["change"] = {"median": -3.0, "low": -9.0, "high": 0.3}
        self.assertEqual(self.knee(), ([f"knee {self.entry['depth']}?"], [True]))
        self.assertIn("Dashed, with a question mark", written(self.run))
        self.entry["other"] = 1  # the deepest tried, which still gains
        self.assertEqual(self.knee(), ([], []))

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_an_engine_without_a_depth_has_no_dot_at_any(self):
        for field in ("cost", "per_second"):
            axes = self.drawn(field)
            dots = [one for one in axes.lines if one.get_marker() not in ("None", None)]
            self.assertEqual({one.get_color() for one in dots}, {svg.series(0)})
            self.assertEqual(len(axes.collections), 1, "a band")
        text = Reader(written(self.run)).text
        self.assertIn("torc epoll (no depth, measured once)", text)
        self.assertIn("Depth does not concern torc epoll: measured once in each round", text)


if __name__ == "__main__":
    unittest.main()
