"""Which epoch counts, and who has a say in it.

``last``: nobody; all epochs are trained. ``inner``: some TRAINING subjects of the fold are
set aside, the epoch with the least loss on them is found stage by stage, and then the fold
is trained anew on all its training subjects for that many epochs (of the same learning
rate schedule). Keeping the first weights instead would spare time but waste a fifth of
the training subjects. ``oracle``: the held-out subjects themselves, which is how
published scores came to be too good (Varanka et al. 2024, arXiv 2211.11425). It exists
to show by how much: the weights are those of the last epoch as ever, and what the best
epoch would have scored is kept beside, called leaked.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import torch

from mecli.errors import InputError
from mecli.training.fit import exported, probabilities
from mecli.training.units import as_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from mecli.models.contract import Network, Stage
    from mecli.training.fit import Course, Fitted
    from mecli.training.job import FoldTask, Job
    from mecli.training.units import Table

    Fit = Callable[[Sequence[NDArray[np.int64]], Sequence[Course]], Sequence[Fitted]]

SHARE = 0.2
"""Share of the training clips that ``inner`` sets aside, at least."""
_TOGETHER = 32


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained fold, and what was looked at on the way."""

    fitted: Fitted
    epochs: Mapping[str, int]
    """Stage → epochs chosen by ``inner``; empty if nothing was chosen."""
    epoch_scores: tuple[NDArray[np.float64], ...] = ()
    """Held-out class probabilities (N, K) after every epoch, for ``oracle`` alone."""


def train_folds(job: Job, table: Table, tasks: Sequence[FoldTask], fit: Fit) -> list[Trained]:
    """Train `tasks` of one seed as the job's selection says; `fit` is the engine."""
    trains = [table.rows(task.train) for task in tasks]
    courses = [job.course(tasks[0].seed)] * len(tasks)
    if not selectable(job.stages):
        return [Trained(f, {}) for f in fit(trains, courses)]
    if job.selection == "oracle":
        seen = [HeldOutEpochs(job.stages, table, table.rows(task.test)) for task in tasks]
        fitted = fit(trains, [replace(c, watch=w) for c, w in zip(courses, seen, strict=True)])
        return [Trained(f, {}, tuple(w.scores)) for f, w in zip(fitted, seen, strict=True)]
    if job.selection == "inner":
        splits = [inner_split(job, task) for task in tasks]
        chosen = [BestEpoch(job.stages, table, table.rows(aside)) for _, aside in splits]
        fit(
            [table.rows(inner) for inner, _ in splits],
            [replace(c, watch=w) for c, w in zip(courses, chosen, strict=True)],
        )
        courses = [replace(c, stops=w.epochs) for c, w in zip(courses, chosen, strict=True)]
    stops = [course.stops for course in courses]
    return [Trained(f, s) for f, s in zip(fit(trains, courses), stops, strict=True)]


def selectable(stages: Sequence[Stage]) -> bool:
    """Whether there are epochs to choose from: a model that solves for its weights has none."""
    return any(not stage.solved for stage in stages)


def inner_split(job: Job, task: FoldTask) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the training clips of `task` by person: to learn from, and to choose by.

    Persons are set aside in an order that hangs on seed, fold and name alone, until they
    have `SHARE` of the clips. Whoever is the last to show a class stays. Raises
    `InputError` if nobody can be set aside.
    """
    label_of = dict(zip(job.clip_ids, job.labels, strict=True))
    person_of = dict(zip(job.clip_ids, job.persons, strict=True))
    clips_of: defaultdict[str, list[str]] = defaultdict(list)
    for clip in task.train:
        clips_of[person_of[clip]].append(clip)
    left = np.bincount([label_of[c] for c in task.train], minlength=len(job.classes))
    needed, aside = left > 0, list[str]()
    for person in sorted(clips_of, key=lambda p: _draw(task, p)):
        if len(aside) >= SHARE * len(task.train):
            break
        own = np.bincount([label_of[c] for c in clips_of[person]], minlength=len(left))
        if ((left - own)[needed] > 0).all():
            left = left - own
            aside += clips_of[person]
    if not aside:
        raise InputError(
            f"selection inner: none of {len(clips_of)} training subject(s) can be set aside "
            "without losing a class; use --selection last"
        )
    gone = set(aside)
    return tuple(c for c in task.train if c not in gone), tuple(sorted(aside))


def _draw(task: FoldTask, person: str) -> bytes:
    return sha256(f"{task.seed}\0{task.name}\0{person}".encode()).digest()


class _Watched:
    """Clips that are scored after every epoch and never trained on."""

    def __init__(
        self, stages: Sequence[Stage], table: Table, rows: NDArray[np.int64], together: int
    ) -> None:
        self.last, self.together, self.table = stages[-1].name, together, table
        self.labels = table.labels[rows]
        self.clips = self._held(torch.from_numpy(np.array(table.features[row])) for row in rows)

    def shares(self, stage: Stage, network: Network) -> NDArray[np.float64]:
        """Return the class probabilities (N, K) that `network` gives to these clips."""
        parts = self._inputs(network, self.together)
        found = torch.cat([probabilities(stage, network, part) for part in parts])
        network.train()
        return found.cpu().numpy()

    @torch.no_grad()
    def advance(self, stage: Stage, network: Network) -> None:
        """Make the clips what `stage` exports to the next one."""
        if stage.name != self.last:
            by_step = stage.unit == "step"
            each = self._inputs(network, 1)
            self.clips = self._held(exported(network.eval(), c[0], by_step) for c in each)

    def _held(self, clips: Iterable[Tensor]) -> Tensor:
        """Return `clips` (N, …) on the CPU, in a file if they exceed the memory."""
        held: Tensor | None = None
        for place, clip in enumerate(clips):
            if held is None:
                held = self.table.zeros((len(self.labels), *clip.shape), clip.cpu())
            held[place] = clip
        assert held is not None
        return held

    def _inputs(self, network: Network, together: int) -> Iterator[Tensor]:
        like = next(network.parameters())
        for part in torch.split(self.clips, together):
            yield as_input(part.to(like.device), like.dtype)


class BestEpoch(_Watched):
    """Keeps the epoch of every stage that has the least loss on clips set aside.

    The loss is −log p of the true class, averaged over classes: every class counts alike,
    as it does in UF1, and unlike UF1 it moves with every clip.
    """

    def __init__(self, stages: Sequence[Stage], table: Table, rows: NDArray[np.int64]) -> None:
        super().__init__(stages, table, rows, _TOGETHER)
        self.epochs: dict[str, int] = {}
        self._least = np.inf
        self._best: dict[str, Tensor] = {}

    def after_epoch(self, stage: Stage, epoch: int, network: Network) -> None:
        """Keep the weights if they are the best so far; the first of equals."""
        loss = balanced_log_loss(self.shares(stage, network), self.labels)
        if epoch == 0 or loss < self._least:
            self._least, self.epochs[stage.name] = loss, epoch + 1
            self._best = {n: w.detach().clone() for n, w in network.state_dict().items()}

    def after_stage(self, stage: Stage, network: Network) -> None:
        """Go on with the best epoch's weights."""
        if not stage.solved:
            network.load_state_dict(self._best)
        self.advance(stage, network)


class HeldOutEpochs(_Watched):
    """Scores of the held-out clips after every epoch of the last stage: looking, not touching."""

    def __init__(self, stages: Sequence[Stage], table: Table, rows: NDArray[np.int64]) -> None:
        # One by one, as they are scored at the end.
        super().__init__(stages, table, rows, 1)
        self.scores: list[NDArray[np.float64]] = []

    def after_epoch(self, stage: Stage, epoch: int, network: Network) -> None:
        """Note the scores."""
        if stage.name == self.last:
            self.scores.append(self.shares(stage, network))

    def after_stage(self, stage: Stage, network: Network) -> None:
        """Leave the weights as they are."""
        self.advance(stage, network)


def balanced_log_loss(shares: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the mean over the classes that occur of their mean −log p, for shares (N, K)."""
    each = -np.log(np.maximum(shares[np.arange(len(labels)), labels], 1e-12))
    return float(np.mean([each[labels == k].mean() for k in np.unique(labels)]))


def hits_per_epoch(
    epoch_scores: Sequence[NDArray[np.float64]], labels: NDArray[np.int64]
) -> list[int]:
    """Return how many clips each epoch gets right, from scores (N, K) per epoch."""
    return [int((scores.argmax(1) == labels).sum()) for scores in epoch_scores]
