"""Gather what lies behind the figures of a run, from its folder and the caches it was made of.

Every clip is looked at by the model of the fold that held it out, never by one that was
trained on it.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mecli.cache import open_cache
from mecli.errors import InputError, MissingDependency
from mecli.report.evidence import Curve, Evidence, Hard, Regions
from mecli.training import folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.cache import Cache
    from mecli.predictions import Prediction
    from mecli.report.evaluation import RunEvaluation

    Progress = Callable[[int, int, str], None]

HARDEST = 12
_SHOWN = ("flow", "apex_flow", "roi_frames", "roi_boxes", "steps")


class _Held(NamedTuple):
    """A fold's model, and the clips that it has never seen with what it says of each."""

    weights: Path
    answers: Mapping[str, str]


def gather(
    run: RunEvaluation, caches: Sequence[Path] = (), progress: Progress | None = None
) -> Evidence:
    """Return the evidence on `run`; what cannot be had is named with its reason.

    `caches` hold the clips; without any, those that the run says it was trained on.
    """
    missing: list[str] = []
    curves, chosen = _learned(run, missing)
    with ExitStack() as stack:
        places = _open(run, caches, stack, missing)
        regions = _regions(run, places, progress, missing)
        hardest = _hardest(run, places, missing)
    return Evidence(curves, regions, hardest, tuple(missing), chosen)


def _learned(
    run: RunEvaluation, missing: list[str]
) -> tuple[tuple[Curve, ...], dict[str, tuple[int, ...]]]:
    """Return how the loss of each stage fell, and after how many epochs each fold stopped it."""
    if run.folder is None:
        missing.append("learning curves: this is no run folder")
        return (), {}
    histories: dict[str, list[Sequence[float]]] = defaultdict(list)
    chosen: dict[str, tuple[int, ...]] = defaultdict(tuple)
    for seed in run.seeds:
        for number in range(len(run.header.get("folds", ()))):
            result = folder.read_fold(run.folder, seed, number)
            for stage, losses in (result.history if result else {}).items():
                histories[stage].append(losses)
            for stage, epochs in (result.epochs if result else {}).items():
                chosen[stage] += (epochs,)
    learned = {stage: rows for stage, rows in histories.items() if max(map(len, rows)) > 1}
    if not learned:
        missing.append(f"learning curves: {run.model} is not trained in epochs")
    return tuple(Curve(stage, _padded(rows)) for stage, rows in learned.items()), dict(chosen)


def _padded(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    losses = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(losses, rows, strict=True):
        row[: len(values)] = values
    return losses


def _open(
    run: RunEvaluation, caches: Sequence[Path], stack: ExitStack, missing: list[str]
) -> dict[str, Cache]:
    """Return an open cache for each clip id that is in one; none if the caches are others."""
    stated = run.header.get("caches", ())
    paths = list(caches) or [Path(one["path"]) for one in stated]
    if not paths:
        missing.append("pictures of clips: the predictions name no cache; say where with --cache")
        return {}
    try:
        opened = [stack.enter_context(open_cache(path)) for path in paths]
    except (InputError, MissingDependency) as error:
        missing.append(f"pictures of clips: {error}; say where it is now with --cache")
        return {}
    prints = {one["fingerprint"] for one in stated}
    if stated and prints != {cache.fingerprint() for cache in opened}:
        missing.append(
            f"pictures of clips: {', '.join(map(str, paths))}: not what the run was trained on "
            "(the fingerprint differs)"
        )
        return {}
    return {clip: cache for cache in opened for clip in cache.clip_ids}


def _regions(
    run: RunEvaluation,
    places: Mapping[str, Cache],
    progress: Progress | None,
    missing: list[str],
) -> Regions | None:
    """Return the mean part of each ROI by answer; the folds' models of the first seed say it."""
    folds = _held(run, places, missing)
    if not folds:
        return None
    from mecli.training.attribution import attribute
    from mecli.training.checkpoint import load_checkpoint

    rows: dict[str, list[Mapping[str, float]]] = {name: [] for name in run.header["classes"]}
    method, done, total = "", 0, sum(len(fold.answers) for fold in folds)
    for fold in folds:
        checkpoint = load_checkpoint(fold.weights)
        for clip, answer in fold.answers.items():
            method, parts = attribute(checkpoint, places[clip].record(clip))
            rows[answer].append(parts)
            done += 1
            if progress is not None:
                progress(done, total, clip)
    means = {name: _mean(parts) for name, parts in rows.items() if parts}
    return Regions(method, means, {name: len(rows[name]) for name in means})


def _mean(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {roi: float(np.mean([part[roi] for part in parts])) for roi in parts[0]}


def _held(run: RunEvaluation, places: Mapping[str, Cache], missing: list[str]) -> list[_Held]:
    """Return the folds of the first seed whose weights and clips are here."""
    if run.folder is None:
        missing.append("regions: this is no run folder, so there are no weights to ask")
        return []
    if run.leaked:
        missing.append("regions: the weights of the epochs that leaked are not kept")
        return []
    classes, found = run.header["classes"], []
    for number in range(len(run.header.get("folds", ()))):
        weights = folder.weights_path(run.folder, run.seeds[0], number)
        result = folder.read_fold(run.folder, run.seeds[0], number)
        if result is None or not weights.exists():
            continue
        scores = {clip: s for clip, s in result.scores.items() if clip in places}
        answers = {clip: classes[int(np.argmax(s))] for clip, s in scores.items()}
        found.append(_Held(weights, answers))
    if places and not found:
        missing.append("regions: the weights of the folds were not kept (--no-keep-weights)")
    return [fold for fold in found if fold.answers]


def _hardest(
    run: RunEvaluation, places: Mapping[str, Cache], missing: list[str]
) -> tuple[Hard, ...]:
    wrong = [one for one in run.clips.values() if one.prediction != one.label]
    if not wrong:
        missing.append("hardest clips: none was answered wrongly")
        return ()
    if any(len(one.scores) != len(run.classes) for one in wrong):
        missing.append("hardest clips: no score for each class says how sure the answers were")
        return ()
    ranked = sorted(wrong, key=lambda one: (-_share(run, one), one.clip))[:HARDEST]
    return tuple(
        Hard(
            one,
            _share(run, one),
            places[one.clip].record(one.clip, _SHOWN) if one.clip in places else None,
        )
        for one in ranked
    )


def _share(run: RunEvaluation, one: Prediction) -> float:
    return one.scores[run.classes.index(one.prediction)]
