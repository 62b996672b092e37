"""What a clip's record hangs on, as one digest: by it `extract` knows what is done already."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from mecli import cache

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.clips import Clip
    from mecli.recipe import Recipe


def source_key(clip: Clip, recipe: Recipe) -> str:
    """Return a digest of what decides the record of `clip`: files, annotation, recipe.

    Files count by name, size and modification time, so that a moved corpus stays valid
    and a changed file does not.
    """
    paths = clip.frames if isinstance(clip.frames, tuple) else (clip.frames,)
    beside = () if clip.landmarks is None else (clip.landmarks,)
    identity = [cache.SCHEMA, recipe.as_options(), clip.clip_id, clip.onset, clip.apex]
    identity += [clip.offset, clip.fps, sorted(clip.labels.items()), list(clip.issues)]
    identity += [_file_identity(path) for path in (*paths, *beside)]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]


def _file_identity(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return path.name, -1, -1
    return path.name, stat.st_size, stat.st_mtime_ns
