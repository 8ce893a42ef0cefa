"""The scratch directory of a run, and those that killed runs left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "torc-bench-"


def remove_abandoned(directory: Path) -> None:
    """Removes the scratch directories of runs that were killed: no process of their number is
    there, and nobody holds their lock (which one in another container does)."""
    for path in directory.glob(f"{PREFIX}*-*"):
        pid = path.name.split("-")[2]
        if not pid.isdecimal() or Path("/proc", pid).exists() or path.is_symlink():
            continue
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # no directory, or gone meanwhile
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_uid == os.getuid():
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass  # its process lives
        finally:
            os.close(lock)


class Scratch:
    """A directory for the length of a run, made after those that killed runs left are removed."""

    def __init__(self) -> None:
        remove_abandoned(Path(tempfile.gettempdir()))
        self._directory = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")
        self.path = Path(self._directory.name)
        # Held while this process lives, however it ends: its number may mean another one elsewhere.
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Removes it with all that is in it."""
        self._directory.cleanup()
        os.close(self._lock)
