"""What a reader needs to judge a run and to repeat it: machine, programs, commands."""

from __future__ import annotations

import shlex
from typing import Any, Iterator, Mapping

from .. import results
from .html import Markup, details, join, pre, tag

UNKNOWN = "not known"


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Everything in a nested map as lines; what is None is said to be not known."""
    if isinstance(value, Mapping):
        if not value:
            yield path, "none"
        for key, one in value.items():
            yield from flat(one, f"{path} · {_words(key)}" if path else _words(key))
    elif isinstance(value, (list, tuple)):
        if any(isinstance(one, (Mapping, list, tuple)) for one in value):
            for number, one in enumerate(value):
                yield from flat(one, f"{path} {number + 1}")
        else:
            yield path, ", ".join(_one(one) for one in value) or "none"
    else:
        yield path, _one(value)


def _words(key: Any) -> str:
    return str(key) if "." in str(key) else str(key).replace("_", " ")


def _one(value: Any) -> str:
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def unknown(run: results.Run) -> list[str]:
    """What the run could not find out about its machine."""
    return [path for path, value in flat(run.environment) if value == UNKNOWN]


def facts(pairs: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> Markup:
    """Names and values beside each other, below each other on a phone."""
    return tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in pairs), class_="facts")


def described(run: results.Run) -> Markup:
    """The environment, folded by topic."""
    parts = []
    plain = {key: one for key, one in run.environment.items() if not isinstance(one, Mapping)}
    plain["pinning"] = run.pinning
    parts.append(details("Machine and kernel", facts(flat(plain)), open_=False))
    for key, one in run.environment.items():
        if isinstance(one, Mapping):
            name = "CPU" if key == "cpu" else _words(key).capitalize()
            parts.append(details(name, facts(flat(one))))
    if run.options:
        parts.append(details("Options of this run", facts(flat(run.options))))
    return join(parts)


def findings(run: results.Run) -> Markup:
    """What doctor said, good news included."""
    if not run.doctor:
        return Markup("")
    rows = []
    for one in run.doctor:
        level = str(one.get("level") or "")
        remedy = one.get("remedy")
        rows.append(
            tag(
                "li",
                tag("span", level, class_=f"tag {level}"),
                " ",
                one.get("text") or "",
                tag("span", f" Remedy: {remedy}", class_="soft") if remedy else "",
            )
        )
    return details(f"What doctor found ({len(rows)})", tag("ul", *rows))


def commands(run: results.Run) -> Markup:
    """Every command to repeat the run."""
    git = run.environment.get("git") or {}
    again = shlex.join(str(word) for word in run.command)
    steps = []
    if git.get("commit"):
        steps.append(f"git checkout {git['commit']}")
    options = (run.environment.get("build") or {}).get("options") or {}
    if options.get("buildtype"):
        steps.append(f"meson setup build/release --buildtype={options['buildtype']}")
        steps.append("meson compile -C build/release")
    steps += [again] if again else []
    parts = [tag("p", "One click selects a whole block.", class_="meta"), tag("h3", "This run"), pre("\n".join(steps))]
    if run.commands:
        parts.append(tag("h3", "Every server as it was started"))
        for name, words in run.commands.items():
            parts += [tag("p", name, class_="meta"), pre(shlex.join(str(word) for word in words))]
    return join(parts)
