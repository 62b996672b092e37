"""SMIC: label and subject come from the path; three cameras, raw and cropped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mecli.clips import Clip
from mecli.corpora.frames import Disk, natural_key
from mecli.corpora.indexed import clip_paths, fits_layout, is_cropped
from mecli.corpora.reading import Reading
from mecli.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

FPS = {"HS": 100.0, "VIS": 25.0, "NIR": 25.0}
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}
_NAME = re.compile(r"s(\d+)_([a-z]+)_(\d+)", re.IGNORECASE)


class Form(NamedTuple):
    """Which camera's frames a clip has, and whether they are cropped to the face."""

    camera: str
    cropped: bool


def clip_name(folder: str) -> tuple[str, str, str]:
    """Return ``s01``, ``s01_ne_01`` and ``negative`` for a folder called ``s1_ne_01``."""
    found = _NAME.search(folder)
    if not found:
        return "", folder.strip(), ""
    subject = f"s{int(found[1]):02d}"
    kind = found[2].casefold()
    return subject, f"{subject}_{kind}_{int(found[3]):02d}", EMOTIONS.get(kind, "")


def camera_of(path: Path) -> str:
    """Return HS, VIS or NIR as the nearest folder says, HS where none does."""
    for part in reversed(path.absolute().parts):
        for word in re.split(r"[^A-Za-z]+", part.upper()):
            if word in FPS:
                return word
    return "HS"


class Smic:
    """SMIC: micro-expressions without apex; ``non_micro`` is left out.

    Of several cameras the fastest is read, of several forms the raw frames; clips of the
    slower cameras have the camera in their name, the people are the same.
    """

    name = "smic"
    title = "SMIC"
    paper = "Li et al., A spontaneous micro-expression database: inducement, collection, baseline"
    doi = "10.1109/FG.2013.6553717"
    licence = "granted by the University of Oulu for research; no sharing"
    sheet_name = "no sheet: HS/s1/micro/negative/s1_ne_01/"
    layout = r"/s\d+/micro/(?:negative|positive|surprise)/s\d+_[^/]*/[^/]*image\d+\.\w+$"

    def __init__(self, as_published: bool = False, whole: bool = False) -> None:
        self.as_published = as_published
        self.whole = whole

    def has_sheet(self, disk: Disk, root: Path) -> bool:
        """SMIC has no sheet."""
        return False

    def is_sheet_name(self, stem: str) -> bool:
        """SMIC has no sheet."""
        return False

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Whether clips lie below micro/negative and so on."""
        return any(fits_layout(disk, path, self.layout) for path in clip_paths(disk, root))

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read the clips of one camera and one form."""
        if sheet is not None:
            raise InputError(f"{sheet}: SMIC has no sheet, name the folder of its frames")
        disk = disk or Disk()
        forms: dict[Form, list[Path]] = {}
        for path in clip_paths(disk, root):
            if fits_layout(disk, path, self.layout):
                form = Form(camera_of(path), is_cropped(path, root))
                forms.setdefault(form, []).append(path)
        if not forms:
            raise InputError(f"{root}: no clips of SMIC found, expected {self.sheet_name[10:]}")
        order = sorted(forms, key=lambda f: (tuple(FPS).index(f.camera), f.cropped))
        notes = [
            f"{_words(f)} frames were not read: {_words(order[0])} ones were" for f in order[1:]
        ]
        paths = sorted(forms[order[0]], key=lambda p: natural_key(str(p)))
        clips: dict[str, Clip] = {}
        for path in paths:
            clip = _clip(disk, path, order[0].camera)
            if clips.setdefault(clip.clip_id, clip) is not clip:
                notes.append(f"{path} was not read: it is {clip.clip_id} once more")
        found = sorted(clips.values(), key=lambda c: c.clip_id)
        return Reading(self.name, root, found, tuple(notes), form=_words(order[0]))


def _words(form: Form) -> str:
    return f"{form.camera} {'cropped' if form.cropped else 'raw'}"


def _clip(disk: Disk, path: Path, camera: str) -> Clip:
    frames = disk.numbered(path)
    emotion, subject = path.parent.name.casefold(), f"s{int(path.parents[2].name[1:]):02d}"
    named, name, kind = clip_name(path.name)
    issues = list(frames.issues)
    if named != subject:
        issues.append(f"folder name says subject {named}, the folder above {subject}")
    if kind != emotion:
        issues.append(f"folder name says {kind or 'no emotion'}, the folder above {emotion}")
    return Clip(
        corpus=Smic.name,
        subject=subject,
        name=name if camera == "HS" else f"{name}_{camera}",
        frames=frames.frames,
        onset=0,
        offset=len(frames.numbers) - 1,
        fps=FPS[camera],
        labels={"emotion": emotion},
        issues=tuple(issues),
    )
