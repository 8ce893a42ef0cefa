"""Builds an example from the installed library, runs it, and asks it."""

import asyncio
import collections
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

LIMIT_SECONDS = 60  # of any step, sanitizers and a busy machine included
HERE = Path(__file__).resolve().parent
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
BUILD = ENGINE = ""
COMPILER = ["cc"]
LOGGED = ["--access-log", "access.log", "--access-log-format", "json"]


def skip(why):
    print(why)
    sys.exit(77)


def quiet(command, timeout=LIMIT_SECONDS, **options):
    """Runs a command, whose output is shown only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def installation():
    """Where the build is installed: whichever test comes first does it, and again if it has been built since."""
    root = Path(BUILD, "tests", "install", "root")
    stamp, built = root / "stamp", Path(BUILD, "src")
    parts = [*built.glob("install/libtorc*"), *built.glob("torc*"), *(HERE.parents[2] / "include").rglob("*.h")]
    with open(f"{root}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.stat().st_mtime < max(part.stat().st_mtime for part in parts):
            shutil.rmtree(root, ignore_errors=True)
            install = ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", str(root)]
            quiet(install, timeout=3 * LIMIT_SECONDS)
            stamp.touch()
    return root


class Example:
    """A program of this directory, built from what is installed, in a directory of its own."""

    def __init__(self, name, *packages):
        self.place = tempfile.TemporaryDirectory(prefix="torc-example.")
        top = Path(self.place.name)
        root = installation()
        [pc] = root.rglob("torc.pc")
        self.libdir = pc.parent.parent
        [self.load] = root.rglob("bin/torc-load")
        env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=str(root), PKG_CONFIG_PATH=str(pc.parent))
        for package in packages:
            if subprocess.run(["pkg-config", "--exists", package], env=env).returncode != 0:
                self.place.cleanup()
                skip(f"pkg-config does not know {package}")
        flags = quiet(["pkg-config", "--cflags", "--libs", *packages], env=env).split()
        self.program = top / name
        # What it would not wait for, it waits for on a busy machine.
        patience = f"-DPATIENCE_MS={LIMIT_SECONDS * 1000}"
        compile_it = [*COMPILER, "-std=gnu11", "-O1", "-g", *WARNINGS, patience, str(HERE / (name + ".c"))]
        quiet([*compile_it, "-o", str(self.program), *flags, "-pthread"])

    def remove(self):
        self.place.cleanup()


class Service:
    """A run of an example; it ends with the test."""

    def __init__(self, example, *args, env=None):
        self.example = example
        self.messages = tempfile.TemporaryFile()
        self.log = Path(example.place.name) / "access.log"
        command = [str(example.program), "--listen", "127.0.0.1:0", "--engine", ENGINE, "--cores", "2", *args]
        environment = dict(os.environ, LD_LIBRARY_PATH=str(example.libdir), **(env or {}))
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=self.messages, env=environment, cwd=example.place.name
        )
        self.port = None

    async def ready(self):
        async def is_ready():
            if self.process.poll() == 3:
                raise unittest.SkipTest(self.said().strip())
            if self.process.returncode is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.said()}")
            return re.search(r"ready http://127\.0\.0\.1:(\d+) ", self.said())

        self.port = int((await until(is_ready))[1])

    def said(self):
        """Read without a seek: the process writes at the same offset."""
        size = os.fstat(self.messages.fileno()).st_size
        return os.pread(self.messages.fileno(), size, 0).decode()

    def answers(self, target):
        """Of a service with LOGGED that has ended: how many requests had which status. None was broken off."""
        lines = map(json.loads, self.log.read_text().splitlines())
        taken = [line for line in lines if line["target"].startswith(target)]
        broken = [line for line in taken if line["end"] != "done"]
        if broken:
            raise AssertionError(f"requests were broken off: {broken[:5]}")
        return collections.Counter(line["status"] for line in taken)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    async def ended(self):
        status = await asyncio.to_thread(self.process.wait, LIMIT_SECONDS)
        if status != 0:
            raise AssertionError(f"it ended with {status}: {self.said()}")

    async def drains(self):
        """Returns when it has begun to drain: it takes no connections."""

        async def refuses():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return True
            writer.close()
            return False

        await until(refuses)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.messages.close()


class Load:
    """Requests of torc-load, from now on: as many as the server answers."""

    def __init__(self, service, *args, connections=32):
        self.report = tempfile.NamedTemporaryFile("r", suffix=".json")
        command = [str(service.example.load), "--engine", "epoll", "--no-pin", "--quiet", "--duration", "1h"]
        command += ["--timeout", f"{LIMIT_SECONDS}s", "--connections", str(connections), "--json", self.report.name]
        self.process = subprocess.Popen(
            [*command, *(arg.replace("SERVER", f"http://127.0.0.1:{service.port}") for arg in args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def end(self):
        """Once the server has ended: how many were answered, each rightly. What was sent as the server closed an idle
        connection it has not taken (RFC 9112, 9.5): compare with Service.answers."""
        self.process.send_signal(signal.SIGINT)
        await asyncio.to_thread(self.process.wait, LIMIT_SECONDS)
        report = json.load(self.report)
        wrong = {name: n for name, n in report["errors"].items() if n > 0 and name not in ("connect", "reset")}
        if wrong:
            raise AssertionError(f"there were errors: {wrong}, {report['first_errors']}")
        return report["answered"]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.report.close()


def deadline():
    return asyncio.get_running_loop().time() + LIMIT_SECONDS


async def until(condition):
    """Waits until an async function returns something true, and returns that."""
    end = deadline()
    while not (result := await condition()):
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"{condition.__qualname__} does not come true")
        await asyncio.sleep(0.02)
    return result


# ---- A client ------------------------------------------------------------------------------------


class Response:
    def __init__(self, head, body):
        first, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.fields = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        self.chunked = "transfer-encoding" in self.fields
        self.complete, self.body = dechunk(body) if self.chunked else (True, body)
        if not self.chunked and "content-length" in self.fields:
            self.complete = len(body) == int(self.fields["content-length"])


def dechunk(data):
    """Whether the chunks have their end, and what is in them."""
    body = b""
    while b"\r\n" in data:
        size, _, data = data.partition(b"\r\n")
        size = int(size, 16)
        if size == 0:
            return data == b"\r\n", body
        body += data[:size]
        data = data[size + 2 :]
    return False, body


class Connection:
    """One request on a connection of its own."""

    def __init__(self, port):
        self.port = port

    async def open(self, method, path, *fields):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        head = [f"{method} {path} HTTP/1.1", "Host: example", "Connection: close", *fields, "", ""]
        self.writer.write("\r\n".join(head).encode())
        await self.writer.drain()
        return self

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def response(self):
        """All that comes until the server closes the connection; None if that is no response."""
        try:
            data = await asyncio.wait_for(self.reader.read(), LIMIT_SECONDS)
        except ConnectionError:
            data = b""
        self.writer.close()
        head, end, body = data.partition(b"\r\n\r\n")
        return Response(head, body) if end else None

    def close(self):
        self.writer.close()

    def reset(self):
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def ask(port, method, path, body=b"", *fields):
    if method != "GET":
        fields += (f"Content-Length: {len(body)}",)
    connection = await Connection(port).open(method, path, *fields)
    if body:
        await connection.send(body)
    return await connection.response()


def clients_that_fit(wanted):
    """How many clients this process and the server may have: both have the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - 300)


class ExampleTest(unittest.IsolatedAsyncioTestCase):
    """Tests of one example: NAME and PACKAGES say which."""

    NAME, PACKAGES = "", ()

    @classmethod
    def setUpClass(cls):
        cls.example = Example(cls.NAME, *cls.PACKAGES)
        cls.addClassCleanup(cls.example.remove)

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # it tells of callbacks that take long, as they do here

    def folder(self):
        """A new directory, which is removed after the test."""
        place = tempfile.TemporaryDirectory(prefix="torc-example.")
        self.addCleanup(place.cleanup)
        return Path(place.name)

    def load(self, service, *args, **options):
        load = Load(service, *args, **options)
        self.addCleanup(load.close)
        return load

    async def serve(self, *args, **options):
        service = Service(self.example, *args, **options)
        self.addCleanup(service.close)
        await service.ready()
        return service
