"""FaceMesh: an upright 192×192 face crop in, 468 surface points and a face flag out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from mecli.landmarks.blocks import ResidualBlock, SameConv2d

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE_PX = 192
CROP_SCALE = 1.5
EYE_CORNERS = (33, 263)
# The surface point nearest to each iBUG landmark, chosen by fit to dlib's 68 on real faces.
IBUG_68 = np.array(
    [
        *(34, 227, 177, 215, 172, 136, 149, 148, 152, 377, 378, 365, 397, 435, 401, 447, 264),
        *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
        *(168, 197, 5, 4, 75, 97, 2, 326, 305),
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
        *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
        *(78, 82, 13, 312, 308, 317, 14, 87),
    ]
)
_TRUNK = (
    *((16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1), (32, 64, 2)),
    *((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 128, 1)),
    *((128, 128, 2), (128, 128, 1), (128, 128, 1)),
)


class FaceMesh(nn.Module):
    """Kartynnik et al. 2019, doi:10.48550/arXiv.1907.06724, as published with mediapipe."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv2d(3, 16, 3, 2), nn.PReLU(16))
        self.trunk = _blocks(_TRUNK)
        self.mesh = _head(((128, 128, 2), (128, 128, 1), (128, 128, 1)), 468 * 3)
        self.flag = _head(((128, 128, 2),), 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 192, 192) in 0..1 to points (N, 468, 3) in crop px and face logits (N,)."""
        features = self.trunk(self.stem(pictures))
        return self.mesh(features).reshape(-1, 468, 3), self.flag(features).reshape(-1)


def _blocks(sizes: tuple[tuple[int, int, int], ...]) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(*size, nn.PReLU) for size in sizes))


def _head(sizes: tuple[tuple[int, int, int], ...], values: int) -> nn.Sequential:
    """Return the last blocks of one output, down to `values` numbers of a 3×3 map."""
    narrow = nn.Sequential(nn.Conv2d(128, 32, 1), nn.PReLU(32))
    return nn.Sequential(
        _blocks(sizes), narrow, _blocks(((32, 32, 1),)), nn.Conv2d(32, values, 3, 3)
    )


def crop_transform(
    box: NDArray[np.floating], left: NDArray[np.floating], right: NDArray[np.floating]
) -> NDArray[np.float64]:
    """(2, 3) frame px → crop px: the square around `box` × 1.5, its eye line made level.

    `left` and `right` are the eyes as the image shows them, (2,) frame px. All are
    rounded to 1/8 px, lest rounding noise of the detector make another crop.
    """
    box, left, right = (np.round(part.astype(np.float64) * 8) / 8 for part in (box, left, right))
    side = CROP_SCALE * float((box[2:] - box[:2]).max())
    centre = (box[:2] + box[2:]) / 2
    across = right - left
    cosine, sine = across / max(float(np.hypot(*across)), 1e-6)
    turn = np.array([[cosine, sine], [-sine, cosine]]) * (SIZE_PX / max(side, 1e-6))
    return np.column_stack([turn, SIZE_PX / 2 - turn @ centre])
