"""What `evaluate` found, as a result object, as text and as one JSON document."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import metrics
from mecli.report.organisers import action_units, asked
from mecli.report.tables import Table, count, interval, number, render
from mecli.schemes.au import SCHEMES as AU_SCHEMES
from mecli.statistics import Intervals, mean_and_sd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from numpy.typing import NDArray

SCORES = {
    "uf1": "UF1",
    "uar": "UAR",
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
}


@dataclass(frozen=True, slots=True)
class Group:
    """The pooled confusion matrix of some clips, and how sure its scores are."""

    subjects: int
    counts: NDArray[np.int64]
    intervals: Intervals = field(default_factory=Intervals)

    @property
    def clips(self) -> int:
        """Number of clips counted."""
        return int(self.counts.sum())

    def scores(self) -> dict[str, float]:
        """Return the headline scores by name."""
        return {name: float(value) for name, value in metrics.headline(self.counts).items()}


@dataclass(frozen=True, slots=True)
class Sureness:
    """How far class scores are from how often they are right, and what would mend it."""

    ece: float
    temperature: float
    ece_calibrated: float | None
    """Each fold at the temperature of the others; None without folds."""


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """One source scored: what it is, and its groups of clips.

    With several seeds `whole` scores their ensemble (the mean of their class scores)
    and `by_seed` each seed on its own.
    """

    source: str
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    whole: Group
    by_corpus: Mapping[str, Group]
    by_subject: Mapping[str, Group]
    by_seed: Mapping[int, Group]
    model: str | None = None
    protocol: str | None = None
    scheme: str | None = None
    selection: str | None = None
    leaked: bool = False
    """Whether the held-out subjects had a say in the predictions; everything then says so."""
    excluded: int = 0
    sureness: Sureness | None = None
    """None where there are no class probabilities."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first source and the one at `place` (from 2 on) on the clips they share.

    `differences` are second minus first.
    """

    place: int
    first: str
    second: str
    first_group: Group
    second_group: Group
    differences: Intervals
    leaked: bool = False
    """Whether one of the two is leaked."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every source, the comparisons with the first, and what a reader has to know."""

    runs: tuple[RunEvaluation, ...]
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    by: str | None = None

    @property
    def of_units(self) -> bool:
        """Whether all runs judge single action units, and several: their sum is what counts."""
        schemes = {run.scheme for run in self.runs}
        return len(schemes) > 1 and schemes <= set(AU_SCHEMES)


def to_json(result: Evaluation) -> dict[str, Any]:
    """Return one JSON-able document: the source's object, or ``runs`` and ``comparisons``."""
    documents = [_run_json(run) for run in result.runs]
    if len(documents) == 1:
        of_units = {"action_units": units} if (units := _units_json(result)) else {}
        return {**documents[0], **of_units, "notes": list(result.notes)}
    comparisons = [_comparison_json(comparison) for comparison in result.comparisons]
    return {
        "runs": documents,
        "comparisons": comparisons,
        "action_units": _units_json(result),
        "notes": list(result.notes),
    }


def _units_json(result: Evaluation) -> list[dict[str, Any]]:
    return [table.as_json() for table in action_units(result.runs)]


def to_text(result: Evaluation, stream: TextIO | None = None) -> str:
    """Return the tables a person reads, styled if `stream` is a terminal."""
    blocks: list[str | Table] = []
    if len(result.runs) > 1:
        blocks += _side_by_side(result)
    for run in () if result.of_units else result.runs:
        blocks += _run_blocks(run, result.by)
    for table in action_units(result.runs):
        blocks += table.blocks()
    return render(blocks, stream)


def _run_json(run: RunEvaluation) -> dict[str, Any]:
    organisers = asked(run)
    document = {
        "source": run.source,
        "model": run.model,
        "protocol": run.protocol,
        "scheme": run.scheme,
        "classes": list(run.classes),
        "seeds": list(run.seeds),
        "selection": run.selection,
        "leaked": run.leaked,
        **_group_json(run.whole, run.classes),
        "per_class": [
            dict(zip(("class", "f1", "recall", "precision", "support"), row, strict=True))
            for row in _per_class(run)
        ],
        "by_corpus": {n: _group_json(g, run.classes) for n, g in run.by_corpus.items()},
        "by_subject": {n: _group_json(g, run.classes) for n, g in run.by_subject.items()},
        "excluded": run.excluded,
        "calibration": None if run.sureness is None else asdict(run.sureness),
        "organisers": organisers.as_json() if organisers else None,
    }
    if len(run.by_seed) > 1:
        document["by_seed"] = {str(seed): g.scores() for seed, g in run.by_seed.items()}
        document["seed_mean"], document["seed_sd"] = _seed_spread(run)
    return document


def _group_json(group: Group, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "clips": group.clips,
        "subjects": group.subjects,
        **group.scores(),
        "ci95": {name: list(bounds) for name, bounds in group.intervals.of.items()},
        "confusion": group.counts.tolist(),
        "absent_classes": list(metrics.absent_classes(group.counts, classes)),
    }


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    first, second = comparison.first_group.scores(), comparison.second_group.scores()
    return {
        "first": comparison.first,
        "second": comparison.second,
        "clips": comparison.first_group.clips,
        "subjects": comparison.first_group.subjects,
        "leaked": comparison.leaked,
        **{
            name: {
                "first": first[name],
                "second": second[name],
                "difference": second[name] - first[name],
                "ci95": _listed(comparison.differences.of.get(name)),
            }
            for name in SCORES
        },
    }


def _listed(bounds: tuple[float, float] | None) -> list[float] | None:
    return None if bounds is None else list(bounds)


def _per_class(run: RunEvaluation) -> list[tuple[str, float, float, float, int]]:
    counts = run.whole.counts
    columns = (
        metrics.f1_per_class(counts),
        metrics.recall_per_class(counts),
        metrics.precision_per_class(counts),
    )
    rows = zip(run.classes, *(c.tolist() for c in columns), counts.sum(1).tolist(), strict=True)
    return [(name, f1, recall, precision, n) for name, f1, recall, precision, n in rows]


def _seed_spread(run: RunEvaluation) -> tuple[dict[str, float], dict[str, float]]:
    return mean_and_sd([group.scores() for group in run.by_seed.values()])


def _run_blocks(run: RunEvaluation, by: str | None) -> list[str | Table]:
    blocks: list[str | Table] = [_title(run), _headline(run), _class_table(run), _confusion(run)]
    if by == "corpus" or len(run.by_corpus) > 1:
        blocks.append(_group_table("corpus", run.by_corpus))
    if organisers := asked(run):
        blocks += organisers.blocks()
    if by == "subject":
        blocks.append(_subject_table(run))
    return [_marked(block) for block in blocks] if run.leaked else blocks


def _marked(block: str | Table) -> str | Table:
    """Return `block` called leaked, so that no part of it can be taken for a result."""
    if isinstance(block, Table):
        first, *others = block.header
        return replace(block, header=[f"{first} (LEAKED)", *others])
    return block if "LEAKED" in block.partition("\n")[0] else f"LEAKED: {block}"


def _title(run: RunEvaluation) -> str:
    absent = metrics.absent_classes(run.whole.counts, run.classes)
    seeds = f"seed{'s' * (len(run.seeds) > 1)} {', '.join(map(str, run.seeds))}"
    about = [
        run.model,
        f"protocol {run.protocol or 'not stated'}",
        f"labels {run.scheme or 'not stated'}",
        f"selection {run.selection or 'not stated'}",
        seeds,
    ]
    corpora = f"{len(run.by_corpus)} corp{'us' if len(run.by_corpus) == 1 else 'ora'}"
    size = [count(run.whole.clips, "clip"), count(run.whole.subjects, "subject"), corpora]
    lines = [
        run.source,
        " · ".join(part for part in about if part),
        f"{', '.join(size)}; {run.excluded} excluded",
    ]
    if run.sureness:
        lines.append(_sureness(run.sureness))
    if absent:
        lines.append(f"never labelled, scored as 0: {', '.join(absent)}")
    return "\n".join(lines)


def _sureness(found: Sureness) -> str:
    after = f", {found.ece_calibrated:.3f} calibrated" if found.ece_calibrated is not None else ""
    return (
        f"calibration error of the class scores {found.ece:.3f}{after} "
        f"(temperature {found.temperature:.2f})"
    )


def _headline(run: RunEvaluation) -> Table:
    scores, intervals = run.whole.scores(), run.whole.intervals.of
    several = len(run.by_seed) > 1
    pooled = f"ensemble of {len(run.by_seed)} seeds" if several else "pooled"
    header = ["score", pooled, "95 % CI over subjects"]
    rows = [
        [title, number(scores[name]), interval(intervals.get(name))]
        for name, title in SCORES.items()
    ]
    if several:
        mean, sd = _seed_spread(run)
        header.append("mean ± sd of seeds")
        for row, name in zip(rows, SCORES, strict=True):
            row.append(f"{number(mean[name])} ± {number(sd[name])}")
    return Table(header, rows)


def _class_table(run: RunEvaluation) -> Table:
    rows = [
        [name, number(f1), number(recall), number(precision), str(n)]
        for name, f1, recall, precision, n in _per_class(run)
    ]
    return Table(["class", "F1", "recall", "precision", "clips"], rows)


def _confusion(run: RunEvaluation) -> Table:
    rows = [
        [name, *map(str, row)]
        for name, row in zip(run.classes, run.whole.counts.tolist(), strict=True)
    ]
    return Table(["label \\ predicted", *run.classes], rows)


def _group_table(kind: str, groups: Mapping[str, Group]) -> Table:
    rows = []
    for name, group in groups.items():
        scores = [number(value) for value in group.scores().values()]
        bounds = interval(group.intervals.of.get("uf1"))
        rows.append([name, str(group.clips), str(group.subjects), *scores, bounds])
    return Table([kind, "clips", "subjects", *SCORES.values(), "95 % CI of UF1"], rows)


def _subject_table(run: RunEvaluation) -> Table:
    # UF1 of one person says little: most show few classes. Hits per class say it all.
    rows = []
    for name, group in run.by_subject.items():
        hits, totals = np.diagonal(group.counts).tolist(), group.counts.sum(1).tolist()
        found = [f"{hit}/{n}" if n else "–" for hit, n in zip(hits, totals, strict=True)]
        rows.append([name, str(group.clips), number(group.scores()["accuracy"]), *found])
    return Table(["subject", "clips", "accuracy", *run.classes], rows)


def _side_by_side(result: Evaluation) -> list[str | Table]:
    rows = []
    for place, run in enumerate(result.runs, start=1):
        scores = [number(value) for value in run.whole.scores().values()]
        rows.append([str(place), run.source, str(run.whole.clips), *scores])
    blocks: list[str | Table] = [Table(["", "source", "clips", *SCORES.values()], rows, left=2)]
    if result.comparisons:
        rows = [row for comparison in result.comparisons for row in _differences(comparison)]
        header = ["difference", "score", "shared clips", "pooled", "95 % CI over subjects"]
        blocks.append(Table(header, rows, left=2))
    return blocks


def _differences(comparison: Comparison) -> list[list[str]]:
    first, second = comparison.first_group.scores(), comparison.second_group.scores()
    return [
        [
            f"{comparison.place} minus 1{' (LEAKED)' * comparison.leaked}",
            title,
            str(comparison.first_group.clips),
            f"{second[name] - first[name]:+.3f}",
            interval(comparison.differences.of.get(name), signed=True),
        ]
        for name, title in SCORES.items()
    ]
