"""Known slips of published sheets, by clip id; `as_published` readings ignore them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Correction(NamedTuple):
    """One cell that is wrong in the published sheet, and how that is known."""

    cell: str
    published: str
    corrected: str
    source: str


CORRECTIONS: Mapping[str, tuple[Correction, ...]] = {
    "casme2/sub07/EP06_01": (Correction("offset", "68", "91", "the clip's frames run to 91"),),
    "samm/032/032_3_1": (
        Correction("apex", "1930", "4930", "a digit slip: onset and offset lie around 4930"),
    ),
}
