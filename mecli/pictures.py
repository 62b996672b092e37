"""Frames that are pictures, image files or arrays in memory: checked first, then RGB uint8."""

from __future__ import annotations

import io
import re
import stat
import warnings
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from mecli.errors import InputError
from mecli.overheard import overheard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.clips import Held

cv2.setNumThreads(1)
# What is wrong with a picture is told once, by the exception.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MAX_SIDE_PX = 8192
MAX_PIXELS = 40_000_000
_MAX_PICTURE_BYTES = 1 << 29
_PICTURES = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_DAMAGE = re.compile("Corrupt JPEG data|Premature end of JPEG", re.IGNORECASE)
# Some cameras pad the end.
_HARMLESS = re.compile(r": [1-4] extraneous bytes before marker 0xd9")


class Frame(NamedTuple):
    """One frame of a clip."""

    position: int
    """0-based, in presentation order."""
    time_s: float | None
    """The container's time stamp; None for image files."""
    image: NDArray[np.uint8]
    """(H, W, 3) RGB, upright as the rotation metadata says."""


def read_held(held: Held, positions: Iterable[int]) -> Iterator[Frame]:
    """Yield the frames in memory at `positions`; `InputError` if they are no RGB images."""
    images = held.images
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not images.size:
        raise InputError(
            f"frames in memory are {images.dtype} {images.shape}, expected uint8 (T, H, W, 3) RGB"
        )
    check_size("frames in memory", images.shape[2], images.shape[1])
    for position in positions:
        time_s = None if held.fps is None else position / held.fps
        yield Frame(position, time_s, np.ascontiguousarray(images[position]))


def check_file(path: Path) -> Path:
    """Return `path` absolute, so that ``a:b.mp4`` is no protocol; a FIFO would hang readers."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be opened: {reason}") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: is not a regular file; expected a video or an image")
    return path.absolute()


def check_size(path: Path | str, width: int, height: int) -> None:
    """Raise `InputError` for frames that are empty or would take gigabytes."""
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX) or width * height > MAX_PIXELS:
        raise InputError(
            f"{path}: frames are {width}×{height}, expected at most {MAX_SIDE_PX} px a side and "
            f"{MAX_PIXELS // 1_000_000} Mpx; scale them down first"
        )


def read_pictures(paths: tuple[Path, ...], positions: Iterable[int]) -> Iterator[Frame]:
    """Yield the image files at `positions`; `InputError` for a broken one, or sizes that differ."""
    if not paths:
        raise InputError("the clip lists no image files")
    size = None
    for position in positions:
        image = _read_picture(paths[position], position)
        if size is None:
            size, first = image.shape, paths[position]
        if image.shape != size:
            raise InputError(
                f"{paths[position]}: frame {position} is {image.shape[1]}×{image.shape[0]}, "
                f"but {first} is {size[1]}×{size[0]}; frames of a clip must have one size"
            )
        yield Frame(position, None, image)


def _read_picture(path: Path, position: int) -> NDArray[np.uint8]:
    data = _read_bytes(check_file(path))
    _check_header(path, data)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        with overheard() as said:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
            complaint = said()
    except cv2.error as error:
        raise InputError(f"{path}: frame {position} cannot be decoded: {error.err}") from error
    # The decoder of JPEG goes on with grey blocks and only prints that something was wrong.
    if _DAMAGE.match(complaint) and not _HARMLESS.search(complaint):
        raise InputError(f"{path}: frame {position} is damaged ({complaint}); copy the file again")
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{path}: frame {position} cannot be decoded: the image is cut, broken, or has "
            "neither 8 nor 16 bits a channel"
        )
    if image.dtype == np.uint16:
        # 65535 / 257 = 255: the whole range, rounded, not the upper byte.
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _read_bytes(path: Path) -> bytes:
    size = path.stat().st_size
    if not 0 < size <= _MAX_PICTURE_BYTES:
        raise InputError(f"{path}: has {size} bytes, expected 1 to {_MAX_PICTURE_BYTES}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _check_header(path: Path, data: bytes) -> None:
    """Refuse by its header a picture that would take gigabytes to decode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_PICTURES) as header:
                width, height = header.size
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {error}; scale it down first") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError(
            f"{path}: is no image in a known format ({', '.join(_PICTURES)})"
        ) from error
    check_size(path, width, height)
