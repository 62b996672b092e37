from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.following import People

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACE = np.random.default_rng(0).uniform(0, 100, (68, 2)).astype(np.float32)


def face(right: float) -> NDArray[np.float32]:
    """A face that far to the right."""
    return np.asarray(FACE + np.array([right, 0]), np.float32)


def places(people: People, *rights: float) -> list[int | None]:
    """How far to the right everybody is once faces were seen there."""
    return [
        None if found is None else round(float((found - FACE).mean(axis=0)[0]))
        for found in people.follow([face(right) for right in rights])
    ]


def test_people_keep_their_number_whatever_the_order_of_their_faces() -> None:
    people = People()
    assert places(people, 0, 800) == [0, 800]
    assert places(people, 820, 10) == [10, 820]
    assert people.looks == [2, 2]


def test_who_is_away_is_nobody_else_and_comes_back() -> None:
    people = People()
    places(people, 0, 800)
    assert places(people, 800) == [None, 800]
    assert places(people, 800, 0) == [0, 800]
    assert places(people) == [None, None]
    assert people.looks == [2, 3]


def test_who_moved_is_a_face_left_over_and_further_ones_are_new() -> None:
    people = People()
    places(people, 0)
    assert places(people, 800) == [800]
    assert places(people, 400, 800) == [800, 400]
    assert people.looks == [3, 1]
