"""Compares servers with each other: an A/A run, then interleaved rounds of every workload."""

import argparse
import dataclasses
import itertools
import shlex
from typing import Any, Callable, Sequence

from . import experiment, remarks, results, table
from .experiment import Experiment
from .options import add_options as add_common
from .options import workload_names
from .results import Cell
from .session import Session
from .subject import SubjectError, Variant
from .subjects import ENGINES, FLOORS, expand
from .words import CEILING_SHARE, COST, WITH_LOAD, noise_band, say
from .workloads import LOAD_PERCENTS, WORKLOADS, Workload

SUMMARY = "compare servers: io_uring, epoll, their floors, others, or your own"
DEFAULT = ("io_uring", "epoll", "floor")
CAPACITY_SECONDS, CAPACITY_ROUNDS = 0.5, 3  # of whose median the open loops' rates are shares
OWN_FLOOR = ({"io_uring", "floor-uring"}, {"epoll", "floor-epoll"}, {"threads", "floor-threads"})
COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    COST: ("CPU µs/request", table.cost),
    WITH_LOAD: ("with load µs", table.cost),
    "per_second": ("requests/s", table.thousands),
    CEILING_SHARE: ("of the ceiling", table.percent),
    "idle_share": ("core idle", table.percent),
    **{f"latency_us.{p}": (p, table.microseconds) for p in ("p50", "p90", "p99", "p99.9")},
    "syscalls_per_request": ("syscalls", "{:.2f}".format),
    "completions_per_wait": ("completions/wait", "{:.1f}".format),
    "concurrency": ("L", "{:.1f}".format),
    "parallelism": ("P", "{:.2f}".format),
    "asynchrony": ("A", "{:.3f}".format),
    "peak_rss_kb": ("peak MB", lambda kb: f"{kb / 1024:.0f}"),
}
CEILING = (CEILING_SHARE, "idle_share")  # columns of a cell that has one
MEMORY = {
    "memory.user_bytes": ("user (Pss)", table.thousands),
    "memory.kernel_bytes": ("kernel, both ends", table.thousands),
    "memory.slab_bytes": ("slab", table.thousands),
    "memory.tcp_bytes": ("TCP buffers", table.thousands),
    "memory.available_bytes": ("less available", table.thousands),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    text = (
        "io_uring, epoll, threads, floor (or floor-uring, floor-epoll, floor-threads), "
        "nginx, h2o, lighttpd, node, java, or the "
        "NAME of a --command; torc may have options of its own, as in 'io_uring --depth 64' "
        f"({' '.join(DEFAULT)})"
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", default=list(DEFAULT), help=text)
    text = f"workloads to run, of {', '.join(WORKLOADS)}, or all (all; the main ones with --quick)"
    parser.add_argument("--workloads", type=workload_names, metavar="LIST", default=list(WORKLOADS), help=text)
    add_common(parser)


def variants(words: Sequence[str], session: Session) -> list[Variant]:
    found: list[Variant] = []
    try:
        named = [" ".join(shlex.split(word)) for word in words]
    except ValueError as error:
        raise SubjectError(f"compare: takes words as a shell does: {error}") from error
    if twice := next((word for word in named if named.count(word) > 1), None):
        raise SubjectError(f"compare: {twice} is named twice: name it once; every comparison starts with an A/A run")
    first = [word.partition(" ")[0] for word in named]
    if idle := next((c.name for c in session.options.commands if c.name not in first), None):
        raise SubjectError(f"--command: {idle} is not among the subjects: name it there too")
    for name in expand(words):
        subject, *args = shlex.split(name) or [""]
        known = session.subjects.get(subject)
        if known is None:
            names = ", ".join(session.subjects)
            raise SubjectError(f"compare: takes subjects of {names}, floor or the name of a --command, not {subject!r}")
        if args and not known.takes_args:
            raise SubjectError(f"compare: {subject} takes no options of its own: {name!r}")
        label = " ".join([known.label, *args])
        found.append(Variant(name, label, subject, tuple(args), session.options.cores))
    session.refuse_missing(found)
    return found


def chosen(options: argparse.Namespace) -> list[Workload]:
    main_only = options.quick and options.workloads == list(WORKLOADS)
    return [WORKLOADS[name] for name in options.workloads if WORKLOADS[name].main or not main_only]


class Comparison:
    """The plan of a comparison, an experiment for each workload, and its steps."""

    def __init__(self, session: Session) -> None:
        """Leaves out commands of the user's that do not run, refuses where too few subjects are
        left, and compares all answers before anything is timed."""
        self.session, named = session, variants(session.options.subjects, session)
        fewest = min(2, len(named))
        failed = {one: why for one in named if (why := session.fails(one))}
        self.variants = [one for one in named if one not in failed]
        if len(self.variants) < fewest:
            reasons = "; ".join(f"{one.label}: {why}" for one, why in failed.items())
            raise SubjectError(f"compare: too few subjects are left: {reasons}")
        for one, why in failed.items():
            session.note(f"{one.label} is left out: {why}")
        self.plan: list[Experiment] = []
        for workload in chosen(session.options):
            able = session.able(workload, self.variants)
            if len(able) >= fewest:
                workload = session.sized(workload)
                able = session.check_answers(workload, able)
            if len(able) >= fewest:
                self.plan.append(Experiment(session, workload, session.pairs(workload), able))
            else:
                who = f"only {able[0].label}" if able else "none of the subjects"
                session.note(f"{workload.name}: left out: {who} can serve it")
        if not self.plan:
            raise SubjectError("compare: --workloads: no two of the subjects can serve any of them")

    def announce(self) -> None:
        """Tells how many samples are to come, and about how long they take."""
        first = self.plan[0]
        noise = Experiment(self.session, first.asked, first.pairs, first.variants[:1])
        parts = [(noise, [("noise", 2 * first.pairs)])]
        for one in self.plan:
            able, cells = len(one.variants), [(one.asked.name, one.pairs * len(one.variants))]
            if one.asked.name == "latency":
                cells = [(f"latency-{percent}", one.pairs * able) for percent in LOAD_PERCENTS]
                cells.append(("latency-capacity", CAPACITY_ROUNDS * able))
            parts.append((one, cells))
        names, count = ", ".join(variant.label for variant in self.variants), len(self.plan)
        experiment.expect(f"{names}: {count} workload{'s' if count > 1 else ''},", *parts)

    def measure(self) -> None:
        self.plan[0].noise(self.plan[0].variants[0])
        for one in self.plan:
            if one.asked.name == "latency":
                self._latency(one)
            else:
                self._cell(one.asked.name, one, {})

    def _cell(self, name: str, one: Experiment, factors: dict[str, Any]) -> None:
        cell = one.cell(name, one.variants, factors, metrics=(), count_syscalls=True)
        self.session.progress.clear()
        print("\n" + describe(cell), flush=True)

    def _latency(self, one: Experiment) -> None:
        """Open loops at shares of what the slowest of the subjects can do in a closed loop."""
        rounds = (CAPACITY_ROUNDS, CAPACITY_SECONDS)
        capacity = self.session.cell("latency-capacity", one.asked, one.variants, *rounds, {"purpose": "capacity"})
        known = [(rate, name) for name in capacity.names if (rate := capacity.median(name, "per_second"))]
        if not known:
            self.session.note("latency: left out: the capacity of no subject could be measured")
            return
        most, slowest = min(known, key=lambda one: one[0])
        for percent in LOAD_PERCENTS:
            rate = float(round(most * percent / 100))
            at = f"{rate:,.0f} requests/s, {percent} % of the capacity of {capacity.label(slowest)}"
            asked = dataclasses.replace(one.asked, title=f"{one.asked.title} at {at}", rate=rate)
            factors = {"load_percent": percent, "rate": rate, "slowest": slowest}
            self._cell(f"latency-{percent}", Experiment(self.session, asked, one.pairs, one.variants), factors)


def interesting(cell: Cell) -> list[tuple[str, str]]:
    """The pairs to speak of: engines among each other, with their own floor, and with others."""
    of = {variant["name"]: variant["subject"] for variant in cell.variants}
    pairs = [(pair, {of[name] for name in pair}) for pair in itertools.combinations(of, 2)]
    if not set(of.values()) & set(ENGINES):
        return [pair for pair, _ in pairs]
    of_engines = [(pair, sides) for pair, sides in pairs if sides & set(ENGINES)]
    return [pair for pair, sides in of_engines if sides in OWN_FLOOR or not sides & set(FLOORS)]


def spoken(cell: Cell) -> list[results.Ratio]:
    """The ratios to speak of: leading figures of all such pairs, and all of the first pair's."""
    pairs = interesting(cell)
    mine = [ratio for ratio in cell.ratios if ratio.sides in pairs]
    return [ratio for ratio in mine if leads(cell, ratio) or ratio.sides == pairs[0]]


def leads(cell: Cell, ratio: results.Ratio) -> bool:
    """Whether a ratio is of the cell's first figure, or of what must be read beside it: floors have no share of it,
    for they only show what a request costs."""
    of = {variant["name"]: variant["subject"] for variant in cell.variants}
    if ratio.metric in (cell.ratios[0].metric, WITH_LOAD):
        return True
    return ratio.metric in results.leading(cell.workload["name"]) and not {of[name] for name in ratio.sides} & {*FLOORS}


def describe(cell: Cell) -> str:
    """The cell's table, its notes (the session has named what is invalid) and its verdicts."""
    invalid = remarks.invalid_notes(cell)
    lines = [f"{cell.id}: {cell.workload['title']}, {cell.workload['connections']:,} connections"]
    if cell.ceiling:
        lines.append(f"  {say('ceiling', cell.ceiling)}")
    lines += [f"  {note}" for note in cell.notes if note not in invalid]
    lines.append(_table(cell))
    sentences = [f"  {ratio.verdict}" for ratio in spoken(cell)]
    if max((ratio.pairs for ratio in spoken(cell)), default=0) == 1:
        sentences = ["  A single round cannot show a difference."]
    return "\n".join(lines + ([""] + sentences if sentences else []))


def _table(cell: Cell) -> str:
    idle = cell.workload["name"] == "idle"
    without = () if cell.ceiling else CEILING
    columns = MEMORY if idle else {metric: one for metric, one in COLUMNS.items() if metric not in without}
    rows = []
    for name in cell.names:
        medians = [(cell.median(name, metric), show) for metric, (_, show) in columns.items()]
        row = [cell.label(name), *("–" if median is None else show(median) for median, show in medians)]
        short = sum((one.overflows or 0) + (one.starved or 0) for one in cell.valid(name))
        rows.append(row if idle else [*row, str(short or ""), experiment.saturated(cell, name) or "–"])
    titles = [title for title, _ in columns.values()]
    return table.table(["bytes per connection", *titles] if idle else ["", *titles, "overflows", "full"], rows)


def run(options: argparse.Namespace) -> int:
    with Session("compare", options, "comparison of " + ", ".join(options.subjects)) as session:
        comparison = Comparison(session)
        comparison.announce()
        comparison.measure()
        cells = [cell for cell in session.run.cells if "purpose" not in cell.factors]
        leading = [(cell, ratio) for cell in cells for ratio in spoken(cell) if leads(cell, ratio)]
        session.run.conclusions = [f"{cell.id}: {ratio.verdict}" for cell, ratio in leading]
        if noise := session.run.noise:
            count = f"{noise['pairs']} pair{'s' if noise['pairs'] > 1 else ''}"
            name = comparison.variants[0].label
            print(f"\nA/A noise: {name} against itself: {noise_band(noise)} CPU per request ({count})")
        print()
        return session.finish()
