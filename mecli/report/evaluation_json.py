"""What `evaluate` found, as one JSON document."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mecli import metrics
from mecli.report.evaluation import SCORES, per_class, seed_spread
from mecli.report.organisers import action_units, asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mecli.report.evaluation import Comparison, Evaluation, Group, RunEvaluation


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
            for row in per_class(run)
        ],
        "by_corpus": {n: _group_json(g, run.classes) for n, g in run.by_corpus.items()},
        "by_subject": {n: _group_json(g, run.classes) for n, g in run.by_subject.items()},
        "excluded": run.excluded,
        "calibration": None if run.sureness is None else asdict(run.sureness),
        "organisers": organisers.as_json() if organisers else None,
    }
    if len(run.by_seed) > 1:
        document["by_seed"] = {str(seed): g.scores() for seed, g in run.by_seed.items()}
        document["seed_mean"], document["seed_sd"] = seed_spread(run)
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
