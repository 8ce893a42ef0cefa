"""What a server of ours has recorded of its requests (--timeline): their spans, phases and traces."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

from . import answers
from .subject import Server

Event = Mapping[str, Any]


@dataclass
class Request:
    """Times in µs. A phase is its word in the timeline, its begin and its end."""

    core: int
    connection: int
    name: str
    begin: float
    end: float = 0.0
    in_progress: bool = False
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    trace: str = ""  # of which it is a part, and the span there that is its parent
    parent: str = ""
    calls: list[str] = field(default_factory=list)  # the spans of what it asked others


def requests(events: Iterable[Event]) -> list[Request]:
    """Those whose begin and end are among the events."""
    found: dict[str, Request] = {}
    whole: list[Request] = []
    since: dict[str, float] = {}
    for event in events:
        if event.get("cat") != "request":
            continue
        key, at, args = event["id"], event["ts"], event.get("args", {})
        if event["ph"] == "b" and "connection" in args:
            trace = args.get("trace_id", ""), args.get("parent_id", "")
            found[key] = Request(event["tid"], args["connection"], event["name"], at)
            found[key].trace, found[key].parent = trace
        elif key not in found:
            continue
        elif event["ph"] == "b":
            since[key] = at
        elif event["ph"] == "n" and "span_id" in args:
            found[key].calls.append(args["span_id"])
        elif event["ph"] == "e" and "status" in args:
            one = found.pop(key)
            one.end, one.in_progress = at, args["in_progress"]
            whole.append(one)
        elif event["ph"] == "e":
            found[key].phases.append((event["name"], since.pop(key, at), at))
    return whole


def read(server: Server, ms: int) -> dict[str, Any]:
    """Of the last ms; nothing where it does not answer in time: the picture is not worth an experiment."""
    assert server.admin is not None
    try:
        ((_, body),) = answers.exchange(*server.admin, [answers.request(f"/timeline.json?ms={ms}", *server.admin)])
        found = json.loads(body)
        return found if isinstance(found, dict) else {}
    except (answers.AnswerError, OSError, ValueError):
        return {}


def traced(server: Server, ms: int) -> dict[str, Request]:
    """The requests that are parts of traces, by these, in µs since 1970."""
    said = read(server, ms)
    found = {}
    for one in requests(said.get("traceEvents", [])):
        one.begin, one.end = (at + said["epoch_us"] for at in (one.begin, one.end))
        one.phases = [(word, begin + said["epoch_us"], end + said["epoch_us"]) for word, begin, end in one.phases]
        if one.trace:
            found[one.trace] = one
    return found
