"""Clips that are extracted but not yet merged, each in a file of its own beside the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mecli import files
from mecli.cache.writing import clip_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mecli.records import ClipRecord

PARTS = ".parts"


def parts_folder(path: Path) -> Path:
    """Return the folder of clips that wait to be merged into the cache at `path`."""
    return path.with_name(path.name + PARTS)


def waiting_keys(path: Path) -> set[str]:
    """Return the keys of the parts that wait to be merged into the cache at `path`."""
    return {part.stem for part in parts_folder(path).glob("[!.]*.h5")}


def add(path: Path, record: ClipRecord, key: str, options: Mapping[str, Any]) -> None:
    """Put one clip beside the cache at `path`; safe from any number of processes at once."""
    files.write_bytes(parts_folder(path) / f"{key}.h5", clip_image(record, key, options))
