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
import tempfile
from pathlib import Path
from typing import Any, Sequence

from . import program
from .proc import ProcessError
from .subject import Command, Place, Subject
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

# What a path in a configuration may not have: quotes and escapes, nginx's variables, and what YAML does not take.
UNQUOTABLE = re.compile("[\"'$\\\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
UTF_8 = "C.UTF-8"  # the locale in which Java finds files whose names are not ASCII
LISTED = re.compile(":")  # what ends an entry of Java's class path

JAVA_OPTIONS = (
    "-Dsun.net.httpserver.nodelay=true",  # without it every reply waits 40 ms for an ACK
    "-Dsun.net.httpserver.maxIdleConnections=1000000",  # beyond 200 it closes kept connections
    "-Dsun.net.httpserver.idleInterval=3600",
)


def installed_peer(
    label: str,
    command: Command,
    *programs: str,
    option: str = "--version",
    barred: re.Pattern[str] | None = None,
    **more: Any,
) -> Subject:
    """A subject that has to be installed; programs are the names that it goes by, barred what the paths of its files
    may not have."""
    name = programs[0]

    def refusal(place: Place | None = None) -> str | None:
        """One line with the remedy."""
        if program.installed(*programs) is None:
            return f"{name} is not installed: {REMEDY}"
        scratch = str(place.scratch if place else tempfile.gettempdir())
        if barred and (wrong := barred.search(scratch)):
            return (
                f"{name} cannot have files in {scratch!r}, for {wrong[0]!r} is in it: set TMPDIR to another directory"
            )
        return _java_missing() if name == "java" else None

    def version() -> str | None:
        found = program.installed(*programs)
        return program.version(found, option) if found else None

    return Subject(name, label, command, refusal=refusal, version=version, **more)


def _program(*names: str) -> str:
    return program.installed(*names) or names[0]


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


def _stay_root(name: str) -> str:
    """Started by root, h2o and nginx become another user, who cannot read a private directory."""
    if os.geteuid() != 0:
        return ""
    try:
        me = pwd.getpwuid(0).pw_name
    except KeyError:  # no entry in the password file
        me = "root"
    return f"user: {me}" if name == "h2o" else f"user {me};"


def configure(place: Place, name: str, port: int, cores: int, **more: int | str) -> str:
    """Writes bench/servers/NAME.conf, filled in, below scratch, and the fixed answers as files."""
    for answer, text in ANSWERS.items():
        if not (place.www / answer).exists():
            (place.www / answer).write_text(text)
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
        "user": _stay_root(name),
        **more,
    }
    text = (SERVERS / f"{name}.conf").read_text()
    path = place.scratch / f"{name}.conf"
    path.write_bytes(os.fsencode(re.sub("@([a-z]+)@", lambda found: str(values[found[1]]), text)))
    return str(path)


def words_of(place: Place, name: str, options: Sequence[str], configuration: str) -> list[str]:
    """Of a server whose last option is its configuration."""
    return [word.replace("{scratch}", str(place.scratch)) for word in (_program(name), *options, configuration)]


def _configured(name: str, *options: str) -> Command:
    """The command of a server whose last option is its configuration."""

    def command(place: Place, port: int, cores: int) -> list[str]:
        return words_of(place, name, options, configure(place, name, port, cores))

    return command


def _node(place: Place, port: int, cores: int) -> list[str]:
    # The http module; cluster with one process per core beyond one core.
    return [_program("node", "nodejs"), str(SERVERS / "server.js"), str(port), str(cores), str(place.www)]


def _java(place: Place, port: int, cores: int) -> list[str]:
    # com.sun.net.httpserver with a pool of threads. It compiles while it runs: its first seconds cost more.
    java, classes = _program("java"), place.scratch / "java"
    if not (classes / "Server.class").exists():  # java Server.java would keep the compiler in the server's memory
        compiler = (java, "-m", "jdk.compiler/com.sun.tools.javac.Main")
        # Below scratch, for a compiler reads classes of its directory, and leaves files there where it fails.
        words = ("-cp", classes, "-d", classes, SERVERS / "Server.java")
        said = program.ask(*compiler, *words, directory=place.scratch, seconds=120, locale=UTF_8)
        if said.status != 0:
            lines = (said.errors or said.text).splitlines() or ["it printed nothing"]
            why = next((line for line in lines if "error:" in line), lines[0])
            raise ProcessError(f"java cannot compile Server.java: {why}")
    options = [f"-XX:ActiveProcessorCount={cores}", "-XX:-UsePerfData", *JAVA_OPTIONS, "-cp", str(classes)]
    return [java, *options, "Server", str(port), str(JAVA_THREADS), str(place.www)]


# Nginx's workers are bound to the server's CPUs together and not each to one.
_NGINX = _configured("nginx", "-p", "{scratch}", "-e", "stderr", "-c")
# h2o has no fixed answers without a scripting language in it, and reads files without sendfile.
_H2O = _configured("h2o", "-m", "worker", "-c")
# lighttpd closes a connection after 65,535 requests at the latest: no setting lifts that.
_LIGHTTPD = _configured("lighttpd", "-D", "-f")

PEERS: dict[str, Subject] = {
    peer.name: peer
    for peer in (
        installed_peer("nginx", _NGINX, "nginx", option="-v", barred=UNQUOTABLE, workloads=FILE_SERVER),
        installed_peer("h2o", _H2O, "h2o", option="-v", barred=UNQUOTABLE, workloads=FILE_SERVER),
        installed_peer("lighttpd", _LIGHTTPD, "lighttpd", option="-v", barred=UNQUOTABLE, workloads=FILE_SERVER),
        installed_peer("Node.js", _node, "node", "nodejs", says_when_ready=True),
        installed_peer(
            "JDK HttpServer", _java, "java", barred=LISTED, says_when_ready=True, environment=(("LC_ALL", UTF_8),)
        ),
    )
}
