"""Who is who among the faces of a long video that is looked at again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Landmarks = NDArray[np.float32]


class People:
    """The people seen so far, in the order in which they came; the larger face first."""

    def __init__(self) -> None:
        self._where: list[Landmarks] = []
        self.looks: list[int] = []
        """How often each was there when somebody looked."""

    def follow(self, faces: Sequence[Landmarks]) -> list[Landmarks | None]:
        """Return where everybody known is now, None for those who are not among the `faces`.

        `faces` are landmarks (68, 2) in pixels, the largest first. Everybody is the face
        nearest to where they were, within the width of theirs. Who is nowhere near has moved
        and is a face that is left over; further ones are new people.
        """
        left, now = dict(enumerate(faces)), dict.fromkeys(range(len(self._where)), -1)
        for apart, person, place in sorted(
            (_apart(known, face), person, place)
            for person, known in enumerate(self._where)
            for place, face in enumerate(faces)
        ):
            near = apart <= float(np.ptp(self._where[person], axis=0).max())
            if near and now[person] < 0 and place in left:
                now[person] = place
                del left[place]
        for person in (person for person, place in now.items() if place < 0):
            if left:
                now[person] = next(iter(left))
                del left[now[person]]
        for place in left:
            now[len(now)] = place
            self._where.append(faces[place])
            self.looks.append(0)
        for person, place in now.items():
            if place >= 0:
                self._where[person] = faces[place]
                self.looks[person] += 1
        return [None if place < 0 else faces[place] for place in now.values()]


def _apart(one: Landmarks, other: Landmarks) -> float:
    return float(np.hypot(*(one.mean(axis=0) - other.mean(axis=0))))
