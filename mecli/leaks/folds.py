"""Who is on which side of a fold, and whether a run's own papers agree with each other."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import runs
from mecli.clips import UNKNOWN_SUBJECT, person_of
from mecli.leaks.case import persons_of
from mecli.report.audit import Finding
from mecli.training import folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mecli.leaks.case import Case, Limits
    from mecli.predictions import Prediction

_MOST_DIGITS = 9


def check_persons(case: Case, _limits: Limits) -> Finding:
    """Look for persons who are trained on and tested in one fold, under whatever corpus name."""
    persons = persons_of(case.clip_ids)
    shared = []
    for fold in case.folds:
        held, known = {persons[c] for c in fold.test}, {persons[c] for c in fold.train}
        shared += [f"fold {fold.name}: {person}" for person in sorted(held & known)]
    alike = [", ".join(names) for names in _spelled_alike(persons.values())]
    unknown = [c for c in persons if c.split("/")[1].casefold() == UNKNOWN_SUBJECT]
    if shared:
        return Finding(
            "persons", "leak", f"{len(shared)} on both sides of a fold", "0",
            "whoever is tested must not be trained on; split by person (protocol loso)",
            tuple(shared),
        )  # fmt: skip
    if alike or unknown:
        items = (*alike, *(f"{c}: subject unknown" for c in unknown))
        return Finding(
            "persons", "warning",
            f"{len(alike)} spelled alike, {len(unknown)} clips of nobody known", "0",
            "may be one person under two names; give each person one name in the annotation",
            items,
        )  # fmt: skip
    return Finding("persons", "ok", "0 on both sides of a fold", "0")


def _spelled_alike(persons: Sequence[str] | Any) -> Iterator[list[str]]:
    """Yield persons of one corpus whose names differ in case, punctuation or zeros only."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for person in persons:
        corpus, subject = person.split("/", 1)
        plain = re.sub(r"[^a-z0-9]", "", subject.casefold())
        digits = re.sub(r"^(sub(ject)?|s|p|id|no)?0*(\d+)$", r"\3", plain)
        found[corpus, digits[:_MOST_DIGITS] if digits.isdigit() else plain].add(person)
    yield from (sorted(names) for names in found.values() if len(names) > 1)


def check_clips(case: Case, _limits: Limits) -> Finding:
    """Look for clips that are not tested just once, or trained on where they are tested."""
    tested = Counter(case.tested)
    both = [f"{c}: on both sides of {f.name}" for f in case.folds for c in set(f.train) & {*f.test}]
    both += _counted_twice(case)
    twice = [f"{c}: tested {n} times" for c, n in sorted(tested.items()) if n > 1]
    missing = sorted(set(case.clip_ids) - set(tested))
    holdout = case.plan is not None and case.plan.options.protocol == "holdout"
    left = [] if holdout else [f"{c}: tested in no fold" for c in missing]
    wrong = (*both, *twice, *left)
    got = f"{len(both)} on both sides, {len(twice)} tested twice, {len(left)} in no fold"
    if wrong:
        advice = "the scores are not of every clip once; train again with a protocol of mecli"
        return Finding("clips", "leak", got, "0, 0, 0", advice, wrong)
    return Finding("clips", "ok", got, "0, 0, 0")


def _counted_twice(case: Case) -> list[str]:
    """Say which folds trained on more clips than they left."""
    every = len(case.clip_ids)
    return [
        f"fold {f['name']}: {f['train_clips']} trained and {len(f['test'])} tested of {every} clips"
        for f in case.header.get("folds", [])
        if case.plan is not None and f["train_clips"] + len(f["test"]) > every
    ]


def check_predictions(case: Case, _limits: Limits) -> Finding:
    """Look for differences between predictions.csv, the folds' results and run.json."""
    if case.run is None:
        return Finding("predictions", "not checked", "a cache has no predictions yet")
    (source, *_) = runs.read_sources(case.run)
    fold_of = {clip: fold.name for fold in case.folds for clip in fold.test}
    labels = _labels(case)
    wrong: list[str] = []
    for row in source.table.rows:
        wrong += [f"{row.clip}: {text}" for text in _differences(row, fold_of, labels)]
    wrong += _other_scores(case, source.table.rows)
    got = f"{len(wrong)} of {len(source.table.rows)} rows differ"
    if wrong:
        advice = "these rows are not what the folds said; train again, or restore the run"
        return Finding("predictions", "leak", got, "0", advice, tuple(wrong))
    return Finding("predictions", "ok", got, "0")


def _labels(case: Case) -> dict[str, str]:
    if case.plan is None:
        return {}
    table = case.plan.data.table
    return {clip: table.classes[k] for clip, k in table.index.items()}


def _differences(
    row: Prediction, fold_of: Mapping[str, str], labels: Mapping[str, str]
) -> Iterator[str]:
    if fold_of.get(row.clip) != row.fold:
        yield f"fold {row.fold}, but run.json tests it in {fold_of.get(row.clip, 'none')}"
    if row.label != labels.get(row.clip, row.label):
        yield f"label {row.label}, but the cache says {labels[row.clip]}"
    if person_of(*row.clip.split("/")[:2]) != row.subject:
        yield f"is listed under {row.subject}"


def _other_scores(case: Case, rows: Sequence[Prediction]) -> Iterator[str]:
    """Say where the table and the results of the folds disagree."""
    assert case.run is not None
    classes = case.header["classes"]
    said = {}
    for seed in case.header.get("seeds", [0]):
        for number in range(len(case.folds)):
            result = folder.read_fold(case.run, seed, number)
            said.update({(seed, c): s for c, s in (result.scores if result else {}).items()})
    for row in rows:
        scores = said.pop((row.seed, row.clip), None)
        if scores is None:
            yield f"{row.clip}: no fold has scored it with seed {row.seed}"
        elif classes[int(np.argmax(scores))] != row.prediction:
            yield f"{row.clip}: {row.prediction}, but its fold says {classes[np.argmax(scores)]}"
    yield from (f"{clip}: scored with seed {seed}, but not in the table" for seed, clip in said)


def check_selection(case: Case, _limits: Limits) -> Finding:
    """Look for a say of held-out subjects in which epoch counts or what a run began with."""
    if case.run is None:
        return Finding("selection", "not checked", "nothing was trained yet")
    selection = case.header.get("selection", "last")
    begun = case.header.get("pretrained")
    if selection == "oracle":
        return Finding(
            "selection", "leak", "oracle", "last or inner",
            "the held-out subjects picked the epoch; quote the scores of selection last",
        )  # fmt: skip
    got = selection if begun is None else f"{selection}, begun with {begun['checkpoint']}"
    if begun is not None and not begun.get("subjects"):
        advice = "the checkpoint does not say whom it has seen; begin with one that does"
        return Finding("selection", "leak", got, "a checkpoint of other people", advice)
    return Finding("selection", "ok", got, "last or inner")


def check_extraction(case: Case, _limits: Limits) -> Finding:
    """Look for clips that were extracted otherwise, and for caches that have changed since."""
    data = case.needed().data
    before = {str(c["path"]): c["fingerprint"] for c in case.header.get("caches", [])}
    changed = [
        f"{c['path']}: {c['fingerprint']} now, {before[str(c['path'])]} when trained"
        for c in data.fingerprints
        if before.get(str(c["path"]), c["fingerprint"]) != c["fingerprint"]
    ]
    makers: defaultdict[str, set[str]] = defaultdict(set)
    for record in data.clips:
        makers[record.corpus].add(record.landmarker or "none (ready-made flow)")
    mixed = [f"{corpus}: {', '.join(sorted(m))}" for corpus, m in makers.items() if len(m) > 1]
    got = f"{len(changed)} caches changed, {len(mixed)} corpora with several landmarkers"
    if changed or mixed:
        advice = "extract all clips with the same options, then train again"
        return Finding("extraction", "warning", got, "0, 0", advice, (*changed, *mixed))
    return Finding("extraction", "ok", got, "0, 0")
