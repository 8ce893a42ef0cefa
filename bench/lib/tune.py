"""torc-bench tune: searches the ring's options for this machine, then confirms what it found.

Candidates change one to three things of the default: depth, the completion queue's factor, buffers,
buffer size, features. Successive halving drops the worse half of them rung by rung, each measured
beside the default. The best of many noisy figures looks better than it is, so the search only
nominates: the verdict comes from a fresh comparison with the default, with more pairs.

`extra` of the run:
    {"workload", "seed", "space": {thing: [value]}, "default": {option: value},
     "candidates": [{"name", "options": {option: value}, "args": [word], "pairs", "ratio": R (÷ the
                     default, all rungs together: the search's, no verdict), "out": str|None}],
     "rungs": [{"rung", "pairs", "tried": [name], "kept": [name], "cells": [id]}],
     "winner": name|None,
     "confirmation": {"cell", "variant", "ratio": R,
                      "verdict": "gains"|"costs"|"none"|"unmeasured"}|None,
     "gained": bool, "config": text|None, "config_file": path|None, "text"}
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from . import experiment, features, halving, options as common, results, space, stats, workloads
from .experiment import COST
from .session import Session
from .space import Settings
from .subject import SubjectError, Variant
from .subjects import binary

SUMMARY = "searches the ring's options for this machine and confirms what it finds"
CANDIDATES, QUICK_CANDIDATES = 16, 8
RUNG_PAIRS, QUICK_RUNG_PAIRS = 3, 2
CONFIRM_PAIRS, QUICK_CONFIRM_PAIRS = 20, 8
TOGETHER = 3  # candidates that share a default in a cell: more of them would drift further from it
CONFIRM = "confirmation"
UNSHOWN = {"iowq-workers"}  # what --check does not print

Check = Callable[[Sequence[str]], str]  # options -> what --check prints; FeatureError


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of tune."""
    experiment.add_options(parser)
    add = parser.add_argument
    add(
        "--candidates",
        type=common.positive,
        metavar="N",
        help=f"how many to begin with ({CANDIDATES}; {QUICK_CANDIDATES} with --quick)",
    )
    add(
        "--seed",
        type=common.positive,
        metavar="N",
        default=1,
        help="of the candidates: the same seed gives the same ones (1)",
    )
    add(
        "--confirm-pairs",
        type=common.positive,
        metavar="N",
        help=f"rounds of the confirmation ({CONFIRM_PAIRS}; {QUICK_CONFIRM_PAIRS} with --quick); "
        "--pairs are those of the first rung",
    )
    add(
        "--config-file",
        type=Path,
        metavar="FILE",
        help="where the configuration goes (beside the result file, as NAME.conf)",
    )
    add("--write-anyway", action="store_true", help="write the configuration even where it gains nothing")


def chosen(
    found: Mapping[str, list[Any]], base: Settings, count: int, seed: int, check: Check
) -> tuple[dict[str, Settings], list[str]]:
    """Candidates by name that the server takes, and what it says of those that it does not.

    One that comes to the same ring as the default or an earlier one is left out.
    """
    taken: dict[str, Settings] = {}
    refused: list[str] = []
    seen = {check(())}
    for settings in space.candidates(found, base, 3 * count, seed):
        if len(taken) == count:
            break
        try:
            ring = check(space.arguments(settings))
        except features.FeatureError as error:
            refused.append(f"{space.described(settings)}: {error}")
            continue
        if ring not in seen or UNSHOWN & settings.keys():
            taken[f"c{len(taken):02}"] = settings
        seen.add(ring)
    return taken, refused


class Search:
    """The tournament on a session."""

    def __init__(
        self, session: Any, asked: workloads.Workload, seconds: float, cores: int, named: Mapping[str, Settings]
    ) -> None:
        self.session, self.asked, self.seconds = session, asked, seconds
        self.default = Variant("default", "torc io_uring, default", "io_uring", (), cores)
        self.variants = {
            name: Variant(
                name, f"torc io_uring, {space.described(settings)}", "io_uring", space.arguments(settings), cores
            )
            for name, settings in named.items()
        }
        self.cells: dict[int, list[str]] = {}  # rung -> ids

    def groups(self, number: int, names: Sequence[str]) -> list[tuple[str, list[str]]]:
        """The cells of a rung: id, candidates."""
        return [
            (f"rung {number}, group {i // TOGETHER}", list(names[i : i + TOGETHER]))
            for i in range(0, len(names), TOGETHER)
        ]

    def measure(self, number: int, names: Sequence[str], pairs: int) -> dict[str, list[float]]:
        """A rung: for each candidate its ratios to the default."""
        found = {}
        for id, members in self.groups(number, names):
            variants = [self.default, *(self.variants[name] for name in members)]
            cell = self.session.cell(id, self.asked, variants, pairs, self.seconds, {"rung": number}, metrics=(COST,))
            self.cells.setdefault(number, []).append(id)
            plain = results.by_round(cell, self.default.name, COST)
            for name in members:
                found[name] = stats.paired_ratios(results.by_round(cell, name, COST), plain)
        return found

    def samples(self, count: int, pairs: int) -> list[tuple[str, int]]:
        """Every cell to come with its number of samples."""
        found = []
        for number, (left, rounds) in enumerate(halving.plan(count, pairs)):
            for id, members in self.groups(number, [""] * left):
                found.append((id, rounds * (1 + len(members))))
        return found


def measure(session: Any, options: argparse.Namespace, help_text: str, check: Check) -> None:
    """Searches, confirms, and writes the configuration where it gains."""
    run, quick = session.run, options.quick
    asked = session.sized(workloads.WORKLOADS[options.workload])
    seconds = session.seconds(asked)
    base = space.defaults(help_text)
    names = features.available(features.known(help_text), lambda words: _features(check(words)))
    found = space.space(base, [n for n in features.known(help_text) if n in names], asked)
    count = options.candidates or (QUICK_CANDIDATES if quick else CANDIDATES)
    named, refused = chosen(found, base, count, options.seed, check)
    for text in refused:
        session.note(f"not tried, for the server refuses it: {text}")
    search = Search(session, asked, seconds, options.cores, named)
    session.refuse_missing([search.default])
    pairs = options.pairs or (QUICK_RUNG_PAIRS if quick else RUNG_PAIRS)
    confirm_pairs = options.confirm_pairs or (QUICK_CONFIRM_PAIRS if quick else CONFIRM_PAIRS)
    experiment.expect(
        session,
        asked,
        [
            ("noise", 2 * confirm_pairs),
            (CONFIRM, 2 * confirm_pairs),
            *(search.samples(len(named), pairs) if named else []),
        ],
    )
    run.extra = {
        "workload": asked.name,
        "seed": options.seed,
        "space": found,
        "default": {
            key: base[key]
            for key in sorted(base)
            if key in {*found, "cq-depth", *(features.setting(n, True)[0] for n in names)}
        },
        "candidates": [],
        "rungs": [],
        "winner": None,
        "confirmation": None,
        "gained": False,
        "config": None,
        "config_file": None,
        "text": "",
    }
    session.noise(asked, search.default, confirm_pairs, seconds)
    outcome = halving.run(list(named), pairs, search.measure)
    run.extra["candidates"] = [_candidate(name, named[name], outcome) for name in named]
    run.extra["rungs"] = [
        {
            "rung": rung.number,
            "pairs": rung.pairs,
            "tried": list(rung.tried),
            "kept": list(rung.kept),
            "cells": search.cells[rung.number],
        }
        for rung in outcome.rungs
    ]
    run.extra["winner"] = outcome.winner
    session.save()
    if outcome.winner is None:
        run.extra["text"] = "No candidate could be measured: nothing was tuned."
        run.conclusions = [run.extra["text"]]
        return
    cell = session.cell(
        CONFIRM,
        asked,
        (search.default, search.variants[outcome.winner]),
        confirm_pairs,
        seconds,
        {"purpose": "confirmation"},
        metrics=(COST,),
    )
    conclude(session, options, cell, outcome.winner, named[outcome.winner], check)


def _features(text: str) -> frozenset[str]:
    line = next((line for line in text.splitlines() if line.startswith("features ")), "")
    return frozenset(line.split()[1:])


def _candidate(name: str, settings: Settings, outcome: halving.Outcome) -> dict[str, Any]:
    ratios = outcome.ratios.get(name, [])
    ratio = experiment.figure(ratios)
    return {
        "name": name,
        "options": settings,
        "args": list(space.arguments(settings)),
        "pairs": len(ratios),
        "ratio": ratio and {**ratio, "pairs": len(ratios)},
        "out": outcome.out.get(name),
    }


def conclude(
    session: Any, options: argparse.Namespace, cell: results.Cell, winner: str, settings: Settings, check: Check
) -> None:
    """The verdict, from the confirmation alone, and the file that follows from it."""
    extra = session.run.extra
    ratio = experiment.paired(results.ratio(cell, winner, "default"))
    verdict = {"saves": "gains"}.get(kind := experiment.kind(ratio), kind)
    if ratio and results.not_above_noise(COST, ratio["low"], ratio["high"], session.run.noise):
        verdict = "none"
    extra["confirmation"] = {"cell": cell.id, "variant": winner, "ratio": ratio, "verdict": verdict}
    extra["gained"] = verdict == "gains"
    what = space.described(settings)
    extra["text"] = verdict_text(what, verdict, ratio, session.run.noise)
    session.run.conclusions = [extra["text"]]
    seen = next(one["ratio"] for one in extra["candidates"] if one["name"] == winner)
    if seen and seen["median"] < 1:
        session.run.conclusions.append(
            f"The search had put it {_signed(seen)} against the default: the best of "
            f"{len(extra['candidates'])} candidates looks better than it is, which is why only the "
            "fresh comparison counts."
        )
    if not extra["gained"] and not options.write_anyway:
        session.run.conclusions.append("No configuration was written: keep the default.")
        return
    extra["config"] = config(settings, extra, session.run)
    path = options.config_file or session.path.with_suffix(".conf")
    same_as_arguments(extra["config"], settings, check)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(extra["config"])
    extra["config_file"] = str(path)
    session.run.conclusions.append(
        ("Serve with it" if extra["gained"] else "Written all the same") + f": torc --config {path}"
    )


def verdict_text(what: str, verdict: str, ratio: Mapping[str, Any] | None, noise: dict[str, Any] | None = None) -> str:
    """The answer in a sentence."""
    if ratio is None or verdict == "unmeasured":
        return f"The confirmation of {what} has no valid pair, so nothing can be said of it."
    low, high, middle = ((ratio[key] - 1) * 100 for key in ("low", "high", "median"))
    beside = results.beside_noise(COST, ratio["low"], ratio["high"], noise)
    if verdict == "gains":
        return f"Tuning gains {-middle:.1f} % CPU per request here " f"({experiment.span(low, high)}): {what}."
    if verdict == "costs":
        return (
            f"Nothing is gained by tuning: the best candidate, {what}, costs {middle:.1f} % "
            f"more CPU per request than the default ({experiment.span(low, high)})."
        )
    if beside:
        return (
            f"Nothing is known to be gained by tuning: the best candidate, {what}, uses "
            f"{abs(middle):.1f} % {'less' if middle < 0 else 'more'} than the default "
            f"({experiment.span(low, high)}){beside}."
        )
    return (
        f"Nothing is gained by tuning: the best candidate, {what}, and the default show no "
        f"difference within ±{max(abs(low), high):.1f} %."
    )


def rows(extra: Mapping[str, Any]) -> list[list[str]]:
    """The candidates of the last round that had any, as HEADER has them, and the confirmation."""
    last = extra["rungs"][-1]["tried"] if extra["rungs"] else []
    found = [
        [f"{one['name']}: {space.described(one['options'])}", str(one["pairs"]), experiment.shown_ratio(one["ratio"])]
        for one in extra["candidates"]
        if one["name"] in last
    ]
    confirmed = extra["confirmation"]
    if confirmed:
        ratio = confirmed["ratio"]
        found.append(
            [
                f"confirmation of {confirmed['variant']}",
                str(ratio["pairs"] if ratio else 0),
                experiment.shown_ratio(ratio),
            ]
        )
    return found


HEADER = ("last round of the search", "pairs", "CPU ÷ default")


def _signed(ratio: Mapping[str, Any]) -> str:
    return f"{(ratio['median'] - 1) * 100:+.1f} %".replace("-", "−")


def config(settings: Settings, extra: Mapping[str, Any], run: results.Run) -> str:
    """A file for --config, with how it was obtained."""
    confirmed = extra["confirmation"]
    ratio, cpu = confirmed["ratio"], run.environment.get("cpu", {})
    git = run.environment.get("git", {})
    lines = [
        "# Options of the io_uring engine, found by torc-bench tune.",
        f"# When:      {run.started}",
        f"# Where:     {run.environment.get('kernel')}, {cpu.get('model')}; "
        f"torc {(git.get('commit') or 'of no commit')[:12]}",
        f"# Command:   {' '.join(run.command)}",
        f"# Workload:  {extra['workload']}, {len(extra['candidates'])} candidates, " f"seed {extra['seed']}",
    ]
    if ratio:
        lines += [
            f"# Confirmed: {ratio['median']:.4f} of the default's CPU per request, 95 % interval "
            f"{ratio['low']:.4f} to {ratio['high']:.4f},",
            f"#            {ratio['pairs']} fresh pairs: "
            + ("a gain." if extra["gained"] else "NOT a gain; written because it was asked for."),
        ]
    else:
        lines.append("# NOT confirmed: no valid pair; written because it was asked for.")
    return "\n".join(lines + [f"{key} = {value}" for key, value in sorted(settings.items())]) + "\n"


def same_as_arguments(text: str, settings: Settings, check: Check) -> None:
    """Refuses a file of which the server makes anything else than of what was measured."""
    with tempfile.NamedTemporaryFile("w", prefix="torc-tune-", suffix=".conf") as file:
        file.write(text)
        file.flush()
        if check(("--config", file.name)) != check(space.arguments(settings)):
            raise results.ResultsError(
                "the server reads the configuration as other options than "
                f"were measured: {space.described(settings)}"
            )


def refuse_unwritable(path: Path) -> None:
    """Refuses, before anything is measured, a file that could not be written at the end."""
    there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise SubjectError(f"--config-file: {path} cannot be written: " f"{error.strerror or error}") from error


def run(options: argparse.Namespace) -> int:
    """The subcommand."""
    if options.config_file:
        refuse_unwritable(options.config_file)
    lab = Path(binary(options.build, "torc-lab"))

    def check(words: Sequence[str]) -> str:
        # One core: this process itself may be left one CPU only, and the ring is the same.
        always = ("--engine", "io_uring", "--cores", "1", *options.server_args)
        return features.ask(lab, "--check", *always, *words)

    try:
        help_text = features.ask(lab, "--help")
        with Session("tune", options, f"tuned options, {options.workload}") as session:
            measure(session, options, help_text, check)
            experiment.print_table(session, HEADER, rows(session.run.extra))
            experiment.print_conclusions(session.run)
            return session.finish()
    except features.FeatureError as error:
        raise SubjectError(f"io_uring: {error}") from error
