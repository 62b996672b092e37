"""lbp-top-svm: local binary patterns on three orthogonal planes (Zhao & Pietikäinen 2007).

Each ROI's clip is a block of grey values over x, y and time. In each of the planes XY, XT
and YT a place is coded by which of its four neighbours are at least as bright as itself;
a histogram of the 16 codes per plane and part of a ROI is what the machine sees. This is
the baseline of the micro-expression grand challenges, there on blocks of the whole face.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mecli.errors import InputError, UsageError
from mecli.models.svm import SvmOptions, svm_stage
from mecli.temporal import uniform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.models.contract import Stage
    from mecli.records import ClipRecord

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-R BT.601."""
_CODES = 16


@dataclass(frozen=True, slots=True)
class LbpTopSvmOptions(SvmOptions):
    """Options of `lbp-top-svm`."""

    kernel: Literal["rbf", "linear"] = "linear"
    cost: float = 0.01
    steps: int = 10
    """Frames that every clip is interpolated to."""
    radius: int = 1
    radius_t: int = 2
    parts: int = 2
    """Parts that a ROI is wide and high."""

    def __post_init__(self) -> None:
        SvmOptions.__post_init__(self)
        if self.radius < 1 or self.radius_t < 1 or self.steps <= 2 * self.radius_t:
            raise UsageError(
                f"radius is {self.radius}, radius_t {self.radius_t} and steps {self.steps}, "
                "expected radii ≥ 1 and more steps than twice radius_t"
            )
        if not 1 <= self.parts <= 8:
            raise UsageError(f"parts is {self.parts}, expected 1 to 8")


class LbpTopSvm:
    """The registry's entry for `lbp-top-svm`."""

    name: ClassVar[str] = "lbp-top-svm"
    paper: ClassVar[str] = (
        "Zhao & Pietikäinen, Dynamic texture recognition using local binary patterns with an "
        "application to facial expressions, IEEE TPAMI 2007"
    )
    doi: ClassVar[str] = "10.1109/TPAMI.2007.1110"
    input: ClassVar[str] = "grey ROI frames"
    Options: ClassVar[type[LbpTopSvmOptions]] = LbpTopSvmOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @staticmethod
    def features(record: ClipRecord, options: LbpTopSvmOptions) -> NDArray[np.float32]:
        """Return (R, parts² · 3 · 16) float32 shares of each code."""
        if not len(record.roi_frames):
            raise InputError(
                f"clip {record.clip_id}: the cache has no ROI frames; choose a model on flow"
            )
        grey = uniform(record.roi_frames, options.steps).astype(np.float32) @ _LUMA
        return np.stack([_histograms(grey[:, r], options) for r in range(grey.shape[1])])

    @staticmethod
    def stages(options: LbpTopSvmOptions) -> tuple[Stage, ...]:
        """Return the one stage."""
        return svm_stage(options)

    @staticmethod
    def occlude(features: NDArray[Any], roi: int, options: LbpTopSvmOptions) -> NDArray[Any]:
        """Return the features without any pattern in ROI number `roi`."""
        blank = features.copy()
        blank[roi] = 0
        return blank


def _histograms(clip: NDArray[np.float32], options: LbpTopSvmOptions) -> NDArray[np.float32]:
    """Return the shares of the codes in each part and plane of one ROI's clip (T, H, W)."""
    found = [
        np.bincount(part.ravel(), minlength=_CODES) / part.size
        for codes in lbp_top(clip, options.radius, options.radius_t)
        for band in np.array_split(codes, options.parts, axis=1)
        for part in np.array_split(band, options.parts, axis=2)
    ]
    return np.concatenate(found).astype(np.float32)


def lbp_top(clip: NDArray[np.float32], radius: int, radius_t: int) -> tuple[NDArray[np.int64], ...]:
    """Return the codes 0..15 on the planes YT, XT and XY of a clip (T, H, W), without its rim."""
    radii = (radius_t, radius, radius)
    inner = tuple(slice(r, n - r) for r, n in zip(radii, clip.shape, strict=True))
    centre = clip[inner]
    planes = []
    for plane in combinations(range(3), 2):
        codes = np.zeros(centre.shape, dtype=np.int64)
        for bit, (axis, way) in enumerate((a, w) for a in plane for w in (-1, 1)):
            moved = list(inner)
            moved[axis] = slice(
                inner[axis].start + way * radii[axis], inner[axis].stop + way * radii[axis]
            )
            codes |= (clip[tuple(moved)] >= centre).astype(np.int64) << bit
        planes.append(codes)
    return tuple(planes)
