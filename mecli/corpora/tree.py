"""A folder ``class/subject/clip``, where a clip is a video or a folder of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.clips import Clip, check_part
from mecli.corpora.loose import frames_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mecli.corpora.frames import Disk

DEPTH = 3


def read_tree(disk: Disk, root: Path, paths: Iterable[Path]) -> list[Clip]:
    """Return the clips at `paths`, each ``root/class/subject/clip``.

    The corpus is called after `root`. Clips of two classes may share a name, so the
    class leads the clip's name.
    """
    corpus = check_part((root.absolute().name or "tree").strip(), f"{root}: folder name")
    clips = []
    for path in paths:
        frames = frames_of(disk, path)
        subject, label = path.parent.name.strip(), path.parent.parent.name.strip()
        name = (path.stem if path.is_file() else path.name).strip()
        clips.append(
            Clip(
                corpus=corpus,
                subject=check_part(subject, f"{path}: subject folder"),
                name=check_part(f"{label}_{name}", f"{path}: name"),
                frames=frames.frames,
                labels={"emotion": label},
                issues=frames.issues,
            )
        )
    return clips
