"""Support vector machines in the zoo, against scikit-learn and against patterns one can see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mecli import registry
from mecli.errors import InputError, UsageError
from mecli.models import bi_woof_svm
from mecli.models.bi_woof_svm import BiWoofSvm, BiWoofSvmOptions
from mecli.models.flow_svm import FlowSvm, FlowSvmOptions
from mecli.models.lbp_top_svm import LbpTopSvm, LbpTopSvmOptions, lbp_top
from mecli.models.svm import SvmNetwork, SvmOptions
from mecli.rois import ROI_NAMES
from mecli.train import TrainOptions, resume, train
from mecli.training.attribution import attribute
from mecli.training.checkpoint import digest, load_checkpoint, scores
from mecli.training.fit import fit
from mecli.training.stacked import fit_folds
from mecli.training.units import Table
from tests.moving_records import record, records, write_cache

if TYPE_CHECKING:
    from pathlib import Path

MACHINES = ("flow-svm", "bi-woof-svm", "lbp-top-svm")


def cloud(classes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 40 points in 5 dimensions, overlapping, of the given classes."""
    chance = np.random.default_rng(3)
    labels = np.array([classes[i % len(classes)] for i in range(40)])
    values = chance.normal(size=(40, 5)) * [1, 2, 3, 4, 5] + labels[:, None]
    return torch.from_numpy(values), torch.from_numpy(labels)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("balanced", [True, False])
def test_scores_are_those_of_scikit_learn(kernel: Any, standardise: bool, balanced: bool) -> None:
    values, labels = cloud((0, 1, 2, 3))
    options = SvmOptions(kernel=kernel, cost=0.7, standardise=standardise, balanced=balanced)
    network = SvmNetwork((5,), 4, options).to(torch.float64)
    loss = network.solve(values, labels)
    scaler = StandardScaler(with_std=standardise).fit(values.numpy())
    machine = SVC(C=0.7, kernel=kernel, class_weight="balanced" if balanced else None)
    machine.fit(scaler.transform(values.numpy()), labels.numpy())
    seen = np.random.default_rng(4).normal(size=(30, 5)) * 4
    expected = machine.decision_function(scaler.transform(seen))
    assert np.allclose(network(torch.from_numpy(seen), {}).numpy(), expected, atol=1e-9)
    assert 0 < loss < np.log(4)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_classes_without_training_clips_lose_every_pair(kernel: Any) -> None:
    values, labels = cloud((1, 3))
    network = SvmNetwork((5,), 4, SvmOptions(kernel=kernel)).to(torch.float64)
    network.solve(values, labels)
    found = network(values, {}).argmax(1)
    scaler = StandardScaler().fit(values.numpy())
    machine = SVC(kernel=kernel, class_weight="balanced")
    machine.fit(scaler.transform(values.numpy()), labels.numpy())
    assert np.array_equal(found.numpy(), machine.predict(scaler.transform(values.numpy())))


def test_features_that_do_not_vary_are_survived() -> None:
    values, labels = torch.ones(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    network = SvmNetwork((4,), 3, SvmOptions())
    assert np.isfinite(network.solve(values, labels))


def table_of(name: str) -> tuple[Any, Any, Table]:
    model = registry.load("model", name)
    options = model.Options()
    clips = records(4, 3)
    features = np.stack([model.features(c, options) for c in clips])
    labels = np.array([(s + c) % 3 for s in range(4) for c in range(3)], dtype=np.int64)
    return model, options, Table(tuple(c.clip_id for c in clips), features, labels, 3)


@pytest.mark.parametrize("name", MACHINES)
class TestEveryMachine:
    def test_held_out_clips_leave_every_weight_as_it_is(self, name: str) -> None:
        model, options, table = table_of(name)
        rows = np.arange(9)
        before = fit(model.stages(options), table, rows, 0).networks[0].state_dict()
        features, labels = table.features.copy(), table.labels.copy()
        features[9:], labels[9:] = 1e6, 0
        other = replace(table, features=features, labels=labels)
        after = fit(model.stages(options), other, rows, 0).networks[0].state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[n], after[n]) for n in before)

    def test_stacked_folds_are_solved_one_by_one(self, name: str) -> None:
        model, options, table = table_of(name)
        trains = [np.arange(9), np.arange(3, 12)]
        stacked = fit_folds(model.stages(options), table, trains, 0)
        for train_rows, together in zip(trains, stacked, strict=True):
            alone = fit(model.stages(options), table, train_rows, 0)
            assert alone.history == together.history

    def test_a_run_can_be_resumed_and_its_checkpoint_predicts(
        self, name: str, tmp_path: Path
    ) -> None:
        clips = records(3, 3)
        cache = write_cache(tmp_path / "c.h5", clips)
        options = TrainOptions(caches=(cache,), model=name, jobs=0, runs=tmp_path / "runs")
        result = train(options)
        assert result.final is not None
        assert result.predictions is not None
        checkpoint = load_checkpoint(result.final)
        probabilities = scores(checkpoint, clips)
        assert np.allclose(probabilities.sum(1), 1)
        parts = attribute(checkpoint, clips[0]).parts
        assert tuple(parts) == ROI_NAMES
        assert any(parts.values())
        lines = result.predictions.read_text()
        result.predictions.unlink()
        (result.run / "folds" / "0" / "1.json").unlink()
        again = resume(result.run, jobs=0)
        assert again.predictions is not None
        assert again.predictions.read_text() == lines


def test_a_checkpoint_with_vectors_of_another_size_is_refused(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "c.h5", records(3, 3))
    result = train(
        TrainOptions(
            caches=(cache,), model="flow-svm", protocol="all", jobs=0, runs=tmp_path / "runs"
        )
    )
    assert result.final is not None
    tensors = load_file(result.final)
    with safe_open(result.final, framework="pt") as file:
        text = file.metadata()["mecli"]
    old = digest(tensors)
    tensors["svm.vectors"] = torch.zeros(3, 5)
    path = tmp_path / "odd.safetensors"
    save_file(tensors, path, {"mecli": text.replace(old, digest(tensors))})
    with pytest.raises(InputError, match=r"does not fit flow-svm: weight 'svm\.\w+' is"):
        load_checkpoint(path)


class TestLbpTop:
    def test_a_still_even_clip_is_all_ones(self) -> None:
        for codes in lbp_top(np.full((5, 6, 7), 3.0, np.float32), 1, 2):
            assert codes.shape == (1, 4, 5)
            assert (codes == 15).all()

    def test_each_plane_sees_its_own_change(self) -> None:
        brighter = np.arange(5.0, dtype=np.float32)[:, None, None] * np.ones((5, 6, 7), np.float32)
        yt, xt, xy = lbp_top(brighter, 1, 2)
        assert (xy == 15).all()
        # Bits: earlier, later, before, behind; what was before is darker.
        assert (yt == 0b1110).all()
        assert (xt == 0b1110).all()

    def test_histograms_are_shares_and_brightness_does_not_matter(self) -> None:
        options = LbpTopSvmOptions()
        clip = record("s", "c", 1)
        dark = replace(clip, roi_frames=clip.roi_frames // 2 * 2)
        light = replace(clip, roi_frames=clip.roi_frames // 2 * 2 + 1)
        features = LbpTopSvm.features(dark, options)
        assert features.shape == (6, 4 * 3 * 16)
        assert np.allclose(features.reshape(6, 12, 16).sum(-1), 1)
        assert np.abs(LbpTopSvm.features(light, options) - features).mean() < 0.01

    @pytest.mark.parametrize(
        "wrong", [{"radius": 0}, {"steps": 4}, {"parts": 0}, {"parts": 9}, {"cost": 0.0}]
    )
    def test_impossible_options_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="expected"):
            LbpTopSvmOptions(**wrong)


class TestBiWoof:
    def moving(self, dx: float, dy: float) -> Any:
        flow = np.full((28, 24, 2), (dx, dy), np.float32)
        flow[:14] *= np.linspace(1, 2, 24, dtype=np.float32)[None, :, None]
        return replace(record("s", "c", 0), apex_flow=flow)

    @pytest.mark.parametrize(
        ("dx", "dy", "direction"), [(1, 0.1, 4), (-1, -0.1, 0), (0.1, 1, 5), (0.1, -1, 2)]
    )
    def test_flow_counts_in_its_direction_where_the_face_deforms(
        self, dx: float, dy: float, direction: int
    ) -> None:
        features = BiWoofSvm.features(self.moving(dx, dy), BiWoofSvmOptions(detrend=-1))
        assert features.shape == (8, 8, 8)
        assert (features[direction, :3] > 0).all()
        assert not np.delete(features, direction, axis=0).any()
        assert features[:, 5:].sum() < 1e-3 * features.sum()

    def test_mirroring_the_features_is_mirroring_the_face(self) -> None:
        options = BiWoofSvmOptions()
        clip = record("s", "c", 1)
        flipped = clip.apex_flow[:, ::-1] * np.array([-1, 1], np.float32)
        expected = BiWoofSvm.features(replace(clip, apex_flow=flipped), options)
        mine = bi_woof_svm.mirror(torch.from_numpy(BiWoofSvm.features(clip, options)))
        assert np.allclose(mine.numpy(), expected, atol=1e-4)

    @pytest.mark.parametrize("wrong", [{"bins": 7}, {"blocks": 0}, {"cost": -1.0}])
    def test_impossible_options_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="expected"):
            BiWoofSvmOptions(**wrong)


class TestFlowSvm:
    def test_both_views_of_a_clip_are_scored_if_mirrored(self) -> None:
        batch = torch.randn(2, 2, 28, 28)
        for mirrored, views in ((True, 2), (False, 1)):
            (stage,) = FlowSvm.stages(FlowSvmOptions(mirror=mirrored))
            assert len(stage.build((2, 28, 28), 3).views(batch)) == views

    def test_impossible_options_are_refused(self) -> None:
        with pytest.raises(UsageError, match="size_px is 1"):
            FlowSvmOptions(size_px=1)
