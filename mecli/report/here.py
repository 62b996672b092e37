"""Where one is, in words: the map that ``mecli`` shows without a verb."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TextIO

    from mecli.whereabouts import CacheHere, Whereabouts

_WAY = "extract → train → evaluate, predict: each can be run again, over one cache"
_AT_ONCE = "mecli predict CLIP asks the bundled checkpoint; mecli synth faces makes a corpus"
_SHOWN = 4
_MORE = "mecli VERB --help; mecli guide; mecli doctor"


def map_text(
    here: Whereabouts, verbs: Sequence[tuple[str, str]], version: str, stream: TextIO | None = None
) -> str:
    """Return `verbs` with what each does, what lies here, and the command that comes next."""
    rows = [[name, about] for name, about in verbs]
    where = [*here_rows(here), ["next", shlex.join(here.following)]]
    if not here.caches and not here.runs:
        where.append(["or", _AT_ONCE])
    where.append(["more", _MORE])
    blocks = [Table([f"mecli {version}", _WAY], rows, left=2)]
    return render([*blocks, Table(["here", homely(here.folder)], where, left=2)], stream)


def homely(folder: Path) -> str:
    """Return `folder` as people write it, with ``~`` for their own."""
    home = os.environ.get("HOME")
    if not home or not folder.is_relative_to(home):
        return str(folder)
    return str("~" / folder.relative_to(home))


def here_rows(here: Whereabouts) -> list[list[str]]:
    """Return caches, runs and the checkpoint of predict as rows of a table."""
    rows = [["cache", _cache(one)] for one in here.caches[:_SHOWN]] or [["cache", "none yet"]]
    if len(here.caches) > _SHOWN:
        rows.append(["", f"and {count(len(here.caches) - _SHOWN, 'more cache')}"])
    rows.append(["runs", _runs(here)])
    name = "bundled" if not any(run.path in here.checkpoint.parents for run in here.runs) else ""
    rows.append(["checkpoint", name or str(here.checkpoint)])
    return rows


def size(count_bytes: int) -> str:
    """Write a size as people read it, such as ``12.3 MB``."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count_bytes >= one:
            return f"{count_bytes / one:.1f} {unit}"
    return f"{count_bytes} B"


def _cache(one: CacheHere) -> str:
    waiting = f", {count(one.waiting, 'clip')} not yet merged" if one.waiting else ""
    return f"{one.path}, {size(one.bytes)}, written {one.written}{waiting}"


def _runs(here: Whereabouts) -> str:
    if not here.runs:
        return f"none in {here.runs_folder}/ yet"
    last = here.runs[-1]
    said = f"{count(last.clips, 'clip')} in {count(last.folds, 'fold')}, {last.status}"
    return f"{len(here.runs)} in {here.runs_folder}/, the last is {last.path.name}: {said}"
