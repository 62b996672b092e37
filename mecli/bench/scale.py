"""``bench scale``: what cache and training cost with ten and a hundred times the clips.

Everything goes through files, as with real clips: parts, merge, one clip more, reading, the
features of the default model, two folds a worker for one epoch. Clips are made up and smaller than
real ones (no pictures), so gigabytes are told beside.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import cache, registry, workers
from mecli.bench.figures import mib
from mecli.bench.loso import Bench, extrapolated, together
from mecli.bench.moving import moving_clips
from mecli.errors import UsageError
from mecli.recipe import Recipe
from mecli.training import folder, plan
from mecli.training.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
            raise UsageError(f"--clips names {self.sizes}, expected numbers of 20 or more")
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
    made = plan.make(TrainOptions(caches=(path,)))
    watch.lap("read")
    run = root / "run"
    run.mkdir()
    folder.write_features(run, len(made.data.clips), made.features())
    watch.lap("features")
    model = registry.load("model", "roi-flow-lstm")
    job = replace(made.job(run), epochs=1, keep_weights=False)
    bench = Bench(job, made.tasks(), model.Options(), folder.map_features(run)[:1])
    folds = bench.train(bench.tasks[: 2 * jobs], jobs)
    timed, loso = together(folds), extrapolated(folds, len(bench.tasks), jobs)
    return {
        "clips": clips,
        "subjects": subjects,
        "cache_gb": round(path.stat().st_size / 1e9, 4),
        **{f"{name}_s": round(seconds, 2) for name, seconds in watch.laps.items()},
        "epoch_of_two_folds_a_worker_s": round(timed.wall_s, 2),
        "loso_h": round(loso.wall_s * made.model_options.epochs / 3600, 2),
        "peak_parent_mib": mib(workers.peak_memory_bytes()),
        "peak_worker_mib": mib(timed.peak_bytes),
    }


def _labelled(clips: int, subjects: int) -> Iterator[ClipRecord]:
    for record, label in moving_clips(clips, subjects):
        yield replace(record, labels={"emotion": _EMOTIONS[label]})


class _Watch:
    """Seconds between one lap and the next, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._since = now - self._since, now
