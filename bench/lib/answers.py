"""Fetches answers over a plain socket and tells whether two servers answer the same."""

import re
import socket
from typing import IO, Sequence

TIMEOUT_SECONDS = 5.0
ANSWER_MAX = 1 << 20
DATE = re.compile(rb"(?mi)^(date: ).*?(\r?)$")


class AnswerError(Exception):
    """An answer that is not what a keep-alive client can use."""


def read(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """The next answer: its head with the empty line, and its body by length or by chunks."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline(ANSWER_MAX)
        if not line:
            raise AnswerError("the connection ended" + (" inside a head" if head else ""))
        head += line
    length = re.search(rb"(?mi)^content-length: *(\d+) *\r?$", head)
    if length is not None:
        return head, _exactly(stream, int(length.group(1)))
    if not re.search(rb"(?mi)^transfer-encoding: *chunked *\r?$", head):
        raise AnswerError("an answer has no Content-Length")
    pieces = []
    while size := _chunk_size(stream.readline(ANSWER_MAX)):
        pieces.append(_exactly(stream, size))
        stream.readline(3)
    while stream.readline(ANSWER_MAX).strip():
        pass  # a trailer
    return head, b"".join(pieces)


def _chunk_size(line: bytes) -> int:
    found = re.match(rb"[0-9a-fA-F]+", line)
    if found is None:
        raise AnswerError("the connection ended inside a body" if not line else f"{line[:20]!r} is no chunk size")
    return int(found[0], 16)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    body = stream.read(count)
    if len(body) < count:
        raise AnswerError(f"the connection ended after {len(body)} of {count} bytes of a body")
    return body


def request(path: str, host: str, port: int) -> bytes:
    """A plain GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


def exchange(host: str, port: int, requests: Sequence[bytes], pipelined: bool = False) -> list[tuple[bytes, bytes]]:
    """Asks one after another, or all in one write, on one connection: heads and bodies."""
    found: list[tuple[bytes, bytes]] = []
    with socket.create_connection((host, port), TIMEOUT_SECONDS) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection.makefile("rb") as stream:
            try:
                for one in [b"".join(requests)] if pipelined else requests:
                    connection.sendall(one)
                    for _ in requests if pipelined else (one,):
                        found.append(read(stream))
            except TimeoutError:
                raise AnswerError(f"{len(found)} of {len(requests)} answers in time") from None
            connection.setblocking(False)
            if rest := stream.peek():
                raise AnswerError(f"{len(rest)} bytes more than {len(requests)} answers")
    return found


def masked(head: bytes) -> bytes:
    """A head without its date."""
    return DATE.sub(rb"\1*\2", head)


def difference(a: bytes, b: bytes) -> str:
    """Where two answers part, for an error message."""
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    start = max(at - 20, 0)
    return f"at byte {at}: {a[start:at + 20]!r} and {b[start:at + 20]!r}"
