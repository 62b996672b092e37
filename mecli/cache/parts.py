"""Clips that are extracted but not yet merged, each in a file of its own beside the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import files
from mecli.cache.writing import clip_image
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mecli.records import ClipRecord

PARTS = ".parts"


def home(path: Path) -> Path:
    """Return where the cache at `path` lies; `InputError` if that names no file.

    A link is followed, so that all who name one cache meet at one lock and the link stays one.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    if not path.name:
        raise InputError(f"'{path}': names no file, expected one for the cache")
    return path


def parts_folder(path: Path) -> Path:
    """Return the folder of clips that wait to be merged into the cache at `path`.

    `InputError` if it is a link: merging and repairing remove what lies there.
    """
    folder = home(path).with_name(home(path).name + PARTS)
    if folder.is_symlink():
        raise InputError(
            f"{folder}: is a link, expected a folder of the cache's own; remove the link, or put "
            "the folder in its place"
        )
    return folder


def waiting_keys(path: Path) -> set[str]:
    """Return the keys of the parts that wait to be merged into the cache at `path`."""
    return {part.stem for part in parts_folder(path).glob("[!.]*.h5")}


def add(path: Path, record: ClipRecord, key: str, options: Mapping[str, Any]) -> None:
    """Put one clip beside the cache at `path`; safe from any number of processes at once."""
    files.write_bytes(parts_folder(path) / f"{key}.h5", clip_image(record, key, options))
