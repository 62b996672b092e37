"""Corpora whose clips are image folders that can be found by their own names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.annotation import SheetReader
from mecli.corpora.frames import Disk, Numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mecli.corpora.entry import Entry

_DEPTH = 8


class ClipIndex:
    """The image folders and videos of a corpus, by canonical name.

    Where the corpus is on disk both raw and cropped, only the raw frames are listed.
    """

    def __init__(
        self, disk: Disk, root: Path, layout: str, canonical: Callable[[str], str]
    ) -> None:
        self.canonical = canonical
        paths = list(clip_paths(disk, root))
        paths = [p for p in paths if layout and fits_layout(disk, p, layout)] or paths
        raw = [path for path in paths if not is_cropped(path, root)]
        self.form = "cropped" if paths and not raw else "raw"
        self.paths = raw or paths
        self.used: set[Path] = set()
        self._by_name: dict[str, list[Path]] = {}
        self.keep(lambda _: True)

    def keep(self, wanted: Callable[[Path], bool]) -> None:
        """Forget every clip that is not `wanted`."""
        self.paths = [path for path in self.paths if wanted(path)]
        self._by_name = {}
        for path in self.paths:
            self._by_name.setdefault(self.canonical(_stem(path)), []).append(path)

    def has(self, name: str) -> bool:
        """Whether any clip's folder is called `name`."""
        return name in self._by_name

    def find(self, *parts: str) -> Path | None:
        """Return the clip whose path ends in the last part and has the others above it."""
        *above, name = map(self.canonical, parts)
        for path in self._by_name.get(name, ()):
            if set(above) <= {self.canonical(p.name) for p in path.parents}:
                self.used.add(path)
                return path
        return None


def is_cropped(path: Path, root: Path) -> bool:
    """Whether the folders from `root` to a clip say that its frames are cut to the face."""
    return any("crop" in part.casefold() for part in (root.name, *path.relative_to(root).parts))


def clip_paths(disk: Disk, root: Path) -> Iterator[Path]:
    """Yield every folder of images and every video below `root`."""
    for folder in disk.walk(root, _DEPTH):
        inside = disk.listing(folder)
        yield from inside.videos
        if inside.images:
            yield folder


def fits_layout(disk: Disk, clip: Path, layout: str) -> bool:
    """Whether the path of a clip's first image, lower case, ends as `layout` says."""
    images = disk.listing(clip).images if clip.is_dir() else ()
    first = clip / images[0] if images else clip
    return re.search(layout, "/" + "/".join(first.absolute().parts[-7:]).casefold()) is not None


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


class IndexedReader(SheetReader[ClipIndex]):
    """A reader that finds the frames of a row by the names of its folders."""

    layout: ClassVar[str] = ""
    """Regular expression for the end of the path of a clip's first image, lower case."""

    def canonical(self, name: str) -> str:
        """Return the form of a folder's name in which sheet and disk agree."""
        return name.strip().casefold()

    def parts(self, entry: Entry) -> tuple[str, ...]:
        """Return the folders that lead to the frames of a row, the last one holding them."""
        return entry.subject, entry.cells["name"]

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Whether any clip lies as only this corpus's do."""
        return self.layout != "" and any(
            fits_layout(disk, path, self.layout) for path in clip_paths(disk, root)
        )

    def locate(self, disk: Disk, root: Path) -> ClipIndex | None:
        """Return the clips on disk."""
        index = ClipIndex(disk, root, self.layout, self.canonical)
        return index if index.paths else None

    def frames_of(self, disk: Disk, place: ClipIndex, entry: Entry) -> Numbered | None:
        """Return the frames of a row."""
        clip = place.find(*self.parts(entry))
        if clip is None or clip.is_file():
            return Numbered(clip) if clip else None
        return disk.numbered(clip, *self.span(entry))

    def form(self, place: ClipIndex) -> str:
        """Return whether the frames are raw or cropped."""
        return place.form

    def leftovers(self, disk: Disk, place: ClipIndex, entries: list[Entry]) -> list[str]:
        """Return the clips on disk that are in no row."""
        return [
            f"{path.parent.name}/{path.name} is on disk but in no row"
            for path in place.paths
            if path not in place.used and fits_layout(disk, path, self.layout)
        ]
