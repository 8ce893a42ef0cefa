"""Fetches answers over a plain socket and tells whether two servers answer the same."""

from __future__ import annotations

import re
import socket

TIMEOUT_SECONDS = 5.0
ANSWER_MAX = 1 << 20
DATE = re.compile(rb"(?mi)^(date: ).*?(\r?)$")


class AnswerError(Exception):
    """An answer that is not what a keep-alive client can use."""


def split(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Head with its empty line, body by Content-Length, and the rest; None while incomplete."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    length = re.search(rb"(?mi)^content-length: *(\d+) *\r?$", head + b"\r\n")
    if length is None:
        raise AnswerError("an answer has no Content-Length")
    count = int(length.group(1))
    if len(rest) < count:
        return None
    return head + separator, rest[:count], rest[count:]


def request(path: str, host: str, port: int) -> bytes:
    """The request that wrk sends."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


def fetch(host: str, port: int, path: str, depth: int) -> list[tuple[bytes, bytes]]:
    """Sends depth requests in one write and returns their heads and bodies."""
    answers: list[tuple[bytes, bytes]] = []
    data = b""
    with socket.create_connection((host, port), TIMEOUT_SECONDS) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.sendall(request(path, host, port) * depth)
        while len(answers) < depth:
            parts = split(data)
            if parts is not None:
                answers.append(parts[:2])
                data = parts[2]
                continue
            try:
                more = connection.recv(65536)
            except TimeoutError:
                raise AnswerError(f"{len(answers)} of {depth} answers in time") from None
            if not more or len(data) > ANSWER_MAX:
                raise AnswerError(f"{len(answers)} of {depth} answers before the connection ended")
            data += more
    if data:
        raise AnswerError(f"{len(data)} bytes more than {depth} answers")
    return answers


def checked(answers: list[tuple[bytes, bytes]], whole: bool) -> bytes:
    """What has to be equal between servers: the answers with their dates masked, or the body.

    Every answer has to be a 200, and those of one server equal.
    """
    for head, _ in answers:
        if not head.startswith(b"HTTP/1.1 200 "):
            raise AnswerError("answered " + head.split(b"\r\n", 1)[0].decode("latin-1"))
    texts = {DATE.sub(rb"\1*\2", head) + body if whole else body for head, body in answers}
    if len(texts) != 1:
        raise AnswerError("equal requests got different answers")
    return texts.pop()


def difference(a: bytes, b: bytes) -> str:
    """Where two answers part, for an error message."""
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    start = max(at - 20, 0)
    return f"at byte {at}: {a[start:at + 20]!r} and {b[start:at + 20]!r}"
