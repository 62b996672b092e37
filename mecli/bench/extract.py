"""``bench extract``: how fast this machine extracts, and where the time goes."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import workers
from mecli.bench.figures import mib, shares
from mecli.bench.film import film
from mecli.corpora.sources import read_sources
from mecli.errors import InputError, UsageError
from mecli.extract import ExtractOptions, extract
from mecli.filming import write_video
from mecli.video import read_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SOURCES = 4
_CRF = 16


@dataclass(frozen=True, slots=True)
class BenchExtractOptions:
    """How much ``mecli bench extract`` extracts; the default is the size of MEGC 2019."""

    clips: int = 442
    frames: int = 70
    jobs: int | None = None

    def __post_init__(self) -> None:
        if self.clips < 1 or self.frames < 2:
            raise UsageError(
                f"{self.clips} clips of {self.frames} frames asked for, expected at least 1 of 2"
            )


def bench_extract(
    sources: Sequence[str],
    options: BenchExtractOptions | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Extract many 640×480 clips made from a few of `sources`; return figures.

    Speed is clips and frames per second of the whole verb, workers' start included;
    memory is the peak of the parent and of the largest worker, MiB.
    """
    options = options or BenchExtractOptions()
    with tempfile.TemporaryDirectory(prefix="mecli-bench-") as folder:
        root = Path(folder)
        _make_corpus(sources, root / "bench", options)
        summary = extract(
            [str(root / "bench")],
            root / "bench.h5",
            ExtractOptions(jobs=options.jobs, landmarks="embedded"),
            progress=progress,
        )
        size = (root / "bench.h5").stat().st_size
    total = sum(summary.stages_s.values())
    return {
        "clips": summary.extracted,
        "failed": len(summary.failures),
        "frames": options.clips * options.frames,
        "jobs": workers.cores() if options.jobs is None else options.jobs,
        "seconds": round(summary.seconds, 2),
        "clips_per_s": round(summary.extracted / summary.seconds, 2),
        "frames_per_s": round(options.clips * options.frames / summary.seconds, 1),
        "ms_per_clip_and_core": round(1000 * total / max(summary.extracted, 1), 1),
        "stage_shares": shares(summary.stages_s),
        "peak_parent_mib": mib(workers.peak_memory_bytes()),
        "peak_worker_mib": mib(summary.peak_worker_bytes),
        "cache_mib": mib(size),
    }


def _make_corpus(sources: Sequence[str], root: Path, options: BenchExtractOptions) -> None:
    """Write `options.clips` videos as class/subject/clip, most of them links to a few."""
    clips = [clip for clip in read_sources(sources) if isinstance(clip.frames, Path)][:_SOURCES]
    if not clips:
        raise InputError(f"{', '.join(sources)}: holds no video to make a benchmark of")
    originals = root.parent / "originals"
    originals.mkdir()
    made = []
    for number, clip in enumerate(clips):
        path = originals / f"{number}.mp4"
        frames = (frame.image for frame in read_frames(clip.frames))
        write_video(path, film(frames, options.frames), clip.fps or 100.0, crf=_CRF)
        made.append(path)
    for number, path in enumerate(islice(cycle(made), options.clips)):
        target = root / "any" / f"s{number // 7:03d}" / f"clip{number:04d}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
