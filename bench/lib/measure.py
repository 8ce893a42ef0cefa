"""One round: a fresh server process of each variant, and runs of torc-load that take turns among
them and watch their CPU time."""

import contextlib
import dataclasses
import re
import time
from typing import Any, Callable, Sequence

from . import answers, ceiling, load, measures, proc
from .ceiling import SATURATED
from .results import Sample
from .subject import Place, Server, Subject, Variant
from .subjects import WARMUP
from .workloads import Workload

PART_SECONDS = 0.2  # of a sample that is taken in parts, about
PART_WARMUP = 0.03  # of all parts but the first, whose server is warm
PART_OVERHEAD = 0.13  # seconds: to start and end processes, about
RETAKEN = 2  # times that a part is taken again in which no request was answered
PLACEHOLDER = re.compile(r"\{(?:rand|seq):(\d+)(?::\d+)?\}")
Cpus = Callable[[Variant], tuple[Sequence[int], Sequence[int]]]
Asked = Sequence[tuple[Variant, Subject]]
Announce = Callable[[Variant], None]
Taken = tuple[dict[str, Any], measures.Window]  # of a part


def saturated(server: bool, generator: bool) -> str:
    if server and generator:
        return "both"
    return "server" if server else "load" if generator else "neither"


def requests(workload: Workload, host: str, port: int) -> list[bytes]:
    """What is asked before timing: every form once, with the least value of each placeholder."""
    forms = [template.encode() for template in workload.templates]
    for path in workload.paths:
        head = f"{workload.method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        if workload.body_bytes:
            head += f"Content-Length: {workload.body_bytes}\r\n"
        forms.append(f"{head}\r\n".encode() + b"x" * workload.body_bytes)
    plain = [PLACEHOLDER.sub(r"\1", form.decode("latin-1")).encode("latin-1") for form in forms]
    return plain * workload.pipeline


def _answers(workload: Workload, server: Server, place: Place) -> tuple[list[bytes], list[bytes]]:
    """Heads, dates masked, and bodies of one server's answers, each a good one with the body that is expected."""
    asked = requests(workload, server.host, server.port)
    got = answers.exchange(server.host, server.port, asked, pipelined=workload.pipeline > 1)
    expected = workload.expect.encode() if workload.expect is not None else None
    if workload.expect_file is not None:
        expected = (place.www / workload.expect_file).read_bytes()
    for head, body in got:
        if not head.startswith(b"HTTP/1.1 %d " % workload.status):
            raise answers.AnswerError("answered " + head.split(b"\r\n", 1)[0].decode("latin-1", "replace"))
        if expected is not None and body != expected:
            where = answers.difference(body, expected)
            raise answers.AnswerError(f"does not answer the body that is expected, {where}")
    return [answers.masked(head) for head, _ in got], [body for _, body in got]


def start_failure(variant: Variant, subject: Subject, place: Place, cpus: Cpus) -> str | None:
    """Why a server does not run here, which is found out by starting it once."""
    try:
        with subject.started(place, variant, cpus(variant)[0]):
            return None
    except (proc.ProcessError, OSError) as error:
        return str(error)


def check_answers(workload: Workload, variants: Asked, place: Place, cpus: Cpus) -> dict[Variant, str]:
    """Starts each variant once and refuses unless all answer alike: bodies always, heads among the
    workload's whole_heads. Of the user's commands it gives those that do not, with the reason."""
    left_out: dict[Variant, str] = {}
    first: dict[str, tuple[Variant, list[bytes]]] = {}  # of what was seen first, heads and bodies
    for variant, subject in variants:
        try:
            with subject.started(place, variant, cpus(variant)[0]) as server:
                heads, bodies = _answers(workload, server, place)
            _compare(first.setdefault("bodies", (variant, bodies)), bodies)
            if subject.name in workload.whole_heads:
                _compare(first.setdefault("heads", (variant, heads)), heads)
        except (answers.AnswerError, proc.ProcessError, OSError, ValueError) as error:
            if not subject.trusted:
                left_out[variant] = str(error)
            elif isinstance(error, proc.ProcessError):
                raise
            else:
                raise answers.AnswerError(f"{workload.name}: {variant.label}: {error}") from error
    return left_out


def _compare(first: tuple[Variant, list[bytes]], got: list[bytes]) -> None:
    variant, known = first
    for one, other in zip(known, got):
        if one != other:
            raise answers.AnswerError(f"answers unlike {variant.label} {answers.difference(one, other)}")


def totals(server: Server) -> dict[str, Any] | None:
    """What torc has counted so far, from its admin side; None of other servers."""
    found = (measures.read(server) or {}).get("total")
    return found if isinstance(found, dict) else None


def parts_of(workload: Workload, seconds: float) -> int:
    return max(min(workload.parts, int(seconds / PART_SECONDS + 0.5)), 1)


def expected_seconds(workload: Workload, seconds: float) -> float:
    """How long a sample takes, all about it included."""
    return seconds + workload.warmup + workload.ramp + parts_of(workload, seconds) * PART_OVERHEAD


class Running:
    """One variant's server during a round, and what its parts have shown so far."""

    def __init__(self, variant: Variant, subject: Subject, server: Server, number: int, order: int) -> None:
        self.variant, self.server = variant, server
        self.sample = Sample(variant.name, number, order, round(time.time(), 3))
        self.pids = proc.family(server.child.pid)
        self.counted = totals(server)
        self.first_warmup = WARMUP.get(subject.name, 0.0)
        self.reports: list[dict[str, Any]] = []
        self.windows: list[measures.Window] = []
        self.others = self.stolen = self.wall = 0.0

    def part(self, workload: Workload, place: Place, cpus: Sequence[int], seconds: float) -> None:
        """Some of the sample's time under load; nothing more once something went wrong. One in which no request was
        answered, for the machine stood still, is taken again."""
        if self.sample.invalid is not None or self.reports and load.failures(self.reports[-1]):
            return
        try:
            found = self._part(workload, place, cpus, seconds)
            for _ in () if any(map(load.empty, self.reports)) else range(RETAKEN):  # unless the sample is lost already
                if found is None or not load.empty(found[0]):
                    break
                self.sample.retaken += 1
                found = self._part(workload, place, cpus, seconds)
        except proc.Gone as error:
            child = self.server.child
            self.sample.invalid = str(error) if child.wait(0) is None else f"the server ended: {child.complaint()}"
            return
        if found is not None:
            self.reports.append(found[0])
            self.windows.append(found[1])

    def _new(self) -> list[int]:
        """Processes of the server that are not counted."""
        return [one for one in proc.family(self.server.child.pid) if one not in self.pids]

    def _part(self, workload: Workload, place: Place, cpus: Sequence[int], seconds: float) -> Taken | None:
        warmup = PART_WARMUP if self.reports else max(workload.warmup, self.first_warmup)
        self.pids += self._new()
        own = time.process_time()  # this program is no other one
        busy, stolen = proc.machine_seconds()
        before = proc.cpu_ns(self.pids)
        begins = warmup + workload.ramp + PART_OVERHEAD / 2  # about
        with measures.Window(self.server, begins, seconds) as window:
            done = load.run(workload, self.server, place, cpus, seconds, warmup, self.pids)
        used = (proc.cpu_ns(self.pids) - before) / 1e9
        if self._new():
            self.sample.invalid = "the server started processes while it was measured, whose CPU time is not counted"
            return None
        busy_after, stolen_after = proc.machine_seconds()
        own = time.process_time() - own
        self.others += busy_after - busy - used - done.cpu_seconds - own  # the kernel counts in ticks of 10 ms
        self.stolen += stolen_after - stolen
        self.wall += done.wall
        return done.report, window

    def finish(self) -> Sample:
        """The sample that all parts make, while the server still runs."""
        sample = self.sample
        if sample.invalid is not None:
            return sample
        sample.peak_rss_kb = proc.peak_rss_kb(self.pids)
        after = totals(self.server)
        _fill(sample, load.merged(self.reports), self.variant.cores)
        empty = sum(map(load.empty, self.reports))
        if sample.invalid is None and empty:
            sample.invalid = f"no request was answered in {empty} of its {len(self.reports)} parts"
        for name, value in measures.of(self.windows).items():
            setattr(sample, name, value)
        sample.others_share = round(max(self.others, 0.0) / self.wall, 4)
        sample.steal_share = round(self.stolen / self.wall, 4)
        if self.counted is not None and after is not None:
            _count(sample, {key: after[key] - self.counted[key] for key in after if key in self.counted})
        return sample


def take_round(
    workload: Workload,
    asked: Asked,
    place: Place,
    cpus: Cpus,
    number: int,
    seconds: float,
    announce: Announce,
    kind: Any = Running,
) -> list[Sample]:
    """One sample of each variant, taken in parts that alternate where their kind and their ports allow. Every
    round starts its servers afresh, so that no single memory layout decides. What disturbs a shared machine comes
    and goes within seconds and costs up to a quarter: parts short enough fall on all variants alike."""
    ordered = list(enumerate(asked if number % 2 == 0 else asked[::-1]))
    ports = [subject.port for _, subject in asked if subject.port]
    parts, samples = parts_of(workload, seconds), []
    for group in [ordered] if kind is Running and len(ports) == len(set(ports)) else [[one] for one in ordered]:
        with contextlib.ExitStack() as stack:
            runs = []
            for order, (variant, subject) in group:
                try:
                    server = stack.enter_context(subject.started(place, variant, cpus(variant)[0]))
                    runs.append(kind(variant, subject, server, number, order))
                except proc.ProcessError as error:
                    if subject.trusted:
                        raise
                    why = f"the server did not start: {error}"  # though it did before: it is the user's
                    samples.append(Sample(variant.name, number, order, round(time.time(), 3), invalid=why))
            for part in range(parts):
                for run in runs if part % 2 == 0 else reversed(runs):
                    if part == 0:
                        announce(run.variant)
                    run.part(workload, place, cpus(run.variant)[1], seconds / parts)
            samples += [run.finish() for run in runs]
    for sample in samples:
        sample.ceiling_share = ceiling.share(dataclasses.asdict(workload), sample.per_second)
    return samples


def _fill(sample: Sample, report: dict[str, Any], cores: int) -> None:
    latency, watch = report["latency_ns"], report.get("watch") or {}
    requests = max(report["answered"], 1)
    own = report["cpu"]["user_ns"] + report["cpu"]["system_ns"]
    sample.invalid = load.errors(report)
    sample.seconds = report["seconds"]
    sample.requests = report["answered"]
    sample.per_second = round(report["per_second"], 1)
    sample.cpu_ns = watch.get("cpu_ns", 0)
    sample.cpu_ns_per_request = round(sample.cpu_ns / requests, 3)
    sample.with_load_ns_per_request = round((sample.cpu_ns + own) / requests, 3)
    sample.server_share = round(sample.cpu_ns / 1e9 / max(sample.seconds, 1e-9) / cores, 4)
    sample.load_share = report["cpu"]["share"]
    if (waited := watch.get("waited_ns")) is not None:
        sample.waited_share = round(waited / 1e9 / max(sample.seconds, 1e-9) / cores, 4)
        sample.idle_share = round(max(1 - sample.server_share - sample.waited_share, 0.0), 4)
    sample.load_waited_share = report["cpu"].get("waited_share")
    full = report["saturated"] or sample.load_share >= SATURATED
    sample.saturated = saturated(sample.server_share >= SATURATED, full)
    sample.latency_us = load.microseconds(latency["corrected"])
    if report["mode"] == "open":
        sample.latency_raw_us = load.microseconds(latency["raw"])
    sample.histogram = load.coarse(latency["corrected"]["histogram"])
    for name in ("errors", "connects", "unsent", "parts", "advice"):
        setattr(sample, name, report[name])
    if sample.invalid is None and sample.cpu_ns == 0:
        sample.invalid = "the server's CPU time could not be read"


def _count(sample: Sample, total: dict[str, float]) -> None:
    """The server's own counters over the whole load, openings of connections included."""
    if total.get("requests", 0) > 0 and "syscalls" in total:
        sample.syscalls_per_request = round(total["syscalls"] / total["requests"], 4)
    if total.get("turns", 0) > 0 and total.get("cqes", 0) > 0:
        sample.completions_per_wait = round(total["cqes"] / total["turns"], 2)
    sample.overflows = total.get("cq_overflows")
    sample.starved = total.get("buffers_short")
