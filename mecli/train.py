"""Train a model under a protocol: every fold from scratch, every stage inside its fold."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import __version__, files, registry, workers
from mecli.errors import InputError, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mecli.folds import Fold
    from mecli.training.dataset import Dataset
    from mecli.training.engines import FoldTask, Job

    Progress = Callable[[int, int, str], None]

SELECTIONS = ("last", "inner", "oracle")
_PRECISIONS = ("float32", "float64")


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Everything that decides what `train` computes; its defaults are the command's."""

    caches: tuple[Path, ...] = (Path("mecli.h5"),)
    model: str = "roi-flow-lstm"
    preset: str | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "loso"
    labels: str = "megc2019"
    k: int = 5
    share: float = 0.2
    epochs: int | None = None
    seed: int = 0
    seeds: int = 1
    engine: str = "auto"
    jobs: int | None = None
    precision: str = "float32"
    selection: str = "last"
    final: bool = True
    keep_weights: bool = True
    runs: Path = Path("runs")

    def __post_init__(self) -> None:
        registry.check_name("model", self.model)
        registry.check_name("protocol", self.protocol)
        if not self.labels.casefold().endswith(".csv"):
            registry.check_name("label scheme", self.labels)
        if not self.caches:
            raise UsageError("no cache named, expected at least one")
        _check_choice("precision", self.precision, _PRECISIONS)
        _check_choice("selection", self.selection, SELECTIONS)
        _check_choice("engine", self.engine, ("auto", "pool", "stacked", "sequential"))
        if self.selection != "last":
            raise UsageError(f"selection '{self.selection}' is not there yet; use last")
        for name, least in (("epochs", 1), ("seeds", 1), ("seed", 0), ("jobs", 0), ("k", 2)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{name} is {value}, expected {least} or more")
        if not 0 < self.share < 1:
            raise UsageError(f"--share is {self.share}, expected 0 < share < 1")

    def as_json(self) -> dict[str, Any]:
        """Return the options as a JSON document that `from_json` takes back."""
        values = asdict(self)
        return {
            **values,
            "caches": [str(path) for path in self.caches],
            "runs": str(self.runs),
            "model_options": dict(self.model_options),
        }

    @classmethod
    def from_json(cls, document: Any, where: Path) -> TrainOptions:
        """Return the options in `document`, which was read from `where`."""
        if not isinstance(document, dict):
            raise InputError(f"{where}: not a JSON object of train options")
        known = [f.name for f in fields(cls)]
        for name in document:
            if name not in known:
                raise UnknownName(f"option in {where}", str(name), known)
        values = dict(document)
        try:
            if "caches" in values:
                values["caches"] = tuple(map(Path, values["caches"]))
            if "runs" in values:
                values["runs"] = Path(values["runs"])
            return cls(**values)
        except TypeError as error:
            raise InputError(f"{where}: a train option has the wrong type: {error}") from error


def _check_choice(kind: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UnknownName(kind, value, known)


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What `train` did: the run folder, who was left out and why, and its scores so far."""

    run: Path
    clips: int
    folds: int
    excluded: Mapping[str, str]
    warnings: tuple[str, ...]
    uf1: float | None
    """Pooled over all held-out clips of the first seed; None if nobody was held out."""
    uar: float | None
    predictions: Path | None
    final: Path | None
    temperature: float | None = None
    """Of the final checkpoint, fitted on the held-out scores of all seeds."""

    def as_json(self) -> dict[str, Any]:
        """Return the result as one JSON object."""
        return {
            "run": str(self.run),
            "clips": self.clips,
            "folds": self.folds,
            "uf1": self.uf1,
            "uar": self.uar,
            "excluded": dict(self.excluded),
            "warnings": list(self.warnings),
            "predictions": None if self.predictions is None else str(self.predictions),
            "final": None if self.final is None else str(self.final),
            "temperature": self.temperature,
        }


def read_options(path: Path) -> TrainOptions:
    """Return the options that a run wrote to `path`."""
    return TrainOptions.from_json(files.read_json(path), path)


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return model options from ``name=value`` words; a value is JSON where it can be."""
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (equals and name.strip()):
            raise UsageError(f"--set {setting}: expected name=value")
        try:
            parsed[name.strip()] = json.loads(value)
        except ValueError:
            parsed[name.strip()] = value
    return parsed


def train(options: TrainOptions, progress: Progress | None = None) -> TrainResult:
    """Train all folds of `options` into a new run folder, and a checkpoint on all clips."""
    from mecli.training import dataset, folder

    data = dataset.read(options.caches, options.labels)
    folds = _folds(options, data)
    described = _description(options, data, folds)
    run = folder.new(options.runs, options.model, options.protocol)
    files.write_json(run / folder.OPTIONS, options.as_json())
    files.write_json(run / folder.RUN, described)
    return _train(options, run, data, folds, progress)


def train_each(
    options: TrainOptions, models: Sequence[str], progress: Progress | None = None
) -> list[TrainResult]:
    """Train `models` one after another, all else as in `options`; all names are checked first."""
    each = [replace(options, model=model) for model in models]
    if len(set(models)) < len(each):
        raise UsageError(f"--model {','.join(models)}: a model is named twice")
    for one in each:
        _resolved(one)
    return [train(one, progress) for one in each]


def resume(run: Path, progress: Progress | None = None, jobs: int | None = None) -> TrainResult:
    """Go on with the run in folder `run`; finished folds are not repeated.

    Raises `InputError` if the folder is no run, or if caches, folds or defaults of the
    model are no longer what they were when the run was started.
    """
    from mecli.training import dataset, folder

    before = folder.read_run(run)
    where = run / folder.OPTIONS
    options = TrainOptions.from_json(files.read_json(where), where)
    data = dataset.read(options.caches, options.labels)
    folds = _folds(options, data)
    now = _description(options, data, folds)
    for name in ("caches", "classes", "excluded", "folds", "model_options", "seeds"):
        if before.get(name) != now[name]:
            raise InputError(f"{run}: {name} changed since the run was started; start a new run")
    return _train(
        options if jobs is None else replace(options, jobs=jobs), run, data, folds, progress
    )


def _folds(options: TrainOptions, data: Dataset) -> tuple[Fold, ...]:
    protocol = registry.load("protocol", options.protocol)
    folds: tuple[Fold, ...] = protocol(
        data.persons, k=options.k, share=options.share, seed=options.seed
    )
    return folds


def _seeds(options: TrainOptions) -> list[int]:
    return list(range(options.seed, options.seed + options.seeds))


def _resolved(options: TrainOptions) -> Any:
    from mecli.models.options import resolve

    model = registry.load("model", options.model)
    return resolve(model, options.model_options, options.preset)


def _description(options: TrainOptions, data: Dataset, folds: Sequence[Fold]) -> dict[str, Any]:
    """Return run.json as it is when the run starts."""
    import numpy
    import torch

    return {
        "format": 1,
        "mecli": __version__,
        "status": "running",
        "model": options.model,
        "model_options": asdict(_resolved(options)),
        "protocol": options.protocol,
        "scheme": data.table.scheme,
        "classes": list(data.table.classes),
        "seeds": _seeds(options),
        "selection": options.selection,
        "caches": list(data.fingerprints),
        "folds": [
            {"name": f.name, "train_clips": len(f.train), "test": list(f.test)} for f in folds
        ],
        "excluded": dict(data.excluded),
        "versions": {
            "mecli": __version__,
            "python": sys.version.split()[0],
            "numpy": str(numpy.__version__),
            "torch": str(torch.__version__),
        },
    }


def _train(
    options: TrainOptions,
    run: Path,
    data: Dataset,
    folds: Sequence[Fold],
    progress: Progress | None,
) -> TrainResult:
    from mecli.training import dataset, folder, standing

    job = _job(options, run, data)
    tasks = _tasks(options, folds)
    todo = [t for t in tasks if not standing.finished(run, t)]
    final = run / folder.FINAL if options.final else None
    if final and not final.exists():
        todo.append(_final_task(options, data))
    if todo:
        model = registry.load("model", options.model)
        values = dataset.features(data, model, job.options)
        folder.write_features(run, len(data.clips), values)
    try:
        _work(options, job, tasks, todo, progress)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"go on with `mecli train --resume {run}`") from error
    results = [r for t in tasks if (r := folder.read_fold(run, t.seed, t.number))]
    folder.remove_features(run)
    predictions = None
    if tasks:
        predictions = folder.write_predictions(run, results, job.classes, standing.named(data))
    temperature = standing.temperature(job, results)
    if final is not None and temperature is not None:
        _calibrate(final, temperature)
    files.write_json(run / folder.RUN, {**folder.read_run(run), "status": "complete"})
    uf1, uar = standing.pooled(job, [r for r in results if r.seed == options.seed])
    return TrainResult(
        run=run,
        clips=len(data.clips),
        folds=sum(bool(f.test) for f in folds),
        excluded=data.excluded,
        warnings=standing.warnings(job, results),
        uf1=uf1,
        uar=uar,
        predictions=predictions,
        final=final,
        temperature=temperature,
    )


def _calibrate(final: Path, temperature: float) -> None:
    """Write the final checkpoint anew with the temperature that only all folds together know."""
    from mecli.training.checkpoint import load_checkpoint, save_checkpoint

    save_checkpoint(final, replace(load_checkpoint(final), temperature=temperature))


def _job(options: TrainOptions, run: Path, data: Dataset) -> Job:
    from mecli.training import engines

    return engines.Job(
        run=run,
        model=options.model,
        options=_resolved(options),
        epochs=options.epochs,
        classes=data.table.classes,
        scheme=data.table.scheme,
        clip_ids=data.clip_ids,
        labels=data.labels,
        description={
            "protocol": options.protocol,
            "seeds": _seeds(options),
            "caches": list(data.fingerprints),
            "clips": len(data.clips),
            "epochs": options.epochs,
        },
        precision=options.precision,
        keep_weights=options.keep_weights,
    )


def _tasks(options: TrainOptions, folds: Sequence[Fold]) -> list[FoldTask]:
    from mecli.training import engines

    return [
        engines.FoldTask(number, fold.name, seed, fold.train, fold.test)
        for seed in _seeds(options)
        for number, fold in enumerate(folds)
        if fold.test
    ]


def _final_task(options: TrainOptions, data: Dataset) -> FoldTask:
    from mecli.training import engines

    return engines.FoldTask(engines.FINAL, "all clips", options.seed, data.clip_ids, ())


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
    results = [r for t in done if (r := folder.read_fold(job.run, t.seed, t.number))]
    total = len(done) + len(todo)
    jobs = workers.cores() if options.jobs is None else options.jobs
    tell = progress or (lambda *_: None)
    tell(len(done), total, f"{len(done)} folds were there already" if done else "")
    for count, task in enumerate(engines.run(options.engine, job, todo, jobs), len(done) + 1):
        result = folder.read_fold(job.run, task.seed, task.number)
        results += [result] if result else []
        uf1 = standing.pooled(job, results)[0]
        tell(count, total, task.name if uf1 is None else f"{task.name}, UF1 so far {uf1:.3f}")
