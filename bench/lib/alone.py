"""One run measures at a time: two on the same CPUs spoil each other's figures.

The lock is a file in the temporary directory, whoever's run it is; another TMPDIR has another lock.
With it comes a scratch directory: those that killed runs left are nobody's while the lock is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from .ending import held
from .subject import SubjectError

NAME = "torc-bench.lock"
PREFIX = "torc-bench-"  # of scratch directories; their process's number follows


class Busy(SubjectError):
    """Another run measures: try again when it has ended."""


class Lock:
    """Held to the end of its context or of this process, however that ends; its file goes with it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir(), NAME)
        try:
            self.handle = self._take()
        except OSError as error:
            text = f"{self.path}: {error.strerror}: no lock against another torc-bench can be taken: set TMPDIR"
            raise SubjectError(text) from error
        self._remove_abandoned()
        self._directory = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")
        self.scratch = Path(self._directory.name)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the scratch directory and lets the next one measure, whoever presses Ctrl-C once more."""
        with held():
            self._directory.cleanup()
            with contextlib.suppress(OSError):  # another user's, left by a run that was killed
                self.path.unlink()
            os.close(self.handle)

    def _take(self) -> int:
        while True:
            handle = self._open()
            with contextlib.ExitStack() as stack:
                stack.callback(os.close, handle)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pid = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
                    text = f"another torc-bench (pid {pid or 'not known'}) is measuring here, and each would spoil"
                    raise Busy(f"{text} the other's figures: wait for its end ({self.path} is its lock)") from None
                with contextlib.suppress(FileNotFoundError):  # whoever held it took the file away
                    if os.path.samestat(os.fstat(handle), os.stat(self.path, follow_symlinks=False)):
                        os.ftruncate(handle, 0)
                        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
                        stack.pop_all()
                        return handle

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

    def _remove_abandoned(self) -> None:
        for path in self.path.parent.glob(f"{PREFIX}[0-9]*-*"):
            if path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.getuid():
                shutil.rmtree(path, ignore_errors=True)
