"""Which files of a flow archive show which clip: images, arrays, u and v in files of their own.

A file is known by its name and by the folders that lead to it, without blanks and case:
``samm/0/006_006_1_2 .png``, ``006/006_1_2.png`` and ``u/006_1_2.png`` beside
``v/006_1_2.png`` all are the motion of clip 006_1_2 of subject 006.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

from mecli.clips import without_zeros
from mecli.corpora.frames import natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set
    from pathlib import Path

    from mecli.corpora.frames import Disk

ARRAY = ".npy"
_DEPTH = 4
_PARTS = {"u": "u", "dx": "u", "x": "u", "horizontal": "u"}
_PARTS |= {"v": "v", "dy": "v", "y": "v", "vertical": "v", "strain": "strain", "os": "strain"}
_TAIL = re.compile(rf"(?:^|[ _-])({'|'.join(_PARTS)})$")
_FLOW = re.compile(r"(?:^|[ _-])flow$")
_FURTHER = re.compile(r"_[1-9]\d?$")


@dataclass(frozen=True, slots=True)
class Motion:
    """One map of motion: its folders and its name, lower case, and its file, or u and v."""

    parts: tuple[str, ...]
    files: tuple[Path, ...]
    beside: tuple[Path, ...] = ()
    """Files that say nothing more, as the strain of u and v."""

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that lead to it."""
        return self.parts[:-1]


class FlowFiles:
    """Every map below the folder of a label table, found by what a row calls it."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self.motions = list(_motions(disk, folder))
        self._further: dict[tuple[str, ...], list[Motion]] = {}
        self._named: dict[str, list[Motion]] = {}
        self._alike: dict[str, list[Motion]] = {}
        for motion in sorted(self.motions, key=lambda m: natural_key(m.parts[-1])):
            main = (*motion.folders, _FURTHER.sub("", motion.parts[-1]))
            if main != motion.parts:
                self._further.setdefault(main, []).append(motion)
            for first in range(len(motion.parts)):
                name = "_".join(motion.parts[first:])
                self._named.setdefault(name, []).append(motion)
                self._alike.setdefault(without_zeros(name), []).append(motion)

    def called(self, name: str) -> list[Motion]:
        """Return the maps of that name; where there is none, those but for leading zeros."""
        return self._named.get(name) or self._alike.get(without_zeros(name), [])

    def at(self, path: str) -> list[Motion]:
        """Return the maps of a path as a table has it: the more of its folders fit, the better."""
        *folders, name = PureWindowsPath(path).parts
        parts = [*(part.strip().casefold() for part in folders), _stem(name)]
        ways = ("_".join(parts[first:]) for first in range(len(parts)))
        return next((found for way in ways if (found := self.called(way))), [])

    def further(self, main: Motion, mains: Set[tuple[str, ...]]) -> Iterator[Motion]:
        """Yield the maps ``X_1``, ``X_2`` … beside a clip's map ``X`` that are no clip's own."""
        for motion in self._further.get(main.parts, ()):
            if motion.parts not in mains and len(motion.files) == len(main.files):
                yield motion


def _stem(name: str) -> str:
    suffixed = re.fullmatch(r"(.+)\.[A-Za-z]\w{1,4}\s*", name)
    return (suffixed[1] if suffixed else name).strip().casefold()


def _motions(disk: Disk, folder: Path) -> Iterator[Motion]:
    """Yield the maps below `folder`, u and v of one name as one."""
    plain: list[Motion] = []
    apart: dict[tuple[str, ...], dict[str, list[Path]]] = {}
    for path in _files(disk, folder):
        above = path.parent.relative_to(folder).parts
        parts = (*(name.strip().casefold() for name in above), _stem(path.name))
        named, part = _component(parts)
        if part:
            apart.setdefault(_without_flow(named), {}).setdefault(part, []).append(path)
        plain.append(Motion(_without_flow(parts), (path,)))
    pairs = [
        Motion(named, (*found["u"], *found["v"]), tuple(found.get("strain", ())))
        for named, found in apart.items()
        if named and len(found.get("u", ())) == len(found.get("v", ())) == 1
    ]
    used = {path for motion in pairs for path in (*motion.files, *motion.beside)}
    yield from pairs
    yield from (motion for motion in plain if motion.files[0] not in used)


def _files(disk: Disk, folder: Path) -> Iterable[Path]:
    for inside in disk.walk(folder, _DEPTH):
        listing = disk.listing(inside)
        yield from (inside / name for name in listing.images)
        yield from (path for path in listing.others if path.suffix.casefold() == ARRAY)


def _component(parts: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Return the name without the word for u, v or strain in it, and which of them it is."""
    for index in reversed(range(len(parts))):
        found = _TAIL.search(parts[index])
        if found:
            left = parts[index][: found.start()]
            named = (*parts[:index], *([left] if left else ()), *parts[index + 1 :])
            return named, _PARTS[found[1]]
    return parts, ""


def _without_flow(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the name without the word flow at its end, where something else is left of it."""
    left = _FLOW.sub("", parts[-1]) if parts else ""
    shorter = (*parts[:-1], left) if left else parts[:-1]
    return shorter or parts
