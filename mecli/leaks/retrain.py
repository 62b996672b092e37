"""Controls that train: the toolkit's own leak tests on the user's clips, folds and model.

They go through the very functions that `train` uses, in a folder of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import registry
from mecli.leaks.workshop import (
    CHEAP,
    CHEAP_OPTIONS,
    LEVEL,
    SHUFFLES,
    Workshop,
    mislabelled,
    planned,
    pooled,
    tasks_of,
    uf1_of,
)
from mecli.report.audit import Finding
from mecli.training import dataset, folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mecli.leaks.case import Case, Limits
    from mecli.records import ClipRecord
    from mecli.training.folder import FoldResult
    from mecli.training.job import FoldTask
    from mecli.training.plan import Plan

_CLIPS = 200
_HIDDEN = "hidden"


def check_features(case: Case, limits: Limits) -> Finding:
    """Hide labels, names and the held-out clips: features must hang on a clip's pixels alone."""
    made = planned(case, limits.model)
    model, options = registry.load("model", made.options.model), made.model_options
    held = set(case.folds[0].test)
    chosen = set(made.data.clip_ids[:: max(len(made.data.clip_ids) // _CLIPS, 1)]) - held
    seen = {r.clip_id: model.features(r, options) for r in _records(made, chosen)}
    # Another pass, in which the held-out clips are other clips and all words are hidden.
    random = np.random.default_rng(limits.seed)
    wrong = []
    for record in _records(made, chosen | held):
        if record.clip_id in held:
            model.features(_scrambled(record, random), options)
            continue
        if not np.array_equal(model.features(_wordless(record), options), seen[record.clip_id]):
            wrong.append(record.clip_id)
    limits.step("features")
    got = f"{len(wrong)} of {len(seen)} clips change with labels, names or held-out clips hidden"
    if wrong:
        advice = f"features of {made.options.model} must be computed from one clip's pixels alone"
        return Finding("features", "leak", got, "0", advice, tuple(wrong))
    return Finding("features", "ok", got, "0")


def _records(made: Plan, wanted: set[str]) -> Iterator[ClipRecord]:
    some = replace(made.data, clips=tuple(r for r in made.data.clips if r.clip_id in wanted))
    return dataset.records(some)


def _wordless(record: ClipRecord) -> ClipRecord:
    return replace(
        record,
        clip_id=f"{record.corpus}/{_HIDDEN}/{_HIDDEN}",
        subject=_HIDDEN,
        name=_HIDDEN,
        source=_HIDDEN,
        labels={},
    )


def _scrambled(record: ClipRecord, random: np.random.Generator) -> ClipRecord:
    return replace(
        record,
        flow=random.normal(0, 9, record.flow.shape).astype(np.float32),
        apex_flow=random.normal(0, 9, record.apex_flow.shape).astype(np.float32),
        roi_frames=random.integers(0, 256, record.roi_frames.shape, dtype=np.uint8),
    )


def check_refit(case: Case, limits: Limits) -> Finding:
    """Scramble the held-out clips: the weights must stay the same, bit for bit."""
    if not limits.refit:
        return Finding("refit", "not checked", "left out by --refit 0")
    made = planned(case, limits.model)
    every = [t for t in tasks_of(case, made) if t.test]
    tasks = every[:: max(len(every) // limits.refit, 1)][: limits.refit]
    with Workshop(made, limits) as workshop:
        clean = workshop.train("clean", tasks, workshop.job)
        wrong = [t.name for t in tasks if _differs(workshop, t, clean[t.number])]
    same = _reproduced(case, made, clean)
    got = f"{len(tasks) - len(wrong)} of {len(tasks)} refitted folds bit-identical{same}"
    figures = {"model": made.options.model, "folds": [t.name for t in tasks]}
    if wrong:
        advice = "the weights hang on held-out pixels or labels: these scores mean nothing"
        return Finding("refit", "leak", got, "all", advice, tuple(wrong), figures)
    return Finding("refit", "ok", got, "all", figures=figures)


def _differs(workshop: Workshop, task: FoldTask, clean: FoldResult) -> bool:
    """Train `task` once more with other pixels and labels in place of the held-out ones."""
    job, random = mislabelled(workshop.job, task), np.random.default_rng(task.number)
    held = np.flatnonzero(np.isin(job.clip_ids, task.test))
    features = np.array(workshop.features)
    shape = features[held].shape
    if features.dtype == np.uint8:
        features[held] = random.integers(0, 256, shape)
    else:
        features[held] = random.normal(3, 10, shape)
    result = workshop.train(f"scrambled{task.number}", [task], job, features)[task.number]
    return result.weights_sha256 != clean.weights_sha256


def _reproduced(case: Case, made: Plan, clean: dict[int, FoldResult]) -> str:
    """Say whether the clean refit is what the run itself has written."""
    if case.run is None or made is not case.plan:
        return ""
    before = [folder.read_fold(case.run, made.options.seed, number) for number in clean]
    if all(b and b.weights_sha256 == clean[b.number].weights_sha256 for b in before):
        return ", and the run's own weights"
    return " (the run's own weights differ: another machine, engine or version)"


def check_permuted(case: Case, limits: Limits) -> Finding:
    """Train on permuted labels: a model must score what chance does."""
    made = planned(case, limits.model or CHEAP, {} if limits.model else CHEAP_OPTIONS)
    random, tasks = np.random.default_rng(limits.seed), tasks_of(case, made)
    observed, chance = [], []
    with Workshop(made, limits) as workshop:
        for number in range(limits.permutations):
            labels = random.permutation(made.data.labels)
            job = replace(workshop.job, labels=tuple(map(int, labels)))
            said = pooled(workshop.train(f"permuted{number}", tasks, job), job)
            observed.append(uf1_of(*said, len(job.classes)))
            chance.append(_by_chance(*said, len(job.classes), random))
        truth = workshop.train("truth", tasks, workshop.job)
        real = uf1_of(*pooled(truth, workshop.job), len(workshop.job.classes))
    mean, means = float(np.mean(observed)), np.mean(chance, axis=0)
    low, high = map(float, np.quantile(means, [0.025, 0.975]))
    p = float((1 + (means >= mean).sum()) / (1 + len(means)))
    got = f"UF1 {mean:.3f} (true labels {real:.3f}), {limits.permutations} × {made.options.model}"
    expected = f"{low:.3f} to {high:.3f} (chance)"
    figures = {"uf1": observed, "mean": mean, "chance": [low, high], "p": p, "true_uf1": real}
    if p <= LEVEL:
        advice = "labels without meaning were predicted: held-out labels reach the training"
        return Finding("permuted", "leak", got, expected, advice, figures=figures)
    return Finding("permuted", "ok", got, expected, figures=figures)


def _by_chance(
    labels: NDArray[Any], predictions: NDArray[Any], n_classes: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return UF1 of the same predictions against shuffled labels, (2000,)."""
    shuffles = (random.permutation(labels) for _ in range(SHUFFLES))
    return np.array([uf1_of(mixed, predictions, n_classes) for mixed in shuffles])
