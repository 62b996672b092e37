"""Where one is: the cache and the runs that lie here, and the command that comes next.

Nothing heavy is imported and no cache is opened: the command line says this without a verb.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import checkpoints, files
from mecli.caches import is_cache
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

CACHE, RUNS, SAMPLE = Path("mecli.h5"), Path("runs"), Path("sample_data")
_COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class CacheHere:
    """A cache as the file system sees it."""

    path: Path
    bytes: int
    written: str
    """Local time, as in 2026-11-26 14:02."""
    waiting: int
    """Clips that are extracted but not yet merged."""


@dataclass(frozen=True, slots=True)
class RunHere:
    """What a run folder says of itself; empty where it does not."""

    path: Path
    status: str
    model: str
    protocol: str
    folds: int
    clips: int
    """Held out by one of the folds."""

    @property
    def complete(self) -> bool:
        """Whether all its folds are trained."""
        return self.status == _COMPLETE


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What lies here; runs are sorted by name, so that the newest is last."""

    folder: Path
    caches: tuple[CacheHere, ...]
    runs_folder: Path
    runs: tuple[RunHere, ...]
    checkpoint: Path
    """What predict would ask."""
    sample: bool
    """Whether sample_data lies here."""
    found: bool = False
    """Whether the caches have other names than those that verbs look for untold."""

    @property
    def following(self) -> Sequence[str]:
        """The command that comes next."""
        if not self.caches:
            return ("mecli", "extract", str(SAMPLE) if self.sample else "SOURCE")
        if not self.runs:
            if not self.found:
                return ("mecli", "train")
            # One may be a copy of another: who has many knows which.
            names = [str(c.path) for c in self.caches] if len(self.caches) < 4 else ["CACHE"]
            return ("mecli", "train", *(word for name in names for word in ("-c", name)))
        if not self.runs[-1].complete:
            return ("mecli", "train", "--resume", str(self.runs[-1].path))
        return ("mecli", "evaluate")

    def as_json(self) -> dict[str, Any]:
        """Return all of it as one JSON object."""
        return {
            "folder": str(self.folder),
            "caches": [
                {"path": str(c.path), "bytes": c.bytes, "written": c.written, "waiting": c.waiting}
                for c in self.caches
            ],
            "runs_folder": str(self.runs_folder),
            "runs": [
                {
                    "path": str(r.path),
                    "status": r.status,
                    "model": r.model,
                    "protocol": r.protocol,
                    "folds": r.folds,
                    "clips": r.clips,
                }
                for r in self.runs
            ],
            "checkpoint": str(self.checkpoint),
            "next": list(self.following),
        }


def look(caches: Sequence[Path] = (CACHE,), runs: Path = RUNS) -> Whereabouts:
    """Return what lies in this folder; what is broken is left to the verbs that need it.

    Where there is none of `caches`, those of other names in this folder count.
    """
    known = tuple(cache for path in caches if (cache := _cache(path)))
    others = () if known else tuple(c for p in sorted(Path().glob("*.h5")) if (c := _cache(p)))
    return Whereabouts(
        folder=Path.cwd(),
        caches=known or others,
        runs_folder=runs,
        runs=tuple(run for path in sorted(runs.glob("*/run.json")) if (run := _run(path))),
        checkpoint=checkpoints.newest(runs) or checkpoints.bundled(),
        sample=SAMPLE.is_dir(),
        found=bool(others),
    )


def named_caches() -> list[Path]:
    """Return the caches that MECLI_CACHE names, else the usual one."""
    named = os.environ.get("MECLI_CACHE", "").split(os.pathsep)
    return [Path(name) for name in named if name] or [CACHE]


def named_runs() -> Path:
    """Return the folder that MECLI_RUNS names, else the usual one."""
    return Path(os.environ.get("MECLI_RUNS") or RUNS)


def _cache(path: Path) -> CacheHere | None:
    waiting = len(list(path.with_name(path.name + ".parts").glob("*.h5")))
    try:
        if not is_cache(path):
            return None
        stat = path.stat()
    except (InputError, OSError):
        return None
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(stat.st_mtime))
    return CacheHere(path, stat.st_size, written, waiting)


def _run(path: Path) -> RunHere | None:
    try:
        said = files.read_json(path)
    except InputError:
        return None
    if not isinstance(said, dict):
        return None
    try:
        held_out = [set(fold.get("test", ())) for fold in said.get("folds") or ()]
    except (AttributeError, TypeError):
        return None
    return RunHere(
        path=path.parent,
        status=str(said.get("status", "")),
        model=str(said.get("model", "")),
        protocol=str(said.get("protocol", "")),
        folds=sum(bool(clips) for clips in held_out),
        clips=len(set().union(*held_out)),
    )
