"""``bench scale``: what cache and training cost with ten and a hundred times the clips.

Everything goes through files, as with real clips: parts, merge, one clip more, reading, the
features of the default model, two folds a worker for one epoch. Clips are made up and smaller than
real ones (no pictures), so gigabytes are told beside. A busy machine stretches seconds but hardly
processor time, which is told beside each. The most memory and disk counts what came before it.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import cache, registry, workers
from mecli.bench.figures import mib
from mecli.bench.loso import Bench, FoldTime, Timed, extrapolated, together
from mecli.bench.moving import moving_clips
from mecli.errors import UsageError
from mecli.recipe import Recipe
from mecli.training import folder, plan
from mecli.training.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mecli.records import ClipRecord

SIZES = (442, 4420)
_CLIPS_PER_SUBJECT = 6.5
_MOST_SUBJECTS = 680
"""Of ten times MEGC 2019: who has a hundred times its clips has filmed its people more often."""
_EMOTIONS = ("disgust", "happiness", "surprise")


@dataclass(frozen=True, slots=True)
class BenchScaleOptions:
    """How many clips ``mecli bench scale`` tries, one size after another."""

    sizes: tuple[int, ...] = SIZES
    folder: Path | None = None
    """Where the files go, several GB for large sizes; by default the temporary folder."""
    jobs: int | None = None

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 20:
            raise UsageError(f"--sizes names {self.sizes}, expected numbers of 20 or more")
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs is {self.jobs}, expected 1 or more")


def bench_scale(
    options: BenchScaleOptions | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return what each size cost: seconds in all, and milliseconds a clip where that is fair."""
    options = options or BenchScaleOptions()
    rows = []
    for number, clips in enumerate(options.sizes):
        if progress is not None:
            progress(number, len(options.sizes), f"{clips} clips")
        with tempfile.TemporaryDirectory(prefix="mecli-bench-", dir=options.folder) as root:
            rows.append(_cost(clips, Path(root), options.jobs or workers.cores()))
    return rows


def _cost(clips: int, root: Path, jobs: int) -> dict[str, Any]:
    """Return the figures of one size, its files under `root`."""
    path, recipe = root / "c.h5", Recipe().as_options()
    subjects = min(round(clips / _CLIPS_PER_SUBJECT), _MOST_SUBJECTS)
    watch = _Watch()
    for number, record in enumerate(_labelled(clips + 1, subjects)):
        if number == clips:
            watch.lap("parts")
            cache.merge(path, recipe)
            watch.lap("merge")
        cache.add(path, record, f"{number:040x}", recipe)
    cache.merge(path, recipe)
    watch.lap("one_more")
    merging = workers.peak_memory_bytes(of_children=True)
    run = root / "run"
    run.mkdir()
    made = plan.make(TrainOptions(caches=(path,)))
    job = replace(made.job(run), epochs=1, keep_weights=False)
    watch.lap("read")
    folder.write_features(run, len(made.data.clips), made.features())
    watch.lap("features")
    model = registry.load("model", "roi-flow-lstm")
    bench = Bench(job, made.tasks(), model.Options(), folder.map_features(run)[:1])
    folds = bench.train(bench.tasks[: 2 * jobs], jobs)
    timed, epochs = together(folds), made.model_options.epochs
    one = _one_epoch(folds, jobs)
    loso = extrapolated(folds, len(bench.tasks), jobs)
    loso_s = loso.wall_s + one.wall_s * (epochs - 1) * len(bench.tasks) / jobs
    cache_gb, features_gb = ((p.stat().st_size / 1e9) for p in (path, run / folder.FEATURES))
    return {
        "clips": clips,
        "subjects": subjects,
        "cache_gb": round(cache_gb, 4),
        "features_gb": round(features_gb, 4),
        **{f"{name}_s": round(lap.wall_s, 2) for name, lap in watch.laps.items()},
        **{f"{name}_cpu_s": round(lap.core_s, 2) for name, lap in watch.laps.items()},
        "cpu_ms_per_clip": round(1000 * watch.laps["parts"].core_s / clips, 2),
        "cpu_s_per_merged_gb": round(watch.laps["merge"].core_s / cache_gb, 1),
        "cpu_s_per_fold": round(one.core_s * epochs, 1),
        "epoch_of_two_folds_a_worker_s": round(timed.wall_s, 2),
        "loso_h": round(loso_s / 3600, 2),
        "peak_parent_mib": mib(workers.peak_memory_bytes()),
        "peak_merging_mib": mib(merging),
        "peak_worker_mib": mib(timed.peak_bytes),
    }


def _one_epoch(folds: Sequence[FoldTime], jobs: int) -> Timed:
    """Return what one more fold of one epoch takes in a worker that has begun."""
    first, more = extrapolated(folds, jobs, jobs), extrapolated(folds, 2 * jobs, jobs)
    return Timed(more.wall_s - first.wall_s, (more.core_s - first.core_s) / jobs)


def _labelled(clips: int, subjects: int) -> Iterator[ClipRecord]:
    for record, label in moving_clips(clips, subjects):
        yield replace(record, labels={"emotion": _EMOTIONS[label]})


class _Watch:
    """What passes between one lap and the next, by name, processes that ended included."""

    def __init__(self) -> None:
        self.laps: dict[str, Timed] = {}
        self._since = _now()

    def lap(self, name: str) -> None:
        now = _now()
        self.laps[name] = Timed(now.wall_s - self._since.wall_s, now.core_s - self._since.core_s)
        self._since = now


def _now() -> Timed:
    return Timed(time.perf_counter(), sum(os.times()[:4]))
