"""cnn-lstm-se: `cnn-lstm` with squeeze-and-excitation gates (Aouayeb et al. 2022).

A gate weighs the maps of each ROI before they are mixed, and another one the ROIs' states
before the dense head; both are in `mecli.models.cnn_lstm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mecli.models.cnn_lstm import CnnLstm, CnnLstmOptions


@dataclass(frozen=True, slots=True)
class CnnLstmSeOptions(CnnLstmOptions):
    """Options of `cnn-lstm-se`: those of `cnn-lstm`, gated."""

    attention: bool = True


class CnnLstmSe(CnnLstm):
    """The registry's entry for `cnn-lstm-se`."""

    name: ClassVar[str] = "cnn-lstm-se"
    paper: ClassVar[str] = (
        "Aouayeb et al., Spatiotemporal features fusion from local facial regions for "
        "micro-expressions recognition, Frontiers in Signal Processing 2022"
    )
    doi: ClassVar[str] = "10.3389/frsip.2022.861469"
    Options: ClassVar[type[CnnLstmOptions]] = CnnLstmSeOptions
