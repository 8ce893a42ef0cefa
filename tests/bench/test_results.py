"""Result files: round trip, damage, ratios, metrics and the schema."""

import errno
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import context
from lib import page, results, schema, tune
from lib.results import Cell, Ratio, Run, Sample

SCHEMA = json.loads(schema.SCHEMA.read_text())


def sample(variant, number, cost, **more):
    fields = {"seconds": 1.0, "requests": 1000, "per_second": 1e9 / cost, "histogram": [[1000, 3]]}
    fields |= {"cpu_ns": round(cost * 1000), "cpu_ns_per_request": float(cost), "parts": [[10, 20, 30]]}
    fields |= {"latency_us": {"p50": 90.0, "p99.9": cost / 10}, "errors": {"connect": 0}}
    return Sample(variant, number, 0, 1.0, **{**fields, **more})


def cell(**costs):
    """A cell with a variant for each keyword and a round for each of its costs."""
    workload = {"name": "plaintext", "title": "x", "paths": ["/"], "templates": [], "method": "GET"}
    workload |= {"connections": 8, "pipeline": 1, "requests_per_connection": 0, "rate": 0.0}
    variants = [{"name": name, "label": f"the {name}", "subject": name, "args": [], "cores": 1} for name in costs]
    samples = [sample(name, i, cost) for name in costs for i, cost in enumerate(costs[name])]
    return Cell("plaintext", workload, {}, variants, 3, True, "alike", samples)


def run(*cells):
    found = Run("compare", "t", "2026-11-23T17:00:00+0000", cells=list(cells), pinning={"server": [0], "load": [1]})
    for one in cells:
        names = one.names
        ratio = results.ratio(one, names[0], names[-1])
        one.ratios = [ratio] if ratio else []
    return found


class File(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "below/r.json"

    def test_comes_back_as_it_was(self):
        before = run(cell(a=[5000, 5100], b=[5500, 5600]))
        results.save(before, self.path)
        self.assertEqual(results.load(self.path), before)
        self.assertEqual([p.name for p in self.path.parent.iterdir()], ["r.json"])

    def test_a_failed_write_leaves_the_old_file(self):
        results.save(run(), self.path)
        bad = run()
        bad.extra = {1: {(1, 2): 3}}  # no key of JSON
        with self.assertRaises(TypeError):
            results.save(bad, self.path)
        self.assertEqual(results.load(self.path), run())
        self.assertEqual([p.name for p in self.path.parent.iterdir()], ["r.json"])

    def test_a_file_that_cannot_be_written_is_named(self):
        results.save(run(), self.path)
        for name in ("TemporaryDirectory", "Path.replace"):
            refused = PermissionError(errno.EACCES, "Permission denied", "/other", None, "/third")
            owner = tempfile if name == "TemporaryDirectory" else Path
            with mock.patch.object(owner, name.split(".")[-1], side_effect=refused):
                with self.assertRaises(PermissionError) as raised:
                    results.write(b"", self.path)
                self.assertEqual(raised.exception.filename, str(self.path))

    def test_a_link_stays_and_what_it_leads_to_is_written(self):
        link = self.path.with_name("link.json")
        results.save(run(), self.path)
        link.symlink_to(self.path.name)
        results.save(run(cell(a=[1, 2], b=[3, 4])), link)
        self.assertTrue(link.is_symlink())
        self.assertEqual(results.load(self.path), run(cell(a=[1, 2], b=[3, 4])))
        self.assertEqual(sorted(p.name for p in self.path.parent.iterdir()), ["link.json", "r.json"])

    def test_a_name_may_be_as_long_as_a_name_can_be(self):
        for name in ("r" * 250 + ".json", "é" * 125 + ".json"):
            path = self.path.with_name(name)
            results.save(run(), path)
            self.assertEqual(page.write(run(), page.beside(path)), path.with_suffix(".html"))
            self.assertEqual(results.load(path), run())
        path = self.path.with_name("r" * 255)  # with an ending it is longer
        results.save(run(), path)
        for beside in (page.beside, lambda path: tune.beside(path, None)):
            with self.assertRaisesRegex(OSError, "File name too long"):
                beside(path)

    def test_entries_that_came_later_are_passed_over(self):
        content = results.to_json(run(cell(a=[1, 2], b=[3, 4])))
        content["later"] = content["cells"][0]["later"] = content["cells"][0]["samples"][0]["l"] = 1
        self.assertEqual(results.from_json(content), run(cell(a=[1, 2], b=[3, 4])))

    def test_what_is_no_result_file_is_refused_by_name(self):
        self.path.parent.mkdir()
        for text in ("", "[]", "{}", '{"format": 1}', '{"format": 2}', '{"format": 2, "cells": 3}'):
            self.path.write_text(text)
            with self.subTest(text), self.assertRaisesRegex(results.ResultsError, "r.json: "):
                results.load(self.path)
        with self.assertRaisesRegex(results.ResultsError, "No such file"):
            results.load(self.path.with_name("none"))


class Left(unittest.TestCase):
    def test_what_is_still_to_be_taken(self):
        found = run(cell(a=[1, 2], b=[1, 2]))
        self.assertEqual(found.left("json", 12), 12)
        self.assertEqual(found.left("plaintext", 12), 0)
        found.cells[0].complete = False
        self.assertEqual(found.left("plaintext", 12), 8)


class Schema(unittest.TestCase):
    def test_holds_for_what_is_written(self):
        content = json.loads(json.dumps(results.to_json(run(cell(a=[5000, 1], b=[5500, 2])))))
        self.assertEqual(list(schema.faults(content)), [])

    def test_finds_what_is_wrong(self):
        for path, wrong in (
            (("format",), 1),
            (("kind",), "x"),
            (("cells", 0, "id"), None),
            (("cells", 0, "samples", 0, "requests"), -1),
            (("cells", 0, "samples", 0, "requests"), 1.5),
            (("cells", 0, "samples", 0, "more"), 1),
            (("cells", 0, "ratios", 0, "low"), "1"),
            (("notes",), [1]),
        ):
            content = results.to_json(run(cell(a=[5000, 1], b=[5500, 2])))
            *parents, last = path
            inner = content
            for step in parents:
                inner = inner[step]
            inner[last] = wrong
            with self.subTest(path):
                self.assertEqual(len(list(schema.faults(content))), 1)

    def test_knows_every_entry_and_the_page_explains_it(self):
        page = (context.TOP / "bench/RESULTS.md").read_text()
        parts = SCHEMA["$defs"]
        places = ((Run, SCHEMA), (Cell, parts["cell"]), (Sample, parts["sample"]), (Ratio, parts["ratio"]))
        for kind, part in places:
            names = set(kind.__dataclass_fields__)
            self.assertEqual(set(part["properties"]), names)
            self.assertEqual(set(part["required"]), names)
            for name in names - {"metric", "pairs"}:
                self.assertIn(f"`{name}`", page)


class Ratios(unittest.TestCase):
    def test_pairs_by_round(self):
        one = cell(a=[4000, 5000, 6000], b=[8000, 10000, 12000])
        found = results.ratio(one, "a", "b")
        self.assertEqual((found.low, found.median, found.high, found.pairs), (0.5, 0.5, 0.5, 3))
        self.assertIn("the a uses 50.0 % less CPU per request than the b", found.verdict)

    def test_invalid_samples_do_not_count(self):
        one = cell(a=[4000, 5000], b=[8000, 10000])
        one.samples[0].invalid = "3 timeout errors"
        self.assertEqual(results.ratio(one, "a", "b").pairs, 1)
        self.assertEqual([s.invalid for s in one.invalid], ["3 timeout errors"])
        one.samples[1].invalid = "x"
        self.assertIsNone(results.ratio(one, "a", "b"))

    def test_there_is_none_of_what_is_not_above_0(self):
        one = cell(a=[1] * 6, b=[1] * 6)
        pairs = ((-600, -300), (-600, 300), (600, -300), (0, 300), (600, 0), (300, 600))
        for number, pair in enumerate(pairs):
            for name, held in zip("ab", pair):
                next(s for s in one.valid(name) if s.round == number).memory = {"kernel_bytes": held}
        found = results.ratio(one, "a", "b", "memory.kernel_bytes")
        self.assertEqual((found.median, found.pairs), (0.5, 1))
        one.samples = [s for s in one.samples if s.round < 5]
        self.assertIsNone(results.ratio(one, "a", "b", "memory.kernel_bytes"))

    def test_the_verdict_is_judged_against_the_noise(self):
        one = cell(a=[5000, 5000], b=[5050, 5050])
        noise = {"metric": results.COST, "low": 0.974, "median": 1.0, "high": 1.021, "pairs": 10}
        self.assertIn("A/A noise", results.ratio(one, "a", "b", noise=noise).verdict)
        self.assertNotIn("A/A noise", results.ratio(one, "a", "b").verdict)

    def test_metrics_of_maps(self):
        one = cell(a=[4000, 5000], b=[8000, 10000])
        self.assertEqual(results.ratio(one, "a", "b", "latency_us.p99.9").median, 0.5)
        self.assertEqual(one.median("a", "latency_us.p50"), 90)
        self.assertIsNone(results.ratio(one, "a", "b", "memory.user_bytes"))
        self.assertIsNone(one.median("a", "overflows"))


class RoundRatios(unittest.TestCase):
    def cell(self, one, other):
        samples = [sample("A", 0, 100.0, parts=one), sample("B", 0, 50.0, parts=other)]
        variants = [{"name": name, "label": name} for name in "AB"]
        return Cell("x", {"name": "plaintext"}, {}, variants, 1, samples=samples)

    def test_of_parts_that_stood_side_by_side(self):
        cell = self.cell([[10, 100, 5], [10, 200, 5]], [[10, 50, 5], [20, 100, 5]])
        ratios = results.round_ratios(cell, "A", "B", "cpu_ns_per_request")
        self.assertEqual(ratios, [[2.0, 4.0]])
        self.assertEqual(results.round_ratios(cell, "A", "B", "per_second"), [[1.0, 0.5]])

    def test_of_whole_samples_where_parts_do_not_match(self):
        cell = self.cell([[10, 100, 5]], [[10, 50, 5], [20, 100, 5]])
        self.assertEqual(results.round_ratios(cell, "A", "B", "cpu_ns_per_request"), [[2.0]])

    def test_a_part_without_requests_has_no_ratio(self):
        cell = self.cell([[10, 100, 5], [0, 0, 5]], [[10, 50, 5], [20, 100, 5]])
        self.assertEqual(results.round_ratios(cell, "A", "B", "cpu_ns_per_request"), [[2.0]])


class WithLoad(unittest.TestCase):
    def test_is_set_in_ratio_where_bodies_are_long(self):
        for name in ("static-large-1m", "static-large-64m", "upload"):
            self.assertEqual(results.metrics(name)[:2], (results.COST, results.WITH_LOAD))
        for name in ("plaintext", "static-small-64k", "idle", "latency"):
            self.assertNotIn(results.WITH_LOAD, results.metrics(name))


if __name__ == "__main__":
    unittest.main()
