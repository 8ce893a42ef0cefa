"""How a run begins and ends: phases, signals, servers that die, engines that are unavailable."""

import contextlib
import ctypes
import json
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import rig
from rig import reply


SETUP, ENTER, REGISTER = 425, 426, 427  # io_uring_*(2), the same everywhere


def refuse(call=SETUP):
    """In a child: a filter as containers have it, under which the system call fails with EPERM."""
    code = b"".join(
        struct.pack("HBBI", *i)
        for i in ((0x20, 0, 0, 0), (0x15, 0, 1, call), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000))
    )
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(program)):
        os._exit(125)


class Ends(rig.Case):
    # ---- phases ----

    def test_warmup_is_not_counted(self):
        server = self.each(reply())
        done = self.run_load("--warmup", "500ms", "--duration", "500ms", "--connections", 2, server.url)
        self.errors(done)
        j = done.json
        self.assertGreater(j["requests_total"], j["requests"])
        self.assertGreater(j["requests"], 0)
        # Each connection may have one request that began before the measurement, or ends after it.
        self.assertAlmostEqual(j["bytes_in"] / len(reply()), j["requests"], delta=2)

    def test_warmup_requests_are_not_among_the_count(self):
        """Of several connections all but one may still wait for a reply of the warm-up when the count is full."""
        for connections in (1, 3):
            server = self.each(reply())
            done = self.run_load("--warmup", "100ms", "--requests", 10, "--connections", connections, server.url)
            self.errors(done)
            self.assertEqual(done.json["requests"], 10)
            self.assertGreater(done.json["requests_total"], 10)
            self.assertIn(len(server.requests) - done.json["requests_total"], range(connections))

    def test_errors_of_the_warmup_are_errors(self):
        state = iter(range(10**9))

        def serve(peer):
            while peer.request():
                peer.send(reply(status="500 Oh") if next(state) == 0 else reply())

        done = self.run_load("--warmup", "200ms", "--requests", 5, "--connections", 1, self.server(serve).url)
        self.errors(done, status=1)

    def test_the_ramp_opens_all_connections(self):
        server = self.each(reply())
        done = self.run_load("--ramp", "300ms", "--duration", "1s", "--connections", 12, server.url)
        self.errors(done)
        self.assertEqual(done.json["connects"], 12)
        self.assertTrue(rig.wait_for(lambda: server.connects >= 12))
        self.assertEqual(server.connects, 12)
        for options in (["--rate", 500], ["--warmup", "100ms"], ["--cores", rig.two_cores()]):
            self.errors(self.run_load("--ramp", "100ms", "--requests", 20, "--connections", 4, *options, server.url))

    def test_a_short_run_has_no_errors(self):
        server = self.each(reply())
        for options in (
            ["--duration", "1ms"],
            ["--duration", "1ms", "--rate", 100000],
            ["--ramp", "1ms", "--duration", "1ms"],
        ):
            done = self.run_load("--connections", 3, *options, server.url)
            self.assertEqual(sum(done.json["errors"].values()), 0)
            self.agrees(done.json)

    def test_a_short_run_measures_as_long_as_it_says(self):
        """Each connection waits for one reply after the other: together for no longer than the run. The core
        uses no more than one CPU."""
        url = self.lab()[1]
        for duration in ("1ms", "2ms", "5ms", "30ms") * 3:
            done = self.run_load("--connections", 64, "--cores", 1, "--duration", duration, url + "/plaintext")
            j = done.json
            self.agrees(j)
            waited = j["latency_ns"]["raw"]["mean"] * j["requests"] / 64
            self.assertLessEqual(waited, 1.01e9 * j["seconds"], (duration, done.out))
            self.assertLessEqual(j["cpu"]["share"], 1, (duration, done.out))

    def test_replies_to_requests_in_flight_are_awaited(self):
        """A reply after the duration and within the timeout is good, but not measured."""

        def serve(peer):
            peer.request()
            peer.send(reply())
            peer.request()
            time.sleep(4)
            peer.send(reply())
            peer.more()

        done = self.run_load("--connections", 3, "--duration", "2s", self.server(serve).url)
        self.errors(done)
        self.assertEqual(done.json["requests_total"], 6)

    # ---- open loop ----

    def test_a_slow_rate_does_not_stall(self):
        """The time between two requests may be longer than the timeout."""
        server = self.each(reply())
        done = self.run_load("--requests", 2, "--rate", 0.4, "--timeout", "1s", "--connections", 1, server.url)
        self.errors(done)
        self.assertEqual(len(server.requests), 2)

    def test_requests_without_a_free_connection_are_unsent(self):
        """All are in the corrected histogram, each with the least time that it waited."""

        def serve(peer):
            while peer.request():
                time.sleep(0.05)
                peer.send(reply())

        done = self.run_load("--rate", 1000, "--duration", "2s", "--connections", 2, self.server(serve).url)
        self.errors(done)
        j = done.json
        self.assertGreater(j["unsent"], 300)
        self.assertIn("were due and never sent", done.out)
        self.assertRegex(j["advice"], "--connections|other programs")  # other programs may be the limit instead
        corrected = j["latency_ns"]["corrected"]
        due = j["seconds"] * 1000
        self.assertGreaterEqual(corrected["count"], due - 30)
        # Uniform over the run: half of them have waited for almost half of it.
        self.assertGreater(corrected["p50"], j["seconds"] * 1e9 * 0.3)

    def test_a_far_too_high_rate_delays_no_reply(self):
        """To count millions of unsent requests delays no reply."""
        done = self.run_load(
            "--rate", 1e8, "--duration", "2s", "--connections", 2, "--timeout", "5s", self.each(reply()).url
        )
        self.errors(done)
        j = done.json
        self.assertGreater(j["unsent"], 1e6)
        self.assertLessEqual(j["latency_ns"]["corrected"]["max"], (j["seconds"] + 1) * 1e9)

    def test_many_unsent_requests_are_spread_evenly(self):
        """As if at equal intervals, where they are too many to count one by one."""
        server = self.each(reply())
        for options in (["--duration", "2s"], ["--duration", "2s", "--warmup", "1s", "--arrivals", "poisson"]):
            done = self.run_load("--rate", 1e8, "--connections", 2, *options, server.url)
            self.errors(done)
            j = done.json
            self.assertGreater(j["unsent"], 5e6)
            corrected = j["latency_ns"]["corrected"]
            self.assertLessEqual(corrected["max"], (j["seconds"] + 1) * 1e9)
            # Uniform over the run.
            self.assertGreater(corrected["p75"], 1.4 * corrected["p50"])
            self.assertLess(corrected["p75"], 1.6 * corrected["p50"])

    # ---- interrupted ----

    def interrupted(self, server, *options, number=signal.SIGINT, after=5):
        process = self.start("--quiet", *options, server.url)
        self.assertTrue(rig.wait_for(lambda: len(server.requests) >= after))
        process.send_signal(number)
        done = self.finish(process)
        self.assertEqual(done.status, 1)
        self.assertEqual(done.json["errors"], dict.fromkeys(rig.ERRORS, 0))
        self.assertTrue(done.json["interrupted"])
        self.assertIn("requests ", done.out)
        self.assertNotIn("ERRORS", done.out)
        self.assertIn("INTERRUPTED", done.out)
        self.assertFalse(os.path.exists(f"/proc/{process.pid}"))
        self.agrees(done.json)
        return done

    def test_an_interrupted_run_reports(self):
        for options, number in (
            (["--duration", "1h"], signal.SIGINT),
            (["--requests", 10**12], signal.SIGTERM),
            (["--duration", "1h"], signal.SIGHUP),
        ):
            # More requests than connections: some have been answered.
            done = self.interrupted(self.each(reply()), "--connections", 4, *options, number=number, after=20)
            self.assertGreater(done.json["requests"], 0)

    def test_an_interrupt_does_not_wait_for_replies(self):
        def serve(peer):
            while peer.request():
                pass

        for options in (
            ["--duration", "1h"],
            ["--duration", "1h", "--rate", 200],
            ["--requests", 10**9, "--rate", 200],
            ["--duration", "1h", "--pipeline", 5, "--cores", rig.two_cores()],
            ["--warmup", "1h"],
            ["--warmup", "1h", "--rate", 200],
        ):
            done = self.interrupted(self.server(serve), "--connections", 8, *options)
            self.assertEqual(done.json["unanswered"] == 0, "--warmup" in options)  # of the measured part

    def test_an_interrupt_loses_no_request(self):
        """One that was sent and not answered is told, and in the corrected latency."""

        def serve(peer):
            peer.request()
            peer.send(reply())
            peer.request()
            peer.more()

        for options in (["--rate", 200, "--connections", 20], ["--connections", 20]):
            done = self.interrupted(self.server(serve), "--duration", "1h", *options, after=40)
            j = done.json
            self.assertEqual(j["errors"], dict.fromkeys(rig.ERRORS, 0))
            self.assertEqual(j["unanswered"], 20)
            self.assertIn("  unanswered   20 were sent, without a reply at the end\n", done.out)
            self.assertEqual(j["latency_ns"]["raw"]["count"], j["requests"])

    def test_an_interrupt_tells_what_was_due_of_a_number_of_requests(self):
        """One of them was sent, and all others were due."""

        def serve(peer):
            while peer.request():
                pass

        options = ["--rate", 1000, "--requests", 50, "--connections", 1, "--cores", 1]
        server = self.server(serve)
        process = self.start("--quiet", *options, server.url)
        self.assertTrue(rig.wait_for(lambda: server.requests))
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        done = self.finish(process)
        self.assertEqual((done.json["unanswered"], done.json["unsent"]), (1, 49), done)
        self.assertIn("  unsent       49 were due and never sent\n", done.out)
        self.agrees(done.json)

    def test_an_interrupt_tells_what_waits_for_its_next_attempt(self):
        """It was sent, with free connections all the time."""

        def serve(peer):
            while peer.request():
                pass

        give_up = ["--rate", 100, "--deadline", "50ms", "--retry", "3,1h", "--connections", 20]
        for options in (["--requests", 10], ["--duration", "1h"]):
            server = self.server(serve)
            process = self.start("--quiet", *give_up, *options, server.url)
            self.assertTrue(rig.wait_for(lambda: server.connects >= 30))  # ten gave up
            process.send_signal(signal.SIGINT)
            done = self.finish(process)
            self.assertEqual(done.json["errors"], dict.fromkeys(rig.ERRORS, 0))
            self.assertEqual(done.json["unanswered"] + done.json["unsent"], done.json["deadline"]["attempts"])
            self.assertEqual(done.json["unsent"], 0, done)
            self.assertGreaterEqual(done.json["unanswered"], 10)
            self.assertNotIn("--connections", done.json["advice"] or "")
            self.agrees(done.json)

    def test_an_interrupt_after_a_standstill_gives_nobody_up(self):
        """What was due meanwhile is sent on free connections, and what has had its time would be sent again."""

        def serve(peer):
            while peer.request():
                pass

        server = self.server(serve)
        options = ["--duration", "1h", "--rate", 20, "--connections", 200, "--deadline", "500ms", "--retry", "3,1h"]
        process = self.start("--quiet", *options, server.url)
        self.assertTrue(rig.wait_for(lambda: server.requests))
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        done = self.finish(process)
        self.assertEqual(done.json["errors"], dict.fromkeys(rig.ERRORS, 0), done)
        self.assertEqual((done.json["unsent"], done.json["unanswered"]), (0, done.json["deadline"]["attempts"]), done)
        self.assertGreaterEqual(done.json["unanswered"], 20)
        self.agrees(done.json)

    def test_what_was_never_sent_is_not_unanswered(self):
        """Behind requests that nobody reads."""

        def serve(peer):
            peer.take(1)
            read.set()
            stop.wait(rig.LIMIT_SECONDS)

        for options in (["--duration", "1h"], ["--requests", 64], ["--requests", 64, "--rate", 10**6]):
            read, stop = threading.Event(), threading.Event()
            server = self.server(serve)
            process = self.start(
                "--quiet", "--connections", 1, "--pipeline", 64, "--body-size", "4m", *options, server.url
            )
            self.assertTrue(read.wait(rig.LIMIT_SECONDS))
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            done = self.finish(process)
            stop.set()
            self.assertIn(done.json["unanswered"], range(1, 33), done)
            if "--rate" in options:
                self.assertEqual(done.json["unanswered"] + done.json["unsent"], 64)
            else:
                self.assertEqual(done.json["unsent"], 0)
            self.agrees(done.json)

    def test_a_standstill_of_the_generator_hides_no_timeout(self):
        """It is stopped, as with its machine, for longer than a request in flight may take, and then told to end."""

        def serve(peer):
            while peer.request():
                pass

        for options, count in (["--rate", 100], 4), (["--pipeline", 3], 12):
            server = self.server(serve)
            options = ["--requests", count, "--connections", 4, "--timeout", "1s", *options]
            process = self.start("--quiet", *options, server.url)
            self.assertTrue(rig.wait_for(lambda: len(server.requests) == count))
            process.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGCONT)
            done = self.finish(process)
            self.assertEqual(done.status, 1)
            self.assertEqual(done.json["errors"]["timeout"], count, done)
            self.assertEqual(done.json["unanswered"], 0)

    def test_a_standstill_of_the_generator_is_not_the_servers(self):
        """Which is fast enough, though not for all that was due meanwhile at once."""

        def serve(peer):
            while peer.request():
                time.sleep(0.02)
                peer.send(reply())

        server = self.server(serve)
        process = self.start("--quiet", "--rate", 100, "--duration", "500ms", "--connections", 10, server.url)
        self.assertTrue(rig.wait_for(lambda: server.requests))
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        done = self.finish(process)
        self.errors(done)
        self.assertRegex(done.json["advice"], "the generator stood still|other programs")

    def test_a_standstill_of_the_generator_ends_no_drain(self):
        """Nobody may be awaited for longer than it lasts, but clients try again after it."""

        def serve(peer):
            answers = back.is_set()
            while peer.request():
                if answers:
                    peer.send(reply())

        back = threading.Event()
        server = self.server(serve)
        options = ["--rate", 100, "--duration", "100ms", "--connections", 16, "--timeout", "1s"]
        process = self.start("--quiet", *options, "--deadline", "1s", "--retry", "2,200ms", server.url)
        self.assertTrue(rig.wait_for(lambda: server.requests))
        time.sleep(0.4)
        process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        back.set()
        process.send_signal(signal.SIGCONT)
        done = self.finish(process)
        self.errors(done)
        self.assertEqual(done.json["unanswered"], 0)
        self.assertGreater(done.json["requests"], 0)

    def test_an_ignored_signal_is_obeyed(self):
        """As by nohup, and in what a script starts in the background."""
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            server = self.each(reply())
            options = ["--quiet", "--requests", 20, "--rate", 20, server.url]
            process = self.start(*options, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
            self.assertTrue(rig.wait_for(lambda: server.requests))
            process.send_signal(number)
            self.errors(self.finish(process))

    def test_an_interrupt_ends_the_drain(self):
        def serve(peer):
            while peer.request():
                pass

        server = self.server(serve)
        process = self.start("--quiet", "--duration", "500ms", "--timeout", "1h", "--connections", 4, server.url)
        self.assertTrue(rig.wait_for(lambda: len(server.requests) == 4))
        time.sleep(0.8)
        process.send_signal(signal.SIGINT)
        done = self.finish(process)
        self.assertEqual(done.status, 1)
        self.assertTrue(done.json["interrupted"])
        self.assertEqual(done.json["errors"], dict.fromkeys(rig.ERRORS, 0))

    def test_an_interrupt_ends_the_ramp(self):
        self.interrupted(self.each(reply()), "--ramp", "1h", "--connections", 4)

    def test_an_interrupt_ends_connecting(self):
        """To a server that accepts no connection and whose queue is full."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(listener.close)
        url = "http://127.0.0.1:%d/" % listener.getsockname()[1]
        process = self.start("--quiet", "--connections", 20, "--timeout", "1h", url)
        connected, _, _ = select.select([listener], [], [], rig.LIMIT_SECONDS)
        self.assertTrue(connected)
        process.send_signal(signal.SIGINT)
        done = self.finish(process)
        self.assertEqual(done.status, 1)
        self.assertTrue(done.json["interrupted"])

    def test_an_interrupt_before_any_connection_is_told(self):
        listener, url = self.unix_listener("interrupted")
        self.fill(listener)
        process = self.start("--quiet", "--connections", 1, "--timeout", "1h", url)
        self.await_tries(process)
        process.send_signal(signal.SIGINT)
        done = self.finish(process)
        self.assertEqual(done.status, 1)
        self.assertTrue(done.out.startswith("INTERRUPTED: "), done)
        self.assertTrue(done.json["interrupted"])
        self.assertEqual((done.json["connects"], done.json["errors"]), (0, dict.fromkeys(rig.ERRORS, 0)))

    def test_an_interrupt_ends_a_report_that_nobody_reads(self):
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(writing, b"full"):
                pass
        os.set_blocking(writing, True)
        try:
            server = self.each(reply())
            process = self.start("--quiet", "--requests", 5, server.url, stdout=writing)
            self.assertTrue(rig.wait_for(lambda: len(server.requests) == 5))
            deadline = time.monotonic() + rig.LIMIT_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                process.send_signal(signal.SIGINT)  # those of the run itself only end that
                time.sleep(0.05)
        finally:
            process.kill()
            process.communicate()
            os.close(reading)
            os.close(writing)
        self.assertEqual(process.returncode, -signal.SIGINT)

    # ---- servers that end ----

    def test_a_server_that_dies_causes_connect_errors(self):
        for options in (["--requests", 10**9], ["--requests", 10**9, "--rate", 1000], ["--duration", "3s"]):
            lab, url, admin = self.lab()
            before = rig.requests_of(admin)
            process = self.start("--quiet", "--timeout", "2s", "--connections", 4, *options, url + "/delay/1")
            self.assertTrue(rig.wait_for(lambda: rig.requests_of(admin) > before + 8))
            lab.kill()
            done = self.finish(process)
            self.assertEqual(done.status, 1)
            errors = done.json["errors"]
            self.assertGreater(errors["connect"], 0)
            self.assertEqual(sum(errors.values()), errors["connect"] + errors["reset"])
            self.assertTrue(done.out.startswith("ERRORS: connect "))
            self.agrees(done.json)

    def test_a_server_that_dies_leaves_nothing_untold(self):
        """Of a number of requests all were due before the run ended."""

        def serve(peer):
            while peer.request():
                if len(server.requests) > 20:
                    server.close_listener()
                    return peer.reset()
                peer.send(reply())

        server = self.server(serve)
        options = ["--rate", 200, "--requests", 100, "--connections", 4, "--timeout", "1s"]
        done = self.run_load(*options, server.url)
        j = done.json
        self.assertGreater(j["unsent"], 0)
        failed = sum(j["errors"].values()) - j["errors"]["connect"]
        self.assertEqual(j["requests"] + failed + j["unanswered"] + j["unsent"], 100, done)
        self.assertFalse(j["interrupted"])
        self.agrees(j)

    def test_a_server_that_stops_answering_causes_timeouts(self):
        def serve(peer):
            for _ in range(5):
                peer.request()
                peer.send(reply())
            while peer.more():
                pass

        server = self.server(serve)
        done = self.run_load("--requests", 20, "--connections", 2, "--timeout", "200ms", server.url)
        self.assertEqual(done.json["requests"] + done.json["errors"]["timeout"], 20)
        self.assertGreaterEqual(done.json["errors"]["timeout"], 2)
        self.assertEqual(done.status, 1)

    def test_a_server_that_closes_at_once_is_not_hammered(self):
        """A connection that served nobody is opened again after a pause, not in a loop."""
        server = self.server(lambda peer: None)
        self.run_load("--rate", 1, "--connections", 4, "--duration", "1s", server.url)
        self.assertLess(server.connects, 500)

    def unix_listener(self, name):
        """With a queue of two, which is less than all who connect."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(str(self.scratch / name))
        listener.listen(1)
        return listener, f"unix:{self.scratch / name}:/"

    def fill(self, listener):
        """Its queue, until it has no room."""
        with contextlib.suppress(BlockingIOError):
            while True:
                client = socket.socket(socket.AF_UNIX)
                self.addCleanup(client.close)
                client.setblocking(False)
                client.connect(listener.getsockname())

    def await_tries(self, process):
        """Its only core wakes up again and again, as one does that waits for room in a queue."""
        before = []

        def is_awake():
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                with contextlib.suppress(OSError):  # a thread that has ended
                    if (task / "comm").read_text() == "torc-load-0\n":
                        status = (task / "status").read_text()
                        before.append(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)$", status, re.M)[1]))
            return before and before[-1] >= before[0] + 20

        self.assertTrue(rig.wait_for(is_awake))

    def test_a_full_queue_of_a_unix_socket_times_out(self):
        """Each connection waits for as long, however often it has waited."""
        _, url = self.unix_listener("full")
        begun = time.monotonic()
        done = self.run_load("--connections", 8, "--timeout", "500ms", "--duration", "1500ms", url)
        self.assertEqual(done.status, 1)
        self.assertIn("Connection timed out", done.out)
        self.assertLessEqual(done.json["errors"]["connect"], 8 * (time.monotonic() - begun) / 0.5)

    def test_a_server_that_ends_while_its_queue_is_full_refuses(self):
        """That is no timeout."""
        listener, url = self.unix_listener("gone")
        process = self.start("--quiet", "--connections", 8, "--timeout", "1h", "--duration", "200ms", url)
        self.await_tries(process)
        listener.close()
        done = self.finish(process)
        self.first(done, "connect", "unix:.*: Connection refused")

    def test_who_found_room_in_a_queue_waits_again_for_as_long(self):
        """From one full queue to the next it is longer than any wait."""
        listener, url = self.unix_listener("again")

        def accept():
            """The first connection that is the generator's."""
            while True:
                client = listener.accept()[0]
                self.addCleanup(client.close)
                client.settimeout(rig.LIMIT_SECONDS)
                who = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
                if struct.unpack("iII", who)[0] == process.pid:
                    return client

        listener.settimeout(rig.LIMIT_SECONDS)
        self.fill(listener)
        process = self.start("--quiet", "--connections", 1, "--requests", 6, "--timeout", "3s", url)
        self.await_tries(process)
        client = accept()
        for i in range(5):
            client.recv(1000)
            if i == 4:
                self.fill(listener)
            time.sleep(0.8)
            client.sendall(reply(fields=b"Connection: close\r\n" if i == 4 else b""))
        self.await_tries(process)
        client = accept()
        client.recv(1000)
        client.sendall(reply())
        self.errors(self.finish(process))

    def test_a_full_queue_of_a_unix_socket_is_waited_for(self):
        listener, url = self.unix_listener("slow")
        process = self.start("--quiet", "--connections", 8, "--requests", 8, url)
        clients = []
        for _ in range(8):
            time.sleep(0.05)
            clients.append(listener.accept()[0])
        for client in clients:
            client.recv(1000)
            client.sendall(reply())
        self.errors(self.finish(process))
        for client in clients:
            client.close()

    # ---- limits ----

    def test_running_out_of_ports_gives_advice(self):
        """With a new connection for each request; the report then says what to do."""
        _, url, _ = self.lab()
        done = self.run_load("--requests-per-connection", 1, "--duration", "1s", "--connections", 8, url + "/plaintext")
        errors = done.json["errors"]
        self.assertEqual(sum(errors.values()), errors["connect"])
        if errors["connect"]:
            self.assertIn("ip_local_port_range", done.out)
        self.assertGreaterEqual(done.json["connects"], done.json["requests"])
        self.agrees(done.json)

    def test_too_few_descriptors_are_an_error(self):
        """A watched process takes one, too."""
        server = self.each(reply())

        def limited(connections, *options):
            options = ["--connections", connections, "--requests", connections, "--cores", 1, *options, server.url]
            return self.run_load(*options, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))

        watch = ["--watch", os.getpid()]
        self.errors(limited(32))
        self.errors(limited(31, *watch))
        for connections, options, what in (33, [], "33"), (100, [], "100"), (32, watch, "32 with --watch"):
            done = limited(connections, *options)
            self.assertEqual(done.status, 1)
            said = f"torc-load: --connections {what} needs a descriptor limit of more than 100 (raise it, ulimit -n)\n"
            self.assertEqual(done.err, said)

    def test_an_unavailable_engine_is_an_error_or_replaced(self):
        server = self.each(reply())
        for call, name in (SETUP, "io_uring_setup"), (ENTER, "io_uring_enter"), (REGISTER, "io_uring_register"):
            before = len(server.requests)
            done = self.run_load("--requests", 3, server.url, engine="io_uring", preexec_fn=lambda: refuse(call))
            if "not built in" in done.err:
                return self.assertEqual(done.status, 2)
            self.assertEqual(done.status, 3)
            self.assertTrue(done.err.startswith("torc-load: engine io_uring: "), done.err)
            self.assertIn(name, done.err)
            self.assertEqual(len(server.requests), before)
            done = self.run_load("--requests", 3, server.url, engine="", preexec_fn=lambda: refuse(call))
            if rig.ENGINE == "epoll":
                self.errors(done)
                self.assertEqual(done.json["engine"], "epoll")

    def refused_by_a_tracer(self, call, error, when, *options):
        """A run under a tracer that refuses the system call. Without one there is nothing to see."""
        words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
        words += ["-e", f"inject={call}:error={error}:when={when}"]
        try:
            if subprocess.run([*words, "true"], capture_output=True).returncode:
                self.skipTest("strace may not trace")
        except FileNotFoundError:
            self.skipTest("no strace")
        words += [rig.LOAD, "--engine", rig.ENGINE, "--quiet", *options, self.each(reply()).url]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            _, err = process.communicate(timeout=rig.LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            self.fail("it did not end by itself: " + process.communicate()[1])
        self.assertEqual(process.returncode, 1, err)
        return err

    def test_an_engine_that_is_refused_later_is_an_error(self):
        call = "io_uring_enter" if rig.ENGINE == "io_uring" else "epoll_wait,epoll_pwait"
        options = ["--requests", "1000000", "--connections", "2", "--cores", "1"]
        err = self.refused_by_a_tracer(call, "EPERM", "20+", *options)
        self.assertIn(f"core 0: {call.split(',')[0]} failed: Operation not permitted", err)

    def test_a_core_whose_engine_does_not_open_ends_the_run(self):
        # Of io_uring the trial before the start would be refused.
        options = ["--engine", "epoll", "--duration", "1h", "--connections", "4", "--cores", rig.two_cores()]
        err = self.refused_by_a_tracer("epoll_create1", "ENOMEM", "1", *options)
        self.assertIn("torc-load: core 0 cannot start its epoll engine: ", err)

    def test_wrong_options_are_one_line_on_stderr(self):
        for words in (
            ["--connections", "0"],
            ["--rate", "-1"],
            ["--pipeline", "1025"],
            ["--nothing"],
            ["--rate"],
            ["-q"],
            ["--json", "-", "--hdr", "-"],
        ):
            done = self.run_load("http://127.0.0.1:1/", *words)
            self.assertEqual(done.status, 2)
            self.assertEqual(len(done.err.splitlines()), 1)
            self.assertTrue(done.err.startswith("torc-load: "), done.err)
            self.assertEqual(done.out, "")

    def test_help_goes_to_stdout(self):
        for word in ("--help", "-h"):
            done = self.run_load(word)
            self.assertEqual((done.status, done.err), (0, ""))
            self.assertTrue(done.out.startswith("Usage: torc-load "), done.out)

    def test_unwritable_help_is_an_error(self):
        for word in ("--help", "--version"):
            with open("/dev/full", "w") as full:
                done = self.run_load(word, stdout=full)
            self.assertEqual(done.status, 1)
            self.assertEqual(done.err, "torc-load: cannot write to stdout: No space left on device\n")

    def test_the_first_address_that_accepts_is_used(self):
        """The server listens on the last address only."""
        found = [a[:2] for *_, a in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)]
        server = rig.Server(self.answer, host=found[-1][0])
        self.addCleanup(server.stop)
        port = server.listener.getsockname()[1]
        done = self.run_load("--requests", 5, "--connections", 2, f"http://localhost:{port}/")
        self.errors(done)
        text = ["[%s]:%d" % (a, port) if ":" in a else "%s:%d" % (a, port) for a, _ in found]
        self.assertEqual(done.json["address"], text[-1])
        head = done.out.splitlines()[0]
        if text[0] != text[-1]:
            self.assertIn(f"to {text[-1]}, because {text[0]} accepts no connection", head)
        else:
            self.assertNotIn("to 127", head)

    def answer(self, peer):
        while peer.request():
            peer.send(reply())

    def test_a_queue_depth_of_one_suffices(self):
        server = self.each(reply())
        self.errors(self.run_load("--depth", 1, "--connections", 40, "--pipeline", 3, "--requests", 400, server.url))

    def test_progress_goes_to_stderr_and_reports_to_files(self):
        server = self.each(reply())
        hdr = self.scratch / "hdr"
        done = self.finish(self.start("--duration", "2500ms", "--connections", 2, "--hdr", hdr, server.url))
        self.errors(done)
        self.assertRegex(done.err, r"^(\d+ s, \d+ replies/s, 0 errors\n)+$")
        self.assertIn(f"Total count    = {done.json['requests']:12d}]", hdr.read_text())
        done = self.run_load("--requests", 2, "--json", "-", server.url)
        self.assertEqual(json.loads(done.out)["requests"], 2)

    def test_cpu_time_of_watched_processes_is_reported(self):
        lab, url, _ = self.lab()
        done = self.run_load("--duration", "1s", "--connections", 4, "--watch", lab.pid, url + "/plaintext")
        self.errors(done)
        watch = done.json["watch"]
        self.assertGreater(watch["cpu_ns"], 0)
        # Replies that come while the cores are being told to drain are in no slice.
        self.assertLessEqual(sum(s[0] for s in watch["slices"]), done.json["answered"])
        self.assertGreater(sum(s[0] for s in watch["slices"]), 0)
        self.assertEqual(sum(s[1] for s in watch["slices"]), watch["cpu_ns"])
        self.assertFalse(watch["ended"])
        gone = subprocess.Popen(["true"])
        gone.wait()
        done = self.run_load("--watch", gone.pid, url)
        self.assertEqual((done.status, done.err), (1, f"torc-load: --watch {gone.pid}: no such process\n"))

    def test_a_watched_process_that_ends_fails_the_run(self):
        """As a zombie too: its last reading counts, and the run fails."""

        def serve(peer):
            while peer.request():
                if len(server.requests) == 20:
                    other.kill()
                    os.waitid(os.P_PID, other.pid, os.WEXITED | (0 if waits else os.WNOWAIT))
                peer.send(reply())

        for waits in (True, False):
            other = subprocess.Popen(["sleep", "1h"])
            server = self.server(serve)
            done = self.run_load(
                "--requests", 50, "--connections", 1, "--watch", other.pid, "--watch", os.getpid(), server.url
            )
            other.wait()
            self.assertEqual(done.status, 1, done)
            self.assertTrue(done.out.startswith("ERRORS: a watched process ended"), done.out)
            watch = done.json["watch"]
            self.assertTrue(watch["ended"])
            self.assertLess(watch["cpu_ns"], 1e12)
            self.assertEqual(done.json["requests"], 50)
            self.agrees(done.json)
