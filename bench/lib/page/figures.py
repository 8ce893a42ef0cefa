"""A plot with its name, legend and caption, drawn once more for a phone where `draw` takes a width;
without matplotlib nothing, said once by the page."""

from __future__ import annotations

from typing import Any, Callable

from . import svg
from .html import Markup, tag


class Figures:
    """Numbers the figures of a page, so that the names inside their SVG never meet."""

    def __init__(self) -> None:
        self.drawn = 0
        self.enabled = svg.available()

    def add(self, name: str, draw: Callable[..., Any], caption: str = "",
            legend: Markup | str = "", phone: bool = False) -> Markup:  # fmt: skip
        """The figure that `draw` makes; nothing where it has nothing to show. For a phone it is
        called with a width."""
        if not self.enabled:
            return Markup("")
        sizes = {"desk": {}, "phone": {"width": svg.NARROW}} if phone else {"": {}}
        drawings = []
        with svg.styled():
            for which, more in sizes.items():
                made = draw(**more)
                if made is None:
                    return Markup("")
                self.drawn += 1
                drawing = svg.render(made, f"{name}. {caption}".strip(), f"f{self.drawn}")
                drawings.append(tag("div", drawing, class_=f"scroll drawing {which}".rstrip(),
                                    tabindex="0", role="region", aria_label=name))  # fmt: skip
        return tag("figure", tag("p", name, class_="name"), legend, *drawings,
                   tag("figcaption", caption) if caption else "")  # fmt: skip


def plots(*figures: Markup) -> Markup:
    """Figures beside each other where there is room."""
    there = [one for one in figures if one]
    return tag("div", *there, class_="plots") if there else Markup("")
