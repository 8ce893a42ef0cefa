"""A closed loop's ceiling, connections ÷ delay: what is said of the shares that servers reach."""

import argparse
import copy
import dataclasses
import json
import random
import unittest
from pathlib import Path

import context  # noqa: F401
import sample_results
from lib import answer, ceiling, compare, diff, results, schema
from lib.page import kind_compare, looks, tables, threats
from lib.subjects import variant
from lib.words import CEILING_SHARE, COST
from lib.workloads import WORKLOADS
from runs import Runs

DELAY = WORKLOADS["delay"]
WAITS = r"torc epoll reaches 97 % of connections ÷ delay, torc io_uring 6[23] % \(3\d\.\d to 3\d\.\d % less\) with its "
WAITS += r"core \d\d % idle: it waits rather than works\.$"


def run_of(reach=0.97, cost=8000, noise=0.0, subjects=("io_uring", "epoll"), pairs=6, **more):
    """A comparison in which io_uring reaches that share of the ceiling and epoll 97 %, at one cost of a request.
    noise is of each sample's share, and more replaces entries of io_uring's samples."""
    source = random.Random(3)

    def share(one):
        return (reach if one.subject == "io_uring" else 0.97) * (1 + noise * source.uniform(-1, 1))

    session = sample_results.PlantedSession(
        "compare", "comparison", argparse.Namespace(pairs=pairs, seconds=1.0), lambda *_: cost, reach=share
    )
    session.run.noise = {"metric": COST, "low": 0.99, "median": 1.0, "high": 1.01, "pairs": 10}
    sides = [variant(name) for name in subjects]
    for name in ("plaintext", "delay"):
        session.cell(name, WORKLOADS[name], sides, pairs, 1.0)
    cell = session.run.cell("delay")
    cell.samples = [dataclasses.replace(s, **more) if s.variant == "io_uring" else s for s in cell.samples]
    judge(session.run, cell)
    return session.run


def judge(run, cell):
    """The cell's ratios, anew from its samples."""
    found = [
        results.ratio(cell, *cell.names[:2], metric, run.noise) for metric in results.metrics(cell.workload["name"])
    ]
    cell.ratios = [one for one in found if one]


def verdict(run, metric=CEILING_SHARE):
    return next(one.verdict for one in run.cell("delay").ratios if one.metric == metric)


def answered(run):
    (line,) = answer.answer([(Path("c.json"), run)]).parts[answer.USE]
    return line


class Limit(unittest.TestCase):
    def test_connections_by_the_mean_delay(self):
        for more, most in (
            ({}, 75_000),
            ({"paths": ("/delay/{rand:10:30}",), "connections": 4000}, 200_000),
            ({"paths": ("/delay/10", "/delay/{rand:20:40}"), "connections": 100}, 5_000),
            ({"paths": ("/delay/0",)}, None),
            ({"paths": ("/delay/20", "/plaintext")}, None),
            ({"paths": (), "templates": ("GET /delay/20 HTTP/1.1\r\n\r\n",)}, None),
            ({"rate": 100.0}, None),
            ({"pipeline": 2}, None),
        ):
            with self.subTest(**more):
                self.assertEqual(ceiling.limit(dataclasses.asdict(dataclasses.replace(DELAY, **more))), most)

    def test_only_delay_has_one(self):
        having = [name for name, one in WORKLOADS.items() if ceiling.limit(dataclasses.asdict(one))]
        self.assertEqual(having, ["delay"])
        for name, one in WORKLOADS.items():
            self.assertEqual(CEILING_SHARE in results.metrics(name), name in having)
            self.assertLessEqual({*results.leading(name)}, {*results.metrics(name)})


class PlantedFault(unittest.TestCase):
    """io_uring reaches 62 % at the same CPU per request."""

    def setUp(self):
        self.found = run_of(0.62)

    def test_it_is_named_though_cpu_per_request_does_not_differ(self):
        self.assertIn("no detectable difference in CPU per request", verdict(self.found, COST))
        self.assertRegex(verdict(self.found), "^" + WAITS)

    def test_whichever_side_comes_first(self):
        self.assertRegex(verdict(run_of(0.62, subjects=("epoll", "io_uring"))), "^" + WAITS)

    def test_the_answer_says_it(self):
        line = answered(self.found)
        self.assertRegex(line.text + "$", "On delay, " + WAITS.removesuffix(r"\.$"))
        self.assertRegex(line.word, r"It makes little difference: .* on any workload\. CPU per request is not all: on ")
        self.assertRegex(line.word, r"on delay it reaches 3\d\.\d % less of connections ÷ delay\.$")
        better = run_of(0.62, subjects=("epoll", "io_uring"))
        for sample in better.cell("delay").samples:
            sample.variant = {"epoll": "io_uring", "io_uring": "epoll"}[sample.variant]
        judge(better, better.cell("delay"))
        self.assertRegex(answered(better).word, r"on delay it reaches \d\d\.\d % more of connections ÷ delay\.$")

    def test_the_conclusions_the_table_and_the_page_say_it(self):
        cell = self.found.cell("delay")
        leading = [one.metric for one in compare.spoken(cell) if compare.leads(cell, one)]
        self.assertEqual(leading, [COST, CEILING_SHARE])
        text = compare.describe(cell)
        self.assertIn("at most 75,000 requests/s, connections ÷ delay", text)
        self.assertRegex(text, r"(?m)^  torc io_uring .* 6[23] % +\d\d % ")
        self.assertRegex(text, "(?m)  " + WAITS)
        self.assertRegex(kind_compare.headlines(self.found)[-1], "^delay: " + WAITS)
        heads = tables.figures(cell, looks.Looks(self.found))[0].heads
        self.assertLess({"Connections ÷ delay|% reached", "Core|% idle"}, {*heads})

    def test_a_core_that_is_not_full_is_no_threat_there(self):
        self.assertEqual([one for one in threats.find(self.found) if one.id == "unsaturated"], [])
        for sample in (sample for cell in self.found.cells for sample in cell.samples):
            sample.saturated = "neither"
        (threat,) = [one for one in threats.find(self.found) if one.id == "unsaturated"]
        self.assertIn("most samples of plaintext:", threat.text)

    def test_two_files_are_compared_by_it(self):
        cells = run_of(0.97).cell("delay"), self.found.cell("delay")
        text = "\n".join(diff.section(*cells, same=True, wider=None))
        self.assertRegex(text, r"share of connections ÷ delay: .* in A, 0\.6.* in B: 3\d\.\d % lower in B")
        self.assertRegex(text, r"torc io_uring in B reaches a 3\d\.\d % smaller share of connections ÷ delay than in A")

    def test_other_workloads_have_no_such_columns(self):
        text = compare.describe(self.found.cell("plaintext"))
        self.assertNotIn("idle", text)
        self.assertNotIn("delay", text)
        heads = tables.figures(self.found.cell("plaintext"), looks.Looks(self.found))[0].heads
        self.assertNotIn("Core|% idle", heads)

    def test_its_file_is_as_the_schema_says(self):
        content = json.loads(json.dumps(results.to_json(self.found)))
        self.assertEqual(list(schema.faults(content)), [])
        self.assertEqual(content["cells"][1]["ceiling"], 75_000)
        self.assertEqual(json.loads(json.dumps(results.to_json(results.from_json(content)))), content)


class NoFault(unittest.TestCase):
    def silent(self, run):
        self.assertIn("no detectable difference in share of connections ÷ delay", verdict(run))
        line = answered(run)
        for words in (line.text, line.word, *kind_compare.headlines(run)):
            self.assertNotIn("connections ÷ delay", words)

    def test_equal_shares_say_nothing(self):
        self.silent(run_of(0.97))

    def test_noise_says_nothing(self):
        self.silent(run_of(0.93, noise=0.1))

    def test_one_round_says_nothing(self):
        self.assertIn("a single round cannot show a difference in share", verdict(run_of(0.62, pairs=1)))

    def test_a_difference_too_small_to_matter_is_not_in_the_plain_word(self):
        run = run_of()
        for sample in run.cell("delay").samples:
            sample.ceiling_share = 0.972 if sample.variant == "epoll" else 0.965
        judge(run, run.cell("delay"))
        said = "torc epoll reaches 97.2 % of connections ÷ delay, torc io_uring 96.5 % (0.7 to 0.7 % less)."
        self.assertEqual(verdict(run), said)
        self.assertNotIn("not all", answered(run).word)


class Reasons(unittest.TestCase):
    """What keeps the worse one below its ceiling."""

    def test_by_what_the_samples_say(self):
        near = "its core 9[23] % busy"
        for more, reason in (
            ({"saturated": "server", "server_share": 0.97}, ": its core is full, 97 % busy"),
            ({"saturated": "load"}, ": the load generator is full"),
            (
                {"saturated": "both", "server_share": 0.99},
                ": its core is full, 99 % busy, and so is the load generator",
            ),
            (
                {"idle_share": 0.2, "waited_share": 0.3},
                ": it or the load generator waited 30 % of the time for a CPU that others used",
            ),
            (
                {"idle_share": 0.2, "load_waited_share": 0.4},
                ": it or the load generator waited 40 % of the time for a CPU that others used",
            ),
            ({"idle_share": 0.0, "waited_share": 21.3, "server_share": 0.6}, " with its core 60 % busy"),
            ({"idle_share": 0.4, "waited_share": 0.1}, " with its core 40 % idle: it waits rather than works"),
            ({"idle_share": 0.05, "waited_share": 0.02, "server_share": 0.93}, f" with {near}"),
            ({"idle_share": None, "waited_share": None, "server_share": 0.6}, " with its core 60 % busy"),
        ):
            with self.subTest(reason):
                self.assertRegex(verdict(run_of(0.62, **more)), rf" % less\){reason}\.$")

    def test_what_is_not_its_own_doing_is_not_in_the_plain_word(self):
        for more in ({"saturated": "load"}, {"idle_share": 0.2, "waited_share": 0.3}):
            line = answered(run_of(0.62, **more))
            self.assertIn("On delay, torc epoll reaches 97 %", line.text)
            self.assertNotIn("not all", line.word)

    def test_a_core_that_is_full_in_most_samples(self):
        """So dear a request that the CPU does not last for the ceiling: 1.2 times what there is."""
        run = run_of()
        cell = run.cell("delay")
        for sample in cell.samples:
            if sample.variant == "io_uring":
                few = {"ceiling_share": 0.8, "server_share": 0.99, "idle_share": 0.01}
                vars(sample).update(few, saturated="server" if sample.round else "neither")
        judge(run, cell)
        self.assertRegex(verdict(run), r"torc io_uring 80 % \(.* less\): its core is full, 99 % busy\.$")
        self.assertNotIn("idle", verdict(run))

    def test_none_is_needed_near_the_ceiling(self):
        self.assertRegex(verdict(run_of(0.952, idle_share=0.4)), r" % less\)\.$")

    def test_several_cores(self):
        run = run_of(0.62)
        for one in run.cell("delay").variants:
            one["cores"] = 2
        judge(run, run.cell("delay"))
        self.assertRegex(verdict(run), r"with its cores \d\d % idle: it waits")


class OldFiles(unittest.TestCase):
    def test_one_from_before_the_entries_opens(self):
        content = json.loads(json.dumps(results.to_json(run_of(0.62))))
        for cell in content["cells"]:
            del cell["ceiling"]
            cell["ratios"] = [one for one in cell["ratios"] if one["metric"] != CEILING_SHARE]
            for sample in cell["samples"]:
                for name in ("waited_share", "load_waited_share", "idle_share", "ceiling_share"):
                    del sample[name]
        before = copy.deepcopy(content)
        run = results.from_json(content)
        self.assertEqual(content, before)
        self.assertEqual([cell.ceiling for cell in run.cells], [None, 75_000])
        self.assertAlmostEqual(run.cell("delay").median("io_uring", CEILING_SHARE), 0.62, 1)
        text = r"On delay, torc epoll reaches 97 % .* torc io_uring 6[23] % \(.* less\) with its core \d\d % busy\."
        self.assertRegex(answered(run).text, text)
        self.assertIn("–", compare.describe(run.cell("delay")))


class OpenLoops(unittest.TestCase):
    """Where the rate is given, latency is compared beside CPU per request."""

    def run_of(self, **factors):
        """Two open loops in which a percentile of io_uring's is so many times epoll's, at one cost of a request."""
        options = argparse.Namespace(pairs=6, seconds=1.0)
        session = sample_results.PlantedSession("compare", "comparison", options, lambda *_: 5000)
        session.run.noise = {"metric": COST, "low": 0.99, "median": 1.0, "high": 1.01, "pairs": 10}
        sides, source = [variant(name) for name in ("io_uring", "epoll", "floor-uring")], random.Random(5)
        for percent in (50, 90):
            asked = dataclasses.replace(WORKLOADS["latency"], rate=200_000.0 * percent / 100)
            cell = session.cell(f"latency-{percent}", asked, sides, 6, 1.0)
            for sample in cell.samples:
                own = source.gauss(1, 0.02)
                sample.latency_us = {"p50": 50.0 * own, "p99": 200.0 * own, "p99.9": 400.0 * own}
                for name, factor in factors.items() if sample.variant == "io_uring" else ():
                    sample.latency_us[name] *= factor
            pairs = [(one, other) for i, one in enumerate(cell.names) for other in cell.names[i + 1 :]]
            of = results.metrics("latency")
            cell.ratios = [results.ratio(cell, *pair, metric, session.run.noise) for pair in pairs for metric in of]
        return session.run

    def test_a_slower_one_is_named_though_cpu_per_request_does_not_differ(self):
        run = self.run_of(p50=1.5, p99=0.7)
        line = answered(run)
        most = r"\(most on [45]\d\.\d % \(.*\) on latency-\d0\)"
        self.assertRegex(
            line.text, rf"Its p50 latency was lower on none of 2 open-loop workloads, higher on 2 {most}\."
        )
        self.assertRegex(
            line.text, r"Its p99 latency was lower on 2 of 2 open-loop workloads \(most on .*\), higher on n"
        )
        self.assertRegex(line.word, "^It makes little difference: .* CPU per request is not all: its p50 latency is ")
        self.assertRegex(line.word, "p50 latency is higher on latency-.0 and latency-.0; its p99 latency is lower on l")
        p50, p99 = kind_compare.headlines(run)[-2:]
        self.assertRegex(
            p50, r"torc io_uring against torc epoll: higher p50 latency in 2 of 2 workloads \(.*[45]\d\.\d %\)"
        )
        self.assertRegex(p99, r"torc io_uring against torc epoll: lower p99 latency in 2 of 2 workloads")

    def test_the_verdict_of_each_has_its_interval(self):
        cell = self.run_of(p50=1.5).cell("latency-90")
        leading = [one for one in compare.spoken(cell) if compare.leads(cell, one)]
        mine = {one.metric: one.verdict for one in leading if one.sides == ("io_uring", "epoll")}
        self.assertEqual(list(mine), [COST, "latency_us.p50", "latency_us.p99"])
        self.assertRegex(
            mine["latency_us.p50"],
            r"^torc io_uring has a [45]\d\.\d % higher p50 latency than .* \(\d\d\.\d to \d\d\.\d %\)\.$",
        )
        floors = [one.metric for one in leading if "floor-uring" in one.sides]
        self.assertEqual({*floors}, {COST}, "floors show what a request costs")

    def test_equal_ones_say_nothing(self):
        line = answered(self.run_of())
        self.assertIn("Its p50 latency shows no clear difference on any of the 2 open-loop workloads.", line.text)
        self.assertNotIn("not all", line.word)


class Whole(Runs):
    def test_a_server_that_waits_is_found(self):
        words = ("io_uring", "epoll", "--pairs", "3", "--workloads", "delay", "--connections", "1000")
        done = self.compare(*words, FAKE_WAITS="io_uring")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("at most 50,000 requests/s, connections ÷ delay", done.stdout)
        said = "torc epoll reaches 97 % of connections ÷ delay, torc io_uring 62 % (36.1 to 36.1 % less) with its core "
        said += "82 % idle: it waits rather than works."
        self.assertIn(said, done.stdout)
        run = results.load(self.json)
        self.assertIn(f"delay: {said}", run.conclusions)
        (sample,) = [one for one in run.cell("delay").valid("io_uring") if one.round == 0]
        self.assertEqual((sample.ceiling_share, sample.load_waited_share), (0.62, 0.03))
        self.assertEqual((sample.server_share, sample.waited_share, sample.idle_share), (0.155, 0.02, 0.825))


if __name__ == "__main__":
    unittest.main()
