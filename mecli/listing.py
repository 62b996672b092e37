"""What several sources hold together, though one of them may not be readable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mecli.corpora.sources import expand, inspect_sources
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TextIO

    from mecli.clips import Clip


@dataclass(frozen=True, slots=True)
class Listing:
    """The clips of some sources, and the sources that could not be read and why."""

    clips: list[Clip]
    failures: dict[str, str]
    notes: tuple[str, ...] = ()
    """What is doubtful about a source as a whole."""


def list_sources(
    sources: Sequence[str],
    corpus: str | None = None,
    stdin: TextIO | None = None,
    *,
    as_published: bool = False,
) -> Listing:
    """Return the clips of all `sources`, sorted by clip id, without opening one.

    Where several are named, one that cannot be read does not stop the others; the only one
    raises `InputError`.
    """

    def read(source: Path) -> Listing:
        (reading,) = inspect_sources([source], corpus, as_published=as_published)
        notes = (reading.doubt,) if reading.doubt else ()
        return Listing(sorted(reading.clips, key=lambda clip: clip.clip_id), {}, notes)

    named = list(expand(sources, stdin))
    if len(named) == 1:
        return read(named[0])
    found: dict[str, Clip] = {}
    failures: dict[str, str] = {}
    notes: list[str] = []
    for source in named:
        try:
            one = read(source)
        except InputError as error:
            failures[str(source)] = str(error)
            continue
        twice = next((c for c in one.clips if c.clip_id in found), None)
        if twice is not None:
            failures[str(source)] = (
                f"{source}: clip {twice.clip_id} is also in {found[twice.clip_id].location}; "
                "name each clip once, or give it a name in a manifest"
            )
            continue
        found |= {clip.clip_id: clip for clip in one.clips}
        notes += one.notes
    return Listing([found[clip_id] for clip_id in sorted(found)], failures, tuple(notes))
