"""Scores of spotted intervals by the rules of the Micro-Expression Grand Challenges 2020–2025.

A spotted interval is a hit if it overlaps one true interval of its clip and kind with an
intersection over union of 0.5 or more, frames counted inclusively; both are used up by it.
Hits are summed over all clips of a database before anything is divided, and micro- and
macro-expressions are summed for the overall score.

Source: the rules of the challenges on spotting and on spotting then recognising (STRS), as
published at megc2020.github.io to megc2025.github.io.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Name = TypeVar("Name", str, tuple[int, str])

KINDS = ("micro", "macro")
LEAST_OVERLAP = 0.5


class Spot(NamedTuple):
    """Frame positions of one expression, 0-based and inclusive, and its kind."""

    onset: int
    offset: int
    kind: str = "micro"


class Tally(NamedTuple):
    """How many intervals were hit, how many were spotted and how many are true."""

    hits: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        """Share of the spotted intervals that are hits; 0 if nothing was spotted."""
        return self.hits / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the true intervals that were hit; 0 if there are none."""
        return self.hits / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """2 hits / (spotted + true); 0 where there is neither."""
        both = self.found + self.true
        return 2 * self.hits / both if both else 0.0


def overlap(a: Spot, b: Spot) -> float:
    """Return the intersection over union of two intervals whose last frames belong to them."""
    shared = min(a.offset, b.offset) - max(a.onset, b.onset) + 1
    if shared <= 0:
        return 0.0
    return shared / (_length(a) + _length(b) - shared)


def match(true: Sequence[Spot], found: Sequence[Spot]) -> list[tuple[int, int]]:
    """Return the hits of one clip as positions (true, found), each used at most once.

    Kinds must agree. The pairs that overlap most come first, earlier ones first among equals.
    Raises `InputError` for an interval that ends before it starts or whose kind is unknown.
    """
    for spot in (*true, *found):
        _check(spot)
    pairs = [
        (-overlap(t, f), i, k)
        for i, t in enumerate(true)
        for k, f in enumerate(found)
        if t.kind == f.kind and overlap(t, f) >= LEAST_OVERLAP
    ]
    hits: dict[int, int] = {}
    for _, i, k in sorted(pairs):
        if i not in hits and k not in hits.values():
            hits[i] = k
    return sorted(hits.items())


def tally(
    true: Mapping[Name, Sequence[Spot]], found: Mapping[Name, Sequence[Spot]]
) -> dict[str, Tally]:
    """Return the sums over a whole database for ``micro``, ``macro`` and ``overall``.

    Both hold the intervals of each clip by its name; a clip without any may be left away in
    `found`, never in `true`. Raises `InputError` for spotted clips that `true` does not know.
    """
    unknown = sorted(set(found) - set(true))
    if unknown:
        raise InputError(f"clip {unknown[0]} was spotted in but has no annotation")
    counts = {kind: [0, 0, 0] for kind in KINDS}
    for clip, spots in true.items():
        proposals = found.get(clip, ())
        for i, _ in match(spots, proposals):
            counts[spots[i].kind][0] += 1
        for place, intervals in ((1, proposals), (2, spots)):
            for spot in intervals:
                counts[spot.kind][place] += 1
    sums = {kind: Tally(*numbers) for kind, numbers in counts.items()}
    overall = Tally(*(sum(numbers) for numbers in zip(*sums.values(), strict=True)))
    return {**sums, "overall": overall}


def strs(f1_spotting: float, f1_recognition: float) -> float:
    """Return the spot-then-recognise score: the product of both F1, the latter on the hits."""
    return f1_spotting * f1_recognition


def _length(spot: Spot) -> int:
    return spot.offset - spot.onset + 1


def _check(spot: Spot) -> None:
    if spot.offset < spot.onset:
        raise InputError(f"interval ends at frame {spot.offset} before it starts at {spot.onset}")
    if spot.kind not in KINDS:
        raise InputError(f"interval is '{spot.kind}', expected one of {', '.join(KINDS)}")
