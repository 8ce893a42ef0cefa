"""torc-bench explain: the claims about parallel and asynchronous requests, each tried on real servers."""

import argparse
import functools
from pathlib import Path
from typing import Any, Sequence

from . import ending, experiment, others, page, progress, remarks, table
from .lab import abuse, client, compute, concurrent, database, faster, files, models, overload, picture, proxy
from .lab import judged, retries, sequence, stack
from .lab.claim import HEADLINE, Claim, Finding
from .lab.stage import ASYNCHRONOUS, Lacking, Stage
from .options import DEFAULT_BUILD, directory
from .page import svg
from .session import Session
from .subject import SubjectError
from .words import say

SUMMARY = "try what is said about parallel and asynchronous requests, claim by claim"
QUESTION = "Are all web requests executed in parallel and handled asynchronously?"
TRIED = (
    client,
    concurrent,  # in progress is not running: what all others are told in
    models,
    compute,
    faster,
    sequence,
    files,
    overload,
    abuse,
    database,
    retries,
    proxy,
    stack,
)  # in the order of the answer
CLAIMS = {module.CLAIM.name: module.CLAIM for module in TRIED}
NUMBERS = {name: number for number, name in enumerate(CLAIMS, 1)}
QUICKLY = 0.4  # of the time of a whole run, with --quick
KEPT = ("holds", "verdict", "brief", "theory", "header", "rows", "samples")  # of a finding, as they are
# What a session takes and an experiment decides itself.
DECIDED = {"commands": [], "server_args": [], "cores": 1, "connections": None, "pairs": None, "seconds": None}


def chosen(text: str) -> list[str]:
    """Experiments by name or number, in the order of the answer."""
    by_number = {str(number): name for name, number in NUMBERS.items()}
    found = [by_number.get(word, word) for word in text.split(",")]
    for word, name in zip(text.split(","), found):
        if name not in CLAIMS:
            known = f"{', '.join(CLAIMS)}, or their numbers from 1 to {len(CLAIMS)}"
            raise argparse.ArgumentTypeError(f"takes names of {known}, not {word!r}")
    return [name for name in CLAIMS if name in found]


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = f"the experiments to run, by name or number, of {', '.join(CLAIMS)} (all)"
    add("--only", type=chosen, metavar="LIST", default=list(CLAIMS), help=text)
    text = "the engine of servers that wait without a thread (io_uring, or epoll where that is refused)"
    add("--engine", type=experiment.names(ASYNCHRONOUS), metavar="NAME", help=text)
    add("--quick", action="store_true", help="shorter runs")
    text = "the build directory to run (build/release)"
    add("--build", type=directory, metavar="DIR", default=DEFAULT_BUILD, help=text)
    text = "the result file (bench/results/explain-TIME.json); the page is beside it"
    add("--json", type=Path, metavar="FILE", help=text)
    text = "go on with a run that was interrupted; its options are in FILE"
    add("--resume", type=Path, metavar="FILE", help=text)
    parser.set_defaults(**DECIDED)


def show(
    claim: Claim, finding: Finding, lacks: Sequence[str], notes: Sequence[str] = (), others_share: float = 0.0
) -> None:
    print(f"\n{NUMBERS[claim.name]}. {claim.title}\n{claim.question} A common guess: {claim.guess}\n")
    print(table.table(finding.header, finding.rows))
    said = judged.judge(finding.holds, finding.missed, finding.unsure, others_share)
    print(f"\nIn general: {claim.truth}\n{said.text}. {finding.verdict}")
    print(f"What arithmetic says: {finding.theory}", flush=True)
    for one in notes:
        print(f"note: {one}", flush=True)
    for one in lacks:
        print(f"not tried: {one}", flush=True)


def about(claim: Claim) -> dict[str, Any]:
    """What the file has of an experiment whether it was run or not."""
    texts = {"name": claim.name, "title": claim.title, "question": claim.question, "guess": claim.guess}
    return {"number": NUMBERS[claim.name], **texts}


def entry(claim: Claim, finding: Finding, stage: Stage, watch: others.Watch) -> dict[str, Any]:
    """What the file has of an experiment that was run; all of it is plain data."""
    said = {key: getattr(finding, key) for key in KEPT}
    return {
        **about(claim),
        **said,
        "truth": claim.truth,
        "missed": list(finding.missed),
        "unsure": list(finding.unsure),
        "headline": finding.headline,
        "pictures": picture.plain(finding.pictures, finding.header, finding.rows),
        "measures": [{**one._asdict(), "found": dict(one.found)} for one in finding.measures],
        "lacks": list(stage.missing),
        "commands": stage.repeat.plain(),
        "seconds": round(watch.seconds, 1),
        "others_share": round(watch.share, 4),
    }


def able(claims: Sequence[Claim]) -> tuple[list[Claim], list[tuple[Claim, str]]]:
    """Those that can run here, and the others with what they lack."""
    lacks = {claim: why for claim in claims if (why := claim.needs()) is not None}
    return [claim for claim in claims if claim not in lacks], list(lacks.items())


def answer(experiments: Sequence[dict[str, Any]]) -> str:
    """All of them in one paragraph, with this machine's figures."""
    otherwise = [f'"{one["title"]}"' for one in experiments if judged.of_entry(one).kind != judged.SHOWN]
    briefs = [one["brief"] for one in experiments if one["brief"]]
    headlines = [one["headline"] for one in experiments if one.get("headline")]
    return say("explained", len(experiments), len(CLAIMS), otherwise, briefs, [*headlines, HEADLINE][0])


def run(options: argparse.Namespace) -> int:
    claims, missing = able([CLAIMS[name] for name in options.only])
    left_out: list[dict[str, Any]] = []
    for claim, why in missing:
        _leave_out(left_out, claim, why)
    if claims:
        with Session("explain", options, QUESTION, page.beside) as session:
            kept = session.run.extra.setdefault("experiments", [])
            session.run.extra["left_out"] = left_out
            done = {one["name"] for one in kept}
            _take(session, [claim for claim in claims if claim.name not in done])
            if kept:
                print(f"\n{session.run.conclusions[0]}\n")
                return session.finish(functools.partial(_page, session))
    ending.say("no experiment can run here")
    return 1


def _leave_out(left_out: list[dict[str, Any]], claim: Claim, why: str) -> None:
    print(f"{claim.name}: left out: {why}", flush=True)
    left_out.append({**about(claim), "why": why})


def _take(session: Session, claims: Sequence[Claim]) -> None:
    """Runs experiments, and saves the file after each."""
    options, experiments = session.options, session.run.extra["experiments"]
    stage = Stage(session.place, session.affinity, options.quick, options.engine)
    if why := stage.refuses(stage.engine):
        raise SubjectError(f"{stage.engine}: {why}")
    seconds = [claim.seconds * (QUICKLY if options.quick else 1) for claim in claims]
    count = "1 experiment" if len(claims) == 1 else f"{len(claims)} experiments"
    print(f"{count}, about {progress.about(sum(seconds))}" if claims else "all experiments are in the file", flush=True)
    steps = session.progress = progress.Steps(seconds)
    for claim in claims:
        stage.begin()
        stage.tell = steps.begin(claim.title)
        try:
            with others.Watch() as watch:
                finding = claim.take(stage)
        except Lacking as why:
            _leave_out(session.run.extra["left_out"], claim, str(why))
            continue
        finally:
            steps.end()
        experiments.append(entry(claim, finding, stage, watch))
        experiments.sort(key=lambda one: one["number"])
        session.run.conclusions = [answer(experiments), *(one["verdict"] for one in experiments)]
        session.save()
        notes = remarks.of_experiment(finding.samples, watch.share)
        show(claim, finding, list(stage.missing), notes, watch.share)
        for text in stage.notes:
            session.note(text)


def _page(session: Session) -> str:
    """Writes the page, and says where it is."""
    if not svg.available():
        return svg.MISSING
    return f"page: {page.write(session.run, page.beside(session.path))}"
