from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mecli import registry
from mecli.models.cnn_lstm import CnnLstm, CnnLstmOptions
from mecli.models.contract import with_epochs
from mecli.models.roi_flow_lstm import RoiFlowLstm, RoiFlowLstmOptions
from mecli.training.checkpoint import digest, tensors_of
from mecli.training.fit import Fitted, batches, build, clip_weights, fit
from mecli.training.optimiser import Adam
from mecli.training.stacked import Stack, export, fit_folds
from mecli.training.units import Batch, Epoch, Table, Units
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


def steps_taken(name: str) -> bool:
    model = registry.load("model", name)
    return not any(stage.solved for stage in model.stages(model.Options()))


@pytest.mark.parametrize("name", [name for name in registry.names("model") if steps_taken(name)])
def test_a_step_stays_on_the_device_and_never_waits_for_it(name: str) -> None:
    # Tensors on "meta" hold no numbers: asking for one, or mixing them with the CPU's, raises.
    model = registry.load("model", name)
    options = model.Options()
    data, stages = table(model, options), model.stages(options)
    values = None
    for stage in stages:
        weights = torch.stack([clip_weights(data, stage, t) for t in leave_one_subject_out(data)])
        units = Units(data, stage, weights, values, "meta")
        network = build(stage, units.shape, data.n_classes, 0, torch.float32).to("meta")
        stack = Stack(network, len(weights))
        adam = Adam(stack.values, stack.decays, stage.recipe, 1)
        _, parts = next(batches(stage.recipe, stage.name, 0, units.keys))
        batch = Batch(Epoch(stage, units, 0, 0), parts[0])
        inputs = batch.inputs(network, torch.float32)
        gradient, losses = stack.step(stage, *inputs, units.per_fold)
        adam.update_some(stack.values, gradient, 0, batch.active)
        assert {t.device.type for t in (gradient, losses, stack.values)} == {"meta"}
        if stage is not stages[-1]:
            values = export(stack, units, data)
            assert values.device.type == "meta"
