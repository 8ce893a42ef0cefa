"""Reverse proxies of other people, nginx and HAProxy, each before one server; their configurations are in
bench/servers."""

from __future__ import annotations

from .peers import DESCRIPTORS_SPARE, configure, files_possible, installed_peer, words_of
from .subject import Place, Subject

OPTIONS = {"nginx": ("-p", "{scratch}", "-e", "stderr", "-c"), "haproxy": ("-q", "-f")}
LABELS = {"nginx": "nginx", "haproxy": "HAProxy"}


def proxy(name: str, upstream: int = 0, limit: int = 0) -> Subject:
    """One before the server at that port of 127.0.0.1, to which it opens so many connections at most; 0: any number."""
    proxied = max((files_possible() - DESCRIPTORS_SPARE) // 2, 64)  # a connection on either side

    def command(place: Place, port: int, cores: int) -> list[str]:
        values = {"upstream": upstream, "limit": limit, "proxied": proxied}
        return words_of(place, name, OPTIONS[name], configure(place, f"proxy-{name}", port, cores, **values))

    return installed_peer(LABELS[name], command, name, option="-v")
