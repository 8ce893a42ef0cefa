"""torc-bench ablate: what each io_uring feature is worth, taken out of the full set or put into
the bare one.

One cell for each feature and direction, of two variants that differ in that feature alone. Where a
feature needs another (defer-taskrun needs single-issuer, multishot needs buf-ring) or hides one
(coop-taskrun applies only without defer-taskrun), the pair stands on a set where only this one
changes, and the sentence names it. Where files are asked for, one more cell has them sent by
reference: sendfile(2) is no feature of the ring, and off by default.
"""

import argparse
from pathlib import Path
from typing import AbstractSet, Any, Mapping, NamedTuple, Sequence

from . import experiment, features, results, workloads
from .experiment import US, Experiment
from .subject import Variant
from .subjects import binary
from .verdict import Noise, Verdict
from .words import COST, capital, say

SUMMARY = "measure what each io_uring feature is worth, taken out of the full set and put into the bare one"
OUT, INTO, ADDED = "out of full", "into bare", "into full"
PLACES = {OUT: "taken out of", INTO: "put into", ADDED: "put into"}
TOTAL = "full against bare"
HEADER = ("CPU with ÷ without", "taken out of full", "put into bare")

add_options = experiment.add_options


class Pair(NamedTuple):
    """Two variants that differ in one feature."""

    feature: str
    context: str
    base: str  # the set that the pair stands on, in words
    names: tuple[str, str]  # of the variants with and without the feature
    sides: tuple[AbstractSet[str], AbstractSet[str]]  # their features
    note: str | None
    more: tuple[str, ...] = ()  # further options of the one with the feature

    @property
    def id(self) -> str:
        return f"{self.feature} {self.context}"


def pairs(names: Sequence[str], full: AbstractSet[str]) -> list[Pair]:
    """Every feature of the full set in both directions, out of full first."""
    mine = [name for name in names if name in full]
    return [_out(name, full) for name in mine] + [_into(name) for name in mine]


def _out(name: str, full: AbstractSet[str]) -> Pair:
    """Out of full, without the features that need this one or hide it."""
    hider = features.HIDDEN_BY.get(name)
    away = full & {hider, *(other for other, needed in features.NEEDS.items() if needed == name)}
    hidden = [other for other, by in features.HIDDEN_BY.items() if by == name and other in full]
    without = " and ".join(sorted(away))
    note = f"without it, {hidden[0]} takes its place" if hidden else None
    if away:
        note = f"{without} needs it, so both sides lack that"
    if hider in away:
        note = f"applies only without {hider}, which both sides lack"
    base, word = (f"full without {without}", "and") if away else ("full", "without")
    return Pair(name, OUT, base, (base, f"{base} {word} {name}"), (full - away, full - away - {name}), note)


def _into(name: str) -> Pair:
    """Into bare, with the feature that this one needs."""
    needed = features.NEEDS.get(name)
    base, word, note = "bare", "with", None
    if needed:
        base, word, note = f"bare with {needed}", "and", f"needs {needed}, which both sides have"
    others = {needed} - {None}
    return Pair(name, INTO, base, (f"{base} {word} {name}", base), (others | {name}, others), note)


def by_reference(full: AbstractSet[str]) -> Pair:
    """Into full, without the direct descriptors that sendfile(2) cannot take."""
    base = "full without direct" if "direct" in full else "full"
    sides = full - {"direct"}
    note = "the load pays more with it, which compare shows"
    if "direct" in full:
        note = f"direct excludes it, so both sides lack that; {note}"
    return Pair(
        "sendfile", ADDED, base, (f"{base}, with sendfile", base), (sides, sides), note, ("--sendfile-from", "1")
    )


def variant(
    name: str, names: Sequence[str], on: AbstractSet[str], cores: int = 1, more: tuple[str, ...] = ()
) -> Variant:
    return Variant(name, f"io_uring, {name}", "io_uring", (*features.flags(names, on), *more), cores)


def measure(session: Any, options: argparse.Namespace, names: Sequence[str], probe: features.Probe) -> None:
    run, full = session.run, features.available(names, probe)
    whole = Experiment(session, session.sized(workloads.WORKLOADS[options.workload]))
    why = "this kernel lacks it"
    extra = {"workload": whole.asked.name, "full": [name for name in names if name in full]}
    extra["missing"] = [{"feature": name, "why": why} for name in names if name not in full]
    run.extra = extra = {**extra, "total": None, "effects": []}
    for entry in extra["missing"]:
        session.note(f"skipped: {entry['feature']}: {why}")
    todo = pairs(names, full)
    if whole.asked.name.startswith("static-"):
        todo.append(by_reference(full))
    ends = [variant("full", names, full, options.cores), variant("bare", names, frozenset(), options.cores)]
    session.refuse_missing(ends[:1])
    ids = ["noise", TOTAL, *(pair.id for pair in todo)]
    experiment.expect(f"{whole.asked.name}:", (whole, [(id, 2 * whole.pairs) for id in ids]))
    whole.noise(ends[0])
    extra["total"] = total(whole.cell(TOTAL, ends, {"purpose": "total"}), run.noise)
    for pair in todo:
        sides = [
            variant(name, names, on, options.cores, more)
            for name, on, more in zip(pair.names, pair.sides, (pair.more, ()))
        ]
        wrong = [one.name for one, on in zip(sides, pair.sides) if probe(one.args) != features.effective(on)]
        cell = None
        if wrong:
            session.note(f'skipped: {pair.id}: the server does not run as "{wrong[0]}" here')
        else:
            cell = whole.cell(pair.id, sides, {"feature": pair.feature, "context": pair.context})
        extra["effects"].append(effect(pair, cell, run.noise))
        run.conclusions = conclude(extra)
        session.save()
    run.conclusions = conclude(extra)


def total(cell: results.Cell, noise: Noise | None) -> dict[str, Any]:
    ratio = experiment.paired(cell, "full", "bare")
    found = {"cell": cell.id, "with": "full", "without": "bare", "ratio": ratio}
    found |= {f"{name}_us": experiment.metric(cell, name, COST, US) for name in ("full", "bare")}
    text = say("effect", "the full set", Verdict.of(COST, ratio, noise), "compared with the bare one")
    return {**found, "text": text}


def effect(pair: Pair, cell: results.Cell | None, noise: Noise | None) -> dict[str, Any]:
    ratio = experiment.paired(cell, *pair.names)
    costs = [results.by_round(cell, name, COST) if cell else {} for name in pair.names]
    both = sorted(costs[0].keys() & costs[1].keys())
    place = f"{PLACES[pair.context]} {pair.base}"
    title = features.TITLES.get(pair.feature, pair.feature)
    found = {"feature": pair.feature, "title": title, "context": pair.context, "cell": pair.id}
    found |= {"with": pair.names[0], "without": pair.names[1], "against": pair.base, "ratio": ratio}
    found["us"] = experiment.figure([costs[0][number] - costs[1][number] for number in both], US)
    found |= {"verdict": Verdict.of(COST, ratio).effect, "note": pair.note}
    return {**found, "text": say("effect", pair.feature, Verdict.of(COST, ratio, noise), place)}


def conclude(extra: Mapping[str, Any]) -> list[str]:
    """The total, then what saves, what costs, what makes no difference, and what chance does."""

    def of(verdict: str) -> list[tuple[dict[str, Any], Verdict]]:
        return [(one, Verdict.of(COST, one["ratio"])) for one in extra["effects"] if one["verdict"] == verdict]

    found = [extra["total"]["text"]] if extra["total"] else []
    for verdict in ("saves", "costs"):
        for one, _ in sorted(of(verdict), key=lambda pair: -pair[1].size):
            found.append(one["text"] + (f" ({capital(one['note'])}.)" if one["note"] else ""))
    for context, how in ((OUT, "taken out"), (INTO, "put in"), (ADDED, "put into full")):
        if none := [pair for pair in of("none") if pair[0]["context"] == context]:
            reach = max(verdict.reach for _, verdict in none)
            found.append(say("no_effect", reach, how, [one["feature"] for one, _ in none]))
    unmeasured = [one["cell"] for one, _ in of("unmeasured")]
    if unmeasured:
        found.append(f"Not measured: {', '.join(unmeasured)}.")
    if extra["missing"]:
        names = ", ".join(one["feature"] for one in extra["missing"])
        found.append(f"Not measured, because this kernel lacks them: {names}.")
    tested = len(extra["effects"]) - len(unmeasured)
    if tested * 0.05 >= 0.5:
        found.append(say("chance", tested, max(1, round(tested * 0.05))))
    return [capital(text) for text in found]


def rows(run: results.Run) -> list[list[str]]:
    extra, found = run.extra, []
    for name in extra["full"]:
        mine = {one["context"]: one["ratio"] for one in extra["effects"] if one["feature"] == name}
        found.append([name, *(experiment.shown_ratio(mine.get(one)) for one in (OUT, INTO))])
    for one in extra["effects"]:
        if one["context"] == ADDED:
            found.append([f"{one['feature']}, put into full", experiment.shown_ratio(one["ratio"]), ""])
    if extra["total"]:
        found.append(["all, full ÷ bare", experiment.shown_ratio(extra["total"]["ratio"]), ""])
    return found


def run(options: argparse.Namespace) -> int:
    def take(session: Any) -> None:
        lab = Path(binary(options.build, "torc-lab"))
        names = features.known(features.ask(lab, "--help"))
        measure(session, options, names, features.prober(lab, options.server_args))

    return experiment.run(f"io_uring features, {options.workload}", options, take, HEADER, rows)
