"""Plain text tables and numbers for people."""

from typing import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of aligned columns: the first to the left, the others to the right. A name that is wider
    than all below it takes two lines."""
    below = [max((len(row[i]) for row in rows), default=0) for i in range(len(header))]
    heads = list(zip(*(broken(name, width) for name, width in zip(header, below))))
    widths = [max(width, *(len(head[i]) for head in heads)) for i, width in enumerate(below)]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(cells, widths))
        ]
        return "  " + "   ".join(aligned).rstrip()

    rule = "  " + "   ".join("─" * width for width in widths)
    named = [line(head) for head in heads if any(head)]
    return "\n".join([*named, rule, *(line(row) for row in rows)])


def broken(name: str, width: int) -> tuple[str, str]:
    """A name in two parts, the first empty where it fits: the longer one as short as can be."""
    parts = [("", name)]
    if len(name) > width:
        parts += [(name[: at + (name[at] == "/")], name[at + 1 :]) for at, letter in enumerate(name) if letter in " /"]
    return min(parts, key=lambda both: max(map(len, both)))


def microseconds(value: float | None) -> str:
    """A latency: µs below a millisecond, then ms."""
    if value is None:
        return "–"
    if value < 1000:
        return f"{value:.0f} µs"
    return f"{value / 1000:.1f} ms" if value < 100_000 else f"{value / 1000:,.0f} ms"


def latency(seconds: float) -> str:
    return microseconds(seconds * 1e6)


def thousands(value: float) -> str:
    return f"{value:,.0f}"


def cost(nanoseconds: float) -> str:
    """CPU per request in µs, to three digits that mean something."""
    us = nanoseconds / 1000
    return f"{us:.2f}" if us < 10 else f"{us:.1f}"


def percent(ratio: float, digits: int = 0) -> str:
    return f"{ratio * 100:.{digits}f} %"
