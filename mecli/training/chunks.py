"""Stacked folds in chunks that fit the memory: on a GPU if there is one, else on the CPU.

The first chunk is what the weights alone would allow; what one step needs besides shows
only when it is done. A chunk that turns out too large is halved, said aloud, and begun
again: nothing of it was written yet.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mecli.errors import InputError
from mecli.training import engines
from mecli.training.fold import check_classes, write
from mecli.training.selection import inner_split, selectable, train_folds
from mecli.training.stacked import fit_folds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mecli.training.fit import Course, Fitted
    from mecli.training.job import FoldTask, Job
    from mecli.training.selection import Trained
    from mecli.training.units import Table

_LARGEST = {"cpu": 16, "cuda": 128}
# Weights, gradient, Adam's two means and four temporaries of one step.
_COPIES = 8
# The rest is for what the layers hand on.
_SHARE_OF_WEIGHTS = 0.5


def run_stacked(
    job: Job, tasks: Sequence[FoldTask], memory_bytes: int | None = None
) -> Iterator[FoldTask]:
    """Train `tasks` of one seed side by side and write each; yield each once it is written.

    `memory_bytes` is what may be used; by default what the device says is free. Raises
    `InputError` if not even one fold fits.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    table = job.table()
    for task in tasks:
        _check(job, task)
    waiting = sorted(tasks, key=lambda t: t.seed)
    size = min(_LARGEST[device], first_chunk(job, table, memory_bytes or free_bytes(device)))
    while waiting:
        part = [t for t in waiting[:size] if t.seed == waiting[0].seed]
        started = time.perf_counter()
        trained = _train(job, table, part, device)
        if trained is None:
            size = smaller(job, len(part), device)
            continue
        each = (time.perf_counter() - started) / len(part)
        for task, result in zip(part, trained, strict=True):
            write(job, task, table, result, each)
            yield task
        waiting = waiting[len(part) :]


def _check(job: Job, task: FoldTask) -> None:
    """Raise what is wrong with one fold under its name, before it is one of many."""
    try:
        check_classes(job, task)
        if job.selection == "inner" and selectable(job.stages):
            inner_split(job, task)
    except InputError as error:
        raise engines.named_error(job, task, error, str(error)) from error


def _train(
    job: Job, table: Table, part: Sequence[FoldTask], device: str
) -> Sequence[Trained] | None:
    """Return the trained folds of `part`, None if the memory does not hold them."""

    def fit_stacked(trains: Sequence[NDArray[np.int64]], courses: Sequence[Course]) -> list[Fitted]:
        return fit_folds(job.stages, table, trains, part[0].seed, job.dtype, device, courses)

    try:
        return train_folds(job, table, part, fit_stacked)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None


def smaller(job: Job, folds: int, device: str) -> int:
    """Return half of `folds`, and say so; `InputError` if it is one already."""
    if device == "cuda":
        torch.cuda.empty_cache()
    where = "the GPU" if device == "cuda" else "this machine"
    if folds == 1:
        raise InputError(
            f"model {job.model}: a single fold needs more memory than {where} has; use a "
            f"smaller model or batch, or --engine {'pool' if device == 'cuda' else 'sequential'}"
        )
    logging.getLogger(__name__).warning(
        "%d folds at once need more memory than %s has; going on with %d", folds, where, folds // 2
    )
    return folds // 2


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out; torch's CPU allocator has none of its own."""
    return isinstance(
        error, (torch.OutOfMemoryError, MemoryError)
    ) or "can't allocate memory" in str(error)


def first_chunk(job: Job, table: Table, free_bytes: int | None) -> int:
    """Return how many folds' weights fit into `free_bytes`, at least one."""
    if free_bytes is None:
        return max(_LARGEST.values())
    per_fold = _COPIES * max(1, *job.stage_bytes(table))
    return max(int(_SHARE_OF_WEIGHTS * free_bytes / per_fold), 1)


def free_bytes(device: str) -> int | None:
    """Return the memory that `device` has left, None if it does not say."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = next((ln.split()[1] for ln in lines if ln.startswith("MemAvailable:")), None)
    return None if kilobytes is None else 1024 * int(kilobytes)
