from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mecli.clips import Clip
from mecli.errors import InputError, UsageError
from mecli.landmarks.precomputed import PrecomputedLandmarker, landmarks_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES = np.zeros((3, 200, 300, 3), np.uint8)


def rows(count: int = 3) -> NDArray[np.float32]:
    rng = np.random.default_rng(5)
    face = rng.uniform(40, 160, (68, 2))
    return (face + rng.normal(0, 1, (count, 1, 2))).astype(np.float32)


def clip(path: Path | None, frames: Path | tuple[Path, ...] = Path("v/a.mp4")) -> Clip:
    return Clip("c", "s", "a", frames, landmarks=path)


def read(path: Path, positions: tuple[int, ...] = (0, 1, 2)) -> NDArray[np.float32]:
    found = PrecomputedLandmarker().find(FRAMES[: len(positions)], clip(path), positions)
    assert all(len(faces) == 1 for faces in found)
    return np.stack([faces[0].landmarks for faces in found])


def write_csv(path: Path, array: NDArray[np.float32], header: str = "") -> Path:
    lines = [",".join(f"{value:.6f}" for value in row.ravel()) for row in array]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n", encoding="utf-8")
    return path


def test_rows_of_an_npy_are_taken_by_frame_position(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", rows(9))
    np.testing.assert_array_equal(read(tmp_path / "l.npy", (7, 0, 3)), rows(9)[[7, 0, 3]])
    ((face,),) = PrecomputedLandmarker().find(FRAMES[:1], clip(tmp_path / "l.npy"), [4])
    np.testing.assert_array_equal(face.box, [*face.landmarks.min(0), *face.landmarks.max(0)])
    assert face.score == 1
    assert face.landmarks.dtype == np.float32


def test_one_face_stands_for_every_frame(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", rows()[0].astype(np.float64))
    np.testing.assert_array_equal(read(tmp_path / "l.npy", (0, 50, 99)), rows()[[0, 0, 0]])


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", rows())
    read(tmp_path / "l.npy")
    np.save(tmp_path / "l.npy", rows(4) + 1)
    np.testing.assert_array_equal(read(tmp_path / "l.npy"), rows(4)[:3] + 1)


def test_csv_is_read_with_and_without_header(tmp_path: Path) -> None:
    names = ",".join(f"x{k},y{k}" for k in range(68))
    for header in ("", names, names.upper(), ",".join(f" x_{k + 1}, y_{k + 1}" for k in range(68))):
        path = write_csv(tmp_path / "l.csv", rows(), header)
        np.testing.assert_allclose(read(path), rows(), atol=1e-4)


def test_csv_columns_are_found_by_their_names(tmp_path: Path) -> None:
    header = "frame,confidence," + ",".join(f"{axis}_{k}" for axis in "xy" for k in range(68))
    lines = [
        ",".join([str(k + 1), "0.98", *(f"{value:.6f}" for value in row.T.ravel())])
        for k, row in enumerate(rows())
    ]
    path = tmp_path / "l.csv"
    path.write_text("\n".join([header, *lines]), encoding="utf-8-sig")
    np.testing.assert_allclose(read(path), rows(), atol=1e-4)
    path.write_text("\n".join([header, lines[0], lines[2]]), encoding="utf-8")
    with pytest.raises(InputError, match=r"l\.csv.*c/s/a.*column frame skips or repeats"):
        read(path)


def test_pts_counts_pixels_from_one(tmp_path: Path) -> None:
    points = "\n".join(f"{x + 1} {y + 1}" for x, y in rows()[0])
    path = tmp_path / "face.pts"
    path.write_text(f"version: 1\nn_points:  68\n{{\n{points}\n}}\n", encoding="utf-8")
    np.testing.assert_allclose(read(path, (0,)), rows()[:1], atol=1e-4)


def test_a_row_of_nan_is_a_frame_without_a_face(tmp_path: Path) -> None:
    array = rows()
    array[1] = np.nan
    np.save(tmp_path / "l.npy", array)
    found = PrecomputedLandmarker().find(FRAMES, clip(tmp_path / "l.npy"), [0, 1, 2])
    assert [len(faces) for faces in found] == [1, 0, 1]
    names = ",".join(f"x{k},y{k}" for k in range(68))
    path = write_csv(tmp_path / "l.csv", rows(2), names)
    path.write_text(path.read_text("utf-8") + "," * 135 + "\n", encoding="utf-8")
    path.write_text(path.read_text("utf-8").replace("," * 135, "nan," + "," * 134), "utf-8")
    found = PrecomputedLandmarker().find(FRAMES, clip(path), [0, 1, 2])
    assert [len(faces) for faces in found] == [1, 1, 0]


def test_files_are_looked_for_beside_the_frames(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    images = tuple(tmp_path / "img" / f"{k}.png" for k in range(3))
    with pytest.raises(
        InputError, match=r"c/s/a.*a\.landmarks\.npy or .*a\.landmarks\.csv.*embedded"
    ):
        landmarks_file(clip(None, video))
    with pytest.raises(InputError, match=r"img/landmarks\.npy or .*img/landmarks\.csv"):
        landmarks_file(clip(None, images))
    with pytest.raises(InputError, match=r"gone\.npy"):
        landmarks_file(clip(tmp_path / "gone.npy", video))
    with pytest.raises(InputError, match="no precomputed landmarks"):
        landmarks_file(clip(None, ()))
    (tmp_path / "img").mkdir()
    for path, owner in (
        (tmp_path / "a.landmarks.csv", clip(None, video)),
        (tmp_path / "a.landmarks.npy", clip(None, video)),
        (tmp_path / "img" / "landmarks.npy", clip(None, images)),
    ):
        path.touch()
        assert landmarks_file(owner) == path


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 5, 2)), r"shape \(3, 5, 2\), expected \(frames, 68, 2\)"),
        (np.zeros((0, 68, 2)), r"shape \(0, 68, 2\)"),
        (np.zeros((3, 68, 2), bool), "not an array of numbers"),
        (np.full((3, 68, 2), np.inf), "row 0 has values that are no numbers"),
        (np.where(np.arange(408).reshape(3, 68, 2) == 300, np.nan, rows()), "row 2 has values"),
        (rows() / 300, "expected pixels of the 300×200 frame"),
        (rows() + 900, "expected pixels of the 300×200 frame"),
    ],
)
def test_wrong_arrays_are_refused(
    tmp_path: Path, array: NDArray[np.floating], message: str
) -> None:
    np.save(tmp_path / "l.npy", array)
    with pytest.raises(InputError, match=rf"l\.npy: landmarks of clip c/s/a: .*{message}"):
        read(tmp_path / "l.npy")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "", "no rows"),
        ("l.csv", "1,2,3\n", "3 columns and no header"),
        ("l.csv", ",".join(f"x{k},y{k}" for k in range(67)) + "\n", "no column x67"),
        ("l.csv", ",".join(f"x{k},y{k}" for k in range(68)) + "\n1,2\n", "row 0 has 2 columns"),
        ("l.csv", ",".join(["1"] * 135 + ["a"]), "could not convert"),
        ("l.pts", "version: 1\n{\n1 2\n}\n", "2 numbers between braces"),
        ("l.pts", "nothing", "0 numbers between braces"),
        ("l.npy", "nothing", "cannot be read"),
        ("l.npy", "", "cannot be read"),
        ("l.mat", "", r"a file of kind '\.mat', expected one of \.npy, \.csv, \.pts"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"{name}: landmarks of clip c/s/a: .*{message}"):
        read(tmp_path / name)


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "l.npy")


def test_an_archive_of_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "l.npz", rows())
    (tmp_path / "l.npz").rename(tmp_path / "l.npy")
    with pytest.raises(InputError, match="not an array of numbers"):
        read(tmp_path / "l.npy")


def test_a_row_is_needed_for_every_frame(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", rows(2))
    with pytest.raises(InputError, match="2 rows, but frame 2 is asked for"):
        read(tmp_path / "l.npy")
    with pytest.raises(InputError, match="2 rows for 3 frames"):
        PrecomputedLandmarker().find(
            FRAMES,
            clip(tmp_path / "l.npy", (Path("0.png"), Path("1.png"), Path("2.png"))),
            [0, 1, 2],
        )


def test_clip_and_positions_are_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it needs the clip"):
        PrecomputedLandmarker().find(FRAMES)
    with pytest.raises(UsageError, match="got 1 positions for 3 frames"):
        PrecomputedLandmarker().find(FRAMES, clip(tmp_path), [0])
