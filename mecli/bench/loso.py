"""A LOSO on seeded clips that needs no files, and what parts of it take."""

from __future__ import annotations

import cProfile
import functools
import os
import pstats
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mecli import registry, workers
from mecli.bench.figures import shares
from mecli.bench.moving import CLASSES, moving_clips
from mecli.errors import InputError
from mecli.folds import loso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.training.job import FoldTask, Job

PART = 10
"""One in how many epochs is trained."""
_EPOCHS = ("epochs", "spatial_epochs", "temporal_epochs")
# Where the time of a fold goes: function names of the trainer, the rest is the forward pass.
_STAGES = {
    "inputs": "batches", "run_backward": "backward", "update": "optimiser",
    "score_rows": "scoring", "export": "export",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timed:
    """How long folds took by the clock and by the processor; the largest size of a worker."""

    wall_s: float
    core_s: float
    peak_bytes: int = 0

    def times(self, factor: float) -> Timed:
        """Return what `factor` times as much work takes."""
        return Timed(self.wall_s * factor, self.core_s * factor, self.peak_bytes)


class FoldTime(NamedTuple):
    """When a fold began and ended by the common clock, what it took, and in which process."""

    began_s: float
    ended_s: float
    core_s: float
    peak_bytes: int
    process: int


def together(folds: Sequence[FoldTime]) -> Timed:
    """Return what `folds` took as they were run."""
    began, ended, cores, peaks, _ = zip(*folds, strict=True)
    return Timed(max(ended) - min(began), sum(cores), max(peaks))


def extrapolated(folds: Sequence[FoldTime], count: int, jobs: int) -> Timed:
    """Return what `count` folds take in `jobs` processes.

    The first fold of a process imports modules and draws masks that all later ones share,
    so it counts once; each of the others takes the mean of those that were not first.
    """
    of_process: dict[int, list[FoldTime]] = {}
    for fold in sorted(folds):
        of_process.setdefault(fold.process, []).append(fold)
    first = [mine[0] for mine in of_process.values()]
    later = [fold for mine in of_process.values() for fold in mine[1:]] or first
    left = max(count - len(first), 0)
    wall_s = float(np.mean([fold.ended_s - fold.began_s for fold in later]))
    core_s = float(np.mean([fold.core_s for fold in later]))
    return Timed(
        max(fold.ended_s - fold.began_s for fold in first) + left / jobs * wall_s,
        sum(fold.core_s for fold in first) + left * core_s,
        max(fold.peak_bytes for fold in folds),
    )


@dataclass(frozen=True, slots=True)
class Bench:
    """A LOSO of one model on seeded clips, in a folder of its own."""

    job: Job
    tasks: list[FoldTask]
    options: Any
    """The model's defaults; the job trains a tenth of their epochs."""
    features: NDArray[Any] = field(repr=False)
    features_s: float = 0.0

    def train(self, tasks: Sequence[FoldTask], jobs: int) -> list[FoldTime]:
        """Train `tasks` over processes as the pool engine does; return what each took."""
        work = functools.partial(_fold, self.job)
        measured = []
        for outcome in workers.run(work, tasks, jobs, preload="mecli.training.engines"):
            if outcome.value is None:
                name = tasks[outcome.index].name
                raise outcome.error or InputError(f"fold {name}: {outcome.reason}")
            measured.append(outcome.value)
        return measured

    def stages(self) -> dict[str, float]:
        """Return the share of each stage in one fold, measured in this process."""
        import torch

        from mecli.training.fold import run_fold

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        profile = cProfile.Profile()
        profile.runcall(run_fold, self.job, self.tasks[0])
        torch.set_num_threads(threads)
        found: dict[str, float] = dict.fromkeys(_STAGES.values(), 0.0)
        stats: Any = pstats.Stats(profile)
        for (where, _, function), (_, _, _, cumulative, _) in stats.stats.items():
            word = function.removeprefix("<method '").split("'")[0].split(" ")[-1]
            ours = f"{os.sep}training{os.sep}" in where or word == "run_backward"
            if ours and word in _STAGES:
                found[_STAGES[word]] += cumulative
        rest = max(stats.total_tt - sum(found.values()), 0.0)
        return shares({**found, "forward": rest})

    def textbook(self, seconds: float, threads: int) -> tuple[Timed, dict[str, int]]:
        """Return the time of one fold by the textbook, and the steps it is taken from."""
        import torch

        from mecli.bench.textbook import loops

        model = registry.load("model", self.job.model)
        recipes = [stage.recipe for stage in model.stages(self.options)]
        labels = np.array(self.job.labels, dtype=np.int64)
        held = set(self.tasks[0].test)
        train = np.array([clip not in held for clip in self.job.clip_ids])
        counts = {}
        clips, classes = self.features[train], labels[train]
        wall = core = 0.0
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        for loop in loops(self.job.model, self.options, recipes, clips, classes):
            step = loop.time_step(seconds)
            counts[loop.name] = step.count
            wall, core = wall + step.wall_s * loop.steps, core + step.core_s * loop.steps
        torch.set_num_threads(before)
        return Timed(wall, core), counts


def prepare(name: str, clips: int, subjects: int, run: Path) -> Bench:
    """Return a LOSO of model `name` on `clips` seeded clips, its features written to `run`."""
    from mecli.training import folder

    model = registry.load("model", name)
    options = model.Options()
    run.mkdir()
    started = time.perf_counter()
    made = []
    for record, label in moving_clips(clips, subjects):
        values = model.features(record, options)
        made.append((record.clip_id, record.person, label, values))
    features_s = time.perf_counter() - started
    features = np.stack([values for *_, values in made])
    folder.write_features(run, clips, features)
    persons = {clip: person for clip, person, *_ in made}
    short = {n: max(getattr(options, n) // PART, 1) for n in _EPOCHS if hasattr(options, n)}
    job = job_of(run, name, replace(options, **short), persons, [k for *_, k, _ in made])
    return Bench(job, tasks_of(persons), options, features, features_s)


def job_of(
    run: Path, model: str, options: Any, persons: Mapping[str, str], labels: Sequence[int]
) -> Job:
    """Return the job that trains `model` on the features in folder `run`."""
    from mecli.training.job import Job

    return Job(
        run=run,
        model=model,
        options=options,
        epochs=None,
        classes=CLASSES,
        scheme="bench",
        clip_ids=tuple(persons),
        labels=tuple(labels),
        persons=tuple(persons.values()),
        description={},
        keep_weights=False,
    )


def tasks_of(persons: Mapping[str, str]) -> list[FoldTask]:
    """Return one fold per person of `persons` (clip id → person)."""
    from mecli.training.job import FoldTask

    return [FoldTask(n, f.name, 0, f.train, f.test) for n, f in enumerate(loso(persons))]


def _fold(job: Job, task: FoldTask) -> FoldTime:
    from mecli.training.fold import run_fold

    began, core = time.monotonic(), time.process_time()
    run_fold(job, task)
    spent = time.process_time() - core
    return FoldTime(began, time.monotonic(), spent, workers.peak_memory_bytes(), os.getpid())
