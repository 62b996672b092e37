"""A row of an annotation sheet on its way to a clip."""

from __future__ import annotations

from dataclasses import dataclass, field

from mecli.clips import check_part
from mecli.corpora.sheets import plain
from mecli.errors import InputError


@dataclass(slots=True)
class Entry:
    """One annotated row on its way to a clip: its cells, and what was odd so far."""

    row: int
    subject: str
    name: str
    cells: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float | None] = field(default_factory=dict)
    fps: float | None = None
    issues: list[str] = field(default_factory=list)


def part_of_id(text: str, what: str, entry: Entry) -> str:
    """Return `text` as part of a clip id, mended and noted where it cannot be one."""
    try:
        return check_part(plain(text), what)
    except InputError:
        mended = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in plain(text))
        entry.issues.append(f"{what} in row {entry.row} is {text[:40]!r}")
        return mended.strip(" .")[:200].strip() or f"row{entry.row}"
