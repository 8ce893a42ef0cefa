"""Other people's servers, each configured to do its best: nginx, h2o, lighttpd, Node.js, the JDK's.

Every peer runs with as many workers as cores, keeps connections open, writes no access log, sets
TCP_NODELAY and asks for the same listen backlog. Their configurations and programs are in
bench/servers. What they write is below place.scratch and, three files of fixed answers, place.www.
"""

import functools
import os
import pwd
import re
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import program
from .proc import ProcessError
from .subject import Place, Subject
from .workloads import WORKLOADS

SERVERS = Path(__file__).resolve().parent.parent / "servers"
REMEDY = "tools/setup --bench installs it"
BACKLOG = 4096
FILES_MAX = 65536
DESCRIPTORS_SPARE = 256  # of a server, beside its connections and its files
JAVA_THREADS = 200  # the default of Tomcat, the most common Java server
ANSWERS = {"plaintext": "Hello, World!", "json": '{"message":"Hello, World!"}', "pipeline": "ok"}

# Servers of files and fixed answers; the others run a program of ours and can do everything.
FIXED = {"plaintext", "json", "pipelined", "short-lived", "idle", "latency"}
FILE_SERVER = frozenset(FIXED | {name for name in WORKLOADS if name.startswith("static-")})

JAVA_OPTIONS = (
    "-Dsun.net.httpserver.nodelay=true",  # without it every reply waits 40 ms for an ACK
    "-Dsun.net.httpserver.maxIdleConnections=1000000",  # beyond 200 it closes kept connections
    "-Dsun.net.httpserver.idleInterval=3600",
)


@dataclass(frozen=True)
class Peer(Subject):
    """A subject that has to be installed."""

    programs: tuple[str, ...] = ()  # the names that it goes by
    version_option: str = "--version"

    def missing(self) -> str | None:
        """One line with the remedy; None: it is there."""
        if program.installed(*self.programs) is None:
            return f"{self.name} is not installed: {REMEDY}"
        return _java_missing() if self.name == "java" else None

    def refusal(self, place: Place | None) -> str | None:
        return self.missing()

    def version(self) -> str | None:
        found = program.installed(*self.programs)
        return program.version(found, self.version_option) if found else None


def _program(*names: str) -> str:
    found = program.installed(*names)
    if found is None:
        raise ProcessError(f"{names[0]} is not installed: {REMEDY}")
    return found


@functools.cache
def _java_missing() -> str | None:
    listed = program.output([_program("java"), "--list-modules"])
    if listed is None:
        return f"java does not run: {REMEDY}"
    for module in ("jdk.compiler", "jdk.httpserver"):
        if f"{module}@" not in listed:
            return f"this java has no {module}, a JDK is needed: {REMEDY}"
    return None


def files_possible() -> int:
    """Descriptors that a server started from here may open, up to what any workload asks for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)


def configure(place: Place, name: str, port: int, cores: int) -> str:
    """Writes bench/servers/NAME.conf, filled in, below scratch, and the fixed answers as files."""
    for answer, text in ANSWERS.items():
        if not (place.www / answer).exists():
            (place.www / answer).write_text(text)
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
    return str(path)


def _nginx(place: Place, port: int, cores: int) -> list[str]:
    # Its workers are bound to the server's CPUs together and not each to one.
    conf = configure(place, "nginx", port, cores)
    return [_program("nginx"), "-p", str(place.scratch), "-e", "stderr", "-c", conf]


def _h2o(place: Place, port: int, cores: int) -> list[str]:
    # It has no fixed answers without a scripting language in it, and reads files without sendfile.
    return [_program("h2o"), "-m", "worker", "-c", configure(place, "h2o", port, cores)]


def _lighttpd(place: Place, port: int, cores: int) -> list[str]:
    # It closes a connection after 65,535 requests at the latest: no setting lifts that.
    return [_program("lighttpd"), "-D", "-f", configure(place, "lighttpd", port, cores)]


def _node(place: Place, port: int, cores: int) -> list[str]:
    # The http module; cluster with one process per core beyond one core.
    return [_program("node", "nodejs"), str(SERVERS / "server.js"), str(port), str(cores), str(place.www)]


def _compile(java: str, classes: Path) -> None:
    """Compiles once for a run: java Server.java would keep the compiler in the server's memory."""
    if (classes / "Server.class").exists():
        return
    words = [java, "-m", "jdk.compiler/com.sun.tools.javac.Main", "-d", str(classes), str(SERVERS / "Server.java")]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it printed nothing"]
        raise ProcessError(f"java cannot compile Server.java: {lines[0]}")


def _java(place: Place, port: int, cores: int) -> list[str]:
    # com.sun.net.httpserver with a pool of threads. It compiles while it runs: its first seconds cost more.
    java, classes = _program("java"), place.scratch / "java"
    _compile(java, classes)
    options = [f"-XX:ActiveProcessorCount={cores}", "-XX:-UsePerfData", *JAVA_OPTIONS, "-cp", str(classes)]
    return [java, *options, "Server", str(port), str(JAVA_THREADS), str(place.www)]


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("nginx", "nginx", _nginx, FILE_SERVER, programs=("nginx",), version_option="-v"),
        Peer("h2o", "h2o", _h2o, FILE_SERVER, programs=("h2o",), version_option="-v"),
        Peer("lighttpd", "lighttpd", _lighttpd, FILE_SERVER, programs=("lighttpd",), version_option="-v"),
        Peer("node", "Node.js", _node, says_when_ready=True, programs=("node", "nodejs")),
        Peer("java", "JDK HttpServer", _java, says_when_ready=True, programs=("java",)),
    )
}
