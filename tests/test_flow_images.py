from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from mecli.cache import open_cache
from mecli.clips import Clip
from mecli.errors import InputError
from mecli.extract import ExtractOptions, extract
from mecli.flow_images import NOMINAL_RMS_PX, flow_of_image, record_of_images

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def bump(right: float, down: float, turn: float = 0.0) -> NDArray[np.float64]:
    """A local movement at the mouth on top of a head that turns, (28, 28, 2)."""
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    local = np.exp(-((x / 0.35) ** 2 + ((y - 0.6) / 0.25) ** 2))
    flow = np.stack([right * local + turn * x * x + 0.3, down * local + turn * x * y], axis=-1)
    return np.asarray(flow)


def image_of(flow: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = flow.min(axis=(0, 1)), flow.max(axis=(0, 1))
    scaled = (flow - low) / np.maximum(high - low, 1e-9) * 255
    return np.dstack([scaled, np.zeros((28, 28, 1))]).round().astype(np.uint8)


def test_the_direction_of_the_motion_comes_back_whatever_the_head_did() -> None:
    for turn in (0.0, 0.5):
        flow = flow_of_image(image_of(bump(-1.0, 1.5, turn)))
        at_mouth = flow[20:24, 12:16].mean(axis=(0, 1))
        assert at_mouth[0] < -0.3
        assert at_mouth[1] > 0.3
        assert np.abs(flow[2:10, 8:20].mean(axis=(0, 1))).max() < 0.1
        assert np.sqrt((flow**2).mean()) == pytest.approx(NOMINAL_RMS_PX, rel=1e-4)


def test_an_image_without_motion_is_all_zero() -> None:
    assert not flow_of_image(np.full((28, 28, 3), 80, np.uint8)).any()


def archive(folder: Path) -> Path:
    folder.mkdir()
    rows = []
    for clip, label, motion in (("a", 1, (0, -1.0)), ("b", 0, (1.0, 1.0)), ("c", 2, (0, 2.0))):
        for suffix in ("", "_1"):
            path = folder / f"s1_{clip}{suffix} .png"
            cv2.imwrite(str(path), image_of(bump(*motion))[..., ::-1])
        rows.append(f"smic,s1,{clip},{label}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_an_archive_goes_through_extract_like_any_corpus(tmp_path: Path) -> None:
    root, cache = archive(tmp_path / "flows"), tmp_path / "c.h5"
    summary = extract([str(root)], cache, ExtractOptions(jobs=0, landmarks="embedded"))
    assert (summary.extracted, summary.failures) == (3, {})
    with open_cache(cache) as opened:
        record = opened.record("smic/s01/a")
    assert record.flow.shape == (2, 28, 28, 2)
    assert not record.flow[0].any()
    np.testing.assert_array_equal(record.flow[1], record.apex_flow)
    assert record.labels["megc2019"] == "positive"
    assert record.apex_flow[20:24, 12:16, 1].mean() < -0.3
    assert len(record.roi_frames) == 0


def test_chosen_images_make_the_sequence_and_absent_ones_are_named(tmp_path: Path) -> None:
    root = archive(tmp_path / "flows")
    frames = (root / "s1_a .png", root / "s1_a_1 .png")
    clip = Clip("smic", "s1", "a", frames, holds_flow=True)
    assert record_of_images(clip, (0, 1)).flow.shape == (3, 28, 28, 2)
    with pytest.raises(InputError, match="clip smic/s1/a: flow image 2 asked for, but it has 2"):
        record_of_images(clip, (0, 2))
