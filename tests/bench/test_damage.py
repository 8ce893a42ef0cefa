"""Damaged result files: report, answer and diff end with a line, never with a traceback."""

import contextlib
import copy
import io
import json
import pickle
import random
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
import sample_results
from lib import cli, newest, results, stats
from lib.page import svg

SEED, MUTATIONS = 7, 50  # of each kind of run
NUMBERS = (-1, 0, 1, 3, 10**15, 10**400, -2.5, 0.0, 2.5, 1e-300, 1e-29, 1e14, 1e308, float("nan"), float("inf"))
TEXTS = ("", "x", "io_uring", "depth=x", "A/A", "\ud800")
JUNK = (None, True, False, *NUMBERS, *TEXTS, [], [1], ["x"], [None], {}, {"a": 1}, {"median": 1})


def places(content, found):
    """Every entry of what is written in one another: what holds it, and its key."""
    for key in content if isinstance(content, dict) else range(len(content)):
        found.append((content, key))
        if isinstance(content[key], (dict, list)):
            places(content[key], found)
    return found


def mutated(source, text):
    """A file's text with one thing changed, removed or doubled, or cut, or with other bytes."""
    kind = source.randrange(12)
    if kind == 0:
        return text[: source.randrange(len(text))]
    if kind == 1:
        at = source.randrange(len(text))
        return text[:at] + chr(source.randrange(32, 127)) + text[at + 1 :]
    content = json.loads(text)
    # An entry on the way to others is as likely as one of many numbers.
    inner, key = source.choice(places(content, []))
    for _ in range(source.randrange(4)):
        above = [one for one in places(content, []) if one[0][one[1]] is inner]
        inner, key = above[0] if above else (inner, key)
    if kind < 4:
        del inner[key]
    elif kind == 4 and isinstance(inner, list):
        inner.insert(key, copy.deepcopy(inner[key]))
    elif kind == 5:
        other, where = source.choice(places(content, []))
        inner[key] = copy.deepcopy(other[where])
    else:
        like = [one for one in JUNK if kind < 10 and type(one) is type(inner[key])]  # noqa: E721
        inner[key] = source.choice(like or JUNK)
    return json.dumps(content)


def small(run):
    """A run with so few figures that a mutation hits what they are in."""
    for cell in run.cells:
        cell.samples = [sample for sample in cell.samples if sample.round < 2]
        for sample in cell.samples:
            sample.histogram = sample.histogram[:2]
            sample.parts = [[500, round(500 * sample.cpu_ns_per_request), 10**8]] * 2
    return run


class Damage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.directory = Path(directory.name)
        cls.whole, cls.file = cls.directory / "whole.json", cls.directory / "damaged.json"
        cls.pages, cls.texts = cls.directory / "pages", {}
        for kind, make in sample_results.KINDS.items():
            results.save(small(make()), cls.whole)
            cls.texts[kind] = cls.whole.read_text()
        cls.parser = cli.build_parser()  # of hundreds of commands

    def status(self, *words):
        """Of a command, and what it prints to stderr."""
        newest.left_out.cache_clear()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.object(
            svg, "available", return_value=False
        ), mock.patch.object(cli, "build_parser", return_value=self.parser), mock.patch.multiple(
            stats, RESAMPLES=100, ROUND_RESAMPLES=50
        ):
            status = cli.main([str(word) for word in words])
        out.getvalue().encode()  # as a terminal needs it
        return status, err.getvalue()

    def load(self, path, load=results.load):
        """The undamaged file is the same each time: it is checked once."""
        return pickle.loads(self.kept) if path == self.whole else load(path)

    def test_mutations(self):
        refused = 0
        for kind, text in self.texts.items():
            self.whole.write_text(text)
            self.kept = pickle.dumps(results.load(self.whole))
            for number in range(MUTATIONS):
                self.file.write_text(mutated(random.Random(f"{SEED} {kind} {number}"), text))
                with self.subTest(kind, number=number):
                    status, err = self.status("report", self.file, "--output", self.pages)
                    if status == 1 and ": " in err:
                        self.assertRegex(err, r"damaged.json: (a damaged|no|not a) result file")
                        refused += 1
                    self.assertIn(self.status("answer", self.file)[0], (0, 1))
                    with mock.patch.object(results, "load", self.load):
                        for words in (["diff", self.file, self.whole], ["diff", self.whole, self.file]):
                            self.assertIn(self.status(*words)[0], (0, 1))
        self.assertGreater(refused, MUTATIONS)

    def test_one_does_not_hinder_the_others(self):
        self.whole.write_text(self.texts["compare"])
        for text in ("[" * 200_000, self.texts["sweep"].replace('"knees":[', '"knees":[3,')):
            self.file.write_text(text)
            self.assertEqual(self.status("report", self.whole)[0], 0)
            for words in (["answer", self.directory], ["report", self.whole]):
                status, err = self.status(*words)
                self.assertEqual(status, 0)
                self.assertRegex(err, r"left out: .*damaged.json: (not a|a damaged) result file")

    def test_names_the_file_and_the_place(self):
        cases = (
            ("compare", "cells 1 ratios 0 low", float("nan"), "$.cells[1].ratios[0].low: nan is no"),
            ("compare", "cells 1 ratios 0 metric", "x", "$.cells[1].ratios[0].metric: there is no"),
            ("compare", "noise high", float("inf"), "$.noise.high: inf is no number"),
            ("compare", "cells 1 samples 0 round", "0", "$.cells[1].samples[0].round: '0' is no i"),
            ("compare", "cells 1 samples 0 histogram 0", [1], "histogram[0]: [1] is too short"),
            ("sweep", "extra knees 0 dearer", [{}], "$.extra.knees[0].dearer[0]: {} is no integer"),
            ("sweep", "extra knees 0 other", None, "$.extra.knees[0]: a change without two depths"),
            ("tune", "extra winner", "x", "$.extra.winner: x is not among the candidates"),
            ("scale", "options x", json.loads("[" * 20 + "]" * 20), "nested more than 20 le"),
            ("scale", "title", "\ud800", "not a result file"),
        )
        for kind, way, value, place in cases:
            content = inner = json.loads(self.texts[kind])
            *above, last = [int(step) if step.isdecimal() else step for step in way.split()]
            for step in above:
                inner = inner[step]
            inner[last] = value
            self.file.write_text(json.dumps(content))
            with self.subTest(place), self.assertRaises(results.ResultsError) as raised:
                results.load(self.file)
            self.assertIn(f"{self.file}: ", str(raised.exception))
            self.assertIn(place, str(raised.exception))


if __name__ == "__main__":
    unittest.main()
