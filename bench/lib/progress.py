"""Where a run stands: one line that overwrites itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Counts samples, of which there will be total."""

    def __init__(self, total: int, stream: TextIO = sys.stderr) -> None:
        self.total = total
        self.done = 0
        self.stream = stream
        self.terminal = stream.isatty()
        self.start = time.monotonic()

    def show(self, what: str) -> None:
        """Says what begins now."""
        left = ""
        if self.done >= 4:
            seconds = (time.monotonic() - self.start) / self.done * (self.total - self.done)
            left = f", about {seconds:.0f} s left"
        text = f"[{self.done + 1}/{self.total}] {what}{left}"
        self.stream.write(f"\r\033[K{text}" if self.terminal else text + "\n")
        self.stream.flush()
        self.done += 1

    def clear(self) -> None:
        """Gives the line back."""
        if self.terminal:
            self.stream.write("\r\033[K")
            self.stream.flush()
