"""PostgreSQL and Redis for the tests of one file."""

import os
import re
import shutil
import socket
from pathlib import Path

import rig

TOOL = str(rig.HERE.parents[2] / "tools" / "backends")


class Backends:
    def __init__(self):
        servers = Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if not (shutil.which("initdb") or any(servers)) or not shutil.which("redis-server"):
            rig.skip("PostgreSQL or Redis is not installed")
        told = rig.quiet([TOOL, "start", "--with", str(os.getpid())])
        lines = dict(line.split("=", 1) for line in told.splitlines())
        self.folder, self.pg, self.redis = lines["dir"], lines["pg"], lines["redis"]

    def do(self, *command):
        rig.quiet([TOOL, *command, "--dir", self.folder])

    def stop(self):
        self.do("stop")

    def ask_redis(self, *words):
        """The reply, as it comes."""
        host, port = self.redis.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=rig.LIMIT_SECONDS) as connection:
            connection.sendall((" ".join(words) + "\r\nQUIT\r\n").encode())
            data = b""
            while got := connection.recv(1 << 16):
                data += got
        return data.decode()

    def gets(self):
        """How many GET Redis has answered so far."""
        return int(re.search(r"cmdstat_get:calls=(\d+)", self.ask_redis("INFO", "commandstats"))[1])

    def connections(self):
        """How many processes of PostgreSQL serve a client of this program, and how many clients Redis has."""
        server = Path("/proc", Path(self.folder, "pg.pid").read_text().strip())
        children = " ".join(path.read_text() for path in server.glob("task/*/children")).split()
        titles = [self.title(child) for child in children]
        clients = re.findall(r"^id=", self.ask_redis("CLIENT", "LIST"), re.M)
        return sum(" torc torc 127.0.0.1" in title for title in titles), len(clients) - 1

    @staticmethod
    def title(pid):
        try:
            return Path("/proc", pid, "cmdline").read_text()
        except OSError:
            return ""  # it has ended meanwhile
