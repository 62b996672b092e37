"""From what the user names (files, folders, '-') to caches on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mecli import files
from mecli.errors import InputError, MissingDependency, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUFFIX = ".h5"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def expand_caches(named: Sequence[str | Path], stdin: TextIO | None = None) -> list[Path]:
    """Return the caches named: files, all ``*.h5`` of a folder, '-' for a list on `stdin`.

    `MissingDependency` for one that is not there, `InputError` for a folder without any.
    """
    if list(map(str, named)).count("-") > 1:
        raise UsageError("'-' is named twice, the list on stdin can be read once")
    found = [path for name in named for path in _expand(str(name), stdin or sys.stdin)]
    return list(dict.fromkeys(found))


def _expand(name: str, stdin: TextIO) -> Iterator[Path]:
    if name == "-":
        lines = [line.strip() for line in files.lines(stdin, "-")]
        if not any(lines):
            raise InputError("-: no path on stdin, expected one a line")
        for line in filter(None, lines):
            yield from _in_place(Path(line))
    else:
        yield from _in_place(Path(name))


def _in_place(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise MissingDependency(f"{path}: no such cache; run `mecli extract SOURCE` first")
        return [path]
    found = sorted(p for p in path.glob(f"[!.]*{SUFFIX}") if p.is_file())
    if not found:
        raise InputError(f"{path}: holds no cache, expected files *{SUFFIX}")
    return found


def is_cache(path: Path) -> bool:
    """Whether `path` is an HDF5 file by its first bytes."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
