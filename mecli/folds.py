"""Protocols: who is trained on and who is tested, always by person, never by clip.

Every protocol takes the same mapping (clip id → person) and the same options, so that
one can be chosen by name; it returns folds that depend on neither the order of the
mapping nor the version of a random generator.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from mecli.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Fold:
    """The clip ids to fit on and the clip ids to score; no person is on both sides."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def loso(
    subject_of: Mapping[str, str], *, k: int = 5, share: float = 0.2, seed: int = 0
) -> tuple[Fold, ...]:
    """Leave one subject out: one fold a person, as MEGC 2019 asks (10.1109/FG.2019.8756611)."""
    clips_of = _clips_of(subject_of, at_least=2)
    folds = [_fold(person, (person,), clips_of) for person in clips_of]
    return check_folds(folds, subject_of, every_clip=True)


def kfold(
    subject_of: Mapping[str, str], *, k: int = 5, share: float = 0.2, seed: int = 0
) -> tuple[Fold, ...]:
    """Split the persons into `k` parts of about equal clip counts; each is tested once."""
    if k < 2:
        raise UsageError(f"k-fold needs at least 2 folds, got {k}")
    clips_of = _clips_of(subject_of, at_least=k)
    parts: list[list[str]] = [[] for _ in range(k)]
    sizes = [0] * k
    # Largest person first, each to the smallest part: the first k persons fill all parts.
    for person in sorted(_shuffled(clips_of, seed), key=lambda p: -len(clips_of[p])):
        smallest = sizes.index(min(sizes))
        parts[smallest].append(person)
        sizes[smallest] += len(clips_of[person])
    folds = [_fold(f"part{i}", part, clips_of) for i, part in enumerate(parts, start=1)]
    return check_folds(folds, subject_of, every_clip=True)


def holdout(
    subject_of: Mapping[str, str], *, k: int = 5, share: float = 0.2, seed: int = 0
) -> tuple[Fold, ...]:
    """Hold out `share` of the persons, at least one and not all, drawn by `seed`."""
    if not 0 < share < 1:
        raise UsageError(f"the share of subjects to hold out is {share}, expected 0 < share < 1")
    clips_of = _clips_of(subject_of, at_least=2)
    count = min(max(round(share * len(clips_of)), 1), len(clips_of) - 1)
    held = _shuffled(clips_of, seed)[:count]
    return check_folds([_fold("holdout", held, clips_of)], subject_of)


def lodo(
    subject_of: Mapping[str, str], *, k: int = 5, share: float = 0.2, seed: int = 0
) -> tuple[Fold, ...]:
    """Leave one corpus out, and with it all its persons: one fold a corpus.

    Corpora of the same people count as one, as their persons' names do.
    """
    clips_of = _clips_of(subject_of, at_least=2)
    corpora = _persons_by_corpus(clips_of)
    if len(corpora) < 2:
        raise InputError(
            f"1 corpus ({min(corpora)}), expected at least 2 for this protocol; add a cache of "
            "another corpus or choose another protocol"
        )
    folds = [_fold(corpus, persons, clips_of) for corpus, persons in corpora.items()]
    return check_folds(folds, subject_of, every_clip=True)


def hde(
    subject_of: Mapping[str, str], *, k: int = 5, share: float = 0.2, seed: int = 0
) -> tuple[Fold, ...]:
    """Train on one corpus and test on the other, both ways, as MEGC 2018 asks.

    Source: Yap, See, Hong, Wang, FG 2018, 10.1109/FG.2018.00106 (holdout-database
    evaluation). Raises `InputError` for more or fewer than two corpora.
    """
    folds = lodo(subject_of)
    names = [fold.name for fold in folds]
    if len(folds) != 2:
        raise InputError(
            f"{len(folds)} corpora ({', '.join(names)}), expected exactly 2 for protocol hde; "
            "choose lodo, or caches of two corpora"
        )
    return tuple(
        Fold(f"{other} to {fold.name}", fold.train, fold.test)
        for fold, other in zip(folds, reversed(names), strict=True)
    )


def everything(
    subject_of: Mapping[str, str], *, k: int = 5, share: float = 0.2, seed: int = 0
) -> tuple[Fold, ...]:
    """Train on all clips and hold out nobody: for a checkpoint, never for a score."""
    _clips_of(subject_of, at_least=1)
    return (Fold("all", tuple(sorted(subject_of)), ()),)


def check_folds(
    folds: Iterable[Fold], subject_of: Mapping[str, str], *, every_clip: bool = False
) -> tuple[Fold, ...]:
    """Return `folds` if they are honest, else raise `InputError`.

    No person may be on both sides of a fold, no clip may be tested twice or be unknown
    to `subject_of`, and with `every_clip` each clip of `subject_of` must be tested.
    """
    folds = tuple(folds)
    tested: dict[str, str] = {}
    for fold in folds:
        unknown = set(fold.train + fold.test) - set(subject_of)
        if unknown:
            raise InputError(f"fold {fold.name}: the subject of clip {min(unknown)} is not known")
        shared = {subject_of[c] for c in fold.train} & {subject_of[c] for c in fold.test}
        if shared:
            raise InputError(f"fold {fold.name}: {min(shared)} is both trained on and tested")
        for clip in fold.test:
            if clip in tested:
                raise InputError(f"clip {clip} is tested twice: in {tested[clip]} and {fold.name}")
            tested[clip] = fold.name
    missing = set(subject_of) - set(tested)
    if every_clip and missing:
        raise InputError(f"clip {min(missing)} is tested in no fold")
    return folds


def _clips_of(subject_of: Mapping[str, str], at_least: int) -> dict[str, list[str]]:
    clips_of: defaultdict[str, list[str]] = defaultdict(list)
    for clip in sorted(subject_of):
        clips_of[subject_of[clip]].append(clip)
    if len(clips_of) < at_least:
        names = f" ({', '.join(sorted(clips_of))})" if clips_of else ""
        raise InputError(
            f"{len(clips_of)} subject(s){names}, expected at least {at_least} for this protocol; "
            "add subjects or choose another protocol"
        )
    return {person: clips_of[person] for person in sorted(clips_of)}


def _persons_by_corpus(persons: Iterable[str]) -> dict[str, list[str]]:
    """Return corpus → its persons, whose names start with it."""
    corpora: defaultdict[str, list[str]] = defaultdict(list)
    for person in persons:
        corpora[person.split("/", 1)[0]].append(person)
    return {corpus: corpora[corpus] for corpus in sorted(corpora)}


def _fold(name: str, held: Sequence[str], clips_of: Mapping[str, list[str]]) -> Fold:
    test = sorted(c for person in held for c in clips_of[person])
    train = sorted(c for person, clips in clips_of.items() if person not in held for c in clips)
    return Fold(name, tuple(train), tuple(test))


def _shuffled(persons: Iterable[str], seed: int) -> list[str]:
    # A digest instead of a generator: the same draw on every platform and numpy.
    return sorted(persons, key=lambda p: sha256(f"{seed}\0{p}".encode()).digest())
