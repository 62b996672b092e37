"""The bundled landmarker: BlazeFace finds faces, FaceMesh fits 468 points to each."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import cv2
import numpy as np
import torch

from mecli.interfaces import Face
from mecli.landmarks import blazeface, facemesh
from mecli.landmarks.blazeface import BlazeFace, Detections
from mecli.landmarks.blocks import load_bundled, one_thread, to_tensor
from mecli.landmarks.crops import cut, uncut
from mecli.landmarks.facemesh import FaceMesh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mecli.clips import Clip

_BATCH = 32
# A second crop, from the first mesh, halves what an unsteady detector box does to the points.
_MESH_PASSES = 2
_SMALLEST_TILE_PX = 64
_TILE_DIVISORS = (2, 4)


class EmbeddedLandmarker:
    """BlazeFace short range and FaceMesh-468 as plain torch modules, weights in the package."""

    name: ClassVar[str] = "embedded"
    paper: ClassVar[str] = (
        "Kartynnik, Ablavatski, Grishchenko, Grundmann 2019, Real-time Facial Surface "
        "Geometry from Monocular Video on Mobile GPUs; Bazarevsky et al. 2019, BlazeFace"
    )
    doi: ClassVar[str] = "10.48550/arXiv.1907.06724"

    def find(
        self,
        frames: NDArray[np.uint8],
        clip: Clip | None = None,
        positions: Sequence[int] = (),
    ) -> list[list[Face]]:
        """Return the faces of each of `frames` (N, H, W, 3 RGB), the largest first.

        Where the whole picture shows no face, overlapping tiles of a half and then
        a quarter of its longer side are searched for small ones.
        """
        if not len(frames):
            return []
        height, width = frames.shape[1:3]
        whole = _Tile(0, 0, width, height)
        faces = _fit(frames, detect(frames, (whole,)))
        for side in _tile_sides(height, width):
            empty = [k for k, found in enumerate(faces) if not found]
            for k in empty:
                frame = frames[k : k + 1]
                faces[k] = _fit(frame, detect(frame, _tiles(height, width, side)))[0]
        return faces


class _Tile(NamedTuple):
    """A part of the frame, in px."""

    x: int
    y: int
    width: int
    height: int


def detect(frames: NDArray[np.uint8], tiles: Sequence[_Tile]) -> list[Detections]:
    """Return the detections in each of `frames` (N, H, W, 3), in px, blended over `tiles`."""
    views = [(k, tile) for k in range(len(frames)) for tile in tiles]
    found: list[list[Detections]] = [[] for _ in frames]
    for chunk in _chunks(len(views)):
        part = views[chunk]
        letters = [_letterbox(frames[k], tile) for k, tile in part]
        pictures = to_tensor(np.stack([picture for picture, _ in letters]), 1 / 127.5, -1.0)
        with one_thread(), torch.inference_mode():
            raw, logits = (out.numpy() for out in _detector()(pictures))
        for row, (k, tile) in enumerate(part):
            candidates = blazeface.decode(raw[row], logits[row])
            found[k].append(_to_frame(candidates, tile, letters[row][1]))
    return [blazeface.merge(_joined(parts)) for parts in found]


def _fit(frames: NDArray[np.uint8], found: list[Detections]) -> list[list[Face]]:
    """Fit the mesh to every detection; what the mesh does not take for a face is dropped."""
    owners = [k for k, faces in enumerate(found) for _ in faces.scores]
    boxes = np.concatenate([faces.boxes for faces in found])
    points = np.concatenate([faces.points for faces in found])
    scores = np.concatenate([faces.scores for faces in found])
    left, right = points[:, 0], points[:, 1]
    meshes, flags = np.zeros((0, 468, 2), np.float32), np.zeros(0, np.float32)
    for _ in range(_MESH_PASSES):
        meshes, flags = _mesh_pass(frames, owners, (boxes, left, right))
        boxes = np.concatenate([meshes.min(1), meshes.max(1)], 1)
        left, right = (meshes[:, corner] for corner in facemesh.EYE_CORNERS)
    faces: list[list[Face]] = [[] for _ in frames]
    for row, k in enumerate(owners):
        if flags[row] > 0:
            faces[k].append(Face(boxes[row], meshes[row][facemesh.IBUG_68], float(scores[row])))
    return [_distinct(found_here) for found_here in faces]


def _mesh_pass(
    frames: NDArray[np.uint8],
    owners: list[int],
    crops: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Meshes (D, 468, 2) in frame px and face logits (D,) for the boxes and eyes in `crops`."""
    meshes = np.zeros((len(owners), 468, 2), np.float32)
    flags = np.zeros(len(owners), np.float32)
    for chunk in _chunks(len(owners)):
        rows = range(len(owners))[chunk]
        transforms = [facemesh.crop_transform(*(part[row] for part in crops)) for row in rows]
        pictures = [
            cut(frames[owners[row]], transform, facemesh.SIZE_PX)
            for row, transform in zip(rows, transforms, strict=True)
        ]
        with one_thread(), torch.inference_mode():
            points, logits = _mesher()(to_tensor(np.stack(pictures), 1 / 255, 0.0))
        flags[chunk] = logits.numpy()
        for row, mesh, transform in zip(rows, points.numpy(), transforms, strict=True):
            meshes[row] = uncut(mesh[:, :2], transform)
    return meshes, flags


def _letterbox(frame: NDArray[np.uint8], tile: _Tile) -> tuple[NDArray[np.uint8], NDArray[np.int_]]:
    """Shrink a tile into the middle of a black square; also its x, y, width, height there."""
    scale = blazeface.SIZE_PX / max(tile.width, tile.height)
    width, height = (max(1, round(side * scale)) for side in (tile.width, tile.height))
    view = frame[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    x, y = (blazeface.SIZE_PX - width) // 2, (blazeface.SIZE_PX - height) // 2
    square = np.zeros((blazeface.SIZE_PX, blazeface.SIZE_PX, 3), np.uint8)
    square[y : y + height, x : x + width] = cv2.resize(view, (width, height), interpolation=method)
    return square, np.array([x, y, width, height])


def _to_frame(found: Detections, tile: _Tile, place: NDArray[np.int_]) -> Detections:
    """Map detections from the letterboxed square to frame px."""
    scale = np.array([tile.width, tile.height]) / place[2:]
    offset = np.array([tile.x, tile.y]) - place[:2] * scale
    points = (found.points * blazeface.SIZE_PX * scale + offset).astype(np.float32)
    corners = found.boxes.reshape(-1, 2, 2) * blazeface.SIZE_PX * scale + offset
    return Detections(corners.reshape(-1, 4).astype(np.float32), points, found.scores)


def _joined(parts: list[Detections]) -> Detections:
    """Put the candidates of all tiles in one list, best first."""
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(-scores, kind="stable")
    boxes = np.concatenate([part.boxes for part in parts])[order]
    points = np.concatenate([part.points for part in parts])[order]
    return Detections(boxes, points, scores[order])


def _distinct(faces: list[Face]) -> list[Face]:
    """Drop second fits of one face (the better score stays); the largest face comes first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        others = np.array([other.box for other in kept], np.float32).reshape(-1, 4)
        if not (blazeface.overlap(face.box, others) > blazeface.MAX_OVERLAP).any():
            kept.append(face)
    return sorted(kept, key=lambda face: -float(np.prod(face.box[2:] - face.box[:2])))


def _tile_sides(height: int, width: int) -> Iterator[int]:
    """Sides of the square tiles to search, coarse to fine."""
    for divisor in _TILE_DIVISORS:
        side = max(height, width) // divisor
        if side >= _SMALLEST_TILE_PX:
            yield side


def _tiles(height: int, width: int, side: int) -> list[_Tile]:
    """Cover the frame with tiles that overlap by at least a half."""
    across, down = min(side, width), min(side, height)
    return [
        _Tile(x, y, across, down) for y in _starts(height, down) for x in _starts(width, across)
    ]


def _starts(length: int, side: int) -> list[int]:
    """Even positions of overlapping intervals of `side` that cover `length`."""
    count = -(-2 * (length - side) // side) + 1
    return [int(x) for x in np.linspace(0, length - side, count).round()]


def _chunks(count: int) -> Iterator[slice]:
    """Slices of at most a batch."""
    for start, stop in pairwise([*range(0, count, _BATCH), count]):
        yield slice(start, stop)


@cache
def _detector() -> BlazeFace:
    return load_bundled(BlazeFace(), "blazeface")


@cache
def _mesher() -> FaceMesh:
    return load_bundled(FaceMesh(), "facemesh")
