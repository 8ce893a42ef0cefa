"""The report's pages without a browser: well formed, complete, escaped, the same each time."""

import argparse
import contextlib
import copy
import dataclasses
import html.parser
import io
import json
import os
import re
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
import sample_results
from lib import page, report, results, schema, words
from lib.page import kind_compare, looks, numbers, plots, render, svg, tables, threats

VOID = {"meta", "link", "br", "hr", "img"}
ENVIRONMENT = sample_results.ENVIRONMENT
PARTS = render.ENVIRONMENT.get_template("parts.html.j2").module


class Reader(html.parser.HTMLParser):
    """Elements that are closed in order, ids that are there once, and the text a reader gets."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.words = [], [], [], [], []
        self.feed(re.sub(r'<span class="option">(.*?)</span>', r"\1", text))  # which parts no words
        self.close()
        if self.open:
            raise AssertionError(f"never closed: {self.open}")
        self.text = plain(" ".join(self.words))

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href"):
                self.links.append(value)
            if name.startswith("on"):
                raise AssertionError(f"an attribute that runs something: {name}")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes something else")

    def handle_data(self, data):
        self.words.append(data)


def plain(text):
    """Text with all white space alike."""
    return " ".join(text.split())


def written(run):
    """A run's page."""
    with tempfile.TemporaryDirectory() as directory:
        return page.write(run, Path(directory) / "run.html").read_text()


def without_plots():
    return mock.patch.object(svg, "available", return_value=False)


class Pages(unittest.TestCase):
    """Every kind, with plots where they can be drawn."""

    @classmethod
    def setUpClass(cls):
        cls.runs = {name: make() for name, make in sample_results.KINDS.items()}
        cls.measuring = {name: run for name, run in cls.runs.items() if name != "explain"}  # has a page of its own
        cls.pages = {name: written(run) for name, run in cls.runs.items()}

    def test_well_formed_with_ids_that_are_unique_and_links_that_lead_somewhere(self):
        for kind, text in self.pages.items():
            with self.subTest(kind):
                reader = Reader(text)
                self.assertEqual(len(reader.ids), len(set(reader.ids)))
                for link in reader.links:
                    self.assertTrue(link.startswith(("#", "data:")), link)
                    if link.startswith("#"):
                        self.assertIn(link[1:], reader.ids)
                for name in re.findall(r"url\(#([^)]+)\)", text):
                    self.assertIn(name, reader.ids)

    def test_nothing_is_loaded_or_run(self):
        for kind, text in self.pages.items():
            with self.subTest(kind):
                reader = Reader(text)
                self.assertFalse({"script", "img", "iframe", "object"} & set(reader.tags))
                self.assertNotRegex(text, r"https?://(?!127\.)")
                self.assertNotIn("@import", text)

    def test_conclusions_verdicts_threats_notes_and_commands_are_there(self):
        for kind, run in self.measuring.items():
            with self.subTest(kind):
                text = Reader(self.pages[kind]).text
                wanted = [*run.conclusions, *run.notes]
                wanted += [one.verdict for cell in run.cells for one in cell.ratios]
                wanted += [one.text for one in threats.find(run)]
                wanted += [one.remedy for one in threats.find(run)]
                wanted += [shlex.join(words) for words in [run.command, *run.commands.values()]]
                self.assertGreater(len(wanted), 20)
                for sentence in wanted:
                    self.assertIn(plain(sentence), text)

    def test_the_answer_comes_before_the_figures(self):
        for kind in self.measuring:
            text = self.pages[kind]
            with self.subTest(kind):
                answer = text.index('class="answer"')
                self.assertLess(answer, text.index("<table"))
                first = page.page.conclusions(self.runs[kind])[0]
                self.assertIn(plain(first), plain(html.unescape(text[answer : answer + 800])))

    def test_each_variant_has_its_row_and_its_medians(self):
        run, text = self.runs["compare"], Reader(self.pages["compare"]).text
        for cell in run.cells:
            for name in cell.names:
                rate = numbers.number(cell.median(name, "per_second"))
                self.assertIn(rate, text)

    def test_environment_is_complete(self):
        text = Reader(self.pages["compare"]).text
        for known in (
            "AMD EPYC 9354P",
            "0xa101148",
            "always [madvise] never",
            "4096",
            "2.9",
            ENVIRONMENT["git"]["commit"],
            "gcc 12.2.0",
            "unknown",
        ):
            self.assertIn(known, text)

    def test_same_run_same_page(self):
        run = sample_results.scale_run()
        self.assertEqual(written(run), written(run))
        self.assertEqual(written(run), self.pages["scale"])

    def test_the_samples_are_what_real_runs_are(self):
        for kind, run in self.runs.items():
            content = json.loads(json.dumps(results.to_json(run), default=str))
            self.assertEqual(list(schema.faults(content)), [], kind)

    def test_survives_the_file(self):
        run = self.runs["ablate"]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "run.json"
            results.save(run, path)
            self.assertEqual(written(results.load(path)), self.pages["ablate"])

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_plots(self):
        for kind, text in self.pages.items():
            with self.subTest(kind):
                drawn = re.findall(r'<svg class="plot".*?</svg>', text, re.DOTALL)
                self.assertGreaterEqual(len(drawn), 4)
                for one in drawn:
                    self.assertIn('role="img"', one)
                    self.assertIn("viewBox=", one)
                    self.assertRegex(one, r"<title[^>]*>\w")
                    self.assertIn('class="mark"', one)
                    self.assertNotRegex(one[: one.index(">")], r"\b(width|height)=")
                    self.assertNotRegex(one, r"#[0-9a-fA-F]{6}\b(?!-)")  # every colour a variable
                    self.assertIn("<text", one)

    def test_without_matplotlib(self):
        for kind, run in self.runs.items():
            with self.subTest(kind), without_plots():
                text = written(run)
                reader = Reader(text)
                self.assertNotIn("<svg", text)
                self.assertIn("python3-matplotlib", reader.text)
                self.assertIn("table", reader.tags)
                for sentence in run.conclusions:
                    self.assertIn(plain(sentence), reader.text)


class Escaping(unittest.TestCase):
    def test_names_are_text(self):
        evil = "<script>alert('$x_1$ & \"y\"')</script>"
        run = sample_results.scale_run("1,2,3")
        for cell in run.cells:
            cell.id, cell.notes = f"{cell.id} {evil}", [evil]
            cell.workload["title"] = evil
            for variant in cell.variants:
                variant["label"] = evil
        run.kind, run.title = "compare", evil
        run.conclusions, run.notes = [evil], [evil]
        run.cells[-1].samples[0].invalid = evil
        run.environment = {"kernel": evil, "cpu": {evil: evil}, "git": {"commit": evil}}
        run.commands, run.command = {evil: [evil]}, [evil]
        run.doctor = [{"id": evil, "level": "limit", "text": evil, "remedy": evil}]
        text = written(run)
        reader = Reader(text)
        self.assertNotIn("script", reader.tags)
        self.assertNotIn("<script", text)
        self.assertGreater(reader.text.count(plain(evil)), 10)


class Trust(unittest.TestCase):
    """What does not count is named first, and every threat has its sentence."""

    @classmethod
    def setUpClass(cls):
        cls.run_of_scale = sample_results.scale_run("1,2,3")

    def planted(self, **environment):
        run = copy.deepcopy(self.run_of_scale)
        run.environment = {**ENVIRONMENT, **environment}
        return run

    def ids(self, run):
        return {one.id for one in threats.find(run)}

    def test_invalid_samples_come_first(self):
        run = sample_results.compare(
            3,
            lambda id, number, name: "the load had 3 reset errors"
            if (id, number, name) == ("json", 1, "epoll")
            else None,
        )
        with without_plots():
            text = written(run)
        words = Reader(text).text
        self.assertIn("1 of", words)
        self.assertIn("json, round 2, torc epoll", words)
        self.assertLess(text.index("3 reset errors"), text.index('class="answer"'))
        self.assertIn("2 of 3", words)
        self.assertIn("invalid", self.ids(run))
        self.assertIn("few-pairs", self.ids(run))

    def test_noise_comes_before_the_answer(self):
        run = self.planted()
        with without_plots():
            self.assertNotIn("This run was noisy", written(run))
            for cell in run.cells:
                for sample in cell.samples:
                    sample.others_share = 0.3
            text = written(run)
        self.assertIn("other programs used 30", text)
        self.assertLess(text.index("This run was noisy"), text.index('class="answer"'))

    def test_an_interrupted_run_says_so(self):
        run = sample_results.sweep_run()
        run.finished = None
        run.cells[-1].complete = False
        run.cells[-1].samples = run.cells[-1].samples[:3]
        run.extra, run.conclusions = {}, []
        with without_plots():
            text = Reader(written(run)).text
        self.assertIn("This run ended early", text)
        self.assertIn("unfinished", self.ids(run))

    def test_an_empty_run_has_a_page(self):
        for kind in sample_results.KINDS:
            text = Reader(written(results.Run(kind, "", "2026-01-01T00:00:00+0000"))).text
            self.assertIn("Nothing was concluded", text)

    def test_variants_without_a_valid_sample(self):
        run = sample_results.compare(2, lambda id, number, name: "dead" if name == "epoll" else None)
        reader = Reader(written(run))
        self.assertIn("torc epoll: dead", reader.text)

    def test_machine(self):
        cpu = ENVIRONMENT["cpu"]
        quiet = self.planted(
            cpu={**cpu, "hypervisor": False, "allowed": [0, 1, 2, 3], "governor": "performance", "mitigations": {}}
        )
        self.assertFalse(
            {"virtual", "few-cores", "frequency", "mitigations", "smt", "dirty", "debug"} & self.ids(quiet)
        )
        self.assertIn("loopback", self.ids(quiet))
        for change, threat in (
            ({"cpu": cpu}, "virtual"),
            ({"cpu": cpu}, "few-cores"),
            ({"cpu": cpu}, "mitigations"),
            ({"cpu": {**cpu, "governor": "powersave"}}, "frequency"),
            ({"cpu": {**cpu, "siblings_of_cpu0": [0, 1]}}, "smt"),
            ({"cpu": {**cpu, "boost": "1"}}, "boost"),
            ({"git": {"commit": "1", "dirty": True}}, "dirty"),
            ({"git": {}}, "no-commit"),
            ({"build": {"options": {"buildtype": "debug"}}}, "debug"),
            ({"build": {"options": {"b_sanitize": "address"}}}, "sanitizer"),
        ):
            self.assertIn(threat, self.ids(self.planted(**change)), threat)

    def test_samples(self):
        run = self.planted()
        self.assertFalse({"load-saturated", "steal", "others", "noisy", "unsent"} & self.ids(run))
        for change, threat in (
            ({"saturated": "load"}, "load-saturated"),
            ({"steal_share": 0.2}, "steal"),
            ({"others_share": 0.5}, "others"),
            ({"unsent": 9}, "unsent"),
            ({"errors": {"reset": 2}}, "errors"),
            ({"saturated": "neither"}, "unsaturated"),
        ):
            changed = self.planted()
            for cell in changed.cells:
                cell.samples = [dataclasses.replace(one, **change) for one in cell.samples]
            self.assertIn(threat, self.ids(changed), threat)

    def test_long_bodies_share_work_with_the_load(self):
        run = self.planted()
        self.assertNotIn("shared-work", self.ids(run))
        run.cells[-1].workload["name"] = "static-large-1m"
        self.assertIn("shared-work", self.ids(run))

    def test_noise(self):
        run = self.planted()
        run.noise = {**run.noise, "low": 0.9, "high": 1.08}
        self.assertIn("noisy", self.ids(run))
        run.noise = {**run.noise, "low": 1.01, "high": 1.08}
        self.assertIn("noise-biased", self.ids(run))
        run.noise = None
        self.assertIn("no-noise-floor", self.ids(run))

    def test_pinning_and_doctor(self):
        run = self.planted()
        run.pinning = {"server": [0, 1], "load": [1]}
        self.assertIn("shared-cores", self.ids(run))
        run.pinning = {}
        self.assertIn("unpinned", self.ids(run))
        self.assertIn("memlock", self.ids(run))
        self.assertNotIn("kernel", self.ids(run))  # level ok is no threat


class Headlines(unittest.TestCase):
    def first(self, costs, noise):
        """The headline of workloads in which A costs so much of B."""
        cells = [
            results.Cell(
                f"w{i}",
                {"name": "plaintext"},
                {},
                [{"name": name, "label": name, "subject": name, "args": [], "cores": 1} for name in "AB"],
                ratios=[results.Ratio(words.COST, "A", "B", cost, cost - 0.005, cost + 0.005, 10)],
            )
            for i, cost in enumerate(costs)
        ]
        (found,) = kind_compare.headlines(results.Run("compare", "t", "x", cells=cells, noise=noise))
        return found

    def test_what_the_noise_covers_is_counted_apart(self):
        noise = {"metric": words.COST, "low": 0.974, "median": 1, "high": 1.021, "pairs": 10}
        within = "a difference within the noise of the A/A run (−2.6 to +2.1 %)"
        self.assertEqual(
            self.first((0.9, 0.8, 0.98, 1.0), noise),
            "A against B: less CPU per request in 2 of 4 workloads (w0 and w1, 10.0 to 20.0 %); "
            f"{within} in 1; no difference detectable in 1.",
        )
        self.assertEqual(
            self.first((0.98, 1.02), noise),
            f"A against B: no reliable difference in CPU per request in 2 workloads; {within} in 2.",
        )
        self.assertIn("less CPU per request in 1 of 2 workloads (w0, 2.0 %), more in 1", self.first((0.98, 1.02), None))

    def test_several_times(self):
        self.assertIn(
            "more CPU per request in 2 of 2 workloads (w0 and w1, 20.0 % to 12 times)", self.first((1.2, 12.0), None)
        )


class FewPairs(unittest.TestCase):
    """A ratio of one pair is no finding."""

    def setUp(self):
        self.run = sample_results.compare(
            3,
            lambda id, number, name: "dead"
            if number > (0 if id == "json" else -1 if id == "pipelined" else 9)
            else None,
        )

    def test_the_headline_says_which_workloads_it_leaves_out(self):
        first = kind_compare.headlines(self.run)[0]
        self.assertIn(" of 6 workloads", first)
        self.assertTrue(first.endswith(" Not counted: json (one valid pair), pipelined (no valid pair)."), first)
        self.assertNotIn("Not counted", kind_compare.headlines(sample_results.compare(3))[0])

    def test_tables_have_no_interval_of_it(self):
        named = looks.Looks(self.run)
        rows = [tables.ratio_row(one, named) for one in self.run.cell("json").ratios]
        self.assertEqual({(row[3], row[4]) for row in rows}, {("–", "–")})

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_plots_draw_it_hollow_without_an_interval(self):
        named = looks.Looks(self.run)
        low = results.Ratio(words.COST, "io_uring", "epoll", 0.5, 0.5, 0.5, 1)
        (bar,) = plots.bars([low], named)
        self.assertEqual(bar.colour, svg.SOFT)
        one, of_few = (svg.figure(plots.forest, [bar._replace(pairs=pairs)], "x").axes[0] for pairs in (1, 2))
        self.assertEqual(len(one.lines), len(of_few.lines) - 3, "an interval has three lines")
        self.assertEqual(one.lines[-1].get_markerfacecolor(), "none")
        self.assertIn("0.500, one pair", [text.get_text() for text in one.texts])
        lead = [
            (cell, one)
            for cell, one in kind_compare.leading(self.run.cells)
            if cell.id in ("plaintext", "short-lived", "json")
        ]
        axes = svg.figure(plots.batches, lead, named).axes[0]
        faces = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
        self.assertEqual(faces.count("none"), 1)
        self.run.cells = [cell for cell, _ in lead]  # to draw the others takes longest
        self.assertIn("hollow: one pair, which says nothing", written(self.run))


class LongBodies(unittest.TestCase):
    def test_the_load_is_counted_in(self):
        run = sample_results.compare(3)
        cell = run.cell("static-small-4k")
        cell.workload["name"] = "static-large-1m"
        names = cell.names
        cell.ratios.insert(1, results.ratio(cell, names[0], names[1], words.WITH_LOAD))
        with without_plots():
            text = Reader(written(run)).text
        self.assertIn(plain(cell.ratios[1].verdict), text)
        self.assertIn("server and load together", cell.ratios[1].verdict)
        self.assertIn("Server and load", text)


class Parts(unittest.TestCase):
    def test_an_option_stays_on_one_line_and_is_no_element_in_an_attribute(self):
        whole = '<span class="option">--no-buf-ring</span>'
        self.assertEqual(render.shown("use --no-buf-ring, <b>"), f"use {whole}, &lt;b&gt;")
        self.assertEqual(render.shown("a---b, x--y, 3 -- 4"), "a---b, x--y, 3 -- 4")
        made = PARTS.table(render.Table("more --pairs", ["a"], [["b"]]))
        self.assertIn('aria-label="more --pairs"', made)

    def test_a_value_of_a_table_has_its_name_where_there_is_no_head(self):
        long = "a sentence that is longer than a few words"
        made = PARTS.table(render.Table("All", ["Who", "p50|µs", "Said", "Why"], [["a", 1, "b", long]]))
        self.assertIn('<td class="" data-label="p50, µs">1</td>', made)
        self.assertIn('<td class="words" data-label="Said">b</td>', made)
        self.assertIn(f'<td class="words wide" data-label="Why">{long}</td>', made)
        self.assertNotIn('class="many"', made)
        wide = render.Table("All", list("abcdef"), [list("abcdef")])
        self.assertIn('<table class="many"', PARTS.table(wide))

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_a_phone_has_ratios_of_its_own_whose_names_fit(self):
        row = plots.Bar("a workload · torc io_uring ÷ torc epoll", 0.9, 0.8, 0.95)
        desktop, phone = svg.Draw()(plots.forest, [row], "x")
        self.assertEqual((desktop.screen, desktop.view.split()[2]), ("desktop", "360"))
        self.assertEqual((phone.screen, phone.view.split()[2]), ("phone", "268"))
        self.assertIn(row.name, desktop.content)
        self.assertIn("a workload · torc io_uring ÷ torc ep…<", phone.content)

    def test_numbers(self):
        self.assertEqual(numbers.column([1234.5, 0.0123, None]), ["1,234.5000", "0.0123", "–"])
        self.assertEqual(numbers.number(-1.25, 1), "−1.2")
        self.assertEqual(numbers.signed_percent(0.99996), "0.0 %")
        self.assertEqual(numbers.signed_percent(1.024), "+2.4 %")
        self.assertEqual(numbers.compact(20_000), "20k")
        self.assertEqual(numbers.duration_us(2500), "2.5 ms")

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_a_figure_keeps_dollar_signs_and_has_ids_of_its_own(self):
        def plot(axes):
            axes.plot([1, 2], [1, 2], **svg.line(0))
            axes.set_xlabel("$a_1$ <b>")

        draw = svg.Draw()
        drawn = [*draw(plot), *draw(plot)]
        self.assertIn("$a_1$ &lt;b&gt;", drawn[0].content)
        ids = [name for one in drawn for name in re.findall(r'id="([^"]+)"', one.content)]
        self.assertTrue(ids)
        self.assertEqual(len(ids), len(set(ids)))


class Lines(unittest.TestCase):
    def test_eight_subjects_have_a_dash_each_and_the_legend_has_the_same(self):
        self.assertEqual(len({svg.dashes(index) for index in range(8)}), 8)
        self.assertEqual(len({(svg.dashes(i), svg.series(i)) for i in range(64)}), 64)
        one = svg.Drawing("desktop", "f1", "0 0 1 1", render.Markup(""))
        made = PARTS.figure("Lines", [one], "", [(str(i), i) for i in range(8)])
        strokes = re.findall(r'stroke="([^"]*)".*?dasharray="([^"]*)"', made, re.DOTALL)
        self.assertEqual(strokes, [(f"var(--s{i})", svg.dashes(i)) for i in range(8)])
        self.assertEqual(svg.dashes(1), "5 2")
        self.assertEqual(svg.line(1)["linestyle"], (0, (5, 2)))


class Command(unittest.TestCase):
    """torc-bench report."""

    def report(self, *words):
        parser = argparse.ArgumentParser()
        report.add_options(parser)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), without_plots():
            code = report.run(parser.parse_args([str(word) for word in words]))
        return code, out.getvalue(), err.getvalue()

    def test_pages_and_index(self):
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            older, newer = sample_results.scale_run("1,2,3"), sample_results.tune_run(1.0)
            older.started, older.title = "2026-01-01T00:00:00+0000", "older & <b>"
            results.save(older, directory / "z.json")
            results.save(newer, directory / "a.json")
            (directory / "bad.json").write_text("{}")
            code, out, _ = self.report(directory / "z.json", directory / "a.json")
            self.assertEqual(code, 0)
            self.assertEqual(len(out.splitlines()), 3)
            index = (directory / "index.html").read_text()
            reader = Reader(index)
            self.assertLess(index.index("a.html"), index.index("z.html"))
            self.assertIn("Older & <b>", reader.text)
            for text in (newer.conclusions[0], older.conclusions[0], "2f1c9a7be04d", "AMD EPYC 9354P", "2 runs"):
                self.assertIn(plain(text), reader.text)
            self.assertIn('href="z.json"', (directory / "z.html").read_text())

    def test_the_index_says_which_runs_were_noisy(self):
        quiet, noisy = sample_results.scale_run("1,2,3"), sample_results.scale_run("1,2,3")
        noisy.started = "2026-01-01T00:00:00+0000"
        for sample in [one for cell in noisy.cells for one in cell.samples]:
            sample.others_share = 0.3
        with tempfile.TemporaryDirectory() as name:
            for letter, run in (("a", quiet), ("b", noisy)):
                results.save(run, Path(name) / f"{letter}.json")
            text = page.write_index(Path(name)).read_text()
        _, first, second = text.partition('class="runs"')[2].split("<li>")
        self.assertNotIn("Noisy.", first)
        self.assertIn("Noisy.", second)

    def test_elsewhere(self):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            results.save(sample_results.scale_run("1,2,3"), Path(one) / "run.json")
            code, _, _ = self.report("--output", other, Path(one) / "run.json")
            self.assertEqual(code, 0)
            self.assertEqual(
                sorted(path.name for path in Path(other).iterdir()), ["index.html", "run.html", "run.json"]
            )

    def test_a_page_replaces_no_result(self):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            path, link = Path(one) / "run.html", Path(one) / "link.json"
            results.save(sample_results.scale_run("1,2,3"), path)
            results.save(sample_results.scale_run("1,2,3"), link)
            (Path(one) / "link.html").symlink_to(link)
            before = path.read_bytes()
            for source, name in ((path, "run"), (link, "link")):
                code, out, err = self.report(source)
                self.assertEqual((code, out), (1, ""))
                self.assertEqual(
                    err.splitlines()[-1], f"{source} would be its own page: name it otherwise, as {name}.json"
                )
            self.assertEqual(self.report(path, "--output", other)[0], 1)
            self.assertEqual((path.read_bytes(), link.read_bytes()), (before, before))
            self.assertEqual(list(Path(other).iterdir()), [])

    def test_no_page_replaces_another_in_silence(self):
        with tempfile.TemporaryDirectory() as name:
            top = Path(name)
            files = [top / word for word in ("a/run.json", "b/run.json", "a/run.txt", "a/index.json", "a/link.json")]
            for path in files[:4]:
                results.save(sample_results.scale_run("1,2,3"), path)
            files[4].symlink_to(files[0])
            one, other, text, index, link = files
            self.assertEqual(self.report(one, f"{top}/b/../a/run.json", link)[0], 0)
            self.assertTrue((top / "a/run.html").exists() and (top / "a/link.html").exists())

            code, out, err = self.report(one, other, index, "--output", top / "out")
            self.assertEqual((code, len(out.splitlines())), (1, 2))
            first, second = err.splitlines()[-2:]
            self.assertEqual(first, f"{other}: no page of it: {top}/out/run.json is of {one}: give it another --output")
            self.assertEqual(
                second,
                f"{top}/out/index.json: its page would be the index of the pages, {top}/out/index.html: "
                "name it otherwise",
            )
            self.assertEqual(
                sorted(path.name for path in (top / "out").iterdir()), ["index.html", "run.html", "run.json"]
            )

            code, out, err = self.report(one, text)
            self.assertEqual((code, len(out.splitlines())), (1, 2))
            self.assertIn(f"{text}: no page of it: {top}/a/run.html is of {one}: ", err)
            (top / "a/run.html").unlink()
            text.rename(top / "a/run.html")
            before = (top / "a/run.html").read_bytes()
            self.assertIn("run.html is one of the files", self.report(one, top / "a/run.html")[2])
            self.assertEqual((top / "a/run.html").read_bytes(), before)

    def test_a_pipe_is_read_once(self):
        with tempfile.TemporaryDirectory() as name:
            kept, pipe, out = Path(name) / "kept.json", Path(name) / "pipe.json", Path(name) / "out"
            results.save(sample_results.scale_run("1,2,3"), kept)
            os.mkfifo(pipe)
            again = 'cat "$1" > "$2"; while : > "$2"; do :; done'  # who reads it again finds it empty
            feed = subprocess.Popen(["cat", kept], stdout=subprocess.PIPE)
            with feed, subprocess.Popen(["sh", "-c", again, "sh", kept, pipe]) as writer:
                number = str(feed.stdout.fileno())
                code, _, err = self.report("--output", out, pipe, f"/dev/fd/{number}")
                writer.kill()
            self.assertEqual((code, err.replace(f"note: {svg.MISSING}\n", "")), (0, ""))
            for written in ("pipe.json", number):
                self.assertEqual((out / written).read_bytes(), kept.read_bytes())
                self.assertTrue((out / written).with_suffix(".html").exists())

    def test_where_no_page_can_be_is_what_is_named(self):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "r.json"
            results.save(sample_results.scale_run("1,2,3"), path)
            code, _, err = self.report(path, "--output", "/proc/x")
            self.assertEqual(code, 1)
            self.assertEqual(err.splitlines()[-1], "/proc/x: No such file or directory")

    def test_files_that_cannot_be_read(self):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "no.json"
            code, out, err = self.report(path)
            self.assertEqual((code, out), (1, ""))
            self.assertIn("no.json", err)
            path.write_text('{"format": 1}')
            code, _, err = self.report(path)
            self.assertEqual(code, 1)
            self.assertIn("format", err)


if __name__ == "__main__":
    unittest.main()
