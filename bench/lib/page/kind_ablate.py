"""The body of an ablation: what each feature is worth, out of the full set and into the bare one.

Reads what ablate.py documents as its `extra`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Mapping, Sequence

from .. import results
from . import kind_compare, numbers, plots, svg
from .figures import Figures
from .figures import plots as side_by_side
from .html import Column, Markup, details, items, join, section, table, tag
from .look import Looks, cut

TONES = {"saves": "good", "costs": "bad"}
WORDS = {"saves": "saves", "costs": "costs", "none": "not detectable", "unmeasured": "not measured"}


def effects(run: results.Run) -> list[Mapping[str, Any]]:
    """The effects that the run wrote down."""
    return [row for row in run.extra.get("effects") or [] if isinstance(row, Mapping)]


def body(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    """Two waterfalls and their table, everything together, then the single comparisons."""
    found = effects(run)
    bars = run.extra.get("waterfall") or {}
    total = run.extra.get("total") or {}
    cells = kind_compare.measured(run)
    whole = next((cell for cell in cells if cell.id == total.get("cell")), None)
    costing = [str(row.get("feature")) for row in found if row.get("verdict") == "costs"]
    return join([
        section(
            "effects", "What each feature is worth",
            tag("p", "One at a time. Features work together, so the single effects need not add "
                "up: what is left is drawn as the rest.", class_="meta"),
            tag("p", tag("strong", "These cost rather than save: ", class_="bad"),
                ", ".join(dict.fromkeys(costing)), ".") if costing else "",
            side_by_side(
                figures.add("From the bare ring up", partial(waterfall, bars.get("bare") or []),
                            "What each feature does when it alone is put in. " + LEGEND),
                figures.add("From the full set down", partial(waterfall, bars.get("full") or []),
                            "What taking each feature away does. " + LEGEND),
                *(figures.add(f"{title}, as ratios", partial(ratios, found, context),
                              "Cost with the feature over cost without; median and 95 % interval. "
                              "Green: saves; red: costs; grey: not detectable.")
                  for context, title in (("into bare", "Put into the bare ring"),
                                         ("out of full", "Taken out of the full set")))),
            _table(found),
            details("Every effect in words", items([row.get("text") for row in found
                                                    if row.get("text")]))) if found else "",
        kind_compare.workload(run, whole, looks, figures) if whole else "",
        section("pairs", "Every comparison", *(kind_compare.folded(cell, looks)
                                               for cell in cells if cell is not whole)),
    ])  # fmt: skip


LEGEND = ("Each bar begins where the one above it ends. Green: the feature saves; red: it costs; "
          "grey: not detectable; line: 95 % interval.")  # fmt: skip


def waterfall(bars: Sequence[Mapping[str, Any]], width: float = svg.WIDTH) -> Any:
    """Bars from one total to the other, in µs."""
    if len(bars) < 3:
        return None
    made, axes = plots.rows_figure(len(bars), width)
    reached: list[float] = []
    for row, bar in enumerate(bars):
        y, at, to = -row - 0.1, bar["from_us"], bar["to_us"]
        edges = [bar["low_us"], bar["high_us"]]
        tone = svg.COLOUR[TONES.get(bar["kind"], "soft")]
        if bar["kind"] == "total":
            svg.mark(axes.plot([to], [y], "D", color=plots.INK, markersize=6))
            right = f"{numbers.number(to, 3)} µs"
        else:
            svg.mark(axes.barh(y, to - at, left=at, height=0.36, color=tone,
                               alpha=0.3 if bar["kind"] == "rest" else 0.6).patches)  # fmt: skip
            right = f"{to - at:+.3f} µs".replace("-", "−")
        if bar["kind"] != "rest":
            axes.plot(edges, [y, y], color=plots.INK, linewidth=1.3)
        if row + 1 < len(bars):  # to where the next bar begins
            axes.plot([to, to], [y - 0.18, y - 0.82], color=plots.SOFT, linewidth=0.7)
        reached += [to, *edges] if bar["kind"] == "total" else [at, to, *edges]
        plots.row_text(axes, row, cut(str(bar["label"])), right)
    plots.fit(axes, reached)
    axes.set_xlabel("server CPU per request, µs (not from 0)")
    return made


def ratios(found: Sequence[Mapping[str, Any]], context: str, width: float = svg.WIDTH) -> Any:
    """Each feature's ratio with its interval."""
    rows = [plots.Bar(str(row["feature"]), row["ratio"]["median"], row["ratio"]["low"],
                      row["ratio"]["high"], svg.COLOUR[TONES.get(str(row.get("verdict")), "soft")],
                      row["ratio"]["pairs"])
            for row in found if row.get("context") == context and row.get("ratio")]  # fmt: skip
    rows.sort(key=lambda row: row.median)
    return plots.forest(rows, "cost with ÷ cost without (below 1: it saves)", width=width)


def _table(found: Sequence[Mapping[str, Any]]) -> Markup:
    rows = []
    for row in found:
        ratio, verdict = row.get("ratio") or {}, str(row.get("verdict") or "")
        low, high = (numbers.signed_percent(ratio.get(key)) for key in ("low", "high"))
        rows.append([row.get("feature"), row.get("context"),
                     numbers.signed_percent(ratio.get("median")),
                     f"{low} to {high}" if ratio else "–", ratio.get("pairs"),
                     tag("span", WORDS.get(verdict, verdict), class_=TONES.get(verdict, "note")),
                     "; ".join(filter(None, (row.get("title"), row.get("note"))))])  # fmt: skip
    return table("CPU per request with the feature against without it, paired by round", [
        Column("Feature"), Column("Moved", words=True), Column("Change"), Column("95 % interval"),
        Column("Pairs"), Column("The feature", words=True), Column("About", words=True, wide=True),
    ], rows)  # fmt: skip
