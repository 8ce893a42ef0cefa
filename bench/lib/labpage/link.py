"""The address of an experiment with its parameters: models?connections=500&engine=epoll."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Sequence
from urllib.parse import parse_qsl, urlencode

from ..explain import CLAIMS
from ..lab.claim import Claim, Parameter
from ..lab.stage import ASYNCHRONOUS
from ..subject import SubjectError

LONGEST = 500  # letters


class LinkError(SubjectError):
    """No such experiment, or not with these parameters."""


@dataclass(frozen=True)
class Link:
    claim: Claim
    given: dict[str, int]
    engine: str | None = None

    def __str__(self) -> str:
        words = {**self.given, **({"engine": self.engine} if self.engine else {})}
        return f"{self.claim.name}?{urlencode(words)}" if words else self.claim.name


def highest(parameter: Parameter) -> int:
    """There are no more cores than CPUs."""
    return min(parameter.high, len(os.sched_getaffinity(0))) if parameter.name == "cores" else parameter.high


def parse(text: str) -> Link:
    if len(text) > LONGEST:
        raise LinkError(f"takes an experiment and its parameters in up to {LONGEST} letters")
    name, _, query = text.partition("?")
    if name not in CLAIMS:
        raise LinkError(f"takes an experiment of {', '.join(CLAIMS)}, not {name!r}")
    claim = CLAIMS[name]
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise LinkError(f"{name}: takes parameters as NAME=NUMBER with & between them, not {query!r}") from None
    if len(dict(pairs)) < len(pairs):
        raise LinkError(f"{name}: takes each parameter once")
    return _checked(claim, dict(pairs))


def _checked(claim: Claim, words: dict[str, str]) -> Link:
    known = {one.name: one for one in claim.parameters}
    names = [*known, *(["engine"] if claim.on_engine else [])]
    given, engine = {}, None
    for name, word in words.items():
        if name not in names:
            raise LinkError(f"{claim.name}: {_listed(names)}, not {name!r}")
        if name == "engine":
            engine = _engine(claim, word)
        else:
            given[name] = _number(claim, known[name], word)
    return Link(claim, given, engine)


def _listed(names: Sequence[str]) -> str:
    return f"takes the parameters {', '.join(names)}" if names else "takes no parameters"


def _engine(claim: Claim, word: str) -> str:
    if word not in ASYNCHRONOUS:
        raise LinkError(f"{claim.name}: engine takes one of {', '.join(ASYNCHRONOUS)}, not {word!r}")
    return word


def _number(claim: Claim, parameter: Parameter, word: str) -> int:
    high = highest(parameter)
    if not (word.isascii() and word.isdecimal() and parameter.low <= int(word) <= high):
        bounds = f"a whole number from {parameter.low:,} to {high:,}"
        raise LinkError(f"{claim.name}: {parameter.name} takes {bounds}, not {word!r}")
    return int(word)
