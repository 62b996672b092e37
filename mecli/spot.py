"""The verb ``spot``: long videos in; where something was expressed in them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from mecli import spotting, workers
from mecli.corpora.recordings import recordings
from mecli.corpora.sources import expand, read_sources
from mecli.doubts import check_rate
from mecli.errors import InputError, UsageError
from mecli.landmarks.choose import choose, resolve
from mecli.report.spots import Spotted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mecli.clips import Clip

    Progress = Callable[[int, int, str], None]

_MEMORY = 6 << 30


@dataclass(frozen=True, slots=True)
class SpotOptions:
    """What ``mecli spot`` can be told; the defaults are the command line's."""

    corpus: str | None = None
    landmarks: str = "auto"
    threshold: float = spotting.THRESHOLD
    """Least score of an interval that is told."""
    fps: float | None = None
    jobs: int | None = None
    timeout_s: float = 7200.0
    force: bool = False

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise UsageError(f"--threshold is {self.threshold}, expected more than 0")
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise UsageError(f"--fps is {self.fps}, expected a positive number")
        workers.check_limits(self.jobs, self.timeout_s)


@dataclass(frozen=True, slots=True)
class _Task:
    clip: Clip
    options: SpotOptions


def spot(
    sources: Sequence[str],
    options: SpotOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Progress | None = None,
) -> Iterator[Spotted]:
    """Yield what was found in the videos of `sources`, in their order, each as soon as it can be.

    Whole videos are searched, whatever interval an annotation names, and each once. A video
    that fails has its reason in `Spotted.error`; the others go on. Raises `InputError` if the
    only source is unusable.
    """
    options = options or SpotOptions()
    options = replace(options, landmarks=resolve(options.landmarks))
    found = list(_videos(sources, options.corpus, stdin))
    return _in_order(found, options, progress or (lambda *_: None))


def _videos(
    sources: Sequence[str], corpus: str | None, stdin: TextIO | None
) -> Iterator[Clip | Spotted]:
    """Yield each video of each source once; a bad source is a result that says why."""
    named = list(expand(sources, stdin))
    told: set[str] = set()
    for source in named:
        try:
            found = recordings(read_sources([source], corpus, whole=True))
        except InputError as error:
            if len(named) == 1:
                raise
            yield Spotted(str(source), str(source), error=str(error))
            continue
        for recording in found:
            if recording.clip.location not in told:
                told.add(recording.clip.location)
                yield recording.clip


def _in_order(
    found: Sequence[Clip | Spotted], options: SpotOptions, progress: Progress
) -> Iterator[Spotted]:
    ready = {k: said for k, said in enumerate(found) if isinstance(said, Spotted)}
    tasks = {k: _Task(c, options) for k, c in enumerate(found) if not isinstance(c, Spotted)}
    places, waiting = list(tasks), 0
    jobs = workers.cores() if options.jobs is None else options.jobs
    outcomes = workers.run(
        search, list(tasks.values()), jobs, options.timeout_s, _MEMORY, "mecli.motion"
    )
    for done, outcome in enumerate(outcomes, start=1):
        clip = tasks[places[outcome.index]].clip
        ready[places[outcome.index]] = _result(clip, outcome)
        progress(done, len(tasks), clip.clip_id)
        while waiting in ready:
            yield ready.pop(waiting)
            waiting += 1
    yield from (said for _, said in sorted(ready.items()))


def _result(clip: Clip, outcome: workers.Outcome[Spotted]) -> Spotted:
    if outcome.value is not None:
        return outcome.value
    error = outcome.error
    if error is not None and not workers.is_failure_of_task(error):
        raise error
    return Spotted(clip.clip_id, clip.location, error=outcome.reason)


def search(task: _Task) -> Spotted:
    """Search one video; runs in a worker."""
    from mecli.motion import REGIONS
    from mecli.searching import search as search_video
    from mecli.video import probe

    clip, options = task.clip, task.options
    if clip.holds_flow or not clip.frames:
        raise InputError(f"clip {clip.clip_id}: no frames of a face on disk, nothing to search")
    fps = options.fps or clip.fps or probe(clip.pixels).fps
    if fps is None:
        raise InputError(f"{clip.location}: says no frame rate: name it with --fps")
    check_rate(f"{clip.location}: clip {clip.clip_id}", fps, force=options.force)
    found = search_video(clip, fps, choose(options.landmarks), threshold=options.threshold)
    return Spotted(
        clip=clip.clip_id,
        source=clip.location,
        fps=fps,
        frames=found.frame_count,
        seen=float(found.seen.mean()),
        intervals=found.intervals,
        regions=tuple(REGIONS),
    )
