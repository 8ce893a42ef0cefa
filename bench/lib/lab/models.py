"""The same waiting requests on threads, on epoll, on io_uring, on Node.js and on a Java server, one core each."""

from dataclasses import dataclass, replace
from typing import Any

from .. import proc
from ..peers import JAVA_THREADS, PEERS
from ..subjects import WARMUP
from ..table import percent
from .claim import HEADS, Claim, Finding, Parameter, failing, measured, threaded
from .flow import Flow, Seen
from .picture import Bar, Picture
from .stage import Stage

THREADS = 200
DELAY_MS = 20
CONNECTIONS = 2000
SECONDS = 4.0
ENOUGH = 0.97  # of a ceiling
FAR = 1.5  # times what a pool of threads can: plainly more, whatever hinders a server
FULL = 0.9  # CPUs from which on a core is full: the rest is what the load leaves it no time for
SETTINGS = ("threads", "epoll", "io_uring")
OTHERS = ("node", "java")  # servers of other people, where they are installed
Taken = dict[str, tuple[Seen, dict[str, float]]]


@dataclass(frozen=True)
class Asked:
    threads: int = THREADS
    delay_ms: int = DELAY_MS
    connections: int = CONNECTIONS

    def pool(self, name: str) -> int | None:
        """The threads that wait with their requests, where a server has such."""
        return {"threads": self.threads, "java": JAVA_THREADS}.get(name)

    def ceiling(self, name: str) -> float:
        """Requests/s."""
        return min(self.pool(name) or self.connections, self.connections) * 1000 / self.delay_ms


CEILINGS = {name: Asked().ceiling(name) for name in (*SETTINGS, *OTHERS)}


def take(stage: Stage) -> Finding:
    asked = Asked(**stage.given)
    flow = Flow(f"/delay/{asked.delay_ms}", asked.connections, stage.seconds(SECONDS), warmup=1.0)
    stage.need("threads")
    taken: Taken = {}
    for name in SETTINGS:
        args = ("--threads", str(asked.threads)) if name == "threads" else ()
        if stage.can(name):
            with stage.torc(*args, "--max-requests", "65536", engine=name) as server:
                taken[name] = stage.measured(server, flow)
    for name in OTHERS:
        if stage.can(name):
            with stage.peer(name) as server:
                (seen,) = stage.ask(server, replace(flow, warmup=WARMUP[name]))
                taken[name] = seen, bounds(seen, proc.threads(proc.family(server.child.pid)), asked)
    return conclude(taken, asked)


def bounds(seen: Seen, threads: int, asked: Asked = Asked()) -> dict[str, float]:
    """What can be told of a process from without. By Little's law requests/s × delay wait at once, and those that
    are in progress are more; of those that wait, a process can give no more than it has a thread each. Its CPU
    time has the code of requests in it, and all else that it runs."""
    waiting = seen.per_second * asked.delay_ms / 1000
    apart = max(1 - threads / waiting, 0.0) if waiting else 0.0
    return {"threads": threads, "waiting": waiting, "parallelism_most": seen.cpus, "waiting_apart": apart}


def reached(name: str, seen: Seen, asked: Asked) -> bool:
    """Its ceiling, or all that a core can do."""
    return seen.per_second >= ENOUGH * asked.ceiling(name) or seen.cpus >= FULL


def conclude(taken: Taken, asked: Asked = Asked()) -> Finding:
    """Two statements. The claim is of models: a pool of threads stays at threads ÷ delay, and one thread that serves
    others passes it. Whether a server reaches all that arithmetic allows is said beside it, of that server."""
    threads = taken["threads"][0]
    others = {name: taken[name][0] for name in SETTINGS if name in taken and name != "threads"}
    most = asked.ceiling("threads")
    hindered = not reached("threads", threads, asked)
    bar = most if hindered else threads.per_second  # all that the pool can do
    more = all(seen.per_second > bar for seen in others.values())
    pools = [name for name in taken if asked.pool(name)]
    short = {name: seen for name, (seen, _) in taken.items() if not reached(name, seen, asked)}
    near = [_share(name, short[name], asked) for name in others if name in short and short[name].per_second < FAR * bar]
    missed = failing(
        {
            "one thread that serves others served no more than a pool of threads can": more,
            f"{', '.join(near)} stayed below what arithmetic allows, and near what a pool of threads can": not near,
            "a pool of threads served more than arithmetic allows": all(
                taken[name][0].per_second * ENOUGH <= asked.ceiling(name) for name in pools
            ),
            "Node.js had a thread for each request that waits": "node" not in taken
            or taken["node"][1]["waiting_apart"] > 0,
        }
    )
    parts = [
        f"{name} serves {seen.per_second:,.0f} requests/s on {seen.cpus:.2f} CPUs" for name, seen in others.items()
    ]
    verdict = (
        f"Each request only waits {asked.delay_ms} ms. {asked.threads} threads serve {threads.per_second:,.0f} "
        f"requests/s, {percent(threads.per_second / most)} of the most that they can, on {threads.cpus:.2f} CPUs; one "
        f"thread that serves others while a request waits serves {_than(others, bar, hindered)}: "
        f"{', '.join(parts)}."
    )
    verdict += "".join(_other(name, *taken[name], asked) for name in OTHERS if name in taken) + _below(short, asked)
    theory = (
        f"{asked.threads} threads ÷ {asked.delay_ms} ms = {asked.threads * 1000 / asked.delay_ms:,.0f} requests/s, "
        f"however many connections there are; {asked.connections:,} connections ÷ {asked.delay_ms} ms = "
        f"{asked.ceiling('epoll'):,.0f} where none holds a thread, until the core is full. epoll and io_uring are the "
        "two ways in which Linux tells a thread which requests are ready. A is 0 where a request holds its thread, "
        "and near 1 where it does not. Node.js and Java do not tell L, P and A, so they are estimated here (≥, ≤)."
    )
    header = ("", "requests/s", "of ceiling", "p50", "p99", "CPUs", *HEADS)
    rows = [_row(name, asked.ceiling(name), *found) for name, found in taken.items()]
    best = max(others.values(), key=lambda seen: seen.per_second, default=threads)
    brief = (
        f"{asked.threads} threads serve {threads.per_second:,.0f} requests/s that wait {asked.delay_ms} ms each; one "
        f"thread that serves others meanwhile, {best.per_second:,.0f}."
    )
    samples = {name: {**one.plain(), **by} for name, (one, by) in taken.items()}
    beside = [
        threaded(name, [seen], asked.threads) if name == "threads" else measured(name, [seen])
        for name, (seen, _) in taken.items()
    ]
    pictures = [_picture(taken, asked)]
    return Finding(not missed, verdict, header, rows, theory, samples, brief, pictures, beside, missed)


def _than(others: dict[str, Seen], bar: float, hindered: bool) -> str:
    """How much they serve beside a pool, or beside what it could if it was hindered."""
    least = min((seen.per_second for seen in others.values()), default=0.0)
    if least <= bar:
        return "no more" + " than they could" * hindered
    times = int(least / bar) if bar else 1  # at least
    return f"over {times} times {'the most that they can' if hindered else 'as many'}" if times > 1 else "more"


def _share(name: str, seen: Seen, asked: Asked) -> str:
    return f"{_label(name)} ({100 * seen.per_second / asked.ceiling(name):.1f} %)"


def _below(short: dict[str, Seen], asked: Asked) -> str:
    """Of servers that have time left and yet do not serve all that they could."""
    if not short:
        return ""
    who = ", ".join(_share(name, seen, asked) for name, seen in short.items())
    return (
        f" Beside that: below {percent(ENOUGH)} of the most that arithmetic allows, although the core has time left: "
        f"{who}. Something else limits {'it' if len(short) == 1 else 'them'}, such as the program that asks, or others "
        "on this machine."
    )


def _label(name: str) -> str:
    return PEERS[name].label if name in PEERS else name


def _picture(taken: Taken, asked: Asked) -> Picture:
    bars = [
        Bar(_label(name), seen.per_second, f"{seen.per_second:,.0f} of {asked.ceiling(name):,.0f}", asked.ceiling(name))
        for name, (seen, _) in taken.items()
    ]
    caption = (
        f"Bar: what was served. Mark: the most that arithmetic allows, threads ÷ {asked.delay_ms} ms or connections "
        f"÷ {asked.delay_ms} ms."
    )
    return Picture("Requests that one core serves each second", caption, "requests/s", bars)


def _other(name: str, seen: Seen, also: dict[str, Any], asked: Asked) -> str:
    text = f" {PEERS[name].label} serves {seen.per_second:,.0f} requests/s on {seen.cpus:.2f} CPUs"
    if pool := asked.pool(name):
        few = f"{pool} threads" if pool <= asked.connections else f"{asked.connections} connections"
        return f"{text}, {percent(seen.per_second / asked.ceiling(name))} of the most that its {few} can."
    return f"{text}: {also['waiting']:,.0f} wait at once, and it has {also['threads']:.0f} threads."


def _row(name: str, ceiling: float, seen: Seen, also: dict[str, Any]) -> list[str]:
    figures = [f"{seen.per_second:,.0f}", percent(seen.per_second / ceiling)]
    times = [seen.time(seen.p50), seen.time(seen.p99), f"{seen.cpus:.2f}"]
    keys = (("concurrency", ",.0f"), ("parallelism", ".2f"), ("asynchrony", ".3f"))
    told = [f"{also[key]:{form}}" if key in also else "–" for key, form in keys]
    if name in OTHERS:
        told = [f"≥ {also['waiting']:,.0f}", f"≤ {also['parallelism_most']:.2f}", f"≥ {also['waiting_apart']:.3f}"]
    return [_label(name), *figures, *times, *told]


CLAIM = Claim(
    "models",
    "The server decides",
    f"How many requests that wait {DELAY_MS} ms can one core serve each second?",
    "As many as it has threads to wait with.",
    len(SETTINGS) * (SECONDS + 2) + sum(SECONDS + 1 + WARMUP[name] for name in OTHERS),
    take,
    parameters=(
        Parameter("connections", "connections", CONNECTIONS, 1, 5000),
        Parameter("delay_ms", "ms that each request waits", DELAY_MS, 1, 1000),
        Parameter("threads", "threads of the server with threads", THREADS, 1, 1000),
    ),
    on_engine=False,
    template="How many requests that wait {delay_ms} ms can one core serve each second?",
    point=r"^threads",
    truth="A request that waits gives its thread to the others; the kernel tells which are ready. So one thread serves "
    "many requests that wait, and a pool of threads no more than threads ÷ delay.",
)
