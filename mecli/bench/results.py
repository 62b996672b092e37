"""``bench results``: every model under one protocol on one source, from clips to the table.

Each seed of a model is a run of its own in the folder, trained with selection ``oracle``:
its score is that of the last epoch, and what the held-out subjects would have picked is
kept beside. Models that solve for their weights have no epochs, no seed and no such column.
A model is named as ``htnet`` or, with a preset of its options, as ``htnet@small``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mecli import files, registry, runs
from mecli.bench.published import PUBLISHED
from mecli.errors import InputError, UsageError
from mecli.evaluate import EvaluateOptions, evaluate
from mecli.extract import ExtractOptions, extract
from mecli.models.options import resolve
from mecli.report.results import Result
from mecli.train import TrainOptions, read_options, resume, train
from mecli.training import folder
from mecli.training.options import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from mecli.report.evaluation import RunEvaluation
    from mecli.terminal import Report

_CACHE = "mecli.h5"


def wanted(models: str | None) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the models in ``a,b:2``, None for all, and how many seeds some are to have."""
    if models is None:
        return registry.names("model"), {}
    words = [word.strip().partition(":") for word in models.split(",")]
    odd = [count for _, colon, count in words if colon and not count.isdecimal()]
    if odd:
        raise UsageError(f"--models {models}: '{odd[0]}' is no number of seeds")
    names = tuple(n for n, _, _ in words)
    if len(set(names)) < len(names):
        raise UsageError(f"--models {models}: a model is named twice")
    return names, {n: int(count) for n, _, count in words if count}


def _settled(name: str) -> tuple[Any, Any]:
    """Return the model and the options that `name` stands for."""
    model, at, preset = name.partition("@")
    loaded = registry.load("model", model)
    return loaded, resolve(loaded, {}, preset if at else None)


@dataclass(frozen=True, slots=True)
class ResultsOptions:
    """What is trained and how often; everything else is as ``mecli train`` has it."""

    folder: Path = Path("results")
    """Holds the cache, one run per model and seed, and one table of predictions per model."""
    models: tuple[str, ...] = registry.names("model")
    seeds: int = 5
    seeds_of: Mapping[str, int] = field(default_factory=dict)
    """For models that cost too much to be repeated as often as the others."""
    protocol: str = "loso"
    labels: str = "megc2019"
    epochs: int | None = None
    jobs: int | None = None
    train: bool = True
    """Whether to train what is missing, or to score what is there."""

    def __post_init__(self) -> None:
        for name in self.models:
            registry.check_name("model", name.partition("@")[0])
            if "@" in name:
                _settled(name)
        registry.check_name("protocol", self.protocol)
        registry.check_name("label scheme", self.labels)
        for count in (self.seeds, *self.seeds_of.values()):
            if count < 1:
                raise UsageError(f"{count} seeds, expected at least 1")


def bench_results(
    source: str, options: ResultsOptions, progress: Report
) -> tuple[list[Result], Mapping[str, str]]:
    """Extract, train what is missing and score everything; `source` is a corpus folder.

    Returns a row per model, and the clips that could not be extracted with the reason. A
    call that was interrupted goes on where it stopped. Raises `InputError` if the folder
    holds runs on other clips or with other options.
    """
    if not options.train:
        return scored(options, {}), {}
    cache = options.folder / _CACHE
    summary = extract([source], cache, ExtractOptions(jobs=options.jobs), progress=progress)
    absent = unfit(cache, options)
    planned = list(rounds([name for name in options.models if name not in absent], options))
    for place, (model, seed) in enumerate(planned):
        told = _part_of(progress, place, len(planned), f"{model}, seed {seed}")
        _train(cache, model, seed, options, told)
    return scored(options, absent), summary.failures


def unfit(cache: Path, options: ResultsOptions) -> dict[str, str]:
    """Return the models that cannot read the clips of `cache`, each with the reason."""
    from mecli.training import dataset

    data = dataset.read([cache], options.labels)
    record = next(dataset.records(data))
    reasons = {}
    for name in options.models:
        model, model_options = _settled(name)
        try:
            model.features(record, model_options)
        except InputError as error:
            reasons[name] = str(error).removeprefix(f"clip {record.clip_id}: ")
    return reasons


def rounds(models: Sequence[str], options: ResultsOptions) -> Iterator[tuple[str, int]]:
    """Yield model and seed: every model once before any is repeated."""
    for seed in range(max((options.seeds, *options.seeds_of.values()))):
        for name in models:
            wanted = options.seeds_of.get(name, options.seeds)
            if seed < (wanted if _has_epochs(name) else 1):
                yield name, seed


def _has_epochs(name: str) -> bool:
    from mecli.training.selection import selectable

    model, model_options = _settled(name)
    return selectable(model.stages(model_options))


def _part_of(progress: Report, place: int, runs: int, name: str) -> Report:
    """Return a report of one run that tells how far all `runs` of as many folds have come."""

    def tell(done: int, total: int, message: str = "", /) -> None:
        progress(place * total + done, runs * total, f"{name}: {message}")

    return tell


def _train(cache: Path, name: str, seed: int, options: ResultsOptions, progress: Report) -> None:
    run = _run(options, name, seed)
    try:
        if (run / folder.RUN).exists():
            _check_asked(run, options)
            resume(run, progress, options.jobs)
        else:
            train(_asked(cache, name, seed, options), progress, run)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("the same command goes on where it stopped") from error


def _asked(cache: Path, name: str, seed: int, options: ResultsOptions) -> TrainOptions:
    model, at, preset = name.partition("@")
    return TrainOptions(
        caches=(cache,),
        model=model,
        preset=preset if at else None,
        protocol=options.protocol,
        labels=options.labels,
        epochs=options.epochs,
        seed=seed,
        jobs=options.jobs,
        selection=runs.ORACLE if _has_epochs(name) else "last",
        final=False,
        keep_weights=False,
        runs=options.folder / "runs",
    )


def _check_asked(run: Path, options: ResultsOptions) -> None:
    """Raise `InputError` if `run` was started with what `options` do not ask for."""
    before = read_options(run / folder.OPTIONS)
    for name in ("protocol", "labels", "epochs"):
        was, asked = getattr(before, name), getattr(options, name)
        if was != asked:
            raise InputError(
                f"{run}: was started with {name} {was or 'by default'}, asked for "
                f"{asked or 'the default'}; ask for that, or name another --folder"
            )


def _run(options: ResultsOptions, model: str, seed: int) -> Path:
    return options.folder / "runs" / f"{model}-{seed}"


def scored(options: ResultsOptions, absent: Mapping[str, str]) -> list[Result]:
    """Score the finished runs of each model; `absent` says why a model has none."""
    found = []
    for name in options.models:
        done = [run for run in _runs_of(options, name) if _complete(run)]
        for run in done:
            _check_asked(run, options)
        tables = {
            table: _joined(done, table, options.folder / f"{name}-{table}")
            for table in (runs.PREDICTIONS, runs.LEAKED_PREDICTIONS)
        }
        note = absent.get(name, "" if done else "not trained yet")
        honest, leaked = (_score(tables[table], options) for table in tables)
        begun = " or ".join(sorted({_begun_with(run) for run in done}))
        published = PUBLISHED.get(name.partition("@")[0])
        found.append(Result(name, honest, leaked, begun or None, published, note))
    return found


def _runs_of(options: ResultsOptions, model: str) -> list[Path]:
    wanted = options.seeds_of.get(model, options.seeds)
    return [_run(options, model, seed) for seed in range(wanted)]


def _complete(run: Path) -> bool:
    return (run / folder.RUN).exists() and runs.read_header(run)["status"] == runs.COMPLETE


def _begun_with(run: Path) -> str:
    """Return the checkpoint that the folds of `run` began with, or ``none``."""
    return str((runs.read_header(run).get("pretrained") or {}).get("checkpoint", NONE))


def _joined(done: Sequence[Path], table: str, out: Path) -> Path | None:
    """Write the rows of all `done` runs as one table, each with its seed; None without rows."""
    texts = [path.read_text() for run in done if (path := run / table).exists()]
    if not texts:
        return None
    header = texts[0].partition("\n")[0]
    bodies = [text.partition("\n") for text in texts]
    if any(first != header for first, _, _ in bodies):
        raise InputError(f"{out}: the seeds' tables have different columns; train them anew")
    files.write_text(out, f"{header}\n{''.join(rest for _, _, rest in bodies)}")
    return out


def _score(table: Path | None, options: ResultsOptions) -> RunEvaluation | None:
    if table is None:
        return None
    asked = EvaluateOptions(labels=options.labels, protocol=options.protocol)
    return evaluate([table], asked).runs[0]
