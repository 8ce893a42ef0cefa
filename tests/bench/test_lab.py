"""The server of torc-bench lab: who may ask, what is refused, and that a run ends with its page."""

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
import types
import unittest
from unittest import mock

import aiohttp
import context
import sample_experiments
from aiohttp import web
from runs import BENCH, TIMEOUT_SECONDS, Runs

from lib import explain, proc
from lib.lab.claim import Finding
from lib.lab.clients import Ask
from lib.lab.flow import Flow
from lib.lab.stage import NoVisit
from lib.labpage import backlog, guesses, link, running, server, sources, strips

PAGE_BYTES = 200 * 1024
JSON = {"Content-Type": "application/json"}


class Links(unittest.TestCase):
    def test_every_experiment_has_one(self):
        for name, claim in explain.CLAIMS.items():
            usual = {one.name: one.usual for one in claim.parameters}
            engine = "epoll" if claim.on_engine else None
            text = str(link.Link(claim, usual, engine))
            self.assertEqual(str(link.parse(text)), text)
            self.assertEqual(str(link.parse(name)), name)

    def test_what_is_refused(self):
        for text, why in (
            ("nothing", "takes an experiment of client, concurrent, "),
            ("models?connections=0", "models: connections takes a whole number from 1 to 5,000, not '0'"),
            ("models?connections=5001", "from 1 to 5,000"),
            ("models?connections=", "from 1 to 5,000"),
            ("models?connections=1e3", "from 1 to 5,000"),
            ("models?connections=٣", "from 1 to 5,000"),
            ("models?connections=1&connections=2", "takes each parameter once"),
            ("models?connections", "takes parameters as NAME=NUMBER"),
            ("models?engine=epoll", "models: takes the parameters connections, delay_ms, threads, not 'engine'"),
            ("compute?engine=threads", "engine takes one of io_uring, epoll, not 'threads'"),
            ("models?" + "x" * 500, "in up to 500 letters"),
        ):
            with self.subTest(text=text[:40]), self.assertRaises(link.LinkError) as caught:
                link.parse(text)
            self.assertIn(why, str(caught.exception))

    def test_no_more_cores_than_there_are(self):
        (cores,) = (one for one in explain.CLAIMS["compute"].parameters if one.name == "cores")
        self.assertLessEqual(link.highest(cores), len(os.sched_getaffinity(0)))


def event(ph, ts, name, key=None, **more):
    asked = {"cat": "request", "id": key} if key else {}
    return {"ph": ph, "ts": ts, "name": name, "pid": 1, "tid": 0, **asked, **more}


def request(number, begin, connection, name="GET /delay/:ms", in_progress=False):
    """A request of 10 ms: queued for 1, run for 1, asleep for 8."""
    key, at = f"0.{number}", begin * 1000
    phases = (("queue", 0, 1), ("run", 1, 2), ("sleep", 2, 10))
    found = [event("b", at, name, key, args={"connection": connection})]
    for word, start, stop in phases:
        found += [event("b", at + start * 1000, word, key), event("e", at + stop * 1000, word, key)]
    args = {"status": 200, "in_progress": in_progress}
    return [*found, event("e", at + 10_000, name, key, args=args)]


class Strips(unittest.TestCase):
    lane = [event("M", 0, "thread_name")]

    def test_phases_and_shares(self):
        found = strips.strip([*self.lane, *request(1, 100, 7)], strips.Lanes(), 20)
        self.assertEqual((found["seen"], found["connections"], found["lanes"]), (1, 1, 1))
        phases = [["queue", "queue", 10.0, 11.0], ["run", "run", 11.0, 12.0], ["wait", "sleep", 12.0, 20.0]]
        self.assertEqual(found["bars"][0]["phases"], phases)
        self.assertEqual(found["share"], {"queue": 0.1, "run": 0.1, "wait": 0.8, "send": 0.0})

    def queued(self, *looks, ms=20):
        """A strip from 90 to 110 ms of a server with threads that has one request, with these looks at its queue."""
        lanes = strips.Lanes()
        found = strips.strip([*self.lane, *request(1, 100, 7)], lanes, ms, (), [(at * 1000, who) for at, who in looks])
        return found, [bar for bar in found["bars"] if bar["name"] == strips.THREADLESS]

    def test_what_waits_for_a_thread(self):
        found, bars = self.queued((89, {5, 6}), (100, {6, 8}), (111, {6, 8}))
        self.assertEqual([bar["phases"] for bar in bars], [[["queue", "queue", 0, 20]], [["queue", "queue", 10, 20]]])
        self.assertEqual([bar["ms"] for bar in bars], [21, 10])
        self.assertEqual((found["waiting"], found["seen"], found["connections"]), (2, 3, 3))
        self.assertEqual(found["share"]["queue"], round((2 * 20 + 1) / (2 * 20 + 10), 4))

    def test_a_look_after_the_strip_tells_only_who_waited_to_its_end(self):
        found, bars = self.queued((95, {5, 6}), (105, {5, 6}), (300, {6, 9}))
        self.assertEqual([bar["phases"][0][2:] for bar in bars], [[5, 15], [5, 20]])
        self.assertEqual(found["waiting"], 2)
        self.assertIsNone(self.queued((300, {6, 9}))[0]["waiting"])

    def test_who_was_not_seen_to_wait_within_the_strip_is_not_drawn(self):
        found, bars = self.queued((80, {5, 6}), (300, {6, 9}))
        self.assertEqual([bar["phases"][0][2:] for bar in bars], [[0, 20]])
        self.assertEqual(found["waiting"], 1)

    def test_lanes_of_what_waits_are_its_part_and_below_the_others(self):
        for waiting, drawn in ((1, 1), (9, 9), (500, strips.LANES - strips.SERVED)):
            ports = set(range(1, waiting + 1))
            found, bars = self.queued((89, ports), (111, ports))
            self.assertEqual((found["waiting"], len(bars)), (waiting, drawn))
            self.assertEqual(found["bars"][0]["lane"], 0)
            self.assertGreater(min(bar["lane"] for bar in bars), 0)
            self.assertEqual(max(bar["lane"] for bar in bars), bars[0]["lane"] + drawn - 1)
            self.assertLess(bars[-1]["lane"], strips.LANES)

    def test_nobody_waits_or_nobody_can_tell(self):
        for looks, waiting in ((((89, set()), (111, set())), 0), (((89, None),), None), ((), None)):
            found, bars = self.queued(*looks)
            self.assertEqual((found["waiting"], bars, found["seen"]), (waiting, [], 1))
        self.assertNotIn("waiting", strips.strip([*self.lane, *request(1, 100, 7)], strips.Lanes(), 20))

    def waits(self, port, wanted):
        """What has been sent may take the kernel a moment."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while backlog.waiting(port) != wanted and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(backlog.waiting(port), wanted)

    def test_who_is_in_the_queue_of_the_kernel(self):
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = listener.getsockname()[1]
            clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(3)]
            for client in clients[:2]:
                client.sendall(b"GET / HTTP/1.1\r\n")
            ports = [client.getsockname()[1] for client in clients]
            self.waits(port, set(ports[:2]))  # the third has asked for nothing
            stack.enter_context(listener.accept()[0])
            self.waits(port, {ports[1]})
        with mock.patch("socket.socket", side_effect=PermissionError):
            self.assertIsNone(backlog.waiting(port))

    def test_what_began_before_the_strip_is_cut(self):
        found = strips.strip([*self.lane, *request(1, 100, 7)], strips.Lanes(), 5)
        self.assertEqual(found["bars"][0]["phases"], [["wait", "sleep", 0.0, 5.0]])

    def test_a_sample_of_connections(self):
        events = self.lane + [one for i in range(100) for one in request(i, 100, i)]
        found = strips.strip(events, strips.Lanes(), 20)
        self.assertEqual((found["seen"], found["connections"], len(found["bars"])), (100, 100, strips.LANES))

    def test_no_more_requests_than_can_be_drawn(self):
        events = self.lane + [one for i in range(3000) for one in request(i, 100 + i / 100, i % 100)]
        bars = strips.strip(events, strips.Lanes(), 60)["bars"]
        self.assertLessEqual(len(bars), strips.DRAWN)
        self.assertGreater(len(bars), strips.DRAWN / 2)

    def test_what_is_not_of_the_step(self):
        events = [*self.lane, *request(1, 100, 7), *request(2, 80, 8, "GET /plaintext")]
        events.append(event("X", 85_000, "GET /plaintext", dur=1000))
        found = strips.strip(events, strips.Lanes(), 50, ("GET /plaintext",))
        self.assertEqual((found["seen"], found["connections"], found["cores"]), (1, 1, []))
        server = types.SimpleNamespace(admin=None)
        for asked, others in (("asks /delay/100 12 times", (strips.BEFORE,)), ("asks /plaintext", ())):
            self.assertEqual(strips.Watch(server, None, asked).others, others)

    def test_lanes_stay(self):
        lanes = strips.Lanes()
        before = dict(lanes.take(strips.requests([one for i in range(3) for one in request(i, 0, i)])))
        after = lanes.take(strips.requests([one for i in (5, 1, 2) for one in request(i, 20, i)]))
        self.assertEqual((after[1], after[2], after[5]), (before[1], before[2], before[0]))

    def test_routes_are_apart(self):
        events = [*request(1, 0, 1, "GET /a"), *request(2, 0, 2, "GET /b"), *request(3, 0, 3, "GET /a")]
        self.assertEqual(strips.Lanes().take(strips.requests(events)), {1: 0, 2: strips.LANES - 1, 3: 1})

    def test_how_long_a_strip_is(self):
        seen = strips.requests([one for i in range(40) for one in request(i, i / 2, i)])
        self.assertEqual(strips.length_ms(seen), 25)
        self.assertEqual(strips.length_ms([]), strips.MOST_MS // 2)
        self.assertLessEqual(strips.length_ms(seen[:1]), strips.MOST_MS)

    def test_pieces_of_a_core(self):
        near = [event("X", 1000 + i, "GET /x", dur=1) for i in range(100)]  # without a gap that can be seen
        far = [event("X", 9000, "GET /x", dur=100)]
        self.assertEqual(strips.cores(near + far, 0, 10_000), [[0, 1.0, 1.1], [0, 9.0, 9.1]])


class Guesses(unittest.TestCase):
    def finding(self, samples, holds=True):
        return Finding(holds, "", (), (), "", samples)

    def test_every_experiment_has_one(self):
        for claim in explain.CLAIMS.values():
            self.assertTrue(guesses.of(claim).plain()["prompt"])
            self.assertIn(claim.name, guesses.GUESSES)

    def test_what_the_samples_show(self):
        samples = {name: {"good": 100 * n, "seconds": 2.0} for n, name in enumerate(("threads", "epoll", "io_uring"))}
        self.assertEqual(guesses.found(explain.CLAIMS["models"], self.finding(samples)), 100.0)
        for p99, holds, right in ((0.001, False, 0), (0.0014, True, 1), (0.01, True, 1)):
            inline = {"p50": 0.0002, "p99": p99}
            taken = {"no heavy requests": [{"p50": 0.001, "p99": 0.001}], "heavy, inline": [inline]}
            self.assertEqual(guesses.found(explain.CLAIMS["compute"], self.finding(taken, holds)), right)
        for holds in (True, False):
            self.assertEqual(guesses.found(explain.CLAIMS["sequence"], self.finding({}, holds)), int(holds))

    def test_what_the_samples_show_where_the_verdict_has_more_conditions(self):
        made = {"client": sample_experiments.of_client, "retries": sample_experiments.of_retries}
        for name, make in {**made, "proxy": sample_experiments.of_proxy}.items():
            finding = make()
            finding.holds = False
            self.assertEqual(guesses.found(explain.CLAIMS[name], finding), 1, name)
        as_long = {"a": {"ends": [1.2]}, "b": {"ends": [1.2]}}
        well = {"back": {"no shedding": 0.95}}
        free = {"nginx, waiting, limited": {"concurrency": 60.0}}
        for name, samples in (("client", as_long), ("retries", well), ("proxy", free)):
            self.assertEqual(guesses.found(explain.CLAIMS[name], self.finding(samples)), 0, name)

    def test_a_run_that_does_not_tell_has_none(self):
        asked = link.parse("sequence")
        for others, found, state in ((0.0, 0, "not"), (1.8, None, "unsure")):
            finding = Finding(False, "", ("",), (), missed=["it was otherwise"])
            event = running.concluded(asked, finding, [], others)
            self.assertEqual((event["found"], event["state"]), (found, state))
            self.assertEqual(event["truth"], asked.claim.truth)

    def test_samples_that_do_not_say(self):
        self.assertIsNone(guesses.found(explain.CLAIMS["models"], self.finding({})))


class Sources(unittest.TestCase):
    def test_every_experiment_shows_both(self):
        for name in explain.CLAIMS:
            shown = sources.of(name)
            self.assertTrue(shown, name)
            for one in shown:
                self.assertRegex(one["c"], r"(?m)^static void \w+\(torc_req \*rq, void \*arg\)$")
                self.assertTrue(one["c"].endswith("}"))
                self.assertRegex(one["node"], r"(?m)^async function \w+\(req, res, url\)")
                self.assertTrue(one["node"].endswith("}"))


class Questions(unittest.TestCase):
    def test_what_the_path_does_not_say(self):
        asked = Flow("/static/own/{seq:0}", 64, 3.0, 200, what="on disk")
        text = "64 connections ask /static/own/N (on disk), 200 times a second"
        self.assertEqual(running.question(asked), text)
        self.assertEqual(running.question(Flow("/plaintext", 1, 3.0)), "1 connection asks /plaintext")

    def test_the_step_that_makes_the_point(self):
        asked = link.parse("models")
        stage = running.Watched(None, link.Link(asked.claim, {}, "epoll"), [0])
        server = types.SimpleNamespace(child=1, admin=None)
        for label, point in (("threads on 1 core (--threads 200)", True), ("epoll on 1 core", False)):
            stage.labels[1] = label
            with mock.patch.object(running, "say") as said:
                stage._step(server, ["2,000 connections ask /delay/20"], 1.0)
            self.assertEqual(said.call_args[0][0]["point"], point)
        self.assertTrue(all(claim.point for claim in explain.CLAIMS.values()))


class Visits(unittest.TestCase):
    """What a run takes from the page, a line for each visit."""

    def visit(self, line):
        read, write = os.pipe()
        with os.fdopen(write, "w") as out:
            out.write(line)
        ask, subject = Ask("/delay/1", 2, "all"), types.SimpleNamespace(url="http://127.0.0.1:1")
        with os.fdopen(read) as stdin, mock.patch("sys.stdin", stdin), mock.patch.object(running, "say") as said:
            try:
                return running.Watched.visit(None, subject, ask)
            finally:
                said.assert_called_once_with(
                    {"event": "visit", "url": "http://127.0.0.1:1/delay/1", "count": 2, "mode": "all"}
                )

    def test_its_requests(self):
        self.assertEqual(self.visit('{"spans": [[0, 1, 2], [0, 2, 4]]}\n'), [(0, 0.001, 0.002), (0, 0.002, 0.004)])

    def test_what_is_no_visit(self):
        for line, why in (
            ('{"error": "Failed to fetch"}\n', "Failed to fetch"),
            ('{"spans": [[0, 1, 2]]}\n', "damaged"),
            ('{"spans": [[0, 1]]}\n', "damaged"),
            ('{"spans": [["a", 1, 2], [0, 1, 2]]}\n', "damaged"),
            ("[]\n", "damaged"),
            ("", "damaged"),
        ):
            with self.subTest(line=line), self.assertRaisesRegex(NoVisit, why):
                self.visit(line)


class Page(unittest.TestCase):
    def test_its_weight_and_that_it_loads_nothing_else(self):
        texts = [path.read_text() for path in server.FILES.values()]
        self.assertLessEqual(sum(len(text.encode()) for text in texts), PAGE_BYTES)
        for text in texts:
            self.assertNotRegex(text.replace("http://www.w3.org/2000/svg", ""), r"https?://|@import|innerHTML|eval\(")


class Served(Runs, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        more = mock.patch.dict(os.environ, self.environment({}))
        more.start()
        self.addCleanup(more.stop)
        self.lab = server.Lab(self.build)
        runner = server.runner_of(self.lab)
        await runner.setup()
        self.addAsyncCleanup(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.lab.port = runner.addresses[0][1]
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
        self.addAsyncCleanup(self.session.close)

    def url(self, path="", token=None):
        return f"http://127.0.0.1:{self.lab.port}/{token or self.lab.token}/{path}"

    async def asked(self, method="GET", path="", token=None, **more):
        async with self.session.request(method, self.url(path, token), **more) as answer:
            return answer.status, await answer.text()

    def start(self, asked, **more):
        return self.session.post(self.url("run"), data=json.dumps({"link": asked}), headers=JSON, **more)

    async def test_the_page(self):
        async with self.session.get(self.url()) as answer:
            self.assertEqual(answer.status, 200)
            self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
            self.assertIn("<title>torc lab</title>", await answer.text())
        for name, kind in (
            ("page.js", "text/javascript"),
            ("page.css", "text/css"),
            ("shared.js", "text/javascript"),
            ("shared.css", "text/css"),
        ):
            async with self.session.get(self.url(name)) as answer:
                self.assertEqual((answer.status, answer.content_type), (200, kind))
        self.assertEqual((await self.asked(path="server.py"))[0], 404)
        self.assertEqual((await self.asked(path="../cli.py"))[0], 403)
        listed = json.loads((await self.asked(path="experiments.json"))[1])
        self.assertEqual([one["name"] for one in listed], list(explain.CLAIMS))
        engines = {one["name"]: one["engines"] for one in listed}
        self.assertEqual((engines["compute"], engines["models"]), (["io_uring", "epoll"], []))

    async def test_what_is_no_http_shows_no_traceback(self):
        """In the terminal, that is: a handler that fails is shown there."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            for line in (b"\x16\x03\x01 nonsense\r\n\r\n", b"GET /" + 10_000 * b"a" + b" HTTP/1.1\r\n\r\n"):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.lab.port)
                writer.write(line)
                self.assertIn(b" 400 ", await asyncio.wait_for(reader.readline(), TIMEOUT_SECONDS))
                writer.close()
            self.assertEqual(said.getvalue(), "")
            with mock.patch.dict(server.FILES, {"page.js": self.scratch / "missing.js"}):
                self.assertEqual((await self.asked(path="page.js"))[0], 500)
        self.assertIn("FileNotFoundError", said.getvalue())

    async def test_without_the_token(self):
        for method, path in (
            ("GET", ""),
            ("GET", "experiments.json"),
            ("POST", "run"),
            ("GET", "page.js"),
            ("POST", "visited"),
        ):
            status, text = await self.asked(method, path, token="x")
            self.assertEqual(status, 403)
            self.assertIn("it has a token", text)
        async with self.session.get(f"http://127.0.0.1:{self.lab.port}/") as answer:
            self.assertEqual(answer.status, 403)

    async def test_another_host(self):
        for host in ("evil.example", f"evil.example:{self.lab.port}", "127.0.0.1", f"127.0.0.1:{self.lab.port}0"):
            status, text = await self.asked(headers={"Host": host})
            self.assertEqual(status, 403, host)
            self.assertIn("the host must be", text)
        self.assertEqual((await self.asked(headers={"Host": f"localhost:{self.lab.port}"}))[0], 200)

    async def test_another_origin(self):
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{self.lab.port}", "http://127.0.0.1"):
            status, text = await self.asked("POST", "run", headers={**JSON, "Origin": origin}, data="{}")
            self.assertEqual(status, 403, origin)
            self.assertIn("only the page of this server may ask", text)
        mine = f"http://127.0.0.1:{self.lab.port}"
        self.assertEqual((await self.asked("POST", "run", headers={**JSON, "Origin": mine}, data="{}"))[0], 400)

    async def test_what_no_run_begins_with(self):
        for body, status, why in (
            ('{"link": "nothing"}', 400, "takes an experiment of client, concurrent"),
            ('{"link": "models?connections=9999999"}', 400, "connections takes a whole number from 1 to 5,000"),
            ('{"link": 7}', 400, "takes an experiment of client, concurrent"),
            ('["models"]', 400, 'takes {"link"'),
            ("{", 400, 'takes {"link"'),
            ("x" * 5000, 413, ""),
        ):
            found, text = await self.asked("POST", "run", headers=JSON, data=body)
            self.assertEqual(found, status, body[:40])
            self.assertIn(why, text)
        self.assertEqual((await self.asked("POST", "run", data='{"link": "models"}'))[0], 415)
        self.assertFalse(self.lab.busy)

    async def test_a_visit_that_nobody_asked_for(self):
        self.assertEqual((await self.asked(path="visit.html"))[0], 404)
        self.assertEqual((await self.asked("POST", "visited", headers=JSON, data="{}"))[0], 409)
        self.assertEqual((await self.asked("POST", "visited", headers=JSON, data="{"))[0], 400)
        self.assertEqual((await self.asked("POST", "visited", data="{}"))[0], 415)

    async def test_a_frame_may_ask_one_origin(self):
        told = []

        async def tell(answer):
            told.append(answer)

        self.lab.run = types.SimpleNamespace(subject="http://127.0.0.1:5", tell=tell)
        policies = []
        for path in ("visit.html", ""):
            async with self.session.get(self.url(path)) as answer:
                policies.append(
                    dict(one.split(" ", 1) for one in answer.headers["Content-Security-Policy"].split("; "))
                )
                self.assertEqual(answer.headers["Referrer-Policy"], "no-referrer")
        frame, page = policies
        self.assertEqual((frame["connect-src"], page["connect-src"]), ("http://127.0.0.1:5", "'self'"))
        self.assertEqual((frame["default-src"], frame["script-src"]), ("'none'", "'self'"))
        self.assertEqual((frame["frame-ancestors"], page["frame-ancestors"]), ("'self'", "'none'"))
        self.assertEqual((await self.asked("POST", "visited", headers=JSON, data='{"spans": []}'))[0], 204)
        self.assertEqual(told, [{"spans": []}])
        self.lab.run = None

    async def test_a_run(self):
        async with self.start("abuse?rounds=3") as answer:
            self.assertEqual(answer.status, 200)
            events = [json.loads(line) async for line in answer.content if line.strip()]
        names = [one["event"] for one in events]
        self.assertEqual(
            (names[0], names[-1], names.count("step"), names.count("measured")), ("begin", "finding", 9, 9)
        )
        self.assertIn("Beside a client that asks for", events[-1]["verdict"])
        self.assertEqual(events[1]["server"], "io_uring on 1 core (--rate-limit 100)")
        await self.ended()

    async def test_a_run_that_fails_says_why(self):
        (self.build / "src/torc-load").write_text("#!/bin/sh\necho 'no such option' >&2\nexit 2\n")
        async with self.start("abuse") as answer:
            events = [json.loads(line) async for line in answer.content if line.strip()]
        self.assertEqual(events[-1], {"event": "failed", "text": "torc-load ended (2): no such option"})
        await self.ended()

    async def test_one_at_a_time_until_the_page_is_closed(self):
        os.environ["FAKE_STUCK"] = "1"
        async with self.start("abuse") as answer:
            await self.until_asked(answer)
            family = proc.family(self.lab.run.process.pid)
            self.assertGreaterEqual(len(family), 3)  # the run, a server, a load
            async with self.start("abuse") as other:
                self.assertEqual(other.status, 409)
                self.assertIn("a run is in progress", await other.text())
            answer.close()
        await self.ended()
        self.assertEqual([pid for pid in family if context.runs(pid)], [])
        os.environ["FAKE_STUCK"] = "0"
        async with self.start("abuse") as answer:
            self.assertEqual(answer.status, 200)
        await self.ended()

    async def until_asked(self, answer):
        """Until a load is stuck."""
        async for line in answer.content:
            if line.strip() and json.loads(line)["event"] == "step":
                break
        while len(proc.family(self.lab.run.process.pid)) < 3:
            await asyncio.sleep(0.01)

    async def ended(self):
        for _ in range(TIMEOUT_SECONDS * 20):
            if not self.lab.busy:
                self.nothing_is_left()
                return
            await asyncio.sleep(0.05)
        self.fail("the run goes on")


class Ended(Runs):
    def test_a_signal_ends_the_server_and_its_run(self):
        words = [*BENCH, "lab", "--no-browser", "--build", str(self.build)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        lab = subprocess.Popen(words, env=self.environment({"FAKE_STUCK": "1"}), **streams)
        self.addCleanup(lab.stdout.close)
        self.addCleanup(lab.stderr.close)
        url = lab.stdout.readline().strip()
        asked = ["curl", "-sN", "-X", "POST", "-H", "Content-Type: application/json", "-d", '{"link": "abuse"}']
        page = subprocess.Popen([*asked, url + "run"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(page.stdout.close)
        while '"step"' not in page.stdout.readline():
            pass
        family = proc.family(lab.pid)
        self.assertGreaterEqual(len(family), 3)
        lab.send_signal(signal.SIGINT)
        self.assertEqual(lab.wait(TIMEOUT_SECONDS), 128 + signal.SIGINT)
        page.wait(TIMEOUT_SECONDS)
        self.assertEqual([pid for pid in family if context.runs(pid)], [])
        self.nothing_is_left()


if __name__ == "__main__":
    unittest.main()
