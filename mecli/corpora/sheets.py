"""Annotation sheets (xlsx, xls, csv) as tables of text: opened with guards, read by header."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

SHEET_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".csv")
MAX_FILE_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_ROWS = 1_000_000
MAX_CELLS = 16_000_000
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
)
_HEADER_SEARCH_ROWS = 60
_NAMED = re.compile(r"[\w.]*(?:Error|Exception): ")
_CELL = re.compile(rb'<c\b[^>]{0,200}?\br="([A-Z]{1,3})([0-9]{1,7})"')


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a workbook as text; row 0 is the first row of the file."""

    path: Path
    name: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One annotated row: its number in the sheet (from 1) and its cells by field."""

    number: int
    cells: Mapping[str, str]

    def __getitem__(self, field: str) -> str:
        """Return the cell of `field`, or "" where the sheet has no such column."""
        return self.cells.get(field, "")


@dataclass(frozen=True, slots=True)
class Table:
    """The annotated rows below a header, the fields found and what else the sheet says."""

    sheet: Sheet
    fields: tuple[str, ...]
    rows: tuple[Row, ...]


def plain(text: str) -> str:
    """Return `text` with full-width characters narrowed and blanks collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def normalise(text: str) -> str:
    """Return the letters and digits of a header cell or name, lower case."""
    return "".join(c for c in plain(text).casefold() if c.isalnum())


def pad(text: str, prefix: str, digits: int) -> str:
    """Return 's01' for '1', '01' or 's1': `prefix` and the number at full width."""
    number = r"0*(\d{1,99})(?:\.0+)?"
    found = re.fullmatch(rf"(?:{re.escape(prefix)})?\s*{number}", text, re.IGNORECASE)
    return f"{prefix}{int(found[1]):0{digits}d}" if found else text


def cell_text(value: Any) -> str:
    """Return a cell as stripped text; whole numbers lose their ``.0``."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()


def read_sheets(path: Path) -> list[Sheet]:
    """Return every sheet of a workbook, or the one table of a CSV, as text."""
    _check_file(path)
    sheets = [_read_csv(path)] if path.suffix.casefold() == ".csv" else list(_read_workbook(path))
    for sheet in sheets:
        if len(sheet.rows) > MAX_ROWS:
            raise InputError(
                f"{path}: sheet '{sheet.name}' has {len(sheet.rows)} rows, expected at most "
                f"{MAX_ROWS}; delete stray cells below the table"
            )
    return sheets


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size if path.is_file() else -1
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if size < 0:
        raise InputError(f"{path}: is not a regular file, expected an annotation sheet")
    if size > MAX_FILE_BYTES:
        raise InputError(
            f"{path}: is {size / 2**20:.0f} MiB, expected an annotation sheet of at most "
            f"{MAX_FILE_BYTES // 2**20} MiB"
        )


def _read_csv(path: Path) -> Sheet:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 ({error.reason}); save it as 'CSV UTF-8'"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    return Sheet(path, path.stem, tuple(tuple(cell.strip() for cell in row) for row in rows))


def _read_workbook(path: Path) -> Iterator[Sheet]:
    if zipfile.is_zipfile(path):
        _check_zip(path)
    for name, cells, merged in _unpacked(path):
        rows = [[cell_text(cell) for cell in row] for row in cells]
        width = max(map(len, rows), default=0)
        left_to_fill = len(rows) * width
        for (top, left), (bottom, right) in merged:
            # Merged cells do not overlap; a hundred thousand that do would take for ever.
            high, wide = min(bottom + 1, len(rows)) - top, min(right + 1, width) - left
            left_to_fill -= max(0, high) * max(0, wide)
            if left_to_fill < 0:
                raise InputError(f"{path}: sheet '{name}' has merged cells that overlap")
            if top < len(rows) and left < len(rows[top]):
                for row in rows[top : bottom + 1]:
                    row[left : right + 1] = [rows[top][left]] * len(row[left : right + 1])
        yield Sheet(path, name, tuple(map(tuple, rows)))


_APART = """
import json, sys
from python_calamine import CalamineWorkbook, SheetTypeEnum
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
except ImportError:
    pass
with open(sys.argv[1], "rb") as file, CalamineWorkbook.from_filelike(file) as book:
    names = [m.name for m in book.sheets_metadata if m.typ == SheetTypeEnum.WorkSheet]
    found = []
    for name in names:
        sheet = book.get_sheet_by_name(name)
        cells = sheet.to_python(skip_empty_area=False)
        found.append((name, cells, sheet.merged_cell_ranges or ()))
json.dump(found, sys.stdout, default=str)
"""


def _unpacked(path: Path) -> list[Any]:
    """Return name, cells and merged ranges of every sheet, read in a process of its own.

    Two in a hundred damaged xls files make the parser panic, some workbooks make it ask for
    more memory than there is and abort: that must not take the caller with it.
    """
    # Without -P a json.py in the working folder would be run.
    command = [sys.executable, "-P", "-c", _APART, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{path}: cannot be read as a workbook within 120 s") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        why = _NAMED.sub("", words[-1])
        if error.returncode < 0:
            why = f"it crashed its reader ({signal.Signals(-error.returncode).name})"
        raise InputError(f"{path}: cannot be read as a workbook: {why}") from error
    found: list[Any] = json.loads(done.stdout)
    return found


def _check_zip(path: Path) -> None:
    """Refuse zip bombs and lone cells far away: the workbook is unpacked into dense memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacked = sum(m.file_size for m in members)
            if unpacked > MAX_UNPACKED_BYTES:
                raise InputError(
                    f"{path}: unpacks to {unpacked / 2**20:.0f} MiB, expected an annotation "
                    f"sheet of at most {MAX_UNPACKED_BYTES // 2**20} MiB"
                )
            for member in members:
                if member.filename.casefold().startswith("xl/worksheets/sheet"):
                    _check_extent(path, archive.read(member))
    except _BROKEN_ZIP as error:
        raise InputError(f"{path}: cannot be read as a workbook: {error}") from error


def _check_extent(path: Path, xml: bytes) -> None:
    last_row, last_column = 0, 0
    for letters, digits in _CELL.findall(xml):
        last_row = max(last_row, int(digits))
        column = 0
        for letter in letters:
            column = column * 26 + letter - 64
        last_column = max(last_column, column)
    if last_row * last_column > MAX_CELLS:
        raise InputError(
            f"{path}: spans {last_row} rows × {last_column} columns, expected at most "
            f"{MAX_CELLS} cells; delete stray cells outside the table"
        )


def find_table(
    sheets: Iterable[Sheet],
    columns: Mapping[str, Sequence[str]],
    required: Iterable[str],
) -> Table | None:
    """Return the rows below the first header that names every `required` field.

    `columns` gives per field the header words it goes by, the preferred first.
    """
    return next(find_tables(sheets, columns, required), None)


def find_tables(
    sheets: Iterable[Sheet],
    columns: Mapping[str, Sequence[str]],
    required: Iterable[str],
) -> Iterator[Table]:
    """Yield the same of every sheet that has such a header."""
    wanted = set(required)
    for sheet in sheets:
        for index, header in enumerate(sheet.rows[:_HEADER_SEARCH_ROWS]):
            found = _match_header(header, columns)
            if wanted <= found.keys():
                yield Table(sheet, tuple(found), tuple(_rows(sheet, found, index + 1)))
                break


def _match_header(header: Sequence[str], columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    words = [normalise(cell) for cell in header]
    found = {}
    for field, names in columns.items():
        name = next((n for n in map(normalise, names) if n in words), None)
        if name is not None:
            found[field] = words.index(name)
    return found


def positional_table(sheet: Sheet, fields: Sequence[str]) -> Table:
    """Return every row of a sheet without a header, its columns named by position."""
    found = {field: index for index, field in enumerate(fields)}
    return Table(sheet, tuple(fields), tuple(_rows(sheet, found, 0)))


def _rows(sheet: Sheet, found: Mapping[str, int], first: int) -> Iterator[Row]:
    for number, row in enumerate(sheet.rows[first:], start=first + 1):
        cells = {field: row[i] if i < len(row) else "" for field, i in found.items()}
        if any(cells.values()):
            yield Row(number, cells)
