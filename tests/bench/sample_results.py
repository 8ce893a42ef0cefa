"""Made-up runs of every kind, for the report's tests: the real plans of the subcommands on a
session whose samples are computed from planted costs. As a program it writes them
into a directory."""

import argparse
import dataclasses
import math
import random
import statistics
import sys
import tempfile
from pathlib import Path

import context  # noqa: F401
import fake_session
import sample_experiments
from fake_session import FEATURES, HELP, FakeSession
from lib import ablate, ceiling, features, results, scale, space, sweep, tune
from lib.subject import Variant
from lib.subjects import variant
from lib.workloads import WORKLOADS

STARTED, FINISHED = "2026-03-02T09:14:07+0000", "2026-03-02T09:31:40+0000"
NORMAL = statistics.NormalDist()
ENVIRONMENT = {
    "kernel": "Linux 6.12.9 x86_64",
    "kernel_build": "#1 SMP",
    "kernel_command_line": "quiet",
    "cpu": {
        "model": "AMD EPYC 9354P",
        "microcode": "0xa101148",
        "hypervisor": True,
        "online": 2,
        "allowed": [0, 1],
        "siblings_of_cpu0": [0],
        "governor": None,
        "boost": None,
        "mitigations": {
            "meltdown": "Not affected",
            "retbleed": "Mitigation: safe RET",
            "spectre_v2": "Mitigation: Retpolines; STIBP: disabled",
        },
    },
    "memory": "MemTotal:       24684084 kB",
    "transparent_hugepage": "always [madvise] never",
    "clocksource": "tsc",
    "sysctl": {
        "net.ipv4.tcp_congestion_control": "cubic",
        "net.core.somaxconn": "4096",
        "kernel.io_uring_disabled": "0",
    },
    "ulimit": {"open_files": [20000, 20000], "locked_memory": [8388608, 8388608]},
    "versions": {"liburing": "2.9", "nginx": "1.22.1", "h2o": None, "python": "3.11.2"},
    "build": {
        "directory": "release",
        "compiler": "gcc 12.2.0",
        "options": {"buildtype": "release", "optimization": "3", "b_sanitize": "none"},
    },
    "git": {"commit": "2f1c9a7be04d5c1f6a3b8e7d90c4f5a6b7c8d9e0", "dirty": False},
    "load_average": [0.31, 0.22, 0.18],
}
DOCTOR = [
    {"id": "kernel", "level": "ok", "text": "Linux 6.12.9 has every ring feature torc uses.", "remedy": None},
    {
        "id": "memlock",
        "level": "limit",
        "text": "Locked memory is limited to 8 MiB: deep rings of " "many cores may not fit.",
        "remedy": "ulimit -l unlimited",
    },
]


class PlantedSession(FakeSession):
    """A session whose samples have everything. invalid(id, round, name) says why a sample does not
    count, or None; reach(variant) is its share of a ceiling, unless its CPU does not last for that."""

    def __init__(self, kind, title, options, cost, invalid=lambda *_: None, seed=1, reach=lambda _: 0.97):
        super().__init__(options, cost, seed=seed, affinity=range(1000, 1016))
        self.invalid, self.reach, self.path = invalid, reach, Path("unused.json")
        run = results.Run(kind, title, STARTED, FINISHED, 1053.0, ["bench/torc-bench", kind, "--workloads", "a b"])
        run.options, run.environment = {"quick": False, "pairs": None}, ENVIRONMENT
        run.pinning, run.doctor = {"server": [0], "load": [1]}, list(DOCTOR)
        run.notes = ["other programs used 0.03 of a CPU"]
        self.run = run

    def pairs(self, workload):
        return self.options.pairs or workload.pairs

    def sized(self, workload):
        return workload

    def noise(self, workload, variant, pairs, seconds):
        cell = super().noise(workload, variant, pairs, seconds)
        found = cell.ratios[0]
        self.run.noise = {name: getattr(found, name) for name in ("metric", "low", "median", "high", "pairs")}

    def cell(self, id, workload, variants, pairs, seconds, factors=None, metrics=(), count_syscalls=False):
        sides = [dataclasses.asdict(one) for one in variants]
        cell = results.Cell(id, dataclasses.asdict(workload), dict(factors or {}), sides, pairs, True, "alike")
        self.run.cells.append(cell)
        source = random.Random(f"{self.seed} {id}")
        for number in range(pairs):
            shared = 1 + 0.02 * math.sin(number) + source.gauss(0, 0.004)
            for order, one in enumerate(variants if number % 2 == 0 else reversed(variants)):
                words = ["build/release/src/torc-lab", "--engine", one.subject, "--cores", str(one.cores), *one.args]
                self.run.commands.setdefault(one.name, words)
                cell.samples.append(self._sample(one, workload, id, number, order, seconds, shared, source))
        names = cell.names
        cell.ratios = [
            found
            for i, one in enumerate(names)
            for other in names[i + 1 :]
            for metric in metrics or results.metrics(workload.name)
            if (found := results.ratio(cell, one, other, metric)) is not None
        ]
        return cell

    def _sample(self, variant, workload, id, number, order, seconds, shared, source):
        cost = self.cost(variant, workload) * shared * source.gauss(1, 0.006)
        full = variant.cores * 1e9 / cost
        most, rate = ceiling.limit(dataclasses.asdict(workload)), min(workload.rate or full, full)
        if most:
            rate = min(rate, most * self.reach(variant) * source.gauss(1, 0.006))
        busy = rate / full
        middle = 1e3 * (
            workload.connections / rate * 1e3 if not workload.rate else 0.08 / (1.02 - workload.rate / full)
        )
        histogram = buckets(middle * 1e3, 0.35 + 0.25 * (workload.rate / full), int(rate * seconds))
        corrected = percentiles(histogram)
        ring = variant.subject in ("io_uring", "floor-uring")
        torc = variant.subject in ("io_uring", "epoll", "threads")
        idle = workload.name == "idle"
        return results.Sample(
            variant.name,
            number,
            order,
            1.7e9 + 100 * number + order,
            seconds,
            self.invalid(id, number, variant.name),
            int(rate * seconds),
            rate,
            int(cost * rate * seconds),
            0.0 if idle else cost,
            None if idle else cost + 4000,
            busy,
            0.71,
            0.02,
            0.0,
            "server" if busy >= ceiling.SATURATED and not workload.rate else "neither",
            corrected,
            {key: value * (0.6 if key != "p50" else 1) for key, value in corrected.items()} if workload.rate else None,
            [] if idle else histogram,
            {},
            (0.02 if ring else 1.1) if not idle else None,
            24.0 if torc else None,
            0 if ring else None,
            (number % 3 == 0) * 2 if ring else None,
            int(8200 * source.gauss(1, 0.002)),
            workload.connections,
            waited_share=0.01,
            load_waited_share=0.02,
            idle_share=max(0.99 - busy, 0.0),
            ceiling_share=rate / most if most else None,
            memory={"user_bytes": cost / 12, "kernel_bytes": cost} if idle else None,
        )


def buckets(middle_ns, spread, count):
    """A log-normal histogram with a second, slow hump: [upper bound in ns, count]."""
    found, before = [], 0
    for k in range(160):
        upper = middle_ns * 0.2 * 1.045**k
        share = 0.997 * NORMAL.cdf(math.log(upper / middle_ns) / spread) + 0.003 * NORMAL.cdf(
            math.log(upper / middle_ns / 9) / 0.5
        )
        here = round(count * share)
        if here > before:
            found.append([int(upper), here - before])
        before = max(before, here)
    return found


def percentiles(histogram):
    """µs of a histogram, as a sample has them."""
    total, seen, found = sum(n for _, n in histogram), 0, {}
    wanted = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
    for upper, count in histogram:
        seen += count
        for name in [name for name, share in wanted.items() if seen >= share * total]:
            found.setdefault(name, upper / 1000)
    mean = sum(upper * n for upper, n in histogram) / max(total, 1) / 1000
    return {**found, "mean": mean, "min": histogram[0][0] / 1000, "max": histogram[-1][0] / 1000}


options_of = fake_session.parse


COSTS = {"io_uring": 5000, "epoll": 5450, "floor-uring": 4800, "floor-epoll": 5200, "nginx": 9400}
TIMES = {"pipelined": 0.15, "short-lived": 1.9, "static-small-4k": 1.35, "delay": 1.8, "idle": 0.9}


def compare_cost(variant, workload):
    cost = COSTS.get(variant.subject, 7000) * TIMES.get(workload.name, 1.0)
    if workload.name == "static-small-4k" and variant.subject == "io_uring":
        cost *= 1.14
    if workload.name == "json" and variant.subject == "io_uring":
        cost *= 1.09
    return cost


def compare(pairs=10, invalid=lambda *_: None):
    """Five subjects over the main workloads, open loop included."""
    session = PlantedSession(
        "compare",
        "comparison of io_uring, epoll, floor, nginx",
        argparse.Namespace(pairs=pairs, seconds=1.0),
        compare_cost,
        invalid,
    )
    all_of_them = [variant(name) for name in ("io_uring", "epoll", "floor-uring", "floor-epoll")]
    all_of_them.append(Variant("nginx", "nginx", "nginx"))
    session.noise(WORKLOADS["plaintext"], all_of_them[0], pairs, 1.0)
    for name in ("plaintext", "json", "pipelined", "short-lived", "static-small-4k", "delay", "idle"):
        able = (
            all_of_them
            if name in ("plaintext", "pipelined", "short-lived")
            else [one for one in all_of_them if not one.subject.startswith("floor")]
        )
        cell = session.cell(name, WORKLOADS[name], able, pairs, 1.0)
        for sample in cell.samples:
            sample.completions_per_wait = (
                {"delay": 3.0, "short-lived": 9.0, "pipelined": 61.0, "json": 22.0}.get(
                    name, sample.completions_per_wait
                )
                if sample.completions_per_wait
                else None
            )
    session.cell("latency-capacity", WORKLOADS["latency"], all_of_them[:2], 1, 0.5, {"purpose": "capacity"})
    for percent in (50, 90):
        asked = dataclasses.replace(WORKLOADS["latency"], rate=183_000.0 * percent / 100)
        session.cell(f"latency-{percent}", asked, all_of_them[:2], pairs, 1.0)
    run = session.run
    run.conclusions = [
        f"{cell.id}: {one.verdict}"
        for cell in run.cells[1:]
        for one in cell.ratios
        if one.metric == cell.ratios[0].metric and cell.id != "latency-capacity"
    ]
    return run


def sweep_run():
    """Seven depths on two connection counts, with a knee at 256."""

    def cost(variant, workload):
        if variant.subject != "io_uring":
            return 5450
        depth = int(variant.args[1]) if variant.args else 512
        flat = 5000 + 90_000 / depth if depth < 256 else 5000
        return flat * (0.97 if workload.connections > 100 else 1.08)

    options = options_of(sweep, "--connections", "64,256,1024", "--pairs", "10")
    session = PlantedSession("sweep", "Ring depth, plaintext", options, cost)
    sweep.measure(session, options)
    return session.run


WORTH = {"defer-taskrun": -420, "multishot": -310, "direct": +170, "buf-ring": -110}


def ablate_run():
    """Seven features, one of which costs."""

    def on_of(words):
        return {name for name in FEATURES if f"--{name}" in words}

    def cost(variant, workload):
        return 6500.0 + sum(WORTH.get(name, 0) for name in features.effective(on_of(variant.args)))

    options = options_of(ablate, "--pairs", "10")
    session = PlantedSession("ablate", "io_uring features, plaintext", options, cost)
    ablate.measure(session, options, FEATURES, lambda words: features.effective(on_of(words)))
    return session.run


def _check(words):
    """What --check says of options: the same of a file as of the words that say the same."""
    words = list(words)
    if words[:1] == ["--config"]:
        lines = [line.split(" = ") for line in Path(words[1]).read_text().splitlines() if not line.startswith("#")]
        words = list(space.arguments(dict(lines)))
    off = {word for word in words if word.startswith("--no-")}
    on = {name for name in FEATURES if f"--no-{name}" not in off}
    return f"{' '.join(words)}\nfeatures {' '.join(sorted(on))}\n"


def tune_run(gain=0.93):
    """Sixteen candidates, of which those with 2048 entries gain."""

    def cost(variant, workload):
        return 5000 * (gain if "2048" in variant.args else 1.004 + 0.002 * len(variant.args))

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "tuned.conf"
        options = options_of(tune, "--config-file", str(file))
        session = PlantedSession("tune", "tuned options, plaintext", options, cost)
        tune.measure(session, options, HELP, _check)
    run = session.run
    run.extra["config_file"] = run.extra["config_file"] and "bench/results/tuned.conf"
    run.conclusions = [line.replace(str(file), "bench/results/tuned.conf") for line in run.conclusions]
    return run


def scale_run(counts="1,2,3,4,6,8"):
    """Two engines, one of which contends."""

    def cost(variant, workload):
        n = variant.cores
        return (
            5000 * (1 + 0.004 * (n - 1))
            if variant.subject == "io_uring"
            else (5450 * (1 + 0.03 * (n - 1) + 0.004 * n * (n - 1)))
        )

    options = options_of(scale, "--cores", counts, "--pairs", "8")
    session = PlantedSession("scale", "core counts, plaintext", options, cost)
    scale.measure(session, options)
    return session.run


def explain_run():
    """Every experiment but one that needs a database."""
    return sample_experiments.run(STARTED, FINISHED, ENVIRONMENT)


KINDS = {"compare": compare, "sweep": sweep_run, "ablate": ablate_run, "tune": tune_run, "scale": scale_run}
KINDS["explain"] = explain_run


def main(directory):
    for name, make in KINDS.items():
        results.save(make(), Path(directory) / f"{name}.json")


if __name__ == "__main__":
    main(sys.argv[1])
