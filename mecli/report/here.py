"""Where one is, in words: the map that ``mecli`` shows without a verb."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from mecli.whereabouts import CacheHere, Whereabouts

_WAY = "extract → train → evaluate, predict: each can be run again, over one cache"
_MORE = "mecli VERB --help; mecli guide; mecli doctor"


def map_text(
    here: Whereabouts, verbs: Sequence[tuple[str, str]], version: str, stream: TextIO | None = None
) -> str:
    """Return `verbs` with what each does, what lies here, and the command that comes next."""
    rows = [[name, about] for name, about in verbs]
    where = [*here_rows(here), ["next", shlex.join(here.following)], ["more", _MORE]]
    blocks = [Table([f"mecli {version}", _WAY], rows, left=2)]
    return render([*blocks, Table(["here", str(here.folder)], where, left=2)], stream)


def here_rows(here: Whereabouts) -> list[list[str]]:
    """Return caches, runs and the checkpoint of predict as rows of a table."""
    rows = [["cache", _cache(one)] for one in here.caches] or [["cache", "none yet"]]
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
