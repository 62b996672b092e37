"""Stacked folds against one fold at a time on one device, and how near the device's own limit."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli.bench.loso import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mecli.training.job import Job
    from mecli.training.units import Table

_SIDE, _PRODUCTS = 4096, 20


def stacked_figures(
    model: str, clips: int, folds: int, device: str, side: int = _SIDE
) -> dict[str, Any]:
    """Return folds × steps a second, stacked and alone, and the share of the device's peak.

    The peak is that of float32 products of (side, side) matrices, measured here. One epoch
    of every stage is trained: all folds at once by the stacked engine, then one fold.
    """
    with tempfile.TemporaryDirectory(prefix="mecli-bench-") as folder:
        bench = prepare(model, clips, folds, Path(folder) / model)
        job = replace(bench.job, epochs=1)
        table = job.table()
        trains = [table.rows(task.train) for task in bench.tasks]
        stacked_s = _time(job, table, trains, device)
        alone_s = _time(job, table, trains[:1], device)
        work = _operations(job, table, trains[0])
    steps = _steps(job, table)
    peak, done = _peak(device, side), work * folds / stacked_s
    return {
        "device": device,
        "model": model,
        "folds": folds,
        "steps": steps,
        "alone_fold_steps_per_s": round(steps / alone_s, 1),
        "stacked_fold_steps_per_s": round(folds * steps / stacked_s, 1),
        "times_faster": round(folds * alone_s / stacked_s, 2),
        "tflop_per_s": float(f"{done / 1e12:.3g}"),
        "peak_tflop_per_s": float(f"{peak / 1e12:.3g}"),
        "roofline": round(done / peak, 3),
    }


def _time(job: Job, table: Table, trains: Sequence[NDArray[np.int64]], device: str) -> float:
    from mecli.training.stacked import fit_folds

    fit_folds(job.stages, table, trains[:1], 0, job.dtype, device)
    started = time.perf_counter()
    fit_folds(job.stages, table, trains, 0, job.dtype, device)
    return time.perf_counter() - started


def _steps(job: Job, table: Table) -> int:
    """Return the steps of one fold over all stages."""
    units = [
        len(table.labels) * (table.features.shape[1] if stage.unit == "step" else 1)
        for stage in job.stages
    ]
    return sum(
        stage.recipe.epochs * -(-n // stage.recipe.batch_size)
        for stage, n in zip(job.stages, units, strict=True)
    )


def _operations(job: Job, table: Table, train: NDArray[np.int64]) -> float:
    """Return the floating point operations of one fold, counted while it is trained."""
    from torch.utils.flop_counter import FlopCounterMode

    from mecli.training.fit import fit

    with FlopCounterMode(display=False) as counter:
        fit(job.stages, table, train, 0, job.dtype)
    return float(counter.get_total_flops())


def _peak(device: str, side: int) -> float:
    import torch

    values = torch.randn(side, side, device=device)
    float((values @ values)[0, 0])
    started = time.perf_counter()
    for _ in range(_PRODUCTS):
        product = values @ values
    float(product[0, 0])
    return 2.0 * side**3 * _PRODUCTS / (time.perf_counter() - started)
