"""What reading a source gives, and what `sources` asks of a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

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


class Reader(Protocol):
    """What `sources` asks of every reader in the registry, beyond `CorpusReader`."""

    def has_sheet(self, disk: Disk, root: Path) -> bool:
        """Whether this corpus's annotation lies in `root`."""
        ...

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Whether the frames below `root` can only be this corpus's."""
        ...

    def is_sheet_name(self, stem: str) -> bool:
        """Whether a file name is that of this corpus's sheet."""
        ...

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read the corpus below `root`, annotated by `sheet` if that is named."""
        ...
