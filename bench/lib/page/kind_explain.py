"""What the page of experiments draws and lists: a picture of each, its figures, and L, P and A beside theory."""

import itertools
import math
from typing import Any, Mapping, Sequence

from ..lab import judged
from ..lab.claim import HEADS
from ..measures import KEYS
from . import lanes, numbers, plots, svg
from .render import Table, toned
from .svg import INK, MARK

THEORY = (7, 6, 5)  # the places of lines of theory among the looks: grey and dashed first
FORMS = (",.1f", ".2f", ".3f")  # of L, P and A
THEORIES = (
    "Beside theory: in progress L is requests/s × the time of each (Little's law); running P is at most the cores; "
    "without a thread A is 0 where a request holds a thread all the time, else 1 − P ÷ L"
)
LOGARITHMIC = " The axis is logarithmic: equal distances are equal factors."
INDENT = "\u00a0\u00a0\u00a0"  # which a browser does not drop
Picture = Mapping[str, Any]
Entry = Mapping[str, Any]


def plot(axes: Any, picture: Picture) -> None:
    """The picture of an experiment. Files from before there were stacks and groups have neither."""
    if picture.get("spans"):
        spans(axes, picture)
    elif picture.get("groups"):
        lanes.groups(axes, picture)
    elif picture.get("stacks"):
        lanes.stacks(axes, picture)
    elif picture["lines"]:
        lines(axes, picture)
    else:
        bars(axes, picture)


def bars(axes: Any, picture: Picture) -> None:
    """A bar for each row with a mark at its limit; on a logarithmic axis a dot."""
    rows = [one for one in picture["bars"] if one["value"] > 0 or not picture["log"]]
    if not rows:
        return
    plots.set_rows(axes, len(rows))
    shown = [one["value"] for one in rows] + [one["limit"] for one in rows if one["limit"]]
    if picture["log"]:
        axes.set_xscale("log")
        low, high = (min(shown) / 1.6, max(shown) * 1.6)
        axes.set_xlim(low, high)
        places = decades(low, high)
        plots.ticks(axes.xaxis, places, [numbers.compact(one) for one in places])
    else:
        axes.set_xlim(0, max(*shown, 1e-9) * 1.04)
        axes.xaxis.set_major_formatter(numbers.compact)
        axes.locator_params(axis="x", nbins=5)
    for number, one in enumerate(rows):
        y = plots.middle(number)
        plots.row_text(axes, number, one["name"], one["text"])
        if picture["log"]:
            axes.plot([one["value"]], [y], gid=MARK, **{**svg.dots(0, 7), "clip_on": False})
        else:
            axes.barh(y, one["value"], height=0.3, color=svg.series(0), alpha=0.75, gid=MARK)
        if one["limit"]:
            axes.plot([one["limit"]] * 2, [y - 0.2, y + 0.2], color=INK, linewidth=1.8, gid=MARK, clip_on=False)
    axes.set_xlabel(picture["x"])


def spans(axes: Any, picture: Picture) -> None:
    """A bar for each row from its begin to its end, with what ran in it dark on it; names are indented as deep as they
    are nested."""
    rows = picture["spans"]
    plots.set_rows(axes, len(rows))
    axes.set_xlim(min(0.0, *(one["begin"] for one in rows)), max(one["end"] for one in rows) * 1.02)
    axes.xaxis.set_major_formatter(numbers.compact)
    axes.locator_params(axis="x", nbins=6)
    for number, one in enumerate(rows):
        y, lasted = plots.middle(number), one["end"] - one["begin"]
        plots.row_text(axes, number, INDENT * one["depth"] + one["name"], f"{lasted:,.1f} ms")
        colour = svg.series(one["depth"])
        axes.barh(y, lasted, left=one["begin"], height=0.3, color=colour, alpha=0.75, gid=MARK)
        for word, begin, end in one["parts"]:
            if word == "run":
                axes.barh(y, end - begin, left=begin, height=0.14, color=INK, linewidth=0)
    axes.set_xlabel(picture["x"])


def lines(axes: Any, picture: Picture) -> None:
    """Lines with their points, those of theory dashed and without."""
    found = drawn(picture)
    if not found:
        return
    svg.set_height(axes, 230)
    lanes.shades(axes, picture)
    for index, one in found:
        look = {**svg.line(index), "linewidth": 1.4 if one["theory"] else 1.8, "clip_on": False}
        if not one["theory"]:
            look |= {"marker": svg.dots(index)["marker"], "markersize": 5}
        axes.plot(*zip(*one["points"]), **look)
    every = [y for _, one in found for _, y in one["points"]]
    if picture["log"]:
        axes.set_yscale("log")
        low, high = min(every) / 1.3, max(every) * 1.3
        axes.set_ylim(low, high)
        places = decades(low, high)
        plots.ticks(axes.yaxis, places, [numbers.compact(one) for one in places])
    else:
        axes.set_ylim(0, max(*every, 1e-9) * 1.06)
        axes.yaxis.set_major_formatter(numbers.compact)
    axes.set_xlim(0, max(x for _, one in found for x, _ in one["points"]) * 1.03)
    axes.xaxis.set_major_formatter(numbers.compact)
    axes.set_xlabel(picture["x"])
    axes.set_ylabel(picture["y"])


def decades(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: the powers of ten, and 2 and 5 between them where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if high / low > 300 else (1, 2, 5)
    found = [step * 10.0**power for power in powers for step in steps]
    return [one for one in found if low <= one <= high]


def drawn(picture: Picture) -> list[tuple[int, dict[str, Any]]]:
    """The lines that have points to draw, each with the place of its look."""
    found = []
    measured, theory = itertools.count(), itertools.cycle(THEORY)
    for one in picture["lines"]:
        index = next(theory if one["theory"] else measured)
        points = sorted(point for point in one["points"] if point[1] > 0 or not picture["log"])
        if points:
            found.append((index, {**one, "points": points}))
    return found


def keys(picture: Picture) -> list[tuple[str, int]]:
    """The legend of lines."""
    return [(one["name"], index) for index, one in drawn(picture)]


def caption(picture: Picture) -> str:
    """What to see in it."""
    return str(picture["caption"]) + LOGARITHMIC * picture["log"]


def spoken(picture: Picture) -> str:
    """The rows of stacks and lanes in words, for who does not see them."""
    said = [f"{one['name']}: {_parts(picture, one)}." for one in picture.get("stacks", ())]
    said += [f"{one['name']}: all answered after {one['text']}." for one in picture.get("groups", ())]
    said += [f"{one['name']}: from {one['begin']:.1f} to {one['end']:.1f}." for one in picture.get("shades", ())]
    return " ".join(said)


def _parts(picture: Picture, stack: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{numbers.compact(value)} {name}" for name, value in zip(picture.get("parts", ()), stack["values"])
    )


def table(one: Entry) -> Table:
    """What was measured, as the terminal has it."""
    return Table("What was measured", [name or "Setting" for name in one["header"]], one["rows"])


def measures(one: Entry) -> Table:
    """L, P and A of each setting beside what theory says."""
    heads, rows = ["Setting"], []
    for head in HEADS:
        heads += [head, f"{head.split()[-1]}|in theory"]
    for row in one["measures"]:
        cells = [row["name"]]
        for key, form, said in zip(KEYS, FORMS, row["theory"]):
            cells += [format(row["found"][key], form) if key in row["found"] else "–", said]
        rows.append(cells)
    return Table(THEORIES, heads, rows)


def state(one: Entry) -> Any:
    """Whether the run shows what is claimed."""
    said = judged.of_entry(one)
    return toned(said.text + ".", {judged.SHOWN: "good", judged.NOT: "warn", judged.UNSURE: "soft"}[said.kind])


def ordered(tried: Sequence[Entry], untried: Sequence[Entry]) -> list[Entry]:
    """All experiments by their numbers."""
    return sorted([*tried, *untried], key=lambda one: int(one["number"]))


def script(one: Entry) -> str:
    """What was started and asked, as commands."""
    blocks = []
    for part in one["commands"]:
        waits = " &" if part["loads"] else ""
        blocks.append("\n".join([part["server"] + waits, *part["loads"]]))
    return "\n\n".join(blocks)
