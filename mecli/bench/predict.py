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
from mecli.doubts import LONG_S
from mecli.errors import InputError, UsageError
from mecli.filming import write_video
from mecli.footage import Stopwatch
from mecli.judging import Judge
from mecli.question import Question
from mecli.video import read_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from mecli.clips import Clip

_CRF = 18
_LONG_FPS = 30.0


@dataclass(frozen=True, slots=True)
class BenchPredictOptions:
    """What ``mecli bench predict`` measures; the default is one second at 200 frames/s."""

    checkpoint: Path | None = None
    runs: Path = Path("runs")
    frames: int = 200
    fps: float = 200.0
    repeats: int = 5
    long_s: float = 20.0
    """Length of the long video, at 30 frames/s; 0 leaves it out."""

    def __post_init__(self) -> None:
        if self.frames < 2 or self.repeats < 1 or not self.fps >= 1:
            raise UsageError(
                f"{self.repeats} repeats of {self.frames} frames at {self.fps} asked for, expected "
                "at least 1 of 2 at 1"
            )
        if self.long_s and not self.long_s > LONG_S:
            raise UsageError(
                f"--long-s is {self.long_s:g}, expected 0 or more than the {LONG_S:g} of a clip"
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
    processor time, which a busy machine does not change. ``long`` is a video that is
    searched first: frames of it a second, by the clock and by processor time.
    """
    options = options or BenchPredictOptions()
    checkpoint = checkpoints.choose(options.checkpoint, options.runs)
    tell = progress or (lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="mecli-bench-") as folder:
        path = Path(folder) / "clip.mp4"
        _make_clip(source, path, options.frames, options.fps)
        cold = []
        for done in range(options.repeats):
            cold.append(_cold(path, checkpoint))
            tell(done + 1, 2 * options.repeats, "cold")
        workers.use_one_thread()
        judge, (clip,) = Judge(checkpoint, Question(whole=True)), read_sources([path])
        judge.judge(clip)
        watch, warm = Stopwatch(), []
        for done in range(options.repeats):
            warm.append(_timed(judge, clip, watch))
            tell(options.repeats + done + 1, 2 * options.repeats, "warm")
        long = {}
        if options.long_s:
            long = _long(source, Path(folder) / "long.mp4", Judge(checkpoint), options.long_s)
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
        **long,
        "peak_mib": mib(workers.peak_memory_bytes()),
    }


def _timed(judge: Judge, clip: Clip, watch: Stopwatch) -> tuple[float, float]:
    """Return the seconds and the processor seconds of judging `clip` once."""
    start, busy = time.perf_counter(), time.process_time()
    judge.judge(clip, watch)
    return time.perf_counter() - start, time.process_time() - busy


def _long(source: str, path: Path, judge: Judge, length_s: float) -> dict[str, Any]:
    """Return how fast a long video is searched and judged, one thread."""
    frames = round(length_s * _LONG_FPS)
    _make_clip(source, path, frames, _LONG_FPS)
    watch = Stopwatch()
    wall, cpu = _timed(judge, read_sources([path])[0], watch)
    return {
        "long_frames": frames,
        "long_frames_per_s": round(frames / wall, 1),
        "long_frames_per_cpu_s": round(frames / cpu, 1),
        "long_stage_shares": shares(watch.seconds),
    }


def _make_clip(source: str, path: Path, count: int, fps: float) -> None:
    clips = [clip for clip in read_sources([source]) if isinstance(clip.frames, Path)]
    if not clips:
        raise InputError(f"{source}: holds no video to make a benchmark of")
    frames = (frame.image for frame in read_frames(clips[0].frames))
    write_video(path, film(frames, count), fps, crf=_CRF)


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
