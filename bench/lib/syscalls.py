"""System calls per request of servers that do not count their own: one untimed run under perf."""

import re
import shutil
import signal
from typing import Sequence

from . import load, proc
from .subject import Place, Subject, Variant
from .subjects import WARMUP
from .workloads import Workload

EVENT = "raw_syscalls:sys_enter"
SECONDS = 0.4
ATTACH_SECONDS = 0.3
END_SECONDS = 5.0
Cpus = Sequence[int]


def parse(text: str) -> int | None:
    """The count in perf's output; None when it could not count."""
    found = re.search(rf"^(\d+),[^,]*,{re.escape(EVENT)},", text, re.MULTILINE)
    return int(found[1]) if found else None


def count(
    workload: Workload, subject: Subject, variant: Variant, place: Place, server_cpus: Cpus, load_cpus: Cpus
) -> float | None:
    """System calls per request, connections' openings included; None without perf or permission."""
    if shutil.which("perf") is None:
        return None
    log = place.scratch / "perf.log"
    with subject.started(place, variant, server_cpus) as server:
        if subject.name in WARMUP:
            load.run(workload, server, place, load_cpus, WARMUP[subject.name], 0.0)
        pids = ",".join(map(str, proc.family(server.child.pid)))
        with proc.Child(["perf", "stat", "-x", ",", "-e", EVENT, "-p", pids], load_cpus, log) as perf:
            if perf.wait(ATTACH_SECONDS) is not None:
                return None
            report = load.run(workload, server, place, load_cpus, SECONDS, 0.0).report
            perf.signal(signal.SIGINT)
            perf.wait(END_SECONDS)
    counted = parse(log.read_text(errors="replace"))
    requests = report.get("requests_total", report["requests"])
    return counted / requests if counted is not None and requests else None
