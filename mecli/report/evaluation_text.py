"""What `evaluate` found, as tables that a person reads in a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mecli import metrics
from mecli.report.evaluation import SCORES, per_class, seed_spread
from mecli.report.organisers import action_units, asked
from mecli.report.tables import Table, count, interval, number, render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from mecli.report.evaluation import Comparison, Evaluation, Group, RunEvaluation, Sureness


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
        mean, sd = seed_spread(run)
        header.append("mean ± sd of seeds")
        for row, name in zip(rows, SCORES, strict=True):
            row.append(f"{number(mean[name])} ± {number(sd[name])}")
    return Table(header, rows)


def _class_table(run: RunEvaluation) -> Table:
    rows = [
        [name, number(f1), number(recall), number(precision), str(n)]
        for name, f1, recall, precision, n in per_class(run)
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
