"""Reverse proxies of other people, nginx and HAProxy, each before one server; their configurations are in
bench/servers."""

from __future__ import annotations

import re

from .peers import DESCRIPTORS_SPARE, UNQUOTABLE, configure, files_possible, installed_peer, words_of
from .subject import Place, Server, Subject

OPTIONS = {"nginx": ("-p", "{scratch}", "-e", "stderr", "-c"), "haproxy": ("-q", "-f")}
LABELS = {"nginx": "nginx", "haproxy": "HAProxy"}
LOG = {"nginx": ("off", "'{scratch}/proxy-nginx.trace' trace"), "haproxy": ("no log", "log global")}  # without and with
# What the lines of their logs have: a traceparent, when its answer was sent (since 1970), and how long that took.
LINE = re.compile(r"^([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}) ([\d.]+) ([\d.]+)$", re.MULTILINE)
BARRED = {"nginx": UNQUOTABLE, "haproxy": None}  # no path is in HAProxy's configuration
MS = {"nginx": (1e3, 1e3), "haproxy": (1e-3, 1.0)}  # in the units of these two


def proxy(name: str, upstream: int = 0, limit: int = 0, logs: bool = False) -> Subject:
    """One before the server at that port of 127.0.0.1, to which it opens so many connections at most; 0: any number.
    With logs it notes its requests that are parts of traces."""
    proxied = max((files_possible() - DESCRIPTORS_SPARE) // 2, 64)  # a connection on either side

    def command(place: Place, port: int, cores: int) -> list[str]:
        log = LOG[name][logs].replace("{scratch}", str(place.scratch))
        values = {"upstream": upstream, "limit": limit, "proxied": proxied, "log": log}
        options = [word for word in OPTIONS[name] if word != "-q" or not logs]  # quiet, HAProxy closes its stderr
        return words_of(place, name, options, configure(place, f"proxy-{name}", port, cores, **values))

    return installed_peer(LABELS[name], command, name, option="-v", barred=BARRED[name])


def traced(name: str, place: Place, front: Server) -> dict[str, tuple[float, float]]:
    """When the requests began and ended that it has noted, in ms since 1970, by their traceparent."""
    log = place.scratch / "proxy-nginx.trace" if name == "nginx" else front.child.log
    end, took = MS[name]
    lines = LINE.findall(log.read_text(errors="replace"))
    return {parent: (float(at) * end - float(lasted) * took, float(at) * end) for parent, at, lasted in lines}
