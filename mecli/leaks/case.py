"""The case under audit: a run, or caches with the protocol they would be trained under."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import runs
from mecli.clips import person_of
from mecli.errors import InputError, MissingDependency, UsageError
from mecli.folds import Fold
from mecli.training import dataset, folder, plan
from mecli.training.options import TrainOptions, read_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.training.plan import Plan

_GRID = (14, 12)
_SIDE = 12


@dataclass(frozen=True, slots=True)
class Limits:
    """How much work the checks that train may do, and who is told of it."""

    model: str | None = None
    refit: int = 1
    permutations: int = 5
    seed: int = 0
    jobs: int = 0
    step: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Sketches:
    """Small pictures of every clip, one row each, of length 1 or all 0 where there are none."""

    motion: NDArray[np.float32]
    """(N, 336): flow from onset to apex on a 14×12 grid, less its mean."""
    face: NDArray[np.float32]
    """(N, 864): the ROIs of the onset frame as 12×12 grey cells, each standardised."""


@dataclass(frozen=True)
class Case:
    """What is known of a run or of caches; `plan` is None where the caches are gone."""

    source: str
    folds: tuple[Fold, ...]
    plan: Plan | None
    missing: str = ""
    """Why there is no plan."""
    run: Path | None = None
    header: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tested(self) -> tuple[str, ...]:
        """The clips that some fold tests, as often as it does."""
        return tuple(clip for fold in self.folds for clip in fold.test)

    @property
    def clip_ids(self) -> tuple[str, ...]:
        """All labelled clips, sorted; those of the folds where the caches are gone."""
        return self.plan.data.clip_ids if self.plan else tuple(sorted(set(self.tested)))

    def needed(self) -> Plan:
        """Return the plan; `MissingDependency` where the caches are gone."""
        if self.plan is None:
            raise MissingDependency(self.missing)
        return self.plan

    @cached_property
    def sketches(self) -> Sketches:
        """Read every clip once; clips without flow or faces have rows of zeros."""
        motion, face = [], []
        for record in dataset.records(self.needed().data, ("apex_flow", "roi_frames")):
            motion.append(_motion(record.apex_flow))
            face.append(_face(record.roi_frames))
        return Sketches(np.stack(motion), np.stack(face))


def persons_of(clip_ids: Sequence[str]) -> dict[str, str]:
    """Return clip id → person, from ``corpus/subject/name`` alone."""
    found = {}
    for clip in clip_ids:
        parts = clip.split("/")
        if len(parts) != 3:
            raise InputError(f"clip '{clip}' of the run is not corpus/subject/name")
        found[clip] = person_of(*parts[:2])
    return found


def open_case(target: str, caches: Sequence[Path], options: TrainOptions) -> Case:
    """Return the case of the run folder `target`, or of `caches` trained with `options`."""
    if not caches:
        return _of_run(Path(target))
    made = plan.make(replace(options, caches=tuple(caches)))
    if not any(fold.test for fold in made.folds):
        raise UsageError(f"--protocol {options.protocol} holds out nobody: nothing can leak")
    return Case(", ".join(map(str, caches)), made.folds, made)


def _of_run(run: Path) -> Case:
    header = runs.read_header(run)
    options = read_options(run / folder.OPTIONS)
    try:
        made = plan.make(options)
    except (InputError, MissingDependency) as error:
        return Case(str(run), _folds(run, header, None), None, str(error), run, header)
    folds = _folds(run, header, made.data.clip_ids)
    return Case(str(run), folds, replace(made, folds=folds), "", run, header)


def _folds(run: Path, header: Mapping[str, Any], clips: Sequence[str] | None) -> tuple[Fold, ...]:
    """Return the folds as run.json has them; whoever is not tested is trained on.

    If a fold trained on just as many clips as there are of other persons, it left out the
    tested persons' other clips.
    """
    try:
        listed = [
            (str(f["name"]), tuple(map(str, f["test"])), f["train_clips"]) for f in header["folds"]
        ]
    except (KeyError, TypeError) as error:
        raise InputError(f"{run / folder.RUN}: its folds are not those of a run") from error
    every = set(clips or ()) | {clip for _, test, _ in listed for clip in test}
    persons = persons_of(sorted(every))
    folds = []
    for name, test, train_clips in listed:
        held = {persons[clip] for clip in test}
        others = tuple(sorted(clip for clip in every if persons[clip] not in held))
        rest = tuple(sorted(every - set(test)))
        folds.append(Fold(name, others if len(others) == train_clips else rest, test))
    return tuple(folds)


def _motion(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    if flow.ndim != 3 or min(flow.shape[:2]) < 2:
        return np.zeros(2 * _GRID[0] * _GRID[1], dtype=np.float32)
    cells = _cells(flow, _GRID)
    return _unit(cells - cells.mean((0, 1)))


def _face(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    if not len(frames):
        return np.zeros(frames.shape[1] * _SIDE**2, dtype=np.float32)
    grey = np.moveaxis(frames[0].mean(-1, dtype=np.float32), 0, -1)
    cells = _cells(grey, (_SIDE, _SIDE))
    spread = cells.std((0, 1)) + 1e-3
    return _unit((cells - cells.mean((0, 1))) / spread)


def _cells(maps: NDArray[np.float32], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Return the means of `maps` (H, W, C) over cells of `grid`."""
    rows = np.linspace(0, maps.shape[0], grid[0] + 1).astype(int)[:-1]
    columns = np.linspace(0, maps.shape[1], grid[1] + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(maps, rows, axis=0), columns, axis=1)
    sizes = np.diff([*rows, maps.shape[0]])[:, None] * np.diff([*columns, maps.shape[1]])
    return np.asarray(sums / np.maximum(sizes, 1)[..., None], dtype=np.float32)


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(values))
    return np.asarray(values.ravel() / length if length > 1e-6 else values.ravel() * 0, np.float32)
