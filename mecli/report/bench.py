"""What ``bench train`` measured, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mecli.report.clips import stages_text
from mecli.report.tables import Table, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO


_HEAD = [
    "bench train", "LOSO", "textbook", "faster", "less work", "than one thread", "MiB a worker",
    "MiB in all",
]  # fmt: skip


def training_text(figures: Mapping[str, Any], stream: TextIO | None = None) -> str:
    """Return one row per model, where its time goes, and growth and GPU if they were measured."""
    blocks: list[str | Table] = [
        f"LOSO of {figures['clips']} clips in {figures['folds']} folds, {figures['jobs']} workers; "
        f"textbook loop with {figures['textbook_threads']} threads (both extrapolated)",
        Table(_HEAD, [_row(name, model) for name, model in figures["models"].items()]),
        Table(
            ["model", "where the time goes"],
            [[name, stages_text(m["stage_shares"])] for name, m in figures["models"].items()],
            left=2,
        ),
    ]
    if "scale" in figures:
        columns = list(figures["scale"][0])
        rows = [[str(row[c]) for c in columns] for row in figures["scale"]]
        blocks.append(Table([c.replace("_", " ") for c in columns], rows, left=0))
    if "gpu" in figures:
        rows = [[name.replace("_", " "), str(value)] for name, value in figures["gpu"].items()]
        blocks.append(Table(["stacked", ""], rows, left=2))
    return render(blocks, stream)


def scale_text(rows: Sequence[Mapping[str, Any]], stream: TextIO | None = None) -> str:
    """Return one line per figure, one column per number of clips."""
    names = [name for name in rows[0] if name != "clips"]
    lines = [[name.replace("_", " "), *(str(row[name]) for row in rows)] for name in names]
    head = ["bench scale, clips", *(str(row["clips"]) for row in rows)]
    return render([Table(head, lines)], stream)


def _row(name: str, model: Mapping[str, Any]) -> list[str]:
    return [
        name,
        _duration(model["loso_s"]),
        _duration(model["textbook_loso_s"]),
        f"{model['times_faster']:.1f}×",
        f"{model['times_less_work']:.1f}×",
        f"{model['times_less_work_than_one_thread']:.1f}×",
        str(model["peak_worker_mib"]),
        str(model["peak_total_mib"]),
    ]


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
