"""torc-bench answer: whether io_uring is worth it here, at what depth, on how many cores, and for
what gain, from the newest finished run of every kind.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from . import ablate, env, experiment, features, knee, results, scale, sweep
from .newest import File, Files, Line, commit, runs_in, shown
from .results import Run
from .tally import FEW_NAMES, Tally, listed, measured, of_epoll, of_peers, sized, variant

SUMMARY = "say what the newest runs answer: io_uring or not, what depth, how many cores, what gain"
RESULTS = Path(__file__).resolve().parents[1] / "results"
WIDTH = 98
LITTLE = 0.02  # a difference of less than this is called little
BLIND = 0.10  # an interval around 1 that reaches further has not looked closely enough
CLEARLY = 3  # times as many workloads on one side as on the other make a plain yes or no
USE, DEPTH, CORES, GAIN = ("Should I use io_uring?", "At what depth?", "On how many cores?", "What would I gain?")


@dataclass(frozen=True)
class Answer:
    """The four questions with their lines, and what they are about."""

    about: str
    notes: list[str]
    parts: dict[str, list[Line]]


def use(files: Files) -> list[Line]:
    """Whether io_uring can be used, and whether it uses less CPU than epoll."""
    found = [
        files.line(
            files.newest,
            one["text"],
            "No, not as this machine is now." + (f" Remedy: {one['remedy']}" if one.get("remedy") else ""),
        )
        for one in files.newest[1].doctor
        if one["level"] == "fail"
    ]
    file = files.pick("compare", of_epoll)
    tally = of_epoll(file[1]) if file else None
    if file is None or tally is None:
        return found or [files.missing("compare", "Whether io_uring costs less than epoll")]
    text = (
        f"torc io_uring used less CPU per request than torc epoll on "
        f"{len(tally.less) or 'none'} of {len(tally.all)} workloads, more on "
        f"{len(tally.more) or 'none'}{'; ' if tally.rest else ''}{tally.rest}."
    )
    for word, some in (("gain", tally.less), ("loss", tally.more)):
        ends = [f"{sized(one)} on {cell.id}" for cell, one in some]
        if len(ends) == 1:
            text += f" The only {word} is {ends[0]}."
        elif ends:
            text += f" The largest {word} is {ends[0]}, the smallest {ends[-1]}."
    text += reason(file[1], tally) + tally.caveat + tails(file[1])
    return [*found, files.line(file, text, plain_word(tally))]


def reason(run: Run, tally: Tally) -> str:
    """What goes with the gain, on a machine whose system calls are dear."""
    dear = next((one["text"] for one in run.doctor if one["id"] == "syscalls" and one["level"] == "limit"), None)
    for cell, _ in tally.less if dear else []:
        ours, theirs = (
            cell.median(str(variant(cell, engine)), "syscalls_per_request") for engine in ("io_uring", "epoll")
        )
        if ours is not None and theirs is not None and ours < theirs:
            return (
                f" On {cell.id} it makes {ours:.2f} system calls per request where epoll makes "
                f"{theirs:.2f}, and {str(dear).partition(' here')[0]} here."
            )
    return ""


def tails(run: Run) -> str:
    """p99 in one sentence: of the open loops where there are any, for they are what users see."""
    cells = measured(run)
    opened = [cell for cell in cells if cell.workload.get("rate")]
    tally = Tally(run, "io_uring", "epoll", "latency_us.p99", opened or cells)
    where = f"of {len(tally.all)} workloads in {'an open' if opened else 'a closed'} loop"
    if not tally.less and not tally.more:
        return f" No difference in p99 latency could be detected in any {where}." * bool(tally.all)
    return (
        f" Its p99 latency was lower in {len(tally.less) or 'none'} {where}, higher in " f"{len(tally.more) or 'none'}."
    )


def plain_word(tally: Tally) -> str:
    """Yes, no, or why neither."""
    gains, losses = ([cell.id for cell, _ in some] for some in (tally.less, tally.more))
    told = [*tally.less, *tally.more]
    if not told:
        reach = max(abs(edge - 1) for _, one in tally.all for edge in (one.low, one.high))
        if reach > BLIND:
            return (
                f"It cannot be told: a difference of up to {reach * 100:.0f} % would not have "
                "been seen; give more --pairs."
            )
        return f"It makes little difference: none above {reach * 100:.1f} % on any workload."
    largest = max((one for _, one in told), key=lambda one: abs(one.median - 1))
    if abs(largest.median - 1) < LITTLE:
        return f"It makes little difference: {results.size(largest.median)} at most."
    if len(told) * CLEARLY < len(tally.all) and not (gains and losses):
        return (
            f"It makes little difference: only {listed(gains or losses)} "
            f"{'used less' if gains else 'used more'}, {results.size(largest.median)} at most."
        )
    if len(gains) >= CLEARLY * len(losses):
        but = f", but not for {listed(losses)}" if losses else ""
        return f"Yes: it uses less CPU for {listed(gains)}{but}."
    if len(losses) >= CLEARLY * len(gains):
        but = f", and less only for {listed(gains)}" if gains else ""
        return f"No: it uses more CPU for {listed(losses)}{but}."
    return f"It depends on what is served: yes for {listed(gains)}, no for {listed(losses)}."


def depth(files: Files) -> list[Line]:
    """The knees of a sweep, and the depth that tune chose."""
    found = []
    if file := files.pick("sweep", lambda run: run.extra.get("knees")):
        knees = file[1].extra["knees"]
        texts = [f"{file[1].extra['workload']}, {one['text']}" for one in knees[:FEW_NAMES]]
        if len(knees) > FEW_NAMES:
            texts.append(f"{len(knees) - FEW_NAMES} more settings are in the file.")
        found.append(files.line(file, " ".join(map(capital, texts)), depth_word(knees)))
    else:
        found.append(files.missing("sweep", "Beyond which depth nothing is gained"))
    if file := files.pick("tune", lambda run: run.extra.get("winner")):
        extra = file[1].extra
        options = next(one["options"] for one in extra["candidates"] if one["name"] == extra["winner"])
        if extra["gained"] and "depth" in options:
            text = f"The options that tune found for {extra['workload']} have depth " f"{options['depth']}."
        elif extra["gained"]:
            text = (
                f"The options that tune found for {extra['workload']} leave the depth at its "
                f"default, {extra['default'].get('depth')}."
            )
        else:
            text = (
                f"Tune found nothing for {extra['workload']} that gains on the default, whose "
                f"depth is {extra['default'].get('depth')}."
            )
        found.append(files.line(file, text))
    return found


def depth_word(knees: Sequence[Mapping[str, Any]]) -> str:
    """One depth for all settings, or why there is none."""
    told = [one for one in knees if one["depth"] is not None and one["change"]]
    if not told:
        return "It cannot be told: fewer than two depths were measured."
    deepest = max(told, key=lambda one: one["depth"])
    change = deepest["change"]
    if deepest["other"] < deepest["depth"]:
        return f"At least {deepest['depth']}: it is the deepest tried and still gains."
    if change["low"] <= 0 and max(-change["low"], change["high"]) > knee.UNTOLD:
        return f"It cannot be told from so few pairs: keep the default, {sweep.DEFAULT_DEPTH}, or " "give more --pairs."
    if all(one["alike"] for one in told):
        return "It makes no difference that could be detected: keep the default."
    default = sweep.DEFAULT_DEPTH
    costly = min((depth for one in told for depth in one["dearer"]), default=default + 1)
    if deepest["depth"] <= default < costly:
        return f"The default, {default}: beyond {deepest['depth']} nothing is gained or lost up to it."
    than = "costs more" if costly <= default else "gains less"
    return f"Depth {deepest['depth']}: the default, {default}, {than}."


def cores(files: Files) -> list[Line]:
    """What more cores do to the cost of a request, as far as this machine can tell."""
    file = files.pick("scale", lambda run: run.extra.get("points"))
    if file is None:
        return [files.missing("scale", "What more cores bring")]
    run, extra = file[1], file[1].extra
    points = [point for point in extra["points"] if point["samples"]]
    apart = [point for point in points if not point["shared_cpus"]]
    texts = []
    for engine in extra["engines"]:
        mine = [[p for p in some if p["engine"] == engine] for some in (apart, points)]
        several = next((some for some in mine if len(some) > 1), None)
        cell = run.cell(several[0]["cell"]) if several else None
        if several and cell:
            if several is not mine[0] and scale.SHARED not in "".join(texts):
                texts.append(
                    f"With more than {experiment.cores_text(several[0]['cores'])}, "
                    f"{scale.SHARED}, which says little of the server alone."
                )
            ends = [scale.Point(engine, several[at]["cores"]) for at in (0, -1)]
            texts.append(scale.step(cell, *ends, several[-1]["shared_cpus"], run.noise)["text"])
        if fit := extra["fits"].get(engine):
            texts.append(fit["text"].partition(";")[0].removesuffix(".") + ".")
    most = max((point["cores"] for point in apart), default=0)
    beyond = ""
    if len(apart) < len(points):
        end = f" beyond {experiment.cores_text(most)}" if most else ""
        beyond = f"this machine cannot tell{end}: with more, server and load share its CPUs"
    return [files.line(file, capital(f"{extra['workload']}: {' '.join(texts)}"), cores_word(apart, most, beyond))]


def cores_word(apart: Sequence[Mapping[str, Any]], most: int, beyond: str) -> str:
    """The core count with the largest capacity."""
    first = apart[0]["engine"] if apart else ""
    mine = [p for p in apart if p["engine"] == first and p["capacity"]]
    if len(mine) < 2:
        return capital(
            f"{beyond or 'it cannot be told: one core count was measured'}. Keep the "
            "default, one for each CPU, and run scale where it is to serve."
        )
    best = max(mine, key=lambda point: point["capacity"]["median"])["cores"]
    text = (
        f"As many as you have, up to the {most} measured: each set of more serves more"
        if best == mine[-1]["cores"]
        else f"{experiment.cores_text(best)}: with more, up to {most}, it serves less"
    )
    return capital(f"{text}{'; ' if beyond else ''}{beyond}.")


def gain(files: Files) -> list[Line]:
    """io_uring against everything else, what tuning adds, and which features it comes from."""
    found = []
    versus = files.pick("compare", of_epoll)
    others = files.pick("compare", of_peers)
    epoll = of_epoll(versus[1]) if versus else None
    if versus and epoll:
        found.append(files.line(versus, epoll.against("torc epoll")))
    else:
        found.append(files.missing("compare", "What io_uring gains on epoll"))
    if others:
        texts = [tally.against(name) for name, tally in of_peers(others[1]).items()]
        found.append(files.line(others, " ".join(texts)))
    else:
        found.append(files.missing("compare", "What it gains on other servers", " io_uring epoll nginx h2o lighttpd"))
    if file := files.pick("tune", lambda run: run.extra.get("text")):
        extra = file[1].extra
        also = f" Serve with it: torc --config {extra['config_file']}" if extra["gained"] else ""
        found.append(files.line(file, f"{capital(extra['workload'])}: {extra['text']}{also}"))
    else:
        found.append(files.missing("tune", "What other options gain on the default ones"))
    if file := files.pick("ablate", lambda run: run.extra.get("total")):
        found.append(files.line(file, worth(file[1])))
    else:
        found.append(files.missing("ablate", "Which features the gain comes from"))
    return found


def worth(run: Run) -> str:
    """What all features are worth together, and the largest alone: taken out of all, and put into
    none, which finds those that do the same work as another. Taken out, one that does nothing while
    another is there does not count."""
    extra = run.extra
    text = f"{capital(extra['workload'])}: {extra['total']['text']}"
    for context, how in ((ablate.OUT, "taken out"), (ablate.INTO, "put into the bare ring")):
        saving = [
            one
            for one in extra["effects"]
            if one["verdict"] == "saves"
            and one["context"] == context
            and (context == ablate.INTO or features.HIDDEN_BY.get(one["feature"]) not in extra["full"])
            and not results.not_above_noise(results.COST, one["ratio"]["low"], one["ratio"]["high"], run.noise)
        ]
        best = sorted(saving, key=lambda one: one["ratio"]["median"])[:FEW_NAMES]
        sizes = [
            f"{one['feature']} {-(one['ratio']['median'] - 1) * 100:.1f} % "
            f"({experiment.span(*((one['ratio'][end] - 1) * 100 for end in ('low', 'high')))})"
            for one in best
        ]
        if sizes:
            text += f" What saves most, {how} alone: {listed(sizes)}."
        else:
            text += f" No feature {how} alone is seen to save more than a server differs from itself."
    return text


def capital(text: str) -> str:
    """A sentence's first letter, unless it begins with a name of torc's."""
    return text if text.startswith("torc") else text[:1].upper() + text[1:]


def answer(found: Sequence[File]) -> Answer | None:
    """The answer that result files give together; None without any."""
    if not found:
        return None
    files, notes = Files(found), []
    if files.away:
        names = listed([path.name for path, _ in files.away])
        notes.append(f"Left out, for they are of another CPU or kernel: {names}.")
    parts = {USE: use(files), DEPTH: depth(files), CORES: cores(files), GAIN: gain(files)}
    about = f"{env.machine(files.newest[1].environment)}; torc of {commit(files.newest[1])}"
    return Answer(about, notes, parts)


def text(found: Answer) -> str:
    """The answer for a terminal."""

    def wrapped(words: str) -> str:
        return textwrap.fill(
            words, WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )

    lines = textwrap.wrap(found.about, WIDTH) + found.notes
    for question, part in found.parts.items():
        lines += ["", question]
        for line in part:
            lines.append(wrapped(line.text))
            if line.word:
                lines.append(wrapped(line.word))
            if line.path:
                remark = f", {line.remark}" if line.remark else ""
                lines.append(f"  ({shown(line.path)}{remark})")
    return "\n".join(lines)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What to answer from."""
    parser.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="DIR|FILE",
        default=[RESULTS],
        help="result files, or directories of them (bench/results)",
    )


def run(options: argparse.Namespace) -> int:
    """The subcommand; 1 where no run is finished, or a file that was named cannot be read."""
    files: list[File] = []
    damaged = False
    for path in options.files:
        if path.is_dir():
            files += runs_in(path)[0]
            continue
        try:
            files.append((path, results.load(path)))
        except results.ResultsError as error:
            print(error, file=sys.stderr)
            damaged = True
    found = answer(files)
    if found is None and not damaged:
        where = ", ".join(shown(path) for path in options.files)
        print(f"no result file in {where}: bench/torc-bench compare io_uring epoll makes one", file=sys.stderr)
    if found is None:
        return 1
    print(text(found))
    return 0 if any(one.finished for _, one in files) and not damaged else 1
