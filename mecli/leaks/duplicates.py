"""Clips that are the same recording under the names of two persons.

Every clip is sketched by the direction of its motion (14×12 grid) and by its onset face
(six ROIs of 12×12 grey cells). One blocked matrix product compares all pairs. Measured on
rendered faces: two clips of one person have a face similarity of .973 or more, two persons
.867 at most. The motion of different clips agrees up to .945, that of a copy encoded anew
(CRF 24, trimmed by two frames) by .93; only both together tell a copy. A copy whose motion
does not survive its encoding is still a face under two names, which is a warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.leaks.case import persons_of
from mecli.report.audit import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mecli.leaks.case import Case, Limits

_SAME_FACE, _SAME_MOTION = 0.97, 0.85
# Without faces to compare, motion has to agree to what flow of a copy reproduces.
_SAME_MOTION_ALONE = 0.995
_LOOKALIKE = 0.98
_ROWS = 512
_MOST_PAIRS = 10_000

Pair = tuple[int, int, float, float]


def check_duplicates(case: Case, limits: Limits) -> Finding:
    """Look for copies of a clip among those of another person, and for faces with two names."""
    data = case.needed().data
    persons = list(persons_of(data.clip_ids).values())
    sketches = case.sketches
    pairs = list(alike(sketches.motion, sketches.face, persons))
    copies = [p for p in pairs if _is_copy(p)]
    names, classes = data.clip_ids, data.table.classes
    told = [
        f"{names[i]} ({classes[data.labels[i]]}) = {names[j]} ({classes[data.labels[j]]}): "
        f"{_similarity(motion, face)}"
        for i, j, motion, face in sorted(copies, key=lambda p: -p[2])
    ]
    got = f"{len(told)} pairs among {len(names)} clips"
    limits.step("duplicates")
    if told:
        advice = "the same recording under two persons; keep one of each pair"
        return Finding("duplicates", "leak", got, "0", advice, tuple(told))
    looks = sorted({tuple(sorted((persons[i], persons[j]))) for i, j, _, _ in pairs})
    if looks:
        advice = "the same face under two names? Give one person one name in the annotation"
        items = tuple(" and ".join(pair) for pair in looks)
        return Finding("duplicates", "warning", f"{len(looks)} faces alike", "0", advice, items)
    return Finding("duplicates", "ok", got, "0")


def alike(
    motion: NDArray[np.float32], face: NDArray[np.float32], persons: list[str]
) -> Iterator[Pair]:
    """Yield (i, j, motion, face) similarities of clips i < j of two persons that look alike.

    `motion` (N, D) and `face` (N, E) have rows of length 1, or of 0 where nothing is known;
    face is NaN then. At most 10,000 pairs.
    """
    number = np.unique(persons, return_inverse=True)[1]
    has_face, left = np.any(face, axis=1), _MOST_PAIRS
    for start in range(0, len(motion), _ROWS):
        rows = slice(start, start + _ROWS)
        moved, looked = motion[rows] @ motion[start:].T, face[rows] @ face[start:].T
        both = has_face[rows, None] & has_face[None, start:]
        found = np.where(
            both,
            ((looked >= _SAME_FACE) & (moved >= _SAME_MOTION)) | (looked >= _LOOKALIKE),
            moved >= _SAME_MOTION_ALONE,
        )
        found &= number[rows, None] != number[None, start:]
        for i, j in np.argwhere(np.triu(found, 1))[:left].tolist():
            looks = float(looked[i, j]) if both[i, j] else float("nan")
            yield start + i, start + j, float(moved[i, j]), looks
        left = max(left - int(np.triu(found, 1).sum()), 0)


def _is_copy(pair: Pair) -> bool:
    _, _, motion, face = pair
    return motion >= (_SAME_MOTION_ALONE if np.isnan(face) else _SAME_MOTION)


def _similarity(motion: float, face: float) -> str:
    return f"motion {motion:.3f}" + ("" if np.isnan(face) else f", face {face:.3f}")
