"""Correct servers of all kinds cause no errors."""

import collections
import select
import threading
import time

import rig
from rig import reply

BIG = 64 << 20


class Traffic(rig.Case):
    # ---- counts ----

    def test_exactly_as_many_requests_are_sent(self):
        for options in (
            ["--connections", 1],
            ["--connections", 7],
            ["--connections", 7, "--pipeline", 5],
            ["--connections", 50],
            ["--connections", 3, "--pipeline", 1024],
            ["--connections", 4, "--cores", rig.two_cores()],
            ["--connections", 5, "--cores", rig.two_cores(), "--pipeline", 3],
            ["--rate", 2000, "--connections", 5],
            ["--rate", 5000, "--pipeline", 4, "--arrivals", "poisson"],
            ["--rate", 1000, "--cores", rig.two_cores()],
        ):
            self.exact(self.each(reply()), 23, *options)

    def test_a_server_at_a_unix_socket(self):
        socket = "unix:%s/s" % self.scratch
        lab = self.lab("--listen", socket)[0]
        for options in (["--connections", 9], ["--connections", 3, "--requests-per-connection", 4]):
            done = self.run_load("--requests", 50, *options, socket + ":/plaintext")
            self.errors(done)
            self.assertEqual(done.json["requests"], 50)
        self.end(lab)
        done = self.run_load("--requests", 1, "--duration", "100ms", socket)
        self.assertEqual(done.status, 1)
        self.assertGreater(done.json["errors"]["connect"], 0)

    def test_fewer_requests_than_connections(self):
        self.exact(self.each(reply()), 1, "--connections", 20, "--pipeline", 1024)
        self.exact(self.each(reply()), 1, "--connections", 4, "--cores", rig.two_cores())

    def test_each_connection_is_closed_after_its_requests(self):
        for options in (
            ["--connections", 1],
            ["--connections", 1, "--pipeline", 8],
            ["--connections", 1, "--rate", 2000],
        ):
            server = self.each(reply())
            done = self.run_load("--requests", 30, "--requests-per-connection", 3, *options, server.url)
            self.errors(done)
            self.assertEqual(len(server.requests), 30)
            # Ten for the 30 requests, and perhaps one opened as the last request completed.
            self.assertIn(done.json["connects"], (10, 11))
            self.assertLessEqual(abs(server.connects - done.json["connects"]), 1)

    def test_no_connection_carries_more_than_its_limit(self):
        counts, lock = collections.Counter(), threading.Lock()

        def serve(peer):
            while peer.request():
                with lock:
                    counts[id(peer)] += 1
                    keep.append(peer)
                peer.send(reply())

        keep = []
        server = self.server(serve)
        self.exact(server, 60, "--requests-per-connection", 4, "--connections", 5, "--pipeline", 3)
        self.assertLessEqual(max(counts.values()), 4)

    def test_connections_come_from_the_sources_in_turn(self):
        all_of_them = {f"127.0.0.{n}" for n in range(2, 7)}
        for connections, options, seen in (
            (5, [], all_of_them),
            (7, ["--cores", rig.two_cores()], all_of_them),
            (2, [], {"127.0.0.2", "127.0.0.3"}),
            (1, ["--requests-per-connection", 1], {"127.0.0.2"}),
        ):
            server = self.each(reply())
            sources = ["--source", "127.0.0.2-127.0.0.6", "--connections", connections]
            self.exact(server, 70, *sources, *options)
            self.assertEqual(server.clients, seen)

    # ---- connections that end ----

    def test_a_close_after_each_reply_is_no_error(self):
        def serve(peer):
            peer.request()
            peer.send(reply(fields=b"Connection: close\r\n"))

        for options in (
            ["--connections", 1],
            ["--connections", 5],
            ["--connections", 5, "--rate", 3000],
            ["--connections", 4, "--cores", rig.two_cores()],
        ):
            server = self.server(serve)
            done = self.exact(server, 25, *options)
            self.assertGreaterEqual(done.json["connects"], 25)

    def test_requests_after_an_announced_close_are_retried(self):
        """They are sent again on another connection. The server did not read them, so its close resets
        the connection after the reply, and that is no error."""

        def serve(peer):
            peer.request()
            peer.send(reply(fields=b"Connection: close\r\n"))

        for options in ([], ["--rate", 2000]):
            done = self.run_load(
                "--requests", 20, "--connections", 2, "--pipeline", 4, *options, self.server(serve).url
            )
            self.errors(done)
            self.assertEqual(done.json["requests"], 20)

    def drains_after(self, n):
        """A server that answers n requests, announces to close, and reads the rest: no reset."""

        def serve(peer):
            for i in range(n):
                peer.request()
                peer.send(reply(fields=b"Connection: close\r\n" if i == n - 1 else b""))
            peer.sock.shutdown(1)
            while peer.more():
                pass

        return self.server(serve)

    def test_requests_after_an_announced_close_are_retried_without_a_reset(self):
        for options in (
            [],
            ["--rate", 2000],
            ["--rate", 2000, "--arrivals", "poisson"],
            ["--warmup", "50ms"],
            ["--rate", 2000, "--warmup", "50ms"],
            ["--rate", 2000, "--cores", rig.two_cores()],
        ):
            server = self.drains_after(3)
            done = self.run_load("--requests", 20, "--connections", 2, "--pipeline", 4, *options, server.url)
            self.errors(done)
            self.assertEqual(done.json["requests"], 20)

    def test_requests_after_an_announced_close_do_not_delay_the_end(self):
        """They are no errors, and the run does not wait for them."""
        server = self.drains_after(3)
        self.errors(self.run_load("--duration", "2s", "--connections", 2, "--pipeline", 4, server.url))

    def test_nothing_counts_after_a_reply_that_announces_the_close(self):
        """It is the last one of its connection, whatever comes with it (RFC 9112, 9.6)."""
        last = reply(fields=b"Connection: close\r\n")
        for more in (reply(), reply(status="500 Oh"), b"nonsense", last):

            def serve(peer):
                peer.request()
                peer.send(last + more)
                while peer.more():
                    pass

            for options in ([], ["--pipeline", 3], ["--pipeline", 3, "--rate", 2000]):
                done = self.run_load("--requests", 6, "--connections", 2, *options, self.server(serve).url)
                self.errors(done)
                self.assertEqual((done.json["requests"], done.json["requests_total"]), (6, 6))
                self.assertGreaterEqual(done.json["connects"], 6)

    def test_a_retried_request_keeps_its_due_time(self):
        """The first reply takes a third of a second. The eleven requests that become due meanwhile are
        sent, unanswered, and retried: their latency counts from when they were due."""

        def serve(peer):
            first = next(state)
            peer.request()
            if first == 0:
                for _ in range(11):
                    peer.request()
            peer.send(reply(fields=b"Connection: close\r\n" if first == 0 else b""))
            while peer.request():
                peer.send(reply())

        state = iter(range(10**9))
        server = self.server(serve)
        done = self.run_load("--requests", 12, "--rate", 40, "--connections", 1, "--pipeline", 12, server.url)
        self.errors(done)
        j = done.json
        self.assertEqual((j["requests"], len(server.requests), j["connects"]), (12, 23, 2))
        late = sorted((n for n, count in j["latency_ns"]["corrected"]["histogram"] for _ in range(count)))
        # Due 25 ms apart, and all answered when the last of them was due.
        for i, ns in enumerate(late):
            self.assertGreaterEqual(ns, i * 24e6)

    def test_requests_are_retried_after_the_duration(self):
        """A request that was sent in time is answered, even if a connection must be opened for it."""

        def serve(peer):
            seen.append(peer.request())
            end = time.monotonic() + 0.5  # the duration is over, as it began before the first request
            while (left := end - time.monotonic()) > 0 and select.select([peer.sock], [], [], left)[0]:
                peer.more()
                while peer.data:
                    seen.append(peer.request())
            peer.send(reply(fields=b"Connection: close\r\n"))
            peer.sock.shutdown(1)
            while peer.data or peer.more():
                seen.append(peer.request())

        def then(peer):
            try:
                (serve if next(state) == 0 else self.answer_all)(peer)
            finally:
                ended.append(peer)

        state, seen, ended = iter(range(10**9)), [], []
        server = self.server(then)
        done = self.run_load("--duration", "300ms", "--rate", 100, "--connections", 1, "--pipeline", 100, server.url)
        self.errors(done)
        j = done.json
        self.assertGreater(j["requests"], 1)
        self.assertEqual(j["connects"], 2)
        self.assertTrue(rig.wait_for(lambda: len(ended) == 2))  # all that was sent has been read
        # All but the first were sent twice. A generator that stood still meanwhile may have sent others once.
        again = len(server.requests) - len(seen)
        self.assertGreaterEqual(again, len(seen) - 1)
        self.assertEqual(j["requests"], 1 + again)

    def answer_all(self, peer):
        while peer.request():
            peer.send(reply())

    def test_retries_without_a_server_are_unsent(self):
        """A server that announces to close and then ends: the other requests are unsent."""

        def serve(peer):
            peer.request()
            server.close_listener()
            for _ in range(3):
                peer.request()
            peer.send(reply(fields=b"Connection: close\r\n"))

        server = self.server(serve)
        done = self.run_load(
            "--duration",
            "200ms",
            "--rate",
            100,
            "--connections",
            1,
            "--pipeline",
            100,
            "--timeout",
            "2s",
            server.url,
        )
        j = done.json
        self.assertEqual(done.status, 1)
        self.assertGreater(j["errors"]["connect"], 0)
        self.assertEqual(sum(j["errors"].values()), j["errors"]["connect"])
        self.assertEqual(j["requests"], 1, f"{done}\n{j}")
        self.assertGreaterEqual(j["unsent"], 3)
        self.agrees(j)

    def test_a_close_between_replies_is_no_error(self):
        """A server may close an idle connection."""

        def serve(peer):
            peer.request()
            peer.send(reply())

        server = self.server(serve)
        done = self.run_load("--requests", 8, "--rate", 20, "--connections", 2, server.url)
        self.errors(done)
        self.assertEqual(done.json["requests"], 8)
        self.assertGreaterEqual(done.json["connects"], 8)

    def test_a_body_can_end_with_the_connection(self):
        def serve(peer):
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n", b"until ", b"the end")

        self.exact(self.server(serve), 9, "--connections", 2, "--expect-body", "until the end")

    def test_http_1_0_closes_unless_keep_alive(self):
        def serve(peer):
            peer.request()
            peer.send(reply(version=b"HTTP/1.0"))

        done = self.exact(self.server(serve), 9, "--connections", 1)
        self.assertGreaterEqual(done.json["connects"], 9)
        server = self.each(reply(version=b"HTTP/1.0", fields=b"Connection: keep-alive\r\n"))
        self.exact(server, 9, "--connections", 1, connects=1)

    # ---- replies as they come ----

    def test_replies_can_come_byte_by_byte(self):
        text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n"
        server = self.each(*(text[i : i + 1] for i in range(len(text))))
        self.exact(server, 6, "--connections", 2, "--expect-body", "hello", connects=2)

    def test_sixteen_replies_can_come_in_one_segment(self):
        def serve(peer):
            while True:
                for _ in range(16):
                    peer.request()
                peer.send(b"".join(reply() for _ in range(16)))

        self.exact(self.server(serve), 64, "--connections", 1, "--pipeline", 16, connects=1)

    def test_sixteen_replies_can_be_cut_anywhere(self):
        whole = b"".join(reply(b"x" * i) for i in range(16))

        def serve(peer):
            for cut in range(1, len(whole), 37):
                for _ in range(16):
                    peer.request()
                peer.send(whole[:cut], whole[cut:])
            peer.more()

        self.exact(self.server(serve), 16 * 8, "--connections", 1, "--pipeline", 16, connects=1)

    def test_interim_replies_are_skipped(self):
        server = self.each(b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n", reply())
        done = self.exact(
            server,
            9,
            "--connections",
            1,
            "--header",
            "Expect: 100-continue",
            "--body",
            "x",
            "--expect-body",
            "ok",
            connects=1,
        )
        self.assertEqual(done.json["status"], {"200": 9})

    def test_replies_without_a_body_end_with_their_head(self):
        server = self.each(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        self.exact(server, 9, "--method", "HEAD", "--connections", 1, "--expect-body", "x", connects=1)
        self.exact(self.each(b"HTTP/1.1 204 No Content\r\n\r\n"), 9, "--connections", 1, connects=1)
        server = self.each(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n")
        self.exact(server, 9, "--connections", 1, "--expect-status", 304, connects=1)

    def test_large_bodies_are_received(self):
        block = b"x" * (1 << 20)
        server = self.each(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG, *[block] * (BIG >> 20))
        done = self.exact(server, 2, "--connections", 1, connects=1)
        self.assertGreaterEqual(done.json["bytes_in"], 2 * BIG)
