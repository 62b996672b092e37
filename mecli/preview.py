"""The verb ``preview``: contact sheets that show whether preprocessing is right."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, TextIO

import numpy as np

from mecli import files, workers
from mecli.cache import open_cache
from mecli.caches import is_cache
from mecli.corpora.sources import read_sources
from mecli.errors import InputError, UsageError
from mecli.landmarks.choose import choose, resolve
from mecli.preprocess import preprocess
from mecli.recipe import Recipe
from mecli.report.pictures import MOMENTS, contact_sheet, png, stacked
from mecli.report.preview_page import page
from mecli.video import frames_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.records import ClipRecord

_MEMORY = 4 << 30
_SUFFIXES = (".png", ".html")
_NEAREST = 5


@dataclass(frozen=True, slots=True)
class PreviewOptions:
    """What ``mecli preview`` can be told; the defaults are the command line's."""

    count: int = 1
    corpus: str | None = None
    landmarks: str = "auto"
    flow: str = "dis"
    jobs: int | None = None
    timeout_s: float = 300.0
    force: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 100:
            raise UsageError(f"--count is {self.count}, expected 1 to 100")
        workers.check_limits(self.jobs, self.timeout_s)


@dataclass(frozen=True, slots=True)
class Preview:
    """What was drawn, and which clips could not be."""

    path: Path
    clips: tuple[str, ...]
    failures: dict[str, str]


def preview(
    source: Path,
    wanted: Sequence[str],
    out: Path,
    options: PreviewOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Preview:
    """Draw clips of a source or a cache into `out`, a PNG or a self-contained HTML page.

    `wanted` are clip ids or their ends; without any, ``options.count`` clips are taken,
    spread evenly. Raises `InputError` if no clip can be drawn or `out` exists.
    """
    options = options or PreviewOptions()
    if out.suffix.casefold() not in _SUFFIXES:
        raise UsageError(f"-o is {out}, expected a name that ends in {' or '.join(_SUFFIXES)}")
    if out.exists() and not options.force:
        raise InputError(f"{out}: exists; name another file with -o, or replace it with --force")
    draw = _from_cache if is_cache(source) else _from_source
    pages, failures = draw(source, wanted, options, stdin, progress)
    if not pages:
        raise InputError(f"{source}: no clip could be drawn: {'; '.join(failures.values())}")
    if out.suffix.casefold() == ".png":
        files.write_bytes(out, png(stacked(list(pages.values()))))
    else:
        files.write_text(out, page(pages))
    return Preview(out, tuple(pages), failures)


Drawn = tuple["dict[str, NDArray[np.uint8]]", "dict[str, str]"]


def _from_cache(
    source: Path,
    wanted: Sequence[str],
    options: PreviewOptions,
    _stdin: TextIO | None,
    _progress: Callable[[int, int, str], None] | None,
) -> Drawn:
    with open_cache(source) as cache:
        good = [record.clip_id for record in cache.summaries() if record.ok]
        chosen = choose_clips(source, cache.clip_ids if wanted else good, wanted, options.count)
        records = [cache.record(clip_id) for clip_id in chosen]
    failures = {record.clip_id: record.reason for record in records if not record.ok}
    return {r.clip_id: contact_sheet(r) for r in records if r.ok}, failures


@dataclass(frozen=True, slots=True)
class _Task:
    clip: Clip
    recipe: Recipe


def _from_source(
    source: Path,
    wanted: Sequence[str],
    options: PreviewOptions,
    stdin: TextIO | None,
    progress: Callable[[int, int, str], None] | None,
) -> Drawn:
    recipe = Recipe(flow=options.flow, landmarks=resolve(options.landmarks))
    clips = {clip.clip_id: clip for clip in read_sources([source], options.corpus, stdin)}
    chosen = choose_clips(source, list(clips), wanted, options.count)
    tasks = [_Task(clips[clip_id], recipe) for clip_id in chosen]
    jobs = workers.cores() if options.jobs is None else options.jobs
    pages: dict[str, NDArray[np.uint8]] = {}
    failures: dict[str, str] = {}
    outcomes = workers.run(_draw, tasks, jobs, options.timeout_s, _MEMORY, "mecli.preview")
    for done, outcome in enumerate(outcomes, start=1):
        clip_id, error = chosen[outcome.index], outcome.error
        if outcome.value is not None:
            pages[clip_id] = outcome.value
        elif error is None or isinstance(error, InputError) or workers.is_failure_of_task(error):
            failures[clip_id] = outcome.reason
        else:
            raise error
        if progress is not None:
            progress(done, len(tasks), clip_id)
    return {clip_id: pages[clip_id] for clip_id in chosen if clip_id in pages}, failures


def _draw(task: _Task) -> NDArray[np.uint8]:
    workers.use_one_thread()
    record = preprocess(task.clip, task.recipe, choose(task.recipe.landmarks))
    frames = {} if task.clip.holds_flow else _frames(task.clip, record)
    return contact_sheet(record, frames)


def _frames(clip: Clip, record: ClipRecord) -> dict[str, NDArray[np.uint8]]:
    """Return the source frames of onset, apex and offset."""
    positions = {moment: getattr(record, moment) for moment in MOMENTS}
    kept = frames_at(clip.pixels, positions.values())
    return {moment: kept[position] for moment, position in positions.items()}


def choose_clips(
    source: Path, known: Sequence[str], wanted: Sequence[str], count: int
) -> list[str]:
    """Return the clip ids that `wanted` names, or `count` of `known` spread evenly.

    A clip is named by its id or by the end of it. Raises `InputError` for a name that fits
    no clip or several.
    """
    if not known:
        raise InputError(f"{source}: holds no clip that could be drawn")
    if not wanted:
        places = np.linspace(0, len(known) - 1, min(count, len(known))).round().astype(int)
        return [known[place] for place in places]
    return list(dict.fromkeys(_named(source, known, name) for name in wanted))


def _named(source: Path, known: Sequence[str], name: str) -> str:
    fitting = [name] if name in known else [c for c in known if c.endswith(f"/{name}")]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(f"{source}: clip '{name}' may be {', '.join(fitting[:_NEAREST])}; say one")
    near = get_close_matches(name, known, n=_NEAREST, cutoff=0.3) or known[:_NEAREST]
    raise InputError(f"{source}: no clip '{name}' inside; near are {', '.join(near)}")
