"""The answer that result files of all kinds give together."""

import argparse
import contextlib
import copy
import io
import random
import tempfile
import unittest
from pathlib import Path

import context  # noqa: F401
import sample_results
from lib import answer, cli, page, results, scale
from lib.subject import Variant
from lib.subjects import variant
from lib.workloads import WORKLOADS

NAMES = ("plaintext", "json", "pipelined", "short-lived")


def band(low, high):
    """The A/A run of a file."""
    return {"metric": results.COST, "low": low, "median": 1.0, "high": high, "pairs": 10}


NO_NOISE = band(0.999, 1.001)


def compared(factors, pairs=10, noise=None, subjects=("io_uring", "epoll", "nginx"), names=NAMES, spread=0.0):
    """A comparison in which io_uring costs epoll's times what factors has for the workload."""
    source = random.Random(7)

    def cost(one, workload):
        own = factors.get(workload.name, 1.0) if one.subject == "io_uring" else 1.0
        return 5000 * (2 if one.subject == "nginx" else own) * (1 + spread * source.random())

    session = sample_results.PlantedSession("compare", "comparison", argparse.Namespace(pairs=pairs, seconds=1.0), cost)
    able = [variant(name) if name != "nginx" else Variant(name, name, name) for name in subjects]
    for name in names:
        session.cell(name, WORKLOADS[name], able, pairs, 1.0)
    session.run.noise = noise or NO_NOISE
    return session.run


def scaled(affinity, growth, counts):
    """A scale run on those CPUs, on which each core more makes a request dearer by growth."""

    def cost(one, _):
        return 5000 * (1 + growth * (one.cores - 1))

    options = sample_results.options_of(scale, "--cores", counts, "--pairs", "8")
    session = sample_results.PlantedSession("scale", "core counts", options, cost)
    session.affinity = affinity
    scale.measure(session, options)
    return session.run


def started(run, when):
    run.started = when
    return run


def of_commit(run, commit):
    run.environment = copy.deepcopy(run.environment)
    run.environment["git"]["commit"] = commit
    return run


def asked(**runs):
    """The answer of runs by their files' names."""
    return answer.answer([(Path(f"{name}.json"), run) for name, run in runs.items()])


def said(lines):
    return "\n".join(f"{line.text} {line.word}" for line in lines)


class Use(unittest.TestCase):
    """Should I use io_uring?"""

    def word(self, *arguments, **keywords):
        (line,) = asked(c=compared(*arguments, **keywords)).parts[answer.USE]
        self.assertEqual(line.path, Path("c.json"))
        return line.text, line.word

    def test_the_plain_word(self):
        """Costs of io_uring by workload, what else is special, what the text holds, and the word."""
        good, bad, mixed = dict.fromkeys(NAMES, 0.9), dict.fromkeys(NAMES, 1.1), {"plaintext": 0.9, "json": 0.8}
        wide, large, no = {"noise": band(0.8, 1.2)}, {"names": ("plaintext", "static-large-1m")}, "more on none"
        within = "; a difference within the A/A noise (−20.0 to +20.0 %) on 4."
        for costs, more, text, word in (
            (good, {}, "than torc epoll on 4 of 4 workloads, more on none", "^Yes: "),
            ({**good, "short-lived": 1.2}, {}, "on 3 of 4 workloads, more on 1", "^Yes: .*, but not for short-"),
            (bad, {}, "on none of 4 workloads, more on 4. The largest loss", "^No: it uses more CPU for "),
            ({**bad, "short-lived": 0.8}, {}, "on 1 of", "^No: .*, and less only for short-lived"),
            (dict.fromkeys(NAMES, 0.8), {"subjects": ("epoll", "io_uring")}, "on 4 of 4", "^Yes: "),
            (
                {**mixed, "pipelined": 1.1, "short-lived": 1.2},
                {},
                "on 2 of 4 workloads, more on 2",
                "^It depends on the workload: yes for json and plaintext, no for short-lived and pipelined.$",
            ),
            ({}, {"noise": band(0.98, 1.02)}, "on none of 4", r"^It makes little difference: none above \d\.\d %"),
            (dict.fromkeys(NAMES, 0.985), {"pairs": 20}, "on 4 of 4", r"^It makes little difference: 1\.\d % at most"),
            ({"json": 0.9}, {"noise": band(0.97, 1.001)}, "on 1 of", r"difference: only json used less CPU, \d+\.\d"),
            (dict.fromkeys(NAMES, 0.95), wide, no + within, "^It makes little difference"),
            ({}, {"pairs": 6, "spread": 1.5}, "on none of 4", "^Inconclusive: .*--pairs"),
            ({}, large, "For static-large-1m, server and load are counted", "^It"),
            ({"idle": 0.5, "plaintext": 0.8}, {"names": ("plaintext", "idle")}, "on 1 of 1 workloads", "Yes"),
        ):
            with self.subTest(costs=costs, **more):
                found = self.word(costs, **more)
                self.assertIn(text, found[0])
                self.assertRegex(found[1], word)

    def test_sizes(self):
        text, word = self.word(dict(zip(NAMES, (0.9, 0.8, 0.95, 0.85))))
        self.assertRegex(text, r"largest gain is (19|20)\.\d % \(\d+\.\d to \d+\.\d %\) on json")
        self.assertRegex(text, r"smallest [45]\.\d % \(\d+\.\d to \d+\.\d %\) on pipelined")
        self.assertRegex(text, "p99 latency was lower on . of 4 closed-loop workloads")
        self.assertEqual(word, "Yes: it uses less CPU for json, short-lived, plaintext and 1 more.")
        text, _ = self.word({**dict.fromkeys(NAMES, 0.9), "short-lived": 1.2})
        self.assertRegex(text, r"The only loss is (19|20|21)\.\d % \(.*\) on short-lived")
        self.assertNotIn("gain", self.word({}, noise=band(0.98, 1.02))[0])

    def test_tails_of_open_loops(self):
        (line,) = asked(c=sample_results.compare()).parts[answer.USE]
        self.assertIn("p99 latency was lower on 2 of 2 open-loop workloads", line.text)

    def test_dear_system_calls_are_the_reason(self):
        run = compared(dict.fromkeys(NAMES, 0.8))
        for sample in (s for cell in run.cells for s in cell.samples):
            sample.syscalls_per_request = 0.03 if sample.variant == "io_uring" else 2.05
        text = "a system call takes 1.1 µs here, many times what it does on bare metal"
        run.doctor = [{"id": "syscalls", "level": "limit", "remedy": None, "text": text}]
        said = r"On \S+ it makes 0\.03 system calls per request where epoll makes 2\.05, and a system call takes "
        self.assertRegex(asked(c=run).parts[answer.USE][0].text, said + r"1\.1 µs here\.")
        run.doctor = []
        self.assertNotIn("system call", asked(c=run).parts[answer.USE][0].text)

    def test_other_programs_spoil_a_run(self):
        run = compared(dict.fromkeys(NAMES, 0.8))
        uncertain = "^Uncertain, because other programs disturbed this run .*: Yes: "
        for others, word, remark in (
            (0.05, "^Yes: ", "^$"),
            (0.2, "^Yes: ", "used 20 % of a CPU"),
            (1.1, uncertain, "while other programs used 110 % of"),
        ):
            for sample in (s for cell in run.cells for s in cell.samples):
                sample.others_share = others
            (line,) = asked(c=run).parts[answer.USE]
            self.assertRegex(line.word, word)
            self.assertRegex(line.remark, remark)

    def test_one_round_says_nothing(self):
        (line,) = asked(c=compared({}, pairs=1)).parts[answer.USE]
        self.assertIsNone(line.path)
        self.assertIn("bench/torc-bench compare", line.text)

    def test_io_uring_that_this_machine_forbids(self):
        run = compared({}, subjects=("epoll", "nginx"))
        run.doctor = [{"id": "x", "level": "fail", "text": "io_uring is disabled.", "remedy": "sysctl it"}]
        (line,) = asked(c=run).parts[answer.USE]
        self.assertEqual(line.text, "io_uring is disabled.")
        self.assertEqual(line.word, "No, not on this machine as configured. Remedy: sysctl it")


class Depth(unittest.TestCase):
    """At what depth?"""

    def knee(self, depth=256, other=2048, change=(0.0, -0.3, 0.4), alike=False, dearer=()):
        change = change and dict(zip(("median", "low", "high"), change))
        return {"depth": depth, "other": other, "alike": alike, "dearer": list(dearer), "change": change}

    def test_words(self):
        knee = self.knee
        for knees, word in (
            ([knee(128), knee(256)], "The default, 512: it gains nothing over 256 and costs nothing either."),
            ([knee(128, dearer=(1024,)), knee(256)], "The default, 512: it gains nothing over 256"),
            ([knee(128, dearer=(512, 1024))], "Depth 128: the default, 512, costs more."),
            ([knee(16, 32, dearer=(32, 64))], "Depth 16: deeper ones cost more."),
            ([knee(1024)], "Depth 1024: the default, 512, gains less."),
            ([knee(32, alike=True)] * 2, "It makes no detectable difference"),
            ([knee(32, alike=True), knee(64)], "The default, 512: it gains nothing over 64"),
            ([knee(2048, 1024, (-2.0, -3.0, -1.0))], "At least 2048"),
            ([knee(change=(0.0, -9.0, 9.0))], "Inconclusive with so few pairs"),
            ([knee(change=None)], "Unknown: "),
            ([knee(None, None, None)], "Unknown: "),
            ([knee(change=(20.0, 15.0, 25.0), dearer=(512,))], "Depth 256: the default"),
        ):
            with self.subTest(word=word):
                self.assertIn(word, answer.depth_word(knees))

    def test_sweep_and_tune(self):
        found = asked(s=sample_results.sweep_run(), t=sample_results.tune_run())
        swept, tuned = found.parts[answer.DEPTH]
        self.assertIn("1 core, 64 connections: beyond depth 256 nothing is gained", swept.text)
        word = "The default, 512: it gains nothing over 256 and costs nothing either."
        self.assertEqual((swept.word, swept.path), (word, Path("s.json")))
        self.assertIn("The tuned options for plaintext set depth", tuned.text)
        self.assertEqual(tuned.path, Path("t.json"))
        (_, tuned) = asked(t=sample_results.tune_run(1.1)).parts[answer.DEPTH]
        self.assertIn("nothing better than the default, depth 512", tuned.text)
        run = sample_results.tune_run()
        for one in run.extra["candidates"]:
            one["options"] = {"multishot": "no"}
        (_, tuned) = asked(t=run).parts[answer.DEPTH]
        self.assertIn("leave the depth at its default, 512", tuned.text)


class Cores(unittest.TestCase):
    """On how many cores?"""

    def line(self, *arguments):
        (line,) = asked(k=scaled(*arguments)).parts[answer.CORES]
        return line

    def test_as_many_as_there_are(self):
        line = self.line(list(range(1000, 1016)), 0.01, "1,2,4,8")
        self.assertIn("torc io_uring, 1 core → 8: ", line.text)
        self.assertRegex(line.word, "^As many as you have, up to the 8 measured: capacity still grows[^;]*$")

    def test_fewer(self):
        def cost(one, _):
            return 5000 * one.cores ** (0 if one.cores <= 4 else 2)

        options = sample_results.options_of(scale, "--cores", "1,2,4,8", "--pairs", "8")
        session = sample_results.PlantedSession("scale", "core counts", options, cost)
        scale.measure(session, options)
        (line,) = asked(k=session.run).parts[answer.CORES]
        self.assertRegex(line.word, "^4 cores: beyond that, up to 8, capacity drops")

    def test_two_cpus(self):
        line = self.line([1000, 1001], 0.01, "1,2")
        self.assertEqual(
            line.word,
            "Unknown beyond 1 core on this machine, where server and load would share CPUs. Keep the default, one core "
            "per CPU, and run scale on the target machine.",
        )
        said = "^Plaintext: Beyond 1 core, server and load shared CPUs, so those figures say little about the server "
        self.assertRegex(line.text, said + "alone. torc io_uring, 1 core → 2")

    def test_one_cpu(self):
        self.assertRegex(self.line([1000], 0.01, "1").word, "^Unknown on this machine, where")

    def test_some_apart(self):
        line = self.line(list(range(1000, 1004)), 0.01, "1,2,3,4")
        self.assertIn("1 core → 3", line.text)
        self.assertIn("up to the 3 measured", line.word)
        self.assertIn("; unknown beyond 3 cores", line.word)


class Gain(unittest.TestCase):
    """What would I gain?"""

    def test_all_kinds(self):
        found = asked(c=compared(dict.fromkeys(NAMES, 0.9)), t=sample_results.tune_run(), a=sample_results.ablate_run())
        epoll, nginx, tuned, ablated = found.parts[answer.GAIN]
        said = r"^Against torc epoll: less CPU per request on 4 of 4 workloads \(\d+\.\d to \d+\.\d %\)\. "
        self.assertRegex(epoll.text, said + r"There, the same CPU serves 1\.1 times as many requests\.$")
        self.assertRegex(nginx.text, "^Against nginx: less .* on 4 of 4")
        self.assertIn("Tuning gains", tuned.text)
        self.assertIn("torc --config bench/results/tuned.conf", tuned.text)
        self.assertRegex(ablated.text, r"taken out alone: defer-taskrun 6\.\d % .*, multishot ")
        self.assertEqual([line.path.stem for line in found.parts[answer.GAIN]], list("ccta"))

    def test_features_that_the_full_set_hides(self):
        run = sample_results.ablate_run()
        for one in run.extra["effects"]:
            if one["feature"] in ("coop-taskrun", "single-issuer"):
                ratio = {"median": 0.5, "low": 0.4, "high": 0.6, "pairs": 10}
                one.update(verdict="saves", ratio=ratio)
        out, into = said(asked(a=run).parts[answer.GAIN]).split("put into the bare ring")
        self.assertIn("single-issuer 50.0 % (40.0 to 60.0 %)", out)
        self.assertNotIn("coop-taskrun", out)
        self.assertIn("coop-taskrun 50.0 % (40.0 to 60.0 %)", into)

    def test_peers_of_an_older_comparison(self):
        old = started(compared({}), "2026-01-01T00:00:00+0000")
        found = asked(new=compared({}, subjects=("io_uring", "epoll")), old=old)
        stems = [line.path and line.path.stem for line in found.parts[answer.GAIN]]
        self.assertEqual(stems, ["new", "old", None, None])

    def test_nothing_to_rely_on(self):
        found = asked(c=compared({"json": 0.95}, noise=band(0.8, 1.2)))
        self.assertNotIn("less", found.parts[answer.GAIN][0].text)


class Choice(unittest.TestCase):
    """Which files an answer rests on."""

    def paths(self, found):
        return {line.path.stem for lines in found.parts.values() for line in lines if line.path}

    def test_missing_kinds_name_their_command(self):
        found = asked(c=compared({}, subjects=("io_uring", "epoll")))
        for question, command in (
            (answer.DEPTH, "sweep"),
            (answer.CORES, "scale"),
            (answer.GAIN, "tune"),
            (answer.GAIN, "ablate"),
            (answer.GAIN, "compare io_uring epoll nginx h2o lighttpd"),
        ):
            self.assertIn(f"Run bench/torc-bench {command}.", said(found.parts[question]))
        self.assertNotIn("Run ", said(found.parts[answer.USE]))
        found = asked(s=sample_results.sweep_run())
        self.assertIn("Run bench/torc-bench compare.", said(found.parts[answer.USE]))

    def test_nothing(self):
        self.assertIsNone(answer.answer([]))

    def test_newest(self):
        runs = {f"day{day}": started(compared({}), f"2026-03-0{day}T00:00:00+0000") for day in (1, 2)}
        self.assertEqual(self.paths(asked(**runs)), {"day2"})

    def test_newest_whatever_the_zone(self):
        later = started(compared(dict.fromkeys(NAMES, 0.5)), "2026-02-01T23:59:59-1200")
        found = asked(a=later, b=started(compared({}), "2026-02-02T00:00:00+0000"))
        self.assertEqual(found.parts[answer.USE][0].path, Path("a.json"))

    def test_a_start_that_is_no_time_is_the_oldest(self):
        for text in ("yesterday", "", "0001-01-01T00:00:00+2300"):
            found = asked(a=started(compared({}), text), b=compared(dict.fromkeys(NAMES, 0.5)))
            with self.subTest(text):
                self.assertEqual(found.parts[answer.USE][0].path, Path("b.json"))

    def test_another_commit_is_named(self):
        newer = started(compared({}), "2026-04-01T00:00:00+0000")
        found = asked(c=newer, s=of_commit(sample_results.sweep_run(), "abcdef0123456789"))
        line = found.parts[answer.DEPTH][0]
        self.assertEqual(line.remark, "at commit abcdef012345, not commit 2f1c9a7be04d")
        self.assertIn("s.json, at commit abcdef012345", answer.text(found))
        self.assertEqual(found.parts[answer.USE][0].remark, "")

    def test_the_newest_commit_goes_before(self):
        found = asked(
            of_it=started(compared({}), "2026-01-01T00:00:00+0000"),
            other=of_commit(started(compared({}), "2026-02-01T00:00:00+0000"), "abc"),
            newest=sample_results.sweep_run(),
        )
        self.assertEqual(found.parts[answer.USE][0].path, Path("of_it.json"))

    def test_another_machine_is_left_out(self):
        for change in ({"kernel": "Linux 5.1"}, {"cpu": {"model": "another"}}):
            away = sample_results.sweep_run()
            away.started = "2025-01-01T00:00:00+0000"
            away.environment = {**away.environment, **change}
            found = asked(c=compared({}), s=away)
            self.assertEqual(self.paths(found), {"c"})
            self.assertIn("s.json", found.notes[0])
        self.assertEqual(asked(c=compared({})).notes, [])

    def test_unfinished(self):
        half = started(compared(dict.fromkeys(NAMES, 0.5)), "2026-05-01T00:00:00+0000")
        swept = sample_results.sweep_run()
        half.finished = swept.finished = None
        found = asked(c=compared(dict.fromkeys(NAMES, 1.2)), half=half, s=swept)
        self.assertEqual(self.paths(found), {"c"})
        self.assertRegex(found.parts[answer.USE][0].word, "^No")
        self.assertIn("bench/torc-bench sweep --resume s.json", said(found.parts[answer.DEPTH]))
        found = asked(half=half)
        self.assertEqual(self.paths(found), set())
        self.assertIn("--resume half.json", said(found.parts[answer.USE]))


class Shown(unittest.TestCase):
    """On the terminal and on the index page."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def run_it(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            options = cli.build_parser().parse_args(["answer", *map(str, words)])
            code = options.run(options)
        return code, out.getvalue(), err.getvalue()

    def test_command(self):
        code, out, err = self.run_it(self.directory)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("bench/torc-bench compare io_uring epoll", err)
        results.save(compared(dict.fromkeys(NAMES, 0.9)), self.directory / "c.json")
        (self.directory / "other.json").write_text('{"format": 1}')
        for where in (self.directory, self.directory / "c.json"):
            code, out, _ = self.run_it(where)
            self.assertEqual(code, 0)
            for words in (*asked(c=compared({})).parts, "AMD EPYC 9354P", "Yes: ", "c.json)"):
                self.assertIn(words, out)
            self.assertLessEqual(max(map(len, out.splitlines())), 110)
        for words, shown in (([], False), ([self.directory / "c.json"], True)):
            code, out, err = self.run_it(self.directory / "other.json", *words)
            self.assertEqual((code, answer.USE in out), (1, shown))
            self.assertRegex(err, "other.json: not a result file of format")

    def test_only_unfinished(self):
        run = compared({})
        run.finished = None
        results.save(run, self.directory / "c.json")
        code, out, _ = self.run_it(self.directory)
        self.assertEqual(code, 1)
        self.assertIn("--resume", out)

    def test_index(self):
        results.save(compared(dict.fromkeys(NAMES, 0.9)), self.directory / "c & d.json")
        swept = of_commit(sample_results.sweep_run(), "<b>")
        swept.started = "2026-01-01T00:00:00+0000"
        results.save(swept, self.directory / "s.json")
        (self.directory / "c & d.html").write_text("")
        shown = page.write_index(self.directory).read_text()
        more = ("Yes: it uses less CPU", "c &amp; d", 'href="c%20%26%20d.html"', "at commit &lt;b&gt;, not commit")
        for words in (*asked(c=compared({})).parts, *more):
            self.assertIn(words, shown)
        self.assertNotIn('href="s.html"', shown)
        self.assertLess(shown.index(answer.USE), shown.index("2 runs, newest first"))

    def test_the_index_names_a_file_that_cannot_be_read(self):
        results.save(compared(dict.fromkeys(NAMES, 0.9)), self.directory / "c.json")
        (self.directory / "<cut>.json").write_text("{")
        shown = page.write_index(self.directory).read_text()
        self.assertIn("Left out: ", shown)
        self.assertIn("&lt;cut&gt;.json", shown)
        self.assertIn("1 run, newest first", shown)

    def test_empty_index(self):
        self.assertNotIn(answer.USE, page.write_index(self.directory).read_text())


if __name__ == "__main__":
    unittest.main()
