"""How a server is started, and when it is taken to serve."""

import contextlib
import socket
import sys
import tempfile
import unittest
from pathlib import Path

import context  # noqa: F401
from lib import proc, subjects
from lib.subject import Place, Variant

# Listens at once, starts the worker that answers later, and only waits itself.
LATE = """
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(0.3)
if os.fork():
    time.sleep(60)
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    connection.close()
"""


class Start(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.scratch = Path(directory.name)
        self.place = Place(self.scratch, self.scratch, self.scratch)

    def started(self, command):
        subject = subjects.user_command(command)
        return subject.started(self.place, Variant(subject.name, "x", subject.name), ())

    def test_it_serves_when_its_worker_does(self):
        script = self.scratch / "late.py"
        script.write_text(LATE)
        with self.started(f"late={sys.executable} {script} {{port}}") as server:
            self.assertEqual(len(proc.family(server.child.pid)), 2)

    def test_one_that_closes_without_an_answer_serves(self):
        script = self.scratch / "mute.py"
        script.write_text(LATE.replace("connection.sendall", "#"))
        with self.started(f"mute={sys.executable} {script} {{port}}") as server:
            self.assertEqual(len(proc.family(server.child.pid)), 2)

    def test_a_port_that_something_else_holds_is_refused(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
            port = other.getsockname()[1]
            with self.assertRaisesRegex(proc.ProcessError, f"something else listens on port {port}"):
                with self.started(f"ghost:{port}=sleep 60"):
                    self.fail("it was taken for started")


if __name__ == "__main__":
    unittest.main()
