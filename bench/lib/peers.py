"""Other people's servers, each configured to do its best: nginx, h2o, lighttpd, Node.js, the JDK's.

Every peer runs with as many workers as cores, keeps connections open, writes no access log, sets
TCP_NODELAY and asks for the same listen backlog. Their configurations and programs are in
bench/servers. What they write is below place.scratch and, three files of fixed answers, place.www.
"""

from __future__ import annotations

import functools
import os
import pwd
import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .proc import ProcessError
from .subject import Place, Subject

SERVERS = Path(__file__).resolve().parent.parent / "servers"
REMEDY = "tools/setup --bench installs it"
BACKLOG = 4096
FILES_MAX = 65536
DESCRIPTORS_SPARE = 256  # of a server, beside its connections and its files
JAVA_THREADS = 200  # the default of Tomcat, the most common Java server
ANSWERS = {"plaintext": "Hello, World!", "json": '{"message":"Hello, World!"}', "pipeline": "ok"}

# Servers of files and fixed answers; the others run a program of ours and can do everything.
FILE_SERVER = frozenset(
    {
        "plaintext",
        "json",
        "pipelined",
        "short-lived",
        "idle",
        "latency",
        "static-small-1k",
        "static-small-4k",
        "static-small-16k",
        "static-small-64k",
        "static-large-1m",
        "static-large-64m",
    }
)

JAVA_OPTIONS = (
    "-Dsun.net.httpserver.nodelay=true",  # without it every reply waits 40 ms for an ACK
    "-Dsun.net.httpserver.maxIdleConnections=1000000",  # beyond 200 it closes kept connections
    "-Dsun.net.httpserver.idleInterval=3600",
)


@dataclass(frozen=True)
class Peer(Subject):
    """A subject that has to be installed. notes say how it was set up, for a reader who doubts."""

    missing: Callable[[], str | None] = lambda: None  # one line with the remedy, None: it is there
    version: Callable[[], str | None] = lambda: None
    notes: tuple[str, ...] = ()


def installed(*names: str) -> str | None:
    """The first of these programs there is; servers are often outside a user's PATH."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def _program(*names: str) -> str:
    found = installed(*names)
    if found is None:
        raise ProcessError(f"{names[0]} is not installed: {REMEDY}")
    return found


def _absent(*names: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        return None if installed(*names) else f"{names[0]} is not installed: {REMEDY}"

    return missing


def _version(option: str, *names: str) -> Callable[[], str | None]:
    """Asks the program: the first thing that looks like a version in what it prints."""

    @functools.cache
    def version() -> str | None:
        program = installed(*names)
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, option], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        found = re.search(r"\d+(\.\d+)+[^\s\"/]*", done.stdout + done.stderr)
        return found.group(0) if found else None

    return version


def files_possible() -> int:
    """Descriptors that a server started from here may open, up to what any workload asks for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)


def configure(place: Place, name: str, port: int, cores: int) -> Path:
    """Writes bench/servers/NAME.conf, filled in, below scratch."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    files = files_possible()
    values = {
        "scratch": place.scratch,
        "www": place.www,
        "port": port,
        "cores": cores,
        "files": files,
        "workers": cores if cores > 1 else 0,  # lighttpd: 0 is one process that does all
        "connections": max(files - DESCRIPTORS_SPARE, 64),
        "backlog": BACKLOG,
        "half": files // 2,  # lighttpd takes no more connections than that
        "reuseport": " reuseport" if cores > 1 else "",
        # Started by root they become another user, who cannot read a private directory.
        "user": "" if os.geteuid() != 0 else f"user: {me}" if name == "h2o" else f"user {me};",
    }
    text = (SERVERS / f"{name}.conf").read_text()
    path = place.scratch / f"{name}.conf"
    path.write_text(re.sub("@([a-z]+)@", lambda found: str(values[found[1]]), text))
    return path


def write_answers(www: Path) -> None:
    """The fixed answers, for servers that have files and nothing else."""
    for name, text in ANSWERS.items():
        if not (www / name).exists():
            (www / name).write_text(text)


def _nginx(place: Place, port: int, cores: int) -> list[str]:
    conf = configure(place, "nginx", port, cores)
    return [_program("nginx"), "-p", str(place.scratch), "-e", "stderr", "-c", str(conf)]


def _h2o(place: Place, port: int, cores: int) -> list[str]:
    write_answers(place.www)
    return [_program("h2o"), "-m", "worker", "-c", str(configure(place, "h2o", port, cores))]


def _lighttpd(place: Place, port: int, cores: int) -> list[str]:
    write_answers(place.www)
    conf = configure(place, "lighttpd", port, cores)
    return [_program("lighttpd"), "-D", "-f", str(conf)]


def _node(place: Place, port: int, cores: int) -> list[str]:
    return [_program("node", "nodejs"), str(SERVERS / "server.js"), str(port), str(cores), str(place.www)]


def _compile(java: str, classes: Path) -> None:
    """Compiles once for a run: java Server.java would keep the compiler in the server's memory."""
    if (classes / "Server.class").exists():
        return
    done = subprocess.run(
        [java, "-m", "jdk.compiler/com.sun.tools.javac.Main", "-d", str(classes), str(SERVERS / "Server.java")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it printed nothing"]
        raise ProcessError(f"java cannot compile Server.java: {lines[0]}")


def _java(place: Place, port: int, cores: int) -> list[str]:
    java = _program("java")
    classes = place.scratch / "java"
    _compile(java, classes)
    return [
        java,
        f"-XX:ActiveProcessorCount={cores}",
        "-XX:-UsePerfData",
        *JAVA_OPTIONS,
        "-cp",
        str(classes),
        "Server",
        str(port),
        str(JAVA_THREADS),
        str(place.www),
    ]


@functools.cache
def _java_missing() -> str | None:
    java = installed("java")
    if java is None:
        return f"java is not installed: {REMEDY}"
    try:
        done = subprocess.run(
            [java, "--list-modules"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"java does not run ({error}): {REMEDY}"
    for module in ("jdk.compiler", "jdk.httpserver"):
        if f"{module}@" not in done.stdout:
            return f"this java has no {module}, a JDK is needed: {REMEDY}"
    return None


def _peer(
    name: str,
    label: str,
    command: Callable[[Place, int, int], list[str]],
    missing: Callable[[], str | None],
    version: Callable[[], str | None],
    workloads: frozenset[str] | None,
    ready: bool,
    *notes: str,
) -> Peer:
    return Peer(
        name,
        label,
        command,
        workloads,
        ready,
        refusal=lambda place: missing(),
        missing=missing,
        version=version,
        notes=notes,
    )


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        _peer(
            "nginx",
            "nginx",
            _nginx,
            _absent("nginx"),
            _version("-v", "nginx"),
            FILE_SERVER,
            False,
            "one worker per core with a listener each, epoll, multi_accept",
            "fixed answers by return 200; files by sendfile with tcp_nopush and open_file_cache",
            "its workers are bound to the server's CPUs together and not each to one",
        ),
        _peer(
            "h2o",
            "h2o",
            _h2o,
            _absent("h2o"),
            _version("-v", "h2o"),
            FILE_SERVER,
            False,
            "one thread per core",
            "fixed answers are files, since h2o has no other without a scripting language in it",
            "h2o reads files with pread and does not use sendfile",
        ),
        _peer(
            "lighttpd",
            "lighttpd",
            _lighttpd,
            _absent("lighttpd"),
            _version("-v", "lighttpd"),
            FILE_SERVER,
            False,
            "one worker per core on one listener, epoll, stat cache; fixed answers are files",
            "it closes a connection after 65,535 requests at the latest: no setting lifts that",
        ),
        _peer(
            "node",
            "Node.js",
            _node,
            _absent("node", "nodejs"),
            _version("--version", "node", "nodejs"),
            None,
            True,
            "the http module; cluster with one process per core beyond one core",
            "up to 64 KiB a file is read at once from a descriptor kept open, beyond streamed",
        ),
        _peer(
            "java",
            "JDK HttpServer",
            _java,
            _java_missing,
            _version("--version", "java"),
            None,
            True,
            f"com.sun.net.httpserver with a pool of {JAVA_THREADS} threads (Tomcat's default): "
            "a request that waits holds one",
            f"run with {' '.join(JAVA_OPTIONS)}, without which it stalls or closes connections",
            "it compiles while it runs: its first seconds cost more than the later ones",
        ),
    )
}
