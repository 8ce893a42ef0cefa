"""What other programs use of the CPUs while this one and its children work."""

from __future__ import annotations

import resource
import time

from . import proc


def _mine() -> float:
    """CPU seconds of this program and of the children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


class Watch:
    """A context; its share is in CPUs' worth, of all children that were started and ended within."""

    def __enter__(self) -> Watch:
        self.share = 0.0
        self.begun, self.busy, self.mine = time.monotonic(), proc.machine_seconds()[0], _mine()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self.begun
        others = proc.machine_seconds()[0] - self.busy - (_mine() - self.mine)
        self.share = max(others, 0.0) / max(self.seconds, 1e-9)
