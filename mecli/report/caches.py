"""What caches hold, whether they are whole, and what was merged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

_MANY = 20


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What one cache holds."""

    path: Path
    size_bytes: int
    waiting: int
    """Parts beside the cache that are not merged yet."""
    fingerprint: str
    options: Mapping[str, Any]
    clips: int
    subjects: int
    corpora: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    """Label scheme → class → clips."""
    failures: Mapping[str, str]
    odd: Mapping[str, tuple[str, ...]]
    estimated: Mapping[str, int]
    """Onset, apex, offset → clips in which it was found, not annotated."""
    quality: Mapping[str, Mapping[str, float]]
    """Measure → median, low (5 %) and high (95 %)."""


@dataclass(frozen=True, slots=True)
class Verified:
    """One cache, checkpoint or run folder that was read whole."""

    path: Path
    read: int
    """Clips of a cache, files of a run."""
    problems: tuple[str, ...]
    bad: tuple[str, ...] = ()
    """Damaged clips of a cache, damaged files of a run; empty if it could not be read at all."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What is damaged in one cache, part or run, and what is done about it."""

    path: Path
    problems: tuple[str, ...]
    steps: tuple[str, ...]
    """Each in words; empty if it is beyond repair."""
    following: str
    """What to run afterwards, which makes anew what was lost."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What was merged into which cache."""

    path: Path
    clips: int
    sources: tuple[Path, ...]


def info_json(found: Sequence[CacheInfo]) -> dict[str, Any]:
    """Return all caches as one object."""
    return {"caches": [_info_json(cache) for cache in found]}


def _info_json(cache: CacheInfo) -> dict[str, Any]:
    return {
        "cache": str(cache.path),
        "size_bytes": cache.size_bytes,
        "waiting": cache.waiting,
        "fingerprint": cache.fingerprint,
        "options": dict(cache.options),
        "clips": cache.clips,
        "subjects": cache.subjects,
        "corpora": dict(cache.corpora),
        "classes": {scheme: dict(counts) for scheme, counts in cache.classes.items()},
        "failed": [{"clip": c, "reason": r} for c, r in cache.failures.items()],
        "odd": {clip: list(issues) for clip, issues in cache.odd.items()},
        "estimated": dict(cache.estimated),
        "quality": {name: dict(values) for name, values in cache.quality.items()},
    }


def info_text(found: Sequence[CacheInfo], stream: TextIO | None = None) -> str:
    """Return one block per cache."""
    blocks: list[str | Table] = []
    for cache in found:
        blocks += _info_blocks(cache)
    return render(blocks, stream)


def _info_blocks(cache: CacheInfo) -> list[str | Table]:
    waiting = f"{count(cache.waiting, 'part')} (mecli merge {cache.path})" if cache.waiting else "0"
    rows = [
        ["clips", f"{cache.clips} of {count(cache.subjects, 'subject')}"],
        ["corpora", _counts(cache.corpora)],
        *([scheme, _counts(counts)] for scheme, counts in cache.classes.items()),
        ["estimated", _counts(cache.estimated)],
        ["odd", count(len(cache.odd), "clip")],
        ["failed", count(len(cache.failures), "clip")],
        ["waiting", waiting],
        ["options", ", ".join(f"{name} {value}" for name, value in cache.options.items())],
        ["size", f"{cache.size_bytes / 1e6:.1f} MB"],
        ["fingerprint", cache.fingerprint],
    ]
    blocks: list[str | Table] = [Table([str(cache.path), ""], rows, left=2)]
    if cache.quality:
        measured = [
            [name.replace("_px", ", px"), *(f"{q[k]:.3g}" for k in ("median", "low", "high"))]
            for name, q in cache.quality.items()
        ]
        blocks.append(Table(["quality", "median", "5 %", "95 %"], measured))
    if cache.failures:
        # The reason is told once, without the names that differ from clip to clip.
        reasons = Counter(_reason(c, r) for c, r in cache.failures.items()).most_common(_MANY)
        blocks.append(Table(["failures by reason", "clips"], [[r, str(n)] for r, n in reasons]))
    return blocks


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items()) or "–"


def _reason(clip: str, reason: str) -> str:
    return reason.split(f"clip {clip}: ", 1)[-1]


def verified_json(found: Sequence[Verified]) -> dict[str, Any]:
    """Return all that was read as one object."""
    return {
        "whole": not any(item.problems for item in found),
        "read": [
            {"path": str(v.path), "parts": v.read, "problems": list(v.problems)} for v in found
        ],
    }


def verified_text(found: Sequence[Verified], stream: TextIO | None = None) -> str:
    """Return one row per file or folder, then what is damaged."""
    rows = [[str(v.path), str(v.read), str(len(v.problems)) or "–"] for v in found]
    blocks: list[str | Table] = [Table(["verify", "read", "damaged"], rows)]
    problems = [[text] for item in found for text in item.problems]
    if len(problems) > _MANY:
        problems[_MANY:] = [[f"… and {len(problems) - _MANY} more (all with --json)"]]
    if problems:
        blocks.append(Table(["damaged"], problems))
    return render(blocks, stream)


def repaired_json(found: Sequence[Repaired], applied: bool) -> dict[str, Any]:
    """Return all repairs as one object."""
    repairs = [
        {
            "path": str(one.path),
            "problems": list(one.problems),
            "steps": list(one.steps),
            "next": one.following,
        }
        for one in found
    ]
    return {"applied": applied, "repairs": repairs}


def repaired_text(found: Sequence[Repaired], applied: bool, stream: TextIO | None = None) -> str:
    """Return what is damaged, what was or would be done about it, and what to run then."""
    if not found:
        return "nothing is damaged\n"
    title = "done" if applied else "would be done with --apply"
    steps = [[step] for one in found for step in one.steps or (f"{one.path}: beyond repair",)]
    problems = [[text] for one in found for text in one.problems]
    if len(problems) > _MANY:
        problems[_MANY:] = [[f"… and {len(problems) - _MANY} more (all with --json)"]]
    then = [[words] for words in dict.fromkeys(one.following for one in found)]
    blocks = (Table(["damaged"], problems), Table([title], steps), Table(["then"], then))
    return render(blocks, stream)


def merged_json(merged: Merged) -> dict[str, Any]:
    """Return what was merged as one object."""
    sources = [str(path) for path in merged.sources]
    return {"cache": str(merged.path), "clips": merged.clips, "sources": sources}


def merged_text(merged: Merged) -> str:
    """Return what was merged in two lines."""
    rows = [["clips", str(merged.clips)], ["from", count(len(merged.sources), "file")]]
    return render([Table([str(merged.path), ""], rows, left=2)])
