from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest
import skimage.data
import torch

import mecli
from mecli.landmarks import blazeface, facemesh
from mecli.landmarks.blazeface import BlazeFace, Detections
from mecli.landmarks.blocks import load_bundled
from mecli.landmarks.crops import cut, uncut
from mecli.landmarks.embedded import EmbeddedLandmarker
from mecli.landmarks.facemesh import FaceMesh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CLIPS = Path(__file__).parent.parent / "sample_data" / "clips"
WEIGHTS = Path(mecli.__file__).parent / "weights"


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def decode(path: Path, count: int) -> NDArray[np.uint8]:
    frames: list[NDArray[np.uint8]] = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            frames.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if len(frames) == count:
                break
    return np.stack(frames)


def landmarks(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    (faces,) = EmbeddedLandmarker().find(frame[None])
    assert len(faces) == 1
    return faces[0].landmarks


def waves(size_px: int) -> torch.Tensor:
    """Return a smooth picture in −1..1 that every float library makes alike."""
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    picture = np.stack([np.sin(x / 7), np.cos(y / 11), np.sin((x + y) / 5)])
    return torch.from_numpy(picture[None].astype(np.float32))


def test_blazeface_gives_the_numbers_of_the_original_graph() -> None:
    with torch.inference_mode():
        boxes, scores = load_bundled(BlazeFace(), "blazeface")(waves(128))
    rows = [0, 511, 512, 895]
    np.testing.assert_allclose(
        boxes[0, rows, [0, 3, 7, 15]],
        [0.3060122, 52.0440292, -1.6178367, -2.2538519],
        atol=1e-3,
    )
    np.testing.assert_allclose(
        scores[0, rows], [-4.7560775, -3.3319595, -5.1457548, -34.9560509], atol=1e-3
    )


def test_facemesh_gives_the_numbers_of_the_original_graph() -> None:
    with torch.inference_mode():
        points, flag = load_bundled(FaceMesh(), "facemesh")(waves(192) * 0.5 + 0.5)
    np.testing.assert_allclose(
        points[0, [0, 33, 263, 467], [0, 1, 2, 0]],
        [93.0269775, 64.8840256, 6.7579393, 134.5530396],
        atol=1e-3,
    )
    np.testing.assert_allclose(flag, [-10.3365850], atol=1e-3)


@pytest.mark.parametrize("name", ["blazeface", "facemesh"])
def test_provenance_and_notice_name_the_weights_that_are_bundled(name: str) -> None:
    data = (WEIGHTS / f"{name}.safetensors").read_bytes()
    row = re.search(rf"`{name}\.safetensors`.*", (WEIGHTS / "PROVENANCE.md").read_text("utf-8"))
    assert row is not None
    assert hashlib.sha256(data).hexdigest() in row[0]
    notice = Path(mecli.__file__).parent.parent / "NOTICE"
    assert f"{name}.safetensors" in notice.read_text("utf-8")


def test_faces_do_not_depend_on_the_batch_they_come_in() -> None:
    frames = decode(CLIPS / "s01_03.mp4", 7)
    landmarker = EmbeddedLandmarker()
    together = landmarker.find(frames)
    for k, ((face,),) in enumerate(landmarker.find(frames[k : k + 1]) for k in range(len(frames))):
        (same,) = together[k]
        assert np.abs(face.landmarks - same.landmarks).max() < 1e-3
        assert np.abs(face.box - same.box).max() < 1e-3
        assert face.score == pytest.approx(same.score, abs=1e-4)


def test_networks_do_not_depend_on_the_batch_size() -> None:
    torch.manual_seed(0)
    for net, size_px in (
        (load_bundled(BlazeFace(), "blazeface"), 128),
        (load_bundled(FaceMesh(), "facemesh"), 192),
    ):
        pictures = torch.rand(9, 3, size_px, size_px)
        with torch.inference_mode():
            whole = net(pictures)
            for count in (1, 2, 5):
                for some, every in zip(net(pictures[:count]), whole, strict=True):
                    np.testing.assert_allclose(some, every[:count], rtol=1e-5, atol=1e-4)


def check_geometry(points: NDArray[np.float32], box: NDArray[np.float32]) -> None:
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    nose, mouth, chin = points[30], points[48:60].mean(0), points[8]
    apart = float(np.hypot(*(right - left)))
    assert left[0] < nose[0] < right[0]
    assert max(left[1], right[1]) < nose[1] < mouth[1] < chin[1]
    assert points[17:27, 1].max() < min(left[1], right[1])
    assert 0.3 < apart / (box[2] - box[0]) < 0.6
    assert points[0, 0] < left[0]
    assert right[0] < points[16, 0]
    assert (points >= box[:2] - 1e-3).all()
    assert (points <= box[2:] + 1e-3).all()
    assert points.shape == (68, 2)
    assert points.dtype == box.dtype == np.float32


def test_a_real_face_is_fitted_where_it_is(astronaut: NDArray[np.uint8]) -> None:
    ((face,),) = EmbeddedLandmarker().find(astronaut[None])
    check_geometry(face.landmarks, face.box)
    assert face.score > 0.8
    # read off the picture: outer eye corners, nose tip, mouth corners
    by_eye = [(193, 101), (256, 105), (223, 126), (200, 139), (246, 141)]
    np.testing.assert_allclose(face.landmarks[[36, 45, 30, 48, 54]], by_eye, atol=4)


@pytest.mark.parametrize("name", ["s01_03", "s04_02", "s07_02"])
def test_synthetic_faces_are_steady_between_neighbouring_frames(name: str) -> None:
    faces = [found[0] for found in EmbeddedLandmarker().find(decode(CLIPS / f"{name}.mp4", 16))]
    for face in faces:
        check_geometry(face.landmarks, face.box)
    steps = np.diff(np.stack([face.landmarks for face in faces]), axis=0)
    assert np.abs(steps).mean() < 0.4
    assert np.abs(steps).max() < 3


@pytest.mark.parametrize(("angle", "scale"), [(0, 0.6), (0, 2.5), (25, 1.0), (-20, 1.3)])
def test_landmarks_turn_and_grow_with_the_picture(
    astronaut: NDArray[np.uint8], angle: float, scale: float
) -> None:
    turn = cv2.getRotationMatrix2D((225, 125), angle, scale)
    turn[:, 2] += np.array([320.0 - 225, 240 - 125])
    moved = cv2.warpAffine(astronaut, turn, (640, 480), flags=cv2.INTER_AREA)
    expected = landmarks(astronaut) @ turn[:, :2].T + turn[:, 2]
    apart = scale * 60
    error = np.hypot(*(landmarks(np.asarray(moved, np.uint8)) - expected).T)
    assert error.mean() / apart < 0.05


def test_small_faces_are_found_on_tiles(astronaut: NDArray[np.uint8]) -> None:
    scene = np.full((720, 1280, 3), 120, np.uint8)
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    scene[300:556, 900:1156] = small
    # centres of pixels: half the size puts x at (x + .5) / 2 − .5
    expected = (landmarks(astronaut) + 0.5) / 2 - 0.5 + (900, 300)
    assert np.abs(landmarks(scene) - expected).mean() < 1.5


def test_two_faces_come_largest_first(astronaut: NDArray[np.uint8]) -> None:
    large = np.ascontiguousarray(astronaut[20:220, 120:320])
    small = cv2.resize(large, (160, 160), interpolation=cv2.INTER_AREA)
    scene = np.concatenate([np.pad(small, ((20, 20), (0, 0), (0, 0))), large], 1)
    (faces,) = EmbeddedLandmarker().find(scene[None])
    assert [bool(face.landmarks[:, 0].mean() > 160) for face in faces] == [True, False]


def test_a_frame_without_a_face_gives_an_empty_list(astronaut: NDArray[np.uint8]) -> None:
    empty = np.full_like(astronaut, 90)
    faces = EmbeddedLandmarker().find(np.stack([empty, astronaut]))
    assert [len(found) for found in faces] == [0, 1]
    assert EmbeddedLandmarker().find(empty[:40, :40][None]) == [[]]
    assert EmbeddedLandmarker().find(np.zeros((0, 64, 64, 3), np.uint8)) == []


def test_finding_leaves_the_number_of_threads_alone(astronaut: NDArray[np.uint8]) -> None:
    before = torch.get_num_threads()
    EmbeddedLandmarker().find(astronaut[None])
    assert torch.get_num_threads() == before


def test_anchors_are_the_cell_centres_in_the_order_of_the_outputs() -> None:
    anchors = blazeface.anchors()
    assert anchors.shape == (896, 2)
    fine = np.array([[4, 4], [4, 4], [12, 4], [4, 12], [124, 124]]) / 128
    assert np.allclose(anchors[[0, 1, 2, 32, 511]], fine)
    coarse = np.array([[8, 8], [8, 8], [24, 8], [120, 120]]) / 128
    assert np.allclose(anchors[[512, 517, 518, 895]], coarse)


def detections(boxes: Sequence[Sequence[float]], scores: Sequence[float]) -> Detections:
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    points = np.repeat(corners[:, None, :2], 6, 1)
    return Detections(corners, points, np.asarray(scores, np.float32))


def test_overlapping_candidates_are_averaged_by_score() -> None:
    merged = blazeface.merge(
        detections([[0, 0, 10, 10], [50, 50, 60, 60], [2, 0, 12, 10]], [0.9, 0.8, 0.6])
    )
    np.testing.assert_allclose(
        merged.boxes, np.array([[0.8, 0, 10.8, 10], [50, 50, 60, 60]]), atol=1e-5
    )
    np.testing.assert_allclose(merged.points[:, 3], np.array([[0.8, 0], [50, 50]]), atol=1e-5)
    np.testing.assert_allclose(merged.scores, [0.9, 0.8])


def test_merging_nothing_gives_nothing() -> None:
    merged = blazeface.merge(detections([], []))
    assert [part.shape for part in merged] == [(0, 4), (0, 6, 2), (0,)]


def test_overlap_is_intersection_over_union() -> None:
    box = np.array([0, 0, 2, 2], np.float32)
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 4, 4]], np.float32)
    np.testing.assert_allclose(blazeface.overlap(box, others), [1, 1 / 3, 0])


def test_crop_is_one_and_a_half_boxes_with_level_eyes() -> None:
    box = np.array([100, 200, 140, 240], np.float32)
    left, right = np.array([110, 210], np.float32), np.array([120, 220], np.float32)
    transform = facemesh.crop_transform(box, left, right)
    eyes = np.stack([left, right]) @ transform[:, :2].T + transform[:, 2]
    assert eyes[0, 1] == pytest.approx(eyes[1, 1])
    assert eyes[0, 0] < eyes[1, 0]
    np.testing.assert_allclose(transform @ [120, 220, 1], [96, 96])
    assert np.hypot(*transform[:, 0]) == pytest.approx(192 / 60)
    points = np.array([[3, 4], [100, 50]], np.float32)
    there = (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
    np.testing.assert_allclose(uncut(there, transform), points, atol=1e-3)


def test_cutting_a_large_face_shrinks_it_without_moving_it() -> None:
    y, x = np.mgrid[:900, :1200]
    blob = 250 * np.exp(-((x - 641.0) ** 2 + (y - 433.0) ** 2) / (2 * 40**2))
    frame = np.repeat(blob[..., None], 3, 2).astype(np.uint8)
    box = np.array([300, 150, 900, 750], np.float32)
    transform = facemesh.crop_transform(
        box, np.array([0, 0], np.float32), np.array([9, 2], np.float32)
    )
    crop = cut(frame, transform, 192)[..., 0].astype(np.float64)
    rows, columns = np.mgrid[:192, :192]
    centre = [(columns * crop).sum() / crop.sum(), (rows * crop).sum() / crop.sum()]
    np.testing.assert_allclose(centre, transform @ [641, 433, 1], atol=0.1)
