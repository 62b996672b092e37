"""Write beside, sync, rename: a file is either the old one or the new one, never half."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import secrets
import shutil
import stat
import time
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TextIO

from mecli.errors import InputError, NotWritten

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LARGEST_TEXT = 64 << 20
_LARGEST_JSON = 256 << 20
_LONGEST_LINE = 1 << 20
_STALE_S = 3600.0
_TRIES = 100
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBADF}
_NO_NAME = {errno.ENAMETOOLONG, errno.ELOOP}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system has against writing `path` into `NotWritten`."""
    try:
        yield
    except OSError as error:
        raise not_written(error, path) from error


def not_written(error: OSError, path: Path | str) -> NotWritten:
    """Say why `path` could not be written and what to do."""
    todo = ""
    if error.errno in _FULL:
        todo = "; make room and run the same command again, what is finished is kept"
    if error.errno in _CLOSED:
        todo = "; name another place, or have this one opened to you"
    return NotWritten(f"{path}: cannot be written: {error.strerror or error}{todo}")


def is_refusal(error: OSError) -> bool:
    """Whether the system has no room, no permission or no such names, which is no bug."""
    return error.errno in _FULL | _CLOSED | _NO_NAME


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step that survives a kill or a power cut."""
    write_parts(path, [data])


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Replace `path` by `parts`, one after the other, as `write_bytes` does."""
    with writing(path):
        beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            with _opened(beside) as file:
                file.writelines(parts)
            commit(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def _opened(path: Path) -> BinaryIO:
    """Make `path` and open it, though another process may remove its folder while it is empty."""
    made: list[Path] = []
    for left in reversed(range(_TRIES)):
        made += _made(path.parent)
        try:
            file = path.open("xb")
            break
        except FileNotFoundError:
            if not left:
                raise
    for folder in made:
        sync_folder(folder)
    return file


def commit(beside: Path, path: Path) -> None:
    """Let the finished file `beside` become `path`, so that a power cut does not undo it."""
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)
    # Whoever waits for it may have taken it further by now, and removed its folder.
    with contextlib.suppress(FileNotFoundError):
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make `folder` and all above it, so that a power cut takes none of them away again."""
    for above in _made(folder):
        sync_folder(above)


def _made(folder: Path) -> list[Path]:
    """Make `folder` and all above it; return those that hold something new."""
    if folder.is_dir():
        return []
    made = _made(folder.parent)
    folder.mkdir(exist_ok=True)
    return [*made, folder.parent]


def sweep(leftovers: Iterable[Path]) -> None:
    """Remove what killed writers left half done, once no living one can still own it."""
    for path in leftovers:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()


def sweep_folders(leftovers: Iterable[Path]) -> None:
    """Remove whole folders that killed writers left, once nothing in them is new; no links."""
    for folder in leftovers:
        if folder.is_symlink() or not folder.is_dir():
            continue
        # What is moved or removed meanwhile is another writer's, who is alive.
        with contextlib.suppress(FileNotFoundError):
            newest = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
            if time.time() - newest > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def encoded(text: str) -> bytes:
    """Return `text` as UTF-8; what a file name holds that is no text is escaped as in messages."""
    return text.encode(errors="backslashreplace")


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8) in one step."""
    write_bytes(path, encoded(text))


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as JSON in one step; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_text(path: Path, most: int = LARGEST_TEXT, encoding: str = "utf-8-sig") -> str:
    """Return the text in `path`; `InputError` if it is missing, no regular file or too large.

    Text in another encoding raises `UnicodeDecodeError`: only the caller knows what it should be.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: cannot be read: is not a regular file")
        if status.st_size > most:
            raise InputError(
                f"{path}: is {status.st_size >> 20} MiB, expected at most {most >> 20} MiB of text"
            )
        return path.read_bytes().decode(encoding)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """Return the JSON document in `path`; `InputError` if it is missing, broken or has NaN."""
    try:
        return json.loads(read_text(path, _LARGEST_JSON, "utf-8"), parse_constant=_no_number)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def lines(stream: TextIO, name: str) -> Iterator[str]:
    """Yield the lines of `stream`; `InputError` for one that never ends."""
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise InputError(f"{name}: has a line of more than {_LONGEST_LINE >> 20} MiB")
        yield line


def csv_reader(lines: Iterable[str]) -> Reader:
    """Return a reader of `lines`, parted by whichever mark comes first in the first of them.

    Spreadsheets part by semicolons where a comma is the decimal point, or by tabs.
    """
    ahead = iter(lines)
    header = next(ahead, "")
    delimiter = next((c for c in header if c in ",;\t"), ",")
    return csv.reader(chain([header], ahead), delimiter=delimiter)
