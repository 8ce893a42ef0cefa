"""The servers that can be compared, and how each is started with one worker on its CPU."""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Sequence
from urllib.parse import urlsplit

from .proc import Child, ProcessError, free_port

# Connections are kept open for the whole run, files stay open, nothing is logged per request.
NGINX_CONF = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
pid {scratch}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; use epoll; multi_accept on; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=3600s;
    open_file_cache_valid 3600s;
    open_file_cache_min_uses 1;
    default_type application/octet-stream;
    client_body_temp_path {scratch}/nginx-body;
    proxy_temp_path {scratch}/nginx-proxy;
    fastcgi_temp_path {scratch}/nginx-fastcgi;
    uwsgi_temp_path {scratch}/nginx-uwsgi;
    scgi_temp_path {scratch}/nginx-scgi;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {www}; }}
}}
"""

LIGHTTPD_CONF = """
server.document-root = "{www}"
server.bind = "127.0.0.1"
server.port = {port}
server.max-worker = 0
server.max-fds = 16384
server.max-connections = 8192
server.listen-backlog = 4096
server.event-handler = "linux-sysepoll"
server.stat-cache-engine = "simple"
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
mimetype.assign = ( "" => "application/octet-stream" )
"""


@dataclass
class Place:
    """Where servers find their binaries and files, and the CPUs they run on."""

    build: Path
    scratch: Path  # a temporary directory: configurations, logs
    www: Path  # the document root; torc's --root is its static/
    cpus: Sequence[int]
    server_args: Sequence[str] = ()
    started: dict[str, list[str]] = field(default_factory=dict)  # the last command of each subject


@dataclass(frozen=True)
class Server:
    """A started subject."""

    child: Child
    host: str
    port: int

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Subject:
    """One program in one configuration. name is what options take, label what tables show."""

    name: str
    label: str
    command: Callable[[Place, int], list[str]]
    says_when_ready: bool = True

    def start(self, place: Place) -> Server:
        """Starts it and waits until it listens."""
        port = 0 if self.says_when_ready else free_port()
        command = self.command(place, port)
        place.started[self.name] = command
        child = Child(command, place.cpus, place.scratch / f"{self.name}.log")
        try:
            if self.says_when_ready:
                address = urlsplit(child.ready_url())
                return Server(child, address.hostname or "127.0.0.1", address.port or 80)
            child.accepts(port)
            return Server(child, "127.0.0.1", port)
        except BaseException:
            child.stop()
            raise


def binary(build: Path, name: str) -> str:
    """The executable of that name, wherever the build directory keeps it."""
    for path in sorted(build.rglob(name)):
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise ProcessError(f"no {name} in {build}")


def installed(name: str) -> str:
    """A program of the system; servers are often outside a user's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise ProcessError(f"{name} is not installed: tools/setup --bench installs it")
    return path


def _torc(engine: str) -> Callable[[Place, int], list[str]]:
    def command(place: Place, port: int) -> list[str]:
        return [
            binary(place.build, "torc-lab"), "--engine", engine, "--cores", "1",
            "--listen", f"127.0.0.1:{port}", "--root", str(place.www / "static"),
            *place.server_args,
        ]  # fmt: skip

    return command


def _floor(name: str) -> Callable[[Place, int], list[str]]:
    def command(place: Place, port: int) -> list[str]:
        return [binary(place.build, name), "--listen", f"127.0.0.1:{port}", "--cores", "1"]

    return command


def _configured(place: Place, name: str, template: str, port: int) -> str:
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    path = place.scratch / f"{name}.conf"
    path.write_text(template.format(port=port, scratch=place.scratch, www=place.www, user=user))
    return str(path)


def _nginx(place: Place, port: int) -> list[str]:
    conf = _configured(place, "nginx", NGINX_CONF, port)
    return [installed("nginx"), "-p", str(place.scratch), "-e", "stderr", "-c", conf]


def _lighttpd(place: Place, port: int) -> list[str]:
    return [installed("lighttpd"), "-D", "-f",
            _configured(place, "lighttpd", LIGHTTPD_CONF, port)]  # fmt: skip


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("uring", "torc io_uring", _torc("io_uring")),
        Subject("epoll", "torc epoll", _torc("epoll")),
        Subject("floor-uring", "floor io_uring", _floor("floor-uring")),
        Subject("floor-epoll", "floor epoll", _floor("floor-epoll")),
        Subject("nginx", "nginx", _nginx, says_when_ready=False),
        Subject("lighttpd", "lighttpd", _lighttpd, says_when_ready=False),
    )
}
