"""``bench train``: leave-one-subject-out on this machine, against the textbook loop.

All figures come from one run on the same seeded clips. Our time is that of whole folds in
the pool engine, export and scoring included, trained for a tenth of their epochs and
extrapolated (what a worker does once counts once); the textbook's is that of a few seconds
of its training steps, times the steps of all folds, and nothing else. On a machine that
others use too, times by the clock favour whoever uses one thread, and threads that wait for
each other burn processor time; so the textbook is also timed with one thread, which is the
least work it can do.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import workers
from mecli.bench.figures import mib
from mecli.bench.loso import (
    PART,
    Bench,
    extrapolated,
    job_of,
    prepare,
    tasks_of,
    together,
)
from mecli.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


MODELS = ("roi-flow-lstm", "cnn-lstm", "ststnet")
SIZES = (442, 1000, 2500, 5000, 10_000)


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
    total = 4 * len(options.models) + (len(SIZES) if options.scale else 0)
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
    import torch

    bench = prepare(name, options.clips, options.subjects, root / name)
    tell(f"{name}, features")
    count = min(options.folds or 3 * options.workers, len(bench.tasks))
    timed = bench.train(bench.tasks[:count], options.workers)
    parent = workers.peak_memory_bytes()
    tell(f"{name}, {count} folds")
    stages = bench.stages()
    textbook, steps = bench.textbook(options.seconds, torch.get_num_threads())
    tell(f"{name}, textbook loop")
    alone, _ = bench.textbook(options.seconds, threads=1)
    tell(f"{name}, textbook loop with one thread")
    folds = len(bench.tasks)
    once = stages["export"] + stages["scoring"]
    ours = extrapolated(timed, folds, options.workers).times(once + PART * (1 - once))
    theirs, least_s = textbook.times(folds), alone.times(folds).core_s
    return {
        "loso_s": round(ours.wall_s, 1),
        "loso_core_s": round(ours.core_s, 1),
        "textbook_loso_s": round(theirs.wall_s, 1),
        "textbook_loso_core_s": round(theirs.core_s, 1),
        "textbook_one_thread_core_s": round(least_s, 1),
        "times_faster": round(theirs.wall_s / ours.wall_s, 2),
        "times_less_work": round(theirs.core_s / ours.core_s, 2),
        "times_less_work_than_one_thread": round(least_s / ours.core_s, 2),
        "folds_timed": count,
        "epochs_timed": f"1/{PART}",
        "textbook_steps_timed": steps,
        "features_ms_per_clip": round(1000 * bench.features_s / options.clips, 1),
        "stage_shares": stages,
        "peak_worker_mib": mib(ours.peak_bytes),
        "peak_total_mib": mib(parent + options.workers * ours.peak_bytes),
    }


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
        job = replace(job_of(run, name, base.options, persons, labels), epochs=1)
        tasks = tasks_of(persons)
        times = (1, 2, 4, 8) if clips == SIZES[0] else (1,)
        for folds in sorted({min(n * jobs, len(tasks)) for n in times}):
            bench = Bench(job, tasks, base.options, base.features)
            timed = together(bench.train(tasks[:folds], jobs))
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
