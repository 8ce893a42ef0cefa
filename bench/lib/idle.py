"""What a connection costs in memory that has asked once and is then held."""

import re
import resource
import socket
import struct
import time
from pathlib import Path
from typing import Sequence

from . import answers, proc
from .host import Machine
from .results import Sample
from .subject import Place, Server, Subject, Variant
from .workloads import Workload

SETTLE_SECONDS = 0.3  # for deferred frees of the kernel
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing leaves no TIME_WAIT behind


def memory(pids: Sequence[int]) -> dict[str, int]:
    """Bytes of the processes, and of slab, TCP buffers and what is available of the whole machine. Slab is
    counted in objects in use where /proc/slabinfo may be read (as root), else in pages."""
    machine = Machine()
    with proc.watched():
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    sets = {key: sum(map(int, re.findall(rf"(?m)^{key}:\s+(\d+) kB", "\n".join(rollups)))) for key in ("Pss", "Rss")}
    slabs = [line.split() for line in (machine.read("/proc/slabinfo") or "").splitlines()[2:]]
    slab = sum(int(words[1]) * int(words[3]) for words in slabs) or machine.memory("Slab") or 0
    tcp = int(machine.find(r"^TCP:.* mem (\d+)", "/proc/net/sockstat") or 0) * resource.getpagesize()
    return {
        "user_bytes": sets["Pss"] * 1024,
        "rss_bytes": sets["Rss"] * 1024,
        "slab_bytes": slab,
        "tcp_bytes": tcp,
        "available_bytes": -(machine.memory("MemAvailable") or 0),  # what is taken grows, as the others do
        "kernel_bytes": slab + tcp,
    }


class Holding:
    """One variant's server that holds connections, in place of a measure.Running. No more are opened in all:
    lighttpd holds half as many as it has descriptors, to the last."""

    def __init__(self, variant: Variant, _: Subject, server: Server, number: int, order: int) -> None:
        self.variant, self.server = variant, server
        self.sample = Sample(variant.name, number, order, round(time.time(), 3))

    def part(self, workload: Workload, _place: Place, _cpus: Sequence[int], seconds: float) -> None:
        """All of the sample."""
        self.sample.seconds = seconds
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        held: list[socket.socket] = []
        try:
            _hold_all(self.sample, held, self.server, workload)
        except (answers.AnswerError, proc.Gone, OSError) as error:
            self.sample.invalid = f"after {len(held)} connections: {error}"
        finally:
            for one in held:
                one.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def finish(self) -> Sample:
        return self.sample


def _hold_all(sample: Sample, held: list[socket.socket], server: Server, workload: Workload) -> None:
    """Memory with all connections held, less memory with one, for each more. The kernel's part is that
    of both ends, for both are on this machine."""
    asked = answers.request(workload.paths[0], server.host, server.port)
    more = max(workload.connections - 1, 1)
    _hold(held, server, asked)
    pids = proc.family(server.child.pid)
    time.sleep(SETTLE_SECONDS)
    before, begin = memory(pids), time.monotonic()
    for _ in range(more):
        _hold(held, server, asked)
    sample.per_second = round(more / (time.monotonic() - begin), 1)
    time.sleep(SETTLE_SECONDS)
    after = memory(pids)
    sample.peak_rss_kb = proc.peak_rss_kb(pids)
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        one.close()
    sample.memory = {key: round((after[key] - before[key]) / more, 1) for key in before}
    sample.requests = sample.connects = len(held)


def _hold(held: list[socket.socket], server: Server, asked: bytes) -> None:
    one = socket.create_connection((server.host, server.port), answers.TIMEOUT_SECONDS)
    held.append(one)
    one.sendall(asked)
    if not one.recv(4096).startswith(b"HTTP/1.1 200 "):
        raise answers.AnswerError("a request was not answered with 200")
