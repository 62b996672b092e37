from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import skimage.data
import torch

from mecli.errors import InputError, MissingDependency, UnknownName
from mecli.landmarks import choose
from mecli.landmarks.crops import cut, uncut
from mecli.landmarks.embedded import EmbeddedLandmarker
from mecli.landmarks.face_alignment import (
    DETECTOR_WEIGHTS,
    LANDMARK_WEIGHTS,
    FaceAlignmentLandmarker,
    crop_transform,
    decode,
    weights_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a fresh torch home without weights, and no network."""

    def refuse(*_args: Any, **_options: Any) -> None:
        raise AssertionError("a network connection was tried")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    choose._build.cache_clear()
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    yield checkpoints
    choose._build.cache_clear()


def test_absent_weights_are_named_with_their_address_and_folder(folder: Path) -> None:
    with pytest.raises(MissingDependency) as caught:
        FaceAlignmentLandmarker()
    message = str(caught.value)
    for part in (LANDMARK_WEIGHTS, DETECTOR_WEIGHTS, str(folder), "--landmarks embedded"):
        assert part in message
    assert f"https://www.adrianbulat.com/downloads/python-fan/{LANDMARK_WEIGHTS}" in message
    assert "\n" not in message
    assert weights_folder() == folder


def test_auto_is_embedded_without_weights_and_face_alignment_with_them(folder: Path) -> None:
    assert choose.resolve() == "embedded"
    assert [status.present for status in choose.weights_status()] == [False, False]
    assert choose.choose().name == "embedded"
    (folder / LANDMARK_WEIGHTS).touch()
    assert choose.resolve() == "face-alignment"
    assert choose.choose().name == "face-alignment"
    assert FaceAlignmentLandmarker().detector == "blazeface"
    (folder / DETECTOR_WEIGHTS).touch()
    assert FaceAlignmentLandmarker().detector == "s3fd"
    assert [status.present for status in choose.weights_status()] == [True, True]
    assert choose.weights_status()[0].path == folder / LANDMARK_WEIGHTS
    assert choose.resolve("embedded") == "embedded"


def test_a_landmarker_is_made_once_per_process() -> None:
    assert choose.choose("embedded") is choose.choose("embedded")
    assert choose.choose("precomputed").name == "precomputed"


def test_an_unknown_landmarker_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown landmarker 'embeded'; did you mean 'embedded'"):
        choose.choose("embeded")


@pytest.mark.slow
def test_random_2dfan4_weights_run_the_whole_path_offline(folder: Path) -> None:
    from face_alignment.models import FAN

    torch.manual_seed(0)
    torch.save(FAN(4).state_dict(), folder / LANDMARK_WEIGHTS)
    picture = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    frames = np.stack([picture, np.full_like(picture, 90), picture])
    found = choose.choose("auto").find(frames)
    assert [len(faces) for faces in found] == [1, 0, 1]
    (face,), _, (again,) = found
    assert face.landmarks.shape == (68, 2)
    assert face.landmarks.dtype == np.float32
    ((embedded,),) = EmbeddedLandmarker().find(picture[None])
    np.testing.assert_allclose(face.box, embedded.box, atol=1e-2)
    assert face.score == pytest.approx(embedded.score, abs=1e-4)
    assert np.abs(again.landmarks - face.landmarks).max() < 1e-2
    # whatever the weights, points lie in the square that was cut out
    corners = uncut(np.array([[-2.0, -2], [258, 258]]), crop_transform(face.box))
    assert (face.landmarks >= corners[0]).all()
    assert (face.landmarks <= corners[1]).all()


@pytest.mark.slow
def test_s3fd_boxes_are_used_where_its_weights_are(folder: Path) -> None:
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    torch.manual_seed(0)
    torch.save(FAN(4).state_dict(), folder / LANDMARK_WEIGHTS)
    net = s3fd()
    for name, values in net.state_dict().items():
        values.fill_(10.0 if name.endswith("norm.weight") else 0.0)
    # say "face" in every cell of the coarsest map: priors of 512 px at stride 128
    net.state_dict()["conv7_2_mbox_conf.bias"][1] = 4.0
    torch.save(net.state_dict(), folder / DETECTOR_WEIGHTS)
    landmarker = FaceAlignmentLandmarker()
    frames = np.full((1, 128, 128, 3), 60, np.uint8)
    (faces,) = landmarker.find(frames)
    assert landmarker.detector == "s3fd"
    assert len(faces) >= 1
    np.testing.assert_allclose(faces[0].box[2:] - faces[0].box[:2], [512, 512])
    assert faces[0].score == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-3)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04 cut short"])
def test_a_broken_weights_file_is_named(folder: Path, content: bytes) -> None:
    (folder / LANDMARK_WEIGHTS).write_bytes(content)
    picture = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match=rf"{LANDMARK_WEIGHTS}: not the weights.*download https"):
        FaceAlignmentLandmarker().find(picture[None])


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, folder / LANDMARK_WEIGHTS)
    picture = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match="not the weights that face-alignment expects"):
        FaceAlignmentLandmarker().find(picture[None])


def peaks(centres: NDArray[np.float64], sigma: float) -> NDArray[np.float32]:
    y, x = np.mgrid[:64, :64]
    squares = (x - centres[:, :1, None]) ** 2 + (y - centres[:, 1:, None]) ** 2
    return np.asarray(np.exp(-squares / (2 * sigma**2))[None], np.float32)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
def test_peaks_between_cells_are_decoded_without_bias(sigma: float) -> None:
    centres = np.random.default_rng(0).uniform(4, 59, (400, 2))
    error = (decode(peaks(centres, sigma))[0] - centres) * 4  # px of the crop
    assert np.sqrt((error**2).mean()) < 0.16
    assert np.abs(error.mean(0)).max() < 0.02


def test_peaks_at_the_border_and_empty_maps_stay_inside() -> None:
    maps = np.full((1, 3, 64, 64), -1.0, np.float32)
    maps[0, 0, 0, 0] = maps[0, 1, 63, 63] = 1
    np.testing.assert_array_equal(decode(maps)[0, :2], [[0, 0], [63, 63]])
    assert np.isfinite(decode(maps)).all()


def test_a_dot_in_the_frame_comes_back_from_crop_and_heat_map() -> None:
    dot = np.array([143.0, 171.0])
    frame = np.zeros((300, 300, 3), np.uint8)
    y, x = np.mgrid[:300, :300]
    frame[...] = (250 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / 50))[..., None]
    transform = crop_transform(np.array([90, 110, 200, 230], np.float32))
    crop = cut(frame, transform, 256)[..., 0].astype(np.float32)
    cells = crop.reshape(64, 4, 64, 4).mean((1, 3))
    point = uncut(decode(cells[None, None])[0] * 4 + 1.5, transform)
    np.testing.assert_allclose(point[0], dot, atol=0.15)
