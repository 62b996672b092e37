"""Contact sheets as one page that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.report.shell import CLOSING, opening, png_uri, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

_HEARD = "onset, apex and offset with landmarks and regions, the flow, the motion curve"


def page(sheets: Mapping[str, Image]) -> str:
    """Return a page with the contact sheet of each clip, by clip id."""
    parts = [
        f'<h2>{text(clip)}</h2>\n<img alt="Contact sheet of {text(clip)}: {_HEARD}" '
        f'src="{png_uri(sheet)}">'
        for clip, sheet in sheets.items()
    ]
    title = "mecli preview"
    return (
        f"{opening(title)}<main>\n<h1>{title}</h1>\n" + "\n".join(parts) + f"\n</main>\n{CLOSING}"
    )
