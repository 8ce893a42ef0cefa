"""A server that misbehaves as a test wants, and runs of the generator against it."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

LIMIT_SECONDS = 60  # of any step, sanitizers and a busy machine included
LOAD = LAB = ENGINE = ""
ERRORS = ("connect", "reset", "timeout", "status", "framing", "body")


def reply(body=b"ok", status="200 OK", fields=b"", version=b"HTTP/1.1"):
    return b"%s %s\r\nContent-Length: %d\r\n%s\r\n%s" % (version, status.encode(), len(body), fields, body)


class Peer:
    """The server's side of one connection."""

    def __init__(self, server, sock):
        self.server, self.sock, self.data = server, sock, b""

    def more(self):
        got = self.sock.recv(1 << 18)
        self.data += got
        return bool(got)

    def take(self, size):
        while len(self.data) < size:
            if not self.more():
                raise EOFError
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def line(self):
        while b"\r\n" not in self.data:
            if not self.more():
                raise EOFError
        return self.take(self.data.index(b"\r\n") + 2)[:-2]

    def request(self):
        """The next request's first line, its fields (of lower-case names) and its body."""
        first, fields = self.line(), {}
        while line := self.line():
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        body = b""
        if fields.get(b"transfer-encoding") == b"chunked":
            while size := int(self.line(), 16):
                body += self.take(size)
                self.take(2)
            self.take(2)
        else:
            body = self.take(int(fields.get(b"content-length", b"0")))
        self.server.note(first, fields, body)
        return first, fields, body

    def send(self, *pieces):
        for piece in pieces:
            self.sock.sendall(piece)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Server:
    """Serves each connection on a thread of its own with `serve(peer)`. The connection is closed when
    that returns or the other side closes."""

    def __init__(self, serve, backlog=256, host="127.0.0.1"):
        self.serve, self.lock, self.stopping = serve, threading.Lock(), False
        self.requests, self.connects, self.peers, self.failures = [], 0, [], []
        self.clients = set()  # the addresses that connected
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Has the port until the end, so that no other program listens there once the listener is closed.
        self.holder = socket.socket(family)
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind((host, 0))
        port = self.holder.getsockname()[1]
        self.listener = socket.create_server((host, port), family=family, backlog=backlog)
        self.url = f"http://127.0.0.1:{port}/"
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def note(self, *request):
        with self.lock:
            self.requests.append(request)

    def accept(self):
        while not self.stopping:
            try:
                sock, client = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self.run, args=(sock,))
            with self.lock:
                self.connects += 1
                self.clients.add(client[0])
                self.peers.append(sock)
                self.threads.append(thread)
            thread.start()

    def run(self, sock):
        try:
            self.serve(Peer(self, sock))
        except (OSError, EOFError):
            pass
        except Exception as e:
            self.failures.append(e)
        sock.close()

    def close_listener(self):
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def stop(self):
        self.close_listener()
        self.threads[0].join(LIMIT_SECONDS)
        for sock in self.peers:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(LIMIT_SECONDS)
        self.holder.close()
        if self.failures:
            raise self.failures[0]


class Outcome:
    """The outcome of a run of the generator."""

    def __init__(self, status, out, err, path):
        self.status, self.out, self.err = status, out, err
        text = path.read_text() if path.exists() else ""
        self.json = json.loads(text) if text else None

    def __str__(self):
        return f"exit status {self.status}\n{self.out}\n{self.err}"


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.scratch = Path(directory.name)
        self.report = self.scratch / "report.json"

    def server(self, serve):
        server = Server(serve)
        self.addCleanup(server.stop)
        return server

    def each(self, *pieces):
        """A server that answers every request with these bytes."""

        def serve(peer):
            while True:
                peer.request()
                peer.send(*pieces)

        return self.server(serve)

    def lab(self, *options):
        log = self.scratch / "lab.log"
        with log.open("wb") as f:
            process = subprocess.Popen(
                [
                    LAB,
                    "--engine",
                    ENGINE,
                    "--cores",
                    "1",
                    "--listen",
                    "127.0.0.1:0",
                    "--admin",
                    "127.0.0.1:0",
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=f,
                stderr=f,
            )
        self.addCleanup(self.end, process)
        pattern = re.compile(
            r"ready (http://\S+).*\n(?:.*\n)*?.*admin (http://\S+)\n|"
            r"admin (http://\S+)\n(?:.*\n)*?.*ready (http://\S+) "
        )
        for _ in range(LIMIT_SECONDS * 100):
            if m := pattern.search(log.read_text()):
                return process, m[1] or m[4], m[2] or m[3]
            if process.poll() is not None:
                break
            time.sleep(0.01)
        self.fail("torc-lab does not start:\n" + log.read_text())

    def end(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.fail("a process did not end")

    def start(self, *options, engine=None, report=None, preexec_fn=None, **how):
        """A run; `report` is its file where several run at a time."""
        report = report or self.report

        def prepare():
            """Whoever started the tests may ignore signals, as nohup and scripts do."""
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            if preexec_fn:
                preexec_fn()

        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        words = [
            LOAD,
            "--engine",
            ENGINE if engine is None else engine,
            "--json",
            str(report),
            "--no-pin",
            *options,
        ]
        if engine == "":
            del words[1:3]
        report.unlink(missing_ok=True)
        process = subprocess.Popen([str(w) for w in words], text=True, preexec_fn=prepare, **how)
        process.report = report
        return process

    def finish(self, process):
        try:
            out, err = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"it did not end by itself\n{out}\n{err}")
        self.assertNotIn("Sanitizer", err)
        self.assertNotIn("runtime error", err)
        self.assertGreaterEqual(process.returncode, 0, err)
        return Outcome(process.returncode, out, err, process.report)

    def run_load(self, *options, **how):
        return self.finish(self.start("--quiet", *options, **how))

    def exact(self, server, n, *options, connects=None):
        """A run of n requests without errors, in which the server got exactly these."""
        done = self.run_load("--requests", n, *options, server.url)
        self.errors(done)
        self.assertEqual(done.json["requests"], n)
        self.assertEqual(len(server.requests), n)
        if connects is not None:
            self.assertEqual(done.json["connects"], connects)
        return done

    def errors(self, done, **want):
        """Exactly these errors, reported first, and exit status 1; without any, exit status 0."""
        self.assertIsNotNone(done.json, done)
        self.assertEqual(done.json["errors"], {**dict.fromkeys(ERRORS, 0), **want}, done)
        if want:
            named = " ".join(f"{e} {want[e]}" for e in ERRORS if e in want)
            self.assertEqual(done.out.splitlines()[0], "ERRORS: " + named, done)
            self.assertEqual(done.status, 1, done)
        else:
            self.assertNotIn("ERRORS", done.out)
            self.assertEqual(done.status, 0, done)
        self.agrees(done.json)

    def first(self, done, kind, want):
        """The sample of a kind of error, in both reports."""
        self.assertRegex(done.json["first_errors"][kind], f"^(?:{want})$")
        self.assertIn(f"\n  {kind:12} first: {done.json['first_errors'][kind]}\n", done.out)

    def agrees(self, j):
        """Every report agrees with itself."""
        for name, latency in j["latency_ns"].items():
            values = latency["histogram"]
            count = sum(n for _, n in values)
            self.assertEqual(latency["count"], count)
            self.assertEqual(values, sorted(values))
            ordered = [latency[k] for k in ("min", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "max")]
            self.assertEqual(ordered, sorted(ordered))
        self.assertEqual(j["latency_ns"]["raw"]["count"], j["requests"])
        due = j["requests"] + (j["unsent"] + j["unanswered"] if j["mode"] == "open" else 0)
        self.assertEqual(j["latency_ns"]["corrected"]["count"], due)
        self.assertGreaterEqual(j["requests_total"], j["requests"])
        self.assertGreaterEqual(j["requests_total"], j["answered"])
        # Each measured reply has a status, unless it was cut off before.
        measured, kinds = j["errors_measured"], j["errors"]
        replies = j["requests"] + measured["status"] + measured["body"]
        self.assertGreaterEqual(sum(j["status"].values()), replies)
        self.assertLessEqual(sum(j["status"].values()), replies + measured["reset"])
        for kind in ERRORS:
            self.assertLessEqual(measured[kind], kinds[kind])
        # Each kind of error has a sample.
        self.assertEqual(set(j["first_errors"]), {kind for kind in ERRORS if kinds[kind]})


def wait_for(condition):
    """True once the condition holds; False after LIMIT_SECONDS."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.002)
    return False


def requests_of(admin, which="requests"):
    """How many requests a torc-lab has answered, or as `which` says, by its admin side."""
    with urllib.request.urlopen(admin + "/stats.json", timeout=LIMIT_SECONDS) as answer:
        return json.load(answer)["total"][which]


def two_cores():
    return "2" if len(os.sched_getaffinity(0)) > 1 else "1"
