"""Room below the scratch directory, of which a program that cannot write there does not speak."""

import contextlib
import os
from pathlib import Path
from typing import Iterator

LEAST = 1 << 20  # bytes that a run may want at once


def lacking(directory: str | Path) -> str:
    """Says that a directory is full; nothing where it is not."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return ""
    free = (found.f_bfree if os.geteuid() == 0 else found.f_bavail) * found.f_frsize
    if (free >= LEAST or not found.f_blocks) and (found.f_ffree or not found.f_files):  # 0 of 0 is no limit
        return ""
    return f"{directory} is full: make room there, or set TMPDIR to another directory"


@contextlib.contextmanager
def named(directory: str) -> Iterator[None]:
    """An error that names no file, as one of a full disk, is of the directory where that is full."""
    try:
        yield
    except OSError as error:
        if not error.filename and (more := lacking(directory)):
            error.filename = more
        raise
