"""Experiments in which the machine stood still: L, P and A of a setting are not known, or nothing was answered."""

import dataclasses
import importlib
import json
import re
import types
import unittest
from unittest import mock

import context  # noqa: F401
import sample_experiments

from lib import explain, results, schema
from lib.lab import client, concurrent, judged, overload
from lib.lab.flow import Seen
from lib.lab.stage import Lacking
from lib.labpage import link, running
from lib.measures import KEYS


def places(taken, kind, at=()):
    """Where there is one of that kind within samples, which are nested as each experiment has them."""
    if kind(taken):
        yield at
    elif isinstance(taken, (dict, list, tuple)):
        for key, one in taken.items() if isinstance(taken, dict) else enumerate(taken):
            yield from places(one, kind, (*at, key))


def changed(taken, at, change):
    """A copy with what is at that place changed."""
    if not at:
        return change(taken)
    key, *rest = at
    if isinstance(taken, dict):
        return {**taken, key: changed(taken[key], rest, change)}
    return type(taken)(changed(one, rest, change) if i == key else one for i, one in enumerate(taken))


def has_measures(one):
    return isinstance(one, dict) and one.keys() >= {*KEYS}


def without_measures(one):
    return {key: value for key, value in one.items() if key not in KEYS}


def unanswered(one):
    slices = [dataclasses.replace(each, good=0) for each in one.slices]
    return dataclasses.replace(one, good=0, p50=0.0, p99=0.0, mean=0.0, measures={}, slices=slices)


def says_at_once(one):
    """That answers came in no time, where there were none."""
    return isinstance(one, str) and re.search(r"\b(within|after more than) 0\b|^0 µs$", one)


class Gaps(unittest.TestCase):
    def concluded(self, name):
        """How an experiment concludes, and from what in the sample of it."""
        module, given = importlib.import_module(f"lib.lab.{name}"), []
        conclude = module.conclude
        with mock.patch.object(module, "conclude", lambda *taken: given.append(taken) or conclude(*taken)):
            sample_experiments.FINDINGS[name]()
        return conclude, given[0]

    def kept(self, name, finding):
        """The entry of a result file, which has to be as its schema says."""
        stage = types.SimpleNamespace(missing={}, repeat=sample_experiments.repeat())
        entry = explain.entry(explain.CLAIMS[name], finding, stage, types.SimpleNamespace(seconds=1.0, share=0.0))
        run = results.Run("explain", explain.QUESTION, "2026-01-01T00:00:00+0000")
        run.extra = {"experiments": [entry], "left_out": []}
        run.conclusions = [explain.answer([entry])]
        self.assertEqual(list(schema.faults(json.loads(json.dumps(results.to_json(run))))), [])
        return entry

    def test_unknown_measures_are_a_dash_and_decide_nothing(self):
        for name in sample_experiments.FINDINGS:
            conclude, taken = self.concluded(name)
            for at in places(taken, has_measures):
                with self.subTest(name, at=at):
                    found = conclude(*changed(taken, at, without_measures))
                    self.assertEqual(found.missed, [], "of what is known")
                    self.kept(name, found)

    def test_claims_about_what_is_not_known_are_unsure(self):
        """Of each setting that the claim is about."""
        about = {
            "concurrent": lambda setting: setting in (concurrent.FIRST, concurrent.LAST),
            "proxy": lambda setting: setting[0] != "no proxy" and setting[1] != "light",
        }
        for name, decides in about.items():
            conclude, taken = self.concluded(name)
            for at in places(taken, has_measures):
                with self.subTest(name, at=at):
                    found = conclude(*changed(taken, at, without_measures))
                    unsure = judged.of_entry(self.kept(name, found)).kind == judged.UNSURE
                    self.assertEqual(unsure, decides(at[1]))
                    said = "the server did not say in time what was in progress ("
                    self.assertEqual([one.startswith(said) for one in found.unsure], [True] * unsure)

    def test_nothing_is_known(self):
        for name in ("concurrent", "proxy"):
            conclude, taken = self.concluded(name)
            for at in list(places(taken, has_measures)):
                taken = changed(taken, at, without_measures)
            found = conclude(*taken)
            self.assertEqual(judged.of_entry(self.kept(name, found)).kind, judged.UNSURE)
            self.assertEqual((found.brief, found.headline, found.missed), ("", "", []))
            self.assertNotIn("in progress", found.verdict)
            self.assertNotIn("requests", [one.x for one in found.pictures])

    def test_the_others_are_told_where_one_is_not_known(self):
        conclude, taken = self.concluded("proxy")
        at = (0, ("nginx", "waiting, limited"), 1)
        found = conclude(*changed(taken, at, without_measures))
        self.assertIn("With 8 connections to the server, HAProxy lets in 8 of 64 and queues 55.", found.verdict)
        self.assertIn("it has 7.9 behind HAProxy in progress", found.brief)
        self.assertEqual(
            found.unsure, ["the server did not say in time what was in progress (nginx, waiting, limited)"]
        )

    def test_settings_without_an_answer_end_an_experiment_or_are_part_of_it(self):
        ended = set()
        for name in sample_experiments.FINDINGS:
            conclude, taken = self.concluded(name)
            for at in places(taken, lambda one: isinstance(one, Seen)):
                with self.subTest(name, at=at):
                    try:
                        entry = self.kept(name, conclude(*changed(taken, at, unanswered)))
                        self.assertEqual(list(places(entry, says_at_once)), [])
                    except Lacking as why:
                        self.assertRegex(str(why), r"^no request was answered \(.+\): run it again$")
                        ended.add(name)
        self.assertEqual(ended, {"concurrent", "compute", "faster", "sequence", "overload", "abuse", "proxy"})

    def test_a_server_that_answers_nothing_after_a_spike_has_not_recovered(self):
        conclude, taken = self.concluded("overload")
        found = conclude(*changed(taken, (2, ("after a spike", "adaptive")), unanswered))
        self.assertFalse(found.holds)
        self.assertIn("after the spike", found.missed[0])

    def test_a_server_that_answers_nothing_in_time_is_not_fast(self):
        settings = {
            "database": ((0, ("bounded", 2.0), 0), "with a bounded queue it was no sooner than without"),
            "overload": (
                (2, ("2×", "adaptive")),
                "refusing, its p99 was more than 3 times that of a calm server",
            ),
        }
        for name, (at, said) in settings.items():
            with self.subTest(name):
                conclude, taken = self.concluded(name)
                found = conclude(*changed(taken, at, unanswered))
                self.assertIn(said, found.missed)
                for text in (found.verdict, found.brief):
                    self.assertNotIn("99 % of them within", text)
                    self.assertNotIn("come within", text)

    def test_a_capacity_that_is_not_known_is_no_rate(self):
        seen = unanswered(sample_experiments.SEEN)
        with mock.patch.object(overload, "_once", return_value=seen), self.assertRaisesRegex(Lacking, "capacity"):
            overload.take(types.SimpleNamespace(seconds=lambda whole: whole))

    def test_a_client_whose_server_says_nothing_ends_that_experiment(self):
        server = types.SimpleNamespace(child=types.SimpleNamespace(pid=1), admin=None)
        here = mock.MagicMock()
        here.torc.return_value.__enter__.return_value = server
        with (
            mock.patch.object(client.proc, "family", return_value=[]),
            mock.patch.object(client.proc, "cpu_ns", return_value=0),
            self.assertRaisesRegex(Lacking, "did not say in time what was in progress"),
        ):
            client._asked(here, "x", "seq", lambda *_: [])

    def test_the_page_says_why_there_is_no_finding(self):
        asked = link.parse("faster")

        def take(_):
            raise Lacking("no request was answered (x): run it again")

        claim = dataclasses.replace(asked.claim, take=take, needs=lambda: None)
        lock = mock.MagicMock()
        lock.return_value.__enter__.return_value = context.TOP
        with (
            mock.patch.object(running.alone, "lock", lock),
            mock.patch.object(running, "write_static"),
            mock.patch.object(running.proc, "LIBC"),
            mock.patch.object(running.os, "sched_setaffinity"),
            mock.patch.object(running, "Watched"),
            mock.patch.object(running, "say"),
            self.assertRaisesRegex(running.SubjectError, r"^faster: no request was answered \(x\): run it again$"),
        ):
            running.Watched.return_value.refuses.return_value = None
            running.run(dataclasses.replace(asked, claim=claim), context.TOP)


if __name__ == "__main__":
    unittest.main()
