"""How many moments of a clip are shown: never more than there are, unless they are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mecli.models.roi_flow_lstm import RoiFlowLstm, RoiFlowLstmOptions
from mecli.models.roi_flow_ridge import RoiFlowRidge, RoiFlowRidgeOptions
from mecli.training import dataset, plan
from mecli.training.options import TrainOptions
from tests.moving_records import record, records, write_cache

if TYPE_CHECKING:
    from pathlib import Path


def settled(cache: Path, **more: Any) -> Any:
    return plan.make(TrainOptions(caches=(cache,), **more)).model_options


def cache_of(path: Path, steps: int) -> Path:
    made = [record(f"s{s}", f"c{c}", (s + c) % 3, steps=steps) for s in range(3) for c in range(3)]
    return write_cache(path, made)


@pytest.mark.parametrize(("steps", "shown"), [(2, 1), (4, 3), (16, 4)])
@pytest.mark.parametrize("model", ["roi-flow-lstm", "roi-flow-ridge"])
def test_no_more_steps_are_shown_than_clips_have(
    tmp_path: Path, model: str, steps: int, shown: int
) -> None:
    assert settled(cache_of(tmp_path / "c.h5", steps), model=model).steps == shown


def test_whoever_names_steps_gets_them(tmp_path: Path) -> None:
    cache = cache_of(tmp_path / "c.h5", 2)
    assert settled(cache, model_options={"steps": 6}).steps == 6
    assert settled(cache, model="cnn-lstm", preset="paper").steps == 16


def test_a_checkpoint_keeps_its_own_steps(tmp_path: Path) -> None:
    assert settled(cache_of(tmp_path / "c.h5", 4), pretrained="bundled").steps == 1


def test_the_longest_clip_of_all_caches_counts(tmp_path: Path) -> None:
    short = cache_of(tmp_path / "a.h5", 2)
    long = write_cache(tmp_path / "b.h5", [record("t", "c", 0, steps=5, corpus="other")])
    both = dataset.read([short, long], "megc2019")
    assert dataset.moments(both) == 4


def test_a_single_step_is_the_apex_and_not_the_offset() -> None:
    clip = records(1, 1)[0]
    still = replace(
        clip, flow=clip.flow * np.linspace(1, 0, 4, dtype=np.float32)[:, None, None, None]
    )
    one = RoiFlowLstm.features(still, RoiFlowLstmOptions(steps=1))
    apex = RoiFlowLstm.features(still, RoiFlowLstmOptions(steps=1, moment="apex"))
    assert np.array_equal(one, apex)
    assert np.abs(one).max() > 0.5
    assert np.array_equal(one, RoiFlowRidge.features(still, RoiFlowRidgeOptions(steps=1)))
