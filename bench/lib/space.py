"""What tune may change: the options of a ring, their values, and candidates drawn from them."""

import random
import re
from typing import Any, Mapping, Sequence

from . import features
from .workloads import Workload

Settings = dict[str, str]  # option name -> value, as a configuration file has them

DEPTHS = ("64", "128", "256", "1024", "2048", "4096")
CQ_FACTORS = (2, 4, 8, 16)
CQ_MOST = 65536
VALUES = {  # beside the depth and what depends on it
    "buffers": ("256", "512", "2048", "4096", "8192"),
    "buffer-size": ("1k", "2k", "8k", "16k", "32k"),
    "iowq-workers": ("1", "2", "8", "16"),
}
BUFFER_MEMORY_MOST = 64 << 20  # of a core
CHANGES = (1, 1, 2, 2, 2, 3)  # how many things a candidate changes
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
TRIES = 100  # for each candidate


def defaults(help_text: str) -> Settings:
    """The default of every option that a server's --help lists with one."""
    found = {}
    for entry in re.split(r"^  (?=--)", help_text, flags=re.MULTILINE):
        match = re.match(r"--(?:\[no-\])?([\w-]+).*?\(default\s+([^)\s]+)\)", entry, re.DOTALL)
        if match:
            found[match.group(1)] = match.group(2)
    return found


def space(base: Mapping[str, str], names: Sequence[str], asked: Workload) -> dict[str, list[Any]]:
    """The values worth trying of each thing that can be changed, the default's left out."""
    found: dict[str, list[Any]] = {}
    if "depth" in base:
        found["depth"] = [value for value in DEPTHS if value != base["depth"]]
    if "cq-depth" in base:
        found["cq-factor"] = list(CQ_FACTORS)
    for option, values in VALUES.items():
        # Kernel workers only come into play where files are opened.
        idle = option == "iowq-workers" and not any("/static/" in path for path in asked.paths)
        if option in base and not idle:
            found[option] = [value for value in values if value != base[option]]
    # One that is hidden by another would change nothing when switched off.
    usable = [name for name in names if features.HIDDEN_BY.get(name) not in names]
    found["feature"] = usable
    return {key: values for key, values in found.items() if values}


def candidates(found: Mapping[str, list[Any]], base: Mapping[str, str], count: int, seed: int) -> list[Settings]:
    """Settings that differ from the default in one to three things, each set once. Few changes, so that a winner
    carries little that is of no use to it. The same seed gives the same candidates; there are fewer than count
    where the space has no more."""
    source = random.Random(seed)
    drawn: list[Settings] = []
    for _ in range(count * TRIES):
        if len(drawn) == count or not found:
            break
        settings: Settings = {}
        keys = [source.choice(sorted(found)) for _ in range(source.choice(CHANGES))]
        for key in sorted(keys, key="cq-factor".__eq__):  # last, for it multiplies the depth
            _change(settings, key, source.choice(found[key]), base)
        if settings and settings not in drawn and _fits(settings, base):
            drawn.append(settings)
    return drawn


def _change(settings: Settings, key: str, value: Any, base: Mapping[str, str]) -> None:
    if key == "feature":
        name, text = features.setting(value, False)
        settings[name] = text
    elif key == "cq-factor":
        depth = int(settings.get("depth", base.get("depth", "512")))
        settings["cq-depth"] = str(min(depth * value, CQ_MOST))
    else:
        settings[key] = value


def _fits(settings: Settings, base: Mapping[str, str]) -> bool:
    """Whether a core's buffers are of a sound size and the CQ is no smaller than the SQ."""

    def at(key: str, otherwise: str) -> int:
        return size(settings.get(key, base.get(key, otherwise)))

    cq = at("cq-depth", "0")
    return at("buffers", "0") * at("buffer-size", "0") <= BUFFER_MEMORY_MOST and (cq == 0 or at("depth", "512") <= cq)


def size(text: str) -> int:
    """A number as the options take it: 4k is 4096."""
    unit = UNITS.get(text[-1:], 1)
    return int(text[:-1] if unit > 1 else text) * unit


def arguments(settings: Mapping[str, str]) -> tuple[str, ...]:
    """The command line that says the same as a configuration file's lines."""
    words: list[str] = []
    for name, value in sorted(settings.items()):
        words += {"yes": [f"--{name}"], "no": [f"--no-{name}"]}.get(value, [f"--{name}", value])
    return tuple(words)


def described(settings: Mapping[str, str]) -> str:
    """depth 64, no single-issuer and so no defer-taskrun."""
    words = []
    for name, value in sorted(settings.items()):
        words.append({"yes": name, "no": f"no {name}"}.get(value, f"{name} {value}"))
        if value == "no":
            lost = [f"no {one}" for one, need in features.NEEDS.items() if need == name]
            words[-1] += "".join(f" and so {one}" for one in lost if one not in words)
    return ", ".join(words)
