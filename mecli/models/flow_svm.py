"""flow-svm: an RBF machine on the flow from onset to apex, without head motion.

No paper proposes it, but under a clean protocol it beats most that came later; what it
rests on is the support vector machine of Cortes & Vapnik 1995. Mirrored copies of the
training clips are trained on too, and both views of a clip are scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mecli.errors import UsageError
from mecli.models.apex import WHOLE_FACE, face_maps, mirror, without_roi
from mecli.models.svm import SvmOptions, svm_stage
from mecli.rois import crop_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.models.contract import Stage
    from mecli.records import ClipRecord


@dataclass(frozen=True, slots=True)
class FlowSvmOptions(SvmOptions):
    """Options of `flow-svm`."""

    size_px: int = 28
    detrend: int = 1
    """Degree of the polynomial over the face that is taken off the flow; −1 for none."""
    mirror: bool = True
    standardise: bool = False

    def __post_init__(self) -> None:
        SvmOptions.__post_init__(self)
        if self.size_px < 2:
            raise UsageError(f"size_px is {self.size_px}, expected 2 or more")


class FlowSvm:
    """The registry's entry for `flow-svm`."""

    name: ClassVar[str] = "flow-svm"
    paper: ClassVar[str] = (
        "a baseline of this project; Cortes & Vapnik, Support-vector networks, "
        "Machine Learning 1995"
    )
    doi: ClassVar[str] = "10.1007/BF00994018"
    input: ClassVar[str] = "apex flow"
    Options: ClassVar[type[FlowSvmOptions]] = FlowSvmOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @staticmethod
    def features(record: ClipRecord, options: FlowSvmOptions) -> NDArray[np.float32]:
        """Return (2, S, S) float32: u and v in units of the clip's own strongest motion."""
        maps = crop_grid(face_maps(record, options.detrend), WHOLE_FACE, options.size_px)
        return np.ascontiguousarray(np.moveaxis(maps[0, ..., :2], -1, 0))

    @staticmethod
    def stages(options: FlowSvmOptions) -> tuple[Stage, ...]:
        """Return the one stage."""
        return svm_stage(options, mirror if options.mirror else None)

    @staticmethod
    def occlude(features: NDArray[Any], roi: int, options: FlowSvmOptions) -> NDArray[Any]:
        """Return the features with the published box of ROI number `roi` standing still."""
        return without_roi(features, roi)
