"""From matplotlib figures to inline SVG that takes its colours and type from the page.

Plots are drawn with a stand-in colour for each CSS variable, which is replaced in the SVG; text
stays text. Figures are 360 units wide and never shown narrower than 440 px, so that 9 units of type
are 11 px; for a phone they are drawn once more, 268 units wide for 328 px.
"""

import functools
import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any, Callable, NamedTuple

from markupsafe import Markup

WIDTH = 360  # SVG units: points
SCREENS = {"desktop": WIDTH, "phone": 268}
SERIES = 8  # colours of lines, after which they repeat with another dash
MARK = "mark"  # the id of what carries data, which becomes the class of its SVG element

_NAMES = ("ink", "soft", "line", "bg", "bad", "good", "warn", *(f"s{i}" for i in range(SERIES)))
COLOUR = {name: f"#0f{16 + index:02x}a7" for index, name in enumerate(_NAMES)}
INK, SOFT = COLOUR["ink"], COLOUR["soft"]
_BACK = {value: f"var(--{name})" for name, value in COLOUR.items()} | {"#000000": "var(--ink)"}
# A line and a gap in turn, in widths of the line.
_DASHES = "", "5 2", "1.2 1.4", "6 1.5 1.2 1.5", "11 3", "6 1.5 1.2 1.5 1.2 1.5", "1.2 4", "11 1.5 4 1.5"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "d")

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "torc-bench",
    "font.size": 9.5,
    "axes.edgecolor": COLOUR["line"],
    "axes.labelcolor": SOFT,
    "text.color": INK,
    "xtick.color": COLOUR["line"],
    "ytick.color": COLOUR["line"],
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOUR["line"],
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.parse_math": False,
}

MISSING = "Plots need matplotlib: install python3-matplotlib and write the report again."


@functools.cache
def _settle() -> tempfile.TemporaryDirectory | None:
    """Gives matplotlib, which keeps its list of fonts in the home directory, another place where there
    is none or it cannot be written; to the end of this process."""
    try:
        if "MPLCONFIGDIR" in os.environ or os.access(Path.home(), os.W_OK):
            return None
    except RuntimeError:  # HOME is unset, and the user is not in the password file
        pass
    place = tempfile.TemporaryDirectory(prefix="torc-report-")
    os.environ["MPLCONFIGDIR"] = place.name
    return place


def available() -> bool:
    """Whether plots can be drawn here."""
    _settle()
    try:
        import matplotlib.backends.backend_svg  # noqa: F401
    except ImportError:
        return False
    return True


def series(index: int) -> str:
    """The stand-in for the colour of a line."""
    return COLOUR[f"s{index % SERIES}"]


def dashes(index: int) -> str:
    """The dashes of a line in its widths, different ones where the colours repeat."""
    return _DASHES[(index + index // SERIES) % len(_DASHES)]


def line(index: int) -> dict[str, Any]:
    """The look of a line, distinct without colour too."""
    pattern = tuple(map(float, dashes(index).split()))
    return {"color": series(index), "linestyle": (0, pattern) if pattern else "-", "gid": MARK}


def dots(index: int, size: float = 4, alpha: float = 1.0) -> dict[str, Any]:
    """The look of the dots of a series."""
    shape = {"marker": _MARKERS[index % SERIES], "markersize": size, "markeredgewidth": 0}
    return {**shape, "color": series(index), "linestyle": "none", "alpha": alpha}


def figure(plot: Callable[..., None], *arguments: Any, width: float = WIDTH) -> Any:
    """A plot drawn that many units wide; None where it has nothing that is data to show."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update(_STYLE)
    made = Figure(figsize=(width / 72, width / 72), layout="constrained")
    made.get_layout_engine().set(w_pad=2 / 72, h_pad=3 / 72)
    plot(made.subplots(), *arguments)
    return made if made.findobj(lambda artist: artist.get_gid() == MARK) else None


def set_height(axes: Any, height: float) -> None:
    """Makes the figure of these axes that many units high."""
    axes.figure.set_figheight(height / 72)


def beside(left: bool, down: float = 0) -> dict[str, Any]:
    """Where an annotation stands: a little to the left or right of its point."""
    side = {"xytext": (-4, down), "ha": "right"} if left else {"xytext": (4, down), "ha": "left"}
    return {**side, "textcoords": "offset points"}


class Drawing(NamedTuple):
    """What is inside an SVG element: which screen it is for, the prefix of its ids, its content."""

    screen: str
    ident: str
    view: str
    content: Markup


class Draw:
    """Draws the plots of a page, each for a desktop and for a phone. Numbers the drawings, so that
    ids inside them are unique."""

    def __init__(self) -> None:
        self.count = 0
        self.enabled = available()

    def __call__(self, plot: Callable[..., None], *arguments: Any) -> list[Drawing]:
        """The drawings of a plot; none where it has nothing to show."""
        drawings: list[Drawing] = []
        for screen, width in SCREENS.items() if self.enabled else ():
            made = figure(plot, *arguments, width=width)
            if made is None:
                break
            out = io.StringIO()
            made.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
            self.count += 1
            ident = f"f{self.count}"
            drawings.append(Drawing(screen, ident, *_content(out.getvalue(), ident)))
        return drawings


def _content(svg: str, ident: str) -> tuple[str, Markup]:
    """The view box and the drawing: no foreign names, ids of its own, colours of the page."""
    svg = svg[svg.index("<svg") :]
    head, _, body = svg.partition(">")
    view = re.findall(r'viewBox="([^"]+)"', head)[0]
    body = body.replace("xlink:href=", "href=")
    for wrong, right in (
        (r"(?s)<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<defs>\s*</defs>|</svg>", ""),
        (r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px"),
        (r'id="mark(?:_\d+)?"', 'class="mark"'),
        (r'(\bid="|href="#|url\(#)', rf"\g<1>{ident}-"),
        (r"\n\s*", "\n"),
    ):
        body = re.sub(wrong, right, body)
    return view, Markup(re.sub("|".join(_BACK), lambda found: _BACK[found.group()], body.strip()))
