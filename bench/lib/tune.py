"""torc-bench tune: searches the ring's options for this machine, then confirms what it found.

Successive halving drops the worse half of the candidates rung by rung, each measured beside the
default. The best of many noisy figures looks better than it is, so the search only nominates: the
verdict comes from a fresh comparison with the default, with more pairs.
"""

import argparse
import re
import shlex
import tempfile
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from . import env, experiment, features, halving, newest, options as common, results, space, stats, workloads
from .experiment import Experiment
from .space import Settings
from .subject import SubjectError, Variant
from .subjects import binary
from .verdict import Verdict
from .words import COST, fill, say

SUMMARY = "search the ring's options for this machine and confirm the best with a fresh comparison"
CANDIDATES, QUICK_CANDIDATES = 16, 8
RUNG_PAIRS, QUICK_RUNG_PAIRS = 3, 2
CONFIRM_PAIRS, QUICK_CONFIRM_PAIRS = 20, 8
TOGETHER = 3  # candidates that share a default in a cell: more of them would drift further from it
CONFIRM = "confirmation"
UNSHOWN = {"iowq-workers"}  # what --check does not print
FEATURES = re.compile(r"^features\b(.*)$", re.MULTILINE)  # what --check prints of them
HEADER = ("last round of the search", "pairs", "CPU ÷ default")

Check = Callable[[Sequence[str]], str]  # options -> what --check prints; FeatureError


def add_options(parser: argparse.ArgumentParser) -> None:
    def count(name: str, text: str, **more: Any) -> None:
        parser.add_argument(name, type=common.positive, metavar="N", help=text, **more)

    experiment.add_options(parser)
    count("--candidates", f"number of candidates ({CANDIDATES}; {QUICK_CANDIDATES} with --quick)")
    count("--seed", "seed of the candidates: the same seed gives the same ones (1)", default=1)
    quick = f"{QUICK_CONFIRM_PAIRS} with --quick"
    count("--confirm-pairs", f"rounds of the confirmation ({CONFIRM_PAIRS}; {quick}); --pairs sets the first rung's")
    text = "where to write the configuration (beside the result file, as NAME.conf)"
    parser.add_argument("--config-file", type=Path, metavar="FILE", help=text)
    text = "write the configuration even if it gains nothing"
    parser.add_argument("--write-anyway", action="store_true", help=text)


def chosen(
    found: Mapping[str, list[Any]], base: Settings, count: int, seed: int, check: Check
) -> tuple[dict[str, Settings], list[str]]:
    """Candidates by name that the server accepts, and what it says of those that it refuses.

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
            if ring not in seen or UNSHOWN & settings.keys():
                taken[f"c{len(taken):02}"] = settings
            seen.add(ring)
        except features.FeatureError as error:
            refused.append(f"{space.described(settings)}: {error}")
    return taken, refused


class Search:
    """The tournament: its candidates as variants, and its cells."""

    def __init__(self, session: Any, asked: workloads.Workload, cores: int, named: Mapping[str, Settings]) -> None:
        self.session, self.asked, self.named = session, asked, named
        self.default = Variant("default", "torc io_uring, default", "io_uring", (), cores)
        self.variants = {
            name: Variant(name, f"torc io_uring, {space.described(one)}", "io_uring", space.arguments(one), cores)
            for name, one in named.items()
        }

    def groups(self, number: int, names: Sequence[str]) -> dict[str, Sequence[str]]:
        """The candidates of each cell of a rung."""
        starts = enumerate(range(0, len(names), TOGETHER))
        return {f"rung {number}, group {i}": names[start : start + TOGETHER] for i, start in starts}

    def measure(self, number: int, names: Sequence[str], pairs: int) -> dict[str, list[float]]:
        """A rung: the ratios of each candidate to the default."""
        found, rung = {}, Experiment(self.session, self.asked, pairs)
        for id, members in self.groups(number, names).items():
            cell = rung.cell(id, [self.default, *(self.variants[name] for name in members)], {"rung": number})
            plain = results.by_round(cell, self.default.name, COST)
            for name in members:
                found[name] = stats.paired_ratios(results.by_round(cell, name, COST), plain)
        return found

    def samples(self, pairs: int) -> list[tuple[str, int]]:
        """Every cell to come with its number of samples."""
        found = []
        for number, (left, rounds) in enumerate(halving.plan(len(self.named), pairs)):
            groups = self.groups(number, [""] * left)
            found += [(id, rounds * (1 + len(members))) for id, members in groups.items()]
        return found

    def candidate(self, name: str, outcome: halving.Outcome) -> dict[str, Any]:
        """A candidate in extra; the ratio is the search's own, no verdict."""
        ratios, options = outcome.ratios.get(name, []), self.named[name]
        found = {"name": name, "options": options, "args": list(space.arguments(options)), "pairs": len(ratios)}
        ratio = experiment.figure(ratios)
        return {**found, "ratio": ratio and {**ratio, "pairs": len(ratios)}, "out": outcome.out.get(name)}

    def rung(self, rung: halving.Rung) -> dict[str, Any]:
        found = {"rung": rung.number, "pairs": rung.pairs, "tried": list(rung.tried), "kept": list(rung.kept)}
        return {**found, "cells": list(self.groups(rung.number, rung.tried))}


def measure(session: Any, options: argparse.Namespace, help_text: str, check: Check) -> None:
    """Searches, confirms, and writes the configuration where it gains."""
    run, quick = session.run, options.quick
    asked = session.sized(workloads.WORKLOADS[options.workload])
    base, known = space.defaults(help_text), features.known(help_text)
    names = features.available(known, lambda words: frozenset(" ".join(FEATURES.findall(check(words))).split()))
    found = space.space(base, [name for name in known if name in names], asked)
    count = options.candidates or (QUICK_CANDIDATES if quick else CANDIDATES)
    named, refused = chosen(found, base, count, options.seed, check)
    for text in refused:
        session.note(f"not tried, because the server refuses it: {text}")
    search = Search(session, asked, options.cores, named)
    session.refuse_missing([search.default])
    pairs = options.pairs or (QUICK_RUNG_PAIRS if quick else RUNG_PAIRS)
    confirm = options.confirm_pairs or (QUICK_CONFIRM_PAIRS if quick else CONFIRM_PAIRS)
    final = Experiment(session, asked, confirm)
    cells = [("noise", 2 * confirm), (CONFIRM, 2 * confirm), *(search.samples(pairs) if named else [])]
    experiment.expect(f"{asked.name}:", (final, cells))
    shown = {*found, "cq-depth", *(features.setting(name, True)[0] for name in names)}
    extra = {"workload": asked.name, "seed": options.seed, "space": found}
    extra["default"] = {key: base[key] for key in sorted(base) if key in shown}
    extra |= {"candidates": [], "rungs": [], "winner": None, "confirmation": None}
    run.extra = extra = {**extra, "gained": False, "config": None, "config_file": None, "text": ""}
    final.noise(search.default)
    outcome = halving.run(list(named), pairs, search.measure)
    extra["candidates"] = [search.candidate(name, outcome) for name in named]
    extra["rungs"] = [search.rung(rung) for rung in outcome.rungs]
    extra["winner"] = outcome.winner
    session.save()
    if outcome.winner is None:
        extra["text"] = "No candidate could be measured, so nothing was tuned."
        run.conclusions = [extra["text"]]
        return
    cell = final.cell(CONFIRM, (search.default, search.variants[outcome.winner]), {"purpose": CONFIRM})
    conclude(session, options, cell, named[outcome.winner], check)


def conclude(session: Any, options: argparse.Namespace, cell: results.Cell, settings: Settings, check: Check) -> None:
    """The verdict, from the confirmation alone, and the file that follows from it."""
    run, extra, winner = session.run, session.run.extra, session.run.extra["winner"]
    ratio = experiment.paired(cell, winner, "default")
    found = Verdict.of(COST, ratio, run.noise)
    kind = "none" if found.within_noise else {"less": "gains", "more": "costs"}.get(found.kind, found.kind)
    extra["confirmation"] = {"cell": cell.id, "variant": winner, "ratio": ratio, "verdict": kind}
    extra["gained"] = kind == "gains"
    extra["text"] = say("tuned", found, space.described(settings))
    run.conclusions = [extra["text"]]
    seen = Verdict.of(COST, next(one["ratio"] for one in extra["candidates"] if one["name"] == winner))
    if seen.median < 1:
        run.conclusions.append(say("searched", seen, len(extra["candidates"])))
    if not extra["gained"] and not options.write_anyway:
        run.conclusions.append("No configuration was written: keep the default.")
        return
    where = env.machine(run.environment)
    extra["config"] = fill("config", run, where, newest.commit(run), extra, ratio, settings) + "\n"
    path = beside(session.path, options.config_file)
    same_as_arguments(extra["config"], settings, check)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(extra["config"])
    extra["config_file"] = str(path)
    how = "Use it with" if extra["gained"] else "Written anyway"
    run.conclusions.append(f"{how}: torc --config {shlex.quote(str(path))}")


def rows(run: results.Run) -> list[list[str]]:
    """The candidates of the last rung that had any, as HEADER has them, and the confirmation."""
    extra, found = run.extra, []
    last = extra["rungs"][-1]["tried"] if extra["rungs"] else []
    for one in [one for one in extra["candidates"] if one["name"] in last]:
        found.append((f"{one['name']}: {space.described(one['options'])}", one["ratio"]))
    if confirmed := extra["confirmation"]:
        found.append((f"confirmation of {confirmed['variant']}", confirmed["ratio"]))
    return [[what, str(ratio["pairs"] if ratio else 0), experiment.shown_ratio(ratio)] for what, ratio in found]


def same_as_arguments(text: str, settings: Settings, check: Check) -> None:
    """Refuses a file that the server reads differently from the options that were measured."""
    with tempfile.NamedTemporaryFile("w", prefix="torc-tune-", suffix=".conf") as file:
        file.write(text)
        file.flush()
        if check(("--config", file.name)) != check(space.arguments(settings)):
            what = space.described(settings)
            raise results.ResultsError(f"the server reads the configuration differently from what was measured: {what}")


def beside(path: Path, chosen: Path | None) -> Path:
    """Where the configuration goes: the file that was chosen, or one beside the result file, which it may not be."""
    config = chosen or path.with_suffix(".conf")
    if config.resolve() == path.resolve():
        why = f"{path} would be the result file and the configuration"
        raise results.ResultsError(f"{why}: name {'another --config-file' if chosen else f'it {path.stem}.json'}")
    results.refuse_too_long(config)
    return config


def refuse_unwritable(path: Path) -> None:
    """Refuses, before anything is measured, a file that could not be written at the end."""
    there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise SubjectError(f"--config-file: {path} cannot be written: {error.strerror or error}") from error


def run(options: argparse.Namespace) -> int:
    if options.config_file:
        refuse_unwritable(options.config_file)

    def take(session: Any) -> None:
        lab = Path(binary(options.build, "torc-lab"))
        # One core: this process itself may be left one CPU only, and the ring is the same.
        always = ("--check", "--engine", "io_uring", "--cores", "1", *options.server_args)
        measure(session, options, features.ask(lab, "--help"), lambda words: features.ask(lab, *always, *words))

    return experiment.run(
        f"tuned options, {options.workload}",
        options,
        take,
        HEADER,
        rows,
        lambda path: beside(path, options.config_file),
    )
