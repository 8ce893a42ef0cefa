"""The experiments' verdicts follow their samples, and torc-bench explain says what it cannot do."""

import contextlib
import dataclasses
import functools
import io
import json
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
import fakes
import sample_experiments
from runs import Runs

from lib import explain, proc, remarks, results, schema
from lib.lab import abuse, client, clients, compute, concurrent, database, faster, files, flow, judged, models, overload
from lib.lab import proxy, retries, sequence, stage
from lib.page import svg

SEEN = flow.Seen(seconds=2.0, good=300, refused=0, given_up=0, failed=0, unsent=0, p50=0.001, p99=0.010, cpus=0.5)


def seen(**more):
    return dataclasses.replace(SEEN, **more)


class Client(unittest.TestCase):
    def conclude(self, seq, together, **more):
        """By clients with all answers at these seconds and with at most that many requests in progress."""
        taken = {}
        for name in clients.CLIENTS:
            times, peak = more.get(name, together)
            taken[name, "seq"] = client.Asked([seq[0] * n / client.COUNT for n in range(1, 13)], seq[1], 0.002)
            taken[name, "all"] = client.Asked(times, peak, 0.001)
        return client.conclude(taken)

    at_once, waves = ([0.101] * 12, 12), ([0.101] * 6 + [0.202] * 6, 6)

    def test_the_client_decides(self):
        finding = self.conclude((1.21, 1), self.at_once, browser=self.waves)
        self.assertTrue(finding.holds)
        self.assertIn("torc-load 1,210 ms one after another and 101 ms together, Node.js 1,210 ms", finding.verdict)
        self.assertIn("at most 6 in progress: its seventh answer comes after 202 ms", finding.verdict)
        self.assertEqual(finding.rows[-1], ["a browser", "together", "202 ms", "202 ms", "6", "1.0 ms"])

    def test_a_browser_without_a_limit(self):
        self.assertFalse(self.conclude((1.21, 1), self.at_once).holds)
        self.assertFalse(self.conclude((1.21, 1), self.at_once, browser=([0.101] * 12, 6)).holds)

    def test_a_loop_that_secretly_asks_for_all_at_once(self):
        self.assertFalse(self.conclude((0.1, 12), self.at_once, browser=self.waves).holds)
        self.assertFalse(self.conclude((1.21, 12), self.at_once, browser=self.waves).holds)

    def test_requests_together_that_wait_for_each_other(self):
        slow = ([0.1 * n for n in range(1, 13)], 12)
        self.assertFalse(self.conclude((1.21, 1), slow, browser=self.waves).holds)
        self.assertFalse(self.conclude((1.21, 1), self.at_once, browser=self.waves, node=([0.101] * 12, 6)).holds)

    def test_without_a_browser(self):
        mine = ("torc-load", "seq"), ("torc-load", "all")
        done = zip(mine, (client.Asked([0.101 * n for n in range(1, 13)], 1, 0), client.Asked([0.101] * 12, 12, 0)))
        finding = client.conclude(dict(done))
        self.assertTrue(finding.holds)
        self.assertNotIn("browser", finding.verdict)

    def taken(self, visit):
        """With a page, whose browser does that; what was asked, by whom and with which options."""
        asked = []

        def ask(stage, label, mode, run, *args):
            asked.append((label, mode, args))
            if label == client.YOURS:
                visit()
            return client.Asked([0.1] * 12, 6, 0.001, [(0.0, 0.0, 0.1)] * 12)

        here = types.SimpleNamespace(visitor="http://127.0.0.1:1", notes={}, place=None, lacks=lambda *_: False)
        with mock.patch.object(client, "_asked", ask):
            return client.take(here), here.notes, asked

    def test_the_browser_of_the_page_asks(self):
        finding, notes, asked = self.taken(lambda: None)
        allowed = ("--allow-origin", "http://127.0.0.1:1")
        self.assertEqual([one for one in asked if one[2]], [(client.YOURS, mode, allowed) for mode in ("seq", "all")])
        self.assertNotIn("a browser", [label for label, *_ in asked])
        self.assertIn(" Your browser has at most 6 in progress", finding.verdict)
        self.assertEqual((notes, finding.rows[-1][0]), ({}, "your browser"))

    def test_a_page_that_does_not_reach_the_server(self):
        def refused():
            raise stage.NoVisit("Failed to fetch")

        finding, notes, asked = self.taken(refused)
        self.assertIn(("a browser", "all", ()), asked)
        self.assertEqual(list(notes), ["your browser did not ask the server itself: Failed to fetch"])
        self.assertEqual(finding.rows[-1][0], "a browser")

    def test_a_client_that_tells_no_order_has_none(self):
        """What is drawn of torc-load is made up of the lengths of its requests."""
        ask = clients.Ask("/", 3, "seq")
        spans = clients.CLIENTS["torc-load"].read(
            json.dumps({"latency_ns": {"raw": {"histogram": [[10**8, 2], [10**9, 1]]}}}), ask
        )
        self.assertEqual([round(end - begin, 6) for begin, _, end in spans], [0.1, 0.1, 1.0])
        finding = self.conclude((1.21, 1), self.at_once, browser=self.waves)
        seventh = {(row[0], row[1]): row[3] for row in finding.rows}
        self.assertEqual(seventh["torc-load", "one after another"], "–")
        self.assertEqual(seventh["Node.js", "one after another"], "706 ms")
        captions = [one.caption for one in finding.pictures]
        said = "torc-load tells how long each took, and not when: the shortest are drawn first"
        self.assertEqual([said in one for one in captions], [True, False, False])

    def test_what_clients_print(self):
        ask = clients.Ask("/", 3, "all")
        load = json.dumps({"latency_ns": {"raw": {"histogram": [[10**8, 1], [2 * 10**8, 2]]}}})
        read = {name: one.read for name, one in clients.CLIENTS.items()}
        self.assertEqual(read["torc-load"](load, ask), [(0.0, 0.0, 0.1), (0.0, 0.0, 0.2), (0.0, 0.0, 0.2)])
        ends = [0.1, 0.1 + 0.2, 0.1 + 0.2 + 0.2]
        spans = [(begin, begin, end) for begin, end in zip([0.0, *ends], ends)]
        self.assertEqual(read["torc-load"](load, dataclasses.replace(ask, mode="seq")), spans)
        self.assertEqual(read["node"]("[[0, 0, 250.5]]\n", ask), [(0.0, 0.0, 0.2505)])
        text = "<html><pre>[[0,0,\n100],[1,100,200]]</pre></html>"
        self.assertEqual(read["browser"](text, ask), [(0.0, 0.0, 0.1), (0.001, 0.1, 0.2)])
        for wrong in ("", "<pre>TypeError: &quot;x&quot;</pre>", "[1]"):
            self.assertRaisesRegex(
                proc.ProcessError, r'no answers: (it printed nothing|TypeError: "x"|\[1\])', read["browser"], wrong, ask
            )


class Models(unittest.TestCase):
    def conclude(self, threads, epoll, uring):
        rates = zip(models.SETTINGS, (threads, epoll, uring))
        measures = {"concurrency": 1990.4, "parallelism": 0.5, "asynchrony": 0.9991}
        return models.conclude({name: (seen(good=2 * rate, cpus=cpus), measures) for name, (rate, cpus) in rates})

    def test_threads_are_a_ceiling(self):
        finding = self.conclude((9_800, 0.4), (97_500, 0.8), (80_000, 0.95))
        self.assertTrue(finding.holds)
        self.assertIn("200 threads serve 9,800 requests/s, 98 % of the most that they can", finding.verdict)
        self.assertIn("epoll serves 97,500 requests/s on 0.80 CPUs, io_uring serves 80,000", finding.verdict)
        self.assertEqual(finding.rows[0][-3:], ["1,990", "0.50", "0.999"])

    def test_a_server_that_stays_below_its_ceiling_with_an_idle_core(self):
        """Of that server it is said; what is plain, a factor of eight, is not in doubt for it."""
        finding = self.conclude((9_800, 0.4), (97_500, 0.8), (80_000, 0.6))
        self.assertTrue(finding.holds)
        self.assertIn("while a request waits serves over 8 times as many: epoll serves 97,500", finding.verdict)
        self.assertIn(
            "Beside that: below 97 % of the most that arithmetic allows, although the core has time left: io_uring "
            "(80.0 %). Something else limits it",
            finding.verdict,
        )
        self.assertNotIn("Beside that", self.conclude((9_800, 0.4), (97_500, 0.8), (98_000, 0.6)).verdict)
        busy = self.conclude((9_800, 0.4), (97_500, 0.8), (80_000, 0.95))  # its core is full
        self.assertNotIn("Beside that", busy.verdict)

    def test_a_server_that_stays_near_the_pool_with_an_idle_core(self):
        for rate in (9_700, 9_900, 14_000):
            finding = self.conclude((9_800, 0.4), (97_500, 0.8), (rate, 0.6))
            self.assertFalse(finding.holds, rate)
            self.assertIn(f"io_uring ({rate / 1000:.1f} %) stayed below what arithmetic", "; ".join(finding.missed))

    def test_a_pool_that_is_hindered_is_not_passed_by_less_than_it_could(self):
        self.assertFalse(self.conclude((5_000, 0.4), (9_000, 0.95), (97_500, 0.8)).holds)
        finding = self.conclude((5_000, 0.4), (97_500, 0.8), (97_500, 0.8))
        self.assertTrue(finding.holds)
        self.assertIn("50 % of the most that they can, on 0.40 CPUs; one thread", finding.verdict)
        self.assertIn("serves over 9 times the most that they can: epoll", finding.verdict)
        self.assertIn("the core has time left: threads (50.0 %).", finding.verdict)

    def test_a_pool_that_secretly_serves_more_than_its_threads_can(self):
        finding = self.conclude((12_000, 0.4), (97_500, 0.8), (97_500, 0.8))
        self.assertEqual(finding.missed, ["a pool of threads served more than arithmetic allows"])

    def test_a_loop_that_serves_no_more_than_the_pool(self):
        for rate, cpus in ((9_700, 0.4), (9_700, 0.95)):
            finding = self.conclude((9_800, 0.4), (97_500, 0.8), (rate, cpus))
            self.assertIn("one thread that serves others served no more than a pool of threads can", finding.missed)
            self.assertIn("while a request waits serves no more: epoll", finding.verdict)

    def beside(self, name, rate, threads, cpus=0.95):
        """With the server of another program, where all others are as they are expected to be."""
        one = seen(good=2 * rate, cpus=cpus)
        known = {"threads": (seen(good=19_600), {}), "epoll": (seen(good=195_000), {})}
        return models.conclude({**known, name: (one, models.bounds(one, threads))})

    def test_another_server_that_waits_without_threads(self):
        finding = self.beside("node", 15_000, 11)
        self.assertTrue(finding.holds)
        text = "Node.js serves 15,000 requests/s on 0.95 CPUs: 300 wait at once, and it has 11 threads."
        self.assertIn(text, finding.verdict)
        self.assertEqual(finding.rows[-1][-3:], ["≥ 300", "≤ 0.95", "≥ 0.963"])

    def test_another_server_below_its_ceiling(self):
        finding = self.beside("node", 15_000, 11, 0.6)
        self.assertTrue(finding.holds)
        self.assertIn("although the core has time left: Node.js (15.0 %).", finding.verdict)

    def test_another_server_that_may_wait_on_threads(self):
        self.assertFalse(self.beside("node", 15_000, 300).holds)

    def test_another_server_with_a_pool(self):
        finding = self.beside("java", 9_800, 216, 0.6)
        self.assertTrue(finding.holds)
        self.assertIn("9,800 requests/s on 0.60 CPUs, 98 % of the most that its 200 threads can.", finding.verdict)
        self.assertEqual(finding.rows[-1][-3:], ["≥ 196", "≤ 0.60", "≥ 0.000"])

    def test_a_pool_that_secretly_waits_without_its_threads(self):
        self.assertFalse(self.beside("java", 12_000, 216).holds)

    def test_threads_that_serve_as_much(self):
        self.assertFalse(self.conclude((98_000, 0.8), (97_500, 0.8), (97_500, 0.8)).holds)


class Compute(unittest.TestCase):
    def conclude(self, alone, inline, work):
        values = zip(compute.WHERE, (alone, inline, work))
        return compute.conclude({name: [seen(p99=p99)] + [SEEN] * bool(compute.WHERE[name]) for name, p99 in values})

    def test_a_core_that_computes_keeps_others_waiting(self):
        finding = self.conclude(0.001, 0.012, 0.002)
        self.assertTrue(finding.holds)
        text = "within 1.0 ms by an idle core, within 12.0 ms where requests compute for 10 ms on that core"
        self.assertIn(text, finding.verdict)

    def test_requests_that_secretly_run_elsewhere(self):
        self.assertFalse(self.conclude(0.001, 0.001, 0.001).holds)

    def test_a_pool_that_does_not_help(self):
        self.assertFalse(self.conclude(0.001, 0.012, 0.012).holds)


class Sequence(unittest.TestCase):
    def conclude(self, seq, together):
        times = zip(sequence.MODES, (seq, together))
        return sequence.conclude({(what, name): seen(p50=p50) for name, p50 in times for what in sequence.PATHS})

    def test_waits_together_are_shorter(self):
        finding = self.conclude(0.165, 0.041)
        self.assertTrue(finding.holds)
        self.assertIn("8 HTTP calls of 20 ms take 165 ms one after another and 41.0 ms together", finding.verdict)
        self.assertEqual(finding.rows[0][-1], "4.0")

    def test_a_handler_that_secretly_waits_for_all_at_once(self):
        self.assertFalse(self.conclude(0.041, 0.041).holds)


class Concurrent(unittest.TestCase):
    def conclude(self, waiting, computing, more=(300, 306, 98, 190)):
        """From L, P and A of one core that waits and of eight that compute, and what each setting answered."""
        keys = ("concurrency", "parallelism", "asynchrony")
        found = waiting, waiting, (2.0, 0.99, 0.5), computing
        each = zip(concurrent.SETTINGS, found, more)
        return concurrent.conclude({name: (seen(good=good), dict(zip(keys, one))) for name, one, good in each})

    def test_many_in_progress_and_one_at_a_time(self):
        finding = self.conclude((1990.0, 0.03, 1.0), (2.0, 1.98, 0.01))
        self.assertTrue(finding.holds)
        self.assertIn("One core had 1,990 requests in progress, and ran the code of 0.03 at a time", finding.verdict)
        self.assertIn("1.94 times the requests that compute, and 1.02 times those that wait.", finding.verdict)
        self.assertTrue(finding.headline.startswith("1,990 requests were in progress on one core of this machine"))

    def test_like_stands_beside_like(self):
        finding = self.conclude((1990.0, 0.03, 1.0), (2.0, 1.98, 0.01))
        self.assertEqual([row[0].split(", ")[1] for row in finding.rows], ["all wait"] * 2 + ["eight compute"] * 2)
        _, computing, waiting = finding.pictures
        for picture, rates, most in ((computing, [49.0, 95.0], [100, 200]), (waiting, [150.0, 153.0], [4000, 4000])):
            self.assertEqual([bar.name for bar in picture.bars], ["1 core", "2 cores"])
            self.assertEqual([bar.value for bar in picture.bars], rates)
            self.assertEqual([bar.limit for bar in picture.bars], most)

    def test_cores_that_gain_nothing_for_what_computes(self):
        finding = self.conclude((1990.0, 0.03, 1.0), (2.0, 1.98, 0.01), (300, 300, 98, 99))
        self.assertEqual(finding.missed, ["two cores served only 1.01 times the requests that compute"])

    def test_cores_that_gain_something_for_what_waits(self):
        finding = self.conclude((1990.0, 0.03, 1.0), (2.0, 1.98, 0.01), (300, 400, 98, 190))
        self.assertEqual(finding.missed, ["two cores served 1.33 times the requests that wait"])

    def test_a_core_that_runs_more_than_one_is_no_headline(self):
        self.assertEqual(self.conclude((1990.0, 1.2, 1.0), (2.0, 1.98, 0.01)).headline, "")

    def test_cores_that_run_one_after_the_other(self):
        self.assertFalse(self.conclude((1990.0, 0.03, 1.0), (2.0, 1.0, 0.5)).holds)

    def test_few_in_progress(self):
        self.assertFalse(self.conclude((200.0, 0.03, 1.0), (2.0, 1.98, 0.01)).holds)


class Faster(unittest.TestCase):
    def conclude(self, threads, epoll, uring):
        rates = dict(zip(faster.MODELS, (threads, epoll, uring)))
        return faster.conclude({(what, name): [seen(good=rates[name])] * 3 for what in faster.ASKED for name in rates})

    def test_no_gain(self):
        finding = self.conclude(1000, 1050, 990)
        self.assertTrue(finding.holds)
        self.assertIn("only computing: epoll 1.05 times the requests/s of threads, io_uring 0.99", finding.verdict)
        self.assertEqual(finding.rows[0][1:4], ["500", "525", "495"])

    def test_parallelism_as_it_is_defined(self):
        """Code that runs at the same instant: one to a core, though the sum of a server may have more."""
        theory = self.conclude(1000, 1050, 990).theory
        self.assertIn("one core, which runs one of them at a time: P is at most 1. Its figure here can be", theory)
        self.assertNotIn("P counts each whose code has begun", theory)

    def test_a_model_that_is_faster(self):
        self.assertFalse(self.conclude(1000, 1200, 1000).holds)


class Abuse(unittest.TestCase):
    def taken(self, limited, unlimited):
        names = list(abuse.SETTINGS)
        abusive = seen(good=200, refused=1800)
        return {
            names[0]: [[SEEN]] * 3,
            names[1]: [[seen(p99=one), abusive] for one in limited],
            names[2]: [[seen(p99=one), seen(good=2000)] for one in unlimited],
        }

    def test_a_limit_that_protects(self):
        finding = abuse.conclude(self.taken((0.011, 0.012, 0.5), (0.9, 1.0, 1.1)))
        self.assertTrue(finding.holds)
        self.assertIn("is 12.0 ms, 1.20 times the 10.0 ms", finding.verdict)
        self.assertIn("without a limit it is 1,000 ms.", finding.verdict)
        self.assertIn("Of 1,000 requests/s the abusive client is served 100.", finding.verdict)
        self.assertEqual(finding.rows[0][-2:], ["–", "–"])
        self.assertEqual(finding.rows[1][-2:], ["100", "900"])

    def test_a_limit_that_does_not(self):
        finding = abuse.conclude(self.taken((0.011, 0.0121, 0.5), (0.9, 1.0, 1.1)))
        self.assertFalse(finding.holds)
        self.assertRegex(finding.missed[0], r"^their p99 was \d+\.\d times what they have alone$")

    def test_requests_that_were_never_sent_are_part_of_the_verdict(self):
        taken = self.taken((0.009, 0.010, 0.011), (0.010, 0.012, 0.02))
        for rounds, unsent in zip(taken.values(), (0, 30, 2700)):
            rounds[:] = [[seen(good=300, p99=one[0].p99, unsent=unsent), *one[1:]] for one in rounds]
        finding = abuse.conclude(taken)
        self.assertEqual(finding.unsure, ["beside it, limited: 9 % of the good clients' requests were never sent"])
        self.assertIn(", and 90 % of their requests cannot even be sent.", finding.verdict)


class Database(unittest.TestCase):
    measures = {"concurrency": 8.0, "asynchrony": 1.0}

    def conclude(self, without, bounded):
        names = list(database.SETTINGS)
        low = {(name, times): (SEEN, {}) for times in database.TIMES for name in names}
        high = {(names[0], 2.0): (without, self.measures), (names[1], 2.0): (bounded, self.measures)}
        return database.conclude({**low, **high})

    def test_a_bounded_queue_keeps_the_goodput(self):
        bounded = seen(good=380, refused=420, p99=0.06)
        finding = self.conclude(seen(good=390, p50=0.9, p99=1.0), bounded)
        self.assertTrue(finding.holds)
        self.assertIn("answers 195 requests/s in time, half of them after more than 900 ms", finding.verdict)
        self.assertIn("it answers 190, 95 % of the ceiling, 99 % of them within 60.0 ms", finding.verdict)
        self.assertIn("refuses 210 each second", finding.verdict)
        self.assertEqual(finding.rows[0][-2:], ["–", "–"])
        self.assertEqual(finding.rows[-1][-2:], ["8.00", "1.00"])

    def test_without_limits_nothing_may_be_in_time(self):
        nothing = seen(good=0, given_up=800, p50=0.0, p99=0.0)
        finding = self.conclude(nothing, seen(good=380, refused=420, p99=0.06))
        self.assertTrue(finding.holds)
        self.assertIn("answers 0 requests/s in time; 400 each second wait 1 s for nothing", finding.verdict)

    def test_a_database_that_is_not_the_bottleneck(self):
        quick = seen(good=800)
        self.assertFalse(self.conclude(quick, quick).holds)

    def test_a_bounded_queue_that_answers_too_little(self):
        self.assertFalse(self.conclude(seen(good=390, p50=0.9), seen(good=350, p99=0.06)).holds)


class Proxy(unittest.TestCase):
    def conclude(self, light=None, free=63.0, bound=7.9, parallel=0.98, limited=SEEN):
        """Both proxies with these figures, and a server that answers light requests within a ms for 1 ms of CPU."""
        light = light or seen(p50=0.0015, cpus=0.3)
        direct = seen(p50=0.001, cpus=0.15)
        measures = {"waiting": free, "waiting, limited": bound, "light": 0.1, "computing": 8.0}
        taken = {(proxy.DIRECT, what): (direct, {}) for what in proxy.FREE}
        for name in proxy.LABELS:
            for what, concurrency in measures.items():
                also = {"concurrency": concurrency, "parallelism": parallel}
                queued = seen(good=160, mean=0.8)  # 64 at once, by Little's law
                given = {"light": light, "waiting, limited": limited if name == "nginx" else queued}
                taken[name, what] = given.get(what, SEEN), also
        return proxy.conclude(taken)

    def test_a_proxy_queues_and_runs_nothing(self):
        finding = self.conclude()
        self.assertTrue(finding.holds)
        text = "A proxy adds time: 1.5 ms through nginx, 1.5 ms through HAProxy, 1.0 ms without."
        self.assertIn(text, finding.verdict)
        self.assertTrue(finding.verdict.endswith("; HAProxy lets in 8 and queues 56."), finding.verdict)
        self.assertEqual([row[6] for row in finding.rows if row[1] == "light"], ["1.0 ms", "2.0 ms", "2.0 ms"])

    def test_the_sentence_has_the_numbers_of_the_picture(self):
        found = sample_experiments.of_proxy()
        (row,) = [one for one in found.pictures[0].stacks if one.name == "HAProxy, 8 connections"]
        self.assertEqual(row.text, "8 + 55")  # 79 a second × 0.8 s, of which 7.9 within
        self.assertIn("HAProxy lets in 8 and queues 55.", found.verdict)

    def test_no_more_wait_than_clients_have_connections(self):
        self.assertEqual(sum(proxy.layers(seen(good=160, mean=0.83), {"concurrency": 7.9})[:2]), proxy.CONNECTIONS)

    def test_a_queue_is_looked_at_when_it_is_full(self):
        """The first round of all clients finds it shorter than later ones."""
        for one in proxy.LIMITED.values():
            self.assertGreater(one.warmup, one.connections / proxy.LIMIT * proxy.DELAY_MS / 1000)

    def test_a_proxy_that_refuses(self):
        finding = self.conclude(limited=seen(failed=600, mean=0.1))
        self.assertTrue(finding.holds)
        text = "With 8 connections to the server, nginx lets in 8 of 64 and refuses 300 each second; HAProxy"
        self.assertIn(text, finding.verdict)

    def test_a_proxy_that_takes_no_longer(self):
        verdict = self.conclude(light=seen(p50=0.001, cpus=0.3)).verdict
        self.assertTrue(verdict.startswith("A proxy need not add time: 1.0 ms through nginx, 1.0 ms"), verdict)

    def test_a_proxy_that_adds_nothing(self):
        self.assertFalse(self.conclude(light=seen(p50=0.0015, cpus=0.15)).holds)

    def test_a_proxy_that_queues_without_a_limit(self):
        self.assertFalse(self.conclude(free=8.0).holds)

    def test_a_limit_that_does_not_hold(self):
        self.assertFalse(self.conclude(bound=12.0).holds)

    def test_a_server_that_is_parallel(self):
        self.assertFalse(self.conclude(parallel=1.9).holds)

    def test_it_needs_a_proxy(self):
        with mock.patch("shutil.which", return_value=None):
            self.assertRegex(proxy.CLAIM.needs(), "^nginx is not installed.*; haproxy is not installed")


class Overload(unittest.TestCase):
    def conclude(self, twice, after=SEEN):
        names = list(overload.SETTINGS)
        taken = {(f"{times:g}×", name): SEEN for times in overload.TIMES for name in names}
        taken |= {("2×", names[0]): seen(p99=1.0), ("2×", names[1]): twice}
        taken |= {("after a spike", names[0]): SEEN, ("after a spike", names[1]): after}
        return overload.conclude(160.0, SEEN, taken)

    def test_shedding_keeps_goodput_and_latency(self):
        finding = self.conclude(seen(refused=340, p99=0.03))
        self.assertTrue(finding.holds)
        text = "twice its 160 requests/s, a core that refuses nothing answers 94 % of them, 99 % within 1,000 ms;"
        self.assertIn(text, finding.verdict)
        self.assertIn("; one that sheds load answers 94 %, 99 % within 30.0 ms.", finding.verdict)
        (row,) = [row for row in finding.rows if row[:2] == ["2×", "adaptive"]]
        self.assertEqual(row[-3:], ["30.0 ms", "3.0", "170"])

    def test_more_than_it_can_is_a_capacity_that_was_measured_too_low(self):
        finding = self.conclude(seen(good=426, p99=0.03))
        self.assertEqual(finding.unsure, ["it answered 133 % of its capacity, which was measured too low"])

    def test_a_short_run_has_a_spike_for_the_setting_that_is_judged(self):
        asked = []

        def ask(mode, flow):
            asked.append((mode, flow))
            return seen(good=380)

        self.assertEqual(self.taken(True, ask).rows[-1][:2], ["after a spike", "adaptive"])
        spike, after = [(mode, flow.seconds, flow.warmup) for mode, flow in asked[-2:]]
        short = overload.SHORT
        self.assertEqual((spike, after), (("adaptive", short.seconds, 0.0), ("adaptive", short.after, short.recovery)))
        self.assertLessEqual(sum(flow.seconds + flow.warmup for _, flow in asked), 16.0)
        finding = self.taken(False, ask)
        self.assertEqual([row[1] for row in finding.rows[-2:]], list(overload.SETTINGS))
        self.assertIn("After a spike: 5 s after one of 3 times the capacity.", finding.theory)

    def taken(self, quick, ask):
        """A run as on the page, of which each flow is asked with the server's --shed."""

        @contextlib.contextmanager
        def torc(_, mode):
            yield mode

        here = types.SimpleNamespace(quick=quick, given={"percent": 200}, torc=torc)
        here.seconds = functools.partial(stage.Stage.seconds, here)
        here.ask = lambda mode, flow: [ask(mode, flow)]
        return overload.take(here)

    def test_shedding_that_refuses_too_much(self):
        self.assertFalse(self.conclude(seen(good=280)).holds)

    def test_shedding_that_is_too_late(self):
        self.assertFalse(self.conclude(seen(p99=0.031)).holds)

    def test_a_server_that_does_not_recover(self):
        self.assertFalse(self.conclude(SEEN, seen(p99=0.5)).holds)


class Retries(unittest.TestCase):
    """Of a core that can answer 100 requests/s: 2 s before, 2 s of the spike, 4 s after."""

    def always(self, *parts, unsent=0):
        slices = [flow.Slice(0.1, attempts, good) for count, attempts, good in parts for _ in range(count)]
        return seen(slices=slices, unsent=unsent)

    def conclude(self, without, shed, unsent=0):
        settings = zip(retries.SETTINGS, (without, shed))
        parts = ((20, 7, 7), (20, 20, 1), (20, 15, 2))
        taken = {name: (self.always(*parts, (20, *end), unsent=unsent), SEEN) for name, end in settings}
        return retries.conclude(100.0, 2.0, 2.0, taken)

    def test_a_collapse_that_lasts_and_a_recovery(self):
        finding = self.conclude((28, 0), (8, 7))
        self.assertTrue(finding.holds)
        self.assertIn("that is 280 attempts/s, more than the 100 that it can answer", finding.verdict)
        self.assertIn("they get 0 % of the good answers that they got before", finding.verdict)
        self.assertIn("(shedding) it is 80, and they get 100 %.", finding.verdict)
        self.assertEqual(finding.rows[0][:5], ["no shedding", "70", "280", "0", "0 %"])

    def test_clients_that_can_no_longer_connect(self):
        finding = self.conclude((0, 0), (8, 7), unsent=764)
        self.assertTrue(finding.holds)
        self.assertIn(
            "that is 0 attempts/s, for connections are no longer accepted: 764 requests are never sent", finding.verdict
        )
        self.assertFalse(self.conclude((0, 0), (8, 7)).holds)

    def test_a_server_that_recovers_by_itself(self):
        finding = self.conclude((7, 7), (7, 7))
        self.assertFalse(finding.holds)
        self.assertIn("that is 70 attempts/s, no more than the 100", finding.verdict)

    def test_shedding_that_does_not_recover(self):
        self.assertFalse(self.conclude((28, 0), (28, 6)).holds)

    def test_a_collapse_that_retries_do_not_make(self):
        self.assertFalse(self.conclude((9, 0), (7, 7)).holds)

    def test_nothing_good_at_all(self):
        nothing = {name: (self.always((60, 7, 0)), SEEN) for name in retries.SETTINGS}
        self.assertFalse(retries.conclude(100.0, 2.0, 2.0, nothing).holds)


class Files(unittest.TestCase):
    def conclude(self, epoll, uring=None):
        both = {"epoll": epoll, "io_uring": uring}
        found = {(name, kind): each for name in both if both[name] for kind, each in zip(files.KINDS, both[name])}
        also = {"absent": 1.0, "asynchrony": 0.9}
        return files.conclude({key: (seen(p99=share), SEEN, {**also, "waits": share}) for key, share in found.items()})

    def test_a_core_that_waits_for_the_disk(self):
        finding = self.conclude((0.001, 0.2), (0.0, 0.001))
        self.assertTrue(finding.holds)
        true = "Reading a file that is not in memory makes a thread wait for the disk. "
        text = "The core waited 20.0 % of its time on epoll, 0.1 % on io_uring; for files in memory, at most 0.1 %."
        self.assertEqual(finding.verdict, true + text)
        self.assertEqual([row[3] for row in finding.rows[:2]], ["1.0 ms", "200 ms"])  # of light requests
        self.assertEqual(finding.rows[1][-2:], ["20.0 %", "100 %"])

    def test_without_io_uring(self):
        finding = self.conclude((0.0, 0.2))
        self.assertTrue(finding.holds)
        self.assertNotIn("on io_uring", finding.verdict)

    def test_a_disk_that_nobody_waits_for(self):
        self.assertFalse(self.conclude((0.0, 0.005), (0.0, 0.0)).holds)

    def test_a_core_that_waits_whatever_it_reads(self):
        self.assertFalse(self.conclude((0.15, 0.2), (0.0, 0.0)).holds)

    def test_a_ring_that_waits_too(self):
        self.assertFalse(self.conclude((0.0, 0.2), (0.0, 0.15)).holds)

    def test_without_epoll_nothing_is_shown(self):
        self.assertFalse(self.conclude(None, (0.0, 0.0)).holds)


class Flows(unittest.TestCase):
    def words(self, asked):
        with tempfile.TemporaryDirectory() as build:
            fakes.executable(Path(build) / "torc-load", "")
            return asked.words(Path(build), "http://server", Path("report"), ())

    def test_clients_that_try_again(self):
        asked = flow.Flow("/", connections=8, seconds=2.0, rate=50, deadline=0.25, retries=3, delay=1.5)
        words = self.words(asked)
        self.assertEqual(words[words.index("--deadline") :][:4], ["--deadline", "250ms", "--retry", "3"])
        self.assertNotIn("--deadline", self.words(dataclasses.replace(asked, deadline=0.0)))
        self.assertGreaterEqual(asked.longest, 1.5 + 0.5 + 2.0 + 10.0 + 3 * 0.25)

    def test_what_a_report_says(self):
        errors = {"connect": 1, "reset": 0, "timeout": 7, "status": 12, "framing": 0, "body": 0}
        latency = {"corrected": {"p50": 2_000_000, "p99": 9_000_000}}
        status = {"200": 30, "429": 4, "503": 6, "404": 2}
        report = {"seconds": 2.0, "status": status, "errors_measured": errors, "answered": 30, "unsent": 3}
        found = flow.seen({**report, "latency_ns": latency, "watch": {"cpu_ns": 1_500_000_000}})
        self.assertEqual((found.good, found.refused, found.given_up, found.failed, found.unsent), (30, 10, 7, 3, 3))
        self.assertEqual((found.p50, found.p99, found.per_second), (0.002, 0.009, 15.0))
        self.assertEqual(found.cpus, 0.75)
        self.assertEqual((found.retries, found.slices), (0, []))
        deadline = {"ns": 5, "attempts": 9, "retries": 4, "given_up": 7, "slices": [[6, 2, 100_000_000], [3, 1, 5]]}
        found = flow.seen({**report, "latency_ns": latency, "deadline": deadline})
        self.assertEqual((found.retries, found.slices[0]), (4, flow.Slice(0.1, 6, 2)))


class NeverSent(unittest.TestCase):
    """p50 and p99 of a flow have lower bounds in them, of requests that were due and never sent."""

    report = {"seconds": 2.0, "status": {"200": 30}, "errors_measured": {"timeout": 0, "status": 0}, "answered": 30}

    def seen(self, unsent):
        latency = {"corrected": {"p50": 2_000_000, "p99": 900_000_000}, "raw": {"mean": 1_000_000}}
        return flow.seen({**self.report, "latency_ns": latency, "unsent": unsent})

    def test_they_are_told_as_what_they_are(self):
        for unsent, times, words in (
            (0, ["2.0 ms", "900 ms"], "within 900 ms"),
            (70, ["≥ 2.0 ms", "≥ 900 ms"], "within 900 ms or more"),
        ):
            found = self.seen(unsent)
            self.assertEqual([found.time(found.p50), found.time(found.p99)], times)
            self.assertEqual(found.within, words)

    def test_by_the_experiments(self):
        some, late = self.seen(70), "900 ms or more"
        names = list(overload.SETTINGS)
        taken = {(f"{times:g}×", name): SEEN for times in overload.TIMES for name in names}
        taken |= {("2×", names[0]): some, ("after a spike", names[1]): SEEN}
        found = overload.conclude(160.0, SEEN, taken)
        self.assertIn(f"99 % within {late}; one that sheds load answers 94 %, 99 % within 10.0 ms.", found.verdict)
        self.assertEqual([row[5] for row in found.rows if row[:2] == ["2×", names[0]]], ["≥ 900 ms"])
        self.assertIn(f"come within {late}, and of one that refuses some within 10.0 ms;", found.brief)
        none = overload.conclude(160.0, SEEN, {**taken, ("2×", names[0]): dataclasses.replace(some, good=0)})
        self.assertIn("answers 0 % of them; one that sheds load answers 94 %, 99 % within", none.verdict)
        found = compute.conclude({name: [some if where == "inline" else SEEN] for name, where in compute.WHERE.items()})
        self.assertIn(f"within 10.0 ms by an idle core, within {late} where requests compute", found.verdict)
        rounds = {name: [[SEEN, SEEN]] for name in abuse.SETTINGS}
        rounds[list(abuse.SETTINGS)[2]] = [[some, SEEN]]
        found = abuse.conclude(rounds)
        self.assertIn(f"without a limit it is {late}, and 70 % of their requests cannot even be sent.", found.verdict)
        self.assertEqual([row[2] for row in found.rows], ["10.0 ms", "10.0 ms", "≥ 900 ms"])
        self.assertIn(f"within {late} if not.", found.brief)
        taken = {(name, times): some for name in database.SETTINGS for times in database.TIMES}
        found = database.conclude({key: (one, {}) for key, one in taken.items()})
        self.assertIn(f"99 % of them within {late}, and refuses", found.verdict)
        self.assertNotIn("half of them", found.verdict)


class Words(unittest.TestCase):
    def test_shedding_is_explained_where_it_is_first_said(self):
        """The question stands above all else of an experiment; the answer of all of them above the questions."""
        for claim in explain.CLAIMS.values():
            if "--shed" in claim.point:
                self.assertIn("(shedding: the server rejects at once what it cannot do in time)", claim.question)
        text = explain.answer(sample_experiments.entries(["retries"]))
        self.assertIn("rejects at once what it cannot do in time (shedding).", text)

    def test_turns_are_explained_or_not_spoken_of(self):
        for claim in explain.CLAIMS.values():
            made = sample_experiments.FINDINGS.get(claim.name, sample_experiments.of_stack)()
            self.assertNotRegex(f"{claim.question} {claim.truth} {made.verdict} {made.theory}", r"\bturns?\b")
        page = (context.TOP / "src/lab/page/page.js").read_text()
        explained = "turns of the loop (take what is ready, run it, wait again)"
        self.assertEqual((page.count("turns"), page.count(explained)), (1, 1))

    def test_a_verdict_can_be_said_in_a_breath_or_two(self):
        for made in (sample_experiments.of_proxy, sample_experiments.of_files, sample_experiments.of_overload):
            verdict = made().verdict
            words = [word for word in verdict.split() if word[0].isalnum()]
            self.assertLessEqual(len(words), 42, verdict)


class Judged(unittest.TestCase):
    def test_each_claim_says_what_is_true(self):
        for claim in explain.CLAIMS.values():
            self.assertRegex(claim.truth, r"^[A-Z].{40,}\.$", claim.name)

    def test_the_parts_that_are_not_so(self):
        self.assertEqual(judged.judge(True, [], [], 0.0), ("shown", "This run shows it"))
        self.assertEqual(
            judged.judge(False, ["one", "other"], [], 0.0), ("not", "This run does not show it: one; other")
        )

    def test_a_busy_machine_refutes_nothing(self):
        busy = "other programs used 180 % of a CPU"
        self.assertEqual(judged.judge(False, ["one"], [], 1.8), ("unsure", f"Too noisy to tell: {busy}"))
        self.assertEqual(judged.judge(True, [], [], 1.8), ("shown", f"This run shows it, although {busy}"))

    def test_samples_that_do_not_tell(self):
        self.assertEqual(judged.judge(True, [], ["why"], 0.0), ("unsure", "This run does not tell: why"))
        kind, text = judged.judge(True, [], ["why"], 0.5)
        self.assertEqual((kind, text), ("unsure", "Too noisy to tell: why; other programs used 50 % of a CPU"))

    def test_what_fails_is_named(self):
        for finding in (Client().conclude((0.1, 12), Client.at_once), Models().conclude(*[(97_500, 0.8)] * 3)):
            self.assertFalse(finding.holds)
            self.assertTrue(finding.missed)


class Notes(unittest.TestCase):
    def notes(self, samples, others=0.0):
        return remarks.of_experiment(samples, others)

    def test_a_load_that_was_not_offered(self):
        good = seen(good=300).plain()
        (line,) = self.notes({"calm": good, "twice": seen(good=300, refused=80, unsent=20).plain(), "capacity": 190.0})
        self.assertTrue(line.startswith("twice: 5 % of the requests were never sent, for torc-load"), line)
        self.assertTrue(line.endswith("could not offer the rate"), line)
        nested = {"a": [[good, seen(unsent=100).plain()]], "b": {"light": good, "files": seen(unsent=300).plain()}}
        (line,) = self.notes(nested)
        self.assertTrue(line.startswith("b, files: 50 % of the requests"), line)
        self.assertTrue(line.endswith(", nor in 1 more setting"), line)

    def test_a_busy_machine(self):
        self.assertEqual(self.notes({}, 0.5), ["noisy: other programs used 50 % of a CPU meanwhile"])

    def test_nothing_to_say(self):
        flows = [seen(unsent=3).plain(), seen().plain()]
        self.assertEqual(self.notes({"a": flows, "b": {"ends": [1.0], "peak": 2}}, 0.05), [])
        damaged = {"unsent": 9, "good": "1", "failed": 0}  # as a file may be
        self.assertEqual(self.notes({"a": damaged}), [])

    def test_they_are_printed(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            explain.show(models.CLAIM, Models().beside("node", 15_000, 11), [], ["noisy"])
        self.assertIn("\nnote: noisy\n", out.getvalue())


class Command(Runs):
    def test_a_subject_that_is_missing_is_named(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            explain.show(models.CLAIM, Models().beside("node", 15_000, 11), ["Java: not installed"])
        self.assertIn("\nnot tried: Java: not installed\n", out.getvalue())

    def test_unknown_names_are_refused(self):
        for words in (
            ("--only", "nothing"),
            ("--only", ""),
            ("--only", "0"),
            ("--only", "models,99"),
            ("--engine", "threads"),
            ("--resume", "/nowhere.json"),
        ):
            done = self.bench_here("explain", *words, *self.places)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"torc-bench: {words[0]}: takes", done.stderr)

    def test_a_run_is_kept(self):
        done = self.bench("explain", "--only", "abuse", "--quick", *self.places)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("One abusive client", done.stdout)
        (kept,) = results.load(self.json).extra["experiments"]
        self.assertEqual((kept["name"], len(kept["samples"])), ("abuse", 3))
        self.assertEqual(list(schema.faults(json.loads(self.json.read_text()))), [])
        page = self.json.with_suffix(".html")
        self.assertIn(f"page: {page}\n" if svg.available() else svg.MISSING, done.stdout)
        self.assertEqual(page.exists(), svg.available())
        again = self.bench("explain", "--only", "abuse", "--quick", *self.places)
        self.assertEqual(again.returncode, 2)
        self.assertIn("has the samples of another run", again.stderr)

    def test_a_load_that_fails_is_said(self):
        fakes.executable(self.build / "src/torc-load", "#!/bin/sh\necho 'no such option' >&2\nexit 2\n")
        done = self.bench("explain", "--only", "abuse", "--quick", *self.places)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.splitlines()[1:], ["torc-bench: torc-load ended (2): no such option"])
        self.assertFalse(self.json.exists(), "it took no sample")


if __name__ == "__main__":
    unittest.main()
