"""What `evaluate` found: the result object that text, JSON, tables and pages are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mecli import metrics
from mecli.schemes.au import SCHEMES as AU_SCHEMES
from mecli.statistics import RESAMPLES, Intervals, mean_and_sd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mecli.predictions import Prediction

SCORES = {
    "uf1": "UF1",
    "uar": "UAR",
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
}


@dataclass(frozen=True, slots=True)
class Group:
    """The pooled confusion matrix of some clips, and how sure its scores are."""

    subjects: int
    counts: NDArray[np.int64]
    intervals: Intervals = field(default_factory=Intervals)

    @property
    def clips(self) -> int:
        """Number of clips counted."""
        return int(self.counts.sum())

    def scores(self) -> dict[str, float]:
        """Return the headline scores by name."""
        return {name: float(value) for name, value in metrics.headline(self.counts).items()}


@dataclass(frozen=True, slots=True)
class Sureness:
    """How far class scores are from how often they are right, and what would mend it."""

    ece: float
    temperature: float
    ece_calibrated: float | None
    """Each fold at the temperature of the others; None without folds."""


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """One source scored: what it is, and its groups of clips.

    With several seeds `whole` scores their ensemble (the mean of their class scores)
    and `by_seed` each seed on its own.
    """

    source: str
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    whole: Group
    by_corpus: Mapping[str, Group]
    by_subject: Mapping[str, Group]
    by_seed: Mapping[int, Group]
    model: str | None = None
    protocol: str | None = None
    scheme: str | None = None
    selection: str | None = None
    leaked: bool = False
    """Whether the held-out subjects had a say in the predictions; everything then says so."""
    excluded: int = 0
    sureness: Sureness | None = None
    """None where there are no class probabilities."""
    clips: Mapping[str, Prediction] = field(default_factory=dict)
    """What is said of each clip, by all seeds together."""
    header: Mapping[str, Any] = field(default_factory=dict)
    """run.json, empty for what is no run."""
    folder: Path | None = None
    """Where the run is, None for what is no run."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first source and the one at `place` (from 2 on) on the clips they share.

    `differences` are second minus first.
    """

    place: int
    first: str
    second: str
    first_group: Group
    second_group: Group
    differences: Intervals
    leaked: bool = False
    """Whether one of the two is leaked."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every source, the comparisons with the first, and what a reader has to know."""

    runs: tuple[RunEvaluation, ...]
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    by: str | None = None
    resamples: int = RESAMPLES
    """Of the bootstrap over subjects, with `seed`."""
    seed: int = 0

    @property
    def of_units(self) -> bool:
        """Whether all runs judge single action units, and several: their sum is what counts."""
        schemes = {run.scheme for run in self.runs}
        return len(schemes) > 1 and schemes <= set(AU_SCHEMES)


def per_class(run: RunEvaluation) -> list[tuple[str, float, float, float, int]]:
    """Return name, F1, recall, precision and clips of each class."""
    counts = run.whole.counts
    columns = (
        metrics.f1_per_class(counts),
        metrics.recall_per_class(counts),
        metrics.precision_per_class(counts),
    )
    rows = zip(run.classes, *(c.tolist() for c in columns), counts.sum(1).tolist(), strict=True)
    return [(name, f1, recall, precision, n) for name, f1, recall, precision, n in rows]


def seed_spread(run: RunEvaluation) -> tuple[dict[str, float], dict[str, float]]:
    """Return mean and standard deviation of each score over at least two seeds."""
    return mean_and_sd([group.scores() for group in run.by_seed.values()])
