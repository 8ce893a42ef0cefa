"""The plots of the report's pages: what they show is what the tables and the answer say."""

import unittest

import context  # noqa: F401
import sample_results
from lib import results, words
from lib.page import kind_ablate, kind_compare, kind_sweep, looks, numbers, plots, svg
from test_report_html import Reader, written

if svg.available():
    from matplotlib import colors


class Latency(unittest.TestCase):
    def test_a_latency_curve_is_what_the_table_says_whatever_one_round_was(self):
        cell = sample_results.compare(5).cell("latency-90")
        mine = cell.valid("io_uring")
        for sample in mine[:2]:  # as a machine that stood still for a while makes them
            sample.histogram = [[upper * 10, count] for upper, count in sample.histogram]
            sample.latency_us = {key: one * 10 for key, one in sample.latency_us.items()}
        curve = dict(plots.curve(cell.valid("io_uring")))
        for percentile, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)):
            told = cell.median("io_uring", f"latency_us.{percentile}")
            self.assertAlmostEqual(curve[plots.place(share)] / told, 1, 2, percentile)
        self.assertEqual(list(curve.values()), sorted(curve.values()))

    def test_a_latency_curve_ends_where_the_shortest_round_does(self):
        one = results.Sample("a", 0, 0, 0.0, histogram=[[1000, 90], [5000, 10]])
        other = results.Sample("a", 1, 0, 0.0, histogram=[[1000, 1000], [9000, 1]])
        points = plots.curve([one, other])
        self.assertEqual((points[0][1], points[-1][1]), (1.0, 3.0))
        self.assertAlmostEqual(points[-1][0], plots.place(0.995))
        self.assertEqual(plots.curve([results.Sample("a", 0, 0, 0.0)]), [])


class Sweep(unittest.TestCase):
    """Lines over the depth."""

    def setUp(self):
        self.run = sample_results.sweep_run()
        self.entry = self.run.extra["knees"][0]
        self.points = [point for point in kind_sweep.points(self.run) if point.cell.id == self.entry["cell"]]

    def drawn(self, metric=words.COST):
        return svg.figure(kind_sweep.curve, self.run, self.points, "depth", metric).axes[0]

    def knee(self):
        """Its name and whether its line is dashed."""
        axes = self.drawn()
        upright = [one for one in axes.lines if one.get_linewidth() == 1.2]
        return ([text.get_text() for text in axes.texts], [one.get_linestyle() != "-" for one in upright])

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
        for metric in (words.COST, "per_second"):
            axes = self.drawn(metric)
            dots = [one for one in axes.lines if one.get_marker() not in ("None", None)]
            self.assertEqual({one.get_color() for one in dots}, {svg.series(0)})
            self.assertEqual(len(axes.collections), 1, "a band")
        text = Reader(written(self.run)).text
        self.assertIn("torc epoll (no depth, measured once)", text)
        self.assertIn("Depth does not apply to torc epoll: measured once in each round", text)


class Ablation(unittest.TestCase):
    """Bars and table of an ablation say the same of every feature."""

    def setUp(self):
        self.run = sample_results.ablate_run()
        # As where the machine changes between the rounds: the ratios cost, the differences save.
        row = next(
            one for one in self.run.extra["effects"] if (one["feature"], one["context"]) == ("direct", "into bare")
        )
        row["ratio"] = {"median": 1.014, "low": 0.96, "high": 1.058, "pairs": 6}
        row["us"] = {"median": -0.196, "low": -0.7, "high": 0.4}

    def test_a_bar_is_its_ratio_of_the_cost_it_begins_with(self):
        for start, moved in (("bare", "into bare"), ("full", "out of full")):
            steps = kind_ablate.steps(self.run.extra, start)
            base = self.run.extra["total"][f"{start}_us"]["median"]
            ratios = {one["feature"]: one["ratio"] for one in self.run.extra["effects"] if one["context"] == moved}
            power = 1 if start == "bare" else -1
            for step in steps[1:-2]:
                if step.kind != "hidden":
                    low, middle, high = sorted(
                        base * (ratios[step.label][key] ** power - 1) for key in ("low", "median", "high")
                    )
                    self.assertAlmostEqual(step.end - step.start, middle)
                    self.assertAlmostEqual(step.low - step.start, low)
                    self.assertAlmostEqual(step.high - step.start, high)
                    self.assertIn(f" {ratios[step.label]['median']:.3f}, ", step.words)
                    self.assertIn(numbers.signed(middle, 3), step.words)
            self.assertEqual([one.start for one in steps[2:-1]], [one.end for one in steps[1:-2]])
            whole = self.run.extra["total"]["ratio"]["median"]
            self.assertAlmostEqual(steps[-1].end, base * whole**power)
            self.assertEqual((steps[-2].kind, steps[-2].end), ("rest", steps[-1].end))

    def test_a_feature_that_another_hides_has_no_effect(self):
        for one in self.run.extra["effects"]:
            if one["feature"] == "coop-taskrun":
                one["verdict"] = "costs"
        words = "hidden by defer-taskrun"
        (step,) = (one for one in kind_ablate.steps(self.run.extra, "full") if one.kind == "hidden")
        self.assertEqual((step.label, step.words, step.end), ("coop-taskrun", words, step.start))
        self.assertNotIn("hidden", [one.kind for one in kind_ablate.steps(self.run.extra, "bare")])
        text = Reader(written(self.run)).text
        self.assertIn(f"coop-taskrun out of full – – – {words}", text)
        self.assertIn("In the full set defer-taskrun hides it.", text)
        self.run.extra["full"].remove("defer-taskrun")
        self.assertNotIn(words, Reader(written(self.run)).text)


class Names(unittest.TestCase):
    def test_lines_down_from_names_pass_few_others(self):
        places = {"a": 0.1, "b": 0.9, "c": 0.3, "d": 0.7}
        self.assertEqual(plots.order(places), ["b", "d", "a", "c"])

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_a_name_hides_the_lines_behind_it(self):
        run, features = sample_results.compare(3), sample_results.ablate_run().extra
        lead, named = kind_compare.leading(kind_compare.measured(run)), looks.Looks(run)
        for plot, *arguments in (
            (plots.batches, lead, named),
            (plots.forest, kind_compare.bars(lead, named), "x"),
            (kind_ablate.waterfall, kind_ablate.steps(features, "full")),
        ):
            axes = svg.figure(plot, *arguments).axes[0]
            self.assertGreater(len(axes.texts), 3)
            for text in axes.texts:
                self.assertEqual(text.get_bbox_patch().get_facecolor()[:3], colors.to_rgb(svg.COLOUR["bg"]))
                self.assertTrue(all(text.zorder > line.zorder for line in axes.lines))


if __name__ == "__main__":
    unittest.main()
