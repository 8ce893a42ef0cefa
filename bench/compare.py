#!/usr/bin/python3
"""Compares torc on io_uring with torc on epoll, with their floors, and with other servers.

Servers run on one CPU, the load generator wrk on another. Samples are interleaved in rounds (A B C
D, D C B A, ...), each with a fresh server process. The first figure is the server's CPU time per
request. See --help for the options; bench/run sets up, builds and calls this.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn, Sequence

sys.dont_write_bytecode = True

from lib import answers, env, measure, proc, report, workloads  # noqa: E402
from lib.progress import Progress  # noqa: E402
from lib.subjects import SUBJECTS, Place  # noqa: E402
from lib.workloads import Workload  # noqa: E402

TOP = Path(__file__).resolve().parent.parent
MANY_CONNECTIONS = 15_000
LIMIT_SECONDS = 100  # the default run starts no round after that
FORMAT = 1  # of the JSON file


class Options(argparse.ArgumentParser):
    """Wrong options: one line and exit 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"bench/run: {message}\n")


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number above 0, not {text!r}")
    return int(text)


def names_of(known: Sequence[str]) -> Any:
    """A comma-separated choice of the known names."""

    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        wrong = [name for name in chosen if name not in known]
        if wrong:
            raise argparse.ArgumentTypeError(
                f"takes names of {', '.join(known)}, not {wrong[0]!r}")  # fmt: skip
        return chosen

    return parse


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; exits on --help and on wrong ones."""
    parser = Options(prog="bench/run", allow_abbrev=False,
                     description="Compares io_uring with epoll on this machine.")  # fmt: skip
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer rounds")
    add("--rounds", type=positive, metavar="N", help="rounds of every workload")
    add("--seconds", type=positive, metavar="S", help="length of each sample, whole seconds")
    add("--only", type=names_of(workloads.NAMES), metavar="LIST", default=list(workloads.NAMES),
        help=f"workloads, of {','.join(workloads.NAMES)}")  # fmt: skip
    add("--subjects", type=names_of(list(SUBJECTS)), metavar="LIST", default=list(SUBJECTS),
        help=f"servers, of {','.join(SUBJECTS)}")  # fmt: skip
    add("--connections", type=positive, metavar="N", default=256,
        help="connections of every workload but delay (256)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="where the samples go (bench/results/TIME.json)")
    add("--build", type=Path, metavar="DIR", default=TOP / "build/release",
        help="a build directory to use as it is: nothing is installed or built")  # fmt: skip
    add("--server-args", type=shlex.split, metavar="ARGS", default=[],
        help="more options for torc, as one argument")  # fmt: skip
    add("--check-options", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.check_options and not options.build.is_dir():
        parser.error(f"--build: no directory {options.build}")
    return options


def plan(options: argparse.Namespace) -> list[Workload]:
    """The workloads that were asked for, each with the subjects that were asked for."""
    many = min(MANY_CONNECTIONS, workloads.connections_possible())
    chosen = []
    for workload in workloads.workloads(options.connections, many):
        subjects = tuple(name for name in workload.subjects if name in options.subjects)
        if workload.name in options.only and subjects:
            rounds = workload.quick_rounds if options.quick else workload.rounds
            chosen.append(dataclasses.replace(
                workload, subjects=subjects, rounds=options.rounds or rounds,
                seconds=options.seconds or workload.seconds))  # fmt: skip
    return chosen


class Comparison:
    """A run from its first check to its JSON file."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.options = options
        self.plan = plan(options)
        self.server_cpus, self.load_cpus = env.choose_cpus(sorted(os.sched_getaffinity(0)))
        www = scratch / "www"
        self.place = Place(options.build.resolve(), scratch, www, self.server_cpus,
                           options.server_args)  # fmt: skip
        workloads.write_static(www)
        self.environment = env.collect(TOP, self.place.build)
        self.samples: list[tuple[Workload, list[measure.Sample]]] = []
        self.notes: list[str] = []
        self.start = time.monotonic()

    def preface(self) -> None:
        """Says what is about to be compared, and where."""
        cpu, git = self.environment["cpu"], self.environment["git"]
        commit = (git["commit"] or "no commit")[:12] + (" and changes" if git["dirty"] else "")
        print(f"{self.environment['kernel']}, {cpu['model']}, {cpu['online']} CPUs, "
              f"{self.environment['sysctl']['net.ipv4.tcp_congestion_control']}; torc {commit}")
        if self.server_cpus:
            print(f"server on CPU {self.server_cpus[0]}, load on CPU {self.load_cpus[0]}")
            if self.load_cpus[0] in env.siblings(self.server_cpus[0]):
                self.notes.append("server and load share one core: use a machine with two")
        else:
            self.notes.append("fewer than 2 CPUs: server and load are not pinned and share one")
        many = workloads.connections_possible()
        if any(w.delay_ms for w in self.plan) and many < MANY_CONNECTIONS:
            self.notes.append(f"/delay runs with {many:,} connections instead of "
                              f"{MANY_CONNECTIONS:,}: raise ulimit -n and "
                              "net.ipv4.ip_local_port_range")  # fmt: skip
        for note in self.notes:
            print("note: " + note)

    def run(self) -> None:
        """Checks the answers of every workload, then takes all samples."""
        for workload in self.plan:
            measure.check_answers(workload, self._subjects(workload), self.place)
        progress = Progress(sum(w.rounds * len(w.subjects) for w in self.plan))
        limited = self.options.rounds is None and self.options.seconds is None
        try:
            for workload in self.plan:
                taken: list[measure.Sample] = []
                self.samples.append((workload, taken))
                for number in range(workload.rounds):
                    if limited and time.monotonic() - self.start > LIMIT_SECONDS:
                        self.notes.append(f"{workload.title}: {number} of {workload.rounds} rounds "
                                          "before the time was up: use --only")  # fmt: skip
                        break
                    subjects = self._subjects(workload)
                    for subject in subjects if number % 2 == 0 else reversed(subjects):
                        progress.show(f"{workload.name}, round {number + 1} of {workload.rounds}: "
                                      f"{subject.label}")  # fmt: skip
                        taken.append(measure.take(workload, subject, number, workload.seconds,
                                                  self.place, self.load_cpus))  # fmt: skip
        finally:
            progress.clear()

    def _subjects(self, workload: Workload) -> list[Any]:
        return [SUBJECTS[name] for name in workload.subjects]

    def print(self) -> bool:
        """Prints what was found. False when a sample was invalid or a subject has none."""
        everything = [sample for _, samples in self.samples for sample in samples]
        for workload, samples in self.samples:
            print(f"\n{workload.title}")
            for line in report.invalid_lines(samples):
                print(line)
            print(report.cost_table(samples, workload.subjects))
            if workload.delay_ms:
                lines = report.delay_lines(workload, samples, workload.subjects)
            else:
                lines = report.ratio_lines(samples, workload.ratios)
            if lines:
                print("\n" + "\n".join(lines))
        print()
        for line in self.notes + report.warnings(everything):
            print("note: " + line)
        return bool(everything) and not report.invalid_lines(everything)

    def write(self) -> Path:
        """Writes every sample and the environment, and returns where."""
        path: Path = self.options.json or TOP / "bench/results" / time.strftime("%Y%m%d-%H%M%S.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "seconds": round(time.monotonic() - self.start, 1),
            "arguments": sys.argv[1:],
            "pinning": {"server": self.server_cpus, "load": self.load_cpus},
            "commands": self.place.started,
            "environment": self.environment,
            "load_average_at_end": os.getloadavg(),
            "notes": self.notes,
            "workloads": [self._entry(workload, samples) for workload, samples in self.samples],
        }
        path.write_text(json.dumps(content, indent=1) + "\n")
        return path

    def _entry(self, workload: Workload, samples: list[measure.Sample]) -> dict[str, Any]:
        ratios = {}
        for numerator, denominator in workload.ratios:
            interval = report.ratio(samples, numerator, denominator)
            if interval is not None:
                ratios[f"{numerator}/{denominator}"] = dataclasses.asdict(interval)
        return {**dataclasses.asdict(workload), "ratios": ratios,
                "samples": [dataclasses.asdict(sample) for sample in samples]}  # fmt: skip


def main() -> int:
    """The program: 0 when every sample counts, 1 otherwise, 2 for wrong options."""
    options = parse_options(sys.argv[1:])
    if options.check_options:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    with tempfile.TemporaryDirectory(prefix="torc-bench-") as scratch:
        try:
            comparison = Comparison(options, Path(scratch))
            comparison.preface()
            comparison.run()
            good = comparison.print()
            print(f"every sample: {comparison.write()}")
            return 0 if good else 1
        except (proc.ProcessError, answers.AnswerError) as error:
            print(f"bench/run: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("bench/run: interrupted", file=sys.stderr)
            return 128 + signal.SIGINT
        finally:
            proc.Child.stop_all()


if __name__ == "__main__":
    sys.exit(main())
