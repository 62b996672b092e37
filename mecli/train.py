"""Train a model under a protocol: every fold from scratch, every stage inside its fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mecli import files, workers
from mecli.cluster import Cluster
from mecli.errors import UsageError
from mecli.training.options import SELECTIONS, TrainOptions, parse_settings, read_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mecli.training.job import FoldTask, Job
    from mecli.training.part import Part
    from mecli.training.plan import Plan
    from mecli.training.standing import Standing

    Progress = Callable[[int, int, str], None]

__all__ = [
    "SELECTIONS",
    "TrainOptions",
    "TrainResult",
    "parse_settings",
    "read_options",
    "resume",
    "train",
    "train_each",
]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What `train` did: the run folder, who was left out and why, and its scores."""

    run: Path
    model: str
    clips: int
    folds: int
    excluded: Mapping[str, str]
    warnings: tuple[str, ...]
    selection: str
    pretrained: str
    """The checkpoint that every fold began with, or ``none``."""
    standing: Standing
    """Scores of the weights that count; with selection oracle also what leaks, called so."""
    epochs_chosen: Mapping[str, Mapping[str, Mapping[str, int]]]
    """Seed → fold → stage → epochs, where selection inner chose them."""
    predictions: Path | None
    final: Path | None
    temperature: float | None = None
    """Of the final checkpoint, fitted on the held-out scores of all seeds."""

    @property
    def uf1(self) -> float | None:
        """Pooled over all held-out clips, of the ensemble of the seeds; None without folds."""
        return self.standing.ensemble.uf1 if self.standing.ensemble else None

    @property
    def uar(self) -> float | None:
        """Like `uf1`."""
        return self.standing.ensemble.uar if self.standing.ensemble else None

    def as_json(self) -> dict[str, Any]:
        """Return the result as one JSON object."""
        return {
            "run": str(self.run),
            "model": self.model,
            "clips": self.clips,
            "folds": self.folds,
            "selection": self.selection,
            "pretrained": self.pretrained,
            "uf1": self.uf1,
            "uar": self.uar,
            **self.standing.as_json(),
            "epochs_chosen": self.epochs_chosen,
            "excluded": dict(self.excluded),
            "warnings": list(self.warnings),
            "predictions": None if self.predictions is None else str(self.predictions),
            "final": None if self.final is None else str(self.final),
            "temperature": self.temperature,
        }


def train(
    options: TrainOptions,
    progress: Progress | None = None,
    run: Path | None = None,
    part: Part | None = None,
) -> TrainResult:
    """Train all folds of `options`, and a checkpoint on all clips.

    `run` is the folder to write into; by default a new one, named after the time. Several
    jobs may share one folder, each training its `part` of the folds; `resume` finishes it.
    """
    from mecli.training import folder, plan

    if part is not None and run is None:
        raise UsageError("a part of the folds wants a run folder that its jobs share; name --run")
    made = plan.make(options)
    run = run or folder.new(options.runs, options.model, options.protocol)
    if (run / folder.RUN).exists():
        made.check_same(run)
    else:
        files.write_json(run / folder.OPTIONS, options.as_json())
        files.write_json(run / folder.RUN, made.description())
    return _train(made, run, progress, part)


def train_each(
    options: TrainOptions, models: Sequence[str], progress: Progress | None = None
) -> list[TrainResult]:
    """Train `models` one after another, all else as in `options`; all names are checked first."""
    from mecli.training import plan

    each = [replace(options, model=model) for model in models]
    if len(set(models)) < len(each):
        raise UsageError(f"--model {','.join(models)}: a model is named twice")
    for one in each:
        plan.settled(one)
    return [train(one, progress) for one in each]


def resume(
    run: Path,
    progress: Progress | None = None,
    jobs: int | None = None,
    part: Part | None = None,
    cluster: Cluster | None = None,
) -> TrainResult:
    """Go on with the run in folder `run`, all of it or a `part`; finished folds stay.

    `jobs` and `cluster` go before what the run was started with. A run that was killed
    before it described itself starts from its options. Raises `InputError` if the folder is
    no run, or if caches, folds or defaults of the model are no longer what they were.
    """
    from mecli.training import folder, plan

    begun = folder.is_begun(run)
    options = read_options(run / folder.OPTIONS)
    if jobs is not None:
        options = replace(options, jobs=jobs)
    if cluster is not None:
        options = replace(options, cluster=cluster.address, gpus=cluster.gpus)
    made = plan.make(options)
    if begun:
        made.check_same(run)
    else:
        files.write_json(run / folder.RUN, made.description())
    return _train(made, run, progress, part)


def _train(plan: Plan, run: Path, progress: Progress | None, part: Part | None) -> TrainResult:
    from mecli.training import folder, standing
    from mecli.training.part import Part

    part = part or Part()
    options, data = plan.options, plan.data
    job, tasks = plan.job(run, part.features), part.tasks(plan.tasks())
    todo = [t for t in tasks if not standing.finished(run, t)]
    final = run / folder.FINAL if options.final and not options.leaks else None
    if part.is_whole and final and not final.exists():
        todo.append(plan.final_task())
    if todo:
        folder.write_features(run, len(data.clips), plan.features(), job.features)
        job.check_space(todo)
    try:
        _work(options, job, tasks, todo, progress)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"go on with `mecli train --resume {run}`") from error
    folder.remove_features(run, job.features)
    return _finish(plan, job, final) if part.is_whole else _leave(plan, job)


def _leave(plan: Plan, job: Job) -> TrainResult:
    """Tell how many folds are done where other jobs train the rest; scores come with all."""
    from mecli.training import standing

    tasks = plan.tasks()
    done = sum(standing.finished(job.run, t) for t in tasks)
    note = (
        f"{done} of {len(tasks)} trainings of {job.run} are done; once all are, "
        f"`mecli train --resume {job.run}` scores them"
    )
    return TrainResult(
        run=job.run,
        model=plan.options.model,
        clips=len(plan.data.clips),
        folds=sum(bool(f.test) for f in plan.folds),
        excluded=plan.data.excluded,
        warnings=(*plan.warnings(), note),
        selection=job.selection,
        pretrained=plan.options.pretrained,
        standing=standing.standing(job, []),
        epochs_chosen={},
        predictions=None,
        final=None,
    )


def _finish(plan: Plan, job: Job, final: Path | None) -> TrainResult:
    """Write what only all folds together know, and tell how they stand."""
    from mecli.training import folder, standing

    run, tasks = job.run, plan.tasks()
    results = [r for t in tasks if (r := folder.read_fold(run, t.seed, t.number))]
    predictions = None
    if tasks:
        named = standing.named(plan.data)
        predictions = folder.write_predictions(run, results, job.classes, named)
        folder.write_leaked(run, results, job.classes, named)
    temperature = standing.temperature(job, results)
    if final is not None and temperature is not None:
        _calibrate(final, temperature)
    chosen = standing.epochs_chosen(results)
    described = {**folder.read_run(run), "epochs_chosen": chosen, "status": "complete"}
    files.write_json(run / folder.RUN, described)
    return TrainResult(
        run=run,
        model=plan.options.model,
        clips=len(plan.data.clips),
        folds=sum(bool(f.test) for f in plan.folds),
        excluded=plan.data.excluded,
        warnings=(*plan.warnings(), *standing.warnings(job, results)),
        selection=job.selection,
        pretrained=plan.options.pretrained,
        standing=standing.standing(job, results),
        epochs_chosen=chosen,
        predictions=predictions,
        final=final,
        temperature=temperature,
    )


def _calibrate(final: Path, temperature: float) -> None:
    """Write the final checkpoint anew with the temperature that only all folds together know."""
    from mecli.training.checkpoint import load_checkpoint, save_checkpoint

    save_checkpoint(final, replace(load_checkpoint(final), temperature=temperature))


def _work(
    options: TrainOptions,
    job: Job,
    tasks: Sequence[FoldTask],
    todo: Sequence[FoldTask],
    progress: Progress | None,
) -> None:
    """Train `todo`, telling `progress` the folds done and UF1 so far."""
    from mecli.training import engines, folder, standing

    waiting = {(t.seed, t.number) for t in todo}
    done = [t for t in tasks if (t.seed, t.number) not in waiting]
    tally = standing.Tally(job)
    for task in done:
        if there := folder.read_fold(job.run, task.seed, task.number):
            tally.add(there)
    total = len(done) + len(todo)
    jobs = workers.cores() if options.jobs is None else options.jobs
    tell = progress or (lambda *_: None)
    tell(len(done), total, f"{len(done)} folds were there already" if done else "")
    cluster = Cluster(options.cluster, options.gpus) if options.cluster is not None else None
    trained = engines.run(options.engine, job, todo, jobs, cluster)
    for count, task in enumerate(trained, len(done) + 1):
        if result := folder.read_fold(job.run, task.seed, task.number):
            tally.add(result)
        said = [task.name, str(tally)]
        tell(count, total, ", ".join(filter(None, said)))
