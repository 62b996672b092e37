"""``bench train``: leave-one-subject-out on this machine, against the textbook loop.

All figures come from one run on the same seeded clips. Our time is that of whole folds in
the pool engine, export and scoring included, trained for a tenth of their epochs and
extrapolated; the textbook's is that of a few seconds of its training steps, times the
steps of all folds, and nothing else. On a machine that others use too, times by the clock
favour whoever uses one thread; `times_less_work` compares the processor's time instead.
"""

from __future__ import annotations

import cProfile
import functools
import os
import pstats
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import registry, workers
from mecli.bench.figures import mib, shares
from mecli.bench.moving import CLASSES, moving_clips
from mecli.errors import InputError, UnknownName, UsageError
from mecli.folds import loso

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mecli.training.job import FoldTask, Job

MODELS = ("roi-flow-lstm", "cnn-lstm", "ststnet")
SIZES = (442, 1000, 2500, 5000, 10_000)
_PART = 10
_EPOCHS = ("epochs", "spatial_epochs", "temporal_epochs")
# Where the time of a fold goes: function names of the trainer, the rest is the forward pass.
_STAGES = {
    "inputs": "batches", "run_backward": "backward", "update": "optimiser",
    "score_rows": "scoring", "export": "export",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BenchTrainOptions:
    """How much ``mecli bench train`` trains; the default is the size of MEGC 2019."""

    models: tuple[str, ...] = MODELS
    clips: int = 442
    subjects: int = 68
    folds: int | None = None
    seconds: float = 10.0
    scale: bool = False
    jobs: int | None = None

    def __post_init__(self) -> None:
        for name in self.models:
            if name not in MODELS:
                raise UnknownName("model with a textbook loop", name, MODELS)
        if not 2 <= self.subjects <= self.clips:
            raise UsageError(
                f"{self.clips} clips of {self.subjects} subjects, expected 2 subjects or more "
                "and a clip of each"
            )
        for name, least in (("folds", 1), ("jobs", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{name} is {value}, expected {least} or more")
        if not self.seconds > 0:
            raise UsageError(f"--seconds is {self.seconds:g}, expected more than 0")

    @property
    def workers(self) -> int:
        """How many processes train."""
        return workers.cores() if self.jobs is None else self.jobs


def bench_train(
    options: BenchTrainOptions | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Time every model against its textbook loop; return figures.

    Speed is in seconds of a whole LOSO, extrapolated from the parts that are stated beside.
    """
    import torch

    options = options or BenchTrainOptions()
    total = 3 * len(options.models) + (len(SIZES) if options.scale else 0)
    done = 0

    def tell(message: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total, message)

    with tempfile.TemporaryDirectory(prefix="mecli-bench-") as folder:
        figures: dict[str, Any] = {
            "clips": options.clips,
            "folds": options.subjects,
            "jobs": options.workers,
            "textbook_threads": torch.get_num_threads(),
            "models": {n: _model(n, options, Path(folder), tell) for n in options.models},
        }
        if options.scale:
            figures["scale"] = _scale(options, Path(folder), tell)
    if torch.cuda.is_available():
        from mecli.bench.gpu import stacked_figures

        figures["gpu"] = stacked_figures("cnn-lstm", options.clips, options.subjects, "cuda")
    return figures


def _model(
    name: str, options: BenchTrainOptions, root: Path, tell: Callable[[str], None]
) -> dict[str, Any]:
    bench = prepare(name, options.clips, options.subjects, root / name)
    tell(f"{name}, features")
    count = min(options.folds or 2 * options.workers, len(bench.tasks))
    timed = bench.train(bench.tasks[:count], options.workers)
    tell(f"{name}, {count} folds")
    stages = bench.stages()
    textbook, steps = bench.textbook(options.seconds)
    tell(f"{name}, textbook loop")
    folds = len(bench.tasks)
    once = stages["export"] + stages["scoring"]
    ours = timed.times((once + _PART * (1 - once)) * folds / count)
    theirs = textbook.times(folds)
    return {
        "loso_s": round(ours.wall_s, 1),
        "loso_core_s": round(ours.core_s, 1),
        "textbook_loso_s": round(theirs.wall_s, 1),
        "textbook_loso_core_s": round(theirs.core_s, 1),
        "times_faster": round(theirs.wall_s / ours.wall_s, 2),
        "times_less_work": round(theirs.core_s / ours.core_s, 2),
        "folds_timed": count,
        "epochs_timed": f"1/{_PART}",
        "textbook_steps_timed": steps,
        "features_ms_per_clip": round(1000 * bench.features_s / options.clips, 1),
        "stage_shares": stages,
        "peak_parent_mib": mib(workers.peak_memory_bytes()),
        "peak_worker_mib": mib(timed.peak_bytes),
    }


@dataclass(frozen=True, slots=True)
class Timed:
    """How long folds took by the clock and by the processor; the largest size of a worker."""

    wall_s: float
    core_s: float
    peak_bytes: int = 0

    def times(self, factor: float) -> Timed:
        """Return what `factor` times as much work takes."""
        return Timed(self.wall_s * factor, self.core_s * factor, self.peak_bytes)


@dataclass(frozen=True, slots=True)
class Bench:
    """A LOSO of one model on seeded clips, in a folder of its own."""

    job: Job
    tasks: list[FoldTask]
    options: Any
    """The model's defaults; the job trains a tenth of their epochs."""
    features: NDArray[Any] = field(repr=False)
    features_s: float = 0.0

    def train(self, tasks: Sequence[FoldTask], jobs: int) -> Timed:
        """Train `tasks` over processes that are already warm."""
        warm = replace(self.job, epochs=1)
        _run(warm, list(tasks[:1]) * jobs, jobs)
        started = time.perf_counter()
        cores, peaks = zip(*_run(self.job, tasks, jobs), strict=True)
        return Timed(time.perf_counter() - started, sum(cores), max(peaks))

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

    def textbook(self, seconds: float) -> tuple[Timed, dict[str, int]]:
        """Return the time of one fold by the textbook, and the steps it is taken from."""
        from mecli.bench.textbook import loops

        model = registry.load("model", self.job.model)
        recipes = [stage.recipe for stage in model.stages(self.options)]
        labels = np.array(self.job.labels, dtype=np.int64)
        held = set(self.tasks[0].test)
        train = np.array([clip not in held for clip in self.job.clip_ids])
        counts = {}
        clips, classes = self.features[train], labels[train]
        wall = core = 0.0
        for loop in loops(self.job.model, self.options, recipes, clips, classes):
            step = loop.time_step(seconds)
            counts[loop.name] = step.count
            wall, core = wall + step.wall_s * loop.steps, core + step.core_s * loop.steps
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
    short = {n: max(getattr(options, n) // _PART, 1) for n in _EPOCHS if hasattr(options, n)}
    job = _job(run, name, replace(options, **short), persons, [k for *_, k, _ in made])
    return Bench(job, _tasks(persons), options, features, features_s)


def _job(
    run: Path, model: str, options: Any, persons: dict[str, str], labels: Sequence[int]
) -> Job:
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


def _tasks(persons: dict[str, str]) -> list[FoldTask]:
    from mecli.training.job import FoldTask

    return [FoldTask(n, f.name, 0, f.train, f.test) for n, f in enumerate(loso(persons))]


def _run(job: Job, tasks: Sequence[FoldTask], jobs: int) -> list[tuple[float, int]]:
    """Train `tasks` as the pool engine does; return core seconds and peak memory after each."""
    work = functools.partial(_fold, job)
    measured = []
    for outcome in workers.run(work, tasks, jobs, preload="mecli.training.engines"):
        if outcome.value is None:
            raise outcome.error or InputError(f"fold {tasks[outcome.index].name}: {outcome.reason}")
        measured.append(outcome.value)
    return measured


def _fold(job: Job, task: FoldTask) -> tuple[float, int]:
    from mecli.training.fold import run_fold

    started = time.process_time()
    run_fold(job, task)
    return time.process_time() - started, workers.peak_memory_bytes()


def _scale(
    options: BenchTrainOptions, root: Path, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return what an epoch of a fold costs with more clips, and with more folds."""
    from mecli.training import folder

    name, jobs = options.models[0], options.workers
    base = prepare(name, options.clips, options.subjects, root / "scale")
    rows = []
    for clips in SIZES:
        copies = -(-clips // len(base.features))
        persons = {f"bench/s{k // 7:05d}/c{k:05d}": f"bench/s{k // 7:05d}" for k in range(clips)}
        labels = (list(base.job.labels) * copies)[:clips]
        run = root / f"scale{clips}"
        run.mkdir()
        features = (base.features[k % len(base.features)] for k in range(clips))
        folder.write_features(run, clips, features)
        job = replace(_job(run, name, base.options, persons, labels), epochs=1)
        tasks = _tasks(persons)
        for folds in (jobs, 2 * jobs) if clips == SIZES[0] else (jobs,):
            timed = Bench(job, tasks, base.options, base.features).train(tasks[:folds], jobs)
            rows.append(
                {
                    "clips": clips,
                    "folds": folds,
                    "wall_s": round(timed.wall_s, 2),
                    "core_ms_per_clip_and_fold": round(1000 * timed.core_s / (folds * clips), 3),
                    "peak_worker_mib": mib(timed.peak_bytes),
                }
            )
        folder.remove_features(run)
        tell(f"{clips} clips")
    return rows
