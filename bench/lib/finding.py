"""A finding of the doctor's, and all that there may be: findings.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

LEVELS = ("fail", "limit", "note", "ok")  # the worst first
CATALOGUE = tomllib.loads(Path(__file__).with_name("findings.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Finding:
    """One thing about this machine; remedy is None where there is none to give."""

    id: str
    level: str
    text: str
    remedy: str | None = None


def find(name: str, /, **facts: object) -> Finding:
    """One of the catalogue, with what was seen filled in."""
    entry = CATALOGUE[name]
    remedy = entry["remedy"].format(**facts) if "remedy" in entry else None
    return Finding(name.partition(".")[0], entry["level"], entry["text"].format(**facts), remedy)
