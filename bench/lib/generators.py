"""What the load generators cost: torc-load on each engine against wrk, on the same traffic.

An expensive generator takes CPU from what it measures, and reaches its limit before the server does.
"""

import argparse
import json
import os
import re
import statistics
import time
from pathlib import Path

from . import alone, env, load, proc, remarks, stats, table
from .options import DEFAULT_BUILD, directory, positive, seconds
from .program import installed
from .progress import Progress
from .subject import Place, Server, SubjectError
from .subjects import known, variant
from .workloads import write_static

SUMMARY = "measure what torc-load costs per request, compared with wrk on the same traffic"
REPORT = "generator.json"
WRK_COUNT = re.compile(r"(\d+) requests in")
HEADER = ("generator", "CPU µs/request", "min–max", "÷ wrk", "95 % interval")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--pairs", type=positive, metavar="N", default=10, help="rounds (10)")
    add("--seconds", type=seconds, metavar="S", default=1.0, help="length of each sample (1)")
    add("--connections", type=positive, metavar="N", default=256, help="keep-alive connections (256)")
    text = "the build directory to measure (build/release)"
    add("--build", type=directory, metavar="DIR", default=DEFAULT_BUILD, help=text)


def commands(options: argparse.Namespace, place: Place, url: str) -> dict[str, list[str]]:
    """Each generator's words: one thread, the same connections, the same time."""
    wrk = installed("wrk")
    if wrk is None:
        raise SubjectError("generators: wrk is not installed: tools/setup --bench installs it")
    count, report = str(options.connections), str(place.scratch / REPORT)
    whole = str(max(round(options.seconds), 1))  # wrk takes whole seconds
    found = {"wrk": [wrk, "--threads", "1", "--connections", count, "--duration", whole, url]}
    for engine in ("io_uring", "epoll"):
        words = [load.program(place.build), "--engine", engine, "--quiet", "--json", report]
        words += ["--connections", count, "--duration", f"{round(options.seconds * 1000)}ms"]
        found[f"torc-load {engine}"] = [*words, "--expect-body", "Hello, World!", url]
    return found


def sample(words: list[str], cpus: list[int], scratch: Path) -> tuple[float, float]:
    """CPU ns per request of one run, all of the process counted, and its CPU seconds."""
    output, report = scratch / "generator.out", scratch / REPORT
    report.unlink(missing_ok=True)
    with output.open("w") as sink, proc.Child(words, cpus, scratch / "generator.log", sink) as child:
        status = child.wait(load.GRACE_SECONDS + 3600)
        usage = child.usage
    text = output.read_text()
    if status != 0 or usage is None:
        raise proc.ProcessError(f"{words[0]} ended ({status}): {child.complaint() or text[-300:]}")
    found = WRK_COUNT.search(text)
    count = int(found[1]) if found else json.loads(report.read_text())["requests_total"]
    if not count:
        raise proc.ProcessError(f"{words[0]}: no request was answered")
    used = usage.ru_utime + usage.ru_stime
    return used * 1e9 / count, used


def measure(
    options: argparse.Namespace, place: Place, server: Server, cpus: list[int]
) -> tuple[dict[str, list[float]], float]:
    """Interleaved rounds of all generators against one server, and how many CPUs' worth other
    programs used in the median sample."""
    words = commands(options, place, server.url + "/plaintext")
    costs: dict[str, list[float]] = {name: [] for name in words}
    others: list[float] = []
    pids = proc.family(server.child.pid)
    progress = Progress(options.pairs * len(words))
    for number in range(options.pairs):
        for name in words if number % 2 == 0 else reversed(words):
            progress.show(f"round {number + 1} of {options.pairs}: {name}")
            begin, busy, before = time.monotonic(), sum(proc.machine_seconds()), proc.cpu_ns(pids)
            cost, own = sample(words[name], cpus, place.scratch)
            own += (proc.cpu_ns(pids) - before) / 1e9
            busy = sum(proc.machine_seconds()) - busy
            others.append(max(busy - own, 0.0) / (time.monotonic() - begin))
            costs[name].append(cost)
    progress.clear()
    return costs, statistics.median(others)


def row(name: str, mine: list[float], wrk: list[float]) -> list[str]:
    found = stats.bootstrap_median([a / b for a, b in zip(mine, wrk)])
    middle, least, most = map(table.cost, (statistics.median(mine), min(mine), max(mine)))
    return [name, middle, f"{least}–{most}", f"{found.median:.3f}", f"{found.low:.3f}–{found.high:.3f}"]


def run(options: argparse.Namespace) -> int:
    server_cpus, cpus, shared = env.divide_cpus(sorted(os.sched_getaffinity(0)), 1)
    if shared:
        print(f"note: {shared}")
    with alone.lock() as scratch:
        place = Place(options.build, scratch, scratch / "www", (), {})
        write_static(place.www)
        server = known()["io_uring"].start(place, variant("io_uring"), server_cpus)
        with server.child:
            costs, others = measure(options, place, server, cpus)
    print(f"GET /plaintext, {options.connections} keep-alive connections, {options.pairs} rounds")
    print(table.table(HEADER, [row(one, mine, costs["wrk"]) for one, mine in costs.items()]))
    for line in remarks.disturbance(others):
        print(f"note: {line}")
    return 0
