"""Coordinated omission: an open loop shows a stop of the server, a closed loop hides it."""

import signal
import time
from pathlib import Path

import rig

NS_50_MS, NS_PER_S = 50_000_000, 1_000_000_000


class Omission(rig.Case):
    """A server that is stopped: only an open loop counts the requests that were due meanwhile."""

    CONNECTIONS, RATE = 8, 400

    def stopped(self, *options, stop=0.1, of=0.8):
        """The report of a run of so many seconds in which the server was stopped, and for how long at least."""
        lab, url, admin = self.lab()

        def is_stopped():
            stats = Path(f"/proc/{lab.pid}/task").glob("*/stat")
            return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats)

        for i in range(5):
            seconds = of * 2**i  # where the machine is slow
            before, begun = rig.requests_of(admin), time.monotonic()
            process = self.start(
                "--quiet",
                "--connections",
                self.CONNECTIONS,
                "--duration",
                f"{int(seconds * 1000)}ms",
                *options,
                url + "/plaintext",
            )
            self.assertTrue(rig.wait_for(lambda: rig.requests_of(admin) > before + 20))
            lab.send_signal(signal.SIGSTOP)
            self.assertTrue(rig.wait_for(is_stopped))
            start = time.monotonic()
            time.sleep(stop)
            end = time.monotonic()
            lab.send_signal(signal.SIGCONT)
            done = self.finish(process)
            self.errors(done)
            # The measurement began after the process did, and so contained the whole stop.
            if end - begun < seconds:
                return done.json, end - start
        self.fail("the machine is too slow for the stop to fall into the run")

    def test_an_open_loop_shows_a_stop(self):
        for arrivals in ("constant", "poisson"):
            j, stop = self.stopped("--rate", self.RATE, "--arrivals", arrivals)
            waited = self.RATE * (stop - 0.0501)
            # Due more than 50 ms before the end of the stop. A Poisson count is five standard deviations
            # below its mean once in millions.
            least = waited - 2 if arrivals == "constant" else waited - 5 * waited**0.5
            least = max(least, 1)
            self.assertGreaterEqual(beyond(NS_50_MS, j, "corrected"), least)

    def test_a_closed_loop_hides_a_stop(self):
        """The stop is longer than a machine that is busy stands still by itself, but for a few times."""
        for _ in range(4):
            j, _ = self.stopped(stop=2.5, of=5)
            self.assertGreaterEqual(beyond(NS_PER_S, j, "raw"), 1)
            if beyond(NS_PER_S, j, "raw") <= self.CONNECTIONS:
                break
        self.assertLessEqual(beyond(NS_PER_S, j, "raw"), self.CONNECTIONS)
        self.assertEqual(j["latency_ns"]["raw"], j["latency_ns"]["corrected"])
        self.assertLess(beyond(NS_PER_S, j, "raw"), 0.01 * j["requests"])

    def test_a_too_high_rate_still_counts_answered_requests(self):
        """All replies are to requests that were due before the measurement; they count as answered."""
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


def beyond(least, j, name):
    """How many values are more than so many ns."""
    return sum(n for ns, n in j["latency_ns"][name]["histogram"] if ns > least)
