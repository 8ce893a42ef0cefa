"""The body of an ablation: what each feature is worth, out of the full set and into the bare one.

Reads what ablate.py documents as its `extra`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Mapping, Sequence

from .. import results
from . import kind_compare, numbers, plots, svg, waterfall
from .figures import Figures
from .figures import plots as side_by_side
from .html import Column, Markup, details, items, join, section, table, tag
from .look import Looks

WORDS = {"saves": "saves", "costs": "costs", "none": "not detectable", "unmeasured": "not measured"}


def effects(run: results.Run) -> list[Mapping[str, Any]]:
    """The effects that the run wrote down."""
    return [row for row in run.extra.get("effects") or [] if isinstance(row, Mapping)]


def body(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    """Two waterfalls and their table, everything together, then the single comparisons."""
    found = effects(run)
    full = list(run.extra.get("full") or [])
    total = run.extra.get("total") or {}
    cells = kind_compare.measured(run)
    whole = next((cell for cell in cells if cell.id == total.get("cell")), None)
    costing = [
        str(row.get("feature")) for row in found if row.get("verdict") == "costs" and not waterfall.hider(row, full)
    ]
    return join(
        [
            section(
                "effects",
                "What each feature is worth",
                tag(
                    "p",
                    "One at a time. Features work together, so the single effects need not add "
                    "up: what is left is drawn as beyond the sum.",
                    class_="meta",
                ),
                tag(
                    "p",
                    tag("strong", "These cost rather than save: ", class_="bad"),
                    ", ".join(dict.fromkeys(costing)),
                    ".",
                )
                if costing
                else "",
                side_by_side(
                    *(
                        figures.add(
                            name, partial(waterfall.draw, waterfall.steps(run.extra, start)), f"{what} {LEGEND}"
                        )
                        for name, start, what in (
                            ("From the bare ring up", "bare", "What each feature does when it alone is put in."),
                            ("From the full set down", "full", "What taking each feature away does."),
                        )
                    ),
                    *(
                        figures.add(
                            f"{title}, as ratios",
                            partial(ratios, found, context, full),
                            "Cost with the feature over cost without; median and 95 % interval. "
                            "Green: saves; red: costs; grey: not detectable.",
                        )
                        for context, title in (
                            ("into bare", "Put into the bare ring"),
                            ("out of full", "Taken out of the full set"),
                        )
                    ),
                ),
                _table(found, full),
                details("Every effect in words", items(_words(row, full) for row in found if row.get("text"))),
            )
            if found
            else "",
            kind_compare.workload(run, whole, looks, figures) if whole else "",
            section(
                "pairs", "Every comparison", *(kind_compare.folded(cell, looks) for cell in cells if cell is not whole)
            ),
        ]
    )


def _words(row: Mapping[str, Any], full: Sequence[str]) -> str:
    """An effect in words, with why it is none in the full set itself."""
    other = waterfall.hider(row, full)
    return f"{row['text']}" + (f" In the full set {other} hides it." if other else "")


LEGEND = (
    "A bar is what the ratio beside it, paired by round, makes of the cost at the top, and begins "
    "where the one above it ends; beyond the sum: what the features do together and not alone. "
    "Green: the feature saves; red: it costs; grey: not detectable; line: 95 % interval."
)


def ratios(found: Sequence[Mapping[str, Any]], context: str, full: Sequence[str], width: float = svg.WIDTH) -> Any:
    """Each feature's ratio with its interval."""
    rows = [
        plots.Bar(
            str(row["feature"]),
            row["ratio"]["median"],
            row["ratio"]["low"],
            row["ratio"]["high"],
            waterfall.tone(str(row.get("verdict"))),
            row["ratio"]["pairs"],
        )
        for row in found
        if row.get("context") == context and row.get("ratio") and not waterfall.hider(row, full)
    ]
    rows.sort(key=lambda row: row.median)
    rows += [
        plots.Bar(str(row["feature"]), 1, 1, 1, instead=f"hidden by {other}")
        for row in found
        if row.get("context") == context and (other := waterfall.hider(row, full))
    ]
    return plots.forest(rows, "cost with ÷ cost without (below 1: it saves)", width=width)


def _table(found: Sequence[Mapping[str, Any]], full: Sequence[str]) -> Markup:
    rows = []
    for row in found:
        ratio, verdict = row.get("ratio") or {}, str(row.get("verdict") or "")
        about = "; ".join(filter(None, (row.get("title"), row.get("note"))))
        if other := waterfall.hider(row, full):
            # Its pair stands on another set: what it says there is among all comparisons.
            rows.append(
                [
                    row.get("feature"),
                    row.get("context"),
                    None,
                    None,
                    None,
                    tag("span", f"hidden by {other}", class_="note"),
                    about,
                ]
            )
            continue
        low, high = (numbers.signed_percent(ratio.get(key)) for key in ("low", "high"))
        rows.append(
            [
                row.get("feature"),
                row.get("context"),
                numbers.signed_percent(ratio.get("median")),
                f"{low} to {high}" if ratio else "–",
                ratio.get("pairs"),
                tag("span", WORDS.get(verdict, verdict), class_=waterfall.TONES.get(verdict, "note")),
                about,
            ]
        )
    return table(
        "CPU per request with the feature against without it, paired by round",
        [
            Column("Feature"),
            Column("Moved", words=True),
            Column("Change"),
            Column("95 % interval"),
            Column("Pairs"),
            Column("The feature", words=True),
            Column("About", words=True, wide=True),
        ],
        rows,
    )
