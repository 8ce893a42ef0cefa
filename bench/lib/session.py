"""One run of the bench: its CPUs, its scratch directory, its result file, and its cells."""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import itertools
import os
import shlex
import time
from pathlib import Path
from typing import Any, Callable, Sequence

from . import alone, doctor, ending, env, idle, load, measure, remarks, results, syscalls, workloads
from .options import TOP, add_options  # noqa: F401 (subcommands take add_options from here)
from .proc import Child, ProcessError
from .progress import Progress
from .record import Beside, Record
from .subject import Place, Subject, SubjectError, Variant
from .subjects import FLOORS, known
from .workloads import Workload


PLAIN = (bool, int, float, str, list, type(None))


def _plain(options: argparse.Namespace) -> dict[str, Any]:
    """The options as a file has them: paths as text, and nothing that the file has elsewhere."""
    texts = {key: str(one) if isinstance(one, Path) else one for key, one in vars(options).items()}
    kept = texts.keys() - {"commands", "argv", "resume"}
    return {key: one for key, one in texts.items() if key in kept and isinstance(one, PLAIN)}


class Session:
    """A run from its first check to its finished file. Used as a context: it stops every process
    at the end and keeps what was measured, however it ends."""

    def __init__(self, kind: str, options: argparse.Namespace, title: str = "", beside: Beside | None = None) -> None:
        self.options = options
        self.resumed: results.Run | None = getattr(options, "resumed", None)
        self.subjects = {**known(), **{one.name: one for one in options.commands}}
        self.affinity = sorted(os.sched_getaffinity(0))
        self.server_cpus, self.load_cpus, shared = env.divide_cpus(self.affinity, options.cores)
        self.run = self.resumed or results.Run(kind, title or kind, time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        if self.resumed is None:
            self.run.command = ["bench/torc-bench", *getattr(options, "argv", [kind])]
            self.run.options = _plain(options)
        default = TOP / "bench/results" / time.strftime(f"{kind}-%Y%m%d-%H%M%S.json")
        path = getattr(options, "resume", None) or options.json or default
        self.record = Record(self.run, path, options.json is not None, self.resumed is not None, beside)
        self.start = time.monotonic() - self.run.seconds
        self.progress = Progress(0)
        self.checked: dict[tuple[Any, ...], list[Variant]] = {}
        self.told: set[str] = set()  # notes that were printed, and cells of which all was said
        self.run.pinning = {"server": self.server_cpus, "load": self.load_cpus}
        if shared and options.cores <= len(self.affinity):
            self.note(shared)

    def __enter__(self) -> Session:
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(alone.lock())
            stack.callback(self.record.drop_empty)
            build = self.options.build.resolve()
            self.place = Place(build, scratch, scratch / "www", self.options.server_args, self.run.commands)
            if not build.is_dir():
                raise SubjectError(f"--build: no directory {build}: build torc first, with bench/run or meson")
            load.program(build)  # before anything takes time
            self.record.make()
            workloads.write_static(self.place.www)
            self._describe()
            own = [cpu for cpu in self.affinity if cpu not in self.server_cpus]
            os.sched_setaffinity(0, own or self.affinity)
            self.clean = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self.clean:
            self.progress.clear()
            if kind is not None:
                Child.stop_all()
            os.sched_setaffinity(0, self.affinity)
            if kind is not None and self.run.measured:
                self._keep(kind)

    def _keep(self, kind: type[BaseException]) -> None:
        """Saves what an interrupted run has, and says how to go on."""
        what = "measured so far"
        try:
            self.save()
        except results.ResultsError as error:
            if kind is not results.ResultsError:  # it ended for another reason, which is said later
                ending.say(str(error))
            if not self.record.kept and self.record.made:
                return
            what = "saved before"
        again = f"bench/torc-bench {self.run.kind} --resume {shlex.quote(str(self.path))}"
        ending.tell(f"what was {what} is in {self.path}; go on with: {again}")

    def _describe(self) -> None:
        environment = env.collect(TOP, self.place.build)
        if self.resumed is None:
            self.run.environment = environment
        else:
            for line in env.differences(self.run.environment, environment):
                self.note(f"gone on in another environment: {line}")
        self.run.doctor = [dataclasses.asdict(finding) for finding in doctor.findings(self.place.build)]

    def note(self, text: str) -> None:
        """Keeps a note for the reader and prints it, each once."""
        if text not in self.run.notes:
            self.run.notes.append(text)
        self._print_once(text, f"note: {text}")

    def _print_once(self, key: str, text: str) -> None:
        if key not in self.told:
            self.told.add(key)
            self.progress.clear()
            print(text, flush=True)

    def expect(self, samples: int) -> None:
        self.progress.total += samples

    def subject(self, variant: Variant) -> Subject:
        if variant.subject not in self.subjects:
            raise SubjectError(f"takes subjects of {', '.join(self.subjects)}, not {variant.subject!r}")
        return self.subjects[variant.subject]

    def refuse_missing(self, variants: Sequence[Variant]) -> None:
        """Refuses, with the reason, unless each of them can run here; a command of the user's is
        left to fails()."""
        for variant in variants:
            if variant.cores > len(self.affinity):
                here = f"takes 1 to {len(self.affinity)} here, not {variant.cores}"
                raise SubjectError(f"--cores: {here}, for so many CPUs may be used")
            why = self.subject(variant).refuses(self.place, variant)
            if variant.cores > 1 and variant.subject in FLOORS:
                why = "runs on one core only"
            if why and self.subject(variant).trusted:
                raise SubjectError(f"{variant.subject}: {why}")

    def fails(self, variant: Variant) -> str | None:
        """Why a command of the user's, or a floor, does not run here; it is started once. None of others."""
        subject = self.subject(variant)
        if subject.trusted and subject.name not in FLOORS:
            return None
        return subject.refuses(self.place, variant) or measure.start_failure(variant, subject, self.place, self.cpus)

    def able(self, workload: Workload, variants: Sequence[Variant]) -> list[Variant]:
        """Those of the variants that can serve the workload; the others are named in a note."""
        listed = [one for one in variants if workload.subjects is None or one.subject in workload.subjects]
        chosen = [one for one in listed if self.subject(one).can(workload.name)]
        for variant in variants:
            if variant not in chosen:
                self.note(f"{workload.name}: {variant.label} cannot serve it and is left out")
        return chosen

    def sized(self, workload: Workload) -> Workload:
        """The workload with as many connections as were asked for and this machine can open."""
        wanted = self.options.connections or workload.connections
        possible, remedy = workloads.connections_possible(), "raise ulimit -n and net.ipv4.ip_local_port_range"
        if not possible:
            raise SubjectError(f"{workload.name}: no connection can be had beside what a server keeps open: {remedy}")
        if wanted > possible:
            self.note(f"{workload.name} runs with {possible:,} connections instead of {wanted:,}: {remedy}")
        return dataclasses.replace(workload, connections=min(wanted, possible))

    def pairs(self, workload: Workload) -> int:
        return self.options.pairs or (workload.quick_pairs if self.options.quick else workload.pairs)

    def seconds(self, workload: Workload) -> float:
        return self.options.seconds or (workload.quick_seconds if self.options.quick else workload.seconds)

    def cell(
        self,
        id: str,
        workload: Workload,
        variants: Sequence[Variant],
        pairs: int,
        seconds: float,
        factors: dict[str, object] | None = None,
        metrics: Sequence[str] = (),
        count_syscalls: bool = False,
    ) -> results.Cell:
        """Checks the answers, takes interleaved rounds and saves the file. A cell that the file has is
        returned as it is; one that was interrupted goes on with its first round that is not whole."""
        if len({variant.name for variant in variants}) != len(variants):
            raise ValueError(f"{id}: two variants have one name")
        cell = self.run.cell(id)
        if cell is not None and cell.complete:
            self._tell_invalid(cell)
            return cell
        variants = self.check_answers(workload, variants)
        if cell is None:
            asked, sides = dataclasses.asdict(workload), [dataclasses.asdict(variant) for variant in variants]
            cell = results.Cell(id, asked, dict(factors or {}), sides, pairs, answers="alike")
            self.run.cells.append(cell)
        taken = collections.Counter(sample.round for sample in cell.samples)
        cell.samples = [sample for sample in cell.samples if taken[sample.round] == len(variants)]
        rounds = [number for number in range(pairs) if taken[number] != len(variants)]
        self.progress.total = max(self.progress.total, self.progress.done + len(rounds) * len(variants))
        for number in rounds:
            cell.samples += self._round(workload, variants, number, seconds, f"{id}, round {number + 1} of {pairs}")
        if count_syscalls:
            for variant in variants:
                self._count_syscalls(cell, workload, variant)
        self._conclude(cell, metrics or results.metrics(workload.name))
        return cell

    def _conclude(self, cell: results.Cell, metrics: Sequence[str]) -> None:
        wanted = itertools.product(itertools.combinations(cell.names, 2), metrics)
        found = [results.ratio(cell, *pair, metric, self.run.noise) for pair, metric in wanted]
        cell.ratios = [ratio for ratio in found if ratio is not None]
        cell.notes += [note for note in remarks.cell_notes(cell) if note not in cell.notes]
        cell.complete = True
        self.save()
        self._tell_invalid(cell)

    def _tell_invalid(self, cell: results.Cell) -> None:
        """Prints which samples of a cell do not count, and why."""
        if cell.invalid:
            self._print_once(cell.id, "\n".join(f"{cell.id}: {note}" for note in remarks.invalid_notes(cell)))

    def _round(
        self, workload: Workload, variants: Sequence[Variant], number: int, seconds: float, title: str
    ) -> list[results.Sample]:
        def announce(variant: Variant) -> None:
            self.progress.show(f"{title}: {variant.label}")

        asked = self._asked(variants)
        kind = idle.Holding if workload.name == "idle" else measure.Running
        return measure.take_round(workload, asked, self.place, self.cpus, number, seconds, announce, kind)

    def _asked(self, variants: Sequence[Variant]) -> measure.Asked:
        return [(variant, self.subject(variant)) for variant in variants]

    def cpus(self, variant: Variant) -> tuple[list[int], list[int]]:
        """The CPUs of a variant's server and of its load."""
        if variant.cores == self.options.cores:
            return self.server_cpus, self.load_cpus
        server, load_cpus, shared = env.divide_cpus(self.affinity, variant.cores)
        if shared:
            self.note(shared)
        return server, load_cpus

    def check_answers(self, workload: Workload, variants: Sequence[Variant]) -> list[Variant]:
        """Compares the bytes of all answers, once for the same question and variants. What differs is
        refused, but for a command of the user's, which is left out."""
        key = (workload.name, workload.paths, workload.templates, *variants)
        if key not in self.checked:
            self.refuse_missing(variants)
            if any(path.startswith("/static/") and path.endswith("m.txt") for path in workload.paths):
                workloads.write_static(self.place.www, large=True)
            left_out = measure.check_answers(workload, self._asked(variants), self.place, self.cpus)
            for variant, why in left_out.items():
                self.note(f"{workload.name}: {variant.label} is left out: {why}")
            self.checked[key] = [variant for variant in variants if variant not in left_out]
        return self.checked[key]

    def _count_syscalls(self, cell: results.Cell, workload: Workload, variant: Variant) -> None:
        """By one more run that is not timed, where the server does not count them itself."""
        mine, subject = cell.valid(variant.name), self.subject(variant)
        if not mine or workload.name == "idle" or mine[0].syscalls_per_request is not None:
            return
        try:
            mine[0].syscalls_per_request = syscalls.count(workload, subject, variant, self.place, *self.cpus(variant))
        except ProcessError:
            if subject.trusted:
                raise

    def noise(self, workload: Workload, variant: Variant, pairs: int, seconds: float) -> results.Cell:
        """The A/A run: what this machine makes of a variant set against itself."""
        again = dataclasses.replace(variant, name=f"{variant.name} (again)", label=f"{variant.label} (again)")
        metrics = ("cpu_ns_per_request", "per_second")
        cell = self.cell("noise", workload, (variant, again), pairs, seconds, {"purpose": "A/A"}, metrics)
        found = results.ratio(cell, variant.name, again.name)
        if found is not None:
            kept = ("metric", "low", "median", "high", "pairs")
            self.run.noise = {name: getattr(found, name) for name in kept}
            self.save()
        return cell

    @property
    def path(self) -> Path:
        return self.record.path

    def save(self) -> None:
        self.run.seconds = round(time.monotonic() - self.start, 1)
        self.record.save()

    def finish(self, written: Callable[[], str] | None = None) -> int:
        """Completes the file and says where it is: 0, or 1 when a sample did not count. What is written from it says
        so itself; else the command for its page is named."""
        self.progress.clear()
        for text in remarks.run_warnings(self.run) + self.run.notes:  # those of an earlier part of the run, too
            self.note(text)
        self.run.finished = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self.save()
        for cell in self.run.cells:
            self._tell_invalid(cell)  # those of an earlier part of the run, too
        print(f"every sample: {self.path}")
        print(written() if written else f"page: bench/torc-bench report {shlex.quote(str(self.path))}")
        invalid = sum(len(cell.invalid) for cell in self.run.cells)
        if invalid:
            what = "1 sample is invalid and does" if invalid == 1 else f"{invalid} samples are invalid and do"
            print(f"{what} not count: see INVALID above; the exit status is 1 for it")
        elif not self.run.measured:
            print("no sample was taken; the exit status is 1 for it")
        else:
            return 0
        return 1
