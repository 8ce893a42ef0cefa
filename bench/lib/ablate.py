"""torc-bench ablate: what each io_uring feature is worth, taken out of the full set or put into
the bare one.

One cell for each feature and direction, of two variants that differ in that feature alone. Where a
feature needs another (defer-taskrun needs single-issuer, multishot needs buf-ring) or hides one
(coop-taskrun applies only without defer-taskrun), the pair stands on a set where only this one
changes, and the sentence names it.

`extra` of the run:
    {"workload", "full": [feature], "missing": [{"feature", "why"}],
     "total": {"cell", "with": "full", "without": "bare", "ratio": R, "full_us": I, "bare_us": I,
               "text"},
     "effects": [{"feature", "title", "context": "out of full"|"into bare", "cell", "with",
                  "without", "against", "ratio": R (with ÷ without),
                  "us": I (with − without; negative saves),
                  "verdict": "saves"|"costs"|"none"|"unmeasured", "note": str|None, "text"}]}
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import AbstractSet, Any, Sequence

from . import experiment, features, results, workloads
from .experiment import COST, US, Figure
from .session import Session
from .subject import SubjectError, Variant
from .subjects import binary

SUMMARY = "what each io_uring feature is worth, out of the full set and into the bare one"
OUT, INTO = "out of full", "into bare"
TOTAL = "full against bare"


@dataclass(frozen=True)
class Pair:
    """Two feature sets that differ in one feature."""

    feature: str
    context: str
    base: str  # what the pair stands on, in words
    full_side: frozenset[str]  # with the feature
    bare_side: frozenset[str]  # without it
    note: str | None

    @property
    def id(self) -> str:
        """Of the cell."""
        return f"{self.feature} {self.context}"

    @property
    def names(self) -> tuple[str, str]:
        """Of the variants with and without the feature."""
        if self.context == OUT:
            join = " and " if " without " in self.base else " without "
            return self.base, f"{self.base}{join}{self.feature}"
        join = " and " if " with " in self.base else " with "
        return f"{self.base}{join}{self.feature}", self.base


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ablate."""
    experiment.add_options(parser)


def pairs(names: Sequence[str], full: AbstractSet[str]) -> list[Pair]:
    """Every feature of the full set in both directions, out of full first."""
    found = []
    for name in names:
        if name not in full:
            continue
        away = {other for other, needed in features.NEEDS.items() if needed == name}
        away |= {features.HIDDEN_BY[name]} if name in features.HIDDEN_BY else set()
        away &= full
        base = "full" + (f" without {' and '.join(sorted(away))}" if away else "")
        found.append(
            Pair(name, OUT, base, frozenset(full - away), frozenset(full - away - {name}), _note_out(name, away, full))
        )
    for name in names:
        if name not in full:
            continue
        needed = {features.NEEDS[name]} if name in features.NEEDS else set()
        base = "bare" + (f" with {' and '.join(sorted(needed))}" if needed else "")
        note = f"needs {' and '.join(sorted(needed))}, which both sides have" if needed else None
        found.append(Pair(name, INTO, base, frozenset(needed | {name}), frozenset(needed), note))
    return found


def _note_out(name: str, away: AbstractSet[str], full: AbstractSet[str]) -> str | None:
    if features.HIDDEN_BY.get(name) in away:
        return f"applies only without {features.HIDDEN_BY[name]}, which both sides lack"
    if away:
        return f"{' and '.join(sorted(away))} needs it, so both sides lack that"
    hidden = [other for other, hider in features.HIDDEN_BY.items() if hider == name]
    if set(hidden) & full:
        return f"without it, {hidden[0]} takes its place"
    return None


def variant(name: str, names: Sequence[str], on: AbstractSet[str], cores: int = 1) -> Variant:
    """io_uring with exactly these features."""
    return Variant(name, f"io_uring, {name}", "io_uring", features.flags(names, on), cores)


def measure(session: Any, options: argparse.Namespace, names: Sequence[str], probe: features.Probe) -> None:
    """Takes all cells and concludes from those that are there."""
    run, full = session.run, features.available(names, probe)
    asked = session.sized(workloads.WORKLOADS[options.workload])
    count, seconds = experiment.pairs(session, asked), session.seconds(asked)
    run.extra = {
        "workload": asked.name,
        "full": [name for name in names if name in full],
        "missing": [{"feature": name, "why": "this kernel does not have it"} for name in names if name not in full],
        "total": None,
        "effects": [],
    }
    for entry in run.extra["missing"]:
        session.note(f"skipped: {entry['feature']}: {entry['why']}")
    todo = pairs(names, full)
    whole = variant("full", names, full, options.cores)
    bare = variant("bare", names, frozenset(), options.cores)
    session.refuse_missing([whole])
    experiment.expect(session, asked, [(name, 2 * count) for name in ("noise", TOTAL, *(pair.id for pair in todo))])
    session.noise(asked, whole, count, seconds)
    cell = session.cell(TOTAL, asked, (whole, bare), count, seconds, {"purpose": "total"}, metrics=(COST,))
    run.extra["total"] = total(cell, run.noise)
    for pair in todo:
        sides = [
            variant(name, names, on, options.cores) for name, on in zip(pair.names, (pair.full_side, pair.bare_side))
        ]
        factors = {"feature": pair.feature, "context": pair.context}
        wrong = next(
            (
                v.name
                for v, on in zip(sides, (pair.full_side, pair.bare_side))
                if probe(v.args) != features.effective(on)
            ),
            None,
        )
        if wrong:
            session.note(f'skipped: {pair.id}: the server does not run as "{wrong}" here')
            run.extra["effects"].append(effect(pair, None))
            continue
        cell = session.cell(pair.id, asked, sides, count, seconds, factors, metrics=(COST,))
        run.extra["effects"].append(effect(pair, cell, run.noise))
        run.conclusions = conclude(run.extra)
        session.save()
    run.conclusions = conclude(run.extra)


def total(cell: results.Cell, noise: dict[str, Any] | None = None) -> dict[str, Any]:
    """What all features are worth together."""
    ratio = results.ratio(cell, "full", "bare")
    return {
        "cell": cell.id,
        "with": "full",
        "without": "bare",
        "ratio": experiment.paired(ratio),
        "full_us": experiment.metric(cell, "full", COST, US),
        "bare_us": experiment.metric(cell, "bare", COST, US),
        "text": _text("the full set", experiment.paired(ratio), "against the bare one", noise),
    }


def effect(pair: Pair, cell: results.Cell | None, noise: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a feature is worth in a cell."""
    with_name, without_name = pair.names
    ratio = experiment.paired(results.ratio(cell, with_name, without_name)) if cell else None
    difference: Figure | None = None
    if cell is not None:
        one, other = (results.by_round(cell, name, COST) for name in pair.names)
        difference = experiment.figure([one[n] - other[n] for n in sorted(one.keys() & other)], US)
    return {
        "feature": pair.feature,
        "title": features.TITLES.get(pair.feature, pair.feature),
        "context": pair.context,
        "cell": pair.id,
        "with": with_name,
        "without": without_name,
        "against": pair.base,
        "ratio": ratio,
        "us": difference,
        "verdict": experiment.kind(ratio),
        "note": pair.note,
        "text": _text(pair.feature, ratio, _place(pair), noise),
    }


def _place(pair: Pair) -> str:
    return f"taken out of {pair.base}" if pair.context == OUT else f"put into {pair.base}"


def _text(name: str, ratio: Figure | None, place: str, noise: dict[str, Any] | None) -> str:
    """One sentence that claims no more than the interval does, nor than the A/A run allows."""
    kind = experiment.kind(ratio)
    if ratio is None or kind == "unmeasured":
        return f"{name}: {'one round says nothing' if ratio else 'not measured'}, {place}."
    low, high, middle = ((ratio[key] - 1) * 100 for key in ("low", "high", "median"))
    if kind == "none":
        text = f"{name}: no difference detectable within ±{max(abs(low), high):.1f} %"
    else:
        text = f"{name} {kind} {abs(middle):.1f} % CPU per request ({experiment.span(low, high)})"
    beside = results.beside_noise(COST, ratio["low"], ratio["high"], noise)
    return f"{text}, {place}{beside}."


def conclude(extra: dict[str, Any]) -> list[str]:
    """The total, then what pays, what costs, what cannot be told, and what chance does."""
    effects = extra["effects"]
    found = [_capital(extra["total"]["text"])] if extra["total"] else []
    for verdict in ("saves", "costs"):
        ranked = sorted(
            (one for one in effects if one["verdict"] == verdict),
            key=lambda one: one["ratio"]["median"],
            reverse=verdict == "costs",
        )
        found += [_capital(one["text"]) + (f" ({_capital(one['note'])}.)" if one["note"] else "") for one in ranked]
    for context in (OUT, INTO):
        none = [one for one in effects if one["verdict"] == "none" and one["context"] == context]
        if none:
            bounds = [one["ratio"][key] - 1 for one in none for key in ("low", "high")]
            within = max(map(abs, bounds)) * 100
            names = ", ".join(one["feature"] for one in none)
            found.append(
                f"No difference detectable within ±{within:.1f} %, "
                f"{'taken out' if context == OUT else 'put in'} alone: {names}."
            )
    unmeasured = [one for one in effects if one["verdict"] == "unmeasured"]
    if unmeasured:
        found.append("Not measured: " + ", ".join(one["cell"] for one in unmeasured) + ".")
    if extra["missing"]:
        names = ", ".join(one["feature"] for one in extra["missing"])
        found.append(f"Not in this kernel, and so not measured: {names}.")
    tested = [one["ratio"]["pairs"] for one in effects if one["verdict"] != "unmeasured"]
    chance = 0.05 * len(tested)
    if chance >= 0.5:
        found.append(
            f"Of {len(tested)} effects tested, about {max(1, round(chance))} may look real by "
            "chance: trust those that are large or show in both directions."
        )
    return found


def _capital(text: str) -> str:
    """A sentence's first letter, unless the word is a feature's name."""
    word = text.split(" ", 1)[0].rstrip(":")
    return text if word in features.TITLES else text[0].upper() + text[1:]


def rows(extra: dict[str, Any]) -> list[list[str]]:
    """A row for each feature, as HEADER has it, and one for all together."""
    found = []
    for name in extra["full"]:
        mine = {one["context"]: one["ratio"] for one in extra["effects"] if one["feature"] == name}
        found.append([name, *(experiment.shown_ratio(mine.get(one)) for one in (OUT, INTO))])
    if extra["total"]:
        found.append(["all, full ÷ bare", experiment.shown_ratio(extra["total"]["ratio"]), ""])
    return found


HEADER = ("CPU with ÷ without", "taken out of full", "put into bare")


def run(options: argparse.Namespace) -> int:
    """The subcommand."""
    try:
        lab = Path(binary(options.build, "torc-lab"))
        names = features.known(features.ask(lab, "--help"))
        probe = features.prober(lab, options.server_args)
        with Session("ablate", options, f"io_uring features, {options.workload}") as session:
            measure(session, options, names, probe)
            experiment.print_table(session, HEADER, rows(session.run.extra))
            experiment.print_conclusions(session.run)
            return session.finish()
    except features.FeatureError as error:
        raise SubjectError(f"io_uring: {error}") from error
