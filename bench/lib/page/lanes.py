"""Pictures whose rows consist of parts: stacks of amounts, and lanes of times."""

from typing import Any, Mapping

from . import numbers, plots, svg
from .svg import MARK, SOFT

Picture = Mapping[str, Any]
LOOKS = (0, 1, 7)  # the places of the parts among the colours
HEIGHTS = (1.0, 0.6, 0.3)  # of the parts: they are not told by their colours alone
LANE, NAME = 7, 17  # units of height: of a lane, and of the name above a group
THICK = 0.78  # of a lane
STACK = 0.42  # height of a stack, of its row


def stacks(axes: Any, picture: Picture) -> None:
    """The parts of each row, one after another."""
    plots.set_rows(axes, len(picture["stacks"]))
    for number, one in enumerate(picture["stacks"]):
        left, y = 0.0, plots.middle(number)
        plots.row_text(axes, number, one["name"], one["text"])
        for part, value in enumerate(one["values"]):
            if value > 0:
                axes.barh(y, value, left=left, height=STACK * HEIGHTS[part], color=svg.series(LOOKS[part]), gid=MARK)
            left += value
    _axis(axes, picture, max(sum(one["values"]) for one in picture["stacks"]))


def groups(axes: Any, picture: Picture) -> None:
    """A lane for each request, below the name of its group."""
    found = picture["groups"]
    count = sum(len(one["lanes"]) for one in found)
    svg.set_height(axes, count * LANE + len(found) * NAME + 45)
    y = 0.0
    for group in found:
        box = {"facecolor": svg.COLOUR["bg"], "edgecolor": "none", "pad": 1}
        text = {"transform": axes.get_yaxis_transform(), "va": "center", "bbox": box}
        axes.text(0, y - NAME / 2, group["name"], ha="left", **text)
        axes.text(1, y - NAME / 2, group["text"], ha="right", color=SOFT, **text)
        y -= NAME
        for lane in group["lanes"]:
            for part, begin, end in lane:
                high = LANE * THICK * HEIGHTS[part]
                colour = svg.series(LOOKS[part])
                axes.barh(y - LANE / 2, end - begin, left=begin, height=high, color=colour, gid=MARK)
            y -= LANE
    axes.set_ylim(y, 0)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    _axis(axes, picture, max(end for group in found for lane in group["lanes"] for *_, end in lane))


def _axis(axes: Any, picture: Picture, most: float) -> None:
    axes.set_xlim(0, max(most, 1e-9) * 1.02)
    axes.xaxis.set_major_formatter(numbers.compact)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(picture["x"])


def shades(axes: Any, picture: Picture) -> None:
    """Parts of x behind lines, with their names above."""
    for one in picture.get("shades", ()):
        axes.axvspan(one["begin"], one["end"], color=SOFT, alpha=0.18, linewidth=0)
        middle = (one["begin"] + one["end"]) / 2
        axes.text(middle, 1.01, one["name"], transform=axes.get_xaxis_transform(), ha="center", va="bottom", color=SOFT)


def swatches(picture: Picture) -> list[tuple[str, int, float]]:
    """The legend: each part that is drawn, with the place of its colour and its height."""
    drawn = {part for one in picture.get("stacks", ()) for part, value in enumerate(one["values"]) if value > 0}
    drawn |= {span[0] for group in picture.get("groups", ()) for lane in group["lanes"] for span in lane}
    named = enumerate(zip(picture.get("parts", ()), LOOKS, HEIGHTS))
    return [(name, look, high) for part, (name, look, high) in named if part in drawn]
