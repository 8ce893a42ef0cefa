"""HTML from data: everything that is not markup written here is escaped here."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any, Iterable, Sequence


LONG = 20  # letters of a row's name for which its column gets more room
MANY = 5  # columns from which on a table does not fit between a phone and a desk


class Markup(str):
    """Text that is HTML already and must not be escaped again."""


_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*\w")  # --pairs


def text(value: Any) -> Markup:
    """A value as HTML text; Markup passes as it is, None is a dash."""
    if isinstance(value, Markup):
        return value
    # A browser may end a line after any hyphen, which would leave -- without its word.
    whole = _OPTION.sub(lambda m: f'<span class="option">{m.group()}</span>', attribute(value))
    return Markup(whole)


def attribute(value: Any) -> Markup:
    """A value where no elements can be: in an attribute, in a title."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup("–")
    # A number and its percent sign stay on one line.
    return Markup(html.escape(re.sub(r"(?<=\d) %", "\u00a0%", str(value)), quote=True))


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element; `class_` and `for_` lose their underscore, None leaves an attribute out."""
    attrs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{attrs}>{''.join(text(child) for child in children)}</{name}>")


def join(parts: Iterable[Any], separator: str = "\n") -> Markup:
    """Several pieces of HTML after each other."""
    return Markup(separator.join(text(part) for part in parts if part != ""))


def items(lines: Iterable[Any], **attributes: Any) -> Markup:
    """An unordered list, nothing where there are no lines."""
    rows = [tag("li", line) for line in lines]
    return tag("ul", *rows, **attributes) if rows else Markup("")


def section(ident: str, title: Any, *children: Any, level: int = 2) -> Markup:
    """A section with a heading that can be linked to."""
    return tag("section", tag(f"h{level}", title), join(children), id=ident)


def details(summary: Any, *children: Any, open_: bool = False) -> Markup:
    """A part that is folded until it is asked for."""
    start = Markup("<details open>" if open_ else "<details>")
    return Markup(f"{start}{tag('summary', summary)}{join(children)}</details>")


def pre(content: str) -> Markup:
    """Text to copy: one click selects all of it."""
    exact = Markup(html.escape(content, quote=True))
    return tag("pre", tag("code", exact), class_="copy", tabindex="0")


@dataclass(frozen=True)
class Column:
    """A head of a table: its name, its unit, and whether it holds words or numbers."""

    name: str
    unit: str = ""
    words: bool = False
    wide: bool = False

    def style(self) -> str | None:
        """The class of its cells."""
        return "words wide" if self.wide else "words" if self.words else None

    def label(self) -> str:
        """Its name before a value, where the table is no table."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def head(self) -> Markup:
        """The cell at its top."""
        unit = tag("span", self.unit, class_="unit") if self.unit else ""
        return tag("th", self.name, unit, scope="col", class_=self.style())


def table(caption: Any, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Markup:
    """A table in a container of its own; where the screen is too narrow for its columns each row is a
    block of values with their names, so that none is out of sight."""
    long = any(len(str(row[0])) > LONG for row in rows)
    many = len(columns) > MANY
    body = []
    for row in rows:
        first, *others = row
        cells = [
            tag("td", cell, class_=column.style(), data_label=column.label())
            for column, cell in zip(columns[1:], others)
        ]
        body.append(tag("tr", tag("th", first, scope="row"), *cells))
    content = tag(
        "table",
        tag("thead", tag("tr", *(column.head() for column in columns))),
        tag("tbody", *body),
        class_=" ".join(filter(None, ("long" if long else "", "many" if many else ""))) or None,
        aria_label=caption,
    )
    # Not a caption element, which would scroll away with the table.
    return join(
        [
            tag("p", caption, class_="caption"),
            tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption),
        ]
    )


def document(title: str, style: str, body: Any) -> str:
    """A whole page that loads nothing from anywhere."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{attribute(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{text(body)}\n</body>\n</html>\n"
    )
