"""The load generator wrk: its script, its command and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping

# wrk's own latency figures cannot be used as they are: it adds invented observations for
# "coordinated omission" spaced by the mean time between two requests of a connection
# (stats_correct in its stats.c), which with pipelining is a fraction of what a connection can
# reach, and its percentiles then read 0. So the script hands out the whole histogram, and
# uncorrected() takes the invented part out again. The script defines no request(): wrk then formats
# the request once instead of calling Lua for each.
SCRIPT = """
local depth = {depth}
local format = wrk.format
wrk.format = function(...) return string.rep(format(...), depth) end

function done(summary, latency, rates)
    local e = summary.errors
    io.write(string.format("figures %d %d %d %d %d %d %d %d %d\\n", summary.requests,
        summary.duration, summary.bytes, rates:percentile(50), e.connect, e.read, e.write,
        e.timeout, e.status))
    -- struct stats: count, limit, min, max, then one counter per microsecond
    local stats = require("ffi").cast("uint64_t **", latency)[0]
    if tonumber(stats[2]) ~= latency.min or tonumber(stats[3]) ~= latency.max then
        return
    end
    for us = latency.min, latency.max do
        local count = tonumber(stats[4 + us])
        if count > 0 then io.write(string.format("latency %d %d\\n", us, count)) end
    end
end
"""

ERROR_NAMES = ("connect", "read", "write", "timeout", "status")


class WrkError(Exception):
    """wrk's output is not what its script prints."""


@dataclass
class Figures:
    """One run of wrk. Latencies are in microseconds, each from the write of a request (or of a
    pipelined batch) to its last answer."""

    requests: int
    duration_us: int
    bytes: int
    steady_per_second: int  # the median of the rates of each tenth of a second
    errors: dict[str, int]
    latency: dict[int, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Answers per second over the run."""
        return self.requests * 1e6 / self.duration_us


def script(depth: int) -> str:
    """The Lua script for runs with this many requests in flight per connection."""
    return SCRIPT.replace("{depth}", str(depth))


def command(url: str, script_path: str, connections: int, seconds: int) -> list[str]:
    """A run with one thread: the load has one CPU."""
    return [
        "wrk", "--threads", "1", "--connections", str(connections),
        "--duration", str(seconds), "--script", script_path, url,
    ]  # fmt: skip


def uncorrected(latency: Mapping[int, int], interval: int) -> dict[int, int]:
    """Takes wrk's invented observations out of its histogram.

    For each observation at n >= 2 * interval wrk added one at n - interval, n - 2 * interval, ...
    down to, but not including, interval. So above interval each counter holds its own observations
    plus all the counter one interval further up holds, which is then subtracted.
    """
    result = {}
    for us, count in latency.items():
        real = count - latency.get(us + interval, 0) if us > interval else count
        if real < 0:
            raise WrkError(f"{count} observations at {us} us are fewer than wrk's correction added")
        if real > 0:
            result[us] = real
    return result


def parse(output: str, connections: int, depth: int) -> Figures:
    """Reads what the script printed, and checks that the histogram accounts for the requests."""
    figures = None
    latency: dict[int, int] = {}
    for line in output.splitlines():
        words = line.split()
        if words[:1] == ["figures"] and len(words) == 10:
            numbers = [int(word) for word in words[1:]]
            figures = Figures(*numbers[:4], dict(zip(ERROR_NAMES, numbers[4:])))
        elif words[:1] == ["latency"] and len(words) == 3:
            latency[int(words[1])] = int(words[2])
    if figures is None:
        raise WrkError("wrk printed no figures")
    per_connection = figures.requests // connections
    if per_connection > 0:
        latency = uncorrected(latency, figures.duration_us // per_connection)
    recorded = sum(latency.values()) * depth
    if not figures.requests - connections * depth <= recorded <= figures.requests:
        raise WrkError(f"wrk's histogram holds {recorded} of {figures.requests} requests")
    figures.latency = latency
    return figures
