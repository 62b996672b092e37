"""The verb ``check``: what is in a source and what is wrong with it; no pixel is decoded."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mecli import registry
from mecli.corpora import published
from mecli.corpora.sources import expand, inspect_sources
from mecli.errors import InputError
from mecli.report.check import CheckResult, SourceCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mecli.clips import Clip
    from mecli.corpora.reading import Reading

# The words with which readers say that frames and annotation do not meet.
_ABOUT_FRAMES = ("on disk", "missing between", "no image", "No such file")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What ``mecli check`` can be told; the defaults are the command line's."""

    corpus: str | None = None
    as_published: bool = False
    strict: bool = False


def check(
    sources: Sequence[str | Path],
    options: CheckOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> CheckResult:
    """Read the annotation of `sources` and hold it against the disk.

    One source that cannot be read raises `InputError`; of several it becomes a failure.
    """
    options = options or CheckOptions()
    named = list(expand(sources, stdin))
    readings: list[Reading] = []
    failures: dict[str, str] = {}
    for number, source in enumerate(named, start=1):
        try:
            readings += inspect_sources([source], options.corpus, as_published=options.as_published)
        except InputError as error:
            if len(named) == 1:
                raise
            failures[str(source)] = str(error)
        if progress is not None:
            progress(number, len(named), str(source))
    checked = tuple(_check(reading) for reading in readings)
    clips = [clip for source in checked for clip in source.clips]
    return CheckResult(checked, tuple(_duplicates(clips)), failures, options.strict)


def _check(reading: Reading) -> SourceCheck:
    missing: dict[str, tuple[str, ...]] = {}
    odd: dict[str, tuple[str, ...]] = {}
    for clip in reading.clips:
        frames = [issue for issue in clip.issues if _is_about_frames(issue)]
        cells = tuple(issue for issue in clip.issues if issue not in frames)
        broken = [*frames, *_broken_files(clip)]
        if not clip.frames and not frames:
            broken.append("no frames on disk")
        if broken:
            missing[clip.clip_id] = tuple(broken)
        if cells:
            odd[clip.clip_id] = cells
    corpora = dict.fromkeys([reading.corpus, *(clip.corpus for clip in reading.clips)])
    known = {name: registry.load("corpus", name) for name in corpora if name in registry.CORPORA}
    title = known[reading.corpus].title if reading.corpus in known else ""
    licences = tuple((name, entry.licence) for name, entry in known.items())
    return SourceCheck(reading, title, licences, missing, odd, published.differences(reading))


def _is_about_frames(issue: str) -> bool:
    return any(words in issue for words in _ABOUT_FRAMES)


def _files(clip: Clip) -> tuple[Path, ...]:
    return clip.frames if isinstance(clip.frames, tuple) else (clip.frames,)


def _broken_files(clip: Clip) -> Iterator[str]:
    """Say which files of `clip` are empty or gone, as broken unpacking leaves them."""
    sizes = {path: _size(path) for path in _files(clip)}
    for what, wanted in (("empty", 0), ("unreadable", None)):
        bad = [path.name for path, size in sizes.items() if size == wanted]
        if bad:
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            yield f"{what} file: {bad[0]}{more}"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _duplicates(clips: Sequence[Clip]) -> Iterator[str]:
    """Say which clips are the same recording under two names, or two under one name."""
    named: dict[str, Clip] = {}
    for clip in clips:
        before = named.setdefault(clip.clip_id, clip)
        if before is not clip:
            yield f"{clip.clip_id} is in {before.location} and in {clip.location}"
    taken: dict[tuple[object, ...], Clip] = {}
    for clip in named.values():
        before = taken.setdefault((_ends(clip), clip.onset, clip.offset), clip)
        if before is not clip and clip.frames:
            yield f"{clip.clip_id} has the frames, onset and offset of {before.clip_id}"
    yield from _copies(list(taken.values()))


def _ends(clip: Clip) -> tuple[Path, ...]:
    """Return the files of the onset and the offset frame."""
    files = _files(clip)
    if not files:
        return ()
    last = len(files) - 1
    onset, offset = clip.onset or 0, last if clip.offset is None else clip.offset
    return tuple(dict.fromkeys((files[min(onset, last)], files[min(offset, last)])))


def _copies(clips: Sequence[Clip]) -> Iterator[str]:
    """Say which clips hold byte for byte the frames of another; only equal sizes are read."""
    by_size: dict[tuple[object, ...], list[Clip]] = defaultdict(list)
    for clip in clips:
        sizes = [_size(path) for path in _ends(clip)]
        if sizes and all(sizes):
            moments = (clip.onset, clip.offset) if isinstance(clip.frames, Path) else ()
            by_size[*sizes, "at", *moments].append(clip)
    for alike in by_size.values():
        first: dict[bytes, Clip] = {}
        for clip in alike if len(alike) > 1 else ():
            digest = b"".join(map(_digest, _ends(clip)))
            before = first.setdefault(digest, clip)
            if before is not clip:
                yield f"{clip.clip_id} is a copy of {before.clip_id}: the same bytes in its frames"


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.digest()
