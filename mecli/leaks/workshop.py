"""Where the audit trains: a case's plan, or that of a cheap model, in a folder nobody keeps."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import metrics
from mecli.training import engines, folder, plan
from mecli.training.job import FoldTask
from mecli.training.options import NONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.leaks.case import Case, Limits
    from mecli.training.folder import FoldResult
    from mecli.training.job import Job
    from mecli.training.plan import Plan

CHEAP = "flow-svm"
# So that it learns by heart what it is shown: only then would it repeat what leaked to it.
CHEAP_OPTIONS = {"cost": 100.0}
SHUFFLES = 2000
LEVEL = 0.002
"""A share of shuffles so small that chance is no explanation."""


def planned(case: Case, model: str | None, given: Mapping[str, Any] | None = None) -> Plan:
    """Return the case's plan, or that of a `model` with options `given` on clips and folds."""
    made = case.needed()
    if model is None or (model == made.options.model and not given):
        return made
    other = replace(
        made.options, model=model, preset=None, model_options=given or {}, pretrained=NONE,
        freeze=False, epochs=None,
    )  # fmt: skip
    options, _ = plan.settled(other)
    return replace(made, options=other, model_options=options, checkpoint=None)


def tasks_of(case: Case, made: Plan) -> list[FoldTask]:
    """Return one training for each of the case's folds, with the plan's first seed."""
    seed = made.options.seed
    return [
        FoldTask(number, fold.name, seed, fold.train, fold.test)
        for number, fold in enumerate(case.folds)
    ]


def mislabelled(job: Job, task: FoldTask) -> Job:
    """Return `job` with every held-out clip of `task` in another class."""
    labels = np.array(job.labels)
    held = np.isin(job.clip_ids, task.test)
    labels[held] = (labels[held] + 1) % len(job.classes)
    return replace(job, labels=tuple(map(int, labels)))


@dataclass(slots=True)
class Workshop:
    """A folder for runs that nobody keeps, with the features of one plan."""

    made: Plan
    limits: Limits
    place: Any = None

    def __enter__(self) -> Workshop:
        self.place = tempfile.TemporaryDirectory(prefix="mecli-audit-")
        folder.write_features(self.root, len(self.made.data.clips), self.made.features())
        return self

    def __exit__(self, *_: object) -> None:
        self.place.cleanup()

    @property
    def root(self) -> Path:
        """The folder."""
        return Path(self.place.name)

    @property
    def job(self) -> Job:
        """The plan's job; the oracle never decides anything but its own leaked scores."""
        job = self.made.job(self.root)
        selection = "last" if job.selection == "oracle" else job.selection
        return replace(job, keep_weights=False, selection=selection)

    @property
    def features(self) -> NDArray[np.generic]:
        """Those of the plan's model, mapped."""
        return folder.map_features(self.root)

    def train(
        self,
        name: str,
        tasks: Sequence[FoldTask],
        job: Job,
        features: NDArray[np.generic] | None = None,
    ) -> dict[int, FoldResult]:
        """Return the result of each of `tasks` by number, with `features` or the plan's own."""
        run = self.root / name
        run.mkdir()
        shared = self.features if features is None else features
        folder.write_features(run, len(shared), shared)
        job = replace(job, run=run)
        for task in engines.run("pool", job, tasks, self.limits.jobs):
            self.limits.step(f"{name}, {task.name}")
        results = {t.number: folder.read_fold(run, t.seed, t.number) for t in tasks}
        folder.remove_features(run)
        return {number: result for number, result in results.items() if result is not None}


def pooled(results: dict[int, FoldResult], job: Job) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return labels and predictions (N,) of all held-out clips, fold after fold."""
    label_of = dict(zip(job.clip_ids, job.labels, strict=True))
    said = [(label_of[c], int(np.argmax(s))) for r in results.values() for c, s in r.scores.items()]
    labels, predictions = np.array(said, dtype=np.int64).reshape(-1, 2).T
    return labels, predictions


def uf1_of(labels: NDArray[Any], predictions: NDArray[Any], n_classes: int) -> float:
    """Return UF1 of (N,) labels and predictions."""
    return metrics.uf1(metrics.confusion(labels, predictions, n_classes))
