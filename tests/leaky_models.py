"""Models that break a rule of the contract, each in one way, for the audit to find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.models.flow_svm import FlowSvm
from mecli.models.svm import SvmNetwork
from tests.moving_records import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mecli.models.contract import Stage


class ReadsLabels(FlowSvm):
    """Adds the class to the pixels."""

    name = "reads-labels"

    @staticmethod
    def features(record: Any, options: Any) -> Any:
        label = record.labels.get("emotion")
        return FlowSvm.features(record, options) + (EMOTIONS.index(label) if label else 0)


class RemembersClips(FlowSvm):
    """Takes the mean of all clips off that it has seen so far, whoever is held out."""

    name = "remembers-clips"
    seen: list[Any] = []  # noqa: RUF012 - the leak

    @staticmethod
    def features(record: Any, options: Any) -> Any:
        values = FlowSvm.features(record, options)
        RemembersClips.seen.append(values)
        return values - np.mean(RemembersClips.seen, axis=0)


class CountsClips(FlowSvm):
    """Scores a clip by how many were scored before it."""

    name = "counts-clips"

    @staticmethod
    def stages(options: Any) -> tuple[Stage, ...]:
        (stage,) = FlowSvm.stages(options)
        return (replace(stage, build=lambda shape, k: _Counting(shape, k, options)),)


class _Counting(SvmNetwork):
    scored = 0

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        self.scored += 1
        scores = super().forward(batch, masks)
        scores[:, 0] += self.scored
        return scores
