"""Where a known region moves, attribution has to point at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mecli.question import ATTRIBUTIONS
from mecli.train import TrainOptions, train
from mecli.training.attribution import attribute
from mecli.training.checkpoint import load_checkpoint
from tests.moving_records import record, records, write_cache

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
