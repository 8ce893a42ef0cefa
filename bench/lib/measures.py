"""Concurrency L, parallelism P and asynchrony A of torc while it is under load, from two readings of
what its admin side has summed up."""

import json
import threading
from typing import Any, Mapping, Sequence

from . import answers
from .subject import Server

SUMS = ("wall_seconds", "request_lifetime_seconds", "request_oncore_seconds", "request_held_seconds")
KEYS = ("concurrency", "parallelism", "asynchrony")  # L, P and A
PEAKS = ("concurrency_peak", "parallelism_peak")
SHARE = 0.7  # of the measured window that lies between the two readings, when it is timed from outside
Reading = Mapping[str, float]


def read(server: Server) -> dict[str, Any] | None:
    """/stats.json; None of other servers than torc."""
    if server.admin is None:
        return None
    try:
        ((_, body),) = answers.exchange(*server.admin, [answers.request("/stats.json", *server.admin)])
        found = json.loads(body)
        return found if isinstance(found, dict) else None
    except (answers.AnswerError, OSError, ValueError):
        return None


def reading(server: Server) -> Reading | None:
    measures = (read(server) or {}).get("measures")
    return measures if isinstance(measures, dict) and all(key in measures for key in (*SUMS, *PEAKS)) else None


class Window:
    """Reads in the background, once `after` seconds have passed and once more within the window of
    `seconds` that begins about then."""

    def __init__(self, server: Server, after: float, seconds: float) -> None:
        self.server, self.pauses = server, (after, SHARE * seconds)
        self.readings: list[Reading] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        for pause in self.pauses:
            if self.stop.wait(pause) or (found := reading(self.server)) is None:
                return
            self.readings.append(found)

    def __enter__(self) -> "Window":
        if self.server.admin is not None:
            self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        if self.server.admin is not None:
            self.thread.join()


def of(windows: Sequence[Window]) -> dict[str, float]:
    """The measures of all windows together, as fields of a sample; {} where they are unknown."""
    return between([one.readings for one in windows if len(one.readings) == 2])


def between(pairs: Sequence[Sequence[Reading]]) -> dict[str, float]:
    """The same of pairs of readings."""
    wall, lifetime, code, held = (sum(after[key] - before[key] for before, after in pairs) for key in SUMS)
    if wall <= 0 or lifetime <= 0:
        return {}
    last = pairs[-1][1]
    # What a busy core has not read yet counts from its arrival as soon as it is read: of a short window the mean
    # may come out larger than it can have been.
    mean = min(lifetime / wall, last["concurrency_peak"])
    return {
        "concurrency": round(mean, 4),
        "concurrency_peak": int(last["concurrency_peak"]),
        "parallelism": round(code / wall, 4),
        "parallelism_peak": int(last["parallelism_peak"]),
        "asynchrony": round(max(1 - held / lifetime, 0.0), 4),
    }
