"""pg_tls.py pg_server ENGINE: handlers ask a PostgreSQL behind TLS whose records are larger than what libpq
reads at once, as those of a proxy in front of it are, or of a PostgreSQL that is newer."""

import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

LIMIT_SECONDS = 60  # of any step, sanitizers and a busy machine included
TLS_ASKED = 80877103
CANCEL_ASKED = 80877102
PROGRAM = ENGINE = ""
ONE = []  # the option for one thread


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


READY = message(b"Z", b"I")
WELCOME = message(b"R", struct.pack("!I", 0)) + message(b"K", struct.pack("!II", 1, 2)) + READY
COLUMN = message(b"T", struct.pack("!H", 1) + b"v\0" + struct.pack("!IHIhih", 0, 0, 25, -1, -1, 0))


def row(value):
    return message(b"D", struct.pack("!HI", 1, len(value)) + value)


def make_certificate(directory):
    request = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2"
    files = ["-keyout", directory / "key", "-out", directory / "cert"]
    subprocess.run([*request.split(), *files], check=True, capture_output=True)


class Gone(Exception):
    """The client has closed."""


def take(sock, size):
    data = b""
    while len(data) < size:
        got = sock.recv(size - len(data))
        if not got:
            raise Gone
        data += got
    return data


class Postgres:
    """Answers "select N" with N rows of 5000 bytes, all that a client has asked for in one write."""

    def __init__(self, directory):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(directory / "cert", directory / "key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.run, args=(sock,), daemon=True).start()

    def run(self, sock):
        try:
            with sock:
                self.serve(sock)
        except (Gone, OSError):
            pass

    def serve(self, sock):
        while True:
            start = take(sock, struct.unpack("!I", take(sock, 4))[0] - 4)
            code = struct.unpack("!I", start[:4])[0]
            if code == CANCEL_ASKED:
                return
            if code != TLS_ASKED:
                break
            sock.sendall(b"S")
            sock = self.context.wrap_socket(sock, server_side=True)
        sock.sendall(WELCOME)
        statements = {}
        while True:
            sock.sendall(self.answer(sock, statements))

    @staticmethod
    def answer(sock, statements):
        out, rows = b"", 0
        while True:
            kind = take(sock, 1)
            body = take(sock, struct.unpack("!I", take(sock, 4))[0] - 4)
            if kind == b"P":
                name, sql = body.split(b"\0")[:2]
                statements[name] = int(re.search(rb"[0-9]+$", sql)[0])
                out += message(b"1")
            elif kind == b"B":
                rows = statements[body.split(b"\0")[1]]
                out += message(b"2")
            elif kind == b"D":
                out += COLUMN
            elif kind == b"E":
                out += row(b"x" * 5000) * rows + message(b"C", b"SELECT %d\0" % rows)
            elif kind == b"S":
                return out + READY
            elif kind == b"X":
                raise Gone


class Server:
    """pg_server, with one connection to that PostgreSQL, whose buffer grows."""

    def __init__(self, port, log):
        self.log = log
        url = f"host=127.0.0.1 port={port} user=torc dbname=torc sslmode=require gssencmode=disable"
        self.process = subprocess.Popen(
            [PROGRAM, "--listen", "127.0.0.1:0", "--engine", ENGINE, *ONE],
            env={**os.environ, "PG_URL": url, "PG_CONNECTIONS": "1"},
            stderr=log.open("w"),
        )
        end = time.monotonic() + LIMIT_SECONDS
        while not (found := re.search(r"ready (http://\S+)", log.read_text())):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError("the server does not start: " + log.read_text())
            time.sleep(0.01)
        self.url = found[1].rstrip("/")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=LIMIT_SECONDS) as response:
            return response.read().decode()

    def stop(self):
        self.process.terminate()
        return self.process.wait(LIMIT_SECONDS)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Records(unittest.TestCase):
    def test_all_of_an_answer_is_taken(self):
        """Whatever is left of a record when libpq has read, and nothing comes any more."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        make_certificate(Path(directory.name))
        postgres = Postgres(Path(directory.name))
        self.addCleanup(postgres.listener.close)
        server = Server(postgres.port, Path(directory.name) / "log")
        self.addCleanup(server.kill)
        for rows in range(1, 60):
            self.assertEqual(server.get(f"/query?sql=select%20{rows}"), "5000 bytes" * rows)
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    PROGRAM, ENGINE, *rest = sys.argv[1:]
    ONE = ["--threads" if ENGINE == "threads" else "--cores", "1"]
    check = subprocess.run([PROGRAM, "--engine", ENGINE, "--check"], capture_output=True, text=True)
    if check.returncode == 3 or not shutil.which("openssl"):
        print(check.stderr.strip() or "openssl is not installed: tools/setup")
        sys.exit(77)
    unittest.main(argv=["pg_tls.py", *rest], verbosity=2)
