"""The texts that a user reads: the templates of words.j2, filled with facts."""

import functools
import math
import shlex
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

import jinja2

from . import features

COST, WITH_LOAD = "cpu_ns_per_request", "with_load_ns_per_request"
CEILING_SHARE = "ceiling_share"
TIMES = 3.0  # from this ratio on a text says "times as much" instead of percent
FEW_NAMES = 3  # that are listed before the others are only counted


class Words(NamedTuple):
    """How sentences about a metric are worded."""

    title: str
    verb: str = "has"
    more: str = "more"
    less: str = "less"
    times: str = "has {} as much"


WORDS = {
    COST: Words("CPU per request", "uses", times="uses {} as much"),
    WITH_LOAD: Words("CPU per request of server and load together", "uses", times="uses {} as much"),
    "per_second": Words("requests/s", "serves", "more", "fewer", "serves {} as many"),
    CEILING_SHARE: Words("share of connections ÷ delay", "reaches a", "larger", "smaller", "reaches {} as large a"),
    "latency_us": Words("{} latency", "has a", "higher", "lower", "has {} as high a"),
    "latency_raw_us": Words("raw {} latency", "has a", "higher", "lower", "has {} as high a"),
    "memory": Words("{} memory", "holds an idle connection in", times="holds an idle connection in {} as much"),
    "peak_rss_kb": Words("peak memory", "uses", times="uses {} as much"),
    "syscalls_per_request": Words("system calls per request", "makes", "more", "fewer", "makes {} as many"),
}


def words_of(metric: str) -> Words:
    name = metric.partition(".")[0]
    return WORDS.get(name, Words(name.replace("_", " ")))


def metric_title(metric: str) -> str:
    return words_of(metric).title.format(metric.partition(".")[2].removesuffix("_bytes"))


def times(ratio: float) -> str:
    """A ratio above TIMES: 4.0 times, 245 times."""
    return f"{ratio:,.{1 if ratio < 10 else 0}f} times"


def size(ratio: float) -> str:
    """How far a ratio is from 1, without its direction: 8.0 %, or 245 times."""
    return times(ratio) if ratio > TIMES else percent(ratio)


def percent(ratio: float) -> str:
    """The same, always in percent."""
    return f"{abs(ratio - 1) * 100:.1f} %"


def noise_band(noise: Mapping[str, Any]) -> str:
    """The interval of an A/A run: −2.6 to +2.1 %."""
    low, high = (f"{(noise[key] - 1) * 100:+.1f}".replace("-", "−") for key in ("low", "high"))
    return f"{low} to {high} %"


def listed(names: Sequence[str]) -> str:
    """a, b and c; a, b, c and 4 more."""
    first, more = list(names[:FEW_NAMES]), len(names) - FEW_NAMES
    words = [*first, f"{more} more"] if more > 0 else first
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def cores(count: int) -> str:
    """1 core, 2 cores."""
    return f"{count} core" if count == 1 else f"{count} cores"


def capital(text: str) -> str:
    """A sentence with its first letter, unless it begins with torc or the name of a feature."""
    named = text.startswith("torc") or text.split(" ", 1)[0].rstrip(":") in features.TITLES
    return text if named else text[:1].upper() + text[1:]


@functools.cache
def _templates() -> Any:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    found = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    for filled in (times, size, percent, noise_band, listed, cores, capital, words_of, metric_title):
        found.filters[filled.__name__] = filled
    found.filters.update(shell=shlex.quote, shell_words=shlex.join)
    found.globals.update(TIMES=TIMES, inf=math.inf)
    return found.get_template("words.j2").module


def fill(name: str, *facts: Any, **more: Any) -> str:
    """The template of that name, filled."""
    return str(getattr(_templates(), name)(*facts, **more)).strip()


def say(name: str, *facts: Any, **more: Any) -> str:
    """The same on one line."""
    return " ".join(fill(name, *facts, **more).split())
