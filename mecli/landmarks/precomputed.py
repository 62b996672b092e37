"""Landmarks read from a file beside the clip: .npy, .csv or .pts, in pixels of the frame."""

from __future__ import annotations

import csv
import io
import re
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mecli import files
from mecli.errors import InputError, UsageError
from mecli.interfaces import Face

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mecli.clips import Clip

_VALUES = 136
_LARGEST_TEXT = 256 << 20
_LARGEST_ARRAY = 1 << 30
_SMALLEST_FACE_PX = 8
_COLUMN = re.compile(r"([xy])_?(\d+)")


class PrecomputedLandmarker:
    """68-point arrays that some other tool made, one row per frame of the clip.

    ``Clip.landmarks`` names the file; else ``<stem>.landmarks.npy`` or ``.csv``
    beside a video, ``landmarks.npy`` or ``.csv`` in the folder of the images.

    - ``.npy``: (F, 68, 2), or (68, 2) for one face that stands for every frame;
    - ``.csv``: columns x0, y0, x1, y1, …; with a header in any order, others ignored;
    - ``.pts``: iBUG's text format, one face that stands for every frame, counted from 1.

    A row of nothing but NaN is a frame without a face.
    """

    name: ClassVar[str] = "precomputed"
    paper: ClassVar[str] = (
        "Sagonas, Tzimiropoulos, Zafeiriou, Pantic 2013, 300 Faces in-the-Wild Challenge "
        "(the order of the 68 points)"
    )
    doi: ClassVar[str] = "10.1109/ICCVW.2013.59"

    def find(
        self,
        frames: NDArray[np.uint8],
        clip: Clip | None = None,
        positions: Sequence[int] = (),
    ) -> list[list[Face]]:
        """Return the face of each of `frames` (N, H, W, 3), at `positions` of `clip`."""
        if clip is None or len(positions) != len(frames):
            raise UsageError(
                "--landmarks precomputed reads a file per clip: it needs the clip and the "
                f"position of every frame, got {len(positions)} positions for {len(frames)} frames"
            )
        path = landmarks_file(clip)
        rows = _read(path, clip)
        faces = []
        for position in positions:
            if not 0 <= position < len(rows) and len(rows) > 1:
                raise _wrong(path, clip, f"{len(rows)} rows, but frame {position} is asked for")
            row = rows[position if len(rows) > 1 else 0]
            faces.append(_face(row, frames.shape[1:3], path, clip))
        return faces


def landmarks_file(clip: Clip) -> Path:
    """Return the landmark file of `clip`; `InputError` naming what was looked for."""
    if clip.landmarks is not None:
        wanted = [clip.landmarks]
    elif isinstance(clip.frames, tuple):
        folder = clip.frames[0].parent if clip.frames else Path()
        wanted = [folder / f"landmarks{suffix}" for suffix in (".npy", ".csv")]
    else:
        names = (f"{clip.frames.stem}.landmarks{suffix}" for suffix in (".npy", ".csv"))
        wanted = [clip.frames.with_name(name) for name in names]
    for path in wanted:
        if path.is_file():
            return path
    raise InputError(
        f"clip {clip.clip_id}: no precomputed landmarks, expected {' or '.join(map(str, wanted))}; "
        "make the file or use --landmarks embedded"
    )


def _wrong(path: Path, clip: Clip, what: str) -> InputError:
    return InputError(f"{path}: landmarks of clip {clip.clip_id}: {what}")


def _face(row: NDArray[np.float32], size: Sequence[int], path: Path, clip: Clip) -> list[Face]:
    """Return the one face of a (68, 2) row, or none; checks that it lies in the frame."""
    if np.isnan(row).all():
        return []
    height, width = size
    box = np.concatenate([row.min(0), row.max(0)])
    x, y = (box[:2] + box[2:]) / 2
    if float((box[2:] - box[:2]).min()) < _SMALLEST_FACE_PX or not (
        0 <= x < width and 0 <= y < height
    ):
        raise _wrong(
            path,
            clip,
            f"they span x {box[0]:.1f}–{box[2]:.1f}, y {box[1]:.1f}–{box[3]:.1f}, expected "
            f"pixels of the {width}×{height} frame; rescale them",
        )
    return [Face(box, row, 1.0)]


def _read(path: Path, clip: Clip) -> NDArray[np.float32]:
    """Return (F, 68, 2) float32 of the landmark file, checked; F = 1 stands for every frame."""
    if path.suffix.lower() not in _READERS:
        known = ", ".join(_READERS)
        raise _wrong(path, clip, f"a file of kind '{path.suffix}', expected one of {known}")
    try:
        stat = path.stat()
        rows = _cached(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, EOFError, SyntaxError, TokenError, ValueError) as error:
        raise _wrong(path, clip, f"cannot be read: {error}") from error
    missing = np.isnan(rows).all((1, 2))
    if not np.isfinite(rows[~missing]).all():
        bad = int(np.flatnonzero(~missing & ~np.isfinite(rows).all((1, 2)))[0])
        raise _wrong(path, clip, f"row {bad} has values that are no numbers; expected 136 numbers")
    if isinstance(clip.frames, tuple) and len(rows) not in {1, len(clip.frames)}:
        raise _wrong(
            path,
            clip,
            f"{len(rows)} rows for {len(clip.frames)} frames; expected one row per frame",
        )
    return rows


@lru_cache(maxsize=4)
def _cached(path: Path, _mtime_ns: int, _size: int) -> NDArray[np.float32]:
    """Read once per state of the file: `find` is called several times for one clip."""
    rows: NDArray[np.float32] = _READERS[path.suffix.lower()](path)
    rows.setflags(write=False)
    return rows


def _read_npy(path: Path) -> NDArray[np.float32]:
    if path.stat().st_size > _LARGEST_ARRAY:
        raise ValueError(f"larger than {_LARGEST_ARRAY >> 20} MiB")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise ValueError("not an array of numbers")
    if array.shape == (68, 2):
        array = array[None]
    if array.ndim != 3 or array.shape[1:] != (68, 2) or not len(array):
        raise ValueError(f"shape {array.shape}, expected (frames, 68, 2) or (68, 2)")
    return np.array(array, np.float32)


def _read_csv(path: Path) -> NDArray[np.float32]:
    text = io.StringIO(files.read_text(path, _LARGEST_TEXT), newline="")
    table = [[cell.strip() for cell in row] for row in csv.reader(text) if any(row)]
    columns: list[int] = list(range(_VALUES))
    if table and any(_COLUMN.fullmatch(cell.lower()) for cell in table[0]):
        header = [cell.lower() for cell in table.pop(0)]
        columns = _columns(header)
        _check_frame_numbers(header, table)
    elif table and len(table[0]) != _VALUES:
        raise ValueError(f"{len(table[0])} columns and no header x0,y0,…; expected {_VALUES}")
    if not table:
        raise ValueError("no rows")
    rows = np.empty((len(table), _VALUES), np.float32)
    for k, row in enumerate(table):
        if len(row) <= max(columns):
            raise ValueError(f"row {k} has {len(row)} columns, expected {max(columns) + 1}")
        rows[k] = [float(row[column] or "nan") for column in columns]
    return rows.reshape(-1, 68, 2)


def _columns(header: list[str]) -> list[int]:
    """Return where x0, y0, x1, … are in a header that may name them in any order."""
    place = {}
    for column, cell in enumerate(header):
        if match := _COLUMN.fullmatch(cell):
            place[match[1], int(match[2])] = column
    first = min(number for _, number in place)
    wanted = [(axis, number + first) for number in range(68) for axis in "xy"]
    absent = [f"{axis}{number}" for axis, number in wanted if (axis, number) not in place]
    if absent:
        raise ValueError(f"no column {absent[0]}; expected x{first}, y{first} to y{first + 67}")
    return [place[key] for key in wanted]


def _check_frame_numbers(header: list[str], table: list[list[str]]) -> None:
    """Rows are joined to frames by position, so a frame column may not skip."""
    if "frame" not in header:
        return
    column = header.index("frame")
    numbers = [float(row[column]) for row in table if len(row) > column]
    if len(numbers) != len(table) or any(b - a != 1 for a, b in pairwise(numbers)):
        raise ValueError(
            "column frame skips or repeats; expected one row for every frame, in order"
        )


def _read_pts(path: Path) -> NDArray[np.float32]:
    text = files.read_text(path)
    body = re.search(r"\{([^}]*)\}", text)
    values = [float(word) for word in (body[1] if body else "").split()]
    if len(values) != _VALUES:
        raise ValueError(f"{len(values)} numbers between braces, expected {_VALUES}")
    return (np.array(values, np.float64) - 1).astype(np.float32).reshape(1, 68, 2)


_READERS = {".npy": _read_npy, ".csv": _read_csv, ".pts": _read_pts}
