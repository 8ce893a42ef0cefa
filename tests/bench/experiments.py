"""experiments.py BUILD ENGINE: the experiments of torc-bench explain in short, on real servers and clients.
What is asserted is arithmetic that no busy machine can break."""

import os
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from statistics import median

import context  # noqa: F401
from lib import proc
from lib.lab import abuse, client, clients, compute, concurrent, database, faster, files, models, overload, proxy
from lib.lab import retries, sequence, stack, trace
from lib.lab.stage import Lacking, Stage, backends_missing
from lib.subject import Place
from lib.subjects import known

BUILD = ENGINE = ""
SECONDS = 1.0
EARLY = 0.001  # seconds by which a browser, which rounds its clock, may see an answer too early
NOTED_MS = 2.0  # by which a time in a log, which has whole ms, may be off
SLACK = 0.5  # seconds by which the clocks of a server and its clients may be apart


abuse.ROUNDS = faster.ROUNDS = 1
# So few, and of so little, that an abusive client reaches its limit on a machine that is busy
# otherwise. A good client asks for less than the burst in all.
abuse.GOOD, abuse.ABUSIVE = (replace(flow, path="/plaintext") for flow in (abuse.GOOD, abuse.ABUSIVE))
abuse.LIMIT = abuse.BURST = 20
abuse.SETTINGS = {
    name: (("--rate-limit", "20", "--rate-burst", "20") if limits else (), abused)
    for name, (limits, abused) in abuse.SETTINGS.items()
}
database.TIMES = overload.TIMES = (2.0,)
overload.SHORT = overload.Spike(SECONDS, 1.0, SECONDS, ("adaptive",))


class Brief(Stage):
    length = SECONDS

    def seconds(self, whole):
        return self.length

    def ask(self, server, *flows):
        seen = super().ask(server, *flows)
        if server.admin is not None and not seen[0].measures:
            raise Lacking("the server was not heard twice while it was asked")
        return seen


class Experiments(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(proc.Child.stop_all)
        scratch = Path(directory.name)
        (scratch / "www/static").mkdir(parents=True)
        place = Place(Path(BUILD), scratch, scratch / "www", (), {})
        self.stage = Brief(place, sorted(os.sched_getaffinity(0)), True, ENGINE)

    def samples_of(self, experiment, whole=lambda samples: True):
        """Taken again, for longer, where the machine stood still meanwhile: nothing was answered, not all was told, or
        what a standstill alone can spoil is not as it has to be."""
        for self.stage.length in (SECONDS, 3 * SECONDS, 9 * SECONDS):
            try:
                samples, lacking = experiment.take(self.stage).samples, None
                if whole(samples):
                    break
            except Lacking as why:
                lacking = why
        self.assertIsNone(lacking)
        return samples

    def most(self, per_second):
        """So many can have been served in the time of a flow."""
        return per_second * (self.stage.length + SLACK)

    def test_the_client_decides(self):
        samples = self.samples_of(client)
        delay = client.DELAY_MS / 1000 - EARLY
        for name, one in clients.CLIENTS.items():
            if why := one.missing():
                self.assertIn(f"{one.label}: {why}", self.stage.missing)
                continue
            seq, together = samples[f"{name} seq"], samples[f"{name} all"]
            self.assertGreaterEqual(seq["ends"][-1], client.COUNT * delay, name)
            self.assertGreaterEqual(together["ends"][0], delay, name)
            for asked, sent, end in (*seq["spans"], *together["spans"]):
                self.assertTrue(0 <= asked <= sent < end, name)
            self.assertEqual(sorted(end for *_, end in together["spans"]), together["ends"])
            self.assertLess(seq["peak"], 3, name)
            self.assertGreater(together["peak"], seq["peak"], name)
            self.assertLessEqual(together["peak"], client.COUNT, name)
        if "browser all" in samples:
            self.assertLessEqual(samples["browser all"]["peak"], client.LIMIT)
            self.assertGreaterEqual(samples["browser all"]["ends"][client.LIMIT], 2 * delay)

    def test_threads_are_a_ceiling(self):
        samples = self.samples_of(
            models,
            lambda found: found["epoll"]["asynchrony"] > 0.9
            and all(one["good"] for name, one in found.items() if name not in models.OTHERS),
        )
        for name, seen in samples.items():
            self.assertLessEqual(seen["good"], self.most(models.CEILINGS[name]), name)
            if name in models.OTHERS:  # which may still be compiling what they run
                self.assertEqual(seen["failed"] + seen["refused"], 0, name)
            else:
                self.assertGreater(seen["good"], 0, name)
        self.assertLess(samples["threads"]["asynchrony"], 0.01)
        self.assertLessEqual(samples["threads"]["concurrency"], models.THREADS)
        self.assertGreater(samples["epoll"]["asynchrony"], 0.9)
        self.assertGreater(samples["epoll"]["concurrency"], models.THREADS)
        self.named_or_tried(samples, *models.OTHERS)
        if "node" in samples:
            self.assertLess(samples["node"]["threads"], models.THREADS)

    def named_or_tried(self, samples, *names):
        """Each is in the samples, or its absence is said."""
        for name in names:
            if why := self.stage.refuses(name):
                self.assertIn(f"{known()[name].label}: {why}", self.stage.missing)
            else:
                self.assertIn(name, samples)

    def test_a_core_that_computes_keeps_others_waiting(self):
        light, heavy = self.samples_of(compute, lambda found: found["heavy, inline"][1]["good"])["heavy, inline"]
        self.assertGreater(heavy["good"], 0)
        self.assertGreaterEqual(light["p99"], compute.HEAVY_MS / 1000 / 4)  # the work is about that long

    def test_a_proxy_keeps_to_its_connections(self):
        if why := proxy.CLAIM.needs():
            self.skipTest(why)
        samples = self.samples_of(proxy)
        for name, label in proxy.LABELS.items():
            if f"{name}, light" not in samples:
                self.assertTrue(any(one.startswith(f"{label}: ") for one in self.stage.missing))
                continue
            free, bound = samples[f"{name}, waiting"], samples[f"{name}, waiting, limited"]
            self.assertGreater(samples[f"{name}, light"]["good"], 0)
            self.assertEqual(free["refused"] + free["failed"], 0, name)
            self.assertLessEqual(bound["concurrency"], proxy.LIMIT + 0.5, name)
            self.assertGreater(free["concurrency"], bound["concurrency"], name)
            self.assertLessEqual(samples[f"{name}, computing"]["parallelism"], 1.05, name)
        if "haproxy, light" in samples:
            self.assertEqual(samples["haproxy, waiting, limited"]["failed"], 0)
        if "nginx, light" in samples:
            self.assertGreater(samples["nginx, waiting, limited"]["failed"], 0)

    def test_waits_in_sequence_add_up(self):
        if why := backends_missing():
            self.skipTest(why)
        samples = self.samples_of(
            sequence,
            lambda found: all(
                found[f"{what} all"]["p50"] < least / 1000
                for what, (_, least, _) in sequence.PATHS.items()
                if sequence.waits(what)
            ),
        )
        for what, (_, least, together) in sequence.PATHS.items():
            self.assertGreaterEqual(samples[f"{what} seq"]["p50"], least / 1000)
            self.assertGreaterEqual(samples[f"{what} all"]["p50"], together / 1000)
            if sequence.waits(what):
                self.assertLess(samples[f"{what} all"]["p50"], least / 1000)

    def test_every_layer_tells_of_one_trace(self):
        if why := stack.CLAIM.needs():
            self.skipTest(why)
        samples = self.samples_of(
            stack, lambda found: median(one["overlap"] for one in found["one after the other"]) <= NOTED_MS
        )
        least = {"one after the other": stack.SERVICE_MS + stack.QUERY_MS, "together": stack.QUERY_MS}
        for words, found in samples.items():
            self.assertEqual(len(found), stack.ROUNDS - 1, words)
            self.assertEqual(len({one["id"] for one in found}), len(found), words)
            for one in found:
                self.assertTrue(one["linked"], words)
                lasted = {name: end - begin for name, (begin, end) in one["spells"].items()}
                self.assertGreaterEqual(lasted["service"], stack.SERVICE_MS - NOTED_MS, words)
                self.assertGreaterEqual(lasted["database"], stack.QUERY_MS - NOTED_MS, words)
                self.assertGreaterEqual(lasted["server"], least[words] - NOTED_MS, words)
                self.assertGreaterEqual(lasted["client"], least[words] - NOTED_MS, words)
        # A layer that was kept from writing its line seems to end later: so not of each round.
        apart = median(one["overlap"] for one in samples["one after the other"])
        self.assertLessEqual(apart, NOTED_MS)
        self.assertLessEqual(set(trace.DEPTHS) - set(lasted), {"proxy"})

    def test_many_are_in_progress_and_one_runs(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs two CPUs")
        waiting = [name for name, (_, what) in concurrent.SETTINGS.items() if what == concurrent.WAIT]
        half = concurrent.CONNECTIONS / 2
        samples = self.samples_of(concurrent, lambda found: all(found[name]["concurrency"] > half for name in waiting))
        for name, (cores, what) in concurrent.SETTINGS.items():
            found = samples[name]
            self.assertLessEqual(found["parallelism"], min(cores, found["concurrency"]) + 0.05, name)
            if what == concurrent.WAIT:
                self.assertGreater(found["concurrency"], half, name)
            else:
                self.assertLessEqual(found["concurrency_peak"], concurrent.COMPUTING, name)

    def test_no_model_waits_shorter_than_its_delay(self):
        samples = self.samples_of(faster)
        for name, rounds in samples.items():
            self.assertTrue(all(one["good"] > 0 for one in rounds), name)
            if name.startswith("one request"):
                self.assertTrue(all(one["p50"] >= 0.005 for one in rounds), name)

    def test_a_full_core_refuses_only_if_it_may(self):
        samples = self.samples_of(overload, lambda found: found["2× adaptive"]["refused"])
        self.assertGreater(samples["2× adaptive"]["refused"], 0)
        self.assertGreater(samples["2× adaptive"]["good"], 0)
        self.assertEqual(samples["2× no shedding"]["refused"], 0)

    def test_clients_try_again_and_a_core_that_may_refuses(self):
        samples = self.samples_of(
            retries,
            lambda found: all(found[name][0]["good"] for name in retries.SETTINGS) and found["adaptive"][1]["refused"],
        )
        for name in retries.SETTINGS:
            self.assertGreater(samples[name][0]["good"], 0, name)
            for one in samples[name]:
                self.assertGreaterEqual(one["retries"], retries.RETRIES * one["given_up"], name)
                self.assertGreaterEqual(sum(part["attempts"] for part in one["slices"]), one["good"], name)
                self.assertEqual(one["failed"], 0, name)
        self.assertEqual([one["refused"] for one in samples["no shedding"]], [0, 0])
        self.assertGreater(samples["no shedding"][1]["retries"], 0)
        self.assertGreater(samples["adaptive"][1]["refused"], 0)

    def test_files_are_sent_from_memory_and_from_the_disk(self):
        if why := files.CLAIM.needs():
            self.skipTest(why)
        samples = self.samples_of(files)
        for name, found in samples.items():
            self.assertGreater(found["files"]["good"], 0, name)
            self.assertGreater(found["light"]["good"], 0, name)
            self.assertEqual(found["files"]["failed"] + found["light"]["failed"], 0, name)
            self.assertGreater(found["looks"], 0, name)
            self.assertLessEqual(found["waits"] + found["runs"], 1, name)
            half = found["files"]["good"] * files.SIZE / 2
            if name.endswith("memory"):
                self.assertLess(found["absent"], 0.1, name)
                self.assertLess(found["read"], half, name)
            else:
                self.assertGreater(found["absent"], 0.9, name)
                self.assertGreater(found["read"], half, name)

    def test_an_abusive_client_is_served_its_limit(self):
        samples = self.samples_of(
            abuse,
            lambda found: all(good["good"] and abusive["refused"] for good, abusive in found["beside it, limited"]),
        )
        most = self.most(abuse.LIMIT) + abuse.BURST
        for good, abusive in samples["beside it, limited"]:
            self.assertLessEqual(abusive["good"], most)
            self.assertGreater(abusive["refused"], 0)
            self.assertGreater(good["good"], 0)
            self.assertEqual(good["refused"], 0)
        for good, abusive in samples["beside it, no limit"]:
            self.assertEqual(abusive["refused"] + good["refused"], 0)

    def test_a_database_is_a_ceiling(self):
        if why := backends_missing():
            self.skipTest(why)
        samples = self.samples_of(
            database,
            lambda found: found["bounded 2"]["good"]
            and found["bounded 2"]["refused"]
            and found["no limits 2"]["concurrency"] > found["bounded 2"]["concurrency"],
        )
        most = self.most(database.CAPACITY)
        for name, seen in samples.items():
            self.assertLessEqual(seen["good"], most, name)
        full = samples["bounded 2"]
        self.assertGreater(full["refused"], 0)
        self.assertGreater(full["good"], 0)
        self.assertGreaterEqual(full["p50"], database.QUERY_MS / 1000)
        self.assertEqual(samples["no limits 2"]["refused"], 0)
        self.assertGreater(samples["no limits 2"]["concurrency"], full["concurrency"])


if __name__ == "__main__":
    BUILD, ENGINE = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
