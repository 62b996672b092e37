"""Write down what work does to the files below a folder: the order, and what has to last."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_CHANGES = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir")


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a folder, one promise that something lasts, or one acknowledgement."""

    kind: str
    """make, rename, unlink, mkdir, rmdir, sync (a file), settle (a folder), tell."""
    path: str
    """Relative to the folder; of a rename, the new name. Of tell, what was acknowledged."""
    file: int = 0
    """Which file it is, whatever it is called by now."""
    old: str = ""


@dataclass(slots=True)
class Journal:
    """All that happened below a folder, and what its files held, by number of the event."""

    folders: set[str]
    """Those there at the beginning, as `files` are."""
    files: dict[str, int]
    contents: dict[int, list[tuple[int, bytes]]]
    """Of each file, what it was found to hold by which event; at the beginning -1."""
    events: list[Event] = field(default_factory=list)


class Recorder:
    """Hears of every change below `place` in this process, as the system is asked for it."""

    def __init__(self, place: Path) -> None:
        self._place = place.resolve()
        there = sorted(self._place.rglob("*"))
        files = [path for path in there if path.is_file()]
        self._file = {self._inside(path) or "": number for number, path in enumerate(files)}
        self.journal = Journal(
            {self._inside(path) or "" for path in there if path.is_dir()},
            dict(self._file),
            {number: [(-1, path.read_bytes())] for number, path in enumerate(files)},
        )

    def start(self) -> None:
        """Begin; there is no end, the process is meant to leave."""
        for name in _CHANGES:
            setattr(os, name, functools.partial(self._changing, name, getattr(os, name)))
        os.fsync = functools.partial(self._syncing, os.fsync)
        sys.addaudithook(self._hear)

    def tell(self, what: str) -> None:
        """Take down that `what` was acknowledged."""
        self._note(Event("tell", what))

    def _inside(self, path: Any, folder: int | None = None) -> str | None:
        """Return `path` relative to the place, None if it is somewhere else."""
        above = _opened(folder) if folder is not None else Path.cwd()
        whole = Path(os.path.normpath(above / os.fsdecode(path)))
        inside = whole.is_relative_to(self._place)
        return whole.relative_to(self._place).as_posix() if inside else None

    def _note(self, event: Event) -> None:
        self._look()
        self.journal.events.append(event)

    def _look(self) -> None:
        """Take down what files hold that have changed since the last event."""
        for path, number in self._file.items():
            with contextlib.suppress(FileNotFoundError):
                data = (self._place / path).read_bytes()
                versions = self.journal.contents[number]
                if not versions or versions[-1][1] != data:
                    versions.append((len(self.journal.events), data))

    def _hear(self, event: str, details: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(details[0], (str, bytes)):
            return
        path = self._inside(details[0])
        if path and details[2] & os.O_CREAT and path not in self._file:
            number = self._file[path] = len(self.journal.contents)
            self.journal.contents[number] = []
            self._note(Event("make", path, number))

    def _changing(self, name: str, change: Callable[..., Any], *given: Any, **named: Any) -> Any:
        paths = given[:2] if name in {"replace", "rename"} else given[:1]
        inside = [self._inside(p, named.get("dir_fd")) for p in paths]
        self._look()
        change(*given, **named)
        if None not in inside:
            self._changed(name, [str(path) for path in inside])

    def _changed(self, name: str, paths: list[str]) -> None:
        if name in {"mkdir", "rmdir"}:
            self._note(Event(name, paths[0]))
        elif name in {"unlink", "remove"}:
            self._note(Event("unlink", paths[0], self._file.pop(paths[0])))
        else:
            number = self._file[paths[1]] = self._file.pop(paths[0])
            self._note(Event("rename", paths[1], number, paths[0]))

    def _syncing(self, sync: Callable[[int], None], handle: int) -> None:
        path = self._inside(_opened(handle))
        sync(handle)
        if path is not None and path in self._file:
            self._note(Event("sync", path, self._file[path]))
        elif path is not None:
            self._note(Event("settle", path))


def _opened(handle: int) -> Path:
    return Path(f"/proc/self/fd/{handle}").readlink()
