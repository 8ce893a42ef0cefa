"""Templates filled with plain data: everything that is not markup is escaped."""

import re
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

import jinja2
from markupsafe import Markup, escape

from . import svg

LONG = 20  # characters of a row's name from which on its column is wider
SENTENCE = 30  # characters of a value from which on its column holds sentences
MANY = 5  # columns from which on a table does not fit a screen between phone and desktop
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*\w")  # --pairs


class Column(NamedTuple):
    """The head of a column, and the class of its cells: "words", "words wide", or none for numbers."""

    name: str
    unit: str
    kind: str


class Table(NamedTuple):
    """A caption, heads ("Requests|per s"), and rows of which the first value is the row's name."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def columns(self) -> list[Column]:
        """The heads with their units and what their values are."""
        values = zip(*self.rows)
        return [Column(*head.partition("|")[::2], _kind(some)) for head, some in zip(self.heads, values)]

    @property
    def classes(self) -> str:
        """Its classes in the style sheet."""
        long = any(len(str(row[0])) > LONG for row in self.rows)
        return " ".join(["long"] * long + ["many"] * (len(self.heads) > MANY))


def transposed(caption: str, columns: Mapping[str, Sequence[Any]]) -> Table:
    """A table of columns, without those in which no row has anything."""
    there = {head: values for head, values in columns.items() if any(one not in (None, "–") for one in values)}
    return Table(caption, list(there), list(zip(*there.values())))


def _kind(values: Sequence[Any]) -> str:
    texts = [value.striptags() if isinstance(value, Markup) else str(value) for value in values if value is not None]
    words = any(text[:1].isalpha() for text in texts)
    return "words wide" if max(map(len, texts), default=0) > SENTENCE else "words" if words else ""


def toned(text: Any, tone: str) -> Markup:
    """Text with a class of its own."""
    return Markup('<span class="{}">{}</span>').format(tone, text)


def shown(value: Any) -> Markup:
    """A value as a template writes it; None is a dash."""
    if isinstance(value, Markup):
        return value
    # A number and its percent sign stay on one line.
    text = str(escape("–" if value is None else re.sub(r"(?<=\d) %", "\u00a0%", str(value))))
    # A browser may break a line after any hyphen, which would separate -- from its word.
    return Markup(_OPTION.sub(r'<span class="option">\g<0></span>', text))


def anchor(name: str) -> str:
    """A cell's name as the target of a link."""
    return "cell-" + "".join(c if c.isalnum() else "-" for c in name).lower()


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    finalize=shown,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.globals |= {"dashes": svg.dashes, "anchor": anchor}


def template(name: str, **values: Any) -> str:
    """The document that a template makes of the values."""
    return ENVIRONMENT.get_template(f"{name}.html.j2").render(values)
