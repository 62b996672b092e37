"""Parts into their cache, caches into one: each in one atomic step."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import h5py

from mecli import files, guard
from mecli.cache.parts import home, parts_folder
from mecli.cache.reading import Reader
from mecli.cache.stored import VERSION, dump
from mecli.cache.writing import root_image
from mecli.errors import InputError, NotWritten

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from mecli.cache.opened import Cache

R = TypeVar("R")

_PIECE = 1 << 20


def merge(path: Path, options: Mapping[str, Any], drop: Iterable[str] = ()) -> int:
    """Move all waiting parts into the cache at `path` in one atomic step; return how many.

    Clips in `drop` are left out. Raises `InputError` if the cache or a part was made with
    other options, or if the disk has too little room.
    """
    path = home(path)
    with _lock(path):
        parts = {p: _identity(p) for p in sorted(parts_folder(path).glob("[!.]*.h5"))}
        dropped = set(drop)
        if parts or dropped or not path.exists():
            sources = [path, *parts] if path.exists() else parts
            places = _guarded(_places, path, sources, sources, options)
            _rewrite(path, {c: p for c, p in places.items() if c not in dropped}, options)
        for part, seen in parts.items():
            # A clip that was tried again meanwhile has a newer part, which waits its turn.
            with contextlib.suppress(FileNotFoundError):
                if _identity(part) == seen:
                    part.unlink()
        _sweep(path)
    return len(parts)


def combine(path: Path, choose: Callable[[], tuple[Mapping[str, Any], Mapping[str, Path]]]) -> int:
    """Replace the cache at `path` by the clips that `choose` picks; return how many.

    It returns the options and, of each clip, the cache to take it from; it is called while
    nobody else writes `path`, so that what was merged a moment before is seen. Raises
    `InputError` if one of the caches was made with other options, or if the disk has too
    little room.
    """
    path = home(path)
    with _lock(path):
        options, places = choose()
        _rewrite(path, places, options)
    return len(places)


def discard(path: Path) -> None:
    """Remove the cache at `path` and the parts beside it."""
    path = home(path)
    with _lock(path):
        for part in parts_folder(path).glob("*.h5"):
            part.unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _identity(part: Path) -> tuple[int, int]:
    """Return what tells the file that is `part` now from one that takes its place."""
    status = part.stat()
    return status.st_ino, status.st_mtime_ns


def _rewrite(path: Path, places: Mapping[str, Path], options: Mapping[str, Any]) -> None:
    sources = set(places.values())
    need = sum(source.stat().st_size for source in sources) + (1 << 20)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.ExitStack() as stack:
        stack.callback(beside.unlink, missing_ok=True)
        with files.writing(path):
            beside.write_bytes(root_image(options))
        _reserve(beside, need)
        _guarded(_copy_all, path, sources, beside, places, options)
        with files.writing(path):
            files.commit(beside, path)


def _guarded(
    function: Callable[..., R], path: Path, sources: Collection[Path], *given: object
) -> R:
    """Call `function` in a process of its own: it reads `sources` for what becomes `path`."""
    what = f"{path} or what is merged into it"
    return guard.call(function, *given, what=what, cpu_s=guard.patience_s(sources))


def _places(sources: Iterable[Path], options: Mapping[str, Any]) -> dict[str, Path]:
    """Return each clip id with the last of `sources` that has it."""
    places: dict[str, Path] = {}
    for source in sources:
        with Reader(source) as cache:
            check_options(cache, options)
            places |= dict.fromkeys(cache.clip_ids, source)
    return places


def _copy_all(out: Path, places: Mapping[str, Path], options: Mapping[str, Any]) -> None:
    """Copy each clip from its place into `out`, in the order of clip ids."""
    clips_of = Counter(places.values())
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(h5py.File(out, "r+", libver=VERSION))
        # Walking a large cache takes a while; parts of one clip would be too many to hold.
        large = {p: stack.enter_context(Reader(p)) for p, clips in clips_of.items() if clips > 1}
        for clip_id in sorted(places):
            place = places[clip_id]
            with contextlib.nullcontext(large[place]) if place in large else Reader(place) as cache:
                check_options(cache, options)
                cache.copy_into(file, clip_id)


_ABSENT = "not named"


def check_options(cache: Cache | Reader, options: Mapping[str, Any]) -> None:
    """Raise `InputError` if `cache` was made with other extraction options."""
    if cache.options != json.loads(dump(options)):
        raise InputError(
            f"{cache.path}: was made with other extraction options "
            f"({_difference(cache.options, options)}); name another cache with -o, "
            "or rebuild this one with --force"
        )


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    names = sorted(n for n in {*old, *new} if old.get(n) != new.get(n))
    return ", ".join(f"{n} {old.get(n, _ABSENT)} there, {new.get(n, _ABSENT)} now" for n in names)


def _reserve(path: Path, need: int) -> None:
    """Claim disk space before HDF5 writes: on a full disk it would crash the process."""
    with path.open("rb+") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, need)
            else:  # macOS
                _fill(file, need)
        except OSError as error:
            raise NotWritten(
                f"{path.parent}: no room for the {need >> 20} MiB that merging needs "
                f"({error.strerror}); make room and run the same command again, nothing is lost"
            ) from error


def _fill(file: BinaryIO, need: int) -> None:
    """Write zeros behind what is in `file` until it is `need` bytes long."""
    left = need - file.seek(0, os.SEEK_END)
    for start in range(0, left, _PIECE):
        file.write(bytes(min(_PIECE, left - start)))
    os.fsync(file.fileno())


def _sweep(path: Path) -> None:
    folder = parts_folder(path)
    files.sweep([*folder.glob(".*.tmp"), *path.parent.glob(f".{path.name}.*.tmp")])
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time merge; the others wait their turn."""
    import fcntl

    with files.writing(path):
        files.make_folder(path.parent)
        file = path.with_name(path.name + ".lock").open("a")
    with file:
        with files.writing(path):  # not every file system has locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
