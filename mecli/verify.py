"""The verb ``verify``: read every byte of caches, checkpoints and runs; tell what is damaged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from mecli import files, workers
from mecli.cache import Reader, parts_folder
from mecli.caches import expand_caches
from mecli.errors import InputError
from mecli.records import ARRAYS, ClipRecord
from mecli.report.caches import Verified
from mecli.rois import FACE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MEMORY = 4 << 30
_CHECKPOINT = ".safetensors"


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What ``mecli verify`` can be told; the defaults are the command line's."""

    jobs: int | None = None
    timeout_s: float = 300.0

    def __post_init__(self) -> None:
        workers.check_limits(self.jobs, self.timeout_s)


def verify(
    named: Sequence[str | Path],
    options: VerifyOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Verified]:
    """Read caches, checkpoints and run folders whole; say what is damaged in each.

    Each is read in a process of its own: a few damaged files make HDF5 loop or crash.
    """
    options = options or VerifyOptions()
    runs = [Path(name) for name in named if (Path(name) / "run.json").is_file()]
    rest = [name for name in named if Path(name) not in runs]
    paths = [*runs, *expand_caches(rest, stdin)]
    paths += [p for path in paths for p in sorted(parts_folder(path).glob("[!.]*.h5"))]
    for path in paths:
        # Not damaged, so not for `repair` to set aside.
        if not os.access(path, os.R_OK):
            raise InputError(f"{path}: cannot be read; have it opened to you, or remove it")
    jobs = workers.cores() if options.jobs is None else options.jobs
    found: dict[int, Verified] = {}
    for outcome in workers.run(_verify, paths, jobs, options.timeout_s, _MEMORY, "mecli.verify"):
        error, path = outcome.error, paths[outcome.index]
        if error is not None and not workers.is_failure_of_task(error):
            raise error
        found[outcome.index] = outcome.value or Verified(path, 0, (f"{path}: {outcome.reason}",))
        if progress is not None:
            progress(len(found), len(paths), str(path))
    return [found[index] for index in sorted(found)]


def _verify(path: Path) -> Verified:
    try:
        if path.is_dir():
            return _verify_run(path)
        if path.suffix == _CHECKPOINT:
            return _verify_checkpoint(path)
        return _verify_cache(path)
    except InputError as error:
        return Verified(path, 0, (str(error),))


def _verify_cache(path: Path) -> Verified:
    problems: list[str] = []
    bad = []
    with Reader(path) as cache:
        for clip_id in cache.clip_ids:
            try:
                odd = [f"{path}: clip {clip_id}: {o}" for o in oddities(cache.check(clip_id))]
            except InputError as error:
                odd = [str(error)]
            problems += odd
            bad += [clip_id] if odd else []
        return Verified(path, len(cache.clip_ids), tuple(problems), tuple(bad))


def oddities(record: ClipRecord) -> Iterator[str]:
    """Say what no extraction would write: numbers that are not finite, shapes that disagree."""
    if not record.ok:
        return
    for name in ARRAYS:
        values = getattr(record, name)
        if not np.isfinite(values).all():
            yield f"{name} holds NaN or infinite numbers"
    steps, height, width, _ = record.flow.shape
    if len(record.steps) != steps:
        yield f"{len(record.steps)} steps, but flow has {steps}"
    if record.apex_flow.shape != (height, width, 2):
        yield f"apex_flow is {record.apex_flow.shape}, but flow is {record.flow.shape}"
    if len(record.roi_frames) not in {0, steps}:
        yield f"{len(record.roi_frames)} roi_frames, but flow has {steps} steps"
    if len(record.landmarks) != len(record.landmark_positions):
        yield f"{len(record.landmarks)} landmarks at {len(record.landmark_positions)} positions"
    if len(record.transforms) not in {0, record.frame_count}:
        yield f"{len(record.transforms)} transforms, but {record.frame_count} frames"
    if record.flow.size and float(np.abs(record.flow).max()) > FACE_SIZE[0]:
        yield f"flow of {float(np.abs(record.flow).max()):.0f} px is longer than the face"


def _verify_checkpoint(path: Path) -> Verified:
    from mecli.training.checkpoint import load_checkpoint

    load_checkpoint(path)
    return Verified(path, 1, ())


def _verify_run(run: Path) -> Verified:
    """Read the description, every fold's result and weights, and the final checkpoint."""
    from mecli.predictions import read_predictions
    from mecli.training import folder

    description = folder.read_run(run)
    files.read_json(run / folder.OPTIONS)
    problems, bad = [], []
    if description.get("status") != "complete":
        problems.append(f"{run}: is not complete; go on with `mecli train --resume {run}`")
    elif not (run / folder.PREDICTIONS).is_file():
        problems.append(f"{run / folder.PREDICTIONS}: no such file")
    parts = sorted([*run.glob("folds/*/*.json"), *run.glob(f"**/*{_CHECKPOINT}")])
    for path in [*parts, *run.glob(folder.PREDICTIONS), *run.glob(folder.LEAKED)]:
        try:
            if path.suffix == _CHECKPOINT:
                _verify_checkpoint(path)
            elif path.suffix == ".json":
                _verify_fold(run, path)
            else:
                read_predictions(path)
        except InputError as error:
            problems.append(str(error))
            bad.append(str(path))
    return Verified(run, len(parts), tuple(problems), tuple(bad))


def _verify_fold(run: Path, path: Path) -> None:
    from mecli.training import folder
    from mecli.training.checkpoint import load_checkpoint

    try:
        seed, number = int(path.parent.name), int(path.stem)
    except ValueError as error:
        raise InputError(f"{path}: is no fold of this run") from error
    result = folder.read_fold(run, seed, number)
    weights = folder.weights_path(run, seed, number)
    if result is not None and weights.is_file():
        written = load_checkpoint(weights).description["sha256"]
        if result.weights_sha256 and written != result.weights_sha256:
            raise InputError(
                f"{weights}: holds other weights than {path} says; train the fold anew"
            )
