from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from mecli.cache import open_cache
from mecli.clips import Clip
from mecli.errors import InputError
from mecli.extract import ExtractOptions, extract
from mecli.flow import strain
from mecli.flow_images import NOMINAL_RMS_PX, flow_of_image, record_of_images
from mecli.report.clips import summary_text

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
    padded = np.dstack([scaled, np.zeros((28, 28, 3 - flow.shape[-1]))])
    return padded.round().astype(np.uint8)


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
    assert summary.landmarker == "none"
    assert "landmarks  none (ready-made flow)" in summary_text(summary.as_json())
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


def drawn(right: float, down: float) -> NDArray[np.uint8]:
    """u, v and strain as an image has them, (28, 28, 3)."""
    flow = bump(right, down).astype(np.float32)
    return image_of(np.dstack([flow, strain(flow)]))


def image_of_all(path: Path, channels: NDArray[np.uint8]) -> Path:
    cv2.imwrite(str(path), channels[..., ::-1] if channels.ndim == 3 else channels)
    return path


def flow_in(*paths: Path, apart: bool = False) -> NDArray[np.float32]:
    record = record_of_images(Clip("c", "s", "n", paths, holds_flow=True, apart=apart), (0,))
    return record.apex_flow


@pytest.mark.parametrize("motion", [(0.3, -1.0), (1.0, 1.0), (-2.0, 0.5)])
def test_channels_written_the_other_way_round_are_known_and_said(
    tmp_path: Path, motion: tuple[float, float]
) -> None:
    image = drawn(*motion)
    as_rgb = image_of_all(tmp_path / "a.png", image)
    as_bgr = image_of_all(tmp_path / "b.png", np.ascontiguousarray(image[..., ::-1]))
    flat = image_of_all(tmp_path / "c.png", image * np.array([1, 1, 0], np.uint8))
    turned = image_of_all(
        tmp_path / "d.png", (image * np.array([1, 1, 0], np.uint8))[..., ::-1].copy()
    )
    expected = flow_in(as_rgb)
    for path in (as_bgr, flat, turned):
        np.testing.assert_array_equal(flow_in(path), expected)
    clip = Clip("c", "s", "n", (as_bgr,), issues=("odd",), holds_flow=True)
    said = "red and blue are swapped in its image: taken as strain, v, u"
    assert record_of_images(clip, (0,)).issues == ("odd", said)
    assert record_of_images(Clip("c", "s", "n", (flat,), holds_flow=True), (0,)).issues == ()


def test_images_and_arrays_of_u_and_v_alone_say_the_same(tmp_path: Path) -> None:
    image = drawn(1.0, -2.0)
    expected = flow_in(image_of_all(tmp_path / "a.png", image))
    u = image_of_all(tmp_path / "a_u.png", np.ascontiguousarray(image[..., 0]))
    v = image_of_all(tmp_path / "a_v.png", np.ascontiguousarray(image[..., 1]))
    np.testing.assert_array_equal(flow_in(u, v, apart=True), expected)
    values = image[..., :2].astype(np.float32) / 7 - 3
    forms = {
        "last": values,
        "three": np.dstack([values, values[..., 0]]),
        "first": np.moveaxis(values, -1, 0),
    }
    for name, form in forms.items():
        np.save(tmp_path / f"{name}.npy", form)
        found = flow_in(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for channel, name in enumerate("uv"):
        np.save(tmp_path / f"{name}.npy", values[..., channel])
    found = flow_in(tmp_path / "u.npy", tmp_path / "v.npy", apart=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_array_without_motion_is_all_zero(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((28, 28, 2)))
    assert not flow_in(tmp_path / "a.npy").any()


def test_a_grey_image_is_refused_since_it_holds_one_channel(tmp_path: Path) -> None:
    grey = np.ascontiguousarray(drawn(1.0, 0.5)[..., 0])
    with pytest.raises(InputError, match=r"g\.png: clip c/s/n: is grey, expected u in red and v"):
        flow_in(image_of_all(tmp_path / "g.png", grey))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(5), "is no array of numbers"),
        (np.zeros((9, 9), dtype="U2"), "is no array of numbers"),
        (np.zeros((28, 28)), r"is \(28, 28\), expected \(H, W, 2\)"),
        (np.zeros((4, 28, 28)), r"is \(4, 28, 28\), expected \(H, W, 2\)"),
        (np.full((28, 28, 2), np.nan), "holds a number that is not finite"),
        (np.array([[{}]]), "cannot be read as an array: Array can't be memory-mapped"),
    ],
)
def test_an_array_that_is_no_flow_is_refused(
    tmp_path: Path, values: NDArray[np.generic], said: str
) -> None:
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(InputError, match=rf"a\.npy: {said}"):
        flow_in(tmp_path / "a.npy")
    np.save(tmp_path / "a_u.npy", np.zeros((9, 9, 2)))
    with pytest.raises(InputError, match=r"a_u\.npy: is \(9, 9, 2\), expected \(H, W\) of u or v"):
        flow_in(tmp_path / "a_u.npy", tmp_path / "a_u.npy", apart=True)


@pytest.mark.parametrize(
    "shape", ["(28, 28, 2", "(9" + "9" * 20 + ", 28, 2)", "('a', 2)", "(0, 2)"]
)
def test_an_array_with_a_damaged_header_is_refused(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((28, 28, 2), np.float32))
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path.write_bytes(path.read_bytes()[:10] + head.encode() + path.read_bytes()[128:])
    with pytest.raises(InputError, match=r"a\.npy: "):
        flow_in(path)


def test_numbers_too_large_for_single_precision_are_flow_too(tmp_path: Path) -> None:
    values = bump(1.0, -1.0)
    for name, factor in (("a", 1.0), ("b", 1e300)):
        np.save(tmp_path / f"{name}.npy", values * factor)
    found = flow_in(tmp_path / "b.npy")
    np.testing.assert_allclose(found, flow_in(tmp_path / "a.npy"), atol=1e-5)
