"""Where a known region moves, attribution has to point at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mecli import checkpoints
from mecli.question import ATTRIBUTIONS
from mecli.train import TrainOptions, train
from mecli.training.attribution import attribute
from mecli.training.checkpoint import load_checkpoint
from tests.moving_records import record, records, write_cache
from tests.single_actions import single_actions

if TYPE_CHECKING:
    from mecli.training.checkpoint import Checkpoint

# Anger and surprise move the upper rows of the face, happiness the lower ones.
HOLD = ({"left_eye", "right_eye"}, {"mouth"}, {"left_eye", "right_eye"})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("attribution")
    write_cache(folder / "c.h5", records(8, 6))
    options = TrainOptions(
        caches=(folder / "c.h5",), protocol="all", epochs=25, jobs=0, runs=folder,
        model_options={"steps": 2, "batch_size": 16, "grow": 1.0},
    )  # fmt: skip
    final = train(options).final
    assert final
    return load_checkpoint(final)


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_the_region_that_moves_ranks_first(checkpoint: Checkpoint, method: str) -> None:
    hits = []
    for k in range(60):
        parts = attribute(checkpoint, record("new", f"c{k}", k % 3), method).parts
        hits.append(max(parts, key=lambda name: parts[name]) in HOLD[k % 3])
    assert np.mean(hits) >= 0.9


def test_the_region_that_holds_the_action_unit_ranks_first() -> None:
    """Whatever the model decides; left and right of one movement are as good as each other."""
    bundled, hits = load_checkpoint(checkpoints.bundled()), []
    for clip, shares in single_actions(30, seed=11):
        for method in ATTRIBUTIONS:
            parts = attribute(bundled, clip, method).parts
            first = max(parts, key=lambda name: parts[name])
            hits.append((method, shares[first] >= 2 / 3 * max(shares.values())))
    rates = {m: np.mean([hit for method, hit in hits if method == m]) for m in ATTRIBUTIONS}
    assert min(rates.values()) >= 0.9, rates
