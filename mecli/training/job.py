"""What a run has to do: the job that all its folds share, and each fold as a task."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mecli import registry
from mecli.errors import InputError
from mecli.models.contract import with_epochs
from mecli.training import folder, randomness, start
from mecli.training.checkpoint import networks_for
from mecli.training.fit import Course
from mecli.training.precision import BF16, DTYPES
from mecli.training.units import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mecli.models.contract import Network, Stage
    from mecli.training.checkpoint import Checkpoint

FINAL = -1


@dataclass(frozen=True, slots=True)
class Job:
    """What all folds of a run have in common; small enough to be sent to every worker."""

    run: Path
    model: str
    options: Any
    epochs: int | None
    classes: tuple[str, ...]
    scheme: str
    clip_ids: tuple[str, ...]
    labels: tuple[int, ...]
    persons: tuple[str, ...]
    description: Mapping[str, Any]
    """Protocol, seeds, caches: what a checkpoint should know of the run."""
    precision: str = "float32"
    keep_weights: bool = True
    selection: str = "last"
    """Which epoch counts; see `selection`."""
    pretrained: str | None = None
    """The checkpoint that every fold begins with."""
    freeze: bool = False
    """Whether all stages but the last stay as that checkpoint has them."""
    features: str = folder.FEATURES
    """The file in the run folder that holds the features of all clips."""

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """The stages of the model with the epochs of this run."""
        stages: tuple[Stage, ...] = registry.load("model", self.model).stages(self.options)
        return with_epochs(stages, self.epochs)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Those of the stages that are trained."""
        return self.all_stages[-1:] if self.freeze else self.all_stages

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return DTYPES[self.precision]

    def checkpoint(self) -> Checkpoint | None:
        """Return what every fold begins with, read from its file."""
        if self.pretrained is None:
            return None
        sha256 = self.description["pretrained"]["sha256"]
        return start.read_same(self.pretrained, self.model, sha256)

    def course(self, seed: int) -> Course:
        """Return where the training of every fold with `seed` starts, and how exact it is."""
        checkpoint = self.checkpoint()
        weights = start.weights(checkpoint, self.all_stages, self.classes) if checkpoint else {}
        drawn = randomness.drawn(self.run, seed)
        return Course(start=weights, bf16=self.precision == BF16, drawn=drawn)

    def frozen(self) -> tuple[tuple[Network, ...], tuple[int, ...] | None]:
        """Return the networks that are not trained, and the shape of the clips they read."""
        checkpoint = self.checkpoint() if self.freeze else None
        if checkpoint is None:
            return (), None
        networks = start.frozen(checkpoint, self.all_stages, self.classes, self.dtype)
        return networks, checkpoint.shape

    def stage_bytes(self, table: Table) -> list[int]:
        """Return the size of each trained stage's weights, before anything is built."""
        shape = tuple(table.features.shape[1:])
        with torch.device("meta"):
            networks, _ = networks_for(self.stages, shape, table.n_classes, self.dtype)
        return [sum(p.numel() for p in n.parameters()) * self.dtype.itemsize for n in networks]

    def check_space(self, tasks: Sequence[FoldTask]) -> None:
        """Raise `InputError` if the disk cannot hold the weights that `tasks` will write."""
        written = len(tasks) if self.keep_weights else sum(t.number == FINAL for t in tasks)
        needed = written * sum(self.stage_bytes(self.table()))
        free = shutil.disk_usage(self.run).free
        if needed > free:
            raise InputError(
                f"{self.run}: the weights of {written} trainings take {needed / 2**30:.1f} GiB, "
                f"{free / 2**30:.1f} GiB are free; use --no-keep-weights or another --runs"
            )

    def table(self) -> Table:
        """Return the clips of the run; features are mapped, shared by all workers."""
        labels = np.array(self.labels, dtype=np.int64)
        features = folder.map_features(self.run, self.features)
        return Table(self.clip_ids, features, labels, len(self.classes), scratch=self.run)


@dataclass(frozen=True, slots=True)
class FoldTask:
    """One fold with one seed: clip ids to fit on and to score.

    Number `FINAL` is no fold: it trains on everything and makes the run's checkpoint.
    """

    number: int
    name: str
    seed: int
    train: tuple[str, ...]
    test: tuple[str, ...]
