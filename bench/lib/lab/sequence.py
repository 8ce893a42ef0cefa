"""Eight waits of a handler, one after another and together: queries, HTTP calls, file reads."""

import contextlib
from dataclasses import dataclass

from ..table import latency, percent
from .claim import Claim, Finding, Parameter, failing, measured, need_answers
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage, backends_missing

COUNT = 8  # waits of a request
WAIT_MS = 20
CONNECTIONS = 4  # of a core to the database
SECONDS = 2.0
MODES = {"one after another": "seq", "together": "all"}
LESS = 0.6  # of the time in sequence, at most, that waits together take
Taken = dict[tuple[str, str], Seen]


@dataclass(frozen=True)
class Asked:
    count: int = COUNT
    wait_ms: int = WAIT_MS

    @property
    def together(self) -> int:
        """The least ms of queries together: so many at a time as there are connections."""
        return -(-self.count // CONNECTIONS) * self.wait_ms

    @property
    def paths(self) -> dict[str, tuple[str, int, int]]:
        """What is waited for -> its path, the least ms of the waits in sequence, and together."""
        n, ms = self.count, self.wait_ms
        return {
            "HTTP calls": (f"/fetch?n={n}&path=/delay/{ms}", n * ms, ms),
            "database queries": (f"/db?n={n}&ms={ms}", n * ms, self.together),
            "file reads": (f"/file?n={n}", 0, 0),
        }


PATHS = Asked().paths


def take(stage: Stage) -> Finding:
    asked = Asked(**stage.given)
    taken: Taken = {}
    seconds = stage.seconds(SECONDS)
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(stage.backends())
        upstream = stack.enter_context(stage.torc())
        server = stack.enter_context(stage.torc("--upstream", upstream.url, "--pg", given["pg"]))
        for what, (path, *_) in asked.paths.items():
            for name, mode in MODES.items():
                flow = Flow(f"{path}&mode={mode}", connections=1, seconds=seconds)
                (taken[what, name],) = stage.ask(server, flow)
    return conclude(taken, asked)


def waits(what: str) -> bool:
    """Whether each of the waits has a length of its own, which files in memory have not."""
    return PATHS[what][1] > 0


def conclude(taken: Taken, asked: Asked = Asked()) -> Finding:
    need_answers({", ".join(key): seen for key, seen in taken.items()})
    count, wait_ms = asked.count, asked.wait_ms
    seq, together = MODES
    pairs = {what: (taken[what, seq], taken[what, together]) for what in PATHS}
    said = [
        f"{count} {what} of {wait_ms} ms take {latency(one.p50)} {seq} and {latency(other.p50)} {together}"
        for what, (one, other) in pairs.items()
        if waits(what)
    ]
    one, other = pairs["file reads"]
    said.append(f"{count} reads of a file in memory, which do not wait, {latency(one.p50)} and {latency(other.p50)}")
    missed = failing(
        {
            f"{what} together took more than {percent(LESS)} of their time {seq}": other.p50 <= LESS * one.p50
            for what, (one, other) in pairs.items()
            if waits(what)
        }
    )
    theory = (
        f"A loop that awaits each answer asks for the next one after it, so waits add up: {count} × {wait_ms} ms = "
        f"{count * wait_ms} ms at least. Together they take as long as the longest, {wait_ms} ms, or with "
        f"{CONNECTIONS} connections to a database {count} ÷ {CONNECTIONS} × {wait_ms} ms, rounded up to whole rounds, "
        f"{asked.together} ms."
    )
    header = (f"{count} of", f"p50 {seq}", f"p50 {together}", "times faster")
    rows = [
        [what, latency(one.p50), latency(other.p50), f"{one.p50 / other.p50:.1f}"]
        for what, (one, other) in pairs.items()
    ]
    samples = {f"{what} {MODES[name]}": seen.plain() for (what, name), seen in taken.items()}
    queries, together_queries = pairs["database queries"]
    brief = (
        f"{count} database queries of {wait_ms} ms take {latency(queries.p50)} when each is awaited before the next, "
        f"and {latency(together_queries.p50)} together."
    )
    beside = [measured(f"{what}, {name}", [seen]) for (what, name), seen in taken.items()]
    verdict, pictures = "; ".join(said) + ".", [_picture(taken, asked)]
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed)


def _picture(taken: Taken, asked: Asked) -> Picture:
    bars = []
    for (what, name), seen in taken.items():
        _, least, together = asked.paths[what]
        limit = (least if MODES[name] == "seq" else together) if waits(what) else None
        bars.append(Bar(f"{what}, {name}", seen.p50 * 1000, latency(seen.p50), limit))
    caption = "Bar: the time of a request, p50. Mark: the least that it can take, the sum of its waits or the longest."
    return Picture(f"How long a request takes that waits for {asked.count} answers", caption, "ms", bars)


CLAIM = Claim(
    "sequence",
    "Awaiting in a loop is sequential",
    f"A handler that never blocks its thread needs {COUNT} answers of {WAIT_MS} ms. How long does it take?",
    f"{WAIT_MS} ms, for it is asynchronous.",
    len(PATHS) * len(MODES) * (SECONDS + 1) + 3,
    take,
    backends_missing,
    parameters=(
        Parameter("count", "answers that the handler needs", COUNT, 2, 20),
        Parameter("wait_ms", "ms that each answer takes", WAIT_MS, 5, 50),
    ),
    template="A handler that never blocks its thread needs {count} answers of {wait_ms} ms. How long does it take?",
    point=r"/fetch.*mode=seq",
    truth="A loop that awaits each answer sends the next request after it: waits add up, though no thread is blocked. "
    "Requests that are sent together wait together.",
)
