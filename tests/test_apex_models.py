"""The networks that read one onset→apex map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mecli import registry
from mecli.errors import UsageError
from mecli.models import options as model_options
from mecli.models.apex import face_maps, mirror, without_roi
from mecli.models.contract import Stage, with_epochs
from mecli.models.htnet import HtNet, HtNetOptions
from mecli.models.rcn_a import RcnANetwork, RcnAOptions
from mecli.rois import ROI_BOXES
from mecli.training.checkpoint import networks_for
from mecli.training.fit import fit
from mecli.training.stacked import fit_folds
from mecli.training.units import Table
from tests.moving_records import record

NETWORKS = ("ststnet", "off-apexnet", "dual-inception", "rcn-a", "sssnet", "htnet")
TINY: dict[str, dict[str, Any]] = {
    "htnet": {"width": 12, "depths": "1,1,1", "spread": 1},
    "rcn-a": {"maps": 8},
}


def entry(name: str, **given: Any) -> tuple[Any, Any]:
    model = registry.load("model", name)
    return model, model_options.resolve(model, {**TINY.get(name, {}), **given})


def mirrored(clip: Any) -> Any:
    flipped = clip.apex_flow[:, ::-1] * np.array([-1, 1], np.float32)
    return replace(clip, apex_flow=flipped, roi_boxes=ROI_BOXES.copy())


@pytest.mark.parametrize(
    ("name", "preset", "weights"),
    [
        ("ststnet", None, 1_651),
        ("off-apexnet", None, 2_664_475),
        ("dual-inception", None, 6_449_867),
        ("rcn-a", None, 53_379),
        ("sssnet", None, 169_603),
        ("htnet", None, 117_387_782),
        ("htnet", "small", 186_294),
    ],
)
def test_networks_have_the_size_of_their_papers(
    name: str, preset: str | None, weights: int
) -> None:
    model = registry.load("model", name)
    options = model_options.resolve(model, {}, preset)
    with torch.device("meta"):
        made, _ = networks_for(model.stages(options), (3, 28, 28), 3, torch.float32)
    assert sum(p.numel() for p in made[0].parameters()) == weights


@pytest.mark.parametrize("name", NETWORKS)
class TestEveryApexNetwork:
    def test_mirroring_the_features_is_mirroring_the_face(self, name: str) -> None:
        model, options = entry(name)
        clip = record("s", "c", 1)
        features = torch.from_numpy(model.features(clip, options))
        expected = model.features(mirrored(clip), options)
        assert np.allclose(mirror(features).numpy(), expected, atol=1e-4)

    def test_a_mirrored_face_gets_the_same_scores(self, name: str) -> None:
        model, options = entry(name)
        ((network,), _) = networks_for(model.stages(options), (3, 28, 28), 3, torch.float32)
        batch = torch.randn(2, 3, 28, 28)
        scores = [sum(network(v, {}) for v in network.views(b)) for b in (batch, mirror(batch))]
        assert torch.allclose(scores[0], scores[1], atol=1e-5)
        assert network.uniforms == 1

    def test_without_mirroring_there_is_one_view(self, name: str) -> None:
        model, options = entry(name, mirror=False)
        ((network,), _) = networks_for(model.stages(options), (3, 28, 28), 3, torch.float32)
        assert len(network.views(torch.randn(1, 3, 28, 28))) == 1
        assert network.uniforms == 0

    def test_stacked_folds_are_trained_as_single_ones(self, name: str) -> None:
        model, options = entry(name, size_px=16, dropout=0.3, batch_size=3)
        clips = [record(f"s{k}", "c", k % 3) for k in range(6)]
        table = Table(
            tuple(c.clip_id for c in clips),
            np.stack([model.features(c, options) for c in clips]),
            np.array([k % 3 for k in range(6)], dtype=np.int64),
            3,
        )
        stages: tuple[Stage, ...] = with_epochs(model.stages(options), 2)
        trains = [np.array([0, 1, 2, 4]), np.array([1, 2, 3, 5])]
        stacked = fit_folds(stages, table, trains, 0, torch.float64)
        for train, together in zip(trains, stacked, strict=True):
            alone = fit(stages, table, train, 0, torch.float64)
            for mine, theirs in zip(
                alone.networks[0].parameters(), together.networks[0].parameters(), strict=True
            ):
                assert torch.allclose(mine, theirs, atol=1e-10)


def test_maps_are_in_units_of_the_clips_own_motion() -> None:
    clip = record("s", "c", 0)
    maps = face_maps(clip, -1)
    lengths = np.linalg.norm(maps[..., :2], axis=-1)
    assert np.percentile(lengths, 95) == pytest.approx(1, abs=1e-5)
    assert np.percentile(maps[..., 2], 95) == pytest.approx(1, abs=1e-5)
    louder = replace(clip, apex_flow=clip.apex_flow * 3)
    assert np.allclose(face_maps(louder, -1), maps, atol=1e-5)


def test_a_still_face_stays_small() -> None:
    still = replace(record("s", "c", 0), apex_flow=np.full((14, 12, 2), 1e-6, np.float32))
    assert np.abs(face_maps(still, -1)).max() < 1e-3


def test_only_the_box_of_the_roi_is_hidden() -> None:
    still = without_roi(np.ones((2, 28, 24)), 0)
    assert not still[:, 2:10, :10].any()
    assert still.sum() == 2 * (28 * 24 - 80)


class TestRcnA:
    def test_attention_is_a_share_for_every_place(self) -> None:
        network = RcnANetwork((3, 28, 28), 3, RcnAOptions(maps=8))
        weights = network.attention(torch.rand(4, 8, 12, 12))
        assert weights.shape == (4, 1, 6, 6)
        assert ((weights >= 0) & (weights <= 1)).all()
        assert network.attention(torch.zeros(1, 8, 12, 12)).abs().max() == 0

    def test_maps_come_in_groups(self) -> None:
        with pytest.raises(UsageError, match="maps is 12, expected a multiple of 8"):
            entry("rcn-a", maps=12)


class TestHtNet:
    def test_a_hidden_eye_empties_its_quarter_and_a_nose_nothing(self) -> None:
        options = HtNetOptions(width=12, depths="1,1,1")
        features = HtNet.features(record("s", "c", 1), options)
        without_eye = HtNet.occlude(features, 1, options)
        assert not without_eye[:, :14, 14:].any()
        assert np.array_equal(without_eye[:, 14:], features[:, 14:])
        assert np.array_equal(HtNet.occlude(features, 2, options), features)
        assert not HtNet.occlude(features, 5, options)[:, 14:].any()

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"size_px": 30}, "size_px is 30"),
            ({"size_px": 12}, "16 or more"),
            ({"depths": "2,2"}, "depths is '2,2'"),
            ({"depths": "2,x,2"}, "three numbers"),
            ({"width": 2}, "width is 2"),
            ({"dropout": 1.0}, "dropout"),
        ],
    )
    def test_impossible_options_are_refused(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            HtNetOptions(**wrong)
