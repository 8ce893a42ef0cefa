"""Every kind of error is counted exactly and reported first."""

import re
import signal
import socket
import threading
import time

import rig
from rig import reply

N = 12


class Errors(rig.Case):
    def counted(self, server, *options, **want):
        done = self.run_load("--requests", N, "--connections", 3, *options, server.url)
        self.errors(done, **want)
        rig.wait_for(lambda: len(server.requests) >= N)  # of those that timed out nobody waits for the server
        self.assertEqual(len(server.requests), N)
        return done

    def test_refused_connects_are_connect_errors(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))  # bound and not listening
            url = "http://127.0.0.1:%d/" % s.getsockname()[1]
            for options in (["--requests", 5], ["--duration", "10s"], ["--duration", "10s", "--rate", 100]):
                done = self.run_load("--connections", 7, *options, url)
                # A refused connect is tried again 50 ms later.
                self.assertGreaterEqual(done.json["errors"]["connect"], 7)
                self.assertTrue(done.out.startswith("ERRORS: connect "), done)
                self.first(done, "connect", url[7:-1] + ": Connection refused")
                self.assertIsNone(done.json["advice"])  # there was no server to be slow
                if "--rate" not in options:  # unsent requests have a latency
                    self.assertNotIn("latency", done.out)
                self.assertEqual(done.json["connects"], 0)
                self.assertFalse(done.json["interrupted"])  # no signal came
                self.assertEqual(sum(done.json["errors"].values()), done.json["errors"]["connect"])
                self.assertEqual(done.status, 1)
                self.agrees(done.json)

    def test_a_reset_before_the_reply_is_a_reset_error(self):
        def serve(peer):
            peer.request()
            peer.reset()

        done = self.counted(self.server(serve), reset=N)
        self.first(done, "reset", r"127\.0\.0\.1:\d+: Connection reset by peer before the reply to GET /")

    def test_a_close_before_the_reply_is_a_reset_error(self):
        done = self.counted(self.server(lambda peer: peer.request()), reset=N)
        self.first(done, "reset", r"127\.0\.0\.1:\d+: Connection closed before the reply to GET /")

    def test_an_unannounced_close_fails_all_pipelined_requests(self):
        """Without having announced it."""

        def serve(peer):
            for _ in range(4):
                peer.request()
            peer.send(reply())

        for options in ([], ["--rate", 2000]):
            done = self.run_load("--requests", 4, "--connections", 1, "--pipeline", 4, *options, self.server(serve).url)
            self.errors(done, reset=3)
            self.assertEqual(done.json["requests"], 1)

    def test_a_reset_within_the_reply_is_a_reset_error(self):
        def serve(peer):
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            peer.reset()

        done = self.counted(self.server(serve), reset=N)
        self.first(done, "reset", r"127\.0\.0\.1:\d+: Connection reset by peer (within|before) the reply to GET /")

    def test_a_close_within_the_reply_is_a_reset_error(self):
        whole = {"200": N}
        pieces = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", whole),
            (b"HTTP/1.1 200", {}),
            (b"HT", {}),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", whole),
            (b"HTTP/1.1 100 Continue\r\n\r\n", {}),
        ]
        for piece, status in pieces:

            def serve(peer):
                peer.request()
                peer.send(piece)

            done = self.counted(self.server(serve), reset=N)
            self.first(done, "reset", r"127\.0\.0\.1:\d+: Connection closed within the reply to GET /")
            # An incomplete head has no status yet.
            self.assertEqual(done.json["status"], status)

    def test_a_missing_reply_times_out(self):
        def serve(peer):
            while peer.request():
                pass

        done = self.counted(self.server(serve), "--timeout", "900ms", timeout=N)
        self.first(done, "timeout", r"127\.0\.0\.1:\d+: no reply to GET / within 900ms")
        self.assertEqual(done.json["requests"], 0)
        self.assertGreaterEqual(done.json["seconds"], 0.4)

    def test_a_stop_of_the_program_is_no_silence_of_the_server(self):
        def serve(peer):
            while peer.request():
                pass

        server = self.server(serve)
        process = self.start("--quiet", "--requests", N, "--connections", 3, "--timeout", "500ms", server.url)
        for seen, stop in (1, 2), (4, 1.2), (7, 1.2):  # the first for longer than a run waits for any reply
            self.assertTrue(rig.wait_for(lambda: len(server.requests) >= seen))
            process.send_signal(signal.SIGSTOP)
            time.sleep(stop)
            process.send_signal(signal.SIGCONT)
        done = self.finish(process)
        self.errors(done, timeout=N)
        rig.wait_for(lambda: len(server.requests) >= N)
        self.assertEqual(len(server.requests), N)

    def test_a_missing_reply_times_out_after_the_duration(self):
        def serve(peer):
            while peer.request():
                pass

        done = self.run_load("--connections", 2, "--duration", "500ms", "--timeout", "2s", self.server(serve).url)
        self.errors(done, timeout=2)
        self.assertEqual(done.json["requests"], 0)

    def test_a_run_without_measured_replies_fails(self):
        """Good replies after the measurement are no errors, but a run without a measured reply fails."""

        def serve(peer):
            peer.request()
            time.sleep(2.5)
            peer.send(reply())
            peer.more()

        done = self.run_load("--connections", 2, "--duration", "500ms", self.server(serve).url)
        self.assertEqual(done.status, 1)
        said = "ERRORS: no request was answered in the measured time; replies at other times: 2 (a longer --duration"
        self.assertTrue(done.out.startswith(said), done.out)
        self.assertEqual(done.json["requests_total"], 2)
        self.assertEqual(done.json["errors"], dict.fromkeys(rig.ERRORS, 0))

    def test_replies_that_stop_time_out(self):
        """The run is shorter than the timeout: the missing replies are noticed in the drain."""

        def serve(peer):
            for _ in range(2):
                peer.request()
                peer.send(reply())
            while peer.more():
                pass

        runs = []
        for pipeline, options in ((1, []), (1, ["--warmup", "100ms"]), (1, ["--cores", rig.two_cores()]), (3, [])):
            url, report = self.server(serve).url, self.scratch / f"report-{len(runs)}.json"
            options = ["--duration", "2s", "--timeout", "3s", "--connections", 4, "--pipeline", pipeline, *options]
            runs.append((pipeline, self.start("--quiet", *options, url, report=report)))
        for pipeline, process in runs:
            done = self.finish(process)
            self.errors(done, timeout=4 * pipeline)
            self.assertEqual(done.json["requests_total"], 8)

    def test_an_upload_that_is_not_read_times_out_after_the_duration(self):
        stop = threading.Event()
        server = self.server(lambda peer: stop.wait(rig.LIMIT_SECONDS))
        self.addCleanup(stop.set)
        done = self.run_load(
            "--duration", "500ms", "--connections", 2, "--timeout", "2s", "--body-size", "64m", server.url
        )
        self.errors(done, timeout=2)

    def test_an_incomplete_reply_times_out(self):
        server = self.each(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi")
        done = self.counted(server, "--timeout", "900ms", timeout=N)
        self.first(done, "timeout", r"127\.0\.0\.1:\d+: incomplete reply to GET / within 900ms")

    def test_an_unexpected_status_is_a_status_error(self):
        done = self.counted(self.each(reply(status="500 Oh")), status=N)
        self.assertEqual(done.json["status"], {"500": N})
        self.first(done, "status", "500 for GET /")
        done = self.counted(self.each(reply(status="999 Ah")), status=N)
        self.assertEqual(done.json["status"], {"999": N})
        done = self.counted(self.each(reply(status="302 Found")), status=N)
        done = self.counted(self.each(reply(b"yes")), "--expect-status", 404, status=N)
        self.first(done, "status", "200 for GET /, expected 404")
        self.assertEqual(done.json["requests"], 0)
        done = self.counted(self.each(reply(status="404 No")), "--expect-status", 404)
        self.assertEqual(done.json["requests"], N)

    def test_the_sample_is_the_first_error_of_its_kind(self):
        """It names the URL, and later errors do not replace it."""
        server = self.server(
            lambda peer: [peer.send(reply(status=s)) for s in ("200 OK", "404 No", "500 Oh") if peer.request()]
        )
        done = self.run_load(
            "--requests", 3, "--connections", 1, server.url + "a", server.url + "b?{seq:7}", server.url + "c"
        )
        self.errors(done, status=2)
        self.first(done, "status", r"404 for GET /b\?\{seq:7\}")

    def test_the_sample_is_the_first_error_of_all_cores(self):
        """The earliest one, on any core. Who sends its next request has seen the reply to the one before."""

        def serve(peer):
            n = None
            while peer.request():
                if n == 0:
                    seen.set()
                with server.lock:
                    n = next(turn)
                if n:
                    seen.wait(rig.LIMIT_SECONDS)
                peer.send(reply(status="%d Oh" % (500 + n)))

        turn, seen = iter(range(90)), threading.Event()
        server = self.server(serve)
        done = self.run_load("--requests", 8, "--connections", 4, "--cores", rig.two_cores(), server.url)
        self.errors(done, status=8)
        self.first(done, "status", "500 for GET /")

    def test_wrong_replies_outside_the_measurement_are_errors(self):
        """They are errors, and reported apart from those among the statuses."""

        def outside(*options):
            server = self.each(reply(b"no"))
            done = self.run_load("--connections", 8, "--expect-body", "ok", *options, server.url)
            j = done.json
            wrong = j["errors"]["body"]
            self.errors(done, **({"body": wrong} if wrong else {}))
            self.assertEqual(j["status"].get("200", 0), j["errors_measured"]["body"])
            n = wrong - j["errors_measured"]["body"]
            note = f"  {n} of the wrong replies came outside the measured time and are counted under ERRORS only\n"
            self.assertEqual(note in done.out, n > 0)
            return n

        for rate in ([], ["--rate", 200]):
            # A core that is not run for as long as the warm-up lasts sends nothing in it.
            times = (f"{100 << i}ms" for i in range(8))
            self.assertTrue(any(outside("--duration", "300ms", "--warmup", time, *rate) for time in times))
        outside("--duration", "300ms")

    def test_slow_wrong_replies_do_not_end_the_run(self):
        """Wrong replies are replies: a run does not stall while they come."""

        def serve(peer):
            while peer.request():
                peer.sock.settimeout(0.6)
                try:
                    peer.more()
                except TimeoutError:
                    pass
                peer.sock.settimeout(None)
                peer.send(reply(status="500 Oh"))

        done = self.run_load("--requests", 8, "--connections", 1, "--timeout", "3s", self.server(serve).url)
        self.errors(done, status=8)

    def test_a_malformed_reply_is_a_framing_error(self):
        for bytes_ in (
            b"garbage\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
            b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ):
            done = self.counted(self.each(bytes_), framing=N)
            near = re.escape(bytes_[-12:-4].decode().replace("\r", "\\r").replace("\n", "\\n"))
            self.first(done, "framing", f'GET /: [^"]+: ".*{near}.*"')

    def test_a_status_below_100_is_a_framing_error(self):
        """A status below 100 is neither interim nor final."""
        for status in ("000 Oh", "007 Oh", "099 Oh"):
            for fields in (b"", b"Connection: close\r\n"):
                done = self.counted(self.each(reply(status=status, fields=fields)), framing=N)
                self.assertEqual(done.json["status"], {})
        text = reply(b"", status="000 Oh")
        self.counted(self.each(*(text[i : i + 1] for i in range(len(text)))), framing=N)

    def test_unsolicited_data_is_a_framing_error(self):
        """The reply before it is good; its connection is closed."""

        def serve(peer):
            peer.request()
            peer.send(reply() + b"x")
            peer.more()

        done = self.counted(self.server(serve), framing=N)
        self.assertEqual(done.json["requests"], N)
        self.first(done, "framing", r'127\.0\.0\.1:\d+ sent unsolicited data: "x"')

    def test_a_reply_before_any_request_is_a_framing_error(self):
        """It is no error of the requests on that connection."""

        def serve(peer):
            peer.send(reply())
            peer.more()

        server = self.server(serve)
        done = self.run_load("--duration", "600ms", "--connections", 2, server.url)
        self.assertGreater(done.json["errors"]["framing"] + done.json["requests"], 0)
        self.agrees(done.json)

    def test_an_unexpected_body_is_a_body_error(self):
        done = self.counted(self.each(reply(b"hello")), "--expect-body", "hellO", body=N)
        self.first(done, "body", 'GET /: byte 5 differs: got "o", expected "O"')
        done = self.counted(self.each(reply(b"hello")), "--expect-body", "hell", body=N)
        self.first(done, "body", "GET /: got 5 bytes, expected 4")
        done = self.counted(self.each(reply(b"hello")), "--expect-body", "hello!", body=N)
        self.first(done, "body", "GET /: got 5 bytes, expected 6")
        self.counted(self.each(reply(b"hello")), "--expect-body", "", body=N)
        self.counted(self.each(reply(b"")), "--expect-body", "x", body=N)
        self.counted(self.each(reply(b"hello")), "--expect-body", "hello")
        self.counted(self.each(reply(b"")), "--expect-body", "")

    def test_a_body_in_pieces_is_compared(self):
        want = self.scratch / "want"
        want.write_bytes(bytes(range(256)) * 40)
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for i in range(40):
            chunked += b"100\r\n" + bytes(range(256)) + b"\r\n"
        right, wrong = chunked + b"0\r\n\r\n", chunked[:-20] + b"?" + chunked[-19:] + b"0\r\n\r\n"
        self.counted(self.each(right), "--expect-body-file", want)
        done = self.counted(self.each(wrong), "--expect-body-file", want, body=N)
        self.first(done, "body", r'GET /: byte 10223 differs: got "\?.*", expected ".*"')

    def test_one_wrong_reply_among_good_ones_is_found(self):
        """Also where replies are compared with the bytes of a good one: only the Date may differ."""
        date = b"Date: Sun, 06 Nov 1994 08:49:%02d GMT\r\n"

        def serve(peer):
            for i in range(8):
                peer.request()
                body = b"ok" if i != 5 else b"oK"
                peer.send(reply(body, fields=date % i))
            peer.more()

        server = self.server(serve)
        done = self.run_load("--requests", 8, "--connections", 1, "--expect-body", "ok", server.url)
        self.errors(done, body=1)
        self.assertEqual(done.json["requests"], 7)
        self.assertEqual(done.json["connects"], 1)

    def test_several_kinds_of_errors_are_counted_apart(self):
        kinds = [reply(), reply(status="500 Oh"), reply(b"other"), b"nonsense"]
        state = iter(range(10**6))

        def serve(peer):
            while peer.request():
                peer.send(kinds[next(state) % 4])

        done = self.run_load("--requests", 40, "--connections", 1, "--expect-body", "ok", self.server(serve).url)
        self.errors(done, status=10, framing=10, body=10)
        self.first(done, "body", 'GET /: byte 2 differs: got "ther", expected "k"; got 5 bytes, expected 2')
        self.assertEqual(done.json["requests"], 10)

    def test_a_request_that_is_not_read_times_out(self):
        """The send itself does not complete, and is cancelled."""
        stop = threading.Event()
        server = self.server(lambda peer: stop.wait(rig.LIMIT_SECONDS))
        self.addCleanup(stop.set)
        done = self.run_load(
            "--requests", 4, "--connections", 2, "--timeout", "900ms", "--body-size", "64m", server.url
        )
        self.errors(done, timeout=4)

    def test_an_early_reply_with_close_counts(self):
        """As to a body that is too large: the reply counts, not the failed send after it."""

        def serve(peer):
            peer.more()
            peer.send(reply(status="413 Too Large", fields=b"Connection: close\r\n"))
            stop.wait(rig.LIMIT_SECONDS)

        stop = threading.Event()
        server = self.server(serve)
        self.addCleanup(stop.set)
        done = self.run_load("--requests", 4, "--connections", 2, "--body-size", "64m", server.url)
        self.errors(done, status=4)

    def test_an_early_reply_with_keep_alive_counts(self):
        """The next request is sent after the rest of this one."""

        def serve(peer):
            while True:
                peer.more()
                peer.send(reply())
                peer.request()

        server = self.server(serve)
        done = self.run_load("--requests", 4, "--connections", 1, "--body-size", "16m", server.url)
        self.errors(done)
        self.assertEqual(done.json["connects"], 1)

    def test_a_request_after_one_that_is_never_read_times_out(self):
        """It cannot be sent, and times out."""

        def serve(peer):
            peer.more()
            peer.send(reply())
            stop.wait(rig.LIMIT_SECONDS)

        stop = threading.Event()
        for options in (["--requests", 4], ["--duration", "1500ms"]):
            server = self.server(serve)
            self.addCleanup(stop.set)
            done = self.run_load(*options, "--connections", 2, "--timeout", "2s", "--body-size", "64m", server.url)
            self.errors(done, timeout=2)
            self.assertEqual(done.json["requests_total"], 2)
