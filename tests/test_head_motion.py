from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mecli.errors import InputError
from mecli.head_motion import remove_rigid_motion
from mecli.synthesis.camera import rotation
from mecli.synthesis.head import SKIN, load_head

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

GRID = (35, 30)


def middle(height: int = 35, width: int = 30) -> tuple[Floats, Floats]:
    """Where the middles of the cells lie in the 240×280 face."""
    y, x = np.mgrid[:height, :width] * 8.0 + 3.5
    return x, y


@pytest.fixture(scope="module")
def face() -> tuple[NDArray[np.float32], Floats, Floats]:
    """The mean head: its landmarks, and for each cell the nearest point of its skin in mm."""
    from mecli.alignment import face_transform

    head = load_head()
    flat = head.vertices[:, :2] * [1, -1]
    to_face = face_transform(flat[head.landmarks]).astype(np.float64)
    points = flat @ to_face[:, :2].T + to_face[:, 2]
    x, y = middle()
    front = (head.vertex_part == SKIN) & (head.vertices[:, 2] > 60) & ~head.mouth_interior
    there = np.flatnonzero(front)
    apart = np.hypot(*(points[there, None] - np.stack([x.ravel(), y.ravel()], -1)).T)
    nearest = there[apart.T.argmin(axis=0)]
    return points[head.landmarks].astype(np.float32), head.vertices[nearest], to_face


def turned(face: tuple[NDArray[np.float32], Floats, Floats], *angles: float) -> NDArray[np.float32]:
    """Return the flow of the head turned by yaw, pitch, roll about a point in it."""
    _, points, to_face = face
    centre = np.array([0.0, 680.0, 20.0])
    moved = (points - centre) @ rotation(*angles).T + centre
    shift = ((moved - points)[:, :2] * [1, -1]) @ to_face[:, :2].T
    return np.asarray(shift.reshape(1, *GRID, 2), dtype=np.float32)


def test_what_a_turning_head_does_is_taken_out_and_told(
    face: tuple[NDArray[np.float32], Floats, Floats],
) -> None:
    for axis, angles in enumerate([(0.03, 0.0, 0.0), (0.0, 0.03, 0.0)]):
        flow = turned(face, *angles)
        left, turn = remove_rigid_motion(flow, face[0])
        assert np.abs(flow).max() > 3
        assert np.median(np.abs(left)) < 0.03 * np.median(np.hypot(*flow[0].T))
        assert abs(turn[0, axis]) > 3 * abs(turn[0, 1 - axis])
    left, turn = remove_rigid_motion(turned(face, 0.0, 0.0, 0.02), face[0])
    assert np.sqrt((left[0, 2:-2, 3:-3] ** 2).mean()) < 0.1
    assert np.abs(turn).max() < 0.3


def test_raised_brows_are_no_turn_of_the_head(
    face: tuple[NDArray[np.float32], Floats, Floats],
) -> None:
    x, y = middle()
    brows = np.zeros((1, *GRID, 2), np.float32)
    height = face[0][17:27, 1].max()
    brows[0, ..., 1] = -1.5 * np.clip((height + 8 - y) / 16, 0, 1)
    flow = brows + turned(face, 0.01, 0.02, 0.0) + 1.0
    left, _ = remove_rigid_motion(flow, face[0])
    above = (y < height - 10) & (np.abs(x - 119.5) < 90)
    assert left[0][above, 1].mean() == pytest.approx(-1.5, abs=0.35)


def test_a_wide_smile_is_no_turn_of_the_head(
    face: tuple[NDArray[np.float32], Floats, Floats],
) -> None:
    x, y = middle()
    smile = np.zeros((1, *GRID, 2), np.float32)
    low = np.clip((y - face[0][31:36, 1].max()) / 20, 0, 1)
    smile[0, ..., 0] = 4 * low * np.sign(x - 119.5)
    smile[0, ..., 1] = -4 * low
    left, _ = remove_rigid_motion(smile, face[0])
    corners = low == 1
    assert np.abs(left[0][corners] - smile[0][corners]).mean() < 0.4
    assert np.abs(left[0][low == 0]).mean() < 0.1


def test_frames_do_not_depend_on_one_another(
    face: tuple[NDArray[np.float32], Floats, Floats],
) -> None:
    flows = np.concatenate([turned(face, 0.02, 0.0, 0.0), turned(face, 0.0, -0.03, 0.01)])
    both, _ = remove_rigid_motion(flows, face[0])
    alone, _ = remove_rigid_motion(flows[1:], face[0])
    assert np.array_equal(both[1:], alone)


def test_a_fine_map_is_fitted_on_a_quarter_of_its_cells(
    face: tuple[NDArray[np.float32], Floats, Floats],
) -> None:
    coarse = turned(face, 0.01, -0.02, 0.005) + 0.5
    coarse[0, :8, :, 1] -= 1.0
    fine = coarse.repeat(2, axis=1).repeat(2, axis=2)
    left, turn = remove_rigid_motion(fine, face[0])
    expected, known = remove_rigid_motion(coarse, face[0])
    assert np.abs(left[:, ::2, ::2] - expected).mean() < 0.05
    assert np.abs(turn - known).max() < 0.1


def test_other_shapes_are_refused() -> None:
    upside_down = np.full((68, 2), 150.0)
    upside_down[27:36] = 50.0
    with pytest.raises(InputError, match="hardly anything lies between eyes and nose"):
        remove_rigid_motion(np.zeros((2, *GRID, 2), np.float32), upside_down)
    with pytest.raises(InputError, match=r"shape \(35, 30, 2\) and landmarks \(5, 2\)"):
        remove_rigid_motion(np.zeros((35, 30, 2), np.float32), np.zeros((5, 2)))
