"""From what the user names (folders, files, a manifest, '-') to clips with unique ids."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mecli import files, registry
from mecli.corpora import loose, manifest
from mecli.corpora.frames import Disk, check_source, is_image, is_video
from mecli.corpora.reading import CorpusReader, Reading
from mecli.corpora.sheets import SHEET_SUFFIXES
from mecli.corpora.tree import DEPTH, read_tree
from mecli.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from mecli.clips import Clip

EXPECTED = (
    "a corpus folder, a folder class/subject/clip, a manifest CSV, a video or a folder of images"
)


def read_sources(
    sources: Sequence[str | Path],
    corpus: str | None = None,
    stdin: TextIO | None = None,
    *,
    as_published: bool = False,
    whole: bool = False,
) -> list[Clip]:
    """Return the clips of all `sources`, sorted by clip id; nothing is decoded.

    `corpus` names the reader and overrides recognition; '-' reads paths from `stdin`.
    With `whole` the clips of a long recording have all its frames, not those around them.
    Raises `InputError` for a source that is missing, empty or not recognised, and for
    two clips with one id.
    """
    readings = inspect_sources(sources, corpus, stdin, as_published=as_published, whole=whole)
    return sorted((c for r in readings for c in r.clips), key=lambda c: c.clip_id)


def inspect_sources(
    sources: Sequence[str | Path],
    corpus: str | None = None,
    stdin: TextIO | None = None,
    *,
    as_published: bool = False,
    whole: bool = False,
) -> list[Reading]:
    """Return one reading per source, with the notes that belong to no clip."""
    if corpus is not None:
        registry.check_name("corpus", corpus)
    readings = []
    origin: dict[str, tuple[Path, Clip]] = {}
    for source in expand(sources, stdin):
        reading = _inspect(source, corpus, as_published, whole)
        if not reading.clips:
            raise InputError(f"{source}: holds no clips, expected {EXPECTED}")
        for clip in reading.clips:
            _check_unique(clip, source, origin)
        readings.append(reading)
    return readings


def _check_unique(clip: Clip, source: Path, origin: dict[str, tuple[Path, Clip]]) -> None:
    before = origin.setdefault(clip.clip_id, (source, clip))
    if before[1] is not clip:
        raise InputError(
            f"clip {clip.clip_id} is in {before[0]} ({before[1].location}) and in {source} "
            f"({clip.location}); name each clip once, or give it a name in a manifest"
        )


def expand(sources: Sequence[str | Path], stdin: TextIO | None) -> Iterator[Path]:
    """Yield the sources as paths, '-' standing for those that `stdin` lists one a line."""
    if not sources:
        raise UsageError(f"no source named, expected {EXPECTED}")
    if list(map(str, sources)).count("-") > 1:
        raise UsageError("'-' is named twice, the list on stdin can be read once")
    for source in sources:
        if str(source) != "-":
            yield Path(source)
            continue
        lines = [line.strip() for line in files.lines(stdin or sys.stdin, "-")]
        if not any(lines):
            raise InputError("-: no path on stdin, expected one a line")
        yield from (Path(line) for line in lines if line)


def recognise(root: Path, disk: Disk | None = None) -> str | None:
    """Return the registry key of the corpus whose layout `root` has, None if it has none.

    Raises `InputError` where several corpora fit.
    """
    found = _fitting(disk or Disk(), root)
    if len(found) > 1:
        raise InputError(
            f"{root}: looks like {' and '.join(found)}; name one of them with --corpus, or "
            "name their folders one by one"
        )
    return found[0] if found else None


def _fitting(disk: Disk, root: Path) -> list[str]:
    readers = {name: reader(name) for name in _corpora()}
    found = [name for name, entry in readers.items() if entry.has_sheet(disk, root)]
    return found or [name for name, entry in readers.items() if entry.has_layout(disk, root)]


def _corpora() -> list[str]:
    """Return the registry keys, each reader once."""
    targets: dict[str, str] = {}
    for name, target in registry.CORPORA.items():
        targets.setdefault(target, name)
    return list(targets.values())


def _inspect(source: Path, corpus: str | None, as_published: bool, whole: bool) -> Reading:
    if stat.S_ISDIR(check_source(source).st_mode):
        return _inspect_folder(source, corpus, as_published, whole)
    if source.suffix.casefold() in SHEET_SUFFIXES:
        return _inspect_sheet(source, corpus, as_published, whole)
    if corpus is not None:
        raise InputError(f"{source}: is a file, expected the folder of corpus '{corpus}'")
    if is_image(source.name):
        raise InputError(f"{source}: one image is no clip; name the folder that holds the sequence")
    if not is_video(source.name):
        raise InputError(f"{source}: is no known kind of file, expected {EXPECTED}")
    return Reading(loose.CORPUS, source, [loose.read_unit(Disk(), source)])


def _inspect_folder(root: Path, corpus: str | None, as_published: bool, whole: bool) -> Reading:
    disk = Disk()
    if corpus is not None:
        named = reader(corpus, as_published=as_published, whole=whole)
        return _doubted(named.inspect(root, disk=disk), named, corpus, disk)
    name = recognise(root, disk)
    if name is not None:
        return reader(name, as_published=as_published, whole=whole).inspect(root, disk=disk)
    found = loose.units(disk, root)
    depths = {depth for _, depth in found}
    if depths == {DEPTH}:
        clips = read_tree(disk, root, (path for path, _ in found))
        return Reading(clips[0].corpus, root, clips)
    if not found:
        raise InputError(f"{root}: holds no images, videos or known corpus, expected {EXPECTED}")
    if max(depths) >= DEPTH:
        depth, (example, _) = max(depths), max(found, key=lambda unit: unit[1])
        raise InputError(
            f"{root}: holds clips {min(depths)} to {depth} folders down (as {example}), expected "
            f"all at class/subject/clip; name a corpus with --corpus or write a manifest"
        )
    return Reading(loose.CORPUS, root, [loose.read_unit(disk, path) for path, _ in found])


def _doubted(reading: Reading, named: CorpusReader, corpus: str, disk: Disk) -> Reading:
    """Say so where neither sheet nor layout is the named corpus's, but both are another's."""
    root = reading.root
    if named.has_sheet(disk, root) or named.has_layout(disk, root):
        return reading
    others = " or ".join(_fitting(disk, root))
    if not others:
        return reading
    if not any(clip.frames for clip in reading.clips):
        raise InputError(
            f"{root}: is no {corpus}, it looks like {others}: no clip has frames; "
            f"leave out --corpus {corpus} or name another"
        )
    doubt = f"{root}: looks like {others}, but is read as {corpus}, as --corpus says"
    return replace(reading, doubt=doubt, notes=(doubt, *reading.notes))


def _inspect_sheet(path: Path, corpus: str | None, as_published: bool, whole: bool) -> Reading:
    if corpus is not None:
        return reader(corpus, as_published=as_published, whole=whole).inspect(path.parent, path)
    if path.suffix.casefold() == ".csv" and manifest.is_manifest(path):
        clips = manifest.read_manifest(Disk(), path)
        return Reading(clips[0].corpus, path, clips, sheet=path)
    fitting = [n for n in _corpora() if reader(n).is_sheet_name(path.stem)]
    if len(fitting) != 1:
        raise InputError(
            f"{path}: is no manifest (no column 'path') and no known annotation sheet; name "
            "its corpus with --corpus, or name a folder"
        )
    return reader(fitting[0], as_published=as_published, whole=whole).inspect(path.parent, path)


def reader(name: str, *, as_published: bool = False, whole: bool = False) -> CorpusReader:
    """Return the reader of a registered corpus.

    With `as_published` no known slip of its sheet is mended; with `whole` the clips of a
    long recording have all its frames instead of those around them.
    """
    entry: CorpusReader = registry.load("corpus", name)(as_published, whole)
    return entry
