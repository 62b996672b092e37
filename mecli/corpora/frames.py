"""Frames on disk: cached listings, frame numbers from file names, numbers to positions."""

from __future__ import annotations

import math
import os
import re
import stat
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mecli.corpora.sheets import normalise
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".pgm", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".avi", ".mp4", ".mov", ".mkv", ".webm", ".wmv", ".m4v", ".mpg", ".mpeg", ".flv", ".gif"}
)
_DIGITS = re.compile(r"(\d+)")
_INTEGER = re.compile(r"\d+")


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which ``img9`` comes before ``img10``, the same on every machine."""
    parts = _DIGITS.split(text.casefold())
    keys = [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]
    return (*keys, (2, 0, text))


def last_integer(name: str) -> int | None:
    """Return the frame number of a file name: its last run of digits before the suffix."""
    digits = _INTEGER.findall(name.rsplit(".", 1)[0])
    return int(digits[-1]) if digits else None


def is_image(name: str) -> bool:
    """Whether a file name ends as an image's does."""
    return os.path.splitext(name)[1].casefold() in IMAGE_SUFFIXES  # noqa: PTH122 - a million names


def is_video(name: str) -> bool:
    """Whether a file name ends as a video's does."""
    return os.path.splitext(name)[1].casefold() in VIDEO_SUFFIXES  # noqa: PTH122


@dataclass(frozen=True, slots=True)
class Listing:
    """What one folder holds; hidden files, lock files, FIFOs and devices are not seen.

    `images` are sorted names, not paths: corpora of long recordings have millions.
    The rest is naturally sorted.
    """

    folders: tuple[Path, ...]
    images: tuple[str, ...]
    videos: tuple[Path, ...]
    others: tuple[Path, ...]


class Disk:
    """Folder listings, each read once."""

    def __init__(self) -> None:
        self._seen: dict[Path, Listing] = {}
        self._orders: dict[Path, Order] = {}
        self.closed: dict[Path, str] = {}
        """Folder inside a source that cannot be listed → why, as `walk` met them."""

    def listing(self, folder: Path) -> Listing:
        """Return what `folder` holds; `InputError` if it cannot be listed."""
        if folder not in self._seen:
            self._seen[folder] = _list(folder)
        return self._seen[folder]

    def numbered(self, folder: Path, low: float = -math.inf, high: float = math.inf) -> Numbered:
        """Return the images in `folder` numbered `low` to `high`, all if there are none such."""
        if folder not in self._orders:
            self._orders[folder] = ordered(self.listing(folder).images)
        order = self._orders[folder]
        start, stop = bisect_left(order.numbers, low), bisect_right(order.numbers, high)
        if start >= stop:
            start, stop = 0, len(order.numbers)
        numbers = order.numbers[start:stop]
        paths = tuple(folder / name for name in order.names[start:stop])
        return Numbered(paths, numbers, issues=(*order.issues, *_gaps(numbers)))

    def folders(self, folder: Path) -> tuple[Path, ...]:
        """Return the folders inside `folder`."""
        return self.listing(folder).folders

    def child(self, folder: Path, name: str) -> Path | None:
        """Return the folder or video called `name`, whatever its case and outer blanks."""
        listing = self.listing(folder)
        for candidates in (listing.folders, listing.videos):
            for path in candidates:
                if path.name == name:
                    return path
        wanted = name.strip().casefold()
        for path in listing.folders:
            if path.name.strip().casefold() == wanted:
                return path
        for path in listing.videos:
            if path.stem.strip().casefold() == wanted:
                return path
        return None

    def unnest(self, folder: Path) -> Path:
        """Follow lone subfolders, as ``X/X`` that unpacking leaves, down to where things are."""
        for _ in range(8):
            inside = self.listing(folder)
            if len(inside.folders) != 1 or inside.images or inside.videos:
                break
            if normalise(inside.folders[0].name) != normalise(folder.name):
                break
            folder = inside.folders[0]
        return folder

    def walk(self, root: Path, depth: int) -> Iterable[Path]:
        """Yield `root` and its folders down to `depth`, breadth first.

        Folders inside that cannot be listed are left out and kept in `closed`.
        """
        level = [root]
        self.listing(root)
        yield from level
        for _ in range(depth):
            level = [f for p in level for f in self.folders(p) if self._opens(f)]
            yield from level

    def _opens(self, folder: Path) -> bool:
        try:
            self.listing(folder)
        except InputError as error:
            self.closed[folder] = str(error)
        return folder not in self.closed


def _list(folder: Path) -> Listing:
    found: dict[str, list[str]] = {"folders": [], "images": [], "videos": [], "others": []}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                kind = _kind(entry)
                if kind:
                    found[kind].append(entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}") from error
    paths = {
        kind: tuple(folder / name for name in sorted(found[kind], key=natural_key))
        for kind in ("folders", "videos", "others")
    }
    return Listing(images=tuple(sorted(found["images"])), **paths)


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith((".", "~$")):
        return ""
    try:
        if entry.is_dir():
            return "folders"
        regular = entry.is_file()
    except OSError:  # a symbolic link in a circle
        return ""
    if not regular:
        return ""
    if is_image(entry.name):
        return "images"
    return "videos" if is_video(entry.name) else "others"


def check_source(path: Path) -> os.stat_result:
    """Return the stat of a regular file or a folder; `InputError` for anything else."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: {reason}; expected a folder, video, image folder or CSV"
        ) from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise InputError(f"{path}: is neither a regular file nor a folder")
    return status


@dataclass(frozen=True, slots=True)
class Numbered:
    """The frames of one recording and the numbers the annotation knows them by.

    `numbers` are those of the image files, rising; a video, or frames that are not on
    disk, have none and count from `first`.
    """

    frames: Path | tuple[Path, ...]
    numbers: tuple[int, ...] = ()
    first: int = 1
    issues: tuple[str, ...] = ()

    def covers(self, low: float, high: float) -> bool:
        """Whether any frame from number `low` to `high` is on disk."""
        return not self.numbers or (low <= self.numbers[-1] and high >= self.numbers[0])

    def position(self, number: float, what: str) -> tuple[int | None, str]:
        """Return the 0-based position of frame `number` and what is odd about it.

        Half frames are rounded down. A number outside the frames is clamped to them, one
        inside a gap goes to the frame before.
        """
        whole = int(number)
        odd = "" if whole == number else f"{what} frame is {number:g}, taken as {whole}"
        if not self.numbers:
            return _counted(whole, self.first, what, odd)
        index = bisect_left(self.numbers, whole)
        if index < len(self.numbers) and self.numbers[index] == whole:
            return index, odd
        index = max(0, index - 1)
        return index, (
            f"{what} frame {whole} is not on disk (frames {self.numbers[0]} to "
            f"{self.numbers[-1]}); {self.numbers[index]} is taken"
        )


def _counted(whole: int, first: int, what: str, odd: str) -> tuple[int | None, str]:
    if whole < first:
        return 0, f"{what} frame {whole} is before the first frame {first}; {first} is taken"
    return whole - first, odd


class Order(NamedTuple):
    """The images of a folder in the order of their frame numbers, and what was left out."""

    numbers: tuple[int, ...]
    names: tuple[str, ...]
    issues: tuple[str, ...] = ()


def ordered(images: Iterable[str]) -> Order:
    """Order image names by frame number; doubles and unnumbered ones are said."""
    by_number: dict[int, str] = {}
    unnumbered, doubles = [], []
    for name in sorted(images, key=lambda n: (len(n), n)):
        number = last_integer(name)
        if number is None:
            unnumbered.append(name)
        elif by_number.setdefault(number, name) is not name:
            doubles.append(name)
    if unnumbered and not by_number:
        return Order(
            tuple(range(1, len(unnumbered) + 1)), tuple(sorted(unnumbered, key=natural_key))
        )
    numbers = tuple(sorted(by_number))
    issues = (
        *_mention(unnumbered, "image without a frame number left out"),
        *_mention(doubles, "second image of a frame number left out"),
    )
    return Order(numbers, tuple(by_number[n] for n in numbers), issues)


def _mention(names: Sequence[str], what: str) -> tuple[str, ...]:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (f"{what}: {names[0]}{more}",) if names else ()


def missing_numbers(frames: Iterable[Path]) -> int:
    """Return how many frames are missing by the numbers in the names of image files.

    Where a name has no number, or the numbers do not rise, nothing is known to be missing.
    """
    found = [last_integer(path.name) for path in frames]
    numbers = [number for number in found if number is not None]
    if len(numbers) < len(found):
        return 0
    return _missing([b - a for a, b in pairwise(numbers)])


def _missing(steps: Sequence[int]) -> int:
    usual = min(steps, default=1)  # some corpora keep every other frame
    return sum(step // usual - 1 for step in steps) if usual > 0 else 0


def _gaps(numbers: tuple[int, ...]) -> tuple[str, ...]:
    steps = [b - a for a, b in pairwise(numbers)]
    missing = _missing(steps)
    if not missing:
        return ()
    usual = min(steps)
    after = next(n for n, step in zip(numbers, steps, strict=False) if step > usual)
    return (
        f"{missing} frame(s) missing between {numbers[0]} and {numbers[-1]}, first after {after}",
    )
