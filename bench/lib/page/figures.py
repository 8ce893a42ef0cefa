"""A plot with its name, legend and caption, drawn once for a desk and once for a phone; without
matplotlib nothing, said once by the page."""

from __future__ import annotations

from typing import Any, Callable

from . import svg
from .html import Markup, tag


class Figures:
    """Numbers the figures of a page, so that the names inside their SVG never meet."""

    def __init__(self) -> None:
        self.drawn = 0
        self.enabled = svg.available()

    def add(self, name: str, draw: Callable[..., Any], caption: str = "", legend: Markup | str = "") -> Markup:
        """The figure that `draw` makes of a width; nothing where it has nothing to show."""
        if not self.enabled:
            return Markup("")
        drawings = []
        with svg.styled():
            for which, width in (("desk", svg.WIDTH), ("phone", svg.NARROW)):
                made = draw(width=width)
                if made is None:
                    return Markup("")
                self.drawn += 1
                drawing = svg.render(made, f"{name}. {caption}".strip(), f"f{self.drawn}")
                drawings.append(tag("div", drawing, class_=which))
        return tag(
            "figure", tag("p", name, class_="name"), legend, *drawings, tag("figcaption", caption) if caption else ""
        )


def plots(*figures: Markup) -> Markup:
    """Figures beside each other where there is room."""
    there = [one for one in figures if one]
    return tag("div", *there, class_="plots") if there else Markup("")
