"""One request through the layers: the verdict follows the samples, and what the layers say is joined."""

import dataclasses
import json
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
import sample_experiments
from lib import explain, proc, proxies, timeline
from lib.lab import stack, trace
from lib.lab.picture import Picture, Span
from lib.labpage import guesses, running
from lib.page import kind_explain, svg
from lib.subject import Place

ID, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
CLIENT, ASKS_SERVICE, ASKS_DATABASE = "00f067aa0ba902b7", "b7ad6b7169203331", "00000000000000a1"
SENT = f"00-{ID}-{CLIENT}-01"


class Verdict(unittest.TestCase):
    def conclude(self, **more):
        taken = sample_experiments.stack_taken()
        return stack.conclude(dataclasses.replace(taken, **more) if more else taken)

    def swapped(self, **spells):
        """With other spells of the seven requests of a mode."""
        traces = dict(sample_experiments.stack_taken().traces)
        for words, more in spells.items():
            key = list(stack.MODES)[words == "together"]
            traces[key] = [dataclasses.replace(one, spells={**one.spells, **more}) for one in traces[key]]
        return self.conclude(traces=traces)

    def test_a_handler_that_asks_one_after_the_other(self):
        finding = self.conclude()
        self.assertTrue(finding.holds)
        self.assertIn("A browser waits 152 ms for a request whose server is to ask one after", finding.verdict)
        self.assertIn("61.0 ms of it the second service has it, 81.0 ms the database, 10.0 ms the", finding.verdict)
        self.assertIn("The sequential layer is the server's handler: its two calls overlap for 0 µs", finding.verdict)
        self.assertIn("together they overlap, for 61.0 ms, and the client waits 91.0 ms.", finding.verdict)
        self.assertIn("All 5 layers saw one trace", finding.verdict)
        self.assertEqual(finding.rows[0], ["a browser", "resource timing", "152 ms", "3.0 ms", "91.0 ms", "3.0 ms"])
        self.assertEqual(finding.rows[2], ["server", "timeline", "146 ms", "4.0 ms", "85.0 ms", "4.0 ms"])
        self.assertEqual(finding.rows[4], ["PostgreSQL", "log of queries", *["81.0 ms"] * 4])
        self.assertEqual(finding.measures[0].theory, ("≤ 1", "≤ 1", "0.990"))

    def test_a_handler_that_secretly_asks_for_both(self):
        finding = self.swapped(apart={"service": (6.0, 67.0), "database": (6.0, 87.0)})
        self.assertFalse(finding.holds)
        self.assertIn("No layer is sequential: its two calls overlap for 61.0 ms", finding.verdict)

    def test_a_handler_that_cannot_ask_together(self):
        finding = self.swapped(together={"service": (4.0, 65.0), "database": (65.0, 146.0), "server": (3.0, 149.0)})
        self.assertFalse(finding.holds)
        self.assertIn("Told to ask together they hardly overlap, for 0 µs", finding.verdict)

    def test_a_server_that_is_quicker_than_what_it_waits_for(self):
        self.assertFalse(self.swapped(apart={"server": (3.0, 103.0)}).holds)

    def test_together_takes_as_long(self):
        self.assertFalse(self.swapped(together={"server": (3.0, 149.0)}).holds)

    def test_a_broken_trace(self):
        traces = dict(sample_experiments.stack_taken().traces)
        key = next(iter(traces))
        traces[key] = [dataclasses.replace(traces[key][0], linked=False), *traces[key][1:]]
        finding = self.conclude(traces=traces)
        self.assertFalse(finding.holds)
        self.assertIn("The layers do not agree on one trace", finding.verdict)
        self.assertNotIn("saw one trace", finding.verdict)

    def test_without_a_proxy_or_a_browser(self):
        taken = sample_experiments.stack_taken()
        bare = {
            words: [
                dataclasses.replace(one, spells={k: v for k, v in one.spells.items() if k != "proxy"}) for one in all_
            ]
            for words, all_ in taken.traces.items()
        }
        finding = stack.conclude(dataclasses.replace(taken, client="node", proxy="", traces=bare, measures={}))
        self.assertTrue(finding.holds)
        self.assertIn("Node.js waits 152 ms", finding.verdict)
        self.assertIn("All 4 layers saw one trace", finding.verdict)
        self.assertEqual([row[0] for row in finding.rows], ["Node.js", "server", "second service", "PostgreSQL"])
        self.assertEqual(finding.measures, [])

    def test_what_the_reader_guesses(self):
        claim = explain.CLAIMS["stack"]
        self.assertEqual(guesses.found(claim, self.conclude()), 2)
        self.assertIsNone(guesses.found(claim, self.swapped(apart={"service": (6.0, 67.0), "database": (6.0, 87.0)})))
        self.assertEqual(guesses.of(claim).plain()["choices"][2], "the server's handler")

    def test_parameters_are_in_the_path_and_the_theory(self):
        given = stack.Asked(30, 200)
        self.assertEqual(given.path, "/stack?path=/delay/30&ms=200")
        theory = stack.conclude(sample_experiments.stack_taken(), given).theory
        self.assertIn("30 + 200 ms = 230 ms at least", theory)
        self.assertIn("the longer one: 200 ms at least", theory)

    def test_it_needs_a_client_that_can_begin_a_trace(self):
        with mock.patch("shutil.which", return_value=None), mock.patch.dict("os.environ", {"CHROMIUM": ""}):
            self.assertRegex(stack.CLAIM.needs(), "node is not installed|PostgreSQL")


class Layers(unittest.TestCase):
    def request(self, begin, end, parent, calls=(), trace_id=ID):
        return timeline.Request(0, 1, "GET /", begin, end, False, [("run", begin, end)], trace_id, parent, list(calls))

    def sources(self, **more):
        usual = {
            "client": [{"traceparent": SENT, "begin": 1000.0, "end": 1150.0, "told": {"wait": 141.0}}],
            "proxy": {SENT: (1001.0, 1149.0)},
            "server": {ID: self.request(1002e3, 1148e3, CLIENT, (ASKS_SERVICE, ASKS_DATABASE))},
            "service": {ID: self.request(1003e3, 1063e3, ASKS_SERVICE)},
            "database": {f"00-{ID}-{ASKS_DATABASE}-01": (1064.0, 1144.0)},
        }
        return trace.Sources(**{**usual, **more})

    def test_they_are_joined_by_the_trace(self):
        (found,) = self.sources().traces()
        self.assertEqual(list(found.spells), list(trace.DEPTHS))
        self.assertEqual(found.spells["client"], (0.0, 150.0))
        self.assertEqual(found.spells["server"], (2.0, 148.0))
        self.assertEqual(found.spells["database"], (64.0, 144.0))
        self.assertEqual(found.parts, [("run", 2.0, 148.0)])
        self.assertTrue(found.linked)
        self.assertEqual(found.plain()["told"], {"wait": 141.0})
        self.assertEqual((found.overlap, found.own("client"), found.own("server")), (0.0, 2.0, 6.0))

    def test_without_a_proxy(self):
        (found,) = self.sources(proxy=None).traces()
        self.assertEqual((found.own("client"), "proxy" in found.spells), (4.0, False))

    def test_parents_that_are_missing(self):
        for more in (
            {"server": {ID: self.request(1002e3, 1148e3, ASKS_SERVICE, (ASKS_SERVICE, ASKS_DATABASE))}},
            {"server": {ID: self.request(1002e3, 1148e3, CLIENT, (ASKS_SERVICE,))}},
            {"service": {ID: self.request(1003e3, 1063e3, CLIENT)}},
            {"database": {f"00-{ID}-{CLIENT}-01": (1064.0, 1144.0)}},
        ):
            (found,) = self.sources(**more).traces()
            self.assertFalse(found.linked, more)

    def test_a_layer_that_knows_nothing(self):
        strange = f"00-{OTHER}-{ASKS_DATABASE}-01"
        for more in ({"proxy": {}}, {"server": {}}, {"service": {}}, {"database": {strange: (0.0, 1.0)}}):
            with self.assertRaisesRegex(proc.ProcessError, ID):
                self.sources(**more).traces()

    def test_calls_that_overlap(self):
        (found,) = self.sources(database={f"00-{ID}-{ASKS_DATABASE}-01": (1033.0, 1113.0)}).traces()
        self.assertEqual((found.overlap, found.share, found.own("server")), (30.0, 0.5, 36.0))

    def test_the_log_of_the_database(self):
        text = f"""1700000000.100 torc LOG:  duration: 3.1 ms  parse p1: SELECT 1
1700000000.500 00-{OTHER}-{CLIENT}-01 LOG:  duration: 0.2 ms  bind p1: SELECT 1
1700000000.581 00-{ID}-{ASKS_DATABASE}-01 LOG:  duration: 80.5 ms  execute p1: SELECT 1
1700000000.581 00-{ID}-{ASKS_DATABASE}-01 DETAIL:  parameters: $1 = '1'
"""
        with tempfile.NamedTemporaryFile("w") as log:
            log.write(text)
            log.flush()
            found = trace.queries(Path(log.name))
        ((parent, (begin, end)),) = found.items()
        self.assertEqual(parent, f"00-{ID}-{ASKS_DATABASE}-01")
        self.assertAlmostEqual(end, 1700000000581.0, places=2)
        self.assertAlmostEqual(begin, 1700000000500.5, places=2)

    def test_the_logs_of_proxies(self):
        lines = {
            "nginx": "- 1700000000.2 0.1\n%s 1700000000.581 0.150\n",
            "haproxy": "nothing\n%s 1700000000581000 150\n",
        }
        for name, text in lines.items():
            with tempfile.TemporaryDirectory() as directory:
                scratch = Path(directory)
                child = types.SimpleNamespace(log=scratch / "haproxy.log")
                path = scratch / "proxy-nginx.trace" if name == "nginx" else child.log
                path.write_text(text % SENT)
                front = types.SimpleNamespace(child=child)
                found = proxies.traced(name, Place(scratch, scratch, scratch), front)
            ((parent, (begin, end)),) = found.items()
            self.assertEqual(parent, SENT)
            self.assertAlmostEqual(end, 1700000000581.0, places=2)
            self.assertAlmostEqual(begin, 1700000000431.0, places=2)

    def test_what_a_client_has_printed(self):
        self.assertEqual(trace.asked(json.dumps([{"begin": 1}])), [{"begin": 1}])
        self.assertRaisesRegex(proc.ProcessError, "it printed nothing", trace.asked, "")
        self.assertRaisesRegex(proc.ProcessError, "answers 502", trace.asked, "Error: the server answers 502")

    def test_spans_of_a_timeline(self):
        begin = {"cat": "request", "id": "0.1", "tid": 0}
        own = {"connection": 7, "trace_id": ID, "parent_id": CLIENT}
        events = [
            {**begin, "ph": "b", "name": "GET /", "ts": 10.0, "args": own},
            {**begin, "ph": "b", "name": "run", "ts": 10.0},
            {**begin, "ph": "n", "name": "call", "ts": 11.0, "args": {"span_id": ASKS_SERVICE}},
            {**begin, "ph": "e", "name": "run", "ts": 12.0},
            {**begin, "ph": "e", "name": "GET /", "ts": 12.0, "args": {"status": 200, "in_progress": False}},
        ]
        other = [{**one, "id": "0.2", "args": {"connection": 7, "status": 200, "in_progress": False}} for one in events]
        said = {"epoch_us": 1000, "traceEvents": [*events, *(one for one in other if one["name"] == "GET /")]}
        with mock.patch.object(timeline, "read", return_value=said):
            ((name, one),) = timeline.traced(None, 5).items()
        self.assertEqual((name, one.begin, one.end, one.parent, one.calls), (ID, 1010, 1012, CLIENT, [ASKS_SERVICE]))
        self.assertEqual(one.phases, [("run", 1010, 1012)])


class Pictures(unittest.TestCase):
    def test_a_waterfall_of_the_layers(self):
        one, other = sample_experiments.of_stack().pictures
        self.assertEqual([(span.name, span.depth) for span in one.spans], [
            ("a browser", 0), ("nginx", 1), ("server", 2), ("second service", 3), ("PostgreSQL", 3),
        ])  # fmt: skip
        self.assertIn("one after the other", one.title)
        self.assertIn("together", other.title)
        self.assertIn("with Server-Timing: run 1.5 ms, wait 144 ms.", one.caption)
        if svg.available():
            drawn = svg.Draw()(kind_explain.plot, dataclasses.asdict(one))
            self.assertTrue(drawn)

    def test_what_the_page_of_the_lab_gets(self):
        made = Picture("t", "c", "ms", spans=[Span("server", 0.0, 9.0, 2, [("pg", 1.0, 8.0), ("run", 8.0, 9.0)])])
        (span,) = running.traced(made)["spans"]
        self.assertEqual(span["parts"], [["wait", "pg", 1.0, 8.0], ["run", "run", 8.0, 9.0]])
        self.assertEqual((span["name"], span["depth"], span["end"]), ("server", 2, 9.0))


if __name__ == "__main__":
    unittest.main()
