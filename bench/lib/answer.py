"""torc-bench answer: whether io_uring is worth it here, at what depth, on how many cores, and for
what gain, from the newest finished run of every kind.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from . import ablate, env, features, knee, results, scale, sweep
from .experiment import capital, cores_text
from .newest import File, Files, Line, commit, runs_in, shown
from .results import Run
from .tally import FEW_NAMES, Tally, listed, measured, of_epoll, of_peers, variant
from .verdict import COST, Verdict, size

SUMMARY = "say what the newest runs answer: io_uring or not, what depth, how many cores, what gain"
RESULTS = Path(__file__).resolve().parents[1] / "results"
WIDTH = 98
LITTLE = 0.02  # a difference of less than this is called little
BLIND = 0.10  # an interval around 1 that reaches further could hide a difference that matters
TWO = ("io_uring", "epoll")
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
    found = []
    for one in files.newest[1].doctor:
        if one["level"] == "fail":
            remedy = f" Remedy: {one['remedy']}" if one.get("remedy") else ""
            found.append(files.line(files.newest, one["text"], f"No, not on this machine as configured.{remedy}"))
    what = "whether io_uring uses less CPU than epoll"
    line = files.tell("compare", of_epoll, against_epoll, what, word=lambda run: plain_word(Tally(run, *TWO)))
    return [*found, line] if line.path or not found else found


def against_epoll(run: Run) -> str:
    """On how many workloads io_uring uses less CPU than epoll, by how much, and why."""
    tally = Tally(run, *TWO)
    text = (
        f"torc io_uring used less CPU per request than torc epoll on {len(tally.less) or 'none'} of "
        f"{len(tally.all)} workloads, more on {len(tally.more) or 'none'}{'; ' if tally.rest else ''}{tally.rest}."
    )
    for word, some in (("gain", tally.less), ("loss", tally.more)):
        ends = [f"{size(one.median)} ({one.span}) on {cell.id}" for cell, one in some]
        if len(ends) == 1:
            text += f" The only {word} is {ends[0]}."
        elif ends:
            text += f" The largest {word} is {ends[0]}, the smallest {ends[-1]}."
    return text + reason(run, tally) + tally.caveat + tails(run)


def reason(run: Run, tally: Tally) -> str:
    """The system calls that are saved, on a machine whose system calls are expensive."""
    dear = next((one["text"] for one in run.doctor if one["id"] == "syscalls" and one["level"] == "limit"), None)
    for cell, _ in tally.less if dear else []:
        names = (str(variant(cell, engine)) for engine in TWO)
        ours, theirs = (cell.median(name, "syscalls_per_request") for name in names)
        if ours is not None and theirs is not None and ours < theirs:
            return (
                f" On {cell.id} it makes {ours:.2f} system calls per request where epoll makes {theirs:.2f}, "
                f"and {str(dear).partition(' here')[0]} here."
            )
    return ""


def tails(run: Run) -> str:
    """p99 in one sentence: of the open loops where there are any, for they are what users see."""
    opened = [cell for cell in measured(run) if cell.workload.get("rate")]
    tally = Tally(run, *TWO, "latency_us.p99", opened or measured(run))
    where = f"{len(tally.all)} {'open' if opened else 'closed'}-loop workloads"
    if not tally.all:
        return ""
    if not tally.less and not tally.more:
        return f" Its p99 latency shows no clear difference on any of the {where}."
    less, more = (len(some) or "none" for some in (tally.less, tally.more))
    return f" Its p99 latency was lower on {less} of {where}, higher on {more}."


def plain_word(tally: Tally) -> str:
    """Yes, no, or why neither."""
    gains, losses = ([cell.id for cell, _ in some] for some in (tally.less, tally.more))
    told = [one for _, one in [*tally.less, *tally.more]]
    if not told:
        reach = max(one.reach for _, one in tally.all) * 100
        if reach > BLIND * 100:
            return f"Inconclusive: a difference of up to {reach:.0f} % could have gone undetected; use more --pairs."
        return f"It makes little difference: none above {reach:.1f} % on any workload."
    largest = max(told, key=lambda one: abs(one.median - 1)).median
    if abs(largest - 1) < LITTLE:
        return f"It makes little difference: {size(largest)} at most."
    if len(told) * CLEARLY < len(tally.all) and not (gains and losses):
        which = f"only {listed(gains or losses)} used {'less' if gains else 'more'} CPU"
        return f"It makes little difference: {which}, {size(largest)} at most."
    if len(gains) >= CLEARLY * len(losses):
        but = f", but not for {listed(losses)}" if losses else ""
        return f"Yes: it uses less CPU for {listed(gains)}{but}."
    if len(losses) >= CLEARLY * len(gains):
        but = f", and less only for {listed(gains)}" if gains else ""
        return f"No: it uses more CPU for {listed(losses)}{but}."
    return f"It depends on the workload: yes for {listed(gains)}, no for {listed(losses)}."


def depth(files: Files) -> list[Line]:
    """The knees of a sweep, and the depth that tune chose."""

    def knees(run: Run) -> str:
        found = run.extra["knees"]
        texts = [f"{run.extra['workload']}, {one['text']}" for one in found[:FEW_NAMES]]
        if len(found) > FEW_NAMES:
            texts.append(f"{len(found) - FEW_NAMES} more settings are in the file.")
        return " ".join(map(capital, texts))

    def tuned(run: Run) -> str:
        extra, default = run.extra, run.extra["default"].get("depth")
        options = next(one["options"] for one in extra["candidates"] if one["name"] == extra["winner"])
        if not extra["gained"]:
            return f"For {extra['workload']}, tune found nothing better than the default, depth {default}."
        sets = f"set depth {options['depth']}" if "depth" in options else f"leave the depth at its default, {default}"
        return f"The tuned options for {extra['workload']} {sets}."

    what = "the depth beyond which nothing is gained"
    swept = files.tell("sweep", _has("knees"), knees, what, word=lambda run: depth_word(run.extra["knees"]))
    return [swept, *(files.line(file, tuned(file[1])) for file in [files.pick("tune", _has("winner"))] if file)]


def _has(name: str) -> Callable[[Run], Any]:
    """Whether a run has that in its extra."""
    return lambda run: run.extra.get(name)


def depth_word(knees: Sequence[Mapping[str, Any]]) -> str:
    """One depth for all settings, or why there is none."""
    told = [one for one in knees if one["depth"] is not None and one["change"]]
    if not told:
        return "Unknown: fewer than two depths were measured."
    default = sweep.DEFAULT_DEPTH
    deepest = max(told, key=lambda one: one["depth"])
    change, knee_at = deepest["change"], deepest["depth"]
    if deepest["other"] < knee_at:
        return f"At least {knee_at}: the deepest ring tried still gains."
    if change["low"] <= 0 and max(-change["low"], change["high"]) > knee.UNTOLD:
        return f"Inconclusive with so few pairs: keep the default, {default}, or use more --pairs."
    if all(one["alike"] for one in told):
        return "It makes no detectable difference: keep the default."
    costly = min((depth for one in told for depth in one["dearer"]), default=default + 1)
    if knee_at <= default < costly:
        return f"The default, {default}: it gains nothing over {knee_at} and costs nothing either."
    return f"Depth {knee_at}: the default, {default}, {'costs more' if costly <= default else 'gains less'}."


def cores(files: Files) -> list[Line]:
    """What more cores do to the cost of a request, as far as this machine can tell."""
    return [files.tell("scale", _has("points"), scaled, "the effect of more cores", word=cores_word)]


def measured_points(run: Run) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The points of a scale run with samples, and those of them with CPUs of their own."""
    points = [point for point in run.extra["points"] if point["samples"]]
    return points, [point for point in points if not point["shared_cpus"]]


def scaled(run: Run) -> str:
    """For each engine the cost of its first core count against its last, and where it peaks."""
    texts: list[str] = []
    for engine in run.extra["engines"]:
        points, mine = ([one for one in some if one["engine"] == engine] for some in measured_points(run))
        several = mine if len(mine) > 1 else points
        cell = run.cell(several[0]["cell"]) if len(several) > 1 else None
        if cell:
            if several is not mine and not any(scale.SHARED in text for text in texts):
                first = cores_text(several[0]["cores"])
                texts.append(f"Beyond {first}, {scale.SHARED}, so those figures say little about the server alone.")
            ends = [scale.variant(engine, several[at]["cores"]) for at in (0, -1)]
            texts.append(scale.step(cell, *ends, several[-1]["shared_cpus"], run.noise)["text"])
        if fit := run.extra["fits"].get(engine):
            texts.append(fit["text"].partition(";")[0].removesuffix(".") + ".")
    return capital(f"{run.extra['workload']}: {' '.join(texts)}")


def cores_word(run: Run) -> str:
    """The core count with the largest capacity, of the points with CPUs of their own."""
    points, apart = measured_points(run)
    sharing, most = len(apart) < len(points), max((point["cores"] for point in apart), default=0)
    beyond = f" beyond {cores_text(most)}" if most else ""
    unknown = f"unknown{beyond} on this machine, where server and load would share CPUs"
    mine = [point for point in apart if point["engine"] == apart[0]["engine"] and point["capacity"]]
    if len(mine) < 2:
        why = unknown if sharing else "unknown: only one core count was measured"
        return capital(f"{why}. Keep the default, one core per CPU, and run scale on the target machine.")
    best = max(mine, key=lambda point: float(point["capacity"]["median"]))["cores"]
    text = f"{cores_text(best)}: beyond that, up to {most}, capacity drops"
    if best == mine[-1]["cores"]:
        text = f"As many as you have, up to the {most} measured: capacity still grows"
    return f"{text}{f'; {unknown}' if sharing else ''}."


def gain(files: Files) -> list[Line]:
    """io_uring against everything else, what tuning adds, and which features it comes from."""

    def peers(run: Run) -> str:
        return " ".join(tally.against(name) for name, tally in of_peers(run).items())

    def tuned(run: Run) -> str:
        also = f" Use it with: torc --config {run.extra['config_file']}" if run.extra["gained"] else ""
        return f"{capital(run.extra['workload'])}: {run.extra['text']}{also}"

    others = " io_uring epoll nginx h2o lighttpd"
    return [
        files.tell("compare", of_epoll, lambda run: Tally(run, *TWO).against("torc epoll"), "the gain over epoll"),
        files.tell("compare", of_peers, peers, "the gain over other servers", others),
        files.tell("tune", _has("text"), tuned, "the gain from other options"),
        files.tell("ablate", _has("total"), worth, "the features that the gain comes from"),
    ]


def worth(run: Run) -> str:
    """What all features are worth together, and the largest alone: taken out of all, and put into
    none, which also shows those that do the same work as another. Taken out, a feature does not count
    that does nothing while another is there."""
    extra = run.extra
    text = f"{capital(extra['workload'])}: {extra['total']['text']}"
    for context, how in ((ablate.OUT, "taken out"), (ablate.INTO, "put into the bare ring")):
        saving = []
        for one in extra["effects"]:
            hidden = context == ablate.OUT and features.HIDDEN_BY.get(one["feature"]) in extra["full"]
            found = Verdict.of(COST, one["ratio"], run.noise)
            if one["verdict"] == "saves" and one["context"] == context and not hidden and not found.within_noise:
                saving.append((found.median, f"{one['feature']} {found.percent} ({found.span})"))
        best = [words for _, words in sorted(saving)[:FEW_NAMES]]
        none = f" No feature {how} alone saves more than the A/A noise."
        text += f" Largest savings, {how} alone: {listed(best)}." if best else none
    return text


def answer(found: Sequence[File]) -> Answer | None:
    """The answer that result files give together; None without any."""
    if not found:
        return None
    files, notes = Files(found), []
    if files.away:
        names = listed([path.name for path, _ in files.away])
        notes.append(f"Left out, because they are of another CPU or kernel: {names}.")
    parts = {USE: use(files), DEPTH: depth(files), CORES: cores(files), GAIN: gain(files)}
    about = f"{env.machine(files.newest[1].environment)}; torc at {commit(files.newest[1])}"
    return Answer(about, notes, parts)


def text(found: Answer) -> str:
    """The answer for a terminal."""

    def wrapped(words: str) -> str:
        return textwrap.indent(textwrap.fill(words, WIDTH - 2, break_long_words=False, break_on_hyphens=False), "  ")

    lines = textwrap.wrap(found.about, WIDTH) + found.notes
    for question, part in found.parts.items():
        lines += ["", question]
        for line in part:
            lines += [wrapped(words) for words in (line.text, line.word) if words]
            if line.path:
                remark = f", {line.remark}" if line.remark else ""
                lines.append(f"  ({shown(line.path)}{remark})")
    return "\n".join(lines)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What to answer from."""
    text = "result files, or directories of them (bench/results)"
    parser.add_argument("files", type=Path, nargs="*", metavar="DIR|FILE", default=[RESULTS], help=text)


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
