"""What is asked of the servers: the workloads, and the files they are asked for."""

import random
from dataclasses import dataclass
from pathlib import Path

from .host import Machine

DELAY_CONNECTIONS = 1500  # of delay: ÷ 20 ms that is 75,000 requests/s, less than a core can serve
IDLE_CONNECTIONS = 10_000
LOAD_PERCENTS = (50, 70, 90)  # of latency, of the slower subject's capacity
KIB, MIB = 1024, 1 << 20
UPLOAD_BYTES = 20 * MIB
STATIC_BYTES = {"1k": KIB, "4k": 4 * KIB, "16k": 16 * KIB, "64k": 64 * KIB, "1m": MIB, "64m": 64 * MIB}


@dataclass(frozen=True)
class Workload:
    """One question. Either paths are asked with one method and body, or templates as they are."""

    name: str
    title: str
    paths: tuple[str, ...] = ()  # asked in turn; may hold {rand:min:max}
    templates: tuple[str, ...] = ()  # whole requests, asked in turn
    method: str = "GET"
    body_bytes: int = 0
    chunked: bool = False
    status: int = 200
    expect: str | None = None  # the body of every answer
    expect_file: str | None = None  # below www: the same, from a file
    connections: int = 256
    pipeline: int = 1
    requests_per_connection: int = 0  # 0: connections are kept
    rate: float = 0.0  # requests/s in open loop; 0: closed loop
    arrivals: str = "poisson"  # of an open loop
    pairs: int = 10
    quick_pairs: int = 4
    seconds: float = 1.0
    quick_seconds: float = 0.6
    parts: int = 16  # that a sample is taken in at most, alternating with those of others
    warmup: float = 0.2  # seconds
    ramp: float = 0.0  # seconds over which connections are opened
    main: bool = False  # part of --quick where no --workloads are given
    whole_heads: tuple[str, ...] = ()  # subjects whose heads have to be alike too
    subjects: tuple[str, ...] | None = None  # that can serve it; None: all that say so


_TWINS = ("io_uring", "epoll", "threads", "floor-uring", "floor-epoll", "floor-threads")


def _hello(name: str, title: str, **more: object) -> Workload:
    return Workload(name, title, ("/plaintext",), expect="Hello, World!", **more)


def _post(path: str, fields: str, body: str) -> str:
    return f"POST {path} HTTP/1.1\r\nHost: torc-bench\r\n{fields}\r\n\r\n{body}"


# All three forms have the same answer, so that each reply can be checked whichever it belongs to.
_BASELINE = (
    "GET /baseline11?a=13&b=62 HTTP/1.1\r\nHost: torc-bench\r\n\r\n",
    _post("/baseline11?a=13&b=42", "Content-Length: 2", "20"),
    _post("/baseline11?a=13&b=42", "Transfer-Encoding: chunked", "2\r\n20\r\n0\r\n\r\n"),
)
_LARGE = {"parts": 1, "quick_seconds": 1.0, "warmup": 0.3}


def _static(size: str) -> Workload:
    large, path = STATIC_BYTES[size] >= MIB, f"static/{size}.txt"
    name = f"static-{'large' if large else 'small'}-{size}"
    title = f"GET a file of {size[:-1]} {'M' if large else 'K'}iB"
    if not large:
        return Workload(name, title, (f"/{path}",), expect_file=path, main=size == "4k")
    # Bodies this long are compared once, before timing: comparing each would slow the load down.
    connections, seconds = (4, 3.0) if size == "64m" else (32, 2.0)
    return Workload(name, title, (f"/{path}",), connections=connections, seconds=seconds, **_LARGE)


_UPLOAD = {"method": "POST", "body_bytes": UPLOAD_BYTES, "expect": str(UPLOAD_BYTES), "connections": 8, "seconds": 2.0}
_DELAY = {"connections": DELAY_CONNECTIONS, "expect": "20", "seconds": 1.5, "warmup": 0.5, "ramp": 0.3, "main": True}
_TEN = {"requests_per_connection": 10}
_IDLE = {"connections": IDLE_CONNECTIONS, "parts": 1, "pairs": 5, "quick_pairs": 2}
_MAIN = {"main": True, "whole_heads": _TWINS}

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        _hello("plaintext", "GET /plaintext, keep-alive", quick_pairs=6, **_MAIN),
        Workload("json", "GET /json, keep-alive", ("/json",), expect='{"message":"Hello, World!"}'),
        _hello("pipelined", "GET /plaintext, 16 requests pipelined", pipeline=16, **_MAIN),
        Workload("baseline", "GET, POST with length and POST chunked in turn", templates=_BASELINE, expect="75"),
        _hello("short-lived", "GET /plaintext, 10 requests per connection", **_TEN, **_MAIN),
        *(_static(size) for size in STATIC_BYTES),
        Workload("upload", "POST a body of 20 MiB", ("/upload",), **_UPLOAD, **_LARGE),
        Workload("delay", "GET /delay of 20 ms", ("/delay/20",), **{**_LARGE, **_DELAY}),
        _hello("idle", "connections that have asked once and are held", **_IDLE),
        _hello("latency", "GET /plaintext, open loop", quick_pairs=3, **_MAIN),
    )
}


def connections_possible() -> int:
    """How many connections to one address the descriptor limit and the port range allow."""
    return Machine().connections_possible()[0]


def write_static(www: Path, large: bool = False) -> None:
    """The document root: text that no server can guess or compress to nothing. What is there stays. The large
    files come only on demand: most runs never ask for them."""
    letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
    table = bytes(letters[byte % 64] for byte in range(256))
    (www / "static").mkdir(parents=True, exist_ok=True)
    block = random.Random(1).randbytes(MIB).translate(table)
    for size, count in STATIC_BYTES.items():
        path = www / "static" / f"{size}.txt"
        if path.exists() or (count >= MIB and not large):
            continue
        with path.open("wb") as out:
            for number in range(max(count // MIB, 1)):
                out.write((b"%08d" % number + block[8:])[:count])
