"""floors.py PROGRAM...: the control programs answer each request once, however it is cut up."""

import functools
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import unittest

REQUEST = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
ANSWER = re.compile(
    rb"HTTP/1\.1 200 OK\r\nServer: torc\r\n"
    rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n"
    rb"Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
)
TIMEOUT_SECONDS = 60  # of any step, sanitizers and a busy machine included
PROGRAMS = []


class Floor:
    """A started control program."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen(
            [program, "--listen", "127.0.0.1:0", *arguments], stderr=subprocess.PIPE, text=True
        )
        self.ready = self.process.stderr.readline()
        found = re.match(r"floor: ready http://127\.0\.0\.1:(\d+) engine=(io_uring|epoll|threads) pid=\d+$", self.ready)
        self.port = int(found.group(1)) if found else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    @staticmethod
    def answers(connection, count):
        """Reads until count answers are there, and checks that they are that and nothing more."""
        data = b""
        length = 0
        while length == 0 or len(data) < length * count:
            more = connection.recv(1 << 20)
            if not more:
                break
            data += more
            first = ANSWER.match(data)
            length = len(first.group(0)) if first else 0
        return len(ANSWER.findall(data)) if ANSWER.sub(b"", data) == b"" else data


class Floors(unittest.TestCase):
    def each(self):
        for program in PROGRAMS:
            with self.subTest(program), Floor(program) as floor:
                self.assertIsNotNone(floor.port, floor.ready)
                yield floor

    def test_one_request_cut_at_every_byte(self):
        for floor in self.each():
            with floor.connect() as connection:
                for cut in range(1, len(REQUEST)):
                    connection.sendall(REQUEST[:cut])
                    connection.sendall(REQUEST[cut:])
                    self.assertEqual(floor.answers(connection, 1), 1, cut)

    def test_byte_by_byte(self):
        for floor in self.each():
            with floor.connect() as connection:
                for byte in REQUEST * 3:
                    connection.sendall(bytes([byte]))
                self.assertEqual(floor.answers(connection, 3), 3)

    def test_many_in_random_pieces(self):
        source = random.Random(3)
        for floor in self.each():
            with floor.connect() as connection:
                for count in (1, 2, 16, 100, 200):
                    data, at = REQUEST * count, 0
                    while at < len(data):
                        end = at + source.choice((1, 3, 44, 700, 2048, 5000))
                        connection.sendall(data[at:end])
                        at = end
                    self.assertEqual(floor.answers(connection, count), count)

    def test_connections_come_and_go(self):
        for floor in self.each():
            for _ in range(300):
                with floor.connect() as connection:
                    connection.sendall(REQUEST)
                    self.assertEqual(floor.answers(connection, 1), 1)

    def test_more_connections_than_buffers_at_once(self):
        for floor in self.each():
            connections = [floor.connect() for _ in range(400)]
            for connection in connections:
                connection.sendall(REQUEST * 2)
            for connection in connections:
                self.assertEqual(floor.answers(connection, 2), 2)
                connection.close()

    def test_a_request_and_the_end_of_its_connection_at_once(self):
        for floor in self.each():
            connections = [floor.connect() for _ in range(3)]
            for connection in connections:
                connection.sendall(REQUEST)
                self.assertEqual(floor.answers(connection, 1), 1)
            floor.process.send_signal(signal.SIGSTOP)
            for connection, last in zip(connections, (REQUEST, REQUEST * 3, REQUEST[:9])):
                connection.sendall(last)
                connection.shutdown(socket.SHUT_WR)
            floor.process.send_signal(signal.SIGCONT)
            for connection, count in zip(connections, (1, 3, 0)):
                data = b""
                while more := connection.recv(1 << 20):
                    data += more
                self.assertEqual((len(ANSWER.findall(data)), ANSWER.sub(b"", data)), (count, b""))
                connection.close()

    def test_term_ends_it(self):
        for floor in self.each():
            floor.process.send_signal(signal.SIGTERM)
            self.assertEqual(floor.process.wait(TIMEOUT_SECONDS), 0)

    def test_a_setup_that_fails_is_not_ready(self):
        """No descriptor is left for epoll or a ring; threads need none."""
        limit = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (4, 4))
        for program in (program for program in PROGRAMS if not program.endswith("floor-threads")):
            with self.subTest(program):
                done = subprocess.run(
                    [program], stderr=subprocess.PIPE, text=True, preexec_fn=limit, timeout=TIMEOUT_SECONDS
                )
                self.assertNotIn("ready", done.stderr)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("Too many open files", done.stderr)

    def test_wrong_options(self):
        for program in PROGRAMS:
            for wrong in (["--cores", "2"], ["--cores", "0-1"], ["--listen", "x"], ["--nonsense"], ["--cores"]):
                done = subprocess.run([program, *wrong], stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS)
                with self.subTest(program, wrong=wrong):
                    self.assertEqual(done.returncode, 2)
                    self.assertEqual(done.stderr.count("\n"), 1)
                    self.assertIn(wrong[0], done.stderr)


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:]
    if not PROGRAMS:
        sys.exit("floors.py: needs the programs")
    unittest.main(argv=sys.argv[:1])
