"""The verb ``spot``: long videos in; where something was expressed in them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mecli import files, spotting, workers
from mecli.clips import FASTEST_FPS, is_rate
from mecli.corpora.recordings import recordings
from mecli.corpora.sources import expand, read_sources
from mecli.doubts import check_rate, doubts
from mecli.errors import InputError, UsageError
from mecli.landmarks.choose import choose, resolve
from mecli.outputs import check_free, outputs
from mecli.report.elan import elan
from mecli.report.spots import Spotted, spots_tiers
from mecli.underway import Underway, note_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mecli.clips import Clip
    from mecli.underway import Progress

_MEMORY = 6 << 30


@dataclass(frozen=True, slots=True)
class SpotOptions:
    """What ``mecli spot`` can be told; the defaults are the command line's."""

    corpus: str | None = None
    landmarks: str = "auto"
    threshold: float = spotting.THRESHOLD
    """Least score of an interval that is told."""
    fps: float | None = None
    face: int | None = None
    """Which one, counted from 1, the largest first; None is the largest, with a doubt."""
    jobs: int | None = None
    timeout_s: float = 7200.0
    eaf: Path | None = None
    """An ELAN document for one video, a folder for several."""
    overlay: Path | None = None
    """A film for one video, a folder for several."""
    force: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise UsageError(f"--threshold is {self.threshold}, expected more than 0, less than 1")
        if self.fps is not None and not is_rate(self.fps):
            raise UsageError(f"--fps is {self.fps:g}, expected above 0 to {FASTEST_FPS}")
        if self.face is not None and self.face < 1:
            raise UsageError(f"--face is {self.face}, expected 1 (the largest) or more")
        workers.check_limits(self.jobs, self.timeout_s)


@dataclass(frozen=True, slots=True)
class _Task:
    clip: Clip
    options: SpotOptions
    film: Path | None
    note: Path | None = None


def spot(
    sources: Sequence[str],
    options: SpotOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Progress | None = None,
) -> Iterator[Spotted]:
    """Yield what was found in the videos of `sources`, in their order, each as soon as it can be.

    Whole videos are searched, whatever interval an annotation names, and each once. A video
    that fails has its reason in `Spotted.error`; the others go on. Raises `InputError` if
    the only source is unusable or a file to be written is there already.
    """
    options = options or SpotOptions()
    options = replace(options, landmarks=resolve(options.landmarks))
    found = list(_videos(sources, options.corpus, stdin))
    clips = {k: clip for k, clip in enumerate(found) if not isinstance(clip, Spotted)}
    documents = outputs(clips, "--eaf", options.eaf, ".eaf")
    films = outputs(clips, "--overlay", options.overlay, ".mp4")
    check_free((*documents.values(), *films.values()), force=options.force)
    tasks = {k: _Task(clip, options, films.get(k)) for k, clip in clips.items()}
    return _told(found, tasks, documents, progress or (lambda *_: None))


def _told(
    found: Sequence[Clip | Spotted],
    tasks: Mapping[int, _Task],
    documents: Mapping[int, Path],
    progress: Progress,
) -> Iterator[Spotted]:
    """Yield what was found in each video, its ELAN document written."""
    for place, video in enumerate(_in_order(found, tasks, progress)):
        if place in documents and not video.error:
            clip = tasks[place].clip
            media = clip.frames if isinstance(clip.frames, Path) else None
            files.write_text(documents[place], elan(media, spots_tiers(video)))
        yield video


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
    found: Sequence[Clip | Spotted], tasks: Mapping[int, _Task], progress: Progress
) -> Iterator[Spotted]:
    ready = {k: said for k, said in enumerate(found) if isinstance(said, Spotted)}
    if not tasks:
        yield from (said for _, said in sorted(ready.items()))
        return
    places, waiting = list(tasks), 0
    options = tasks[places[0]].options
    jobs = workers.cores() if options.jobs is None else options.jobs
    names = [task.clip.clip_id for task in tasks.values()]
    with Underway(names, progress) as underway:
        noted = [replace(t, note=n) for t, n in zip(tasks.values(), underway.notes, strict=True)]
        outcomes = workers.run(search, noted, jobs, options.timeout_s, _MEMORY, "mecli.motion")
        for outcome in outcomes:
            underway.finish(outcome.index)
            place = places[outcome.index]
            ready[place] = _result(tasks[place].clip, outcome)
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
    """Search one video and draw it; runs in a worker."""
    from mecli.motion import REGIONS
    from mecli.searching import search as search_video
    from mecli.video import probe

    clip, options = task.clip, task.options
    if clip.holds_flow or not clip.frames:
        raise InputError(f"clip {clip.clip_id}: no frames of a face on disk, nothing to search")
    info = probe(clip.pixels)
    fps = options.fps or clip.fps or info.fps
    if fps is None:
        raise InputError(f"{clip.location}: says no frame rate: name it with --fps")
    check_rate(f"{clip.location}: clip {clip.clip_id}", fps, force=options.force)

    # Drawing a film of all frames takes about as long as searching them.
    searching = 1.0 if task.film is None else 0.5

    def noted(frames: int) -> None:
        if info.frame_count:
            note_share(task.note, searching * frames / info.frame_count)

    def drawn(share: float) -> None:
        note_share(task.note, searching + (1 - searching) * share)

    found = search_video(
        clip,
        fps,
        choose(options.landmarks),
        face=(options.face or 1) - 1,
        threshold=options.threshold,
        progress=noted,
    )
    quality = {**found.quality, **info.quality}
    said = Spotted(
        clip=clip.clip_id,
        source=clip.location,
        fps=fps,
        frames=found.frame_count,
        seen=float(found.seen.mean()),
        intervals=found.intervals,
        regions=tuple(REGIONS),
        unsure=doubts(quality, fps, {}, chosen=options.face is not None),
    )
    if task.film is not None:
        from mecli.exhibits import write_spot_film

        write_spot_film(task.film, clip, said, found, drawn)
    return said
