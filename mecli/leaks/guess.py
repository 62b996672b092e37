"""Controls that guess the class from what should not tell it: metadata, the face at rest.

The guesser is a ridge regression of the classes on each field, cut into bins, trained inside
the case's own folds. How well it would do by chance is measured, not assumed: the labels
are shuffled between and within whole persons 999 times (persons keep their mixture of
classes, as clips of one person are alike), and the best field of each shuffle is what
the fields have to beat, so that many fields find nothing by their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.leaks.case import persons_of
from mecli.report.audit import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.leaks.case import Case, Limits
    from mecli.records import ClipRecord
    from mecli.report.audit import Verdict

_SHUFFLES = 999
_LEVEL = 0.002
# A field that closes a quarter of the gap between chance and knowing the class tells it.
_TELLS = 0.25
_BINS, _KINDS, _COMPONENTS = 8, 12, 16
# What an expression itself may change, and what a mixture of corpora does.
_EXPLAINED = {
    "corpus", "duration_s", "frames", "apex share",
    "quality.residual_px", "quality.head_motion_px", "quality.inliers",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guess:
    """How well the classes can be guessed from each field."""

    uf1: Mapping[str, float]
    chance: float
    """Median UF1 of the best field after shuffling the labels."""
    bound: float
    """What shuffles exceed once in 500 times."""
    p: Mapping[str, float]
    """Share of shuffles whose best field did at least as well."""

    def tells(self, name: str) -> bool:
        """Whether field `name` gives the class away."""
        return self.uf1[name] >= self.chance + _TELLS * (1 - self.chance)


def check_metadata(case: Case, limits: Limits) -> Finding:
    """Guess the class from lengths, rates, quality and the recording."""
    records = case.needed().data.clips
    fields = {name: binned(values) for name, values in _fields(records).items()}
    fields = {name: values for name, values in fields.items() if values.shape[1] > 1}
    limits.step("metadata")
    if not fields:
        return Finding("metadata", "ok", "all clips have the same metadata", "")
    guess = guessed(fields, case, limits.seed)
    spelled = [
        f"(the {what} spells the class; no model reads it)"
        for what, values in _names(records).items()
        if guessed({what: binned(values)}, case, limits.seed, 99).p[what] <= 1 / 100
    ]
    suspects = sorted((n for n in fields if guess.p[n] <= _LEVEL), key=lambda n: -guess.uf1[n])
    best = max(fields, key=lambda n: guess.uf1[n])
    got = f"UF1 {guess.uf1[best]:.3f} from {best}"
    expected = f"≤ {guess.bound:.3f} (chance, best of {len(fields)} fields)"
    told = [f"{n}: UF1 {guess.uf1[n]:.3f}, p {guess.p[n]:.3f}" for n in suspects]
    figures = {"uf1": dict(guess.uf1), "p": dict(guess.p), "chance": guess.chance}
    if not suspects:
        return Finding("metadata", "ok", got, expected, "", tuple(spelled), figures)
    leaks = any(guess.tells(n) and n not in _EXPLAINED for n in suspects)
    advice = (
        "the recording gives the class away; a model can learn that instead of the face"
        if leaks
        else "more than chance, as durations and mixtures of corpora can do; compare per corpus"
    )
    verdict: Verdict = "leak" if leaks else "warning"
    return Finding("metadata", verdict, got, expected, advice, (*told, *spelled), figures)


def check_still(case: Case, limits: Limits) -> Finding:
    """Guess the class from the onset frame, before anything has moved."""
    faces = case.sketches.face
    limits.step("still")
    if not faces.any():
        return Finding("still", "not checked", "the caches hold flow and no faces")
    guess = guessed({"face": components(faces)}, case, limits.seed)
    uf1, p = guess.uf1["face"], guess.p["face"]
    got, expected = f"UF1 {uf1:.3f}, p {p:.3f}", f"≤ {guess.bound:.3f} (chance)"
    figures = {"uf1": uf1, "p": p, "chance": guess.chance}
    if p > _LEVEL:
        return Finding("still", "ok", got, expected, figures=figures)
    advice = (
        "faces at rest tell the class: lighting, make-up or an onset marked too late; look at "
        "them with `mecli preview`, and train on flow rather than on pixels"
    )
    verdict: Verdict = "leak" if guess.tells("face") else "warning"
    return Finding("still", verdict, got, expected, advice, figures=figures)


def _fields(records: Sequence[ClipRecord]) -> dict[str, list[Any]]:
    """Return every field of the metadata that a model could find traces of, (N,) each."""
    fields: dict[str, list[Any]] = {
        "corpus": [r.corpus for r in records],
        "fps": [r.fps for r in records],
        "frames": [r.frame_count for r in records],
        "duration_s": [r.frame_count / r.fps if r.fps else None for r in records],
        "onset": [r.onset for r in records],
        "apex share": [_apex_share(r) for r in records],
        "landmarker": [r.landmarker for r in records],
        "estimated": [
            f"{r.onset_estimated}{r.apex_estimated}{r.offset_estimated}" for r in records
        ],
        "issues": [len(r.issues) for r in records],
        "file type": [r.source.rpartition(".")[2] if "." in r.source else "" for r in records],
    }
    for name in sorted({name for r in records for name in r.quality}):
        fields[f"quality.{name}"] = [r.quality.get(name) for r in records]
    return fields


def _apex_share(record: ClipRecord) -> float | None:
    if record.apex is None or record.onset is None or record.frame_count < 2:
        return None
    return (record.apex - record.onset) / (record.frame_count - 1)


def _names(records: Sequence[ClipRecord]) -> dict[str, list[Any]]:
    """Return the letters of the clip's name and of its folder, digits left out."""
    folders = [r.source.replace("\\", "/").split("/")[-2:-1] for r in records]
    return {
        "name": ["".join(filter(str.isalpha, r.name)) for r in records],
        "folder": ["".join(filter(str.isalpha, "".join(f))) for f in folders],
    }


def binned(values: Sequence[Any]) -> NDArray[np.float32]:
    """Return one-hot columns (N, D): quantile bins of numbers, the commonest other values."""
    numbers = [v for v in values if isinstance(v, (int, float))]
    if len(set(numbers)) > _KINDS:
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1]))
        keys = [str(np.searchsorted(edges, v)) if v in {*numbers} else str(v) for v in values]
    else:
        keys = [str(v) for v in values]
    kinds, number, counts = np.unique(keys, return_inverse=True, return_counts=True)
    rank = np.empty(len(kinds), dtype=int)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(kinds))
    return np.eye(len(kinds), dtype=np.float32)[rank[number]][:, :_KINDS]


def components(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first principal components (N, D) of `rows`, each of deviation 1."""
    centred = rows - rows.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    found = centred @ vectors[:, ::-1][:, :_COMPONENTS]
    return np.asarray(found / np.maximum(found.std(0), 1e-6), dtype=np.float32)


def guessed(
    fields: Mapping[str, NDArray[np.float32]], case: Case, seed: int, shuffles: int = _SHUFFLES
) -> Guess:
    """Guess the labels of `case` from each of `fields` (N, D) under its folds."""
    data = case.needed().data
    row = {clip: i for i, clip in enumerate(data.clip_ids)}
    folds = [np.array([row[c] for c in fold.test], dtype=int) for fold in case.folds]
    persons = list(persons_of(data.clip_ids).values())
    labels = shuffled(np.array(data.labels), persons, shuffles, seed)
    n_classes = len(data.table.classes)
    scores = {name: _uf1(values, labels, folds, n_classes) for name, values in fields.items()}
    by_chance = np.max([s[1:] for s in scores.values()], axis=0)
    return Guess(
        {name: float(s[0]) for name, s in scores.items()},
        float(np.median(by_chance)),
        float(np.quantile(by_chance, 1 - _LEVEL)),
        {n: float((1 + (by_chance >= s[0]).sum()) / (1 + shuffles)) for n, s in scores.items()},
    )


def shuffled(
    labels: NDArray[np.int64], persons: Sequence[str], count: int, seed: int
) -> NDArray[np.int64]:
    """Return `labels` (N,) and `count` shuffles of them, (1 + count, N).

    Persons' blocks of labels change places, then lie end to end over the clips in the order
    of persons; within a block labels are shuffled too.
    """
    random = np.random.default_rng(seed)
    order = np.argsort(np.array(persons), kind="stable")
    ends = np.flatnonzero(np.diff(np.unique(persons, return_inverse=True)[1][order])) + 1
    blocks = np.split(labels[order], ends)
    drawn = np.empty((1 + count, len(labels)), dtype=np.int64)
    drawn[0] = labels
    for row in drawn[1:]:
        mixed = [random.permutation(blocks[i]) for i in random.permutation(len(blocks))]
        row[order] = np.concatenate(mixed)
    return drawn


def _uf1(
    values: NDArray[np.float32], labels: NDArray[np.int64], folds: Sequence[NDArray[Any]], k: int
) -> NDArray[np.float64]:
    """Return the pooled UF1 of each row of `labels` (S, N), guessed from `values` (N, D)."""
    count, clips = labels.shape
    wanted = np.eye(k, dtype=np.float32)[labels.T].reshape(clips, count * k)
    gram, cross, total = values.T @ values, values.T @ wanted, wanted.sum(0)
    hits, said = np.zeros((2, count, k))
    ridge = np.eye(len(gram), dtype=np.float32) * (1.0 + 0.02 * clips * (values.min() < 0))
    every = np.arange(count)
    for fold in folds:
        held, known = values[fold], clips - len(fold)
        prior = (total - wanted[fold].sum(0)) / known
        sums = values.sum(0) - held.sum(0)
        target = cross - held.T @ wanted[fold] - sums[:, None] * prior
        weights = np.linalg.solve(gram - held.T @ held + ridge, target)
        # Against the class's own frequency, so that rare classes are guessed as well.
        odds = (held @ weights / np.maximum(prior, 1 / known)).reshape(len(fold), count, k)
        for clip, guess in zip(fold, odds.argmax(-1), strict=True):
            said[every, guess] += 1
            hits[every, guess] += guess == labels[:, clip]
    tested = np.concatenate(folds)
    true = np.eye(k)[labels[:, tested]].sum(1)
    return np.asarray((2 * hits / np.maximum(true + said, 1)).mean(1))
