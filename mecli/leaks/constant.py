"""A control that trains on clips which all look alike: scores must be alike, right by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.leaks.case import Case, Limits
    from mecli.training.folder import FoldResult
    from mecli.training.job import FoldTask, Job


def check_constant(case: Case, limits: Limits) -> Finding:
    """Make all clips look the same: a fold must give them the same scores, right by chance.

    More than chance is no leak yet: classes that a fold's training clips are short of are
    those of its held-out ones, and a model that weighs classes may answer with them. It is
    one if a fold answers otherwise when trained alone, its held-out clips labelled wrongly.
    """
    made = planned(case, limits.model or CHEAP, {} if limits.model else CHEAP_OPTIONS)
    random, tasks = np.random.default_rng(limits.seed), tasks_of(case, made)
    with Workshop(made, limits) as workshop:
        features = np.array(np.broadcast_to(workshop.features[:1], workshop.features.shape))
        results = workshop.train("constant", tasks, workshop.job, features)
        uf1, chance = _of_answers(results, workshop.job, random)
        p = float((1 + (chance >= uf1 - 1e-12).sum()) / (1 + len(chance)))
        apart = [r.fold for r in results.values() if len(set(r.scores.values())) > 1]
        suspects = tasks if p <= LEVEL and not apart else []
        told = [t.name for t in suspects if _told(workshop, t, results[t.number], features)]
    got = f"UF1 {uf1:.3f}, {len(apart)} folds tell equal clips apart"
    expected = f"≤ {float(np.quantile(chance, 1 - LEVEL)):.3f} (chance), 0"
    figures = {"uf1": uf1, "p": p}
    if apart or told:
        advice = "something besides the features reaches the scores: order, names or state"
        return Finding("constant", "leak", got, expected, advice, (*apart, *told), figures)
    if suspects:
        advice = (
            "the classes that training clips lack tell those held out, as few persons with few "
            "classes each do; what is held out decides nothing else"
        )
        return Finding("constant", "warning", got, expected, advice, figures=figures)
    return Finding("constant", "ok", got, expected, figures=figures)


def _told(
    workshop: Workshop, task: FoldTask, said: FoldResult, features: NDArray[np.generic]
) -> bool:
    """Whether `task`, trained alone with wrong held-out labels, scores otherwise than `said`."""
    job, name = mislabelled(workshop.job, task), f"alone{task.number}"
    return workshop.train(name, [task], job, features)[task.number].scores != said.scores


def _of_answers(
    results: dict[int, FoldResult], job: Job, random: np.random.Generator
) -> tuple[float, NDArray[np.float64]]:
    """Return UF1 of one answer a fold, and of the same answers given to other folds (2000,)."""
    labels, said = pooled(results, job)
    fold = np.repeat(np.arange(len(results)), [len(r.scores) for r in results.values()])
    answers = said[np.r_[0, np.flatnonzero(np.diff(fold)) + 1]]
    shuffles = (random.permutation(answers)[fold] for _ in range(SHUFFLES))
    chance = [uf1_of(labels, mixed, len(job.classes)) for mixed in shuffles]
    return uf1_of(labels, said, len(job.classes)), np.array(chance)
