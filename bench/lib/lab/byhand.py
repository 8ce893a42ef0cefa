"""The commands of an experiment as one would type them: known ports, no scratch files."""

from __future__ import annotations

import os
import shlex
from typing import Any, Mapping, Sequence

from ..options import TOP
from .flow import Flow

FIRST_PORT = 8080
SCRATCH = ("--admin", "--root")  # options whose values only the run itself needs


def short(word: str) -> str:
    """A program of this directory without the way to it."""
    near = os.path.relpath(word, TOP) if os.path.isabs(word) else word
    return word if near.startswith("..") else near


class Repeat:
    """What was started and asked, each once."""

    def __init__(self) -> None:
        self.loads: dict[str, dict[str, None]] = {}  # of each server, by its command
        self.up: dict[str, tuple[str, str]] = {}  # the servers that run, by URL: their URL here and their command
        self.shown: dict[str, str] = {}  # words that are known only while it runs, and what stands for them

    def backends(self, given: Mapping[str, str], options: Sequence[str] = ()) -> None:
        """Databases that were started, by name."""
        words = " ".join(["tools/backends start", *options])
        self.loads.setdefault(f"{words}  # says what $pg and $redis are", {})
        self.shown |= {given[name]: f'"${name}"' for name in ("pg", "redis") if name in given}

    def started(self, url: str, words: Sequence[str]) -> None:
        taken = {here for here, _ in self.up.values()}
        here = next(one for port in range(FIRST_PORT, 65536) if (one := f"http://127.0.0.1:{port}") not in taken)
        kept: list[str] = []
        for before, word in zip(("", *words), words):
            if word not in SCRATCH and before not in SCRATCH:
                kept.append(here.removeprefix("http://") if before == "--listen" else word)
        known = {**self.shown, **{there: seen for there, (seen, _) in self.up.items()}}
        text = " ".join([short(kept[0]), *(known.get(word) or shlex.quote(word) for word in kept[1:])])
        self.up[url] = here, text
        self.loads.setdefault(text, {})

    def ended(self, url: str) -> None:
        self.up.pop(url, None)

    def typed(self, url: str, line: str) -> None:
        """What was asked in another way than by flows, with {url} for where."""
        here, text = self.up[url]
        self.loads[text][line.format(url=here)] = None

    def asked(self, url: str, flows: Sequence[Flow], program: str) -> None:
        """Flows at once are one line, each but the last in the background."""
        here, text = self.up[url]
        lines = [shlex.join([short(program), *one.asked(here)]) for one in flows]
        self.loads[text][" & ".join(lines)] = None

    def plain(self) -> list[dict[str, Any]]:
        return [{"server": server, "loads": list(loads)} for server, loads in self.loads.items()]
