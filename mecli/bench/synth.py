"""``bench synth``: how fast this machine renders clips, and pairs of onset and apex."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import workers
from mecli.bench.figures import mib
from mecli.errors import InputError, UsageError
from mecli.synth import SynthOptions, synth

if TYPE_CHECKING:
    from collections.abc import Callable

_FRAMES_OF_A_CLIP = 100


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
    """Render clips (H.264) and pairs (PNG), files written, in one process; return figures.

    Per core means per second of processor time, whatever else the machine does. Clips
    differ in length, so their speed is told for clips of 100 frames. A first pair, with
    which everything is loaded, is not timed.
    """
    options = options or BenchSynthOptions()
    clips = SynthOptions(options.subjects, options.clips, distractors=0, jobs=0)
    pairs = replace(clips, clips=options.pairs, pairs_only=True)
    seconds, frames, _ = _timed(clips, progress)
    pair_seconds, _, made = _timed(pairs, progress)
    return {
        "frames": frames,
        "frames_per_s_and_core": round(frames / seconds, 1),
        "clips_of_100_frames_per_min_and_core": round(60 * frames / _FRAMES_OF_A_CLIP / seconds, 1),
        "pairs": made,
        "pairs_per_s_and_core": round(made / pair_seconds, 2),
        "peak_mib": mib(workers.peak_memory_bytes()),
    }


def _timed(
    options: SynthOptions, progress: Callable[[int, int, str], None] | None
) -> tuple[float, int, int]:
    """Return processor seconds, frames and clips of one run of `synth`."""
    with tempfile.TemporaryDirectory(prefix="mecli-bench-") as folder:
        warm = replace(options, subjects=1, clips=1, pairs_only=True)
        synth(Path(folder) / "warm", warm)
        start = time.process_time()
        summary = synth(Path(folder) / "made", options, progress=progress)
        seconds = time.process_time() - start
    if summary.failures:
        clip, reason = min(summary.failures.items())
        raise InputError(f"{clip}: {reason}")
    return seconds, summary.frames, summary.clips
