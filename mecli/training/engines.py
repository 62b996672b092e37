"""Engines: the same folds, one after another or spread over processes.

A fold's result is written by whoever computed it, in one step, as two files of the run
folder. Nothing travels back, so a killed run keeps every finished fold.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mecli import workers
from mecli.errors import InputError, MecliError, UnknownName
from mecli.training.fold import run_fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mecli.training.job import FoldTask, Job

ENGINES = ("auto", "pool", "stacked", "sequential")


def choose(engine: str) -> str:
    """Return the engine that `engine` stands for: `auto` stacks on a GPU, else pools."""
    import torch

    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    if engine == "auto":
        return "stacked" if torch.cuda.is_available() else "pool"
    return engine


def device(engine: str) -> str:
    """Return what `engine` computes on: only stacked folds use a GPU."""
    import torch

    return "cuda" if choose(engine) == "stacked" and torch.cuda.is_available() else "cpu"


def run(engine: str, job: Job, tasks: Sequence[FoldTask], jobs: int) -> Iterator[FoldTask]:
    """Train `tasks`, writing each into the run folder; yield each once it is written.

    Raises the first error of a fold after stopping the others; what is written stays.
    """
    chosen = choose(engine)
    if chosen == "stacked":
        from mecli.training.chunks import run_stacked

        yield from run_stacked(job, tasks)
        return
    count = 0 if chosen == "sequential" else jobs
    if count == 0:
        workers.use_one_thread()
    work = functools.partial(run_fold, job)
    for outcome in workers.run(work, tasks, count, preload="mecli.training.engines"):
        task = tasks[outcome.index]
        if outcome.error is not None:
            raise named_error(job, task, outcome.error, outcome.reason) from outcome.error
        yield task


def named_error(job: Job, task: FoldTask, error: BaseException, reason: str) -> BaseException:
    """Return the error of a fold with the fold's name; a bug stays what it is."""
    where = f"fold {task.name} (seed {task.seed})"
    if isinstance(error, InputError):
        return InputError(f"{where}: {error}")
    if isinstance(error, (MecliError, MemoryError)) or reason == str(error):
        return error
    return InputError(f"{where}: {reason}; go on with --resume {job.run}")
