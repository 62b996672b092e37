"""Spotted intervals as they come from `mecli spot`, `mecli predict` or any other spotter.

JSON: one object an interval, as a list or one a line. CSV: one row an interval. ``clip`` is
the video, ``onset`` and ``offset`` are its frames, 0-based and inclusive, ``kind`` is
``micro`` (also if there is none) or ``macro``, ``prediction`` a class, where one was judged.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mecli import files
from mecli.errors import InputError
from mecli.interval_metrics import KINDS, Spot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

_WANTED = "clip, onset, offset and where they are known kind, prediction"


class Proposal(NamedTuple):
    """One spotted interval of the video `clip`; `prediction` is empty if nobody judged it."""

    clip: str
    spot: Spot
    prediction: str = ""


class Proposals(NamedTuple):
    """What one source proposes, and the videos it says it could not search."""

    source: str
    spots: tuple[Proposal, ...]
    failed: Mapping[str, str]


def read_proposals(source: str | Path, stdin: TextIO | None = None) -> Proposals:
    """Read JSON or CSV from the file `source`, or from `stdin` if it is ``-``.

    Raises `InputError` naming source and line for anything that is no interval.
    """
    name, text = _text(source, stdin)
    spots, failed = [], {}
    for where, row in _rows(name, text):
        if not isinstance(row, dict):
            raise InputError(f"{where} is {row!r:.40}, expected an object with {_WANTED}")
        if row.get("error"):
            failed[str(row.get("clip", where))] = str(row["error"])
        else:
            spots.append(_proposal(where, row))
    return Proposals(name, tuple(spots), failed)


def _text(source: str | Path, stdin: TextIO | None) -> tuple[str, str]:
    if str(source) == "-":
        if stdin is None:
            raise InputError("-: nothing to read on standard input")
        return "standard input", stdin.read()
    try:
        return str(source), files.read_text(Path(source))
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: is no text, expected JSON or CSV of intervals") from error


def _rows(name: str, text: str) -> Iterator[tuple[str, Any]]:
    """Yield each interval as a mapping, and where it stands."""
    start = text.lstrip()[:1]
    if start == "[":
        for place, row in enumerate(_parsed(name, text), start=1):
            yield f"{name}: interval {place}", row
    elif start == "{":
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield f"{name}: line {number}", _parsed(f"{name}: line {number}", line)
    elif start:
        try:
            yield from _table(name, text)
        except csv.Error as error:
            raise InputError(f"{name}: cannot be read as CSV: {error}") from error


def _table(name: str, text: str) -> Iterator[tuple[str, Any]]:
    table = csv.DictReader(io.StringIO(text))
    header = [cell.strip() for cell in table.fieldnames or ()]
    missing = [word for word in ("clip", "onset", "offset") if word not in header]
    if missing:
        raise InputError(
            f"{name}: no column {', '.join(missing)}; header is '{','.join(header)[:80]}', "
            f"expected {_WANTED}"
        )
    for row in table:
        yield f"{name}: line {table.line_num}", row


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(f"{where}: is no JSON: {reason}") from error


def _proposal(where: str, row: Mapping[str, Any]) -> Proposal:
    inside = row.get("interval")
    # `mecli predict` tells the moments apart from what it says of them.
    moments = inside if isinstance(inside, dict) else row
    onset, offset = (_position(where, name, moments.get(name)) for name in ("onset", "offset"))
    kind, clip = str(moments.get("kind") or KINDS[0]).strip(), str(row.get("clip") or "").strip()
    if not clip:
        raise InputError(f"{where} names no clip, expected {_WANTED}")
    if kind not in KINDS:
        raise InputError(f"{where}: kind is '{kind}', expected one of {', '.join(KINDS)}")
    if offset < onset:
        raise InputError(f"{where}: ends at frame {offset} before it starts at {onset}")
    return Proposal(clip, Spot(onset, offset, kind), str(row.get("prediction") or "").strip())


def _position(where: str, name: str, value: Any) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not (number >= 0 and number.is_integer()):
        raise InputError(f"{where}: {name} is {value!r}, expected a frame counted from 0")
    return int(number)
