from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mecli.errors import InputError, UsageError
from mecli.models.cnn_lstm import CnnLstm, CnnLstmOptions
from mecli.models.roi_flow_lstm import RoiFlowLstm, RoiFlowLstmOptions
from mecli.question import ATTRIBUTIONS
from mecli.rois import ROI_NAMES
from mecli.training.attribution import attribute
from mecli.training.checkpoint import (
    Checkpoint,
    digest,
    load_checkpoint,
    networks_for,
    save_checkpoint,
    scores,
    tensors_of,
)
from mecli.training.fit import build, read
from tests.moving_records import record

if TYPE_CHECKING:
    from pathlib import Path

MADE: dict[str, tuple[Any, Any]] = {
    "roi-flow-lstm": (RoiFlowLstm, RoiFlowLstmOptions(steps=2)),
    "cnn-lstm": (CnnLstm, CnnLstmOptions(steps=2, patches=4)),
}


def made(name: str = "roi-flow-lstm", dtype: torch.dtype = torch.float32) -> Checkpoint:
    model, options = MADE[name]
    shape = model.features(record("s", "c", 0), options).shape
    networks, _ = networks_for(model.stages(options), shape, 3, dtype)
    return Checkpoint(
        name, options, ("a", "b", "c"), "made", shape, tuple(networks), {"protocol": "loso"}
    )


def with_members(count: int) -> Checkpoint:
    """Return a checkpoint whose members were drawn from the seeds 0, 1, …"""
    first = made()
    (stage,) = first.stages
    drawn = [(build(stage, first.shape, 3, seed, torch.float32),) for seed in range(count)]
    return replace(first, networks=drawn[0], others=tuple(drawn[1:]))


def rewrite(path: Path, **changes: Any) -> None:
    """Write the checkpoint at `path` anew with a changed description."""
    checkpoint = made()
    tensors = tensors_of(checkpoint.stages, checkpoint.networks)
    tensors |= changes.pop("tensors", {})
    description = {**load_checkpoint(path).description, "sha256": digest(tensors), **changes}
    save_file(tensors, path, metadata={"mecli": json.dumps(description)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "c.safetensors", made())
    return tmp_path / "c.safetensors"


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_checkpoint_survives_its_file(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    before = made(name, dtype)
    save_checkpoint(tmp_path / "c.safetensors", before)
    after = load_checkpoint(tmp_path / "c.safetensors")
    clips = [record("s", f"c{k}", k) for k in range(3)]
    assert np.array_equal(scores(before, clips), scores(after, clips))
    assert (after.model, after.options, after.classes) == (name, before.options, ("a", "b", "c"))
    assert after.description["protocol"] == "loso"


def test_the_same_checkpoint_is_the_same_bytes(tmp_path: Path, path: Path) -> None:
    save_checkpoint(tmp_path / "d.safetensors", load_checkpoint(path))
    assert (tmp_path / "d.safetensors").read_bytes() == path.read_bytes()


def test_scores_are_probabilities_and_none_for_no_clips(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    assert scores(checkpoint, [record("s", "c", 1)]).sum() == pytest.approx(1.0)
    assert scores(checkpoint, []).shape == (0, 3)


def test_a_temperature_survives_its_file_and_calibrates_the_scores(path: Path) -> None:
    raw = load_checkpoint(path)
    save_checkpoint(path, replace(raw, temperature=0.25))
    calibrated = load_checkpoint(path)
    clip = record("s", "c", 1)
    before, after = scores(raw, [clip]), scores(calibrated, [clip])
    assert (raw.temperature, calibrated.temperature) == (None, 0.25)
    assert np.allclose(after, before**4 / (before**4).sum())
    assert attribute(calibrated, clip) == attribute(raw, clip)


def test_members_survive_their_file_and_are_averaged(tmp_path: Path) -> None:
    before, path = with_members(3), tmp_path / "c.safetensors"
    save_checkpoint(path, before)
    after, clips = load_checkpoint(path), [record("s", f"c{k}", k) for k in range(3)]
    alone = [replace(before, networks=networks, others=()) for networks in before.members]
    single = [scores(one, clips) for one in alone]
    assert after.description["members"] == len(after.members) == 3
    assert np.array_equal(scores(after, clips), scores(before, clips))
    assert np.allclose(scores(after, clips), np.mean(single, axis=0), rtol=1e-12)
    assert np.ptp(single, axis=0).max() > 1e-3
    assert attribute(after, clips[1]) == attribute(before, clips[1])
    assert attribute(after, clips[1]) != attribute(alone[0], clips[1])
    save_checkpoint(tmp_path / "d.safetensors", after)
    assert (tmp_path / "d.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (2, r"weight 'member2\.rois\.\S+' is unknown"),
        (4, r"weight 'rois\.\S+' is missing"),
        (10**12, r"weight 'rois\.\S+' is missing"),
        (0, "members is 0, expected 1 or more"),
        (2.5, "members is 2.5, expected"),
    ],
)
def test_another_number_of_members_than_said_is_refused(
    tmp_path: Path, members: float, said: str
) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, with_members(3))
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    description = {**load_checkpoint(path).description, "members": members}
    save_file(tensors, path, metadata={"mecli": json.dumps(description)})
    with pytest.raises(InputError, match=said):
        load_checkpoint(path)


def test_shares_of_the_rois_sum_to_one_and_a_still_one_has_none(path: Path) -> None:
    checkpoint, clip = load_checkpoint(path), record("s", "c", 1)
    method, shares = attribute(checkpoint, clip)
    assert (method, tuple(shares)) == ("weights", ROI_NAMES)
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0
    # The network sees the mouth's movement in the cheeks too, whose boxes do not hold it.
    flow = clip.flow.copy()
    flow[:, :9] = 0
    mouth = replace(clip, flow=flow, apex_flow=flow[-1])
    assert np.abs(RoiFlowLstm.features(mouth, checkpoint.options)[:, 3]).max() > 0
    for way in ATTRIBUTIONS:
        told = attribute(checkpoint, mouth, way).parts
        assert told["mouth"] > 0.99
        assert told["left_eye"] == 0


def test_without_weights_occlusion_tells_what_a_roi_contributes() -> None:
    checkpoint, clip = made("cnn-lstm"), record("s", "c", 1)
    method, shares = attribute(checkpoint, clip)
    model, options = MADE["cnn-lstm"]
    assert (method, tuple(shares)) == ("occlusion", ROI_NAMES)
    with pytest.raises(UsageError, match="scores of cnn-lstm are no sum over ROIs"):
        attribute(checkpoint, clip, "weights")
    assert any(abs(v) > 0 for v in shares.values())
    still = replace(clip, flow=np.zeros_like(clip.flow))
    assert set(attribute(checkpoint, still).parts.values()) == {0.0}
    assert model.occlude(model.features(clip, options), 0, options)[:, 0].max() == 0


def test_occlusion_is_how_much_the_probabilities_change_and_the_roi_moves(path: Path) -> None:
    checkpoint, clip = load_checkpoint(path), record("s", "c", 1)
    found = attribute(checkpoint, clip, "occlusion")
    base, weighed = scores(checkpoint, [clip])[0], []
    for roi, box in ((5, np.s_[9:12, 2:10]), (2, np.s_[4:8, 3:9])):
        values = RoiFlowLstm.features(clip, checkpoint.options)
        values[:, roi] = 0
        left = read(checkpoint.stages, checkpoint.networks, values).probabilities
        moved = np.linalg.norm(clip.apex_flow[box], axis=-1).mean()
        weighed.append(np.abs(base - left).sum() * moved)
    assert found.method == "occlusion"
    ratio = found.parts["mouth"] / found.parts["nose"]
    # Flow between the coarse cells of this record is interpolated.
    assert ratio == pytest.approx(weighed[0] / weighed[1], rel=0.2)


def test_a_clip_of_another_shape_is_refused(path: Path) -> None:
    checkpoint = replace(load_checkpoint(path), shape=(9, 6, 2, 12, 12))
    with pytest.raises(InputError, match=r"clip made/s/c: features \(2, 6, 2, 12, 12\), but"):
        scores(checkpoint, [record("s", "c", 1)])


def test_a_clip_with_nan_is_refused(path: Path) -> None:
    clip = record("s", "c", 1)
    broken = replace(clip, flow=np.full_like(clip.flow, np.nan))
    with pytest.raises(InputError, match=r"clip made/s/c: .*NaN"):
        scores(load_checkpoint(path), [broken])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 pickle", b"\xff" * 64])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"c\.safetensors: cannot be read as safetensors"):
        load_checkpoint(tmp_path / "c.safetensors")


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"c\.safetensors: no such checkpoint"):
        load_checkpoint(tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "no checkpoint of mecli"),
        ({"mecli": "[]"}, "no checkpoint of mecli"),
        ({"mecli": "{"}, "broken description"),
        ({"mecli": "{}"}, "broken description"),
    ],
)
def test_weights_of_somebody_else_are_refused(
    tmp_path: Path, metadata: dict[str, str] | None, said: str
) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "c.safetensors", metadata=metadata)
    with pytest.raises(InputError, match=said):
        load_checkpoint(tmp_path / "c.safetensors")


def test_every_flipped_weight_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="weights are damaged"):
        load_checkpoint(path)


def test_a_cut_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "format 2, expected 1"),
        ({"model": "resnet"}, "does not fit this version of mecli: unknown model"),
        ({"model": "cnn-lstm"}, "does not fit this version of mecli: unknown option"),
        ({"options": {"depth": 3}}, "unknown option"),
        ({"options": {"steps": 0}}, "broken description"),
        ({"options": {"steps": 2, "hidden": 8}}, r"weight 'rois\.\S+' is \(\d.*expected \("),
        ({"classes": ["a", "b"]}, r"weight 'rois\.evidence\.\S+' is"),
        ({"classes": 3}, "broken description"),
        ({"temperature": 0.0}, "temperature is 0.0, expected 0.05 to 20"),
        ({"temperature": "1"}, "temperature is '1', expected"),
        ({"shape": [2, 6]}, r"shape \(2, 6\) does not fit"),
        ({"tensors": {"rois.extra": torch.zeros(1)}}, "weight 'rois.extra' is unknown"),
        ({"tensors": {"a": torch.zeros(1, dtype=torch.int8)}}, "weights of type torch.int8"),
        ({"options": {"steps": 2, "hidden": 10**6}}, r"weight 'rois\.\S+' is \(\d.*expected \("),
        ({"shape": [2, 6, 2, 10**6, 10**6]}, r"weight 'rois\.(dense|feature).weight' is"),
        ({"tensors": {"rois.norm.bias": torch.zeros(16).half()}}, "rois.norm.bias"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    path: Path, changes: dict[str, Any], said: str
) -> None:
    rewrite(path, **changes)
    with pytest.raises(InputError, match=said):
        load_checkpoint(path)


def test_weights_of_another_precision_are_refused(path: Path) -> None:
    checkpoint = made()
    halves = {n: t.half() for n, t in tensors_of(checkpoint.stages, checkpoint.networks).items()}
    rewrite(path, tensors=halves)
    with pytest.raises(InputError, match="float16, expected float32 or float64"):
        load_checkpoint(path)
