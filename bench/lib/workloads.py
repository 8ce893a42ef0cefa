"""What is asked of the servers, which servers are asked, and which of them are set in ratio."""

from __future__ import annotations

import random
import resource
from dataclasses import dataclass
from pathlib import Path

STATIC_NAME = "4k.txt"
STATIC_BYTES = 4096
DELAY_MS = 20
DESCRIPTORS_SPARE = 512  # what a server keeps open beside its connections
FLOORS = ("uring", "epoll", "floor-uring", "floor-epoll")
PORTS_SPARE = 1024


@dataclass(frozen=True)
class Workload:
    """One row of questions. subjects are in the order of the first round; rounds alternate."""

    name: str
    title: str
    path: str
    subjects: tuple[str, ...]
    ratios: tuple[tuple[str, str], ...]  # (numerator, denominator)
    connections: int = 256
    depth: int = 1  # requests in flight per connection
    rounds: int = 3
    quick_rounds: int = 2
    seconds: int = 1
    warmup: float = 0.25  # seconds
    delay_ms: int = 0  # how long an answer takes at least
    whole_answer: bool = True  # subjects answer the same bytes; otherwise only the same body


def _delay(connections: int) -> Workload:
    return Workload(
        name="delay",
        title=f"GET /delay/{DELAY_MS}, {connections:,} connections",
        path=f"/delay/{DELAY_MS}",
        subjects=("uring", "epoll"),
        ratios=(("uring", "epoll"),),
        connections=connections,
        rounds=1,
        quick_rounds=1,
        seconds=5 if connections > 4096 else 2,  # connecting thousands takes its time
        warmup=0,
        delay_ms=DELAY_MS,
    )


def connections_possible() -> int:
    """How many connections to one address the descriptor limit and the port range allow."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    ports = int(last) - int(first) + 1 - PORTS_SPARE
    return ports if files == resource.RLIM_INFINITY else min(files - DESCRIPTORS_SPARE, ports)


def workloads(connections: int, many: int) -> list[Workload]:
    """All workloads, the main one first; many is the connection count of the large /delay run."""
    floors = (("uring", "floor-uring"), ("epoll", "floor-epoll"), ("uring", "epoll"),
              ("floor-uring", "floor-epoll"))
    return [
        Workload("plaintext", f"GET /plaintext, {connections} connections, keep-alive",
                 "/plaintext", FLOORS, floors, connections, rounds=10, quick_rounds=3),
        Workload("pipelined", f"GET /plaintext, {connections} connections, 16 requests pipelined",
                 "/plaintext", FLOORS, floors, connections, depth=16),
        Workload("static", f"GET a file of 4 KiB, {connections} connections, keep-alive",
                 f"/static/{STATIC_NAME}", ("uring", "epoll", "nginx", "lighttpd"),
                 (("uring", "nginx"), ("uring", "lighttpd"), ("epoll", "nginx"),
                  ("epoll", "lighttpd"), ("uring", "epoll")),
                 connections, whole_answer=False),
        _delay(min(1000, many)),
        _delay(many),
    ]  # fmt: skip


NAMES = ("plaintext", "pipelined", "static", "delay")


def write_static(www: Path) -> None:
    """The document root with its one file: text that no server can guess or compress to nothing."""
    source = random.Random(STATIC_BYTES)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
    (www / "static").mkdir(parents=True)
    text = "".join(source.choices(letters, k=STATIC_BYTES))
    (www / "static" / STATIC_NAME).write_text(text)
