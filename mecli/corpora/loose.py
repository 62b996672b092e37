"""Clips without a corpus: video files and folders of images; who is shown is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.clips import Clip, check_part
from mecli.corpora.frames import Disk, Numbered

if TYPE_CHECKING:
    from pathlib import Path

SUBJECT_UNKNOWN = "subject unknown"

CORPUS = "loose"


def read_unit(disk: Disk, path: Path) -> Clip:
    """Return a video file, or a folder that directly holds images, as a clip.

    The subject is unknown. Leave-one-subject-out must not put one person on both sides,
    so clips from one folder count as one person, called after that folder.
    """
    subject = path.absolute().parent.name or "root"
    frames = frames_of(disk, path)
    return Clip(
        corpus=CORPUS,
        subject=check_part(subject.strip(), f"{path}: folder name"),
        name=check_part((path.stem if path.is_file() else path.name).strip(), f"{path}: name"),
        frames=frames.frames,
        issues=(f"{SUBJECT_UNKNOWN}, counted as '{subject}' after the folder", *frames.issues),
    )


def frames_of(disk: Disk, path: Path) -> Numbered:
    """Return the frames of a video file or an image folder."""
    if path.is_file():
        return Numbered(path)
    return disk.numbered(path)


def units(disk: Disk, root: Path, depth: int = 4) -> list[tuple[Path, int]]:
    """Return every video and image folder below `root` with its depth (`root` itself: 0).

    Images beside videos or beside folders of clips are covers, no clip of their own.
    """
    inside = disk.listing(root)
    found = [(video, 1) for video in inside.videos]
    for folder in inside.folders if depth > 0 else ():
        found += [(path, below + 1) for path, below in units(disk, folder, depth - 1)]
    return found or ([(root, 0)] if inside.images else [])
