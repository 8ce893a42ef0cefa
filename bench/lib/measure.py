"""One sample: a server, a warm-up, and a run of wrk with CPU readings right before and after."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import Sequence

from . import answers, proc, stats, wrk
from .subjects import Place, Subject
from .workloads import Workload

SATURATED = 0.95  # of a core
GRACE_SECONDS = 20.0  # that wrk may take beyond its duration, connecting and reporting
SETTLE_SECONDS = 0.03  # for the server to close the warm-up's connections


@dataclass
class Sample:
    """What one run showed. Shares are of one core over the run; latencies are in microseconds."""

    workload: str
    subject: str
    round: int
    connections: int
    started: float  # seconds since the epoch
    invalid: str | None = None  # why it does not count
    requests: int = 0
    seconds: float = 0.0
    per_second: float = 0.0
    steady_per_second: float = 0.0  # without the time that connecting takes
    cpu_ns: int = 0
    cpu_ns_per_request: float = 0.0
    server_share: float = 0.0
    load_share: float = 0.0
    others_share: float = 0.0  # what the rest of the machine used
    latency_us: dict[str, float | None] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    reopened: int = 0  # connections accepted on this machine beyond those of the run


def saturated(server_share: float, load_share: float) -> str:
    """Which side had a full core."""
    server, load = server_share >= SATURATED, load_share >= SATURATED
    if server and load:
        return "both"
    return "server" if server else "load" if load else "neither"


def check_answers(workload: Workload, subjects: Sequence[Subject], place: Place) -> None:
    """Starts each subject once and refuses unless all answer this workload alike."""
    first: tuple[Subject, bytes] | None = None
    for subject in subjects:
        server = subject.start(place)
        with server.child:
            try:
                got = answers.checked(
                    answers.fetch(server.host, server.port, workload.path, workload.depth),
                    workload.whole_answer,
                )
            except (answers.AnswerError, OSError) as error:
                raise answers.AnswerError(
                    f"{workload.name}: {subject.label}: {error}") from error  # fmt: skip
        if first is None:
            first = subject, got
        elif got != first[1]:
            raise answers.AnswerError(
                f"{workload.name}: {first[0].label} and {subject.label} answer differently "
                + answers.difference(first[1], got))  # fmt: skip


def _load(url: str, workload: Workload, seconds: int, place: Place, cpus: Sequence[int],
          stop_after: float | None = None) -> tuple[proc.Child, str]:  # fmt: skip
    """Runs wrk to its end, or interrupts it, which makes it finish early. Returns its output."""
    script = place.scratch / f"wrk-{workload.depth}.lua"
    script.write_text(wrk.script(workload.depth))
    command = wrk.command(url + workload.path, str(script), workload.connections, seconds)
    place.started["wrk"] = command
    output = place.scratch / "wrk.out"
    with output.open("w") as sink, proc.Child(command, cpus, place.scratch / "wrk.log",
                                              sink) as child:  # fmt: skip
        if stop_after is not None:
            child.wait(stop_after)
            child.signal(signal.SIGINT)
        status = child.wait(seconds + GRACE_SECONDS)
        if status != 0:
            raise proc.ProcessError(f"wrk ended ({status}): {child.complaint()}")
    return child, output.read_text()


def take(workload: Workload, subject: Subject, number: int, seconds: int, place: Place,
         load_cpus: Sequence[int]) -> Sample:  # fmt: skip
    """One sample of a fresh server process, so that no single memory layout decides."""
    sample = Sample(workload.name, subject.name, number, workload.connections, time.time())
    server = subject.start(place)
    with server.child:
        if workload.warmup > 0:
            _load(server.url, workload, seconds, place, load_cpus, stop_after=workload.warmup)
            time.sleep(SETTLE_SECONDS)
        pids = proc.family(server.child.pid)
        accepted = proc.connections_accepted()
        busy = proc.machine_busy_seconds()
        before = proc.read_cpu(pids)
        load, output = _load(server.url, workload, seconds, place, load_cpus)
        after = proc.read_cpu(pids)
        busy = proc.machine_busy_seconds() - busy
        accepted = proc.connections_accepted() - accepted
        if server.child.wait(0) is not None:
            raise proc.ProcessError(f"{subject.label} ended: {server.child.complaint()}")
    try:
        figures = wrk.parse(output, workload.connections, workload.depth)
    except wrk.WrkError as error:
        sample.invalid = str(error)
        return sample
    _fill(sample, figures, proc.cpu_between(before, after), load, busy)
    sample.reopened = max(accepted - workload.connections, 0)
    failed = {name: count for name, count in figures.errors.items() if count}
    if failed or figures.requests == 0:
        listed = ", ".join(f"{count} {name} errors" for name, count in failed.items())
        sample.invalid = listed or "no request was answered"
    return sample


def _fill(sample: Sample, figures: wrk.Figures, cpu_ns: int, load: proc.Child,
          busy_seconds: float) -> None:  # fmt: skip
    wall = figures.duration_us / 1e6
    usage = load.usage
    load_seconds = usage.ru_utime + usage.ru_stime if usage else 0.0
    sample.requests = figures.requests
    sample.seconds = wall
    sample.per_second = figures.per_second
    sample.steady_per_second = figures.steady_per_second
    sample.cpu_ns = cpu_ns
    sample.cpu_ns_per_request = cpu_ns / max(figures.requests, 1)
    sample.server_share = cpu_ns / 1e9 / wall
    sample.load_share = load_seconds / wall
    sample.others_share = max(busy_seconds / wall - sample.server_share - sample.load_share, 0.0)
    sample.errors = figures.errors
    sample.latency_us = {
        "mean": stats.histogram_mean(figures.latency),
        **{f"p{percent:g}": stats.histogram_percentile(figures.latency, percent)
           for percent in (50, 90, 99, 99.9, 100)},
    }  # fmt: skip
