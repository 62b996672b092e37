"""What ``train`` did, in a few lines and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mecli.report.tables import Table, number, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO


def train_text(result: Mapping[str, Any], stream: TextIO | None = None) -> str:
    """Return the run folder, what it holds and how the held-out clips were scored.

    `result` is the JSON object of a `TrainResult`.
    """
    rows = [
        ["run", result["run"]],
        ["clips", f"{result['clips']} in {result['folds']} folds"],
        ["excluded", _reasons(result["excluded"])],
        ["UF1", number(result["uf1"])],
        ["UAR", number(result["uar"])],
        ["checkpoint", result["final"] or "none (--no-final)"],
        ["temperature", _temperature(result["temperature"])],
    ]
    return render([Table(["train", ""], rows, left=2)], stream)


def trained_text(results: Sequence[Mapping[str, Any]], stream: TextIO | None = None) -> str:
    """Return one row per model that was trained, and who was left out of all of them.

    `results` are JSON objects of `TrainResult`s, each with its model's name.
    """
    rows = [
        [r["model"], r["run"], str(r["folds"]), number(r["uf1"]), number(r["uar"])] for r in results
    ]
    first = results[0]
    notes = f"{first['clips']} clips; excluded {_reasons(first['excluded'])}"
    return render([Table(["model", "run", "folds", "UF1", "UAR"], rows, left=2), notes], stream)


def _temperature(value: float | None) -> str:
    if value is None:
        return "none, nobody was held out: scores of predict are not calibrated"
    return f"{value:.3g}, by the held-out scores"


def _reasons(excluded: Mapping[str, str]) -> str:
    if not excluded:
        return "0"
    (reason, times), *others = Counter(excluded.values()).most_common()
    more = f" and {len(others)} other reasons" if others else ""
    return f"{len(excluded)} ({times}: {reason}{more}; all in run.json)"
