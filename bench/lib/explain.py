"""torc-bench explain: the claims about parallel and asynchronous requests, each tried on real servers."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any, Sequence

from . import alone, ending, env, experiment, progress, table
from .lab import abuse, compute, concurrent, database, faster, files, models, overload, retries, sequence
from .lab.claim import Claim, Finding
from .lab.stage import ASYNCHRONOUS, Stage
from .options import DEFAULT_BUILD, TOP, directory
from .subject import Place, SubjectError
from .workloads import write_static

SUMMARY = "try what is said about parallel and asynchronous requests, claim by claim"
TRIED = (
    models,
    compute,
    faster,
    sequence,
    concurrent,
    overload,
    abuse,
    database,
    retries,
    files,
)  # in the order of the answer
CLAIMS = {module.CLAIM.name: module.CLAIM for module in TRIED}
QUICKLY = 0.4  # of the time of a whole run, with --quick


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    names = experiment.names(list(CLAIMS), several=True)
    text = f"the experiments to run, of {', '.join(CLAIMS)} (all)"
    add("--only", type=names, metavar="LIST", default=list(CLAIMS), help=text)
    text = "the engine of servers that wait without a thread (io_uring, or epoll where that is refused)"
    add("--engine", type=experiment.names(ASYNCHRONOUS), metavar="NAME", help=text)
    add("--quick", action="store_true", help="shorter runs")
    text = "the build directory to run (build/release)"
    add("--build", type=directory, metavar="DIR", default=DEFAULT_BUILD, help=text)
    add("--json", type=Path, metavar="FILE", help="the result file (bench/results/explain-TIME.json)")


def show(claim: Claim, finding: Finding) -> None:
    print(f"\n{claim.title}\n{claim.question} One would guess: {claim.guess}\n")
    print(table.table(finding.header, finding.rows))
    print(f"\n{finding.theory}\n{finding.verdict}", flush=True)


def entry(claim: Claim, finding: Finding) -> dict[str, Any]:
    """What the file has of an experiment."""
    texts = {"name": claim.name, "title": claim.title, "question": claim.question, "guess": claim.guess}
    said = {"holds": finding.holds, "verdict": finding.verdict, "theory": finding.theory}
    return {**texts, **said, "header": finding.header, "rows": finding.rows, "samples": finding.samples}


def run(options: argparse.Namespace) -> int:
    claims, missing = able([CLAIMS[name] for name in options.only])
    for claim, why in missing:
        print(f"{claim.name}: left out: {why}")
    if not claims:
        ending.say("no experiment can run here")
        return 1
    seconds = sum(claim.seconds for claim in claims) * (QUICKLY if options.quick else 1)
    count = "1 experiment" if len(claims) == 1 else f"{len(claims)} experiments"
    print(f"{count}, about {progress.about(seconds)}", flush=True)
    found = []
    with alone.Lock() as lock:
        place = Place(options.build.resolve(), lock.scratch, lock.scratch / "www", (), {})
        write_static(place.www)
        stage = Stage(place, sorted(os.sched_getaffinity(0)), options.quick, options.engine)
        if why := stage.refuses(stage.engine):
            raise SubjectError(f"{stage.engine}: {why}")
        for claim in claims:
            finding = claim.take(stage)
            show(claim, finding)
            found.append(entry(claim, finding))
    for text in stage.notes:
        print(f"\nnote: {text}")
    save(options, found)
    return 0


def able(claims: Sequence[Claim]) -> tuple[list[Claim], list[tuple[Claim, str]]]:
    """Those that can run here, and the others with what they lack."""
    lacks = {claim: why for claim in claims if (why := claim.needs()) is not None}
    return [claim for claim in claims if claim not in lacks], list(lacks.items())


def save(options: argparse.Namespace, found: Sequence[dict[str, Any]]) -> None:
    path = options.json or TOP / "bench/results" / time.strftime("explain-%Y%m%d-%H%M%S.json")
    about = {"kind": "explain", "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "quick": options.quick}
    text = json.dumps({**about, "environment": env.collect(TOP, options.build), "experiments": found}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    except OSError as error:
        raise SubjectError(f"{path}: cannot be written: {error.strerror}") from error
    print(f"\nevery sample: {path}")
