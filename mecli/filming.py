"""The only room that writes video, from RGB uint8 frames."""

from __future__ import annotations

import os
import secrets
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from mecli import files
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

ENCODER = "libx264"
# Of the same frames, in one thread, x264's look-ahead gives other bytes now and then (seen on a
# processor with AVX-512, not when held to AVX2); what it does on any processor, it does each time.
_SAME_BYTES = "cpu-independent=1"


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, crf: float = 18
) -> None:
    """Write RGB uint8 `frames` (H, W, 3) to `path` as H.264, in one step.

    `crf` is the constant rate factor: 0 keeps every pixel's luma and chroma, 18 looks
    the same, 30 is coarse. Odd sizes are kept by not halving the chroma. The same frames
    give the same bytes. Raises `InputError` for no frames or frames of unequal size,
    `NotWritten` for a full disk.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.{secrets.token_hex(4)}{path.suffix}")
    with files.writing(path):
        try:
            files.make_folder(path.parent)
            with av.open(str(beside.absolute()), "w") as container:
                _encode(container, path, frames, fps, crf)
            files.commit(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def _encode(
    container: Any, path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, crf: float
) -> None:
    stream = None
    for position, image in enumerate(frames):
        height, width = image.shape[:2]
        if stream is None:
            stream = container.add_stream(ENCODER, rate=Fraction(fps).limit_denominator(100_000))
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuv444p" if height % 2 or width % 2 or crf == 0 else "yuv420p"
            stream.codec_context.thread_count = 1
            stream.options = {"crf": str(crf), "preset": "veryfast", "x264-params": _SAME_BYTES}
        if (width, height) != (stream.width, stream.height):
            raise InputError(
                f"{path}: frame {position} is {width}×{height}, expected "
                f"{stream.width}×{stream.height} like the first"
            )
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        container.mux(stream.encode(picture))
    if stream is None:
        raise InputError(f"{path}: no frames to write")
    container.mux(stream.encode())
