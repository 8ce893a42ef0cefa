"""Compares servers with each other: an A/A run, then interleaved rounds of every workload."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from typing import Sequence

from . import measure, remarks, results, table
from .options import add_options as add_common
from .options import workload_names
from .progress import plan
from .results import Cell
from .session import Session
from .subject import SubjectError, Variant
from .subjects import ENGINES, FLOORS, WARMUP, expand
from .workloads import LOAD_PERCENTS, WORKLOADS, Workload

SUMMARY = "compare servers: io_uring, epoll, their floors, others, or your own"
DEFAULT = ("io_uring", "epoll", "floor")
CAPACITY_SECONDS, CAPACITY_ROUNDS = 0.5, 3  # of whose median the open loops' rates are shares
OWN_FLOOR = {"io_uring": "floor-uring", "epoll": "floor-epoll"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Its own options and the common ones."""
    parser.add_argument(
        "subjects",
        nargs="*",
        metavar="SUBJECT",
        default=list(DEFAULT),
        help="io_uring, epoll, threads, floor (or floor-uring, floor-epoll), "
        "nginx, h2o, lighttpd, node, java, or the NAME of a --command; torc may "
        "have options of its own, as in 'io_uring --depth 64' "
        f"({' '.join(DEFAULT)})",
    )
    parser.add_argument(
        "--workloads",
        type=workload_names,
        metavar="LIST",
        default=list(WORKLOADS),
        help="of " + ", ".join(WORKLOADS) + ", or all " "(all; with --quick the main ones)",
    )
    add_common(parser)


def variants(words: Sequence[str], session: Session) -> list[Variant]:
    """What the user named, in that order."""
    found: list[Variant] = []
    try:
        named = [" ".join(shlex.split(word)) for word in words]
    except ValueError as error:
        raise SubjectError(f"compare: takes words as a shell does: {error}") from error
    if twice := next((word for word in named if named.count(word) > 1), None):
        raise SubjectError(
            f"compare: {twice} is named twice: name it once; what a server set "
            "against itself differs is measured first in every comparison"
        )
    first = [word.partition(" ")[0] for word in named]
    if idle := next((c.name for c in session.options.commands if c.name not in first), None):
        raise SubjectError(f"--command: {idle} is not among the subjects: name it there too")
    for name in expand(words):
        subject, *args = shlex.split(name) or [""]
        known = session.subjects.get(subject)
        if known is None:
            raise SubjectError(
                f"compare: takes subjects of {', '.join(session.subjects)}, floor "
                f"or the name of a --command, not {subject!r}"
            )
        if args and not known.takes_args:
            raise SubjectError(f"compare: {subject} takes no options of its own: {name!r}")
        label = " ".join([known.label, *args])
        found.append(Variant(name, label, subject, tuple(args), session.options.cores))
    session.refuse_missing(found)
    return found


def chosen(options: argparse.Namespace) -> list[Workload]:
    """The workloads asked for, in their own order."""
    names = options.workloads
    if options.quick and names == list(WORKLOADS):
        names = [name for name, workload in WORKLOADS.items() if workload.main]
    return [WORKLOADS[name] for name in names]


class Comparison:
    """The plan of a comparison and its steps."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.variants = variants(session.options.subjects, session)
        self.plan: list[tuple[Workload, list[Variant]]] = []
        for workload in chosen(session.options):
            able = session.able(workload, self.variants)
            if self._enough(workload, able):
                self.plan.append((session.sized(workload), able))
        if not self.plan:
            raise SubjectError("compare: --workloads: none of them can be served by two of the " "subjects")

    def _enough(self, workload: Workload, able: Sequence[Variant]) -> bool:
        if able and (len(able) > 1 or len(self.variants) == 1):
            return True
        who = f"only {able[0].label} can" if able else "none can"
        self.session.note(f"{workload.name}: left out, for {who} serve it")
        return False

    def _leave_out(self) -> None:
        """Leaves out commands of the user's that do not run; refuses where fewer than two are left
        of several."""
        failed = [(one, why) for one in self.variants if (why := self.session.fails(one))]
        left = [one for one in self.variants if one not in [out for out, _ in failed]]
        if len(left) < min(2, len(self.variants)):
            raise SubjectError(
                "compare: too few subjects are left: " + "; ".join(f"{out.label}: {why}" for out, why in failed)
            )
        for out, why in failed:
            self.session.note(f"{out.label} is left out: {why}")
        self.variants = left
        self.plan = [(workload, [one for one in able if one in left]) for workload, able in self.plan]

    def check(self) -> None:
        """Starts what may not run, and compares all answers before anything is timed."""
        self._leave_out()
        check = self.session.check_answers
        plan = [(workload, check(workload, able)) for workload, able in self.plan if self._enough(workload, able)]
        self.plan = [(workload, able) for workload, able in plan if self._enough(workload, able)]
        if not self.plan:
            raise SubjectError("compare: no workload is left that two of the subjects can serve")

    def _cells(self, workload: Workload, able: Sequence[Variant]) -> list[tuple[str, int]]:
        """The cells of a workload by name, each with its number of samples."""
        count = self.session.pairs(workload) * len(able)
        if workload.name != "latency":
            return [(workload.name, count)]
        return [
            ("latency-capacity", CAPACITY_ROUNDS * len(able)),
            *((f"latency-{percent}", count) for percent in LOAD_PERCENTS),
        ]

    def announce(self) -> None:
        """Tells how many samples there will be, of a resumed run are left, and about how long they
        take."""
        samples, left, wall = 0, 0, 0.0
        (first, able), run = self.plan[0], self.session.run
        parts = [
            (first, able[:1], [("noise", 2 * self.session.pairs(first))]),
            *((workload, able, self._cells(workload, able)) for workload, able in self.plan),
        ]
        for workload, able, cells in parts:
            each = measure.expected_seconds(workload, self.session.seconds(workload))
            more_warmup = (max(WARMUP.get(one.subject, 0.0) - workload.warmup, 0.0) for one in able)
            more = sum(run.left(*cell) for cell in cells)
            samples, left = samples + sum(count for _, count in cells), left + more
            wall += more * (each + sum(more_warmup) / len(able))
        self.session.expect(left)
        names = ", ".join(variant.label for variant in self.variants)
        print(
            f"{names}: {len(self.plan)} workload{'s' if len(self.plan) > 1 else ''}, " f"{plan(left, samples, wall)}",
            flush=True,
        )

    def measure(self) -> None:
        """Takes all samples and prints each cell when it is done."""
        session = self.session
        workload, able = self.plan[0]
        session.noise(workload, able[0], session.pairs(workload), session.seconds(workload))
        for workload, able in self.plan:
            if workload.name == "latency":
                self._latency(workload, able)
            else:
                self._cell(workload.name, workload, able)

    def _cell(
        self, name: str, workload: Workload, able: Sequence[Variant], factors: dict[str, object] | None = None
    ) -> None:
        session = self.session
        cell = session.cell(
            name, workload, able, session.pairs(workload), session.seconds(workload), factors, count_syscalls=True
        )
        session.progress.clear()
        print("\n" + describe(cell), flush=True)

    def _latency(self, workload: Workload, able: Sequence[Variant]) -> None:
        """Open loop at shares of what the slowest of the subjects can do in a closed loop."""
        capacity = self.session.cell(
            "latency-capacity", workload, able, CAPACITY_ROUNDS, CAPACITY_SECONDS, {"purpose": "capacity"}
        )
        rates = {name: capacity.median(name, "per_second") for name in capacity.names}
        known = {name: rate for name, rate in rates.items() if rate}
        if not known:
            self.session.note("latency: left out, for no subject's capacity could be measured")
            return
        slowest = min(known, key=lambda name: known[name])
        for percent in LOAD_PERCENTS:
            rate = float(round(known[slowest] * percent / 100))
            title = (
                f"{workload.title} at {rate:,.0f} requests/s, {percent} % of the capacity of "
                f"{capacity.label(slowest)}"
            )
            self._cell(
                f"latency-{percent}",
                dataclasses.replace(workload, title=title, rate=rate),
                able,
                {"load_percent": percent, "rate": rate, "slowest": slowest},
            )


def interesting(cell: Cell) -> list[tuple[str, str]]:
    """The pairs to speak of: engines among each other, with their own floor, and with others."""
    of = {variant["name"]: variant["subject"] for variant in cell.variants}
    pairs = [(one, other) for i, one in enumerate(of) for other in list(of)[i + 1 :]]
    if not set(of.values()) & set(ENGINES):
        return pairs

    def counts(one: str, other: str) -> bool:
        sides = {of[one], of[other]}
        if sides & set(FLOORS):
            return any({engine, floor} == sides for engine, floor in OWN_FLOOR.items())
        return bool(sides & set(ENGINES))

    return [pair for pair in pairs if counts(*pair)]


def describe(cell: Cell) -> str:
    """The cell's table, its notes (the session has named what is invalid) and its verdicts."""
    connections = cell.workload["connections"]
    lines = [f"{cell.id}: {cell.workload['title']}, {connections:,} connections"]
    invalid = remarks.invalid_notes(cell)
    lines += [f"  {note}" for note in cell.notes if note not in invalid]
    lines.append(_memory_table(cell) if cell.workload["name"] == "idle" else _table(cell))
    sentences = [f"  {ratio.verdict}" for ratio in spoken(cell)]
    if max((ratio.pairs for ratio in spoken(cell)), default=0) == 1:
        sentences = ["  One round says nothing about a difference."]
    return "\n".join(lines + ([""] + sentences if sentences else []))


def spoken(cell: Cell) -> list[results.Ratio]:
    """The ratios to speak of: leading figures of all such pairs, and all of the first pair's."""
    pairs = interesting(cell)
    return [
        ratio
        for ratio in cell.ratios
        if (ratio.numerator, ratio.denominator) in pairs
        and (leads(cell, ratio) or (ratio.numerator, ratio.denominator) == pairs[0])
    ]


def leads(cell: Cell, ratio: results.Ratio) -> bool:
    """Whether a ratio is of the cell's first figure, or of what must be read beside it."""
    return ratio.metric in (cell.ratios[0].metric, results.WITH_LOAD)


def _row(cell: Cell, name: str, columns: Sequence[tuple[str, object]]) -> list[str]:
    row = [cell.label(name)]
    for metric, show in columns:
        found = cell.median(name, metric)
        row.append("–" if found is None else show(found))  # type: ignore[operator]
    return row


def _table(cell: Cell) -> str:
    columns = [
        ("cpu_ns_per_request", table.cost),
        (results.WITH_LOAD, table.cost),
        ("per_second", table.thousands),
        *((f"latency_us.{p}", table.microseconds) for p in ("p50", "p90", "p99", "p99.9")),
        ("syscalls_per_request", "{:.2f}".format),
        ("completions_per_wait", "{:.1f}".format),
        ("peak_rss_kb", lambda kb: f"{kb / 1024:.0f}"),
    ]
    rows = []
    for name in cell.names:
        states = [sample.saturated for sample in cell.valid(name)]
        common = max(set(states), key=states.count) if states else "–"
        short = sum((s.overflows or 0) + (s.starved or 0) for s in cell.valid(name))
        rows.append([*_row(cell, name, columns), str(short) if short else "", common])
    header = (
        "",
        "CPU µs/request",
        "with load µs",
        "requests/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "syscalls",
        "completions/wait",
        "peak MB",
        "overflows",
        "full",
    )
    return table.table(header, rows)


def _memory_table(cell: Cell) -> str:
    columns = [(f"memory.{key}_bytes", table.thousands) for key in ("user", "kernel", "slab", "tcp", "available")]
    header = ("bytes per connection", "user (Pss)", "kernel, both ends", "slab", "TCP buffers", "less available")
    return table.table(header, [_row(cell, name, columns) for name in cell.names])


def run(options: argparse.Namespace) -> int:
    """The subcommand."""
    with Session("compare", options, "comparison of " + ", ".join(options.subjects)) as session:
        comparison = Comparison(session)
        comparison.check()
        comparison.announce()
        comparison.measure()
        session.run.conclusions = [
            f"{cell.id}: {ratio.verdict}"
            for cell in session.run.cells
            if "purpose" not in cell.factors
            for ratio in spoken(cell)
            if leads(cell, ratio)
        ]
        noise = session.run.noise
        if noise:
            print(
                f"\nnoise floor: {comparison.variants[0].label} set against itself differs by "
                f"{results.noise_band(noise)} in CPU per request ({noise['pairs']} "
                f"pair{'s' if noise['pairs'] > 1 else ''})"
            )
        print()
        return session.finish()
