"""What lies behind the figures of a run: how it learned, what it looked at, where it failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mecli.predictions import Prediction
    from mecli.records import ClipRecord


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The mean training loss of one stage: `losses` (F, E), NaN after a fold's last epoch.

    Only TRAINING clips count: a curve of held-out clips would invite to pick its best epoch.
    """

    stage: str
    losses: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Regions:
    """The mean share of each ROI in the answers of each class, and how many there were."""

    method: str
    parts: Mapping[str, Mapping[str, float]]
    """Class → ROI → its mean share over the clips that were answered so."""
    clips: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Hard:
    """A clip that was answered wrongly with confidence; no record where its cache is not here."""

    prediction: Prediction
    share: float
    """Of the answer that was given."""
    record: ClipRecord | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it for one run; `missing` says what there is not, and why."""

    curves: tuple[Curve, ...] = ()
    regions: Regions | None = None
    hardest: tuple[Hard, ...] = ()
    missing: tuple[str, ...] = ()
    chosen: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Stage → epochs after which each training stopped, where each chose for itself."""
