"""Spotted intervals as they come from `mecli spot`, `mecli predict` or any other spotter.

JSON: one object an interval, as a list or one a line. CSV: one row an interval, commas,
semicolons or tabs between the columns. ``clip`` is the video, ``source`` its file, if known,
``onset`` and ``offset`` are its frames, 0-based and inclusive, ``kind`` is ``micro`` (also if
there is none) or ``macro``, ``prediction`` a class, where one was judged.
A line of kind ``nothing`` says of a video that it was searched in vain.
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

_NOTHING = "nothing"
"""The kind of the only line on a video in which nothing was found."""

_WANTED = "clip, onset, offset and where they are known kind, prediction"


class Video(NamedTuple):
    """Which video a line is about: what it is called, and its file or folder, "" if not told."""

    clip: str
    source: str = ""


class Proposal(NamedTuple):
    """One spotted interval of `video`; `prediction` is empty if nobody judged it."""

    video: Video
    spot: Spot
    prediction: str = ""


class Proposals(NamedTuple):
    """What one source proposes, which videos it could not search, and where it found nothing."""

    source: str
    spots: tuple[Proposal, ...]
    failed: Mapping[Video, str]
    empty: tuple[Video, ...] = ()


def read_proposals(source: str | Path, stdin: TextIO | None = None) -> Proposals:
    """Read JSON or CSV from the file `source`, or from `stdin` if it is ``-``.

    Raises `InputError` naming source and line for anything that is no interval.
    """
    name, text = _text(source, stdin)
    spots, failed, empty = [], {}, []
    for where, row in _rows(name, text):
        if not isinstance(row, dict):
            raise InputError(f"{where} is {row!r:.40}, expected an object with {_WANTED}")
        if row.get("error"):
            failed[_video(where, {"clip": where, **row})] = str(row["error"])
        elif _moments(row).get("kind") == _NOTHING:
            empty.append(_video(where, row))
        elif _moments(row).get("spotted", 0) in (None, ""):
            failed[_judged_whole(where, row)] = "was judged as one movement"
        else:
            spots.append(_proposal(where, row))
    return Proposals(name, tuple(spots), failed, tuple(empty))


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
    text = text.lstrip("\ufeff")
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
    table = files.csv_reader(io.StringIO(text))
    header = [cell.strip() for cell in next(table, [])]
    missing = [word for word in ("clip", "onset", "offset") if word not in header]
    if missing:
        raise InputError(
            f"{name}: no column {', '.join(missing)}; header is '{','.join(header)[:80]}', "
            f"expected {_WANTED}"
        )
    for cells in table:
        if any(cells):
            yield f"{name}: line {table.line_num}", dict(zip(header, cells, strict=False))


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(f"{where}: is no JSON: {reason}") from error


def _proposal(where: str, row: Mapping[str, Any]) -> Proposal:
    moments, video = _moments(row), _video(where, row)
    onset, offset = (_position(where, name, moments.get(name)) for name in ("onset", "offset"))
    kind = str(moments.get("kind") or KINDS[0]).strip().casefold()
    if kind not in KINDS:
        raise InputError(f"{where}: kind is '{kind}', expected one of {', '.join(KINDS)}")
    if offset < onset:
        raise InputError(f"{where}: ends at frame {offset} before it starts at {onset}")
    return Proposal(video, Spot(onset, offset, kind), str(row.get("prediction") or "").strip())


def _moments(row: Mapping[str, Any]) -> Mapping[str, Any]:
    inside = row.get("interval")
    # `mecli predict` tells the moments apart from what it says of them.
    return inside if isinstance(inside, dict) else row


def _judged_whole(where: str, row: Mapping[str, Any]) -> Video:
    """Return the clip that was judged as it came; raise if its annotation said what to judge."""
    video, found = _video(where, row), _moments(row).get("found", ["onset"])
    if isinstance(found, list) and "onset" not in found:
        raise InputError(
            f"{where}: the interval of clip '{video.clip}' was not spotted, its annotation names "
            "it: of a corpus folder `mecli predict` judges what the sheet says. Give it the long "
            "videos themselves (mecli predict FOLDER/clips/*.mp4 --json), or `mecli spot FOLDER`"
        )
    return video


def _video(where: str, row: Mapping[str, Any]) -> Video:
    clip = str(row.get("clip") or "").strip()
    if not clip:
        raise InputError(f"{where} names no clip, expected {_WANTED}")
    return Video(clip, str(row.get("source") or "").strip())


def _position(where: str, name: str, value: Any) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not (number >= 0 and number.is_integer()):
        raise InputError(f"{where}: {name} is {value!r}, expected a frame counted from 0")
    return int(number)
