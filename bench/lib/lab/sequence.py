"""Eight waits of a handler, one after another and together: queries, HTTP calls, file reads."""

import contextlib

from ..table import latency
from .claim import Claim, Finding, measured
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage, backends_missing

COUNT = 8  # waits of a request
WAIT_MS = 20
CONNECTIONS = 4  # of a core to the database
SECONDS = 2.0
PATHS = {  # what is waited for -> its path, the least ms of COUNT waits in sequence, and together
    "HTTP calls": (f"/fetch?n={COUNT}&path=/delay/{WAIT_MS}", COUNT * WAIT_MS, WAIT_MS),
    "database queries": (f"/db?n={COUNT}&ms={WAIT_MS}", COUNT * WAIT_MS, COUNT * WAIT_MS // CONNECTIONS),
    "file reads": (f"/file?n={COUNT}", 0, 0),
}
MODES = {"one after another": "seq", "together": "all"}
LESS = 0.6  # of the time in sequence, at most, that waits together take
Taken = dict[tuple[str, str], Seen]


def take(stage: Stage) -> Finding:
    taken: Taken = {}
    seconds = stage.seconds(SECONDS)
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(stage.backends())
        upstream = stack.enter_context(stage.torc())
        server = stack.enter_context(stage.torc("--upstream", upstream.url, "--pg", given["pg"]))
        for what, (path, *_) in PATHS.items():
            for name, mode in MODES.items():
                asked = Flow(f"{path}&mode={mode}", connections=1, seconds=seconds)
                (taken[what, name],) = stage.ask(server, asked)
    return conclude(taken)


def waits(what: str) -> bool:
    """Whether each of the waits has a length of its own, which files in memory have not."""
    return PATHS[what][1] > 0


def conclude(taken: Taken) -> Finding:
    seq, together = MODES
    pairs = {what: (taken[what, seq], taken[what, together]) for what in PATHS}
    said = [
        f"{COUNT} {what} of {WAIT_MS} ms take {latency(one.p50)} {seq} and {latency(other.p50)} {together}"
        for what, (one, other) in pairs.items()
        if waits(what)
    ]
    one, other = pairs["file reads"]
    said.append(f"{COUNT} reads of a file in memory, which do not wait, {latency(one.p50)} and {latency(other.p50)}")
    holds = all(other.p50 <= LESS * one.p50 for what, (one, other) in pairs.items() if waits(what))
    theory = (
        f"In sequence waits add up: {COUNT} × {WAIT_MS} ms = {COUNT * WAIT_MS} ms at least. Together they take "
        f"as long as the longest, {WAIT_MS} ms, or with {CONNECTIONS} connections to a database {COUNT} ÷ "
        f"{CONNECTIONS} × {WAIT_MS} ms = {COUNT * WAIT_MS // CONNECTIONS} ms."
    )
    header = (f"{COUNT} of", f"p50 {seq}", f"p50 {together}", "÷")
    rows = [
        [what, latency(one.p50), latency(other.p50), f"{one.p50 / other.p50:.1f}"]
        for what, (one, other) in pairs.items()
    ]
    samples = {f"{what} {MODES[name]}": seen.plain() for (what, name), seen in taken.items()}
    queries, together_queries = pairs["database queries"]
    brief = (
        f"{COUNT} database queries of {WAIT_MS} ms take {latency(queries.p50)} when each is awaited before the next, "
        f"and {latency(together_queries.p50)} together."
    )
    beside = [measured(f"{what}, {name}", [seen]) for (what, name), seen in taken.items()]
    return Finding(holds, "; ".join(said) + ".", header, rows, theory, samples, brief, [_picture(taken)], beside)


def _picture(taken: Taken) -> Picture:
    bars = []
    for (what, name), seen in taken.items():
        _, least, together = PATHS[what]
        limit = (least if MODES[name] == "seq" else together) if waits(what) else None
        bars.append(Bar(f"{what}, {name}", seen.p50 * 1000, latency(seen.p50), limit))
    caption = "Bar: the time of a request, p50. Mark: the least that it can take, the sum of its waits or the longest."
    return Picture(f"How long a request takes that waits for {COUNT} answers", caption, "ms", bars)


CLAIM = Claim(
    "sequence",
    "Awaiting in a loop is sequential",
    f"A handler that never blocks its thread needs {COUNT} answers of {WAIT_MS} ms. How long does it take?",
    f"{WAIT_MS} ms, for it is asynchronous.",
    len(PATHS) * len(MODES) * (SECONDS + 1) + 3,
    take,
    backends_missing,
)
