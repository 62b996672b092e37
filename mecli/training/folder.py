"""The run folder: what one `train` writes, fold by fold, each file in one step.

::

    options.json               resolved options; `mecli train --options FILE` takes them
    run.json                   model, classes, folds, caches, versions, status
    folds/<seed>/<k>.json      held-out scores per clip, loss per epoch, digest of weights
    folds/<seed>/<k>.safetensors   the weights of the fold
    predictions.csv            once all folds are there
    predictions-LEAKED.csv     selection oracle only: each fold's best test epoch
    final.safetensors          checkpoint fitted on all clips
    features.npy               while the run lasts: what the workers share
"""

from __future__ import annotations

import contextlib
import csv
import io
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import files, predictions, runs
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = runs.RUN_FORMAT
OPTIONS, RUN, FINAL = "options.json", "run.json", "final.safetensors"
PREDICTIONS, LEAKED = runs.PREDICTIONS, runs.LEAKED_PREDICTIONS
FEATURES = "features.npy"
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class Leaked:
    """The epoch that held-out clips would choose for themselves, and its scores."""

    epoch: int
    hits: tuple[int, ...]
    """Held-out clips that each epoch got right."""
    scores: Mapping[str, tuple[float, ...]]
    """Held-out clip id → one probability per class after that epoch."""


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What one trained fold says: held-out class probabilities and how it got there."""

    fold: str
    number: int
    seed: int
    train_per_class: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]
    """Held-out clip id → one probability per class."""
    history: Mapping[str, Sequence[float]]
    """Stage → mean training loss per epoch."""
    weights_sha256: str
    duration_s: float
    epochs: Mapping[str, int] = field(default_factory=dict)
    """Stage → epochs that selection inner chose; empty if nothing was chosen."""
    leaked: Leaked | None = None
    """What selection oracle would have this fold score."""


def new(parent: Path, model: str, protocol: str) -> Path:
    """Make and return a new run folder inside `parent`, named after the time."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{model}-{protocol}"
    try:
        files.make_folder(parent)
        for number in range(1, 1000):
            path = parent / (stem if number == 1 else f"{stem}-{number}")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                files.sync_folder(parent)
                return path
    except OSError as error:
        raise InputError(f"{parent / stem}: cannot be made: {error.strerror}") from error
    raise InputError(f"{parent}: a thousand runs within one second; wait a little")


def weights_path(run: Path, seed: int, number: int) -> Path:
    """Return where the weights of fold `number` with `seed` are."""
    return run / "folds" / str(seed) / f"{number}.safetensors"


def fold_path(run: Path, seed: int, number: int) -> Path:
    """Return where the result of fold `number` with `seed` is."""
    return run / "folds" / str(seed) / f"{number}.json"


def write_fold(run: Path, result: FoldResult) -> None:
    """Write one fold's result; from then on the fold counts as finished."""
    path = fold_path(run, result.seed, result.number)
    files.write_json(path, {"format": FORMAT, **asdict(result)})


def read_fold(run: Path, seed: int, number: int) -> FoldResult | None:
    """Return the result of a fold, None if it is not finished; `InputError` if it is broken."""
    path = fold_path(run, seed, number)
    if not path.exists():
        return None
    try:
        document = files.read_json(path)
        version = document.pop("format")
        leaked = document.pop("leaked", None)
        result = FoldResult(
            scores=_scores(document.pop("scores")),
            train_per_class=tuple(map(int, document.pop("train_per_class"))),
            leaked=leaked and Leaked(**{**leaked, "scores": _scores(leaked["scores"])}),
            **document,
        )
        _check_fold(result)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: damaged or not a fold's result; remove it and resume to train it anew"
        ) from error
    if version != FORMAT:
        raise InputError(f"{path}: written by another version; start a new run")
    if (result.seed, result.number) != (seed, number):
        raise InputError(
            f"{path}: result of fold {result.fold} with seed {result.seed}, expected that of fold "
            f"number {number} with seed {seed}; remove it and resume"
        )
    return result


def _check_fold(result: FoldResult) -> None:
    """Raise `ValueError` for what is no result of any fold."""
    sizes, tables = {len(result.train_per_class)}, [result.scores]
    if result.leaked is not None:
        tables.append(result.leaked.scores)
    shares = [share for table in tables for row in table.values() for share in row]
    kinds: list[tuple[object, type]] = [(result.fold, str), (result.weights_sha256, str)]
    kinds += [(result.epochs, dict), (result.history, dict)]
    if (
        not all(isinstance(value, kind) for value, kind in kinds)
        or {len(row) for table in tables for row in table.values()} - sizes
        or not all(0 <= share <= 1 + _ROUNDING for share in shares)
    ):
        raise ValueError("is no result of a fold")


def _scores(document: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    return {clip: tuple(map(float, shares)) for clip, shares in document.items()}


def write_features(
    run: Path, count: int, features: Iterable[NDArray[np.generic]], name: str = FEATURES
) -> None:
    """Put `count` clips' features where every worker can map them, one clip in memory."""
    # Written, not mapped: on a full disk writing to a map kills the process.
    files.write_parts(run / name, _npy(count, features))


def _npy(count: int, features: Iterable[NDArray[np.generic]]) -> Iterator[bytes]:
    """Yield the bytes of an .npy file of `count` arrays of one shape."""
    shape = None
    for values in features:
        if shape is None:
            shape, head = values.shape, io.BytesIO()
            described = np.lib.format.header_data_from_array_1_0(values)
            described |= {"shape": (count, *shape), "fortran_order": False}
            np.lib.format.write_array_header_1_0(head, described)
            yield head.getvalue()
        yield values.tobytes()


def map_features(run: Path, name: str = FEATURES) -> NDArray[np.generic]:
    """Return the features, mapped and shared; writing to them changes no file."""
    try:
        features: NDArray[np.generic] = np.load(run / name, mmap_mode="c", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(
            f"{run / name}: is gone; did another `mecli train` go on with this run? Resume it again"
        ) from error
    return features


def remove_features(run: Path, name: str = FEATURES) -> None:
    """Drop the shared features once nobody needs them, and what killed writers left."""
    (run / name).unlink(missing_ok=True)
    files.sweep(run.rglob(".*.tmp"))


def write_predictions(
    run: Path,
    results: Iterable[FoldResult],
    classes: Sequence[str],
    clips: Mapping[str, tuple[str, str, str]],
) -> Path:
    """Write one row per held-out clip and seed; `clips` has (subject, corpus, label) by id."""
    path = run / PREDICTIONS
    rows = [(r.seed, clip, r.fold, s) for r in results for clip, s in r.scores.items()]
    _write_table(path, rows, classes, clips, {})
    return path


def write_leaked(
    run: Path,
    results: Iterable[FoldResult],
    classes: Sequence[str],
    clips: Mapping[str, tuple[str, str, str]],
) -> None:
    """Write what each fold's best test epoch says, every row marked as leaked."""
    rows = [
        (r.seed, clip, r.fold, s)
        for r in results
        if r.leaked
        for clip, s in r.leaked.scores.items()
    ]
    if rows:
        _write_table(run / LEAKED, rows, classes, clips, {predictions.MARK: predictions.LEAKED})


def _write_table(
    path: Path,
    rows: Iterable[tuple[int, str, str, Sequence[float]]],
    classes: Sequence[str],
    clips: Mapping[str, tuple[str, str, str]],
    marks: Mapping[str, str],
) -> None:
    """Write (seed, clip, fold, probabilities), sorted; `marks` are the same in every row."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    head = ["clip", "subject", "corpus", "label", "prediction", "seed", "fold", *marks]
    table.writerow([*head, *(f"score_{name}" for name in classes)])
    for seed, clip, fold, scores in sorted(rows):
        subject, corpus, label = clips[clip]
        prediction = classes[int(np.argmax(scores))]
        numbers = (repr(round(s, 9)) for s in scores)
        known = [clip, subject, corpus, label, prediction, seed, fold, *marks.values()]
        table.writerow([*known, *numbers])
    files.write_text(path, text.getvalue())


def is_begun(run: Path) -> bool:
    """Whether folder `run` has its description; `InputError` if it is no run at all.

    Without one nothing can be trained yet: the description comes before the first fold.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder")
    if (run / RUN).exists():
        read_run(run)
        return True
    if not (run / OPTIONS).exists() or (run / "folds").exists():
        raise InputError(f"{run}: holds no {RUN}, so it is no run that can go on")
    return False


def read_run(run: Path) -> dict[str, Any]:
    """Return the description of a run; `InputError` if the folder is not one.

    Folders inside that are links are refused: what is trained or repaired would lie elsewhere.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder")
    for inside in (*run.iterdir(), *run.glob("folds/*")):
        if inside.is_symlink() and inside.is_dir():
            raise InputError(
                f"{inside}: is a link to another folder, which a run never holds; put the folder "
                "in its place"
            )
    document = files.read_json(run / RUN)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{run / RUN}: not the description of a run of this version")
    return document
