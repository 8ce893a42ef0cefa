"""torc-bench answer: whether, how and why to use io_uring here, from the newest run of every kind."""

import argparse
import textwrap
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from . import ablate, ceiling, ending, env, features, knee, results, scale, sweep
from .newest import RESULTS, File, Files, Line, commit, none_in, runs_in, shown
from .results import Cell, Run
from .tally import Judged, Tally, measured, of_epoll, of_peers, variant
from .verdict import Verdict
from .words import CEILING_SHARE, COST, FEW_NAMES, capital, listed, say

SUMMARY = "answer from the newest runs: io_uring or not, at what depth, on how many cores, for what gain"
WIDTH = 98
LITTLE = 0.02  # a difference of CPU or throughput of less than this is called little
BLIND = 0.10  # an interval around 1 that reaches further could hide a difference that matters; also of a latency
TWO = ("io_uring", "epoll")
CLEARLY = 3  # times as many workloads on one side as on the other make a plain yes or no
USE, DEPTH, CORES, GAIN = ("Should I use io_uring?", "At what depth?", "On how many cores?", "What would I gain?")
PARALLEL = "Are all requests executed in parallel and handled asynchronously?"


class Answer(NamedTuple):
    """The questions with their lines, and what they are about."""

    about: str
    notes: list[str]
    parts: dict[str, list[Line]]


def use(files: Files) -> list[Line]:
    """Whether io_uring can be used, and whether it uses less CPU than epoll."""
    failed = [one for one in files.newest[1].doctor if one["level"] == "fail"]
    found = [files.line(files.newest, one["text"], say("impossible", one.get("remedy"))) for one in failed]
    what = "whether io_uring uses less CPU than epoll"
    line = files.tell("compare", of_epoll, against_epoll, what, word=plain_word)
    return [*found, line] if line.path or not found else found


def against_epoll(run: Run) -> str:
    """On how many workloads io_uring uses less CPU than epoll, by how much and why; how much of a ceiling each
    reaches; and latency, of the open loops where there are any, for they are what users see."""
    tally, opened = Tally(run, *TWO), open_loops(run)
    tails = [("p99", Tally(run, *TWO, "latency_us.p99", opened or measured(run)))]
    latencies = open_latencies(run) if opened else tails
    reached = [f"On {cell.id}, {ceiling.sentence(cell, *sides(cell), verdict)}" for cell, verdict in shares(run)]
    return say("against_epoll", tally, saved_calls(run, tally), reached, latencies, bool(opened))


def open_loops(run: Run) -> list[Cell]:
    return [cell for cell in measured(run) if cell.workload.get("rate")]


def open_latencies(run: Run) -> list[tuple[str, Tally]]:
    """The percentiles that are compared where the rate is given."""
    return [(name, Tally(run, *TWO, f"latency_us.{name}", open_loops(run))) for name in ("p50", "p99")]


def shares(run: Run) -> list[Judged]:
    """Where the two reach detectably different shares of a ceiling."""
    tally = Tally(run, *TWO, CEILING_SHARE)
    return [*tally.less, *tally.more]


def sides(cell: Cell) -> list[str]:
    """The two in a cell that has both."""
    return [str(variant(cell, engine)) for engine in TWO]


def beside(run: Run) -> str:
    """What CPU per request does not tell: shares of a ceiling and latencies that differ by more than a little."""
    large = [(cell, one) for cell, one in shares(run) if one.size >= LITTLE and ceiling.is_own(cell, *sides(cell), one)]
    latencies = []
    for name, tally in open_latencies(run):
        told = [[cell.id for cell, one in some if one.size >= BLIND] for some in (tally.less, tally.more)]
        latencies += [(name, *told)] if any(told) else []
    return say("beside", large, latencies)


def saved_calls(run: Run, tally: Tally) -> dict[str, Any] | None:
    """The system calls that are saved on a workload, on a machine whose system calls are expensive."""
    dear = [one["text"] for one in run.doctor if one["id"] == "syscalls" and one["level"] == "limit"]
    for cell, _ in tally.less if dear else []:
        ours, theirs = (cell.median(name, "syscalls_per_request") for name in sides(cell))
        if ours is not None and theirs is not None and ours < theirs:
            return {"id": cell.id, "ours": ours, "theirs": theirs, "cost": dear[0].partition(" here")[0]}
    return None


def plain_word(run: Run) -> str:
    """Yes, no, or why neither; by CPU per request, and what that does not tell."""
    tally = Tally(run, *TWO)
    gains, losses = ([cell.id for cell, _ in some] for some in (tally.less, tally.more))
    told = [one for _, one in [*tally.less, *tally.more]]
    largest = max(told, key=lambda one: one.size).median if told else max(one.reach for _, one in tally.all)
    if not told:
        kind = "blind" if largest > BLIND else "none"
    elif abs(largest - 1) < LITTLE:
        kind = "little"
    elif len(told) * CLEARLY < len(tally.all) and not (gains and losses):
        kind = "rare"
    elif len(gains) >= CLEARLY * len(losses):
        kind = "yes"
    else:
        kind = "no" if len(losses) >= CLEARLY * len(gains) else "both"
    return " ".join(filter(None, (say("plain_word", kind, largest, gains, losses), beside(run))))


def depth(files: Files) -> list[Line]:
    """The knees of a sweep, and the depth that tune chose."""

    def knees(run: Run) -> str:
        found = run.extra["knees"]
        return say("knees", run.extra["workload"], found[:FEW_NAMES], len(found) - FEW_NAMES)

    what = "the depth beyond which nothing is gained"
    swept = files.tell("sweep", has("knees"), knees, what, word=lambda run: depth_word(run.extra["knees"]))
    file = files.pick("tune", has("winner"))
    return [swept, files.line(file, say("tuned_depth", file[1].extra))] if file else [swept]


def depth_word(knees: Sequence[Mapping[str, Any]]) -> str:
    """One depth for all settings, or why there is none."""
    told, default = [one for one in knees if one["depth"] is not None and one["change"]], sweep.DEFAULT_DEPTH
    if not told:
        return say("depth_word", "unmeasured", None, default)
    deepest = max(told, key=lambda one: one["depth"])
    change, knee_at = deepest["change"], deepest["depth"]
    costly = min((depth for one in told for depth in one["dearer"]), default=default + 1)
    if deepest["other"] < knee_at:
        kind = "deepest"
    elif change["low"] <= 0 and max(-change["low"], change["high"]) > knee.UNTOLD:
        kind = "wide"
    elif all(one["alike"] for one in told):
        kind = "alike"
    elif knee_at <= default < costly:
        kind = "default"
    elif costly <= default:  # which need not have been tried
        kind = "costly" if any(default in one["dearer"] for one in told) else "dearer"
    else:
        kind = "shallow"
    return say("depth_word", kind, knee_at, default)


def cores(files: Files) -> list[Line]:
    """What more cores do to the cost of a request, as far as this machine can tell."""
    return [files.tell("scale", has("points"), scaled, "the effect of more cores", word=cores_word)]


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
                texts.append(say("beyond", several[0]["cores"], scale.SHARED))
            ends = [scale.variant(engine, several[at]["cores"]) for at in (0, -1)]
            texts.append(scale.step(cell, *ends, several[-1]["shared_cpus"], run.noise)["text"])
        if fit := run.extra["fits"].get(engine):
            texts.append(fit["text"].partition(";")[0].removesuffix(".") + ".")
    return capital(f"{run.extra['workload']}: {' '.join(texts)}")


def cores_word(run: Run) -> str:
    """The core count with the largest capacity, of the points with CPUs of their own."""
    points, apart = measured_points(run)
    mine = [point for point in apart if point["engine"] == apart[0]["engine"] and point["capacity"]]
    best = max(mine, key=lambda point: float(point["capacity"]["median"])) if len(mine) > 1 else None
    most = max((point["cores"] for point in apart), default=0)
    return say("cores_word", best and best["cores"], most, len(apart) < len(points))


def gain(files: Files) -> list[Line]:
    """io_uring against everything else, what tuning adds, and which features it comes from."""

    def peers(run: Run) -> str:
        return " ".join(tally.against(name) for name, tally in of_peers(run).items())

    others = " io_uring epoll nginx h2o lighttpd"
    return [
        files.tell("compare", of_epoll, lambda run: Tally(run, *TWO).against("torc epoll"), "the gain over epoll"),
        files.tell("compare", of_peers, peers, "the gain over other servers", others),
        files.tell("tune", has("text"), lambda run: say("tuned_gain", run.extra), "the gain from other options"),
        files.tell("ablate", has("total"), worth, "the features that the gain comes from"),
    ]


def worth(run: Run) -> str:
    """What all features are worth together, and the largest alone: taken out of all, and put into
    none, which also shows those that do the same work as another. Taken out, a feature does not count
    that does nothing while another is there."""
    extra = run.extra
    texts = [f"{extra['workload']}: {extra['total']['text']}"]
    for context, how in ((ablate.OUT, "taken out"), (ablate.INTO, "put into the bare ring")):
        hidden = extra["full"] if context == ablate.OUT else ()
        mine = [one for one in extra["effects"] if one["verdict"] == "saves" and one["context"] == context]
        counted = [one for one in mine if features.HIDDEN_BY.get(one["feature"]) not in hidden]
        judged = [(one["feature"], Verdict.of(COST, one["ratio"], run.noise)) for one in counted]
        best = sorted((one for one in judged if not one[1].within_noise), key=lambda one: one[1].median)
        texts.append(say("savings", how, best[:FEW_NAMES]))
    return capital(" ".join(texts))


def parallel(files: Files) -> list[Line]:
    """What the experiments say together."""
    what = "what is parallel and what is asynchronous"
    return [files.tell("explain", has("experiments"), lambda run: (run.conclusions or [""])[0], what)]


def has(name: str) -> Callable[[Run], Any]:
    """Whether a run has that in its extra."""
    return lambda run: run.extra.get(name)


def answer(found: Sequence[File]) -> Answer | None:
    """The answer that result files give together; None without any."""
    if not found:
        return None
    files, notes = Files(found), []
    if files.away:
        names = listed([path.name for path, _ in files.away])
        notes.append(f"Left out, because they are of another CPU or kernel: {names}.")
    parts = {USE: use(files), DEPTH: depth(files), CORES: cores(files), GAIN: gain(files)}
    parts[PARALLEL] = parallel(files)
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
    text = "result files, or directories of them (bench/results)"
    parser.add_argument("files", type=Path, nargs="*", metavar="DIR|FILE", default=[RESULTS], help=text)


def run(options: argparse.Namespace) -> int:
    """1 where no run is finished, or a file that was named cannot be read."""
    files: list[File] = []
    damaged = False
    for path in options.files:
        if path.is_dir():
            files += runs_in(path)[0]
            continue
        try:
            files.append((path, results.load(path)))
        except results.ResultsError as error:
            ending.tell(str(error))
            damaged = True
    found = answer(files)
    if found is None:
        return 1 if damaged else none_in(", ".join(shown(path) for path in options.files))
    print(text(found))
    return 0 if any(one.finished for _, one in files) and not damaged else 1
