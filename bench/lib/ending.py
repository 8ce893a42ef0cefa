"""What is arranged before anything that takes time: standard streams, and signals that ask to end."""

import contextlib
import io
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Iterator

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def status(self) -> int:
        """Says so, and gives the exit status."""
        say("interrupted")
        return 128 + self.number


_holding = 0
_asked: int | None = None  # a signal that came while held


def _ended(number: int, _: FrameType | None) -> None:
    global _asked
    if not _holding:
        raise Ended(number)
    _asked = number


@contextlib.contextmanager
def held() -> Iterator[None]:
    """A signal that asks to end does so after what is done inside. A mask would not do: a thread of a
    library may take the signal, and what is raised in Python's own calls around a fork is dropped."""
    global _holding
    if threading.current_thread() is not threading.main_thread():  # the others are told of no signal
        yield
        return
    before, _holding = _holding, _holding + 1
    try:
        yield
    finally:
        _holding = before
        _obey()


@contextlib.contextmanager
def obeying() -> Iterator[None]:
    """Within held(): a signal that asks to end does so at once inside."""
    global _holding
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _holding = _holding, 0
    try:
        _obey()
        yield
    finally:
        _holding = before


def _obey() -> None:
    global _asked
    if not _holding and _asked is not None:
        number, _asked = _asked, None
        raise Ended(number)


def expect() -> None:
    """What is ignored stays so: nohup does that, and a shell of what a script has it run in the background."""
    for number in ENDING_SIGNALS:
        if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _ended)


class Output(io.FileIO):
    """stdout, whose errors say that they are its own."""

    def write(self, data: Any) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = "standard output"
            raise


def open_streams() -> None:
    """Opens what the caller closed of stdin, stdout and stderr: files that are opened later must not
    get their numbers, and what writes to one that is None fails."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))
    out, raw = sys.stdout, Output(1, "w", closefd=False)
    # What the encoding lacks (µ, −) must not end a run that was measured.
    kept = "replace", None, out.line_buffering, out.write_through
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), out.encoding, *kept)


def tell(text: str) -> None:
    """A line on stderr. One that cannot be written, for what it goes to is full or gone, ends nothing."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def say(text: str) -> None:
    tell(f"torc-bench: {text}")


def failed(error: OSError) -> None:
    why = error.strerror or str(error)
    say(f"{error.filename}: {why}" if error.filename else why)


def flush() -> bool:
    """Writes what is left for stdout. Where that fails it is said, but of a pipe, and dropped."""
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            if stream is sys.stdout:
                written = False
                if not isinstance(error, BrokenPipeError):
                    failed(error)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
    return written
