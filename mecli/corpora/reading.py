"""What reading a source gives, and what `sources` asks of a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.clips import Clip
    from mecli.corpora.frames import Disk


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader took from a corpus folder: clips, and notes that belong to no clip."""

    corpus: str
    root: Path
    clips: list[Clip]
    notes: tuple[str, ...] = ()
    sheet: Path | None = None
    form: str = ""
    """Which of several forms on disk the frames come from."""
    doubt: str = ""
    """Why it may be another corpus than the one that was named; one of the notes, too."""


@runtime_checkable
class CorpusReader(Protocol):
    """A corpus folder in, clips out: annotations and frame paths, no pixels.

    `SheetReader` has most of it for corpora with an annotation sheet.
    """

    name: ClassVar[str]
    """Registry key and first part of every clip id."""
    title: ClassVar[str]
    """The corpus as its authors call it."""
    paper: ClassVar[str]
    doi: ClassVar[str]
    """``none`` where there is no paper."""
    licence: ClassVar[str]
    """Who grants the corpus and how; `mecli check` reminds of it."""

    def __init__(self, as_published: bool = False, whole: bool = False) -> None:
        """With `as_published` mend no slip of the sheet; with `whole` cut no long recording."""
        ...

    def has_sheet(self, disk: Disk, root: Path) -> bool:
        """Whether this corpus's annotation lies in `root` (or its only subfolder)."""
        ...

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Whether the frames below `root` can only be this corpus's."""
        ...

    def is_sheet_name(self, stem: str) -> bool:
        """Whether a file name is that of this corpus's sheet."""
        ...

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read every annotated clip below `root`, sorted by clip id; by `sheet` if that is named.

        Odd cells and missing frames become `issues` of the clip, never an exception;
        `InputError` is for a folder that cannot be read as this corpus at all.
        """
        ...
