"""Which files are a corpus's sheet, in which order, and which of its rows are no clips."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from mecli.corpora.frames import Disk, natural_key
from mecli.corpora.sheets import SHEET_SUFFIXES, Row, Table, normalise, read_sheets
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mecli.corpora.sheets import Sheet

_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")
_SHORT_DATE = re.compile(r"(20\d\d)(\d)(\d\d)")


def version_of(stem: str) -> int:
    """Return the last number in a sheet's name, 0 if none; 2019217 counts as 20190217."""
    found = _LAST_NUMBER.search(stem)
    digits = found[0] if found else "0"
    return int(_SHORT_DATE.sub(r"\g<1>0\2\3", digits) if len(digits) == 7 else digits)


def sheet_order(path: Path, *, oldest_first: bool) -> tuple[object, ...]:
    """Sort key of sheets: the least nested, then by name, then by version."""
    version = version_of(path.stem)
    return (
        len(path.parts),
        natural_key(_LAST_NUMBER.sub("", path.stem)),
        version if oldest_first else -version,
        SHEET_SUFFIXES.index(path.suffix.casefold()),
        str(path),
    )


def sheets_below(disk: Disk, root: Path, depth: int) -> Iterable[Path]:
    """Yield every workbook and CSV in `root` and its folders down to `depth`."""
    for folder in disk.walk(root, depth):
        for path in disk.listing(folder).others:
            if path.suffix.casefold() in SHEET_SUFFIXES:
                yield path


def renamed_sheets(
    disk: Disk, root: Path, tables: Callable[[list[Sheet]], list[Table]]
) -> list[Path]:
    """Return the files in `root` itself that hold such a table, whatever they are called."""
    found = []
    for path in sheets_below(disk, root, 0):
        with suppress(InputError):  # another file, which need not be readable
            found += [path] if tables(read_sheets(path)) else []
    return found


def no_clip(row: Row, headers: Sequence[str]) -> str:
    """Return why a row below the header annotates nothing, nothing if it does.

    `headers` are the words that the column of clip names goes by.
    """
    if not row["name"]:
        return "it has no file name"
    if normalise(row["name"]) in map(normalise, headers):
        return "it repeats the header"
    given = [text for text in row.cells.values() if text]
    if len(given) > 2 and len(set(given)) == 1:
        return f"'{given[0][:60]}' spans its cells"
    if not any(text for field, text in row.cells.items() if field not in {"subject", "name"}):
        return f"it holds nothing but '{' '.join(given)[:60]}'"
    return ""
