"""Where a run stands: one line that overwrites itself on a terminal, plain lines elsewhere."""

import sys
import time
from typing import TextIO

BAR_CELLS = 20


def about(seconds: float) -> str:
    """A time to wait: 40 s, 3 min."""
    return f"{max(round(seconds, -1), 5):.0f} s" if seconds < 115 else f"{seconds / 60:.0f} min"


def plan(left: int, samples: int, seconds: float) -> str:
    """How many samples there will be, of a resumed run are left, and how long they take."""
    count = f"{left} of {samples} samples left" if left < samples else f"{samples} samples"
    return count + (f", about {about(seconds)}" if left else "")


class Progress:
    """Counts samples, of which there will be total."""

    def __init__(self, total: int, stream: TextIO = sys.stderr) -> None:
        self.total = total
        self.done = 0
        self.stream = stream
        self.terminal = stream.isatty()
        self.start = time.monotonic()
        self.last = ""

    def show(self, what: str) -> None:
        """Says what begins now. Elsewhere than on a terminal a line stands for all that begins
        alike up to its colon."""
        left = ""
        if self.done >= 4:
            seconds = (time.monotonic() - self.start) / self.done * (self.total - self.done)
            left = f", about {seconds:.0f} s left"
        if self.terminal:
            full = BAR_CELLS * self.done // max(self.total, 1)
            bar = "█" * full + "░" * (BAR_CELLS - full)
            self.stream.write(f"\r\033[K{bar} {self.done + 1}/{self.total} {what}{left}")
        elif what.partition(":")[0] != self.last:
            self.last = what.partition(":")[0]
            self.stream.write(f"[{self.done + 1}/{self.total}] {self.last}{left}\n")
        self.stream.flush()
        self.done += 1

    def clear(self) -> None:
        if self.terminal:
            self.stream.write("\r\033[K")
            self.stream.flush()
