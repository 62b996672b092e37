"""``bench predict``: how long an answer takes on this machine, and where the time goes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mecli import checkpoints, workers
from mecli.bench.figures import mib, shares
from mecli.bench.film import film
from mecli.corpora.sources import read_sources
from mecli.errors import InputError, UsageError
from mecli.footage import Stopwatch
from mecli.judging import Judge
from mecli.video import read_frames, write_video

if TYPE_CHECKING:
    from collections.abc import Callable

_CRF = 18


@dataclass(frozen=True, slots=True)
class BenchPredictOptions:
    """What ``mecli bench predict`` measures; the default is one second at 200 frames/s."""

    checkpoint: Path | None = None
    runs: Path = Path("runs")
    frames: int = 200
    fps: float = 200.0
    repeats: int = 5

    def __post_init__(self) -> None:
        if self.frames < 2 or self.repeats < 1 or not self.fps >= 1:
            raise UsageError(
                f"{self.repeats} repeats of {self.frames} frames at {self.fps} asked for, expected "
                "at least 1 of 2 at 1"
            )


def bench_predict(
    source: str,
    options: BenchPredictOptions | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Judge a 640×480 clip made from the first video of `source`, again and again.

    ``cold_s`` is the median of whole processes from the shell, guarded workers included;
    ``warm_s`` that of a model that is loaded, in one thread, and ``warm_cpu_s`` its
    processor time, which a busy machine does not change.
    """
    options = options or BenchPredictOptions()
    checkpoint = checkpoints.choose(options.checkpoint, options.runs)
    tell = progress or (lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="mecli-bench-") as folder:
        path = _make_clip(source, Path(folder), options)
        cold = []
        for done in range(options.repeats):
            cold.append(_cold(path, checkpoint))
            tell(done + 1, 2 * options.repeats, "cold")
        workers.use_one_thread()
        judge, (clip,) = Judge(checkpoint), read_sources([path])
        judge.judge(clip)
        watch, warm = Stopwatch(), []
        for done in range(options.repeats):
            start, busy = time.perf_counter(), time.process_time()
            judge.judge(clip, watch)
            warm.append((time.perf_counter() - start, time.process_time() - busy))
            tell(options.repeats + done + 1, 2 * options.repeats, "warm")
    wall, cpu = (median(column) for column in zip(*warm, strict=True))
    return {
        "frames": options.frames,
        "fps": options.fps,
        "model": judge.checkpoint.model,
        "cold_s": round(median(cold), 3),
        "warm_s": round(wall, 3),
        "warm_cpu_s": round(cpu, 3),
        "frames_per_s": round(options.frames / wall, 1),
        "stage_shares": shares(watch.seconds),
        "peak_mib": mib(workers.peak_memory_bytes()),
    }


def _make_clip(source: str, folder: Path, options: BenchPredictOptions) -> Path:
    clips = [clip for clip in read_sources([source]) if isinstance(clip.frames, Path)]
    if not clips:
        raise InputError(f"{source}: holds no video to make a benchmark of")
    path = folder / "clip.mp4"
    frames = (frame.image for frame in read_frames(clips[0].frames))
    write_video(path, film(frames, options.frames), options.fps, crf=_CRF)
    return path


def _cold(path: Path, checkpoint: Path) -> float:
    """Return the seconds of one ``mecli predict`` from start to exit; raise if it fails."""
    command = [sys.executable, "-m", "mecli", "predict", path, "--checkpoint", checkpoint]
    start = time.perf_counter()
    done = subprocess.run(
        [*map(str, command), "--json", "--force"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InputError(f"{checkpoint}: cannot judge the benchmark's clip: {done.stderr.strip()}")
    return time.perf_counter() - start
