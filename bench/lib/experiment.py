"""What the measuring subcommands share: their options, one experiment object, figures and tables."""

import argparse
import collections
import dataclasses
from typing import Any, Callable, Iterable, Mapping, Sequence

from . import env, features, measure, options, progress, results, stats, table, workloads
from .record import Beside
from .results import Cell
from .session import Session
from .subject import SubjectError, Variant
from .subjects import ENGINES, WARMUP
from .words import COST
from .workloads import Workload

US = 1 / 1000  # of nanoseconds
MOST_CORES, MOST_CONNECTIONS = 4096, 1_000_000
QUICK_PAIRS = 6  # fewer leave intervals too wide for the small differences that are looked for
Take = Callable[[Session], None]
Rows = Callable[[results.Run], Sequence[Sequence[str]]]
Figure = dict[str, Any]  # a median with the bounds of its 95 % interval


def numbers(least: int, most: int) -> Callable[[str], list[int]]:
    """A parser of lists such as 64,128,256 or 32..1024 (doubling), ascending and each once."""

    def parse(text: str) -> list[int]:
        found = set()
        for word in text.split(","):
            first, dots, last = word.partition("..")
            ends = (first, last if dots else first)
            if not all(e.isdecimal() and least <= int(e) <= most for e in ends) or int(ends[0]) > int(ends[1]):
                wanted = f"numbers from {least} to {most} such as 64,128 or 32..1024 (doubling)"
                raise argparse.ArgumentTypeError(f"takes {wanted}, not {text!r}")
            number = int(first)
            while number <= int(ends[1]):
                found.add(number)
                number *= 2
        return sorted(found)

    return parse


def names(known: Sequence[str], several: bool = False) -> Callable[[str], Any]:
    """A parser of one of the known names, or of several, each once."""

    def parse(text: str) -> str | list[str]:
        chosen = list(dict.fromkeys(text.split(","))) if several else [text]
        for wrong in [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(
                f"takes {'names' if several else 'one'} of {', '.join(known)}, not {wrong!r}"
            )
        return chosen if several else text

    return parse


def add_options(parser: argparse.ArgumentParser, lists: Sequence[str] = ()) -> None:
    """The options of every session; --cores, --connections and --engines may be among the lists."""

    def add(name: str, kind: Any, metavar: str, text: str, **more: Any) -> None:
        parser.add_argument(name, type=kind, metavar=metavar, help=text, **more)

    options.add_options(parser, skip=("--command", *lists))  # torc alone is measured
    parser.set_defaults(commands=[])
    suited = [name for name in workloads.WORKLOADS if name not in ("idle", "latency")]  # have a cost per request
    add("--workload", names(suited), "NAME", f"the workload, of {', '.join(suited)} (plaintext)", default="plaintext")
    # A session reads one core count and one number of connections; the lists are called otherwise.
    if "--cores" in lists:
        text = "core counts of the server, as in 1,2,4"
        add("--cores", numbers(1, MOST_CORES), "LIST", text, dest="core_counts")
        parser.set_defaults(cores=1)
    if "--connections" in lists:
        text = "numbers of connections, as in 64,256 or 16..1024 (doubling)"
        add("--connections", numbers(1, MOST_CONNECTIONS), "LIST", text, dest="connection_counts")
        parser.set_defaults(connections=None)
    if "--engines" in lists:
        kind = names(list(ENGINES), several=True)
        add("--engines", kind, "LIST", "engines (io_uring,epoll)", default=["io_uring", "epoll"])


class Experiment:
    """One workload of a session, measured in cells of interleaved rounds."""

    def __init__(
        self, session: Any, asked: Workload, pairs: int | None = None, variants: Sequence[Variant] = ()
    ) -> None:
        self.session, self.run, self.asked, self.variants = session, session.run, asked, variants
        self.pairs = pairs or session.options.pairs or max(session.pairs(asked), QUICK_PAIRS)
        self.seconds = session.seconds(asked)

    def on(self, connections: int) -> "Experiment":
        return Experiment(self.session, dataclasses.replace(self.asked, connections=connections), self.pairs)

    def noise(self, variant: Variant) -> None:
        self.session.noise(self.asked, variant, self.pairs, self.seconds)

    def cell(self, id: str, variants: Sequence[Variant], factors: Mapping[str, Any], **more: Any) -> Cell:
        """A cell, as the session takes it; its ratios are of cost alone unless more says otherwise."""
        more = {"metrics": (COST,), **more}
        return self.session.cell(id, self.asked, variants, self.pairs, self.seconds, factors, **more)

    def sample_seconds(self) -> float:
        """How long a sample takes on average, with the longer warm-up that some variants need."""
        warmups = [max(WARMUP.get(one.subject, 0.0) - self.asked.warmup, 0.0) for one in self.variants]
        return measure.expected_seconds(self.asked, self.seconds) + sum(warmups) / max(len(warmups), 1)


def expect(label: str, *parts: tuple[Experiment, Sequence[tuple[str, int]]]) -> None:
    """Announces how many samples are left, and about how long they take; a part is an experiment
    with its cells by name and number of samples."""
    samples, left, wall = 0, 0, 0.0
    for experiment, cells in parts:
        more = sum(experiment.run.left(*cell) for cell in cells)
        samples, left = samples + sum(count for _, count in cells), left + more
        wall += more * experiment.sample_seconds()
    parts[0][0].session.expect(left)
    print(f"{label} {progress.plan(left, samples, wall)}", flush=True)


def run(
    title: str,
    options: argparse.Namespace,
    take: Take,
    header: Sequence[str],
    rows: Rows,
    beside: Beside | None = None,
) -> int:
    """A subcommand: takes the measurements in a session, then prints their table and conclusions."""
    try:
        with Session(options.kind, options, title, beside) as session:
            take(session)
            session.progress.clear()
            if found := rows(session.run):
                print("\n" + table.table(header, found))
            print("\n" + "\n".join(session.run.conclusions) + "\n")
            return session.finish()
    except features.FeatureError as error:
        raise SubjectError(f"io_uring: {error}") from error


def shares_cpus(affinity: Sequence[int], cores: int) -> bool:
    """Whether a server of that many cores leaves the load generator no CPU of its own."""
    server, load, *_ = env.divide_cpus(affinity, cores)
    return bool(set(server) & set(load)) or not load


def bounds(found: Any, scale: float = 1.0) -> Figure:
    """A median and its interval as a result file has them."""
    return {"median": found.median * scale, "low": found.low * scale, "high": found.high * scale}


def figure(values: Iterable[float], scale: float = 1.0) -> Figure | None:
    """The median of values with its interval; None without values."""
    known = list(values)
    return bounds(stats.bootstrap_median(known), scale) if known else None


def metric(cell: Cell, name: str, what: str, scale: float = 1.0) -> Figure | None:
    return figure(results.by_round(cell, name, what).values(), scale)


def paired(cell: Cell | None, one: str, other: str) -> Figure | None:
    """The cost of one variant over another as a figure."""
    found = results.ratio(cell, one, other) if cell else None
    return {**bounds(found), "pairs": found.pairs} if found else None


def place(cell: Cell, variant: Mapping[str, Any]) -> dict[str, Any]:
    """What every kind keeps of a variant in a cell."""
    name = variant["name"]
    return {
        "cell": cell.id,
        "engine": variant["subject"],
        "variant": name,
        "cores": variant["cores"],
        "samples": len(cell.valid(name)),
        "cost_us": metric(cell, name, COST, US),
        "per_second": metric(cell, name, "per_second"),
    }


def saturated(cell: Cell, name: str) -> str | None:
    """Who was saturated in most of a variant's samples."""
    seen = collections.Counter(sample.saturated for sample in cell.valid(name))
    return seen.most_common(1)[0][0] if seen else None


def shown(found: Figure | None, form: str = ",.0f") -> str:
    return format(found["median"], form) if found else "–"


def shown_ratio(found: Figure | None) -> str:
    """A ratio and its interval in a table: 0.951 (0.940–0.962)."""
    return f"{found['median']:.3f} ({found['low']:.3f}–{found['high']:.3f})" if found else "–"
