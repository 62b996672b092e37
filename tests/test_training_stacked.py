from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mecli.models.cnn_lstm import CnnLstm, CnnLstmOptions
from mecli.models.contract import with_epochs
from mecli.models.roi_flow_lstm import RoiFlowLstm, RoiFlowLstmOptions
from mecli.training.checkpoint import digest, tensors_of
from mecli.training.fit import Fitted, fit
from mecli.training.stacked import fit_folds
from mecli.training.units import Table
from tests.moving_records import records

MODELS = [
    (RoiFlowLstm, RoiFlowLstmOptions(steps=3, batch_size=4, shift=0.3, jitter=0.3, mixup=False)),
    (RoiFlowLstm, RoiFlowLstmOptions(steps=3, batch_size=2, mixup=True, balance=1.0)),
    (CnnLstm, CnnLstmOptions(steps=2, patches=4, spatial_batch=10, temporal_batch=5)),
    (CnnLstm, CnnLstmOptions(steps=2, patches=4, attention=True, training="end-to-end")),
]


def table(model: Any, options: Any) -> Table:
    made = sorted(records(3), key=lambda r: r.clip_id)
    labels = [("anger", "happiness", "surprise").index(r.labels["emotion"]) for r in made]
    features = np.stack([model.features(r, options) for r in made])
    return Table(tuple(r.clip_id for r in made), features, np.array(labels, np.int64), 3)


def leave_one_subject_out(data: Table) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    subjects = np.array([c.split("/")[1] for c in data.clip_ids])
    return [np.flatnonzero(subjects != s) for s in sorted(set(subjects))]


def distance(stages: Any, one: Fitted, other: Fitted) -> float:
    mine, theirs = tensors_of(stages, one.networks), tensors_of(stages, other.networks)
    assert set(mine) == set(theirs)
    return max(float((mine[n] - theirs[n]).abs().max()) for n in mine)


@pytest.mark.parametrize(("model", "options"), MODELS)
def test_stacked_folds_are_trained_like_single_ones(model: Any, options: Any) -> None:
    data = table(model, options)
    stages = with_epochs(model.stages(options), 1 if model is CnnLstm else 3)
    trains = leave_one_subject_out(data)
    stacked = fit_folds(stages, data, trains, seed=1, dtype=torch.float64)
    for train, together in zip(trains, stacked, strict=True):
        alone = fit(stages, data, train, seed=1, dtype=torch.float64)
        assert distance(stages, alone, together) < 1e-10
        for stage in stages:
            assert np.allclose(alone.history[stage.name], together.history[stage.name])


@pytest.mark.parametrize(("model", "options"), MODELS)
def test_scrambling_held_out_clips_leaves_stacked_weights_bit_identical(
    model: Any, options: Any
) -> None:
    clean = table(model, options)
    trains = leave_one_subject_out(clean)
    held = np.setdiff1d(np.arange(len(clean.labels)), trains[1])
    features, labels = clean.features.copy(), clean.labels.copy()
    features[held] = np.random.default_rng(0).normal(0, 100, features[held].shape)
    labels[held] = 2
    stages = with_epochs(model.stages(options), 1)
    both = [
        [digest(tensors_of(stages, f.networks)) for f in fit_folds(stages, d, trains, seed=0)]
        for d in (clean, replace(clean, features=features, labels=labels))
    ]
    assert both[0][1] == both[1][1]
    assert both[0][0] != both[1][0]


def test_a_fold_without_a_clip_in_the_batch_stands_still() -> None:
    options = RoiFlowLstmOptions(steps=2, batch_size=1)
    data = table(RoiFlowLstm, options)
    stages = with_epochs(RoiFlowLstm.stages(options), 2)
    trains = [np.array([0, 1, 2]), np.array([3, 4, 5, 6])]
    stacked = fit_folds(stages, data, trains, seed=0, dtype=torch.float64)
    for train, together in zip(trains, stacked, strict=True):
        alone = fit(stages, data, train, seed=0, dtype=torch.float64)
        assert distance(stages, alone, together) < 1e-10
