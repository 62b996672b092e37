"""Kernel ridge regression on ROIs, against the same problem written out with mirrored clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from mecli.errors import UsageError
from mecli.models.roi_flow_lstm import mirror
from mecli.models.roi_flow_ridge import RoiFlowRidge, RoiFlowRidgeNetwork, RoiFlowRidgeOptions
from mecli.train import TrainOptions, train
from mecli.training.checkpoint import load_checkpoint, scores
from tests.moving_records import record, records, write_cache

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


def clips() -> tuple[Tensor, Tensor]:
    """Return 9 clips (N, T, R, 2, S, S) float64 and their labels, one class more frequent."""
    labels = [0, 1, 2, 0, 1, 2, 0, 0, 0]
    made = [record(f"s{i}", "c", label) for i, label in enumerate(labels)]
    features = np.stack([RoiFlowRidge.features(c, RoiFlowRidgeOptions()) for c in made])
    return torch.from_numpy(features).to(torch.float64), torch.tensor(labels)


def solved() -> tuple[RoiFlowRidgeNetwork, Tensor, Tensor]:
    values, labels = clips()
    network = RoiFlowRidgeNetwork(tuple(values.shape[1:]), 3, RoiFlowRidgeOptions())
    network = network.to(torch.float64)
    assert 0 < network.solve(values, labels) < np.log(3)
    return network, values, labels


def written_out(values: Tensor, labels: Tensor, seen: Tensor) -> Tensor:
    """Return the scores of `seen` (B, K) with all mirrored training clips as clips of their own."""
    options = RoiFlowRidgeOptions()
    both = torch.cat([values, mirror(values)])
    kernel = torch.zeros(len(both), len(both), dtype=torch.float64)
    likeness = torch.zeros(len(seen), len(both), dtype=torch.float64)
    for roi in range(both.shape[2]):
        mine, its = both[:, :, roi].flatten(1), seen[:, :, roi].flatten(1)
        scale = torch.cdist(mine, mine).square().mean()
        kernel += torch.exp(-options.gamma * torch.cdist(mine, mine).square() / scale) / 6
        likeness += torch.exp(-options.gamma * torch.cdist(its, mine).square() / scale) / 6
    cost = 3 * torch.bincount(labels)[labels] / len(labels) * options.ridge
    wanted = (3 * torch.nn.functional.one_hot(labels, 3) - 1).to(torch.float64).repeat(2, 1)
    found: Tensor = likeness @ torch.linalg.solve(kernel + torch.diag(cost.repeat(2)), wanted)
    return found


def test_mirrored_copies_count_as_if_they_were_clips() -> None:
    network, values, labels = solved()
    unseen = torch.from_numpy(
        RoiFlowRidge.features(record("new", "c", 2), RoiFlowRidgeOptions())[None]
    ).to(torch.float64)
    for seen in (values, unseen):
        assert torch.allclose(network(seen, {}), written_out(values, labels, seen), atol=1e-8)


def test_a_clip_and_its_mirror_image_score_alike_from_swapped_rois() -> None:
    network, values, _ = solved()
    turned = mirror(values)
    assert torch.allclose(network(values, {}), network(turned, {}), atol=1e-10)
    parts, others = network.roi_scores(values), network.roi_scores(turned)
    assert torch.allclose(parts, others[:, [1, 0, 2, 4, 3, 5]], atol=1e-10)


def test_parts_of_rois_add_up_and_tell_classes_apart_where_they_differ() -> None:
    network, values, labels = solved()
    parts = network.roi_scores(values)
    assert torch.allclose(parts.sum(1), network(values, {}))
    # Anger and surprise move the eyes in opposite directions and leave the mouth still.
    angry = parts[labels == 0].mean(0)
    lead = angry[:, 0] - angry[:, 2]
    assert lead[:2].min() > 2 * lead[5]


def test_clips_that_all_stand_still_leave_finite_scores() -> None:
    network, values, labels = solved()
    assert np.isfinite(network.solve(torch.zeros_like(values), labels))


def test_a_run_predicts_unseen_people_and_its_checkpoint_says_the_same(tmp_path: Path) -> None:
    made = records(4, 3)
    cache = write_cache(tmp_path / "c.h5", made)
    result = train(
        TrainOptions(caches=(cache,), model="roi-flow-ridge", jobs=0, runs=tmp_path / "runs")
    )
    assert result.final is not None
    assert (result.uf1, result.uar) == (1, 1)
    found = scores(load_checkpoint(result.final), made).argmax(1)
    assert found.tolist() == [(s + c) % 3 for s in range(4) for c in range(3)]


@pytest.mark.parametrize("wrong", [{"gamma": 0.0}, {"ridge": -1.0}])
def test_options_that_no_kernel_has_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected more than 0"):
        RoiFlowRidgeOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="multiples of 4"):
        RoiFlowRidgeOptions(size_px=7)
