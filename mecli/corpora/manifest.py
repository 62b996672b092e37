"""A manifest: a CSV with one clip a row, of which only the column `path` is required."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from mecli.clips import FASTEST_FPS, UNKNOWN_SUBJECT, Clip, check_part
from mecli.corpora.frames import VIDEO_SUFFIXES, Numbered
from mecli.corpora.loose import SUBJECT_UNKNOWN
from mecli.corpora.moments import MOMENTS, frame_number, frame_rate, place_moments
from mecli.corpora.sheets import Row, find_table, normalise, positional_table
from mecli.corpora.sheets import read_sheets as read_csv
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mecli.corpora.frames import Disk

COLUMNS = ("path", "subject", "onset", "apex", "offset", "label", "fps")
OPTIONAL = ("corpus", "clip", "landmarks")
HELP = (
    "CSV with the columns path,subject,onset,apex,offset,label,fps (only path is required; "
    "also corpus, clip, landmarks; any other column is kept as a label). Paths are relative "
    "to the CSV; onset, apex and offset are frame positions counted from 0, inclusive."
)


def is_manifest(path: Path) -> bool:
    """Whether a CSV has a header that names a column ``path``."""
    return find_table(read_csv(path), {"path": ("path",)}, ("path",)) is not None


def read_manifest(disk: Disk, path: Path) -> list[Clip]:
    """Return the clips of a manifest; a path that is missing becomes an issue of its clip."""
    header, rows = _rows(path)
    if not rows:
        raise InputError(f"{path}: names no clip, expected one a row below {','.join(header)}")
    clips = []
    for row in rows:
        if not row["path"]:
            raise InputError(f"{path}: row {row.number} has no path")
        try:
            clips.append(_clip(disk, path, header, row))
        except InputError as error:
            raise InputError(f"{path}: row {row.number}: {error}") from error
    return clips


def _rows(path: Path) -> tuple[Sequence[str], Sequence[Row]]:
    sheet = read_csv(path)[0]
    first = next((i for i, row in enumerate(sheet.rows) if any(row)), None)
    header = [] if first is None else [normalise(cell) for cell in sheet.rows[first]]
    if first is None or "path" not in header:
        raise InputError(f"{path}: header is {','.join(header) or '(empty)'}, expected {HELP}")
    known = (*COLUMNS, *OPTIONAL)
    for word in header:
        near = get_close_matches(word, known, n=1, cutoff=0.8)
        if word not in known and near and near[0] not in header:
            raise InputError(f"{path}: unknown column '{word}', did you mean '{near[0]}'?")
    twice = next((w for w in header if w and header.count(w) > 1), None)
    if twice:
        raise InputError(f"{path}: column '{twice}' is given twice")
    return header, [r for r in positional_table(sheet, header).rows if r.number > first + 1]


def _clip(disk: Disk, manifest: Path, header: Sequence[str], row: Row) -> Clip:
    issues: list[str] = []
    try:
        path = _place(manifest, row["path"])
        landmarks = _place(manifest, row["landmarks"]) if row["landmarks"] else None
        frames = _frames(disk, path, issues)
    except OSError as error:
        raise InputError(f"path cannot be looked up: {error.strerror}") from error
    subject = row["subject"]
    if not subject or subject.casefold() == UNKNOWN_SUBJECT:
        subject = path.absolute().parent.name or UNKNOWN_SUBJECT
        issues.append(f"{SUBJECT_UNKNOWN}, counted as '{subject}' after the folder")
    numbers: dict[str, float | None] = {}
    for moment in MOMENTS:
        numbers[moment], odd = frame_number(row[moment], zero_is_unknown=False)
        if odd and row[moment]:
            issues.append(f"{moment} {odd}")
    fps = frame_rate(row["fps"]) if row["fps"] else None
    if row["fps"] and fps is None:
        issues.append(f"fps is '{row['fps'][:40]}', expected above 0 to {FASTEST_FPS}")
    positions = place_moments(frames, numbers, issues)
    labels = {"emotion": row["label"]} if row["label"] else {}
    extra = (w for w in header if w and w not in (*COLUMNS, *OPTIONAL) and row[w])
    return Clip(
        corpus=check_part(row["corpus"] or manifest.stem, "corpus"),
        subject=check_part(subject, "subject"),
        name=check_part(row["clip"] or path.stem, "clip"),
        frames=frames.frames,
        fps=fps,
        labels={**labels, **{word: row[word] for word in extra}},
        issues=tuple(issues),
        landmarks=landmarks,
        onset=positions["onset"],
        apex=positions["apex"],
        offset=positions["offset"],
    )


def _place(manifest: Path, text: str) -> Path:
    """Return the path of a cell; what Windows parts by backslashes is found elsewhere too."""
    path = manifest.parent / text
    return path if "\\" not in text or path.exists() else manifest.parent / text.replace("\\", "/")


def _frames(disk: Disk, path: Path, issues: list[str]) -> Numbered:
    """Return the frames with their positions as numbers, since a manifest counts those."""
    if path.is_dir():
        found = disk.numbered(path)
        issues += found.issues or (() if found.frames else ("folder holds no images",))
        count = len(found.frames) if isinstance(found.frames, tuple) else 0
        return Numbered(found.frames, tuple(range(count)), first=0)
    if not path.is_file():
        issues.append("no such file or folder")
    elif path.suffix.casefold() not in VIDEO_SUFFIXES:
        issues.append(f"is a '{path.suffix}' file, expected a video or an image folder")
    return Numbered(path, first=0)
