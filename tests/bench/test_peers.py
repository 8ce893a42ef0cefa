"""The other servers start, answer what is asked of every subject, and say when they are missing."""

import http.client
import os
import resource
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import context
from lib import peers, proc, program, proxies, workloads
from lib.peers import PEERS
from lib.subject import Place, Variant

BIG = 1 << 20
FILES = {"1k.txt": b"x" * 1024, "64k.txt": bytes(range(32, 96)) * 1024, "1m.txt": bytes(range(32, 96)) * (BIG // 64)}
FIXED = {
    "/plaintext": ("text/plain", b"Hello, World!"),
    "/pipeline": ("text/plain", b"ok"),
    "/json": ("application/json", b'{"message":"Hello, World!"}'),
}


class Common:
    """What every peer has to do, one server all of it; a class for each follows."""

    name = ""

    @classmethod
    def setUpClass(cls):
        missing = PEERS[cls.name].refusal()
        if missing:
            raise unittest.SkipTest(missing)
        directory = tempfile.TemporaryDirectory(prefix="torc péers; #{}%-")
        cls.addClassCleanup(directory.cleanup)
        scratch = Path(directory.name)
        www = scratch / "www"
        (www / "static").mkdir(parents=True)
        for name, content in FILES.items():
            (www / "static" / name).write_bytes(content)
        (scratch / "secret").write_text("secret")
        cls.place = Place(scratch, scratch, www)
        cls.server = cls.start()
        cls.addClassCleanup(cls.server.child.stop)

    @classmethod
    def start(cls, cores=1):
        return PEERS[cls.name].start(cls.place, Variant("x", "x", cls.name, cores=cores), [])

    def connect(self, server):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self.addCleanup(connection.close)
        return connection

    def ask(self, connection, path, body=None, status=200, **more):
        """The body and the type of an answer on a connection that has to stay open."""
        connection.request("POST" if body is not None else "GET", path, body, **more)
        answer = connection.getresponse()
        content = answer.read()
        self.assertEqual(answer.status, status, path)
        self.assertFalse(answer.will_close, f"{path} ends the connection")
        self.assertEqual(answer.getheader("Content-Length", "0"), str(len(content)), path)
        return content, (answer.getheader("Content-Type") or "").partition(";")[0]

    def ask_fixed(self, connection):
        for path, (kind, body) in FIXED.items():
            self.assertEqual(self.ask(connection, path), (body, kind), path)

    def test_fixed_answers_and_files(self):
        connection = self.connect(self.server)
        self.ask_fixed(connection)
        for name, content in FILES.items():
            got, kind = self.ask(connection, f"/static/{name}")
            self.assertTrue(got == content, f"{name}: {len(got)} bytes")
            self.assertEqual(kind, "text/plain", name)
        self.ask(connection, "/plaintext")  # and after a large file
        self.ask(connection, "/static/none.txt", status=404)

    def test_two_cores(self):
        server = self.start(cores=2)
        self.addCleanup(server.child.stop)
        self.ask_fixed(self.connect(server))
        if self.name in ("nginx", "lighttpd", "node"):
            members = proc.family(server.child.pid)
            self.assertGreaterEqual(len(members), 3, "a parent and two workers")
            server.child.stop()
            for _ in range(500):
                members = [pid for pid in members if context.runs(pid)]
                if not members:
                    break
                time.sleep(0.01)
            self.assertEqual(members, [])

    def test_pipelined_requests_are_answered_in_order(self):
        connection = self.connect(self.server)
        connection.connect()
        asked = ("/plaintext", "/json", "/pipeline", "/plaintext") * 4
        connection.sock.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in asked))
        data = b""
        for path in asked:
            body = FIXED[path][1]
            while b"\r\n\r\n" + body not in data:
                more = connection.sock.recv(65536)
                self.assertTrue(more, f"the connection ended before {path}")
                data += more
            head, _, data = data.partition(b"\r\n\r\n" + body)
            self.assertEqual(head.count(b"HTTP/1.1 200"), 1, head)
        self.assertEqual(data, b"")

    def test_many_connections_stay_open(self):
        connections = [self.connect(self.server) for _ in range(300)]
        for connection in connections * 2:
            connection.auto_open = connection.sock is None  # the second time it has to be there
            self.assertEqual(self.ask(connection, "/plaintext")[0], b"Hello, World!")


class Program(Common):
    """And what a program of ours on someone's server has to do."""

    def test_sums(self):
        connection = self.connect(self.server)
        self.assertEqual(self.ask(connection, "/baseline11?a=13&b=42")[0], b"55")
        self.assertEqual(self.ask(connection, "/baseline11?a=13&b=42", b"20")[0], b"75")
        pieces = self.ask(connection, "/baseline11?a=-13&b=42", iter([b"2", b"0"]), encode_chunked=True)
        self.assertEqual(pieces[0], b"49")
        self.ask(connection, "/baseline11?a=x&b=42", status=400)
        self.ask(connection, "/baseline11?a=1&b=2", b"1x", status=400)

    def test_bodies(self):
        connection = self.connect(self.server)
        sent = 3 * BIG + 7
        self.assertEqual(self.ask(connection, "/upload", b"u" * sent)[0], str(sent).encode())
        self.assertEqual(self.ask(connection, "/upload", iter([b"abc", b"de"]), encode_chunked=True)[0], b"5")
        body = os.urandom(200_000)
        self.assertTrue(self.ask(connection, "/echo", body)[0] == body)
        self.assertEqual(self.ask(connection, "/echo", b"")[0], b"")
        self.ask(connection, "/none", status=404)

    def test_a_delay_is_never_short(self):
        connection = self.connect(self.server)
        for ms in (0, 1, 7, 25) * 5:
            start = time.monotonic()
            self.assertEqual(self.ask(connection, f"/delay/{ms}")[0], str(ms).encode())
            self.assertGreaterEqual(time.monotonic() - start, ms / 1000)
        for wrong in ("60001", "x", "-1", ""):
            self.ask(connection, f"/delay/{wrong}", status=400)

    def test_nothing_above_the_root(self):
        connection = self.connect(self.server)
        for path in ("../../secret", "%2e%2e/%2e%2e/secret", "", "..%2f..%2fsecret"):
            self.ask(connection, "/static/" + path, status=404)


class Nginx(Common, unittest.TestCase):
    name = "nginx"


class H2o(Common, unittest.TestCase):
    name = "h2o"


class Lighttpd(Common, unittest.TestCase):
    name = "lighttpd"


def load_tests(loader, tests, pattern):
    """Without those of h2o where the distribution has no package of it, as tools/setup says."""
    if not PEERS["h2o"].refusal():
        return tests
    asked = subprocess.run([context.TOP / "tools/setup", "--check", "--bench"], capture_output=True, text=True)
    if "no package of h2o is known" not in asked.stdout:
        return tests
    print("h2o: this distribution has no package of it; its tests are left out")
    return unittest.TestSuite(suite for suite in tests if not any(isinstance(one, H2o) for one in suite))


class Node(Program, unittest.TestCase):
    name = "node"


class Java(Program, unittest.TestCase):
    name = "java"


class Compiler(unittest.TestCase):
    def setUp(self):
        if missing := PEERS["java"].refusal():
            self.skipTest(missing)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.top = Path(directory.name)

    def place(self, name):
        scratch = self.top / name
        (scratch / "www/static").mkdir(parents=True)
        return Place(scratch, scratch, scratch / "www")

    def test_it_takes_nothing_from_where_it_is_started(self):
        """Neither classes nor the locale, and leaves nothing there."""
        here = self.top / "here"
        here.mkdir()
        (here / "Server.java").write_text("class Server {}")
        (here / "Exchange.class").write_bytes(b"no class")
        (here / "com").write_text("no package")
        script = f"""if True:
            import sys; sys.path.insert(0, {str(context.TOP / "bench")!r})
            from pathlib import Path; from lib import peers; from lib.subject import Place, Variant
            scratch = Path(sys.argv[1])
            with peers.PEERS["java"].started(Place(scratch, scratch, scratch / "www"), Variant("x", "x", "java"), []):
                print("runs")"""
        for name, locale in (("plain", "C"), ("dürer", "POSIX")):
            done = subprocess.run(
                [sys.executable, "-B", "-X", "utf8", "-c", script, self.place(name).scratch],
                cwd=here,
                env={**os.environ, "LC_ALL": locale, "CLASSPATH": "."},
                capture_output=True,
                text=True,
            )
            self.assertEqual((done.stdout, done.stderr), ("runs\n", ""))
        self.assertEqual(sorted(path.name for path in here.iterdir()), ["Exchange.class", "Server.java", "com"])

    def test_the_reason_is_its_error(self):
        place = self.place("plain")
        (place.scratch / "Server.java").write_text("class Server { int x = unknown; }")
        more = mock.patch.dict(os.environ, JAVA_TOOL_OPTIONS="-Dx=y")  # of which it says first that it has them
        with more, mock.patch.object(peers, "SERVERS", place.scratch):
            with self.assertRaisesRegex(proc.ProcessError, "^java cannot compile Server.java: .*error: cannot find"):
                peers._java(place, 0, 1)


class Descriptions(unittest.TestCase):
    def test_workloads_are_those_that_exist(self):
        self.assertLessEqual(peers.FILE_SERVER, set(workloads.WORKLOADS))
        for name in ("upload", "delay", "baseline"):
            self.assertNotIn(name, peers.FILE_SERVER)
            self.assertTrue(PEERS["java"].can(name) and PEERS["node"].can(name))

    def test_what_is_missing_is_one_line_with_the_remedy(self):
        peers._java_missing.cache_clear()
        self.addCleanup(peers._java_missing.cache_clear)
        with mock.patch.dict(os.environ, PATH="/nowhere"), mock.patch("shutil.which", return_value=None):
            for peer in PEERS.values():
                text = peer.refusal()
                self.assertIn("tools/setup --bench", text, peer.name)
                self.assertNotIn("\n", text)

    def test_a_java_without_a_compiler_is_missing(self):
        peers._java_missing.cache_clear()
        self.addCleanup(peers._java_missing.cache_clear)
        with tempfile.TemporaryDirectory() as directory:
            fake = Path(directory) / "java"
            fake.write_text("#!/bin/sh\necho java.base@21\necho jdk.httpserver@21\n")
            fake.chmod(0o755)
            with mock.patch.object(program, "installed", return_value=str(fake)):
                self.assertIn("no jdk.compiler", PEERS["java"].refusal())

    def test_a_path_that_a_configuration_cannot_have_is_refused_by_name(self):
        told = {
            "nginx": "'$\"\\\n\udce9",
            "h2o": "'$\"\\\n\udce9",
            "lighttpd": "'$\"\\\n\udce9",
            "java": ":",
            "node": "",
        }
        with mock.patch.object(program, "installed", return_value="/x"), mock.patch.object(
            peers, "_java_missing", return_value=None
        ):
            for name, barred in told.items():
                for letter in "'$\"\\\n\udce9:; #é-{}%":
                    scratch = Path(f"/tmp/a{letter}b/torc-bench-1")
                    why = PEERS[name].refusal(Place(scratch, scratch, scratch / "www"))
                    with mock.patch.object(tempfile, "tempdir", str(scratch)):
                        self.assertEqual(PEERS[name].refusal(), why)
                    with self.subTest(name, letter=letter):
                        self.assertEqual(why is not None, letter in barred, why)
                    if why:
                        text = f"{name} cannot have files in {str(scratch)!r}, for {letter!r} is in it: set TMPDIR"
                        self.assertTrue(why.startswith(text), why)
                        self.assertNotIn("\n", why)
            self.assertIn("set TMPDIR", proxies.proxy("nginx").refusal(Place(Path("/"), Path("/$"), Path("/$/www"))))

    def test_descriptors_follow_the_hard_limit(self):
        for hard, want in ((1024, 1024), (resource.RLIM_INFINITY, peers.FILES_MAX), (1 << 30, peers.FILES_MAX)):
            with mock.patch.object(peers.resource, "getrlimit", return_value=(512, hard)):
                self.assertEqual(peers.files_possible(), want)


if __name__ == "__main__":
    unittest.main()
