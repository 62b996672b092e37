"""Controls that train: the toolkit's own leak tests on the user's clips, folds and model.

They go through the very functions that `train` uses, in a folder of their own.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import metrics, registry
from mecli.report.audit import Finding
from mecli.training import dataset, engines, folder, plan
from mecli.training.job import FoldTask
from mecli.training.options import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.leaks.case import Case, Limits
    from mecli.records import ClipRecord
    from mecli.training.folder import FoldResult
    from mecli.training.job import Job
    from mecli.training.plan import Plan

CHEAP = "flow-svm"
# So that it learns by heart what it is shown: only then would it repeat what leaked to it.
_CHEAP_OPTIONS = {"cost": 100.0}
_CLIPS = 200
_SHUFFLES = 2000
_LEVEL = 0.002
_HIDDEN = "hidden"


def check_features(case: Case, limits: Limits) -> Finding:
    """Hide labels, names and the held-out clips: features must hang on a clip's pixels alone."""
    made = _planned(case, limits.model)
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
    made = _planned(case, limits.model)
    every = [t for t in _tasks(case, made) if t.test]
    tasks = every[:: max(len(every) // limits.refit, 1)][: limits.refit]
    with _Workshop(made, limits) as workshop:
        clean = workshop.train("clean", tasks, workshop.job)
        wrong = [t.name for t in tasks if _differs(workshop, t, clean[t.number])]
    same = _reproduced(case, made, clean)
    got = f"{len(tasks) - len(wrong)} of {len(tasks)} refitted folds bit-identical{same}"
    figures = {"model": made.options.model, "folds": [t.name for t in tasks]}
    if wrong:
        advice = "the weights hang on held-out pixels or labels: these scores mean nothing"
        return Finding("refit", "leak", got, "all", advice, tuple(wrong), figures)
    return Finding("refit", "ok", got, "all", figures=figures)


def _differs(workshop: _Workshop, task: FoldTask, clean: FoldResult) -> bool:
    """Train `task` once more with other pixels and labels in place of the held-out ones."""
    job, random = workshop.job, np.random.default_rng(task.number)
    held = np.flatnonzero(np.isin(job.clip_ids, task.test))
    features = np.array(workshop.features)
    shape = features[held].shape
    if features.dtype == np.uint8:
        features[held] = random.integers(0, 256, shape)
    else:
        features[held] = random.normal(3, 10, shape)
    labels = np.array(job.labels)
    labels[held] = (labels[held] + 1) % len(job.classes)
    scrambled = replace(job, labels=tuple(map(int, labels)))
    result = workshop.train(f"scrambled{task.number}", [task], scrambled, features)[task.number]
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
    made = _planned(case, limits.model or CHEAP, {} if limits.model else _CHEAP_OPTIONS)
    random, tasks = np.random.default_rng(limits.seed), _tasks(case, made)
    observed, chance = [], []
    with _Workshop(made, limits) as workshop:
        for number in range(limits.permutations):
            labels = random.permutation(made.data.labels)
            job = replace(workshop.job, labels=tuple(map(int, labels)))
            said = _pooled(workshop.train(f"permuted{number}", tasks, job), job)
            observed.append(_uf1(*said, len(job.classes)))
            chance.append(_by_chance(*said, len(job.classes), random))
        truth = workshop.train("truth", tasks, workshop.job)
        real = _uf1(*_pooled(truth, workshop.job), len(workshop.job.classes))
    mean, means = float(np.mean(observed)), np.mean(chance, axis=0)
    low, high = map(float, np.quantile(means, [0.025, 0.975]))
    p = float((1 + (means >= mean).sum()) / (1 + len(means)))
    got = f"UF1 {mean:.3f} (true labels {real:.3f}), {limits.permutations} × {made.options.model}"
    expected = f"{low:.3f} to {high:.3f} (chance)"
    figures = {"uf1": observed, "mean": mean, "chance": [low, high], "p": p, "true_uf1": real}
    if p <= _LEVEL:
        advice = "labels without meaning were predicted: held-out labels reach the training"
        return Finding("permuted", "leak", got, expected, advice, figures=figures)
    return Finding("permuted", "ok", got, expected, figures=figures)


def check_constant(case: Case, limits: Limits) -> Finding:
    """Make all clips look the same: a fold must give them the same scores, right by chance."""
    made = _planned(case, limits.model or CHEAP, {} if limits.model else _CHEAP_OPTIONS)
    random, tasks = np.random.default_rng(limits.seed), _tasks(case, made)
    with _Workshop(made, limits) as workshop:
        features = np.broadcast_to(workshop.features[:1], workshop.features.shape)
        results = workshop.train("constant", tasks, workshop.job, np.array(features))
        job = workshop.job
    apart = [r.fold for r in results.values() if len(set(r.scores.values())) > 1]
    labels, said = _pooled(results, job)
    uf1 = _uf1(labels, said, len(job.classes))
    fold = np.repeat(np.arange(len(results)), [len(r.scores) for r in results.values()])
    answers = said[np.r_[0, np.flatnonzero(np.diff(fold)) + 1]]
    chance = [
        _uf1(labels, random.permutation(answers)[fold], len(job.classes)) for _ in range(_SHUFFLES)
    ]
    p = (1 + sum(c >= uf1 - 1e-12 for c in chance)) / (1 + len(chance))
    got = f"UF1 {uf1:.3f}, {len(apart)} folds tell equal clips apart"
    expected = f"≤ {float(np.quantile(chance, 1 - _LEVEL)):.3f} (chance), 0"
    figures = {"uf1": uf1, "p": p}
    if apart or p <= _LEVEL:
        advice = "something besides the features reaches the scores: order, names or state"
        return Finding("constant", "leak", got, expected, advice, tuple(apart), figures)
    return Finding("constant", "ok", got, expected, figures=figures)


def _planned(case: Case, model: str | None, given: Mapping[str, Any] | None = None) -> Plan:
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


def _tasks(case: Case, made: Plan) -> list[FoldTask]:
    seed = made.options.seed
    return [
        FoldTask(number, fold.name, seed, fold.train, fold.test)
        for number, fold in enumerate(case.folds)
    ]


@dataclass(slots=True)
class _Workshop:
    """A folder for runs that nobody keeps, with the features of one plan."""

    made: Plan
    limits: Limits
    place: Any = None

    def __enter__(self) -> _Workshop:
        self.place = tempfile.TemporaryDirectory(prefix="mecli-audit-")
        folder.write_features(self.root, len(self.made.data.clips), self.made.features())
        return self

    def __exit__(self, *_: object) -> None:
        self.place.cleanup()

    @property
    def root(self) -> Path:
        return Path(self.place.name)

    @property
    def job(self) -> Job:
        """The plan's job; the oracle never decides anything but its own leaked scores."""
        job = self.made.job(self.root)
        selection = "last" if job.selection == "oracle" else job.selection
        return replace(job, keep_weights=False, selection=selection)

    @property
    def features(self) -> NDArray[np.generic]:
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


def _pooled(results: dict[int, FoldResult], job: Job) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return labels and predictions (N,) of all held-out clips, fold after fold."""
    label_of = dict(zip(job.clip_ids, job.labels, strict=True))
    said = [(label_of[c], int(np.argmax(s))) for r in results.values() for c, s in r.scores.items()]
    labels, predictions = np.array(said, dtype=np.int64).reshape(-1, 2).T
    return labels, predictions


def _uf1(labels: NDArray[Any], predictions: NDArray[Any], n_classes: int) -> float:
    return metrics.uf1(metrics.confusion(labels, predictions, n_classes))


def _by_chance(
    labels: NDArray[Any], predictions: NDArray[Any], n_classes: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return UF1 of the same predictions against shuffled labels, (2000,)."""
    shuffles = (random.permutation(labels) for _ in range(_SHUFFLES))
    return np.array([_uf1(mixed, predictions, n_classes) for mixed in shuffles])
