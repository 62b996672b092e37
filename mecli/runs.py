"""What can be scored: run folders and tables of predictions, read and checked; never torch.

A run with selection oracle is two sources: its last epoch, which is honest, and what its
held-out subjects picked for themselves, which is marked as leaked wherever it goes.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from mecli.clips import person_of, without_zeros
from mecli.errors import InputError, MissingDependency
from mecli.files import read_json
from mecli.predictions import LEAKED, read_predictions
from mecli.schemes.au import SCHEMES as AU_SCHEMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from mecli.predictions import PredictionTable

RUN_FORMAT = 1
COMPLETE = "complete"
_KINDS = {
    **dict.fromkeys(("model", "protocol", "scheme", "status", "selection"), str),
    **dict.fromkeys(("folds", "parts"), list),
    "excluded": dict,
}
ORACLE = "oracle"
PREDICTIONS, LEAKED_PREDICTIONS = "predictions.csv", f"predictions-{LEAKED}.csv"


@dataclass(frozen=True, slots=True)
class Source:
    """One table of predictions, with run.json and folder of the run it is from, if any."""

    name: str
    table: PredictionTable
    header: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    remark: str = ""
    """What else has to be known."""

    def note(self) -> str:
        """Return what a reader has to know before the figures, empty if nothing."""
        if self.table.leaked:
            return (
                "every figure is LEAKED: the held-out subjects picked the epoch (selection "
                "oracle); this shows what that fakes and is no result"
            )
        status = self.header.get("status", COMPLETE)
        if status != COMPLETE:
            return f"the run is '{status}', not complete: these are the folds done so far"
        return "; ".join(
            filter(None, (self.remark, _other_people(self.table), _taken_as_two(self.table)))
        )


def _other_people(table: PredictionTable) -> str:
    """Name a clip whose id says another person than its column, which folds and draws go by."""
    for row in table.rows:
        corpus, _, rest = row.clip.partition("/")
        said = person_of(corpus, rest.split("/")[0])
        told = without_zeros(row.subject.casefold())
        if rest.count("/") == 1 and without_zeros(said.casefold()) != told:
            whose = f"of {row.subject} by its columns, which count"
            return f"clip {row.clip} is {whose}, not of {said}"
    return ""


def _taken_as_two(table: PredictionTable) -> str:
    """Name people or corpora that only case and zeros tell apart: each counts as another one."""
    first: dict[str, str] = {}
    for name in sorted({name for row in table.rows for name in (row.corpus, row.subject)}):
        known = first.setdefault(without_zeros(name.casefold()), name)
        if known != name:
            return f"{known} and {name} are taken as two; write them alike if they are one"
    return ""


def read_sources(source: str | Path, stdin: TextIO | None = None) -> list[Source]:
    """Return the tables of a run folder, or of a predictions CSV (``-``: `stdin`).

    Raises `InputError` for what cannot be scored.
    """
    folder = Path(source)
    if str(source) == "-" or not folder.is_dir():
        table = read_predictions(source, stdin)
        return [Source(f"{table.source} {LEAKED}" if table.leaked else table.source, table)]
    header = read_header(folder)
    if "parts" in header:
        return _parts(folder, header)
    if header.get("status") != COMPLETE and not (folder / PREDICTIONS).exists():
        raise InputError(
            f"{folder}: nothing is scored yet; go on with `mecli train --resume {folder}`"
        )
    found = [Source(str(folder), read_predictions(folder / PREDICTIONS), header, folder)]
    if header.get("selection") == ORACLE:
        leaked = read_predictions(folder / LEAKED_PREDICTIONS)
        found.append(Source(f"{folder} {LEAKED}", leaked, header, folder))
    for one in found:
        _check_complete(one)
    return found


def _parts(folder: Path, header: Mapping[str, Any]) -> list[Source]:
    """Return the tables of a run for each action unit, as far as they are there."""
    there = [p for p in AU_SCHEMES if p in header["parts"]]
    there = [p for p in there if (folder / p / PREDICTIONS).exists()]
    if not there:
        raise InputError(f"{folder}: no action unit is done yet; go on with `mecli train --resume`")
    return [source for part in there for source in read_sources(folder / part)]


def newest_run(folder: Path) -> Path:
    """Return the newest complete run in `folder`, by the time in its name or its file.

    Runs whose held-out subjects picked the epoch are left out: they have to be named.
    """
    found = [path for path in sorted(folder.glob("*/run.json")) if _counts(path)]
    if not found:
        raise MissingDependency(f"no complete run in {folder}/: run `mecli train` first")
    return max(found, key=_written).parent


def _counts(path: Path) -> bool:
    header = read_json(path)
    return (
        isinstance(header, dict)
        and header.get("status") == COMPLETE
        and header.get("selection") != ORACLE
    )


def _written(path: Path) -> tuple[str, str]:
    stamp = re.match(r"\d{8}-\d{6}", path.parent.name)
    saved = time.strftime("%Y%m%d-%H%M%S", time.localtime(path.stat().st_mtime))
    return (stamp.group() if stamp else saved), path.parent.name


def read_header(folder: Path) -> dict[str, Any]:
    """Return run.json of a run folder, checked as far as the scores depend on it."""
    path = folder / "run.json"
    if not path.exists():
        raise InputError(f"{folder}: holds no run.json, so it is no run; name a run or a CSV file")
    header = read_json(path)
    version = header.get("format") if isinstance(header, dict) else None
    if version != RUN_FORMAT:
        raise InputError(f"{path}: run format is {version}, expected {RUN_FORMAT}; train again")
    classes = header.get("classes")
    if not classes or not _are_names(classes):
        raise InputError(f"{path}: 'classes' is {classes!r}, expected a list of names")
    for name, kind in _KINDS.items():
        if not isinstance(header.get(name), (kind, NoneType)):
            raise InputError(f"{path}: '{name}' is no {kind.__name__}; train again")
    folds = header.get("folds") or []
    if not all(isinstance(f, dict) and _are_names(f.get("test", [])) for f in folds):
        raise InputError(f"{path}: 'folds' do not list clips; train again")
    if header.get("protocol") == "all":
        raise InputError(f"{folder}: protocol 'all' holds out nobody, so there is nothing to score")
    return dict(header)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _check_complete(source: Source) -> None:
    """Refuse a complete run whose table lacks a held-out clip, or holds another."""
    expected = {clip for fold in source.header.get("folds") or [] for clip in fold.get("test", [])}
    if source.header.get("status") != COMPLETE or not expected:
        return
    for seed, clips in source.table.by_seed().items():
        odd = sorted(expected ^ set(clips))
        if odd:
            raise InputError(
                f"{source.table.source}: seed {seed} has {len(clips)} clips, but run.json "
                f"holds out {len(expected)}; the first that differs is {odd[0]}; train again"
            )
