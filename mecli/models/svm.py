"""Support vector machines as networks: solved at once by scikit-learn, kept as plain tensors.

Cortes & Vapnik 1995, 10.1007/BF00994018. Classes are told apart pair by pair (one against
one, balanced by class size), and a class's score is the pairs it wins plus the sum of its
margins squeezed below half a pair, as scikit-learn has it. Class probabilities are the
softmax of these scores: no inner cross-validation that would need clips of its own.
Scaling is fitted together with the machine, on the fold's training clips alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mecli.errors import UsageError
from mecli.models.contract import Network, Recipe, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Mirror = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class SvmOptions:
    """Options that all support vector machines share."""

    kernel: Literal["rbf", "linear"] = "rbf"
    cost: float = 1.0
    """What a clip on the wrong side costs: scikit-learn's C."""
    standardise: bool = True
    """Whether every feature is scaled to deviation 1; all are centred."""
    balanced: bool = True
    """Whether rare classes count as much as frequent ones."""

    def __post_init__(self) -> None:
        if not self.cost > 0:
            raise UsageError(f"cost is {self.cost:g}, expected more than 0")


def svm_stage(options: SvmOptions, mirror: Mirror | None = None) -> tuple[Stage, ...]:
    """Return the one stage of a machine; with `mirror`, mirrored copies are trained on too."""

    def build(shape: tuple[int, ...], n_classes: int) -> SvmNetwork:
        return SvmNetwork(shape, n_classes, options, mirror)

    return (Stage("svm", Recipe(epochs=1), build, solved=True),)


class SvmNetwork(Network):
    """(B, …) → (B, K). Weights: scaling, vectors (M, D), coefficients (pairs, M), intercepts.

    A linear machine needs no vectors: its coefficients are (pairs, D).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_classes: int,
        options: SvmOptions,
        mirror: Mirror | None = None,
    ) -> None:
        super().__init__()
        self.options, self.mirror = options, mirror
        self.pairs = list(combinations(range(n_classes), 2))
        self.n_classes, inputs = n_classes, int(np.prod(shape))
        self.linear = options.kernel == "linear"
        self.mean, self.scale = _fixed(torch.zeros(inputs)), _fixed(torch.ones(inputs))
        self.gamma = _fixed(torch.ones(1))
        self.intercepts = _fixed(torch.zeros(len(self.pairs)))
        self.coefficients = _fixed(torch.zeros(len(self.pairs), inputs if self.linear else 0))
        if not self.linear:
            self.vectors = _fixed(torch.zeros(0, inputs))

    def make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Take as many support vectors as a checkpoint has."""
        if not self.linear and "vectors" in shapes:
            self._resize(shapes["vectors"][0])

    def _resize(self, count: int) -> None:
        self.vectors = _fixed(self.mean.new_zeros(count, len(self.mean)))
        self.coefficients = _fixed(self.mean.new_zeros(len(self.pairs), count))

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores (B, K)."""
        values = (batch.flatten(1) - self.mean) / self.scale
        if not self.linear:
            values = torch.exp(-self.gamma * _squared_distances(values, self.vectors))
        return self._by_class(values @ self.coefficients.T + self.intercepts)

    def _by_class(self, margins: Tensor) -> Tensor:
        """Return wins plus squeezed margins (B, K) of the margins of all pairs."""
        wins, sums = margins.new_zeros(2, len(margins), self.n_classes).unbind()
        for (first, second), margin in zip(self.pairs, margins.unbind(1), strict=True):
            won = (margin >= 0).to(margins.dtype)
            wins[:, first] += won
            wins[:, second] += 1 - won
            sums[:, first] += margin
            sums[:, second] -= margin
        return wins + sums / (3 * (sums.abs() + 1))

    def views(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Score a clip and its mirror image, if it was trained on such."""
        return (batch,) if self.mirror is None else (batch, self.mirror(batch))

    @torch.no_grad()
    def solve(self, values: Tensor, labels: Tensor) -> float:
        """Fit scaling and machine to clips (N, …) with labels (N,); return their mean loss."""
        seen = values if self.mirror is None else torch.cat([values, self.mirror(values)])
        table = seen.flatten(1).to(torch.float64).numpy()
        pipeline = self._pipeline().fit(table, labels.repeat(len(seen) // len(labels)).numpy())
        scaler, machine = pipeline[0], pipeline[-1]
        self._fill(self.mean, scaler.mean_)
        if scaler.scale_ is not None:
            self._fill(self.scale, scaler.scale_)
        variance = float(scaler.transform(table).var())
        self._fill(self.gamma, np.array([1 / (table.shape[1] * variance) if variance else 1.0]))
        self._keep(machine)
        return float(nn.functional.cross_entropy(self(values, {}), labels))

    def _pipeline(self) -> Any:
        """Return scikit-learn's scaler and machine."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        o = self.options
        weights = "balanced" if o.balanced else None
        machine = SVC(C=o.cost, kernel=o.kernel, gamma="scale", class_weight=weights)
        return make_pipeline(StandardScaler(with_std=o.standardise), machine)

    def _keep(self, machine: Any) -> None:
        """Take the solution over, pair by pair; a class without clips loses all its pairs."""
        dual, starts = machine.dual_coef_, np.cumsum([0, *machine.n_support_])
        if not self.linear:
            self._resize(len(machine.support_vectors_))
            self._fill(self.vectors, machine.support_vectors_)
        place = {int(c): i for i, c in enumerate(machine.classes_)}
        known = {pair: row for row, pair in enumerate(combinations(range(len(place)), 2))}
        # scikit-learn turns the sign of a single pair round.
        sign = -1.0 if len(place) == 2 else 1.0
        rows, intercepts = [], []
        for first, second in self.pairs:
            row = np.zeros(dual.shape[1])
            if first in place and second in place:
                i, j = place[first], place[second]
                row[starts[i] : starts[i + 1]] = dual[j - 1, starts[i] : starts[i + 1]]
                row[starts[j] : starts[j + 1]] = dual[i, starts[j] : starts[j + 1]]
                intercepts.append(sign * float(machine.intercept_[known[i, j]]))
            else:
                intercepts.append(float(first in place) - float(second in place))
            rows.append(sign * row)
        weights = np.array(rows)
        self._fill(
            self.coefficients, weights @ machine.support_vectors_ if self.linear else weights
        )
        self._fill(self.intercepts, np.array(intercepts))

    @staticmethod
    def _fill(weight: Tensor, values: NDArray[np.float64]) -> None:
        weight.copy_(torch.from_numpy(np.asarray(values, dtype=np.float64)))


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _squared_distances(values: Tensor, vectors: Tensor) -> Tensor:
    """Return (B, M); the product form is what scikit-learn has, cut off at 0."""
    squares = (values**2).sum(1)[:, None] + (vectors**2).sum(1)[None]
    return (squares - 2 * values @ vectors.T).clamp_min(0)
