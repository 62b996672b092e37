"""The landmarker of the `face-alignment` package: 2DFAN-4, its weights looked up beforehand."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from mecli.errors import InputError, MissingDependency
from mecli.interfaces import Face
from mecli.landmarks.blocks import one_thread, to_tensor
from mecli.landmarks.crops import cut, uncut
from mecli.landmarks.embedded import EmbeddedLandmarker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mecli.clips import Clip

_SITE = "https://www.adrianbulat.com/downloads/python-fan"
LANDMARK_WEIGHTS = "2DFAN4-11f355bf06.pth.tar"
DETECTOR_WEIGHTS = "s3fd-619a316812.pth"
CROP_PX = 256
_CELL_PX = 4  # side of one cell of the 64×64 heat maps in the crop
_WINDOW = 2  # the soft-argmax looks this many cells to each side of the peak
_BATCH = 4
# How the package frames a face for its network: its constants 0.12, 200 and 195.
_CENTRE_UP, _SIDE_OVER_SIZES = 0.12, 200 / 195
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError),
    *(TypeError, AttributeError, KeyError, pickle.UnpicklingError),
)


def weights_folder() -> Path:
    """Return where torch keeps downloaded weights: ``$TORCH_HOME/hub/checkpoints``."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def weights_file(name: str) -> Path | None:
    """Return the file called `name` in that folder, None if it is not there."""
    path = weights_folder() / name
    return path if path.is_file() else None


class FaceAlignmentLandmarker:
    """2DFAN-4 on boxes of S3FD, or of BlazeFace where the S3FD weights are absent.

    Nothing is downloaded: without the 2DFAN-4 weights it raises `MissingDependency`.
    """

    name: ClassVar[str] = "face-alignment"
    paper: ClassVar[str] = (
        "Bulat, Tzimiropoulos 2017, How far are we from solving the 2D & 3D Face Alignment "
        "problem? (and a dataset of 230,000 3D facial landmarks)"
    )
    doi: ClassVar[str] = "10.1109/ICCV.2017.116"

    def __init__(self) -> None:
        path = weights_file(LANDMARK_WEIGHTS)
        if path is None:
            raise MissingDependency(
                f"--landmarks face-alignment needs {LANDMARK_WEIGHTS} in {weights_folder()}: "
                f"download {_SITE}/{LANDMARK_WEIGHTS} (and, for its own face detector, "
                f"{_SITE}/{DETECTOR_WEIGHTS}) into that folder, or use --landmarks embedded"
            )
        self._weights = path
        self._detector_weights = weights_file(DETECTOR_WEIGHTS)
        self._embedded = EmbeddedLandmarker()

    @property
    def detector(self) -> str:
        """Who finds the faces: ``"s3fd"`` or ``"blazeface"``."""
        return "s3fd" if self._detector_weights else "blazeface"

    def find(
        self,
        frames: NDArray[np.uint8],
        clip: Clip | None = None,
        positions: Sequence[int] = (),
    ) -> list[list[Face]]:
        """Return the faces of each of `frames` (N, H, W, 3 RGB), the largest first."""
        if self._detector_weights is None:
            found = self._embedded.find(frames, clip, positions)
            boxes = [[(face.box, face.score) for face in faces] for faces in found]
        else:
            boxes = [_s3fd_boxes(self._detector_weights, frame) for frame in frames]
        owners = [k for k, here in enumerate(boxes) for _ in here]
        framed = [one for here in boxes for one in here]
        transforms = [crop_transform(box) for box, _ in framed]
        points = self._fit(frames, owners, transforms)
        faces: list[list[Face]] = [[] for _ in frames]
        for k, (box, score), row in zip(owners, framed, points, strict=True):
            faces[k].append(Face(box, row, score))
        return faces

    def _fit(
        self,
        frames: NDArray[np.uint8],
        owners: list[int],
        transforms: list[NDArray[np.float64]],
    ) -> list[NDArray[np.float32]]:
        """Landmarks (68, 2) in frame px for each crop."""
        points: list[NDArray[np.float32]] = []
        for start in range(0, len(owners), _BATCH):
            part = transforms[start : start + _BATCH]
            whose = owners[start : start + _BATCH]
            crops = [
                cut(frames[k], transform, CROP_PX) for k, transform in zip(whose, part, strict=True)
            ]
            with one_thread(), torch.inference_mode():
                maps = _network(self._weights)(to_tensor(np.stack(crops), 1 / 255, 0.0))[-1]
            cells = decode(maps.numpy())
            # pixel centres: cell c covers the crop's pixels 4c … 4c + 3
            found = cells * _CELL_PX + (_CELL_PX - 1) / 2
            points += [uncut(row, transform) for row, transform in zip(found, part, strict=True)]
        return points


def crop_transform(box: NDArray[np.floating]) -> NDArray[np.float64]:
    """(2, 3) frame px → crop px: the square that the package cuts around a (4,) face box."""
    x0, y0, x1, y1 = (float(value) for value in box)
    side = max(_SIDE_OVER_SIZES * (x1 - x0 + y1 - y0), 1e-3)
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2 - _CENTRE_UP * (y1 - y0)])
    scale = CROP_PX / side
    return np.column_stack([np.eye(2) * scale, (CROP_PX - 1) / 2 - scale * centre])


def decode(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, L, H, W) heat maps to the (N, L, 2) x, y of their peaks, in cells.

    A soft-argmax over the 5×5 cells around the largest value. Weights are the
    fourth power of the values: on Gaussian peaks of 1 to 2 cells that is nearly
    free of bias towards the middle of the window (0.01–0.1 px of the crop, where
    plain values give 0.1–0.7). The package itself returns whole frame pixels, cut
    off towards zero.
    """
    count, landmarks, height, width = maps.shape
    flat = maps.reshape(count, landmarks, -1)
    rows, columns = np.divmod(flat.argmax(-1), width)
    around = np.arange(-_WINDOW, _WINDOW + 1)
    y = rows[..., None, None] + around[:, None]
    x = columns[..., None, None] + around
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    cells = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)
    values = np.take_along_axis(flat, cells.reshape(count, landmarks, -1), -1)
    values = np.clip(values.reshape(cells.shape), 0, None) * inside
    peak = np.maximum(values.max((-2, -1), keepdims=True), 1e-12)
    weights = (values / peak).astype(np.float64) ** 4
    total = weights.sum((-2, -1))
    total[total == 0] = 1
    shift_x = (weights * around).sum((-2, -1)) / total
    shift_y = (weights * around[:, None]).sum((-2, -1)) / total
    return np.stack([columns + shift_x, rows + shift_y], -1).astype(np.float32)


def _s3fd_boxes(path: Path, frame: NDArray[np.uint8]) -> list[tuple[NDArray[np.float32], float]]:
    """Return boxes (4,) and scores of the package's own detector, the largest first."""
    with one_thread():
        found = _s3fd(path).detect_from_image(frame)
    boxes = [(np.asarray(row[:4], np.float32), float(row[4])) for row in found]
    return sorted(boxes, key=lambda one: -float(np.prod(one[0][2:] - one[0][:2])))


@cache
def _network(path: Path) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """Return 2DFAN-4; the package reads `path` itself, tensors only (``weights_only``)."""
    from face_alignment import FaceAlignment, LandmarksType

    def build() -> Any:
        return FaceAlignment(
            LandmarksType.TWO_D,
            device="cpu",
            flip_input=False,
            face_detector="folder",
            compile=False,
        ).face_alignment_net

    net: Callable[[torch.Tensor], list[torch.Tensor]] = _loaded(path, build)
    return net


@cache
def _s3fd(path: Path) -> Any:
    from face_alignment.detection.sfd import FaceDetector

    return _loaded(path, lambda: FaceDetector(device="cpu", path_to_detector=str(path)))


def _loaded(path: Path, build: Callable[[], Any]) -> Any:
    """Call `build`, which reads `path`; a broken or foreign file becomes an `InputError`."""
    try:
        return build()
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not the weights that face-alignment expects ({reason}); "
            f"delete it and download {_SITE}/{path.name} into that folder"
        ) from error
