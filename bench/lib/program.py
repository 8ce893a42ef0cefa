"""Other programs: whether they are there, and what short commands of theirs print."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple, Sequence


class Said(NamedTuple):
    """What a short command printed; without a status it did not run."""

    status: int | None
    text: str
    errors: str

    @property
    def why(self) -> str:
        """The last line that a server of ours says of what it refuses."""
        lines = self.errors.splitlines() or [f"it ended with {self.status}"]
        return lines[-1].removeprefix("torc: ")


def ask(*words: str | Path, directory: Path | None = None, seconds: float = 20, locale: str = "C") -> Said:
    """Runs a short command to its end. What it prints is parsed, so it is asked in English."""
    plain = {"stdin": subprocess.DEVNULL, "capture_output": True, "encoding": "utf-8", "errors": "replace"}
    english = {**os.environ, "LC_ALL": locale}
    try:
        done = subprocess.run(words, cwd=directory, timeout=seconds, env=english, **plain)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Said(None, "", str(error))
    return Said(done.returncode, done.stdout.strip(), done.stderr.strip())


def installed(*names: str) -> str | None:
    """The first of these programs there is; servers are often outside a user's PATH."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def output(command: Sequence[str], directory: Path | None = None) -> str | None:
    """What a command prints, on stderr if not on stdout; None where it is missing or fails."""
    said = ask(*command, directory=directory)
    return (said.text or said.errors) if said.status == 0 else None


@functools.cache
def version(program: str, option: str = "--version") -> str | None:
    """The first thing that looks like a version in what a program prints."""
    said = ask(program, option)  # wrk prints it and ends with 1
    found = re.search(r"\d+(\.\d+)+[^\s\"/]*", said.text or said.errors) if said.status in (0, 1) else None
    return found[0] if found else None


@functools.cache
def check(*words: str) -> Said:
    """What torc with --check, which serves nothing, says of these options."""
    return ask(*words, "--check")
