"""The verb ``extract``: sources in, a cache of aligned clips out; resumes where it stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TextIO

from mecli import cache, cluster, workers
from mecli.errors import InputError
from mecli.footage import Stopwatch
from mecli.identity import source_key
from mecli.landmarks.choose import choose, resolve
from mecli.listing import Listing, list_sources
from mecli.preprocess import preprocess
from mecli.recipe import Recipe
from mecli.records import NO_LANDMARKER, ClipRecord, described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mecli.clips import Clip
    from mecli.cluster import Cluster
    from mecli.shards import Shard

_WORKER_MEMORY = 4 << 30


@dataclass(frozen=True, slots=True)
class ExtractOptions:
    """What ``mecli extract`` can be told; the defaults are the command line's."""

    corpus: str | None = None
    as_published: bool = False
    landmarks: str = "auto"
    steps: int = 16
    temporal: str = "uniform"
    flow: str = "dis"
    head_motion: str = "rigid"
    images: tuple[int, ...] = (0,)
    magnify: str = "none"
    jobs: int | None = None
    timeout_s: float = 300.0
    retry: bool = False
    force: bool = False
    shard: Shard | None = None
    """Take only these of the clips: one job of several."""
    cluster: Cluster | None = None
    """Work there instead of in processes of this machine."""

    def __post_init__(self) -> None:
        workers.check_limits(self.jobs, self.timeout_s)


@dataclass(slots=True)
class ExtractSummary:
    """What one run of ``extract`` did."""

    cache: Path
    landmarker: str
    extracted: int = 0
    unchanged: int = 0
    frames: int = 0
    seconds: float = 0.0
    stages_s: dict[str, float] = field(default_factory=dict)
    peak_worker_bytes: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    odd: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unlisted: tuple[str, ...] = ()
    """Clips of the same corpora that the cache holds too, though no source lists them."""
    notes: tuple[str, ...] = ()
    """What is doubtful about a source as a whole."""

    @property
    def clips(self) -> int:
        """How many clips of the sources are in the cache and usable."""
        return self.extracted + self.unchanged

    def as_json(self) -> dict[str, Any]:
        """Return the summary as one JSON object."""
        return {
            "cache": str(self.cache),
            "landmarker": self.landmarker,
            "clips": self.clips,
            "extracted": self.extracted,
            "unchanged": self.unchanged,
            "failed": [{"clip": c, "reason": r} for c, r in sorted(self.failures.items())],
            "odd": {clip_id: list(issues) for clip_id, issues in sorted(self.odd.items())},
            "unlisted": list(self.unlisted),
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "stages_s": {name: round(s, 3) for name, s in sorted(self.stages_s.items())},
        }


@dataclass(frozen=True, slots=True)
class _Task:
    clip: Clip
    recipe: Recipe
    cache: Path
    key: str


@dataclass(frozen=True, slots=True)
class _Done:
    frames: int
    reason: str
    issues: tuple[str, ...]
    seconds: dict[str, float]
    peak_bytes: int = 0


def list_clips(
    sources: Sequence[str], options: ExtractOptions, stdin: TextIO | None = None
) -> Listing:
    """Return the clips that `extract` would take, without opening one.

    Where several sources are named, one that cannot be read does not stop the others.
    """
    listing = list_sources(sources, options.corpus, stdin, as_published=options.as_published)
    return replace(listing, clips=options.shard.share(listing.clips)) if options.shard else listing


def extract(
    sources: Sequence[str],
    cache_path: Path,
    options: ExtractOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> ExtractSummary:
    """Extract every clip of `sources` into the cache at `cache_path`.

    Clips whose source and options are unchanged are left alone. A clip that fails is
    recorded with its reason and listed in the summary; the others go on. Raises
    `InputError` if a source is unusable or the cache was made with other options.
    """
    options = options or ExtractOptions()
    start = time.perf_counter()
    landmarker = resolve(options.landmarks)
    recipe = Recipe(
        steps=options.steps,
        temporal=options.temporal,
        flow=options.flow,
        head_motion=options.head_motion,
        landmarks=landmarker,
        images=options.images,
        magnify=options.magnify,
    )
    listing = list_clips(sources, options, stdin)
    maps = bool(listing.clips) and all(clip.holds_flow for clip in listing.clips)
    summary = ExtractSummary(
        cache_path,
        NO_LANDMARKER if maps else landmarker,
        failures=dict(listing.failures),
        notes=listing.notes,
    )
    keys = {clip.clip_id: source_key(clip, recipe) for clip in listing.clips}
    if options.force:
        cache.discard(cache_path)
    have = _have(cache_path, recipe, options.retry)
    summary.unlisted = () if options.shard else _unlisted(have.values(), listing.clips)
    todo = []
    for clip in listing.clips:
        if keys[clip.clip_id] in have:
            _count_known(summary, clip, have[keys[clip.clip_id]])
        else:
            todo.append(_Task(clip, recipe, cache_path, keys[clip.clip_id]))
    _run(todo, options, summary, progress)
    cache.merge(cache_path, recipe.as_options())
    summary.seconds = time.perf_counter() - start
    return summary


def _count_known(summary: ExtractSummary, clip: Clip, record: ClipRecord) -> None:
    if record.ok:
        summary.unchanged += 1
    else:
        summary.failures[clip.clip_id] = record.reason
    if record.issues:
        summary.odd[clip.clip_id] = record.issues


def _have(path: Path, recipe: Recipe, retry: bool) -> dict[str, ClipRecord]:
    """Return key → record without arrays of every clip already extracted, merged or not."""
    cache.merge(path, recipe.as_options())
    with cache.open_cache(path) as merged:
        cache.check_options(merged, recipe.as_options())
        records = {merged.key(r.clip_id): r for r in merged.summaries()}
    return {key: r for key, r in records.items() if r.ok or not retry}


def _unlisted(records: Iterable[ClipRecord], clips: Sequence[Clip]) -> tuple[str, ...]:
    """Return what an earlier annotation named otherwise, or another source brought."""
    corpora, listed = {c.corpus for c in clips}, {c.clip_id for c in clips}
    others = (r.clip_id for r in records if r.corpus in corpora)
    return tuple(sorted(clip_id for clip_id in others if clip_id not in listed))


def _run(
    todo: list[_Task],
    options: ExtractOptions,
    summary: ExtractSummary,
    progress: Callable[[int, int, str], None] | None,
) -> None:
    for done, outcome in enumerate(_outcomes(todo, options), start=1):
        task = todo[outcome.index]
        if outcome.value is None:
            if outcome.error is not None and not workers.is_failure_of_task(outcome.error):
                raise outcome.error
            result = _record_failure(task, outcome.reason)
        else:
            result = outcome.value
        _count(summary, task.clip, result)
        if progress is not None:
            progress(done, len(todo), task.clip.clip_id)


def _outcomes(todo: list[_Task], options: ExtractOptions) -> Iterator[workers.Outcome[_Done]]:
    limits = (options.timeout_s, _WORKER_MEMORY, "mecli.extract")
    if options.cluster is None or not todo:
        jobs = workers.cores() if options.jobs is None else options.jobs
        return workers.run(_extract_one, todo, jobs, *limits)
    guard = cluster.Guard(*limits)
    return cluster.run(_extract_in, todo, options.cluster, todo[0].cache.parent, guard=guard)


def _extract_in(folder: Path, task: _Task) -> _Done:
    """Extract one clip on some machine, its part beside the cache as it would lie in `folder`."""
    return _extract_one(replace(task, cache=folder / task.cache.name))


def _count(summary: ExtractSummary, clip: Clip, done: _Done) -> None:
    summary.frames += done.frames
    summary.peak_worker_bytes = max(summary.peak_worker_bytes, done.peak_bytes)
    for name, seconds in done.seconds.items():
        summary.stages_s[name] = summary.stages_s.get(name, 0.0) + seconds
    if done.issues:
        summary.odd[clip.clip_id] = done.issues
    if done.reason:
        summary.failures[clip.clip_id] = done.reason
    else:
        summary.extracted += 1


def _extract_one(task: _Task) -> _Done:
    """Extract one clip in a worker and put it beside the cache."""
    watch = Stopwatch()
    landmarker = choose(task.recipe.landmarks)
    try:
        record = preprocess(task.clip, task.recipe, landmarker, watch)
    except InputError as error:
        return _record_failure(task, str(error), watch.seconds)
    with watch.stage("store"):
        cache.add(task.cache, record, task.key, task.recipe.as_options())
    peak = workers.peak_memory_bytes()
    return _Done(record.frame_count, "", record.issues, watch.seconds, peak)


def _record_failure(task: _Task, reason: str, seconds: Mapping[str, float] | None = None) -> _Done:
    clip = task.clip
    record = ClipRecord(
        **described(clip), issues=clip.issues, landmarker=task.recipe.landmarks
    ).failed(reason)
    cache.add(task.cache, record, task.key, task.recipe.as_options())
    return _Done(0, reason, clip.issues, dict(seconds or {}))
