"""handlers.py BUILD: the handlers in JavaScript that the page of torc-bench lab shows, run by Node.js, answer as
torc-lab does. Exits 77, saying why, without Node.js."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

import context
from lib import program
from lib.labpage import sources

PATHS = [str(context.TOP / "tools/subprojects/node/node_modules"), "/usr/share/nodejs"]  # where tools/setup has them
READY = re.compile(r"ready http://127\.0\.0\.1:(\d+)")
SECONDS = 60  # that a program may take to start, or to answer
SKIP = 77
BUILD = NODE = None
# What each handler is asked. The answers are compared whole, or as the expression matches them.
ASKED = {
    "delay": ["/delay/0", "/delay/15", "/delay/007", "/delay/-1", "/delay/60001", "/delay/x", "/delay/1.5"],
    "crypto": ["/crypto?ms=0&where=inline", "/crypto?ms=-1&where=work", "/crypto?ms=1", "/crypto?where=work"],
    "fetchAll": [
        "/fetch?n=3&mode=seq&path=/plaintext",
        "/fetch?n=8&mode=all&path=/delay/20",
        "/fetch?n=2&mode=all&path=/json/5?m=2",
        "/fetch?n=1&mode=seq&path=/nothing",
        "/fetch?n=0&mode=seq&path=/plaintext",
        "/fetch?n=1&mode=one&path=/plaintext",
    ],
    "file": [
        "/file?n=1&mode=seq",
        "/file?n=8&mode=all",
        "/file?n=100&mode=seq",
        "/file?n=101&mode=all",
        "/file?n=1&mode=",
        "/file?mode=all",
    ],
    "stack": ["/stack?mode=one&path=/plaintext", "/stack?mode=all&path=/plaintext&ms=-1"],
    "db": ["/db?n=0&mode=seq", "/db?n=1&mode=seq&ms=x", "/db?n=501&mode=all", "/db?n=1"],
}
ROUNDS = re.compile(r"[1-9]\d*00 rounds\n")


def require_pg():
    """Why node-pg cannot be loaded, or None."""
    done = subprocess.run([NODE, "-e", 'require("pg")'], env=environment(), capture_output=True, text=True)
    return None if done.returncode == 0 else "node-pg is not installed: tools/setup installs it"


def environment():
    return {**os.environ, "NODE_PATH": ":".join(PATHS)}


@contextlib.contextmanager
def started(*words):
    """The port of a program that says that it is ready."""
    with subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True) as child:
        try:
            for line in child.stderr:
                if found := READY.search(line):
                    break
            else:
                raise AssertionError(f"{words[0]} does not start")
            yield int(found[1])
        finally:
            child.kill()


def ask(port, path):
    """Status, type and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read().decode()


class Handlers(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)

    def both(self, pg=None):
        """torc-lab and Node.js, with the same upstream and database: their ports."""
        lab = [str(BUILD / "src/torc-lab"), "--engine", "epoll", "--cores", "1", "--listen", "127.0.0.1:0"]
        upstream = f"http://127.0.0.1:{self.stack.enter_context(started(*lab))}"
        more = ["--upstream", upstream, *(["--pg", pg] if pg else [])]
        node = [NODE, str(sources.NODE), "0", upstream, *([pg] if pg else [])]
        return [self.stack.enter_context(started(*words)) for words in ([*lab, *more], node)]

    def same(self, ports, paths):
        for path in paths:
            with self.subTest(path=path):
                torc, node = (ask(port, path) for port in ports)
                self.assertEqual(node, torc)

    def test_all_that_is_shown_is_asked(self):
        shown = {name for parts in sources.HANDLERS.values() for *_, names in parts for name in names}
        text = sources.NODE.read_text()
        routes = set(re.findall(r"'/\w+/?', (\w+)\]", text))
        self.assertEqual((shown - {"each"}, routes), (set(ASKED), set(ASKED)))
        for name in shown:
            self.assertIn(sources.js_function(text, name) or "nothing", text)

    def test_the_same_answers(self):
        ports = self.both()
        for name in ("delay", "fetchAll", "file"):
            self.same(ports, ASKED[name])
        self.same(ports, ASKED["crypto"][1:])
        self.same(ports, ["/db?n=1&mode=seq", "/stack?mode=seq&path=/plaintext"])  # without a database
        for path in ("/crypto?ms=0&where=inline", "/crypto?ms=3&where=work", "/crypto?ms=3&where=inline"):
            torc, node = (ask(port, path) for port in ports)
            self.assertEqual(torc[:2], node[:2])
            for answer in (torc, node):
                self.assertRegex(answer[2], ROUNDS)

    def test_rows_of_the_database(self):
        if why := require_pg():
            self.skipTest(why)
        backends = context.TOP / "tools/backends"
        done = subprocess.run([backends, "start", "--with", str(os.getpid())], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(done.stderr.strip())
        said = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.stack.callback(subprocess.run, [backends, "stop", "--dir", said["dir"]], check=True)
        ports = self.both(said["pg"])
        self.same(ports, ASKED["db"])
        for path in ("/db?n=400&mode=all", "/db?n=20&mode=seq", "/db?n=8&mode=all&ms=20", "/db?n=1&mode=seq&ms=0"):
            with self.subTest(path=path):
                torc, node = (ask(port, path) for port in ports)
                self.assertEqual(torc[:2], node[:2])
                wanted = int(re.search(r"n=(\d+)", path)[1])
                for answer in (torc, node):
                    rows = json.loads(answer[2])
                    self.assertEqual([sorted(row) for row in rows], [["id", "randomNumber"]] * wanted)
                    self.assertEqual(json.dumps(rows, separators=(",", ":")), answer[2])
        self.same(ports, ASKED["stack"])
        for path in ("/stack?mode=seq&path=/plaintext&ms=5", "/stack?mode=all&path=/json"):
            with self.subTest(path=path):
                torc, node = (ask(port, path) for port in ports)
                self.assertEqual(torc[:2], node[:2])
                found = [json.loads(answer[2]) for answer in (torc, node)]
                self.assertEqual(found[0]["bytes"], found[1]["bytes"])
                for one in found:
                    self.assertEqual((sorted(one), sorted(one["row"])), (["bytes", "row"], ["id", "randomNumber"]))
        rows = [self.rows(port) for port in ports]
        common = rows[0].keys() & rows[1].keys()
        self.assertTrue(common)  # 3,200 of 10,000 rows each
        self.assertEqual([rows[0][one] for one in common], [rows[1][one] for one in common])

    def rows(self, port):
        found = [row for _ in range(8) for row in json.loads(ask(port, "/db?n=400&mode=all")[2])]
        return {row["id"]: row["randomNumber"] for row in found}


if __name__ == "__main__":
    BUILD, NODE = Path(sys.argv[1]), program.installed("node", "nodejs")
    if NODE is None:
        print("skipped: Node.js is not installed: tools/setup installs it")
        sys.exit(SKIP)
    unittest.main(argv=sys.argv[:1], verbosity=2)
