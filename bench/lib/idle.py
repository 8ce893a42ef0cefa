"""What a connection costs in memory that has asked once and is then held."""

from __future__ import annotations

import re
import resource
import socket
import time
from pathlib import Path
from typing import Sequence

from . import answers, proc
from .results import Sample
from .subject import Place, Subject, Variant
from .workloads import Workload

SETTLE_SECONDS = 0.3  # for deferred frees of the kernel
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER with no time: closing leaves no TIME_WAIT behind


def smaps(pids: Sequence[int]) -> dict[str, int]:
    """Bytes of proportional and resident set of the processes together (smaps_rollup)."""
    found = {"Pss": 0, "Rss": 0}
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise proc.Gone from error
        for key in found:
            line = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
            found[key] += int(line[1]) * 1024 if line else 0
    return found


def kernel() -> dict[str, int]:
    """Bytes of slab and TCP buffers, and what is available, of the whole machine.

    Slab is counted in objects in use where /proc/slabinfo may be read (as root), else in pages.
    """
    meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE))
    slab = int(meminfo["Slab"]) * 1024
    try:
        lines = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()[2:]]
        slab = sum(int(words[1]) * int(words[3]) for words in lines)
    except OSError:
        pass
    tcp = re.search(r"^TCP:.* mem (\d+)", Path("/proc/net/sockstat").read_text(), re.MULTILINE)
    return {
        "slab": slab,
        "tcp": int(tcp[1]) * resource.getpagesize() if tcp else 0,
        "available": int(meminfo["MemAvailable"]) * 1024,
    }


def take(
    workload: Workload,
    subject: Subject,
    variant: Variant,
    place: Place,
    server_cpus: Sequence[int],
    load_cpus: Sequence[int],
    number: int,
    order: int,
    seconds: float,
) -> Sample:
    """One sample: memory with all connections held, less memory with one, for each more. No more
    are opened in all: lighttpd holds half as many as it has descriptors, to the last.

    The kernel's part is that of both ends, for both are on this machine.
    """
    sample = Sample(variant.name, number, order, round(time.time(), 3), seconds)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = subject.start(place, variant, server_cpus)
    held: list[socket.socket] = []
    asked = answers.request(workload.paths[0], server.host, server.port)
    more = max(workload.connections - 1, 1)
    try:
        with server.child:
            _hold(held, server.host, server.port, asked)
            pids = proc.family(server.child.pid)
            time.sleep(SETTLE_SECONDS)
            user, system = smaps(pids), kernel()
            begin = time.monotonic()
            for _ in range(more):
                _hold(held, server.host, server.port, asked)
            sample.per_second = round(more / (time.monotonic() - begin), 1)
            time.sleep(SETTLE_SECONDS)
            user_after, system_after = smaps(pids), kernel()
            sample.peak_rss_kb = proc.peak_rss_kb(pids)
            for one in held:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                one.close()
    except (answers.AnswerError, proc.Gone, OSError) as error:
        sample.invalid = f"after {len(held)} connections: {error}"
        return sample
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    grown = {
        "user_bytes": user_after["Pss"] - user["Pss"],
        "rss_bytes": user_after["Rss"] - user["Rss"],
        "slab_bytes": system_after["slab"] - system["slab"],
        "tcp_bytes": system_after["tcp"] - system["tcp"],
        "available_bytes": system["available"] - system_after["available"],
    }
    grown["kernel_bytes"] = grown["slab_bytes"] + grown["tcp_bytes"]
    sample.memory = {key: round(one / more, 1) for key, one in grown.items()}
    sample.requests = sample.connects = len(held)
    return sample


def _hold(held: list[socket.socket], host: str, port: int, asked: bytes) -> None:
    one = socket.create_connection((host, port), answers.TIMEOUT_SECONDS)
    held.append(one)
    one.sendall(asked)
    if not one.recv(4096).startswith(b"HTTP/1.1 200 "):
        raise answers.AnswerError("a request was not answered with 200")
