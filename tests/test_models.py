from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mecli import registry
from mecli.errors import InputError, UnknownName, UsageError
from mecli.models import options as model_options
from mecli.models.cnn_lstm import CnnLstm, CnnLstmOptions
from mecli.models.contract import Recipe, Stage, with_epochs
from mecli.models.layers import GroupedDense, GroupedLstm, nudge
from mecli.models.roi_flow_lstm import (
    RoiFlowLstm,
    RoiFlowLstmOptions,
    detrended,
    grown,
    mirror,
    resampled,
    strength,
)
from mecli.rois import ROI_BOXES
from mecli.training.checkpoint import networks_for
from mecli.training.fit import fit, score_rows
from mecli.training.units import Table, as_input
from tests.moving_records import record

MODELS = sorted(registry.MODELS)
SMALL: dict[str, dict[str, Any]] = {
    "roi-flow-lstm": {"steps": 3},
    "cnn-lstm": {"steps": 3, "patches": 4},
    "cnn-lstm-se": {"steps": 3, "patches": 4},
    "htnet": {"width": 12, "depths": "1,1,1", "spread": 2, "learning_rate": 3e-3},
}
# Wide networks learn eight clips in fewer epochs, and every one of theirs costs more.
EPOCHS = {"cnn-lstm": 30, "cnn-lstm-se": 30, "dual-inception": 25, "off-apexnet": 15, "rcn-a": 30}


def small(name: str) -> tuple[Any, Any]:
    model = registry.load("model", name)
    return model, model_options.resolve(model, SMALL.get(name, {}))


def networks(model: Any, options: Any, shape: tuple[int, ...]) -> list[tuple[Stage, Any, Any]]:
    stages = model.stages(options)
    return list(zip(stages, *networks_for(stages, shape, 3, torch.float32), strict=True))


@pytest.mark.parametrize("name", MODELS)
class TestEveryModel:
    def test_names_itself_its_paper_and_its_doi(self, name: str) -> None:
        model, _ = small(name)
        assert model.name == name
        assert len(model.paper) > 20
        assert model.doi.startswith("10.")

    def test_features_hang_on_the_one_clip_alone(self, name: str) -> None:
        model, options = small(name)
        clip = record("s", "c", 1)
        first = model.features(clip, options)
        model.features(record("t", "d", 2), options)
        assert np.array_equal(first, model.features(clip, options))
        assert np.isfinite(first).all()

    @pytest.mark.parametrize("steps", [2, 4, 9])
    def test_what_it_does_not_look_at_may_be_missing(self, name: str, steps: int) -> None:
        model, options = small(name)
        clip = record("s", "c", 1, steps=steps)
        if not hasattr(model, "looks_at"):
            return
        seen = sorted(model.looks_at(steps, options))
        thin = np.full_like(clip.flow, np.nan)
        thin[seen] = clip.flow[seen]
        features = model.features(replace(clip, flow=thin, roi_frames=clip.roi_frames[:0]), options)
        assert np.array_equal(features, model.features(clip, options))
        assert len(seen) <= 2 * options.steps

    def test_shape_of_the_features_hangs_on_the_options_alone(self, name: str) -> None:
        model, options = small(name)
        shapes = {model.features(record("s", "c", 0, steps=t), options).shape for t in (1, 4, 9)}
        assert len(shapes) == 1

    def test_no_layer_mixes_clips(self, name: str) -> None:
        model, options = small(name)
        clips = np.stack([model.features(record("s", f"c{k}", k), options) for k in range(3)])
        for stage, network, shape in networks(model, options, clips.shape[1:]):
            kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
            assert not any(isinstance(m, kinds) for m in network.modules())
            batch = torch.randn(3, *shape) if stage is not model.stages(options)[0] else None
            if batch is None:
                data = as_input(torch.from_numpy(clips), torch.float32)
                batch = data[:, 0] if stage.unit == "step" else data
            together = network(batch, {})
            changed = torch.cat([batch[:1], torch.randn_like(batch[1:]) * 50])
            assert torch.allclose(network(changed, {})[0], together[0], atol=1e-5)

    def test_overfits_eight_clips(self, name: str) -> None:
        model, options = small(name)
        clips = [record(f"s{k}", "c", k % 3) for k in range(8)]
        labels = np.array([k % 3 for k in range(8)], dtype=np.int64)
        features = np.stack([model.features(c, options) for c in clips])
        table = Table(tuple(c.clip_id for c in clips), features, labels, 3)
        epochs = EPOCHS.get(name, 60)
        stages = with_epochs(model.stages(options), epochs)
        fitted = fit(stages, table, np.arange(8), seed=0)
        assert (score_rows(stages, fitted.networks, table, range(8)).argmax(1) == labels).all()
        for stage in stages:
            losses = fitted.history[stage.name]
            assert len(losses) == (1 if stage.solved else epochs)
            assert stage.solved or losses[-1] < losses[0]

    def test_an_occluded_roi_changes_nothing_outside_it(self, name: str) -> None:
        model, options = small(name)
        features = model.features(record("s", "c", 1), options)
        before = features.copy()
        hidden = model.occlude(features, 5, options)
        changed = hidden != features
        assert changed.any()
        assert not changed.all()
        assert np.array_equal(features, before)
        if features.ndim > 3:
            assert not np.delete(changed, 5, axis=1).any()

    def test_a_clip_without_anything_to_look_at_is_refused_by_name(self, name: str) -> None:
        model, options = small(name)
        bare = replace(
            record("s", "c", 0),
            flow=np.zeros((0, 0, 0, 2), np.float32),
            apex_flow=np.zeros((0, 0, 2), np.float32),
            roi_frames=np.zeros((0, 6, 48, 48, 3), np.uint8),
        )
        with pytest.raises(InputError, match=r"made/s/c.*no (flow|ROI frames)"):
            model.features(bare, options)

    def test_defaults_can_be_trained(self, name: str) -> None:
        model = registry.load("model", name)
        for stage in model.stages(model.Options()):
            assert stage.recipe.epochs >= 1


class TestRoiFlowLstm:
    def test_mirroring_the_features_is_mirroring_the_face(self) -> None:
        options = RoiFlowLstmOptions(steps=3)
        clip = record("s", "c", 1)
        negate_u = np.array([-1, 1], dtype=np.float32)
        other = replace(
            clip,
            flow=clip.flow[:, :, ::-1] * negate_u,
            apex_flow=clip.apex_flow[:, ::-1] * negate_u,
        )
        expected = RoiFlowLstm.features(other, options)
        mirrored = mirror(torch.from_numpy(RoiFlowLstm.features(clip, options)))
        assert np.allclose(mirrored.numpy(), expected, atol=1e-5)

    def test_mirroring_twice_changes_nothing(self) -> None:
        batch = torch.randn(2, 3, 6, 2, 8, 8)
        assert torch.equal(mirror(mirror(batch)), batch)

    def test_a_flow_archive_of_one_28x28_map_is_enough(self) -> None:
        flow = np.random.default_rng(0).normal(size=(1, 28, 28, 2)).astype(np.float32)
        clip = replace(record("s", "c", 0, rgb=False), flow=flow, apex_flow=flow[0])
        features = RoiFlowLstm.features(clip, RoiFlowLstmOptions(steps=4))
        assert features.shape == (4, 6, 2, 12, 12)
        assert np.array_equal(features[0], features[3])

    def test_steps_are_evenly_spaced_and_end_at_the_last_map(self) -> None:
        flow = np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones(
            (1, 2, 2, 2), np.float32
        )
        assert np.allclose(resampled(flow, 4)[:, 0, 0, 0], [1, 2, 3, 4])
        assert np.allclose(resampled(flow, 2)[:, 0, 0, 0], [2, 4])

    def test_a_clip_that_stands_still_stays_small(self) -> None:
        still = replace(record("s", "c", 0), apex_flow=np.full((14, 12, 2), 1e-6, np.float32))
        assert strength(still) == pytest.approx(0.1)

    def test_a_smooth_head_motion_is_taken_off_and_a_local_move_stays(self) -> None:
        y, x = np.meshgrid(np.linspace(-1, 1, 35), np.linspace(-1, 1, 30), indexing="ij")
        smooth = np.stack([1 + 2 * x - y * y, 0.5 * x * y - 3], axis=-1).astype(np.float32)
        local = np.zeros((35, 30, 2), np.float32)
        local[24:29, 10:20] = (0.5, -1.5)
        rest = detrended((smooth + local)[None], 2)[0]
        assert np.abs(rest - local).max() < 0.05
        assert np.abs(detrended(smooth[None], 2)).max() < 1e-5
        assert np.array_equal(detrended(local[None], -1)[0], local)

    def test_grown_boxes_stay_inside_the_face(self) -> None:
        boxes = grown(ROI_BOXES, 1.3)
        assert boxes[2].tolist() == pytest.approx([42, 68, 198, 172])
        assert boxes[0].tolist() == pytest.approx([0, 8, 115, 112])
        assert (boxes[:, :2] >= 0).all()

    def test_weights_of_the_rois_sum_to_one(self) -> None:
        options = RoiFlowLstmOptions(steps=2)
        ((_, network, _),) = networks(RoiFlowLstm, options, (2, 6, 2, 8, 8))
        weights, _ = network._read(torch.randn(3, 2, 6, 2, 8, 8), {})
        assert weights.shape == (6, 3, 1)
        assert torch.allclose(weights.sum(0), torch.ones(3, 1))

    def test_augmentation_hangs_on_each_clips_own_numbers(self) -> None:
        options = RoiFlowLstmOptions(steps=2, shift=0.5, jitter=0.5)
        ((_, network, _),) = networks(RoiFlowLstm, options, (2, 6, 2, 8, 8))
        batch, numbers = torch.randn(4, 2, 6, 2, 8, 8), torch.rand(4, network.uniforms)
        whole = network.augment(batch, numbers)
        alone = [network.augment(batch[k : k + 1], numbers[k : k + 1]) for k in range(4)]
        assert torch.equal(whole, torch.cat(alone))
        assert not torch.equal(whole, batch)

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"size_px": 9}, "size_px 9"),
            ({"steps": 0}, "steps is 0"),
            ({"dropout": 1.0}, "dropout"),
        ],
    )
    def test_impossible_options_are_refused(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            RoiFlowLstmOptions(**wrong)


class TestCnnLstm:
    def count(self, options: CnnLstmOptions) -> list[int]:
        shape = (options.steps, 6, options.size_px, options.size_px, 3)
        made = networks(CnnLstm, options, shape)
        return [sum(p.numel() for p in network.parameters()) for _, network, _ in made]

    def test_the_six_frame_networks_have_the_papers_size(self) -> None:
        frames, sequence = self.count(CnnLstmOptions(attention=True))
        assert frames == pytest.approx(7.7e6, rel=0.01)
        assert sequence == pytest.approx(0.67e6, rel=0.01)

    def test_without_gates_both_stages_are_smaller(self) -> None:
        assert self.count(CnnLstmOptions()) == [6_402_126, 592_387]

    def test_the_papers_preset_has_its_schedule(self) -> None:
        options = model_options.resolve(CnnLstm, {}, "paper")
        frames, sequence = CnnLstm.stages(options)
        assert (frames.recipe.epochs, frames.recipe.batch_size) == (60, 32)
        assert (sequence.recipe.epochs, sequence.recipe.batch_size) == (250, 128)
        assert {s.recipe.learning_rate for s in (frames, sequence)} == {1e-4}
        assert {s.recipe.focal_gamma for s in (frames, sequence)} == {2.0}
        assert (options.input, options.sequence) == ("rgb", 250)

    def test_zeros_in_front_pad_the_sequence(self) -> None:
        short = CnnLstmOptions(steps=2, sequence=2)
        long = CnnLstmOptions(steps=2, sequence=5)
        padded = networks(CnnLstm, long, (2, 6, 24, 24, 3))[1][1]
        whole = networks(CnnLstm, replace(short, steps=2), (2, 6, 24, 24, 3))[1][1]
        whole.load_state_dict(padded.state_dict())
        batch = torch.randn(1, 2, 6, 256)
        zeros = torch.cat([torch.zeros(1, 3, 6, 256), batch], dim=1)
        assert torch.allclose(padded(batch, {}), whole(zeros, {}), atol=1e-6)

    @pytest.mark.parametrize("attention", [False, True])
    def test_end_to_end_learns_eight_clips(self, attention: bool) -> None:
        options = CnnLstmOptions(
            training="end-to-end", steps=2, sequence=3, patches=4, attention=attention
        )
        clips = [record(f"s{k}", "c", k % 3) for k in range(8)]
        labels = np.array([k % 3 for k in range(8)], dtype=np.int64)
        features = np.stack([CnnLstm.features(c, options) for c in clips])
        table = Table(tuple(c.clip_id for c in clips), features, labels, 3)
        stages = with_epochs(CnnLstm.stages(options), 40)
        fitted = fit(stages, table, np.arange(8), seed=0)
        assert (score_rows(stages, fitted.networks, table, range(8)).argmax(1) == labels).all()

    def test_rgb_is_read_from_the_roi_frames(self) -> None:
        options = CnnLstmOptions(input="rgb", steps=2)
        clip = record("s", "c", 2)
        features = CnnLstm.features(clip, options)
        assert features.dtype == np.uint8
        assert features.shape == (2, 6, 24, 24, 3)
        assert features[0, 0, 0, 0, 0] == np.rint(clip.roi_frames[0, 0, :2, :2, 0].mean())
        still = CnnLstm.occlude(features, 0, options)
        assert np.array_equal(still[1, 0], features[0, 0])

    def test_rgb_without_roi_frames_says_what_to_do(self) -> None:
        with pytest.raises(InputError, match=r"made/s/c.*no ROI frames.*input=flow"):
            CnnLstm.features(record("s", "c", 0, rgb=False), CnnLstmOptions(input="rgb"))

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"patches": 5}, "patches is 5"),
            ({"size_px": 20}, "size_px is 20"),
            ({"patches": 16}, "at least 8 pixels"),
            ({"steps": 9}, "sequence 8"),
        ],
    )
    def test_impossible_options_are_refused(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            CnnLstmOptions(**wrong)


class TestOptions:
    def test_text_becomes_the_type_of_the_option(self) -> None:
        options = model_options.resolve(
            CnnLstm, {"steps": "4", "learning_rate": "1e-3", "attention": "true", "input": "rgb"}
        )
        assert (options.steps, options.learning_rate, options.attention) == (4, 1e-3, True)
        assert model_options.resolve(CnnLstm, {"attention": False}).attention is False

    def test_what_is_given_beats_the_preset(self) -> None:
        assert model_options.resolve(CnnLstm, {"input": "flow"}, "paper").input == "flow"

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"stpes": 3}, "did you mean 'steps'"),
            ({"steps": "three"}, "expected int"),
            ({"steps": 2.5}, "expected int"),
            ({"steps": True}, "expected int"),
            ({"attention": "maybe"}, "expected bool"),
            ({"input": "depth"}, "unknown input of cnn-lstm 'depth'"),
        ],
    )
    def test_a_wrong_option_is_named(self, given: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            model_options.resolve(CnnLstm, given)

    def test_an_unknown_preset_is_named(self) -> None:
        with pytest.raises(UnknownName, match="preset of roi-flow-lstm 'paper'"):
            model_options.resolve(RoiFlowLstm, {}, "paper")

    def test_options_survive_json(self) -> None:
        options = CnnLstmOptions(steps=5)
        assert model_options.resolve(CnnLstm, model_options.as_dict(options)) == options

    @pytest.mark.parametrize(
        "wrong",
        [{"epochs": 0}, {"epochs": 1, "learning_rate": 0.0}, {"epochs": 1, "label_smoothing": 1.0}],
    )
    def test_an_impossible_recipe_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match=r"expected|must"):
            Recipe(**wrong)


class TestLayers:
    def test_grouped_lstm_is_torchs_lstm(self) -> None:
        mine = GroupedLstm((0, 1, 0), 5, 4)
        values = torch.randn(3, 2, 6, 5)
        for group, kind in enumerate((0, 1, 0)):
            theirs = nn.LSTM(5, 4, batch_first=True)
            # torch's gates lie in the order in, forget, candidate, out.
            order = [*range(8), *range(12, 16), *range(8, 12)]
            with torch.no_grad():
                for name, value in (
                    ("weight_ih_l0", mine.inward[kind].T[order]),
                    ("weight_hh_l0", mine.across[kind].T[order]),
                    ("bias_ih_l0", mine.bias[kind, 0][order]),
                    ("bias_hh_l0", torch.zeros(16)),
                ):
                    theirs.get_parameter(name).copy_(value)
            expected = theirs(values[group])[1][0][0]
            assert torch.allclose(mine(values)[group], expected, atol=1e-6)

    def test_groups_share_weights_where_told(self) -> None:
        layer = GroupedDense((0, 1, 1), 3, 2)
        same = torch.randn(1, 4, 3).repeat(3, 1, 1)
        first, second, third = layer(same)
        assert torch.equal(second, third)
        assert not torch.equal(first, second)

    def test_a_nudge_of_one_cell_is_a_shift(self) -> None:
        row = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
        moved = nudge(row, torch.tensor([1.0, -1.0, 0.5]), -1)
        assert moved.tolist() == [[1, 1, 2], [2, 4, 4], [1, 1.5, 3]]
