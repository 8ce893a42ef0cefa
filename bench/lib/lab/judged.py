"""What a run says of its claim: that it shows it, that it does not and why, or that it is too noisy to tell."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from ..remarks import NOISY_OTHERS
from ..table import percent

SHOWN, NOT, UNSURE = "shown", "not", "unsure"
MUCH = 0.5  # CPUs' worth of others, from which on a claim that is borne out says so, too


class Judged(NamedTuple):
    kind: str  # one of the three
    text: str  # a heading without its full stop


def judge(holds: bool, missed: Sequence[str], unsure: Sequence[str], others: float) -> Judged:
    """From the parts that are not so, the reasons why the samples do not tell, and the CPUs' worth of other programs. A
    claim that is borne out although the machine was busy is borne out."""
    noisy = others > NOISY_OTHERS
    busy = f"other programs used {percent(others)} of a CPU"
    if unsure or noisy and not holds:
        why = "; ".join([*unsure, *([busy] if noisy else [])])
        return Judged(UNSURE, f"{'Too noisy to tell' if noisy else 'This run does not tell'}: {why}")
    if holds:
        return Judged(SHOWN, "This run shows it" + (f", although {busy}" if others > MUCH else ""))
    return Judged(NOT, "This run does not show it" + (f": {'; '.join(missed)}" if missed else ""))


def of_entry(one: Mapping[str, Any]) -> Judged:
    """Of an experiment in a result file; those from before there were reasons have none."""
    return judge(one["holds"], one.get("missed", ()), one.get("unsure", ()), one["others_share"])
