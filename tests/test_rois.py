from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mecli.errors import InputError
from mecli.rois import FACE_SIZE, ROI_BOXES, ROI_NAMES, crop_grid, crop_rois, roi_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray


def upright_landmarks() -> NDArray[np.float32]:
    """A symmetric face in the aligned frame: 68 points, drawn from plain curves."""
    points = np.zeros((68, 2))
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([120 + 125 * np.cos(angle), 90 + 186 * np.sin(angle) ** 1.2], axis=1)
    arch = 36 - 12 * np.sin(np.linspace(0, np.pi, 5))
    points[17:22] = np.stack([np.linspace(0, 97, 5), arch], axis=1)
    points[22:27] = np.stack([np.linspace(143, 240, 5), arch], axis=1)
    points[27:31] = np.stack([np.full(4, 120), np.linspace(65, 140, 4)], axis=1)
    points[31:36] = np.stack([np.linspace(90, 150, 5), [157, 162, 166, 162, 157]], axis=1)
    turn = np.linspace(np.pi, -np.pi, 7)[:6]
    points[36:42] = np.stack([50 + 21 * np.cos(turn), 66 - 8 * np.sin(turn)], axis=1)
    points[42:48] = np.stack([190 + 21 * np.cos(turn), 66 - 8 * np.sin(turn)], axis=1)
    turn = np.linspace(np.pi, -np.pi, 13)[:12]
    points[48:60] = np.stack([120 + 55 * np.cos(turn), 212 - 20 * np.sin(turn)], axis=1)
    turn = np.linspace(np.pi, -np.pi, 9)[:8]
    points[60:68] = np.stack([120 + 42 * np.cos(turn), 212 - 6 * np.sin(turn)], axis=1)
    return points.astype(np.float32)


def test_boxes_of_an_average_face_lie_near_the_published_ones() -> None:
    boxes = roi_boxes(upright_landmarks())
    assert boxes.shape == (len(ROI_NAMES), 4)
    assert boxes.dtype == np.float32
    np.testing.assert_allclose(boxes, ROI_BOXES, atol=30)


@given(st.tuples(st.floats(-90, 90), st.floats(-90, 90)), st.floats(0.6, 1.5))
def test_boxes_keep_their_size_and_stay_inside_the_face(
    shift: tuple[float, float], scale: float
) -> None:
    boxes = roi_boxes((upright_landmarks() - 120) * scale + 120 + np.array(shift))
    np.testing.assert_array_equal(boxes[:, 2:] - boxes[:, :2], ROI_BOXES[:, 2:] - ROI_BOXES[:, :2])
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= FACE_SIZE[1]).all()
    assert (boxes[:, 3] <= FACE_SIZE[0]).all()


def test_boxes_follow_the_mouth() -> None:
    lower = upright_landmarks()
    lower[48:] += (5, 10)
    moved = roi_boxes(lower) - roi_boxes(upright_landmarks())
    np.testing.assert_array_equal(moved[ROI_NAMES.index("mouth")], [5, 10, 5, 10])
    assert not moved[: ROI_NAMES.index("mouth")].any()


def test_landmarks_must_be_68_finite_points() -> None:
    with pytest.raises(InputError, match=r"shape \(5, 2\), expected \(68, 2\)"):
        roi_boxes(np.zeros((5, 2)))
    with pytest.raises(InputError, match="finite"):
        roi_boxes(np.full((68, 2), np.nan))


def ramp(height: int, width: int) -> NDArray[np.float32]:
    """A map whose two channels are x and y in face pixels at the centre of each cell."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    scale = (FACE_SIZE[1] / width, FACE_SIZE[0] / height)
    return np.stack([x * scale[0], y * scale[1]], axis=-1).astype(np.float32)


@pytest.mark.parametrize("shape", [(280, 240), (140, 120), (70, 60), (28, 28)])
@pytest.mark.parametrize("size", [8, 14, 24])
def test_crops_of_any_grid_read_the_same_places(shape: tuple[int, int], size: int) -> None:
    box = np.array([[60, 80, 180, 160]], dtype=np.float32)
    crop = crop_grid(ramp(*shape), box, size)[0]
    steps = (np.arange(size) + 0.5) / size
    np.testing.assert_allclose(crop[..., 0], np.tile(60 + 120 * steps, (size, 1)), atol=1e-3)
    np.testing.assert_allclose(crop[..., 1], np.tile(80 + 80 * steps, (size, 1)).T, atol=1e-3)


def test_crops_keep_leading_axes_and_units() -> None:
    maps = np.full((3, 5, 28, 28, 2), 1.5, dtype=np.float64)
    crops = crop_grid(maps, ROI_BOXES, 12)
    assert crops.shape == (3, 5, 6, 12, 12, 2)
    assert crops.dtype == np.float32
    np.testing.assert_allclose(crops, 1.5, rtol=1e-6)


def test_a_coarser_crop_averages_rather_than_picks() -> None:
    noise = np.random.default_rng(0).normal(size=(280, 240, 1)).astype(np.float32)
    crop = crop_grid(noise, ROI_BOXES[:1], 8)
    assert crop.std() < 0.2


def test_a_map_without_axes_for_height_and_width_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(…, H, W, C\)"):
        crop_grid(np.zeros((4, 4), dtype=np.float32), ROI_BOXES, 4)


def test_roi_crops_cut_the_named_places() -> None:
    face = np.zeros((*FACE_SIZE, 3), dtype=np.uint8)
    for number, (x0, y0, x1, y1) in enumerate(ROI_BOXES.astype(int), start=1):
        face[y0:y1, x0:x1, 1] = 40 * number
    crops = crop_rois(face, ROI_BOXES)
    assert crops.shape == (6, 48, 48, 3)
    assert crops.dtype == np.uint8
    centres = crops[:, 20:40, 24, 1]
    np.testing.assert_array_equal(centres.max(axis=1), 40 * np.arange(1, 7))
    assert not crops[..., [0, 2]].any()


def test_roi_crops_can_be_larger_than_the_roi() -> None:
    face = np.full((*FACE_SIZE, 3), 77, dtype=np.uint8)
    assert (crop_rois(face, ROI_BOXES, size_px=96) == 77).all()


def test_a_face_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected uint8 \(280, 240, 3\)"):
        crop_rois(np.zeros((240, 280, 3), dtype=np.uint8), ROI_BOXES)


@pytest.mark.parametrize("box", [[-1, 0, 50, 50], [0, 0, 241, 50], [9, 9, 9, 60], [0, 0, 5]])
def test_a_box_outside_the_face_is_refused(box: list[float]) -> None:
    boxes = np.array([box], dtype=np.float32)
    with pytest.raises(InputError, match="inside the 240×280 face"):
        crop_rois(np.zeros((*FACE_SIZE, 3), dtype=np.uint8), boxes)
    with pytest.raises(InputError, match="inside the 240×280 face"):
        crop_grid(np.zeros((70, 60, 2), dtype=np.float32), boxes, 8)


def test_published_boxes_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ROI_BOXES[0, 0] = 1
