"""What a run consists of: its clips, its folds, its tasks and what run.json says of it."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mecli import __version__, registry
from mecli.checkpoints import BUNDLED
from mecli.errors import InputError, UsageError
from mecli.models.contract import Recipe
from mecli.models.options import resolve
from mecli.registry import AUTO
from mecli.schemes.au import ALL
from mecli.training import dataset, engines, folder, precision, selection, start
from mecli.training.job import FINAL, FoldTask, Job
from mecli.training.options import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.folds import Fold
    from mecli.training.checkpoint import Checkpoint
    from mecli.training.dataset import Dataset
    from mecli.training.options import TrainOptions

# What has to be as it was when a run is resumed.
_KEPT = (
    "caches",
    "classes",
    "excluded",
    "folds",
    "model_options",
    "precision",
    "pretrained",
    "seeds",
    "selection",
)


# Options that say how a network is trained, not what it is.
_TRAINING = {"dropout", *(f.name for f in fields(Recipe))}


@dataclass(frozen=True, slots=True)
class Plan:
    """One run before it starts: everything that its folds have in common is settled."""

    options: TrainOptions
    model_options: Any
    data: Dataset
    folds: tuple[Fold, ...]
    checkpoint: Checkpoint | None
    """What the run begins with, if it does not begin with weights drawn by its seed."""

    @property
    def seeds(self) -> list[int]:
        """The seeds that every fold is trained with."""
        return list(range(self.options.seed, self.options.seed + self.options.seeds))

    def description(self) -> dict[str, Any]:
        """Return run.json as it is when the run starts."""
        options, data = self.options, self.data
        return {
            "format": folder.FORMAT,
            "mecli": __version__,
            "status": "running",
            "model": options.model,
            "model_options": asdict(self.model_options),
            "pretrained": self._pretrained(),
            "protocol": options.protocol,
            "scheme": data.table.scheme,
            "classes": list(data.table.classes),
            "seeds": self.seeds,
            "selection": options.selection,
            "precision": options.precision,
            "engine": engines.choose(options.engine),
            "caches": list(data.fingerprints),
            "folds": [
                {"name": f.name, "train_clips": len(f.train), "test": list(f.test)}
                for f in self.folds
            ],
            "excluded": dict(data.excluded),
            "versions": {
                "mecli": __version__,
                "python": sys.version.split()[0],
                "numpy": str(np.__version__),
                "torch": str(torch.__version__),
            },
        }

    def _pretrained(self) -> dict[str, Any] | None:
        if self.checkpoint is None:
            return None
        return {
            "checkpoint": self.options.pretrained,
            "sha256": self.checkpoint.description["sha256"],
            "subjects": len(start.persons_of(self.checkpoint)),
            "frozen": self.options.freeze,
            "classes": start.knows(self.checkpoint, self.data.table.classes),
        }

    def warnings(self) -> list[str]:
        """Say what is odd about the clips, and how those of the checkpoint were made otherwise."""
        said = [mixed] if (mixed := dataset.mixed(self.data)) else []
        return [*said, *self._made_otherwise()] if self.checkpoint else said

    def _made_otherwise(self) -> list[str]:
        assert self.checkpoint is not None
        caches = self.checkpoint.description.get("caches") or [{}]
        theirs, ours = caches[0].get("options", {}), self.data.fingerprints[0]["options"]
        if dataset.kinds(self.data) == {True}:
            # All else is about frames.
            theirs, ours = ({"images": given.get("images")} for given in (theirs, ours))
        return [
            f"{self.options.pretrained} was trained on clips extracted with {name} "
            f"{theirs.get(name)}, these have {ours.get(name)}"
            for name in sorted({*theirs, *ours})
            if theirs.get(name) != ours.get(name)
        ]

    def check_same(self, run: Path) -> None:
        """Raise `InputError` if the run in folder `run` was started with another plan."""
        before, now = folder.read_run(run), self.description()
        for name in _KEPT:
            if before.get(name) != now[name]:
                raise InputError(
                    f"{run}: {name} changed since the run was started; start a new run"
                )

    def job(self, run: Path, features: str = folder.FEATURES) -> Job:
        """Return what all folds have in common, for a run in folder `run`."""
        options, data, persons = self.options, self.data, self.data.persons
        return Job(
            run=run,
            model=options.model,
            options=self.model_options,
            epochs=options.epochs,
            classes=data.table.classes,
            scheme=data.table.scheme,
            clip_ids=data.clip_ids,
            labels=data.labels,
            persons=tuple(persons[clip_id] for clip_id in data.clip_ids),
            description={
                "protocol": options.protocol,
                "seeds": self.seeds,
                "caches": list(data.fingerprints),
                "clips": len(data.clips),
                "epochs": options.epochs,
                "selection": options.selection,
                "pretrained": self._pretrained(),
            },
            precision=options.precision,
            keep_weights=options.keep_weights and not options.leaks,
            selection=options.selection,
            pretrained=None if self.checkpoint is None else options.pretrained,
            freeze=options.freeze,
            features=features,
        )

    def tasks(self) -> list[FoldTask]:
        """Return every fold with every seed; folds that hold out nobody are none."""
        return [
            FoldTask(number, fold.name, seed, fold.train, fold.test)
            for seed in self.seeds
            for number, fold in enumerate(self.folds)
            if fold.test
        ]

    def final_task(self) -> FoldTask:
        """Return the training on all clips."""
        clips = self.data.clip_ids
        return FoldTask(FINAL, "all clips", self.options.seed, clips, ())

    def features(self) -> Iterator[NDArray[np.generic]]:
        """Yield what the trained stages read of each clip, in the order of the clips."""
        model = registry.load("model", self.options.model)
        values = dataset.features(self.data, model, self.model_options)
        if self.checkpoint is None:
            return values
        values = _shaped(values, self.checkpoint)
        if not self.options.freeze:
            return values
        stages = model.stages(self.model_options)
        dtype = precision.DTYPES[self.options.precision]
        networks = start.frozen(self.checkpoint, stages, self.data.table.classes, dtype)
        return start.exports(networks, stages, values)


def make(options: TrainOptions) -> Plan:
    """Read the caches and settle what `options` leave open.

    Raises `InputError` for caches, folds or a checkpoint that cannot be trained on.
    """
    if options.labels == ALL:
        raise UsageError(f"labels '{ALL}' are a run for each action unit, made by train_units")
    model_options, checkpoint = settled(options)
    _check_selection(options, model_options)
    precision.check(options.precision, engines.device(options.engine))
    data = dataset.read(options.caches, options.labels)
    if options.pretrained == BUNDLED:
        options = replace(options, pretrained=start.named(BUNDLED, data))
        model_options, checkpoint = settled(options)
    if checkpoint is None:
        model_options = _showing(options, model_options, data)
    if options.pretrained == AUTO:
        fits = _shipped_fits(options, model_options, data)
        options = replace(options, pretrained=start.named(BUNDLED, data) if fits else NONE)
        if fits:
            model_options, checkpoint = settled(options)
    divided = folds(options, data)
    if checkpoint is not None:
        start.check_persons(options.pretrained, checkpoint, data.persons.values())
        stages = registry.load("model", options.model).stages(model_options)
        start.weights(checkpoint, stages, data.table.classes)
    return Plan(options, model_options, data, divided, checkpoint)


def folds(options: TrainOptions, data: Dataset) -> tuple[Fold, ...]:
    """Return the folds of the protocol that `options` name."""
    protocol = registry.load("protocol", options.protocol)
    divided: tuple[Fold, ...] = protocol(
        data.persons, k=options.k, share=options.share, seed=options.seed
    )
    return divided


def settled(options: TrainOptions) -> tuple[Any, Checkpoint | None]:
    """Return the model's options, and the checkpoint to begin with if one is named.

    What the network is and sees is then as in the checkpoint, unless other options are
    named; how it is trained is not: that hangs on the clips that are at hand.
    """
    model = registry.load("model", options.model)
    if options.pretrained in {AUTO, NONE}:
        return resolve(model, options.model_options, options.preset), None
    checkpoint = start.read(options.pretrained, options.model)
    resolve(model, options.model_options, options.preset)  # names and types, told as ever
    preset = model.presets[options.preset] if options.preset else {}
    theirs = {n: v for n, v in asdict(checkpoint.options).items() if n not in _TRAINING}
    given = {**theirs, **preset, **options.model_options}
    settled_options = resolve(model, given)
    start.check_stages(options.model, model.stages(settled_options), options.freeze)
    return settled_options, checkpoint


def _showing(options: TrainOptions, model_options: Any, data: Dataset) -> Any:
    """Return the model's options for what the clips show, unless they were asked for."""
    preset = registry.load("model", options.model).presets.get(options.preset, {})
    if "steps" in {**preset, **options.model_options} or not hasattr(model_options, "showing"):
        return model_options
    return model_options.showing(dataset.moments(data))


def _shipped_fits(options: TrainOptions, model_options: Any, data: Dataset) -> bool:
    model = registry.load("model", options.model)
    stages = model.stages(model_options)
    if any(stage.solved for stage in stages) or len(dataset.kinds(data)) > 1:
        return False
    shape = next(dataset.features(data, model, model_options)).shape
    name = start.named(BUNDLED, data)
    return start.fits(name, options.model, stages, shape, data.table.classes)


def _check_selection(options: TrainOptions, model_options: Any) -> None:
    stages = registry.load("model", options.model).stages(model_options)
    if options.leaks and not selection.selectable(stages):
        raise UsageError(
            f"--selection oracle: model {options.model} solves for its weights, so there is no "
            "epoch to pick; use --selection last"
        )


def _shaped(
    values: Iterator[NDArray[np.generic]], checkpoint: Checkpoint
) -> Iterator[NDArray[np.generic]]:
    for clip in values:
        if clip.shape != checkpoint.shape:
            raise InputError(
                f"features {clip.shape} per clip, but the checkpoint was trained on "
                f"{checkpoint.shape}; leave the options that decide it as they are there"
            )
        yield clip
