"""One run measures at a time: two on the same CPUs spoil each other's figures.

The lock is a file in the temporary directory, whoever's run it is; another TMPDIR has another lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from .subject import SubjectError

NAME = "torc-bench.lock"


class Busy(SubjectError):
    """Another run measures: try again when it has ended."""


class Lock:
    """Held until it is released or this process ends, however it does; its file goes with it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir(), NAME)
        try:
            self.handle = self._take()
        except OSError as error:
            text = f"{self.path}: {error.strerror}: no lock against another torc-bench can be taken: set TMPDIR"
            raise SubjectError(text) from error

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self) -> int:
        while True:
            handle = self._open()
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                there = os.stat(self.path, follow_symlinks=False)
                if os.path.samestat(os.fstat(handle), there):
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, b"%d\n" % os.getpid(), 0)
                    return handle
            except FileNotFoundError:
                pass  # as below: whoever held it took the file away
            except BlockingIOError:
                pid = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
                os.close(handle)
                raise Busy(
                    f"another torc-bench (pid {pid or 'not known'}) is measuring here, and each "
                    f"would spoil the other's figures: wait for its end ({self.path} is its lock)"
                ) from None
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def _open(self) -> int:
        """Without O_CREAT where it is there: the kernel refuses that for other users' files."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            with contextlib.suppress(FileNotFoundError):
                return os.open(self.path, flags)
            with contextlib.suppress(FileExistsError):
                handle = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                os.fchmod(handle, 0o666)  # every user has to be able to lock it
                return handle

    def release(self) -> None:
        """Lets the next one measure."""
        with contextlib.suppress(OSError):  # another user's, left by a run that was killed
            self.path.unlink()
        os.close(self.handle)
