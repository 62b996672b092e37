"""All action units with one command: a run for each of the twelve, in one folder.

::

    options.json         the options, with labels 'au'
    run.json             model, protocol, which units have a run, which were left out and why
    au1/ … au17/         a run each, as `mecli train --labels au1` writes it
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mecli import __version__, files
from mecli.errors import InputError, UsageError
from mecli.evaluate import EvaluateOptions, evaluate
from mecli.report.organisers import action_units
from mecli.schemes.au import ALL, SCHEMES, classes_of
from mecli.train import TrainResult, read_options, resume, train, train_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mecli.report.organisers import Asked
    from mecli.train import Progress
    from mecli.training.dataset import Dataset
    from mecli.training.options import TrainOptions
    from mecli.training.part import Part


@dataclass(frozen=True, slots=True)
class UnitsResult:
    """What was trained: the folder, a result per action unit, and their F1 side by side."""

    run: Path
    model: str
    parts: Mapping[str, TrainResult]
    skipped: Mapping[str, str]
    """Scheme of an action unit → why it has no run."""
    table: Asked | None
    """None if nobody was held out."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What there is to say about the parts, the unit named."""
        return tuple(
            f"{name}: {line}" for name, result in self.parts.items() for line in result.warnings
        )

    def as_json(self) -> dict[str, Any]:
        """Return the result as one JSON object."""
        return {
            "run": str(self.run),
            "model": self.model,
            "action_units": None if self.table is None else self.table.as_json(),
            "skipped": dict(self.skipped),
            "parts": {name: result.as_json() for name, result in self.parts.items()},
        }


def train_units(
    options: TrainOptions, models: Sequence[str], progress: Progress | None = None
) -> list[UnitsResult]:
    """Train every action unit with each of `models`, all else as in `options`.

    Raises `InputError` if no unit is both shown and not shown by some clip.
    """
    from mecli.training import dataset, folder, plan

    each = [replace(options, model=model) for model in models]
    if len(set(models)) < len(each):
        raise UsageError(f"--model {','.join(models)}: a model is named twice")
    for one in each:
        plan.settled(replace(one, labels="au1"))
    why = {name: _unlearnable(options, dataset.read(options.caches, name)) for name in SCHEMES}
    skipped = {name: reason for name, reason in why.items() if reason}
    if len(skipped) == len(SCHEMES):
        raise InputError(f"{options.caches[0]}: {skipped['au1']}, and so on for all twelve")
    results = []
    for one in each:
        run = folder.new(one.runs, one.model, f"{one.protocol}-au")
        files.write_json(run / folder.OPTIONS, one.as_json())
        files.write_json(run / folder.RUN, _description(one, skipped))
        results.append(_train(run, one, skipped, progress))
    return results


def _unlearnable(options: TrainOptions, data: Dataset) -> str:
    """Return why some fold has only clips with, or only clips without a unit to learn from."""
    from mecli.training import plan

    unit = data.table.classes[1]
    if len(set(data.labels)) < 2:
        return f"{'every' if 1 in data.labels else 'no'} clip shows {unit}"
    for fold in plan.folds(options, data):
        shown = {data.table.index[clip] for clip in fold.train}
        if len(shown) < 2:
            return (
                f"{'every' if 1 in shown else 'no'} training clip of fold {fold.name} shows {unit}"
            )
    return ""


def train_any(
    options: TrainOptions,
    models: Sequence[str],
    progress: Progress | None = None,
    run: Path | None = None,
    part: Part | None = None,
) -> Sequence[TrainResult] | Sequence[UnitsResult]:
    """Train `models`, on all action units if that is what the labels of `options` are.

    `run` and `part` are of one model and one label scheme; `UsageError` where there are more.
    """
    whole = part is None or part.is_whole
    if run is not None or not whole:
        if options.labels == ALL or len(models) > 1:
            raise UsageError(
                "--run, --shard and --fold are of one run: name one model and one label scheme"
            )
        return [train(replace(options, model=models[0]), progress, run, None if whole else part)]
    if options.labels == ALL:
        return train_units(options, models, progress)
    return train_each(options, models, progress)


def is_units(run: Path) -> bool:
    """Whether the run in folder `run` is of all action units."""
    from mecli.training import folder

    return "parts" in folder.read_run(run)


def resume_units(
    run: Path, progress: Progress | None = None, jobs: int | None = None
) -> UnitsResult:
    """Go on with the action units in folder `run`; finished folds are not repeated."""
    from mecli.training import folder

    options = read_options(run / folder.OPTIONS)
    options = options if jobs is None else replace(options, jobs=jobs)
    return _train(run, options, folder.read_run(run)["skipped"], progress)


def _description(options: TrainOptions, skipped: Mapping[str, str]) -> dict[str, Any]:
    from mecli.training import folder

    return {
        "format": folder.FORMAT,
        "mecli": __version__,
        "status": "running",
        "model": options.model,
        "protocol": options.protocol,
        "scheme": options.labels,
        "selection": options.selection,
        "classes": [classes_of(unit)[1] for unit in SCHEMES.values()],
        "parts": [name for name in SCHEMES if name not in skipped],
        "skipped": dict(skipped),
    }


def _train(
    run: Path, options: TrainOptions, skipped: Mapping[str, str], progress: Progress | None
) -> UnitsResult:
    from mecli.training import folder

    described = folder.read_run(run)
    parts = {}
    for number, name in enumerate(described["parts"]):
        told = _within(progress, number, len(described["parts"]), name)
        try:
            if (run / name / folder.RUN).exists():
                parts[name] = resume(run / name, told, options.jobs)
            else:
                parts[name] = train(replace(options, labels=name), told, run / name)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(f"go on with `mecli train --resume {run}`") from error
    files.write_json(run / folder.RUN, {**described, "status": "complete"})
    return UnitsResult(run, options.model, parts, skipped, _table(run, parts))


def _within(progress: Progress | None, number: int, parts: int, name: str) -> Progress:
    """Return progress of one part as progress of the whole; parts have the same folds."""

    def tell(done: int, total: int, message: str) -> None:
        if progress is not None:
            progress(number * total + done, parts * total, f"{name.upper()}: {message}")

    return tell


def _table(run: Path, parts: Mapping[str, TrainResult]) -> Asked | None:
    if not any(result.predictions for result in parts.values()):
        return None
    (table,) = action_units(evaluate([run], EvaluateOptions(resamples=1)).runs)
    return table
