"""``bench synth``: how fast this machine renders clips, and pairs of onset and apex."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mecli import workers
from mecli.bench.figures import mib
from mecli.errors import InputError, UsageError
from mecli.synth import SynthOptions, synth

if TYPE_CHECKING:
    from collections.abc import Callable

_FRAMES_OF_A_CLIP = 100
_WARM_SEED = 1_000_000


@dataclass(frozen=True, slots=True)
class BenchSynthOptions:
    """How much ``mecli bench synth`` renders for each subject, at 320×352 and 100 fps."""

    subjects: int = 2
    clips: int = 6
    pairs: int = 48

    def __post_init__(self) -> None:
        if min(self.subjects, self.clips, self.pairs) < 1:
            raise UsageError(
                f"{self.clips} clips and {self.pairs} pairs of {self.subjects} subjects asked "
                "for, expected at least 1 of each"
            )


def bench_synth(
    options: BenchSynthOptions | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Render clips (H.264) and pairs (PNG), files written, on one core; return figures.

    Per core means per second of processor time, whatever else the machine does, in a
    worker as `synth` starts them. Clips differ in length, so their speed is told for clips
    of 100 frames. A first pair, with which everything is loaded, is not timed.
    """
    options = options or BenchSynthOptions()
    kinds = [False] * options.subjects + [True] * options.subjects
    tasks = [
        SynthOptions(
            1, options.pairs if pairs_only else options.clips, seed=number, distractors=0,
            pairs_only=pairs_only, jobs=0,
        )
        for number, pairs_only in enumerate(kinds)
    ]  # fmt: skip
    runs: dict[bool, list[_Run]] = {False: [], True: []}
    for done, outcome in enumerate(workers.run(_timed, tasks, 1, preload="mecli.synth"), start=1):
        if outcome.value is None:
            raise outcome.error or InputError(outcome.reason)
        pairs_only = kinds[outcome.index]
        runs[pairs_only].append(outcome.value)
        if progress is not None:
            progress(done, len(tasks), "pairs" if pairs_only else "clips")
    seconds, pair_seconds = (sum(run.seconds for run in some) for some in runs.values())
    frames = sum(run.frames for run in runs[False])
    pairs = sum(run.clips for run in runs[True])
    return {
        "frames": frames,
        "frames_per_s_and_core": round(frames / seconds, 1),
        "clips_of_100_frames_per_min_and_core": round(60 * frames / _FRAMES_OF_A_CLIP / seconds, 1),
        "pairs": pairs,
        "pairs_per_s_and_core": round(pairs / pair_seconds, 2),
        "peak_mib": mib(max(run.peak_bytes for some in runs.values() for run in some)),
    }


class _Run(NamedTuple):
    seconds: float
    """Of processor time."""
    frames: int
    clips: int
    peak_bytes: int


def _timed(options: SynthOptions) -> _Run:
    """Time one run of `synth` in this process."""
    with tempfile.TemporaryDirectory(prefix="mecli-bench-") as folder:
        # Of another person: each subject that is timed is also painted on the clock.
        warm = replace(options, clips=1, seed=_WARM_SEED, pairs_only=True)
        synth(Path(folder) / "warm", warm)
        start = time.process_time()
        summary = synth(Path(folder) / "made", options)
        seconds = time.process_time() - start
    if summary.failures:
        clip, reason = min(summary.failures.items())
        raise InputError(f"{clip}: {reason}")
    return _Run(seconds, summary.frames, summary.clips, workers.peak_memory_bytes())
