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
from typing import Iterator

from . import room
from .ending import held, obeying
from .subject import SubjectError

NAME = "torc-bench.lock"
PREFIX = "torc-bench-"  # of scratch directories; their process's number follows


class Busy(SubjectError):
    """Another run measures: try again when it has ended."""


@contextlib.contextmanager
def lock() -> Iterator[Path]:
    """Takes the lock, or raises Busy; gives the scratch directory. Held to the end of the context or of this
    process, however that ends; its file goes with it. A signal is obeyed in the context alone: one that came between
    two of the steps would leave what the first one made."""
    path = Path(tempfile.gettempdir(), NAME)
    with held():
        try:
            handle = _take(path)
        except OSError as error:
            text = f"{path}: {error.strerror}: no lock against another torc-bench can be taken: set TMPDIR"
            raise SubjectError(text) from error
        try:
            _remove_abandoned(path.parent)
            with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as scratch, obeying():
                with room.named(scratch):
                    yield Path(scratch)
        finally:
            with contextlib.suppress(OSError):  # another user's, left by a run that was killed
                path.unlink()
            os.close(handle)


def _take(path: Path) -> int:
    while True:
        handle = _open(path)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
                text = f"another torc-bench (pid {pid or 'not known'}) is measuring here, and each would spoil"
                raise Busy(f"{text} the other's figures: wait for its end ({path} is its lock)") from None
            with contextlib.suppress(FileNotFoundError):  # whoever held it took the file away
                if os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False)):
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, b"%d\n" % os.getpid(), 0)
                    stack.pop_all()
                    return handle


def _open(path: Path) -> int:
    """Without O_CREAT where it is there: the kernel refuses that for other users' files."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(handle, 0o666)  # every user has to be able to lock it
            return handle


def _remove_abandoned(directory: Path) -> None:
    for path in directory.glob(f"{PREFIX}[0-9]*-*"):
        if path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)
