"""From a matplotlib figure to inline SVG that takes its colours and type from the page.

Plots are drawn with stand-in colours, one for each CSS variable, and those are replaced in the
SVG; text stays text. The figures are 360 units wide and never shown narrower than 440 px, so that
9 units of type are 11 px; for a phone they are drawn once more, 268 units wide for 328 px.
"""

from __future__ import annotations

import io
import re
from typing import Any

from .html import Markup, attribute
from .style import SERIES

WIDTH, NARROW = 360, 268  # SVG units: points

_NAMES = ("ink", "soft", "line", "bg", "bad", "good", "warn", *(f"s{i}" for i in range(SERIES)))
COLOUR = {name: f"#0f{16 + index:02x}a7" for index, name in enumerate(_NAMES)}
_BACK = {value: name for name, value in COLOUR.items()}
DASHES: tuple[tuple[float, ...], ...] = (  # a line and a gap in turn, in widths of the line
    (),
    (5, 2),
    (1.2, 1.4),
    (6, 1.5, 1.2, 1.5),
    (11, 3),
    (6, 1.5, 1.2, 1.5, 1.2, 1.5),
    (1.2, 4),
    (11, 1.5, 4, 1.5),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "d")

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "torc-bench",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "axes.edgecolor": COLOUR["line"],
    "axes.labelcolor": COLOUR["soft"],
    "text.color": COLOUR["ink"],
    "xtick.color": COLOUR["line"],
    "ytick.color": COLOUR["line"],
    "xtick.labelcolor": COLOUR["soft"],
    "ytick.labelcolor": COLOUR["soft"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": COLOUR["line"],
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
}

MISSING = "Plots need matplotlib: install python3-matplotlib and write the report again."


def available() -> bool:
    """Whether plots can be drawn here."""
    try:
        import matplotlib.backends.backend_svg  # noqa: F401
    except ImportError:
        return False
    return True


def series(index: int) -> str:
    """The stand-in for the colour of the so-manieth line."""
    return COLOUR[f"s{index % SERIES}"]


def pattern(index: int) -> tuple[float, ...]:
    """The dashes of the so-manieth line, others where the colours begin anew."""
    return DASHES[(index + index // SERIES) % len(DASHES)]


def dash(index: int) -> Any:
    """A line style that tells lines apart without colour."""
    return (0, pattern(index)) if pattern(index) else "-"


def mark(artist: Any) -> Any:
    """Says that an artist carries data: its SVG element gets the class `mark`."""
    for one in artist if isinstance(artist, (list, tuple)) else [artist]:
        one.set_gid("mark")
    return artist


def styled() -> Any:
    """The context in which figures are drawn and written."""
    import matplotlib

    known = {key: value for key, value in _STYLE.items() if key in matplotlib.rcParams}
    return matplotlib.rc_context(known)


def figure(height: float, width: float = WIDTH) -> tuple[Any, Any]:
    """A figure of that many units, with its axes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    made = Figure(figsize=(width / 72, height / 72), layout="constrained")
    FigureCanvasSVG(made)
    made.get_layout_engine().set(w_pad=2 / 72, h_pad=3 / 72)
    return made, made.subplots()


def _clean(svg: str, ident: str) -> str:
    """Only the drawing: no prologue, no foreign names, ids of its own, colours of the page."""
    svg = svg[svg.index("<svg") :]
    foreign = r"<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>"
    svg = re.sub(foreign, "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>", "", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = svg.replace("xlink:href=", "href=")
    svg = re.sub(r'id="(mark|halo)(?:_\d+)?"', r'class="\1"', svg)
    svg = re.sub(r'\bid="(?!%s-)' % re.escape(ident), f'id="{ident}-', svg)
    svg = re.sub(r'href="#', f'href="#{ident}-', svg)
    svg = re.sub(r"url\(#", f"url(#{ident}-", svg)
    svg = re.sub(r"#0f[0-9a-f]{2}a7", lambda m: f"var(--{_BACK[m.group(0)]})", svg)
    svg = svg.replace("#000000", "var(--ink)")
    return re.sub(r"\n\s*", "\n", svg)


def render(made: Any, title: str, ident: str) -> Markup:
    """The figure as an SVG element that scales with its container."""
    out = io.StringIO()
    made.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = _clean(out.getvalue(), ident)
    view = re.search(r'viewBox="([^"]+)"', svg)
    body = svg[svg.index(">") + 1 :].strip()
    head = (
        f'<svg class="plot" role="img" viewBox="{view.group(1) if view else "0 0 360 240"}" '
        f'aria-labelledby="{ident}-title"><title id="{ident}-title">{attribute(title)}</title>\n'
    )
    return Markup(head + body)
