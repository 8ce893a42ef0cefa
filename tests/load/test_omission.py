"""The generator's test of itself: a stop of the server is seen in an open loop, and hidden in a closed one."""

import json
import signal
import time
import urllib.request
from pathlib import Path

import rig

NS_50_MS = 50_000_000


class Omission(rig.Case):
    """A server that is stopped: what was to be sent meanwhile has waited, and only an open loop shows it."""

    CONNECTIONS, RATE, STOP_SECONDS, SECONDS = 8, 400, 0.1, 0.8

    def stopped(self, *options):
        """The report of a run within which the server was stopped, and for how long it was at least."""
        lab, url, admin = self.lab()

        def asked():
            with urllib.request.urlopen(admin + "/stats.json", timeout=rig.LIMIT_SECONDS) as answer:
                return json.load(answer)["total"]["requests"]

        def is_stopped():
            stats = Path(f"/proc/{lab.pid}/task").glob("*/stat")
            return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats)

        for _ in range(5):
            before, begun = asked(), time.monotonic()
            process = self.start(
                "--quiet",
                "--connections",
                self.CONNECTIONS,
                "--duration",
                f"{int(self.SECONDS * 1000)}ms",
                *options,
                url + "/plaintext",
            )
            self.assertTrue(rig.wait_for(lambda: asked() > before + 20))
            lab.send_signal(signal.SIGSTOP)
            self.assertTrue(rig.wait_for(is_stopped))
            start = time.monotonic()
            time.sleep(self.STOP_SECONDS)
            end = time.monotonic()
            lab.send_signal(signal.SIGCONT)
            done = self.finish(process)
            self.errors(done)
            # Measuring began after the process did: if it was over before this, it held the whole stop.
            if end - begun < self.SECONDS:
                return done.json, end - start
        self.fail("the machine is too slow for the stop to fall into the run")

    def test_open_loop_shows_it(self):
        for arrivals in ("constant", "poisson"):
            j, stop = self.stopped("--rate", self.RATE, "--arrivals", arrivals)
            waited = self.RATE * (stop - 0.0501)
            # What was due more than 50 ms before the end of the stop. A Poisson count of that mean is less
            # than five standard deviations below it never, or once in millions.
            least = waited - 2 if arrivals == "constant" else waited - 5 * waited**0.5
            least = max(least, 1)
            self.assertGreaterEqual(beyond_50(j, "corrected"), least)

    def test_closed_loop_hides_it(self):
        for _ in range(8):
            j, stop = self.stopped()
            self.assertGreaterEqual(beyond_50(j, "raw"), 1)
            # The machine may have stopped for as long by itself, which no bound can know; not every time.
            if beyond_50(j, "raw") <= self.CONNECTIONS:
                break
        self.assertLessEqual(beyond_50(j, "raw"), self.CONNECTIONS)
        self.assertEqual(j["latency_ns"]["raw"], j["latency_ns"]["corrected"])
        self.assertLess(beyond_50(j, "raw"), 0.01 * j["requests"])

    def test_a_rate_that_is_too_high(self):
        """What is answered in the time was all due before it: it was done in that time all the same."""
        lab, url, _ = self.lab()
        done = self.run_load(
            "--connections",
            2,
            "--rate",
            100_000,
            "--warmup",
            "300ms",
            "--duration",
            "300ms",
            "--watch",
            lab.pid,
            url + "/delay/20",
        )
        self.errors(done)
        j = done.json
        self.assertEqual(j["requests"], 0)
        self.assertGreater(j["answered"], 0)
        self.assertAlmostEqual(j["per_second"], j["answered"] / j["seconds"], 2)
        self.assertLessEqual(sum(s[0] for s in j["watch"]["slices"]), j["answered"])
        self.assertRegex(j["advice"], "slower than --rate|other programs")


def beyond_50(j, name):
    """How many values are more than 50 ms."""
    return sum(n for ns, n in j["latency_ns"][name]["histogram"] if ns > NS_50_MS)
