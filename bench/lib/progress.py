"""Where a run stands: one line that overwrites itself on a terminal, plain lines elsewhere."""

import contextlib
import shutil
import sys
import time
from typing import Callable, Sequence, TextIO

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
            self._write(f"\r\033[K{bar} {self.done + 1}/{self.total} {what}{left}")
        elif what.partition(":")[0] != self.last:
            self.last = what.partition(":")[0]
            self._write(f"[{self.done + 1}/{self.total}] {self.last}{left}\n")
        self.done += 1

    def clear(self) -> None:
        if self.terminal:
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        """What cannot be written, for the stream's file is full or gone, ends no measurement."""
        with contextlib.suppress(OSError):
            self.stream.write(text)
            self.stream.flush()


class Steps(Progress):
    """Steps that take unlike times: the bar stands where the time of all does."""

    def __init__(self, seconds: Sequence[float], stream: TextIO = sys.stderr) -> None:
        super().__init__(len(seconds), stream)
        self.seconds = seconds  # that each is expected to take
        self.title = ""
        self.begun = self.start

    def begin(self, title: str) -> Callable[[str], None]:
        """The next step; what it does meanwhile can be told to what is returned."""
        self.title, self.begun = title, time.monotonic()
        if not self.terminal:
            self._write(f"[{self.done + 1}/{self.total}] {title}{self._left()}\n")
        self.move("")
        return self.move

    def move(self, what: str) -> None:
        """Draws the bar where that is seen."""
        if self.terminal:
            share = min(self._past() / max(sum(self.seconds), 1e-9), 1.0)
            full = int(BAR_CELLS * share)
            text = f"{self.done + 1}/{self.total} {self.title}{self._left()}{': ' if what else ''}{what}"
            text = text[: max(shutil.get_terminal_size().columns - BAR_CELLS - 2, 20)]
            self._write(f"\r\033[K{'█' * full}{'░' * (BAR_CELLS - full)} {text}")

    def end(self) -> None:
        self.clear()
        self.done += 1

    def _past(self) -> float:
        """Of the expected seconds, those that are over: of the step that runs at most all of its own."""
        own = self.seconds[self.done] if self.done < self.total else 0.0
        return sum(self.seconds[: self.done]) + min(time.monotonic() - self.begun, own)

    def _left(self) -> str:
        return f", about {about(sum(self.seconds) - self._past())} left"
