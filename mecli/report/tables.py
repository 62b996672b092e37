"""Aligned tables: plain text for pipes and files, a little bold for a terminal."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows of ready-made cells; the first `left` columns are names."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


def render(blocks: Iterable[str | Table], stream: TextIO | None = None) -> str:
    """Return `blocks`, a blank line between, for `stream`: styled only on a terminal.

    ``NO_COLOR`` (no-color.org) and ``TERM=dumb`` ask for plain text there too.
    """
    text = _styled if _wants_style(stream) else _plain
    return "\n\n".join(text(block).rstrip("\n") for block in blocks) + "\n"


def number(value: float | None, digits: int = 3) -> str:
    """Write a score with `digits` decimals, ``–`` where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(bounds: tuple[float, float] | None, *, signed: bool = False) -> str:
    """Write ``low to high``, ``–`` where there is none."""
    if bounds is None:
        return "–"
    form = "+.3f" if signed else ".3f"
    return f"{bounds[0]:{form}} to {bounds[1]:{form}}"


def count(n: int, noun: str) -> str:
    """Write ``1 clip`` or ``2 clips``."""
    return f"{n} {noun}{'s' * (n != 1)}"


def _wants_style(stream: TextIO | None) -> bool:
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def _plain(block: str | Table) -> str:
    if isinstance(block, str):
        return "\n".join(map(_printable, block.split("\n")))
    lines = [[_printable(cell) for cell in row] for row in (block.header, *block.rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths, block.left) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    padded = []
    for position, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        blanks = " " * (width - cell_len(cell))
        padded.append(cell + blanks if position < left else blanks + cell)
    return _GAP.join(padded).rstrip()


def _styled(block: str | Table) -> str:
    from rich.console import Console
    from rich.text import Text

    first, newline, rest = _plain(block).partition("\n")
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=10_000
    )
    with console.capture() as capture:
        console.print(Text(first, style="bold"), Text(newline + rest), sep="", end="")
    return capture.get()


def _printable(cell: str) -> str:
    # A name from a file must not move the cursor or recolour the terminal.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cell)
