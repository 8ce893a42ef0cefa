"""The report of torc-bench explain: its pictures, its page, its file, and a run that is interrupted."""

import argparse
import contextlib
import copy
import io
import json
import re
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import context
import sample_experiments
import sample_results
from lib import answer, explain, page, progress, results, schema
from lib.lab import byhand, claim, client, clients, flow, models, picture
from lib.page import kind_explain, svg
from runs import BENCH, TIMEOUT_SECONDS, Runs
from test_report_html import Reader, plain


def written(run):
    with tempfile.TemporaryDirectory() as directory:
        return page.write(run, Path(directory) / "run.html").read_text()


class Pictures(unittest.TestCase):
    def test_a_claim_without_a_picture_has_bars_of_its_table(self):
        rows = [["one", "–", "1,234"], ["other", "–", "98.5"]]
        made = picture.of_table(("", "p50", "requests/s"), rows)
        self.assertEqual([(bar.name, bar.value, bar.text) for bar in made.bars], [
            ("one", 1234.0, "1,234"),
            ("other", 98.5, "98.5"),
        ])  # fmt: skip
        self.assertEqual(made.x, "requests/s")
        times = picture.of_table(("", "p99"), [["a", "900 µs"], ["b", "12.0 ms"], ["c", "1.5 s"]])
        self.assertEqual(([bar.value for bar in times.bars], times.x), ([0.9, 12.0, 1500.0], "p99, ms"))
        several = picture.of_table(("", "with", "p99"), [["a", "x", "–"], ["a", "y", "2 ms"]])
        self.assertEqual([bar.name for bar in several.bars], ["a, y"])
        self.assertIsNone(picture.of_table(("", "why"), [["a", "none"]]))
        self.assertIsNone(picture.of_table(("", "why"), []))

    def test_every_experiment_has_one_that_can_be_drawn(self):
        for one in sample_experiments.entries():
            self.assertTrue(one["pictures"], one["name"])
            for made in one["pictures"]:
                self.assertEqual(
                    sum(bool(made[kind]) for kind in ("bars", "lines", "stacks", "groups", "spans")), 1, one["name"]
                )
                if svg.available():
                    self.assertTrue(svg.Draw()(kind_explain.plot, made), made["title"])

    def test_bars_beside_their_ceilings(self):
        (made,) = sample_experiments.of_models().pictures
        found = {bar.name: (bar.value, bar.limit) for bar in made.bars}
        self.assertEqual(found["threads"], (9810, models.THREADS * 1000 / models.DELAY_MS))
        self.assertEqual(found["epoll"], (97640, 100_000))

    def test_littles_law_is_beside_what_was_counted(self):
        _, made = sample_experiments.of_database().pictures
        found = {line.name: (line.theory, dict(line.points)) for line in made.lines}
        self.assertEqual(found["in progress L, no limits"], (False, {100.0: 2.0, 180.0: 3.6, 400.0: 391.0}))
        theory, points = found["Little, no limits"]
        self.assertTrue(theory)
        self.assertAlmostEqual(points[400.0], 1 * 0.9 + 395 * 1.0)  # one a second is answered, 395 wait a second
        self.assertAlmostEqual(points[100.0], 100 * 0.023)

    def test_a_browser_holds_requests_up_and_others_do_not(self):
        pictures = dict(zip(clients.CLIENTS, sample_experiments.of_client().pictures))
        for name, made in pictures.items():
            seq, together = made.groups
            self.assertEqual([len(group.lanes) for group in made.groups], [client.COUNT] * 2)
            self.assertEqual([lane[0][1] for lane in seq.lanes], sorted(lane[0][1] for lane in seq.lanes))
            held = [lane for lane in together.lanes if len(lane) > 1]
            self.assertEqual(len(held), client.COUNT - client.LIMIT if name == "browser" else 0, name)
            self.assertEqual("waits for one of the 6 connections" in made.caption, name == "browser")
        self.assertEqual(held[0], [(1, 0.0, 101.2), (0, 101.2, 202.4)])
        self.assertEqual(together.name, "together, 6 at a time")

    def test_the_time_of_a_core(self):
        (made,) = sample_experiments.of_files().pictures
        self.assertEqual([(one.name, one.values) for one in made.stacks[:2]], [
            ("epoll, in memory", [11.0, 0.12, 88.88]),
            ("epoll, on disk", [11.0, 21.4, 67.6]),
        ])  # fmt: skip

    def test_answers_over_time_with_the_spike(self):
        answers, attempts = sample_experiments.of_retries().pictures
        (shade,) = answers.shades
        self.assertEqual((shade.begin, shade.end), (2.0, 7.0))
        found = {line.name: dict(line.points) for line in answers.lines}
        self.assertEqual((found["no shedding"][0.25], found["no shedding"][12.75]), (130.0, 10.0))
        self.assertEqual((found["adaptive"][4.75], found["adaptive"][12.75]), (160.0, 130.0))
        self.assertEqual({line.name: dict(line.points) for line in attempts.lines}["no shedding"][4.75], 1400.0)

    def test_where_requests_are(self):
        where, when = sample_experiments.of_proxy().pictures
        found = {one.name: [round(value, 1) for value in one.values] for one in where.stacks}
        self.assertEqual(found["HAProxy, 8 connections"], [7.9, 55.3])  # 79 a second × 0.8 s, of which 7.9 within
        self.assertEqual(found["nginx, 8 connections"], [7.9, 0.0])
        times = {one.name: (one.values, one.text) for one in when.stacks}
        self.assertEqual(times["HAProxy, 8 connections"], ([100.0, 700.0], "100 ms + 700 ms"))

    def test_pictures_in_words(self):
        for name, words in (
            ("client", "together, 6 at a time: all answered after 202 ms."),
            ("files", "epoll, on disk: 11 runs or is ready to, 21.4 waits for the disk, 67.6 is free."),
            ("retries", "spike, 3 × capacity: from 2.0 to 7.0."),
        ):
            (one,) = sample_experiments.entries([name])
            self.assertIn(words, " ".join(kind_explain.spoken(made) for made in one["pictures"]))

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_nothing_to_draw_is_no_picture(self):
        nothing = {"title": "", "caption": "", "x": "", "y": "", "log": True, "bars": [], "lines": []}
        dots = [{"name": "a", "value": 0.0, "text": "0", "limit": None}]
        empty = [{"name": "a", "points": [], "theory": False}]
        for more in ({}, {"bars": dots}, {"lines": empty}):
            self.assertEqual(svg.Draw()(kind_explain.plot, {**nothing, **more}), [], more)


class Measures(unittest.TestCase):
    def test_beside_theory(self):
        one = flow.Seen(2.0, 400, 0, 0, 0, 0, 0.01, 0.02, 1.0, mean=0.02, measures={"concurrency": 4, "parallelism": 1})
        found = claim.measured("x", [one, one], cores=2)
        self.assertEqual(found.theory, ("8.0", "≤ 2", "0.750"))
        self.assertEqual(claim.measured("x", [one], asynchrony="0").theory[2], "0")
        late = flow.Seen(2.0, 0, 0, 100, 0, 0, 0.0, 0.0, 1.0, timeout=1.5)
        self.assertEqual(claim.measured("x", [late]).theory, ("75.0", "≤ 1", "–"))


class ByHand(unittest.TestCase):
    def test_commands_that_can_be_typed(self):
        found = byhand.Repeat()
        found.backends({"pg": "postgresql:///x?host=/tmp/y", "redis": "z"})
        lab, load = str(context.TOP / "build/release/src/torc-lab"), str(context.TOP / "build/release/src/torc-load")
        more = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--root", "/tmp/www"]
        found.started("http://127.0.0.1:41000", [lab, *more])
        up = ["--upstream", "http://127.0.0.1:41000", "--pg", "postgresql:///x?host=/tmp/y"]
        for _ in range(2):
            found.started("http://127.0.0.1:42000", [lab, *more, *up])
            asked = flow.Flow("/fetch?n=8&mode=seq", 1, 2.0)
            found.asked("http://127.0.0.1:42000", [asked, asked], load)
            found.ended("http://127.0.0.1:42000")
        backends, first, second = found.plain()
        self.assertIn("tools/backends start", backends["server"])
        self.assertEqual(first, {"server": "build/release/src/torc-lab --listen 127.0.0.1:8080", "loads": []})
        server = "build/release/src/torc-lab --listen 127.0.0.1:8081 --upstream http://127.0.0.1:8080"
        self.assertEqual(second["server"], server + ' --pg "$pg"')
        words = "--connections 1 --duration 2000ms --warmup 500ms --timeout 10000ms"
        line = f"build/release/src/torc-load {words} 'http://127.0.0.1:8081/fetch?n=8&mode=seq'"
        self.assertEqual(second["loads"], [f"{line} & {line}"])


class Answers(unittest.TestCase):
    @mock.patch.object(explain, "CLAIMS", {name: explain.CLAIMS[name] for name in sample_experiments.FINDINGS})
    def test_the_answer_follows_the_verdicts(self):
        found = sample_experiments.entries()
        self.assertTrue(all(one["holds"] for one in found), [one["name"] for one in found if not one["holds"]])
        text = explain.answer(found)
        self.assertTrue(
            text.startswith("No: 1,991 requests were in progress on one core of this machine, and at "), text
        )
        self.assertIn(" ran at a time (0.04 on average). Who asks", text)
        self.assertIn("On this machine: The same 12 requests take 1,214 ms", text)
        self.assertIn(" 200 threads serve 9,810 requests/s", text)
        for one in found:
            one["headline"] = ""  # the experiment with the figures has not run
        text = explain.answer(found[:11])
        self.assertIn(": thousands of requests can be in progress on one core, and at most one", text)
        self.assertTrue(text.startswith("No, as far as the 11 of 12 experiments that were run tell: "), text)
        self.assertTrue(
            explain.answer(found[:1]).startswith("A part of the answer: 1 of 12 experiments was run, and showed")
        )
        found[0]["holds"] = False
        text = explain.answer(found)
        self.assertIn(
            '11 of 12 experiments came out here as theory says. The figures of "The client decides" do not show it:',
            text,
        )
        for one in found:
            one["holds"] = False
        self.assertTrue(explain.answer(found).startswith("This run does not tell: "))

    def test_by_number_or_name_in_the_order_of_the_answer(self):
        names = list(explain.CLAIMS)
        self.assertEqual(explain.chosen("2,models"), [names[1], names[2]])
        self.assertEqual(explain.chosen("1,1"), names[:1])
        for wrong in ("", "0", str(len(names) + 1), "modelss", "1,,2", "-1"):
            with self.assertRaises(argparse.ArgumentTypeError):
                explain.chosen(wrong)

    def test_answer_and_index_know_it(self):
        run = sample_results.explain_run()
        found = answer.answer([(Path("e.json"), run)])
        (line,) = found.parts[answer.PARALLEL]
        self.assertEqual((line.text, line.path), (run.conclusions[0], Path("e.json")))
        with contextlib.redirect_stdout(io.StringIO()):
            other = answer.answer([(Path("c.json"), sample_results.scale_run("1,2,3"))])
        self.assertIn("Run bench/torc-bench explain.", other.parts[answer.PARALLEL][0].text)

    def test_a_disturbed_run_says_so(self):
        run = sample_results.explain_run()
        for one in run.extra["experiments"]:
            one["others_share"] = 1.2
        text = Reader(written(run)).text
        self.assertIn("Noisy: other programs used 120 % of a CPU in the median", text)
        self.assertIn("Noisy: other programs used 120 % of a CPU meanwhile", text)
        self.assertTrue(page.page.is_noisy(run))

    def test_what_is_true_comes_first_and_what_is_not_so_is_named(self):
        run = sample_results.explain_run()
        for one in run.extra["experiments"]:
            one["holds"], one["missed"] = False, ["it was otherwise"]
        text = Reader(written(run)).text.replace("\u00a0", " ")
        for one in run.extra["experiments"]:
            self.assertIn(plain(one["truth"]), plain(text))
        self.assertIn("This run does not show it: it was otherwise.", text)
        for one in run.extra["experiments"]:
            one["others_share"] = 1.8
            del one["truth"], one["missed"], one["unsure"]  # as older files
        text = Reader(written(run)).text.replace("\u00a0", " ")
        self.assertIn("Too noisy to tell: other programs used 180 % of a CPU.", text)
        self.assertNotIn("This run does not show it", text)

    def test_a_load_that_was_not_offered_says_so(self):
        run = sample_results.explain_run()
        (one,) = [one for one in run.extra["experiments"] if one["name"] == "overload"]
        one["samples"]["3× no shedding"]["unsent"] = 2000
        text = plain(Reader(written(run)).text.replace("\u00a0", " "))
        self.assertIn("3× no shedding: 85 % of the requests were never sent", text)


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_ = sample_results.explain_run()
        cls.html = written(cls.run_)
        cls.reader = Reader(cls.html)

    def test_each_experiment_is_there_with_all_it_has(self):
        for one in self.run_.extra["experiments"]:
            wanted = [f"{one['number']}. {one['title']}", one["question"], one["guess"], one["verdict"], one["theory"]]
            wanted += [f"bench/torc-bench explain --only {one['name']}", *one["lacks"]]
            wanted += [cell for row in one["rows"] for cell in row if cell]
            for text in wanted:
                self.assertIn(plain(text), plain(self.reader.text.replace("\u00a0", " ")), one["name"])

    def test_the_answer_comes_first_and_notes_and_commands_are_there(self):
        text = plain(self.reader.text.replace("\u00a0", " "))
        answered = text.index(plain(self.run_.conclusions[0]))
        self.assertLess(answered, text.index("Words on this page"))
        self.assertLess(answered, text.index(self.run_.extra["experiments"][0]["question"]))
        for wanted in (*self.run_.notes, "bench/torc-bench explain", "git checkout 2f1c9a7be04d"):
            self.assertIn(wanted, text)

    def test_what_was_not_tried_says_what_it_lacks(self):
        self.assertIn("Not tried here: needs PostgreSQL (tools/setup).", self.reader.text)
        self.assertIn(sample_experiments.NO_NODE, self.reader.text)
        self.assertIn(f"{explain.NUMBERS['database']}. The bottleneck is elsewhere", self.reader.text)

    @unittest.skipUnless(svg.available(), "python3-matplotlib is not installed")
    def test_each_experiment_has_a_picture_for_both_screens(self):
        sections = re.findall(r'<section id="cell-(\w+)">(.*?)</section>', self.html, re.DOTALL)
        self.assertEqual([name for name, _ in sections], list(sample_experiments.FINDINGS))
        for name, text in sections:
            drawn = text.count('<svg class="plot"')
            self.assertEqual(drawn > 0, name != "database")
            self.assertEqual(text.count('class="desktop"'), text.count('class="phone"'))
            self.assertEqual(drawn, text.count('role="img"'))

    def test_a_run_that_ended_early_says_so(self):
        run = copy.deepcopy(self.run_)
        run.finished, run.extra["experiments"], run.conclusions = None, [], []
        text = Reader(written(run)).text
        self.assertIn("This run ended early", text)
        self.assertIn("Nothing was concluded: no experiment is finished.", text)


class Damaged(unittest.TestCase):
    def test_names_the_place(self):
        content = json.loads(json.dumps(results.to_json(sample_results.explain_run())))
        self.assertEqual(list(schema.faults(content)), [])
        for way, value, place in (
            ("1 rows 0", ["x"], r"experiments\[1\].rows\[0\]: has not as many cells"),
            ("1 holds", "yes", r"experiments\[1\].holds: 'yes' is no boolean"),
            ("1 pictures 0 bars 0 value", None, r"bars\[0\].value: None is no number"),
            ("1 measures 0 theory", ["1"], r"theory: \['1'\] is too short"),
            ("1 commands", {}, r"commands: {} is no array"),
            ("0 pictures 0 groups 0 lanes 0 0", [0, 1.0], r"lanes\[0\]\[0\]: \[0, 1.0\] is too short"),
            ("0 pictures 0 groups 0 lanes 0 0", [3, 0.0, 1.0], r"lanes\[0\]\[0\]\[0\]: 3 is not one of"),
            ("0 pictures 0 parts", [1], r"parts\[0\]: 1 is no string"),
        ):
            inner = changed = copy.deepcopy(content)
            *above, last = ["extra", "experiments", *(int(k) if k.isdecimal() else k for k in way.split())]
            for key in above:
                inner = inner[key]
            inner[last] = value
            with self.assertRaisesRegex(results.ResultsError, place):
                results.from_json(changed)


class Steps(unittest.TestCase):
    class Terminal:
        def __init__(self, terminal):
            self.text, self.terminal = "", terminal

        def isatty(self):
            return self.terminal

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    def test_a_bar_that_stands_where_the_time_does(self):
        stream = self.Terminal(True)
        steps = progress.Steps([60.0, 60.0], stream)
        steps.begin("One")("what it does")
        self.assertIn("1/2 One, about 2 min left: what it does", stream.text)
        self.assertNotIn("█", stream.text)
        steps.end()
        steps.begin("Other")
        self.assertIn("█" * 10 + "░" * 10 + " 2/2 Other, about 60 s left", stream.text)
        self.assertTrue(stream.text.count("\n") == 0)

    def test_lines_elsewhere(self):
        stream = self.Terminal(False)
        steps = progress.Steps([10.0], stream)
        steps.begin("One")("what it does")
        steps.end()
        self.assertEqual(stream.text, "[1/1] One, about 10 s left\n")


class Interrupted(Runs):
    STUCK = 3 + 2 + 1  # loads: the five of the experiment that is first, and the first of the other

    def interrupt(self):
        words = ["explain", "--only", "compute,abuse", "--quick", *self.places]
        run = subprocess.Popen(
            [*BENCH, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment({"FAKE_STUCK": str(self.STUCK)}),
            start_new_session=True,
        )
        printed = ""
        while "[2/2] One abusive client" not in printed:
            line = run.stderr.readline()
            self.assertTrue(line, printed)
            printed += line
        run.send_signal(signal.SIGINT)
        printed += run.communicate(timeout=TIMEOUT_SECONDS)[1]
        self.nothing_is_left()
        return run.returncode, printed

    def test_keeps_what_is_finished_and_goes_on(self):
        status, printed = self.interrupt()
        self.assertEqual(status, 130, printed)
        self.assertIn(f"go on with: bench/torc-bench explain --resume {self.json}", printed)
        before = results.load(self.json)
        self.assertIsNone(before.finished)
        self.assertEqual([one["name"] for one in before.extra["experiments"]], ["compute"])
        done = self.bench("explain", "--resume", str(self.json))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("1 experiment, about", done.stdout)
        after = results.load(self.json)
        self.assertIsNotNone(after.finished)
        self.assertEqual([one["name"] for one in after.extra["experiments"]], ["compute", "abuse"])
        self.assertEqual(after.extra["experiments"][0], before.extra["experiments"][0])

    def test_what_cannot_run_is_named(self):
        done = self.bench("explain", "--only", "models,compute", "--quick", *self.places)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("models: left out: torc threads: this build has no threads engine", done.stdout)
        run = results.load(self.json)
        self.assertEqual([one["name"] for one in run.extra["left_out"]], ["models"])
        none = self.bench("explain", "--only", "models", "--build", str(self.build), "--json", f"{self.scratch}/n.json")
        self.assertEqual(none.returncode, 1)
        self.assertIn("no experiment can run here", none.stderr)
        self.assertFalse((self.scratch / "n.json").exists())


if __name__ == "__main__":
    unittest.main()
