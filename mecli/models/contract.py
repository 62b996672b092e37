"""What every architecture promises, so that every engine can train it and none can leak.

A model is a class with class attributes ``name``, ``paper``, ``doi``, ``input``, a frozen
dataclass ``Options``, named ``presets`` of them, and these functions:

- ``features(record, options)`` turns ONE clip into one array. It never sees another clip,
  so no statistic of the cache can reach a held-out subject. A model that reads flow alone,
  and not of every step, may say of which in ``looks_at(steps, options)``: whoever asks it
  about one clip leaves the rest out.
- ``stages(options)`` lists what is trained, one after another, inside every fold. A later
  stage reads what the earlier one exports for each clip, with its weights frozen.
- ``occlude(features, roi, options)`` lets one ROI stand still: `predict` asks which of them
  decided.

A stage builds a `Network`. Its rules are what makes all engines compute the same training:

- ``forward(batch, masks)`` handles each clip for itself: no BatchNorm, nothing that mixes
  clips, nothing drawn inside. Held-out clips have weight 0 in the loss, which is
  Σ w·l / Σ w; dropping them from the batch or multiplying by 0 is then the same.
- All chance comes from outside and hangs on (seed, stage, epoch, clip), never on the fold,
  the engine or the place in the batch: ``masks`` holds one mask per name in `dropouts`, and
  `augment` gets `uniforms` numbers in [0, 1) per clip.
- A stage that is ``solved`` takes no steps: its network's `solve` gets the fold's training
  clips and nothing else. All chance there has to hang on the clips alone.
- Parameters are drawn from the seed alone, so that all folds start alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from torch import Tensor, nn

from mecli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mecli.records import ClipRecord


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one stage is trained; the defaults are Adam on cross-entropy."""

    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    """Decoupled (AdamW, arXiv 1711.05101), on weight matrices only."""
    schedule: Literal["constant", "cosine"] = "constant"
    focal_gamma: float = 0.0
    """Focal loss −(1−p)^γ log p (Lin et al. 2017, 10.1109/ICCV.2017.324); 0 is cross-entropy."""
    label_smoothing: float = 0.0
    balance: float = 0.0
    """Exponent of the inverse class frequency, counted on the fold's training clips."""
    gradient_norm: float = 0.0
    """Longest gradient of one fold; 0 leaves it alone."""
    mixup: bool = False
    """Blend each unit with the next of the batch (mixup, arXiv 1710.09412); the share is
    arcsine distributed, Beta(½, ½). A pair with a held-out half has weight 0."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise UsageError(
                f"epochs is {self.epochs} and batch size {self.batch_size}, expected at least 1"
            )
        if not (self.learning_rate > 0 and self.weight_decay >= 0 and self.focal_gamma >= 0):
            raise UsageError("learning rate must be positive, weight decay and focal gamma ≥ 0")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label smoothing is {self.label_smoothing}, expected 0 to below 1")


@dataclass(frozen=True, slots=True)
class Dropout:
    """Shape of one clip's dropout mask and the share of it that is zero."""

    shape: tuple[int, ...]
    rate: float


class Network(nn.Module):
    """The trainable part of one stage; see the rules of this module."""

    uniforms: int = 0
    """How many random numbers `augment` needs per clip."""

    def __init__(self) -> None:
        super().__init__()
        self.dropouts: dict[str, Dropout] = {}

    def augment(self, batch: Tensor, uniforms: Tensor) -> Tensor:
        """Return a changed copy of `batch` (B, …), clip by clip, from `uniforms` (B, n)."""
        return batch

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores before softmax: (B, K), or (B, R, K) for R separate heads."""
        raise NotImplementedError

    def views(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Return the versions of a clip whose probabilities are averaged when scoring."""
        return (batch,)

    def export(self, batch: Tensor) -> Tensor:
        """Return what the next stage is trained on, (B, …), with these weights frozen."""
        raise NotImplementedError

    def roi_scores(self, batch: Tensor) -> Tensor | None:
        """Return the part (B, R, K) that each ROI brings to the class scores, if they add up."""
        return None

    def solve(self, values: Tensor, labels: Tensor) -> float:
        """Set the weights from training clips (N, …) and labels (N,) alone; return their loss."""
        raise NotImplementedError

    def make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Prepare for weights of these shapes, where their number hangs on the training clips."""

    def penalty(self) -> Tensor | float:
        """Return what the loss of every step has to bear for the weights themselves."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One training inside a fold: what is trained, on which unit, and how."""

    name: str
    recipe: Recipe
    build: Callable[[tuple[int, ...], int], Network]
    """(shape of one unit's features, number of classes) → network."""
    unit: Literal["clip", "step"] = "clip"
    """Whether a unit of the batch is a clip or one time step of it (first axis)."""
    solved: bool = False
    """Whether the network solves for its weights at once instead of taking the recipe's steps."""


class Model(Protocol):
    """One architecture of the zoo."""

    name: ClassVar[str]
    paper: ClassVar[str]
    doi: ClassVar[str]
    input: ClassVar[str]
    Options: ClassVar[type[Any]]
    """Frozen dataclass; its defaults are what `mecli train` uses.

    If it has a method ``showing(moments)``, that returns the options for clips which show
    no more than so many moments of motion; whoever names ``steps`` gets just those.
    """
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Named sets of options, such as those of the paper."""

    @staticmethod
    def features(record: ClipRecord, options: Any) -> NDArray[np.generic]:
        """Return one clip as an array whose shape depends on `options` alone."""
        ...

    @staticmethod
    def stages(options: Any) -> tuple[Stage, ...]:
        """Return what is trained inside a fold, in order."""
        ...

    @staticmethod
    def occlude(features: NDArray[np.generic], roi: int, options: Any) -> NDArray[np.generic]:
        """Return a copy of one clip's features in which ROI number `roi` does not move."""
        ...


def with_epochs(stages: tuple[Stage, ...], epochs: int | None) -> tuple[Stage, ...]:
    """Return `stages` with `epochs` in every recipe; None keeps each its own."""
    if epochs is None:
        return stages
    return tuple(replace(s, recipe=replace(s.recipe, epochs=epochs)) for s in stages)
