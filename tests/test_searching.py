from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
import pytest

from mecli.clips import Clip, Held
from mecli.errors import InputError
from mecli.landmarks.choose import choose
from mecli.searching import search
from mecli.video import read_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.interfaces import Face


def held(images: NDArray[np.uint8]) -> Clip:
    return Clip("made", "s01", "held", (), held=Held(images))


def faces(sample: Path, first: int, last: int) -> NDArray[np.uint8]:
    return np.stack([f.image for f in read_frames(sample / "clips" / "long01.mp4", first, last)])


def test_positions_are_frames_of_the_video_whatever_was_looked_at(sample: Path) -> None:
    told: list[int] = []
    clip = held(faces(sample, 60, 139))
    found = search(clip, 60.0, choose("embedded"), threshold=0.01, progress=told.append)
    assert (found.step, found.frame_count, found.fps) == (2, 80, 60.0)
    assert found.curve.shape == found.seen.shape == (40,)
    assert found.curve.dtype == np.float32
    assert told == [80]
    assert found.seen.all()
    for interval in found.intervals:
        assert 0 <= interval.onset <= interval.apex <= interval.offset < 80
        assert 0 < interval.score <= 1


def test_the_face_that_was_chosen_is_followed_and_no_other(sample: Path) -> None:
    left = faces(sample, 0, 11)
    right = left[:, :, ::-1]
    both = np.concatenate([left, right], axis=2)
    both[6:, :, left.shape[2] :] = 0
    chosen = [search(held(both), 2.0, choose("embedded"), face=k).seen for k in (0, 1)]
    # Two frames a stretch: what leaves the picture is lost with the next one.
    assert sorted(seen[8:].mean() for seen in chosen) == [0.0, 1.0]
    assert all(seen[:6].all() for seen in chosen)
    with pytest.raises(InputError, match="no face 3 found in any of it"):
        search(held(both), 30.0, choose("embedded"), face=2)


def test_a_face_that_comes_back_elsewhere_is_found_again(sample: Path) -> None:
    image = faces(sample, 0, 0)[0]
    empty = np.zeros_like(image)
    here = np.concatenate([image, empty, empty], axis=1)
    there = np.concatenate([empty, empty, image], axis=1)
    clip = held(np.stack([here] * 4 + [np.zeros_like(here)] * 4 + [there] * 5))
    seen = search(clip, 2.0, choose("embedded")).seen
    assert seen.tolist() == [True] * 4 + [False] * 5 + [True] * 4


def test_frames_that_lack_between_images_are_counted(sample: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"img{number:02d}.jpg" for number in (*range(5), *range(9, 14))]
    for path, image in zip(paths, faces(sample, 0, 9), strict=True):
        cv2.imwrite(str(path), image[..., ::-1])
    clip = Clip("made", "s01", "images", tuple(paths))
    assert search(clip, 60.0, choose("embedded")).quality["missing"] == 4
    whole = replace(clip, frames=tuple(paths[:5]))
    assert search(whole, 60.0, choose("embedded")).quality["missing"] == 0


class Flat:
    """Finds a face without depth: all landmarks on one line, every other time."""

    name: ClassVar[str] = "flat"
    paper: ClassVar[str] = "none"
    doi: ClassVar[str] = "none"

    def __init__(self) -> None:
        self.asked = 0

    def find(
        self, frames: NDArray[np.uint8], clip: Clip | None = None, positions: Sequence[int] = ()
    ) -> list[list[Face]]:
        self.asked += 1
        found = choose("embedded").find(frames, clip, positions)
        if self.asked % 2:
            return found
        flat = found[0][0].landmarks.copy()
        flat[:, 1] = flat[:, 1].mean()
        return [[replace(found[0][0], landmarks=flat)]]


def test_what_cannot_be_aligned_is_a_face_that_is_not_there(sample: Path) -> None:
    found = search(held(faces(sample, 0, 12)), 2.0, Flat())
    assert found.seen[:5].all()
    assert not found.seen[5:9].any()
    assert found.quality["lost"] > 0.2


def test_a_dark_beginning_costs_little_more_than_itself(sample: Path) -> None:
    there = faces(sample, 0, 59)
    late = held(np.concatenate([np.zeros_like(there[:10]), there]))
    found = search(late, 50.0, choose("embedded"))
    # Looked for again after 10 frames, and measured from the one after.
    assert found.seen.tolist() == [False] * 11 + [True] * 59
    assert found.quality["lost"] == pytest.approx(11 / 70)


def test_who_stays_is_no_more_often_there_while_another_is_looked_for(sample: Path) -> None:
    left = faces(sample, 0, 0).repeat(100, axis=0)
    both = np.concatenate([left, left[:, :, ::-1]], axis=2)
    both[30:, :, : left.shape[2]] = 0
    found = [search(held(both), 10.0, choose("embedded"), face=face) for face in (0, 1)]
    assert [one.quality["faces"] for one in found] == [2, 2]
    assert sorted(one.seen.all() for one in found) == [False, True]
