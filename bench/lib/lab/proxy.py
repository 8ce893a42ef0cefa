"""The same requests to a server itself, through nginx and through HAProxy, with and without a limit of connections."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Iterator

from .. import measures, proc
from ..proxies import LABELS, proxy
from ..subject import Server, Variant
from ..table import latency
from . import flow
from .claim import IN_PROGRESS, RUNNING, Claim, Finding, failing, need_answers, untold
from .flow import Flow, Seen
from .picture import Picture, Stack
from .stage import Stage

DIRECT = "no proxy"
LIMIT = 8  # connections of the proxy to the server
CONNECTIONS = 64
SECONDS = 1.5
DELAY_MS = 100
FREE = {
    "light": Flow("/plaintext", 1, SECONDS, warmup=0.3),
    "waiting": Flow(f"/delay/{DELAY_MS}", CONNECTIONS, SECONDS, warmup=0.3),
    "computing": Flow("/crypto?ms=5&where=inline", 8, SECONDS, warmup=0.3),
}
# All clients begin at once with an empty queue. Until each has been answered the waits are shorter than later, and
# their mean says of fewer requests that they wait.
ROUND = CONNECTIONS / LIMIT * DELAY_MS / 1000  # seconds
LIMITED = {"waiting, limited": replace(FREE["waiting"], warmup=1.25 * ROUND)}
ASKED = {**FREE, **LIMITED}
MOST = 0.5  # of the connections: more requests than that are in progress in the server if nothing queues
PARTS = ("in the server", "before it: in the proxy, on the way")
OVER = 1.1  # times a bound that averages of a short time may be
Taken = dict[tuple[str, str], tuple[Seen, dict[str, float]]]


@dataclass(frozen=True)
class Front:
    """What clients ask, and all processes that serve them."""

    server: Server
    front: Server
    cpus: list[int]  # of the load
    name: str = ""  # of the proxy
    limit: int = 0  # of its connections to the server; 0: none

    def measured(self, stage: Stage, asked: Flow) -> tuple[Seen, dict[str, float]]:
        """One flow with the CPU time of all, and L, P and A of the server."""
        pids = dict.fromkeys(pid for one in (self.server, self.front) for pid in proc.family(one.child.pid))
        words = f"{asked.connections} connections ask {asked.path}" + (f" of {self.name}" if self.name else "")
        words += f", which has {self.limit} connections to the server" if self.limit else ""
        window = measures.Window(self.server, asked.warmup, asked.seconds)
        with stage.watch(self.server, words, asked.warmup + asked.seconds), window:
            (seen,) = flow.run([asked], self.front.url, stage.place.build, stage.place.scratch, self.cpus, list(pids))
        return seen, measures.of([window])


@contextlib.contextmanager
def before(stage: Stage, server: Server, name: str, limit: int = 0, logs: bool = False) -> Iterator[Front]:
    """The server with that proxy in front, which has a CPU of the load's, for itself where there are two."""
    *rest, own = stage.load_cpus[server.child]
    if name == DIRECT:
        yield Front(server, server, rest or [own])
        return
    if not rest:
        stage.notes |= {"a proxy and the load share a CPU: use a machine with 3 or more": None}
    subject = proxy(name, server.port, limit, logs)
    with subject.started(stage.place, Variant(name, subject.label, name), [own]) as front:
        yield Front(server, front, rest or [own], LABELS[name], limit)


def take(stage: Stage) -> Finding:
    taken: Taken = {}
    names = [DIRECT] + [name for name in LABELS if not stage.lacks(LABELS[name], proxy(name).refusal())]
    seconds = stage.seconds(SECONDS)
    for name in names:
        with stage.torc() as server:
            for asked, limit in ((FREE, 0), (LIMITED, LIMIT)):
                if limit and name == DIRECT:
                    continue
                with before(stage, server, name, limit) as front:
                    for what, one in asked.items():
                        taken[name, what] = front.measured(stage, one.lasting(seconds))
    return conclude(taken)


def cost(seen: Seen) -> float:
    """Seconds of CPU, of proxy and server together, for each request."""
    return seen.cpus * seen.seconds / max(seen.good + turned_away(seen), 1)


def turned_away(seen: Seen) -> int:
    """nginx answers 502 to what it has no connection for."""
    return seen.refused + seen.failed


def conclude(taken: Taken) -> Finding:
    need_answers({f"{name}, {what}": seen for (name, what), (seen, _) in taken.items() if what in FREE})
    names = [name for name in LABELS if (name, "light") in taken]
    direct = taken[DIRECT, "light"][0]
    told = {f"{LABELS[name]}, {what}": taken[name, what][1] for name in names for what in ASKED if what != "light"}
    unsure = untold(told)
    missed = [f"{LABELS[name]}: {clause}" for name in names for clause in _unexpected(taken, name, direct)]
    theory = (
        f"{CONNECTIONS} clients wait. Only {LIMIT} fit through to the server; the other {CONNECTIONS - LIMIT} wait in "
        "HAProxy, or nginx refuses them, and they ask again at once. Every byte is read and written twice, which "
        f"takes CPU and time. In a closed loop each of {CONNECTIONS} connections has a request in progress, in the "
        "proxy or in the server, which has no more than the proxy has connections to it: in progress L ≤ "
        f"{LIMIT}. A proxy runs none of the server's code: running P ≤ 1 on a core, whatever is in front."
    )
    header = ("", "asked", "requests/s", "turned away/s", "p50", "p99", "CPU/request", IN_PROGRESS, RUNNING)
    rows = [_row(name, what, *one) for (name, what), one in taken.items()]
    samples = {f"{name}, {what}": {**seen.plain(), **also} for (name, what), (seen, also) in taken.items()}
    verdict, brief, shown = _verdict(taken, names), _brief(taken, names), pictures(taken)
    return Finding(not missed, verdict, header, rows, theory, samples, brief, shown, missed=missed, unsure=unsure)


def _limited(taken: Taken, names: list[str]) -> dict[str, tuple[Seen, dict[str, float]]]:
    """What was seen of those whose connections to the server are few, as far as L is known."""
    found = {name: taken[name, "waiting, limited"] for name in names}
    return {name: one for name, one in found.items() if not untold({name: one[1]})}


def _brief(taken: Taken, names: list[str]) -> str:
    bounds = [f"{also['concurrency']:.1f} behind {LABELS[name]}" for name, (_, also) in _limited(taken, names).items()]
    return bool(bounds) * (
        f"{CONNECTIONS} clients wait, and a proxy may have {LIMIT} connections to the server: of their requests it has "
        f"{' and '.join(bounds)} in progress, the others wait in the proxy or are refused there."
    )


def _verdict(taken: Taken, names: list[str]) -> str:
    direct, through = taken[DIRECT, "light"][0].p50, {name: taken[name, "light"][0].p50 for name in names}
    adds = "adds time" if all(one > direct for one in through.values()) else "need not add time"
    times = ", ".join(f"{latency(one)} through {LABELS[name]}" for name, one in through.items())
    limited = _limited(taken, names).items()
    held = "; ".join(_held(LABELS[name], *found, bool(n)) for n, (name, found) in enumerate(limited))
    kept = f" With {LIMIT} connections to the server, {held}." if held else ""
    return f"A proxy {adds}: {times}, {latency(direct)} without.{kept}"


def _held(label: str, seen: Seen, also: dict[str, float], again: bool) -> str:
    """What one lets into the server, and what it does with the others: the numbers of the picture."""
    inside, outside, *_ = layers(seen, also)
    some = f"{label} lets in {inside:.0f}" + ("" if again else f" of {CONNECTIONS}")
    if away := turned_away(seen):
        return f"{some} and refuses {away / seen.seconds:,.0f} each second"
    return f"{some} and queues {outside:.0f}"


def layers(seen: Seen, also: dict[str, float]) -> tuple[float, float, float, float]:
    """Of what clients wait for: the requests in the server and those before it, and the same of a request's time, in
    seconds, by Little's law."""
    all_together = min(seen.in_progress, CONNECTIONS)  # a connection has one at a time; averages may say a little more
    within = min(also["concurrency"], all_together)
    time = min(within / seen.per_second, seen.mean) if seen.good else 0.0
    return within, all_together - within, time, seen.mean - time if seen.good else 0.0


def pictures(taken: Taken) -> list[Picture]:
    """Where the requests that wait are, and where they spend their time."""
    where, when = [], []
    for (name, what), (seen, also) in taken.items():
        if what.startswith("waiting") and not untold({name: also}):
            inside, outside, time, more = layers(seen, also)
            row = LABELS.get(name, name) + (f", {LIMIT} connections" if what in LIMITED else "")
            where.append(Stack(row, [round(inside, 2), round(outside, 2)], f"{inside:.0f} + {outside:.0f}"))
            times = f"{latency(time)} + {latency(more)}" if seen.good else "no good answers"
            when.append(Stack(row, [round(time * 1000, 3), round(more * 1000, 3)], times))
    places = (
        f"Clients have {CONNECTIONS} connections. Requests that wait, on average: in progress L in the server as it "
        "counts them, and what is left of the requests/s × the time of each."
    )
    times = (
        "The mean time of a good answer. In the server: in progress L ÷ requests/s. Before it: the rest, in the proxy "
        "and on the way."
    )
    return bool(where) * [
        Picture("Where the requests are", places, "requests", parts=PARTS, stacks=where),
        Picture("Where their time goes", times, "time, ms", parts=PARTS, stacks=when),
    ]


def _unexpected(taken: Taken, name: str, direct: Seen) -> list[str]:
    """Of what is known."""
    light = taken[name, "light"][0]
    free, bound, computing = (taken[name, what][1] for what in ("waiting", "waiting, limited", "computing"))
    return failing(
        {
            "a request took no more CPU than without it": cost(light) > cost(direct),
            "it did not hand the requests on": free.get("concurrency", CONNECTIONS) >= MOST * CONNECTIONS,
            f"more than {LIMIT} were in the server": bound.get("concurrency", 0) <= OVER * LIMIT,
            "more than one ran at a time on one core": computing.get("parallelism", 0) <= OVER,
        }
    )


def _row(name: str, what: str, seen: Seen, also: dict[str, float]) -> list[str]:
    rates = [f"{seen.per_second:,.0f}", f"{turned_away(seen) / seen.seconds:,.0f}"]
    times = [latency(seen.p50), latency(seen.p99)] if seen.good else ["–", "–"]
    told = [f"{also[key]:.2f}" if key in also else "–" for key in ("concurrency", "parallelism")]
    return [LABELS.get(name, name), what, *rates, *times, latency(cost(seen)), *told]


def _missing() -> str | None:
    why = {name: proxy(name).refusal() for name in LABELS}
    return "; ".join(str(text) for text in why.values()) if all(why.values()) else None


CLAIM = Claim(
    "proxy",
    "A reverse proxy in front",
    f"A proxy in front of the server has {LIMIT} connections to it, and {CONNECTIONS} clients. What does the server "
    f"see?",
    f"{CONNECTIONS} requests at a time: a proxy makes a server faster.",
    (len(LABELS) + 1) * (len(ASKED) * (SECONDS + 0.5) + 2) + len(LABELS) * ROUND,
    take,
    _missing,
    point=r"to the server",
    truth="A proxy makes no request faster. Its connections to the server bound what is in progress there; the rest "
    "waits in the proxy, or is refused.",
)
