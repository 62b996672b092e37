"""The verb ``export``: a cache as plain folders, or in the field's form of flow images."""

from __future__ import annotations

import csv
import glob
import io
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli import files
from mecli.cache import open_cache
from mecli.errors import InputError, UsageError
from mecli.flow import strain
from mecli.flow_images import WINDOW_EXTENT, WINDOW_MIDDLE
from mecli.labels import apply_scheme
from mecli.records import ARRAYS
from mecli.report.pictures import png
from mecli.rois import FACE_SIZE, ROI_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.cache import Cache
    from mecli.records import ClipRecord

    Progress = Callable[[int, int, str], None]

FORMATS = ("folders", "flow-archive")
FLOW_SIDE = 28
TABLE, LABELS = "clips.csv", "labels.csv"
_SCHEME = "megc2019"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What ``mecli export`` can be told; the defaults are the command line's."""

    form: str = "folders"
    force: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMATS:
            raise UsageError(f"--format is '{self.form}', expected {' or '.join(FORMATS)}")


@dataclass(frozen=True, slots=True)
class Export:
    """What was written, and which clips were left out and why."""

    path: Path
    clips: int
    files: int
    left_out: dict[str, str]


def export(
    cache_path: Path,
    out: Path,
    options: ExportOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Export:
    """Write the clips of a cache into the folder `out`.

    Everything is written beside and put in place at the end. Raises `InputError` if `out`
    holds something and ``options.force`` is not set; with it, files of the same name are
    replaced and others stay. What a killed export to `out` left beside it is removed after an
    hour.
    """
    options = options or ExportOptions()
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, expected a folder to write into")
    if out.exists() and any(out.iterdir()) and not options.force:
        raise InputError(f"{out}: is not empty; name another folder, or replace with --force")
    write = _folders if options.form == "folders" else _flow_archive
    name, room = out.absolute().name, out.absolute().parent
    beside = room / f".{name}.{os.getpid()}.tmp"
    files.sweep_folders(room.glob(f".{glob.escape(name)}.*.tmp"))
    with open_cache(cache_path) as cache:
        try:
            beside.mkdir(parents=True)
            clips, left_out = write(cache, beside, progress)
            count = _move(beside, out)
        except OSError as error:
            raise files.not_written(error, out) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return Export(out, clips, count, left_out)


def _move(beside: Path, out: Path) -> int:
    """Put every file in its place below `out`, through no link that leads elsewhere."""
    paths = sorted(path for path in beside.rglob("*") if path.is_file())
    if not out.exists():
        beside.replace(out)
        return len(paths)
    root = out.resolve()
    targets = {path: out / path.relative_to(beside) for path in paths}
    for target in targets.values():
        if not target.parent.resolve().is_relative_to(root):
            raise InputError(f"{target}: is behind a link that leads out of {out}; refused")
    for path, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    return len(paths)


def _folders(cache: Cache, out: Path, progress: Progress | None) -> tuple[int, dict[str, str]]:
    """Write per clip a folder with PNGs of every ROI and step, and the arrays as NPZ."""
    rows, left_out = [], {}
    for number, summary in enumerate(cache.summaries(), start=1):
        rows.append(_row(summary))
        if summary.ok:
            _write_clip(out / summary.clip_id, cache.record(summary.clip_id))
        else:
            left_out[summary.clip_id] = summary.reason
        if progress is not None:
            progress(number, len(cache.clip_ids), summary.clip_id)
    _write_table(out / TABLE, rows)
    return len(rows) - len(left_out), left_out


def _write_clip(folder: Path, record: ClipRecord) -> None:
    folder.mkdir(parents=True)
    for roi, name in enumerate(ROI_NAMES if len(record.roi_frames) else ()):
        (folder / name).mkdir()
        for step, pictures in enumerate(record.roi_frames):
            (folder / name / f"{step:03d}.png").write_bytes(png(pictures[roi]))
    arrays: dict[str, Any] = {n: getattr(record, n) for n in ARRAYS if n != "roi_frames"}
    np.savez_compressed(folder / "arrays.npz", **arrays)


def _row(record: ClipRecord) -> dict[str, Any]:
    """Return the row of a clip in the table: what it is, where its files are, its labels."""
    meta = record.meta()
    labels, quality = meta.pop("labels"), meta.pop("quality")
    meta["issues"] = "; ".join(record.issues)
    return {
        "clip": meta.pop("clip_id"),
        "folder": record.clip_id if record.ok else "",
        **meta,
        **{f"label_{name}": value for name, value in labels.items()},
        **{f"quality_{name}": value for name, value in quality.items()},
    }


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or ["clip"], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def _flow_archive(cache: Cache, out: Path, progress: Progress | None) -> tuple[int, dict[str, str]]:
    """Write a 28×28 picture per clip of MEGC 2019 and the table of their classes."""
    table = apply_scheme(_SCHEME, cache.annotations())
    failed = {r.clip_id: r.reason for r in cache.summaries() if not r.ok}
    names = archive_names(table.index)
    rows = []
    for number, clip_id in enumerate(sorted(table.index), start=1):
        record = cache.record(clip_id)
        (out / names[clip_id]).write_bytes(png(flow_picture(in_window(record))))
        known = (record.corpus, record.subject, record.name)
        rows.append(
            dict(zip(("corpus", "subject", "clip"), known, strict=True))
            | {"label": table.index[clip_id], "file": names[clip_id]}
        )
        if progress is not None:
            progress(number, len(table.index), clip_id)
    if not rows:
        raise InputError(f"{cache.path}: no clip has a class of {_SCHEME}; nothing to export")
    _write_table(out / LABELS, rows)
    return len(rows), {**failed, **table.excluded}


def archive_names(clip_ids: Iterable[str]) -> dict[str, str]:
    """Return the file of each clip: ``<subject>_<clip> .png`` as the field has it.

    Where two clips would share one, the corpus leads the name, then a count follows it.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for clip_id in sorted(clip_ids):
        corpus, subject, clip = clip_id.split("/")
        short = f"{subject}_{clip}"
        candidates = [short, f"{corpus}_{short}", *(f"{corpus}_{short}-{n}" for n in range(2, 99))]
        name = next(n for n in candidates if n.casefold() not in taken)
        taken.add(name.casefold())
        names[clip_id] = f"{name} .png"
    return names


def flow_picture(flow: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (28, 28, 3) uint8: u, v and optical strain of `flow` (H, W, 2), each 0–255.

    Each channel is stretched by its own minimum and maximum, as in the prepared data of
    MEGC 2019 (Liong et al., STSTNet, 10.1109/FG.2019.8756567); one that is constant is 0.
    """
    channels = (flow[..., 0], flow[..., 1], strain(flow))
    shrinks = min(flow.shape[:2]) >= FLOW_SIDE
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = [cv2.resize(c, (FLOW_SIDE, FLOW_SIDE), interpolation=how) for c in channels]
    return np.stack([_stretched(np.asarray(c, dtype=np.float32)) for c in small], axis=-1)


def in_window(record: ClipRecord) -> NDArray[np.float32]:
    """Return the flow of a clip in the window of the field, (84, 84, 2); its border goes on.

    What came as flow images shows that window already.
    """
    flow = record.apex_flow
    if record.holds_flow:
        return flow
    cells = (FACE_SIZE[1] / flow.shape[1], FACE_SIZE[0] / flow.shape[0])
    back = np.zeros((2, 3))
    for axis, (middle, extent, cell) in enumerate(
        zip(WINDOW_MIDDLE, WINDOW_EXTENT, cells, strict=True)
    ):
        step = extent / (3 * FLOW_SIDE)
        back[axis, axis] = step / cell
        # Pixel centres, not corners, keep their place.
        back[axis, 2] = (middle - extent / 2 + step / 2) / cell - 0.5
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (3 * FLOW_SIDE, 3 * FLOW_SIDE)
    wide = cv2.warpAffine(flow, back, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(wide, dtype=np.float32)


def _stretched(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, dtype=np.uint8)
    return np.asarray(np.rint((values - low) / (high - low) * 255), dtype=np.uint8)
