from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mecli.alignment import compose, face_transform, from_landmarks, invert, warp
from mecli.errors import InputError
from mecli.rois import FACE_SIZE, ROI_BOXES, roi_boxes
from tests.scenes import HEIGHT, LANDMARKS, WIDTH, Scene, apply, similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_the_aligned_face_is_upright_and_fills_the_frame() -> None:
    for angle in (0.0, 20.0, -35.0, 170.0):
        source = apply(similarity(angle, 0.8, (30, -10)), LANDMARKS)
        face = apply(face_transform(source), source)
        eyes = face[42:48].mean(axis=0) - face[36:42].mean(axis=0)
        assert eyes[0] > 60
        assert abs(eyes[1]) < 1e-3
        brow, chin = min(face[18, 1], face[25, 1]), face[8, 1]
        assert 15 < brow < 40
        assert chin < FACE_SIZE[0]
        assert face[17, 0] > -1
        assert face[26, 0] < FACE_SIZE[1]
        np.testing.assert_allclose(roi_boxes(face), ROI_BOXES, atol=30)


def test_a_long_and_a_wide_face_are_letterboxed_alike() -> None:
    long = LANDMARKS * [1.0, 1.4]
    wide = LANDMARKS * [1.4, 1.0]
    height, width = FACE_SIZE
    for points in (long, wide):
        face = apply(face_transform(points), points)
        top, bottom = face[18, 1], face[8, 1]
        top -= 0.1 * (bottom - top)
        left, right = face[17, 0], face[26, 0]
        assert (left + right) / 2 == pytest.approx((width - 1) / 2, abs=1e-3)
        assert (top + bottom) / 2 == pytest.approx((height - 1) / 2, abs=1e-3)
        assert max((right - left) / width, (bottom - top) / height) == pytest.approx(1, abs=1e-3)


def test_points_that_are_no_face_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected \(68, 2\) finite pixels"):
        face_transform(np.zeros((5, 2)))
    with pytest.raises(InputError, match="eyes lie on one another"):
        face_transform(np.zeros((68, 2)))
    flat = LANDMARKS * [1.0, 1e-6]
    with pytest.raises(InputError, match="brows and chin"):
        face_transform(flat)
    with pytest.raises(InputError, match="lie on one another"):
        from_landmarks(np.zeros((68, 2)), LANDMARKS)


SIMILARITIES = st.builds(
    similarity,
    st.floats(-180, 180),
    st.floats(0.3, 3),
    st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
)


@given(SIMILARITIES)
def test_landmarks_give_back_the_similarity_between_them(true: NDArray[np.float64]) -> None:
    moved = apply(true, LANDMARKS)
    np.testing.assert_allclose(apply(from_landmarks(moved, LANDMARKS), moved), LANDMARKS, atol=0.01)


def test_mouth_and_jaw_do_not_move_the_head() -> None:
    speaking = LANDMARKS.copy()
    speaking[48:] += (0, 12)
    speaking[:17] += (0, 9)
    np.testing.assert_allclose(from_landmarks(speaking, LANDMARKS), np.eye(2, 3), atol=1e-4)


@given(SIMILARITIES, SIMILARITIES)
def test_compose_does_the_inner_transform_first(
    outer: NDArray[np.float64], inner: NDArray[np.float64]
) -> None:
    both = compose(outer.astype(np.float32), inner.astype(np.float32))
    np.testing.assert_allclose(
        apply(both, LANDMARKS), apply(outer, apply(inner, LANDMARKS)), atol=0.02
    )


@given(SIMILARITIES)
def test_invert_undoes_a_transform(transform: NDArray[np.float64]) -> None:
    there = transform.astype(np.float32)
    np.testing.assert_allclose(compose(invert(there), there), np.eye(2, 3), atol=2e-2)


def test_a_flat_transform_cannot_be_undone() -> None:
    with pytest.raises(InputError, match="cannot be undone"):
        invert(np.zeros((2, 3), dtype=np.float32))


def test_warping_brings_a_moved_frame_back_onto_the_onset() -> None:
    scene, to_onset = Scene(), similarity(4, 1.03, (3.3, -2.7))
    onset, moved = (scene.show(t, noise=0) for t in (similarity(), to_onset))
    back = warp(moved, to_onset.astype(np.float32), (HEIGHT, WIDTH))
    inner = (back.astype(int) - onset)[30:-30, 30:-30]
    assert np.abs(inner).mean() < 2


def test_warping_keeps_colour_and_repeats_the_border() -> None:
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[..., 1] = 200
    face = warp(image, similarity(shift=(500, 500)).astype(np.float32))
    assert face.shape == (*FACE_SIZE, 3)
    assert (face == [0, 200, 0]).all()


def test_shrinking_averages_detail_away() -> None:
    board = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    quarter = np.array([[0.25, 0, 0.1], [0, 0.25, 0.1]], dtype=np.float32)
    assert warp(board, quarter, (100, 100)).std() < 10


@given(st.integers(0, 10_000))
def test_blurring_only_what_is_seen_changes_no_pixel(seed: int) -> None:
    chance = np.random.default_rng(seed)
    height, width = chance.integers(8, 300, 2)
    image = chance.integers(0, 256, (height, width), dtype=np.uint8)
    moved = similarity(chance.uniform(-180, 180), chance.uniform(0.05, 0.6))
    # Any point of the picture, or one beside it, comes to lie in the middle.
    middle = chance.uniform(-0.3, 1.3, 2) * [width, height]
    moved[:, 2] = [30, 35] - moved[:, :2] @ middle
    transform = moved.astype(np.float32)
    scale = float(np.sqrt(np.linalg.det(transform[:, :2].astype(np.float64))))
    whole = cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1))
    wanted = cv2.warpAffine(
        whole, transform, (60, 70), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    assert np.array_equal(warp(image, transform, (70, 60)), wanted)
