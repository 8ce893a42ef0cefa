"""Other programs: whether they are there, and what short commands of theirs print."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Sequence


def installed(*names: str) -> str | None:
    """The first of these programs there is; servers are often outside a user's PATH."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def output(command: Sequence[str], directory: Path | None = None, most: int = 0) -> str | None:
    """What a short command prints (stdout, else stderr); None where it is missing, or ends with a
    status above most."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, cwd=directory, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout.strip() or done.stderr.strip()) if done.returncode <= most else None


@functools.cache
def version(program: str, option: str = "--version") -> str | None:
    """The first thing that looks like a version in what a program prints."""
    found = re.search(r"\d+(\.\d+)+[^\s\"/]*", output([program, option], most=1) or "")
    return found[0] if found else None


@functools.cache
def check(*words: str) -> tuple[int, str]:
    """The status of torc with --check, which serves nothing, and what it says of what it refuses."""
    done = subprocess.run([*words, "--check"], capture_output=True, text=True, timeout=20)
    lines = done.stderr.strip().splitlines() or [f"{Path(words[0]).name} --check ended with {done.returncode}"]
    return done.returncode, lines[-1].removeprefix("torc: ")
