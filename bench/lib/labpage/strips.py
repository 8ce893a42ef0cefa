"""The waterfall: strips of a server's timeline, of which a sample of connections is drawn, and below them some of those
that wait for a thread of the server."""

from __future__ import annotations

import collections
import itertools
import statistics
import threading
import time
from typing import Any, Callable, Iterable, Mapping, Sequence

from .. import timeline
from ..subject import Server
from ..timeline import Event, Request, requests
from . import backlog

STRIPS = 4  # of a step
LANES = 20  # connections that are drawn
CORES = 4  # that are drawn
DRAWN = 150  # requests of a strip, at most
PIECES = 300  # of what a core ran; those that are closer than this part of a strip are drawn as one
PROBE_MS = 20  # of the reading that tells how long requests take
ENOUGH = 30  # requests, to choose a strip's length by how long they take
SEEN = 6000  # requests of a strip, at most, as far as that can be known before
BEFORE = "GET /plaintext"  # which a client asks for before its requests, to have loaded what asks
LEAST_MS, MOST_MS = 4, 600  # of a strip
WHOLE_MS = 5000  # of a step that is shown as a whole, at most
FIRST_SECONDS, PAUSE_SECONDS = 0.25, 0.35
SHARE = 0.1  # of the time, at most, that is spent on reading
KINDS = ("queue", "run", "wait", "send")
LOOKS = 6  # at the accept queue in a strip
SERVED = 5  # lanes, at least, of connections that have a thread
THREADLESS = "no thread yet"  # what stands for the route of a request that nobody has read
Say = Callable[[dict[str, Any]], None]
Look = tuple[float, set[int] | None]  # the µs since 1970, and who waited then: None where that is unknown


def kind(word: str) -> str:
    return word if word in KINDS else "wait"


def length_ms(seen: Sequence[Request]) -> int:
    """Of a strip that has about two requests of each connection after one another, and enough of all."""
    if not seen:
        return MOST_MS // 2
    by_name = collections.defaultdict(list)
    for one in seen:
        by_name[one.name].append((one.end - one.begin) / 1000)
    longest = max(statistics.median(times) for times in by_name.values())
    per_ms = sum(not one.in_progress for one in seen) / PROBE_MS
    wanted = 2.5 * longest if len(seen) >= ENOUGH else max(2.5 * longest, ENOUGH / max(per_ms, 0.1))
    return round(min(max(min(wanted, SEEN / max(per_ms, 0.1)), LEAST_MS), MOST_MS))


class Lanes:
    """Connections keep their lanes; those of one that has gone are given to others. The first route has lanes
    from the top, another from the bottom."""

    def __init__(self) -> None:
        self.of: dict[int, int] = {}
        self.first: str | None = None  # route
        self.room = LANES  # for connections that the server has; the others are of those that wait for a thread

    def share(self, served: int, waiting: int) -> None:
        """Divides the lanes as the requests are, when some wait for the first time."""
        if waiting and self.room == LANES:
            self.room = min(max(round(LANES * served / (served + waiting)), SERVED), LANES - 1)

    def take(self, seen: Sequence[Request]) -> dict[int, int]:
        """The lane of each connection that is drawn: of every route some."""
        here = {one.connection: one.name for one in seen}
        self.first = self.first or min(here.values(), default=None)
        self.of = {connection: lane for connection, lane in self.of.items() if connection in here and lane < self.room}
        free = sorted(set(range(self.room)) - set(self.of.values()))
        queues: dict[str, list[int]] = collections.defaultdict(list)
        for connection, name in here.items():
            if connection not in self.of:
                queues[name].append(connection)
        in_turn = [one for turn in itertools.zip_longest(*queues.values()) for one in turn if one is not None]
        for connection in in_turn[: len(free)]:
            self.of[connection] = free.pop(0 if here[connection] == self.first else -1)
        return self.of


def sample(seen: Sequence[Request], lane_of: Mapping[int, int]) -> list[Request]:
    """The requests that are drawn: all of a connection, or none."""
    counts = collections.Counter(one.connection for one in seen if one.connection in lane_of)
    left, kept = DRAWN, set()
    for connection in sorted(counts, key=lambda one: counts[one]):
        left -= counts[connection]
        if left >= 0 or not kept:
            kept.add(connection)
    return [one for one in seen if one.connection in kept][:DRAWN]


def cores(events: Iterable[Event], begin: float, end: float) -> list[list[float]]:
    """What the first cores ran: [core, from, to] in ms of the strip, near pieces as one."""
    near = (end - begin) / PIECES
    found: dict[int, list[list[float]]] = collections.defaultdict(list)
    for event in events:
        if event["ph"] != "X" or event["tid"] >= CORES:
            continue
        start, stop = max(event["ts"], begin), event["ts"] + event["dur"]
        if stop < begin:
            continue
        pieces = found[event["tid"]]
        if pieces and start - pieces[-1][1] < near:
            pieces[-1][1] = max(stop, pieces[-1][1])
        else:
            pieces.append([start, stop])
    return [
        [core, *(round((at - begin) / 1000, 3) for at in piece)] for core, pieces in found.items() for piece in pieces
    ]


def queued(looks: Sequence[Look], begin: float, end: float) -> tuple[float, dict[int, tuple[float, float]]] | None:
    """Of what waits for a thread between two times: the µs that all of it waited together, and of each that waited when
    it was last looked at from when to when it was seen to. None where that is unknown."""
    known = [(at, ports) for at, ports in looks if ports is not None]
    before = [one for one in known if one[0] <= end]
    if not before:
        return None
    counts = [len(ports) for at, ports in before if at >= begin] or [len(before[-1][1])]
    last, there = before[-1]
    longer = known[len(before)][1] if len(known) > len(before) else set()
    spans = {
        port: (next(at for at, ports in before if port in ports), end if port in longer else last)
        for port in sorted(there)
        if port in longer or last > begin
    }
    return statistics.fmean(counts) * (end - begin), spans


def strip(
    events: Sequence[Event],
    lanes: Lanes,
    ms: float,
    others: Sequence[str] = (),
    looks: Sequence[Look] | None = None,
) -> dict[str, Any] | None:
    """What the page draws of a reading without requests of those names, and how much there was; None where there are no
    requests. Of a server with threads there are looks at its accept queue, in µs like those of the events."""
    seen = [one for one in requests(events) if one.name not in others]
    events = [one for one in events if one["ph"] != "X" or one["name"] not in others]
    if not seen:
        return None
    end = max(one.end for one in seen)
    begin = end - ms * 1000
    seen = sorted((one for one in seen if one.end >= begin), key=lambda one: one.begin)
    queue = queued(looks or (), begin, end)
    waited, spans = queue or (0.0, {})
    lanes.share(sum(one.in_progress for one in seen), len(spans))
    lane_of = lanes.take(seen)
    drawn = sample(seen, lane_of)

    def within(at: float) -> float:
        return round((max(at, begin) - begin) / 1000, 3)

    spent = dict.fromkeys(KINDS, 0.0) | {"queue": waited}
    for one in seen:
        for word, start, stop in one.phases:
            spent[kind(word)] += max(stop - max(start, begin), 0.0)
    whole = sum(spent.values()) or 1.0
    bars = [
        {
            "lane": lane_of[one.connection],
            "core": one.core,
            "name": one.name,
            "ms": round((one.end - one.begin) / 1000, 3),
            "in_progress": one.in_progress,
            "phases": [[kind(word), word, within(a), within(b)] for word, a, b in one.phases if b >= begin],
        }
        for one in drawn
    ]
    below = LANES - lanes.room
    chosen = [span for n, span in enumerate(spans.values()) if n * below % len(spans) < below]
    bars += [
        {
            "lane": lanes.room + number,
            "core": None,
            "name": THREADLESS,
            "ms": round((until - since) / 1000, 3),
            "in_progress": True,
            "phases": [["queue", "queue", within(since), within(until)]],
        }
        for number, (since, until) in enumerate(chosen)
    ]
    counts: dict[str, Any] = {"seen": len(seen) + len(spans)}
    counts["connections"] = len({one.connection for one in seen}) + len(spans)
    if looks is not None:
        counts["waiting"] = None if queue is None else len(spans)
    shares = {name: round(time / whole, 4) for name, time in spent.items()}
    counts["lanes"] = sum(event["name"] == "thread_name" for event in events)  # of cores, or threads
    return {"ms": ms, **counts, "bars": bars, "cores": cores(events, begin, end), "share": shares}


def read(server: Server, ms: int) -> list[Event]:
    return timeline.read(server, ms).get("traceEvents", [])  # type: ignore[no-any-return]


def now() -> float:
    """µs since 1970."""
    return time.time() * 1e6


class Watch:
    """Reads the timeline in the background, and says each strip; of a step that is over before there is one, all. Of a
    server with threads it looks at the accept queue, too."""

    def __init__(self, server: Server, say: Say, asked: str, threads: bool = False) -> None:
        self.server, self.say, self.threads = server, say, threads
        self.looks: list[Look] = []
        self.others = () if BEFORE.split()[1] in asked else (BEFORE,)  # that are not of the step
        self.lanes, self.said = Lanes(), 0
        self.end = threading.Event()
        self.begun = time.monotonic()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        if not self.end.wait(FIRST_SECONDS):
            self._follow()
        if not self.said:
            self._say(int(min((time.monotonic() - self.begun) * 1000, WHOLE_MS)))

    def _say(self, ms: float) -> None:
        before = time.monotonic()
        told = timeline.read(self.server, ms)
        looks = None
        if self.threads:
            after = [(now(), backlog.waiting(self.server.port))] if self.looks else []
            looks = [(at - told.get("epoch_us", 0), ports) for at, ports in [*self.looks, *after]]
        if found := strip(told.get("traceEvents", []), self.lanes, ms, self.others, looks):
            self.said += 1
            self.say({"event": "strip", "at": round(before - self.begun, 2), **found})

    def _ends_within(self, pause: float, ms: float) -> bool:
        """Waits so long, and in the end for a strip with looks at the queue; whether the step is over then."""
        if not self.threads:
            return self.end.wait(pause)
        self.looks = []
        if self.end.wait(max(pause - ms / 1000, 0.0)):
            return True
        for _ in range(LOOKS):
            self.looks.append((now(), backlog.waiting(self.server.port)))
            if self.end.wait(ms / 1000 / LOOKS):
                return True
        return False

    def _follow(self) -> None:
        ms = length_ms(requests(read(self.server, PROBE_MS)))
        pause = max(ms / 1000 - FIRST_SECONDS, 0.0)
        while self.said < STRIPS and not self._ends_within(pause, ms):
            before = time.monotonic()
            self._say(ms)
            pause = max(PAUSE_SECONDS, ms / 1000, (time.monotonic() - before) / SHARE)

    def __enter__(self) -> Watch:
        if self.server.admin is not None:
            self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        if self.server.admin is not None:
            self.thread.join()
