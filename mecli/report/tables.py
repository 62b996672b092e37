"""Aligned tables: plain text for pipes and files, a little colour for a terminal."""

from __future__ import annotations

import io
import os
import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

_GAP = "  "
_NARROWEST = 16
_HEADER, _BAD = "bold", "bold red"
_TONES = {"ok": "green", "note": "yellow", "missing": _BAD}


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows of ready-made cells; the first `left` columns are names."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


def render(blocks: Iterable[str | Table], stream: TextIO | None = None) -> str:
    """Return `blocks`, a blank line between, for `stream`.

    On a terminal the words of a last column of words are broken where it ends, and tables are
    styled, unless ``NO_COLOR`` (no-color.org) or ``TERM=dumb`` ask for plain text there too.
    """
    watched = stream is not None and stream.isatty()
    width = shutil.get_terminal_size().columns if watched else None
    text = _styled if watched and _wants_style() else _plain
    return "\n\n".join(text(block, width).rstrip("\n") for block in blocks) + "\n"


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


def _wants_style() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _plain(block: str | Table, width: int | None) -> str:
    if isinstance(block, str):
        return "\n".join(map(_printable, block.split("\n")))
    return "\n".join(_GAP.join(line).rstrip() for line in _lines(block, width))


def _styled(block: str | Table, width: int | None) -> str:
    from rich.console import Console
    from rich.text import Text

    if isinstance(block, str):
        first, *rest = _plain(block, width).split("\n")
        lines = [Text(first, _HEADER), *map(Text, rest)]
    else:
        header, *rows = _lines(block, width)
        lines = [Text(_GAP.join(header), _HEADER)]
        lines += [Text(_GAP).join(Text(cell, _tone(cell)) for cell in row) for row in rows]
        for line in lines:
            line.rstrip()
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=10_000
    )
    with console.capture() as capture:
        console.print(Text("\n").join(lines), end="")
    return capture.get()


def _tone(cell: str) -> str:
    """Return the colour of a word that says by itself whether all is well."""
    return _BAD if "LEAKED" in cell else _TONES.get(cell.strip(), "")


def _lines(table: Table, width: int | None) -> list[list[str]]:
    """Return the lines of `table`, each of padded cells; a long last one goes on below itself."""
    lines = [[_printable(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    before = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    room = max(_NARROWEST, width - before) if width else widths[-1]
    if table.left >= len(widths) and room < widths[-1]:
        lines = [line for cells in lines for line in _broken(cells, room)]
    return [_padded(cells, widths, table.left) for cells in lines]


def _broken(cells: Sequence[str], room: int) -> Iterator[list[str]]:
    # Paths and names stay whole, so that they can be copied.
    words = textwrap.wrap(cells[-1], room, break_long_words=False, break_on_hyphens=False)
    first, *rest = words or [""]
    yield [*cells[:-1], first]
    for more in rest:
        yield [*([""] * (len(cells) - 1)), more]


def _padded(cells: Sequence[str], widths: Sequence[int], left: int) -> list[str]:
    padded = []
    for position, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        blanks = " " * (width - cell_len(cell))
        padded.append(cell + blanks if position < left else blanks + cell)
    return padded


def _printable(cell: str) -> str:
    # A name from a file must not move the cursor or recolour the terminal.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cell)
