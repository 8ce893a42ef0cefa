"""Clients that give up after a deadline and try again."""

import signal

import rig
from rig import reply

NS_PER_MS = 1_000_000


def silent(peer):
    while peer.request():
        pass


class Retries(rig.Case):
    def attempts(self, done, server, at_least):
        """Every attempt is one request of the server; those of measured requests are in both reports."""
        found = done.json["deadline"]
        # A client that gives up does not wait until the server has read its request.
        rig.wait_for(lambda: len(server.requests) >= found["attempts"])
        self.assertEqual(found["attempts"], len(server.requests))
        self.assertEqual(found["attempts"], done.json["requests"] + found["given_up"] + found["retries"])
        self.assertGreaterEqual(found["retries"], at_least)
        self.assertEqual(found["given_up"], done.json["errors_measured"]["timeout"])
        self.assertLessEqual(sum(s[0] for s in found["slices"]), found["attempts"])
        line = f"  attempts     {found['attempts']}, of these {found['retries']} retries; {found['given_up']} requests"
        self.assertIn(line, done.out)

    def silent_at_first(self, connections):
        """Only connections after the first so many get answers; `self.left` counts those that clients closed."""
        self.left, order = [], iter(range(10**9))

        def serve(peer):
            if next(order) < connections:
                try:
                    silent(peer)
                except EOFError:
                    self.left.append(peer)
                return
            while peer.request():
                peer.send(reply())

        return self.server(serve)

    def test_a_client_tries_again_on_another_connection(self):
        """Its latency counts from the first attempt, and the connections that it left are closed."""
        for cores in ("1", rig.two_cores()):
            server = self.silent_at_first(4)
            options = ["--rate", 100, "--connections", 4, "--deadline", "200ms", "--retry", 100, "--cores", cores]
            done = self.run_load("--requests", 4, *options, server.url)
            self.errors(done)
            self.assertEqual(done.json["requests"], 4)
            self.attempts(done, server, at_least=4)
            self.assertGreaterEqual(done.json["connects"], 8)
            self.assertTrue(rig.wait_for(lambda: len(self.left) == 4))
            self.assertGreaterEqual(done.json["latency_ns"]["corrected"]["min"], 199 * NS_PER_MS)
            # The attempts that were answered took less than the deadline, by histogram buckets and a slow timer.
            self.assertLess(
                done.json["latency_ns"]["raw"]["min"], done.json["latency_ns"]["corrected"]["min"] - 100 * NS_PER_MS
            )

    def test_a_client_gives_up_after_its_last_attempt(self):
        for retry, attempts, least in (("2,20ms", 9, 0.19), ("2", 9, 0.15), ("0", 3, 0.05)):
            server = self.server(silent)
            options = ["--rate", 100, "--connections", 3, "--deadline", "50ms", "--retry", retry]
            done = self.run_load("--requests", 3, *options, server.url)
            self.errors(done, timeout=3)
            self.first(done, "timeout", r"127\.0\.0\.1:\d+: no reply to GET / within 50ms")
            self.attempts(done, server, at_least=attempts - 3)
            self.assertEqual(done.json["deadline"]["attempts"], attempts)
            self.assertEqual(done.json["deadline"]["given_up"], 3)
            self.assertGreaterEqual(done.json["seconds"], least)

    def test_a_deadline_without_retry_is_one_attempt(self):
        server = self.server(silent)
        done = self.run_load("--requests", 3, "--rate", 100, "--deadline", "50ms", server.url)
        self.errors(done, timeout=3)
        self.assertEqual(done.json["deadline"]["attempts"], 3)

    def test_clients_try_again_after_the_duration(self):
        """A request that was due in time is answered, however late its last attempt is."""
        server = self.silent_at_first(2)
        options = ["--rate", 10, "--connections", 2, "--deadline", "500ms", "--retry", "100,50ms"]
        done = self.run_load("--duration", "150ms", *options, server.url)
        self.errors(done)
        self.assertEqual(done.json["unsent"], 0)
        self.assertGreaterEqual(done.json["requests"], 1)
        if done.json["seconds"] < 0.5:  # a core that stands still ends the duration late
            self.assertEqual(done.json["answered"], 0)
        self.attempts(done, server, at_least=1)

    def test_an_interrupt_fails_nobody_who_would_try_again(self):
        """Among so many there often is one whose time is up and who has not closed yet."""
        _, url, admin = self.lab()
        options = ["--duration", "1h", "--rate", 3000, "--connections", 400, "--deadline", "50ms", "--retry", "3,1h"]
        for _ in range(6):
            before = rig.requests_of(admin, "requests_started")
            process = self.start("--quiet", *options, url + "/delay/500")
            self.assertTrue(rig.wait_for(lambda: rig.requests_of(admin, "requests_started") > before + 800))
            process.send_signal(signal.SIGINT)
            done = self.finish(process)
            self.assertEqual(done.json["errors"], dict.fromkeys(rig.ERRORS, 0), done)
            self.assertEqual(done.json["unanswered"], done.json["deadline"]["attempts"], done)
            self.agrees(done.json)

    def test_attempts_that_are_not_answered_do_not_end_the_run(self):
        """For longer than any request may wait for its reply: new requests come before those that try again."""
        server = self.server(silent)
        options = [
            "--rate",
            1000,
            "--connections",
            2,
            "--timeout",
            "300ms",
            "--deadline",
            "200ms",
            "--retry",
            "2,100ms",
        ]
        done = self.run_load("--requests", 24, *options, server.url)
        self.assertEqual(done.status, 1)
        self.assertEqual(done.json["errors_measured"]["timeout"], 24, done.json)
        self.assertEqual((done.json["unanswered"], done.json["unsent"]), (0, 0))
        self.assertEqual(done.json["deadline"]["attempts"], 3 * 24)
        self.agrees(done.json)

    def test_an_answer_of_any_status_is_not_retried(self):
        server = self.each(reply(status="503 Service Unavailable"))
        done = self.run_load("--requests", 5, "--rate", 100, "--deadline", "9s", "--retry", 3, server.url)
        self.errors(done, status=5)
        self.assertEqual(done.json["deadline"]["retries"], 0)
        self.assertEqual(len(server.requests), 5)

    def test_retries_outnumber_what_a_server_can_do(self):
        """One that answers after the deadline is asked three times for nothing."""
        _, url, _ = self.lab()
        options = ["--rate", 50, "--deadline", "100ms", "--retry", "2"]
        done = self.run_load("--requests", 5, *options, url + "/delay/20000")
        self.errors(done, timeout=5)
        self.assertEqual(done.json["deadline"]["attempts"], 15)

    def test_without_a_deadline_there_is_no_such_report(self):
        done = self.run_load("--requests", 3, "--rate", 100, self.each(reply()).url)
        self.errors(done)
        self.assertNotIn("deadline", done.json)
        self.assertNotIn("attempts", done.out)
