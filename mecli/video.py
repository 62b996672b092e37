"""The only room that opens video, and the door to all frames: RGB uint8, in order.

`filming` writes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mecli.clips import Held
from mecli.errors import InputError
from mecli.pictures import (
    MAX_PIXELS,
    Frame,
    check_file,
    check_size,
    read_held,
    read_pictures,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

# Playlists and concat scripts would read files other than the one that was named.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,mpegvideo,asf,flv,ogg,h264,hevc,"
    "m4v,mjpeg,dv,mxf,nut,yuv4mpegpipe,gif,ivf"
)
_STAMPS = 1000


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a clip's file says about itself, its first frame decoded."""

    width: int
    height: int
    fps: float | None
    """Mean rate of the first time stamps; None for image files."""
    frame_count: int | None
    """As declared, which may be a lie, else counted up to 1000; exact for image files."""
    rotation: int
    """Degrees counter-clockwise that frames are turned by to stand upright."""
    bit_rate: int | None
    codec: str

    @property
    def quality(self) -> dict[str, float]:
        """Bits per pixel and frame, by name as in a record; empty where they are not known."""
        if not (self.bit_rate and self.fps):
            return {}
        return {"bits_per_pixel": self.bit_rate / (self.fps * self.width * self.height)}


def read_frames(
    frames: Path | tuple[Path, ...] | Held, start: int = 0, stop: int | None = None
) -> Iterator[Frame]:
    """Yield frames `start` to `stop` (inclusive; None for the last) of a video or image files.

    Frames in memory are checked and yielded as they are.

    A clip that ends early yields fewer. Raises `InputError` naming file and frame position
    for a missing, oversized, broken, cut or empty file and for frames of unequal size.
    """
    if start < 0 or (stop is not None and stop < start):
        raise InputError(f"frames {start} to {stop} asked for, expected 0 ≤ first ≤ last")
    yield from read_spans(frames, [(start, stop)])


def read_every(frames: Path | tuple[Path, ...] | Held, step: int) -> Iterator[Frame]:
    """Yield every `step`-th frame of a clip, and its last one.

    What lies between costs little: those of a video are decoded but not made RGB, those of
    image files not opened. Else as `read_frames`.
    """
    if step < 1:
        raise InputError(f"every {step}th frame asked for, expected 1 or more")
    if isinstance(frames, Path):
        yield from _read_video(frames, [(0, None)], step)
        return
    last = _count(frames) - 1
    yield from _read_chosen(frames, sorted({*range(0, last + 1, step), last}))


def read_spans(
    frames: Path | tuple[Path, ...] | Held, spans: Sequence[tuple[int, int | None]]
) -> Iterator[Frame]:
    """Yield the frames of `spans` (first, last, inclusive), which ascend and do not overlap.

    A video is decoded once, whatever the number of spans. Else as `read_frames`.
    """
    if isinstance(frames, Path):
        yield from _read_video(frames, spans)
        return
    count = _count(frames)
    ends = ((start, count if stop is None else min(stop + 1, count)) for start, stop in spans)
    yield from _read_chosen(frames, chain.from_iterable(range(*end) for end in ends))


def frames_at(
    frames: Path | tuple[Path, ...] | Held, positions: Collection[int]
) -> dict[int, NDArray[np.uint8]]:
    """Return the frames at `positions`, decoded in one pass; those behind the end are left out."""
    kept = read_spans(frames, [(position, position) for position in sorted(set(positions))])
    return {frame.position: frame.image for frame in kept}


def probe(frames: Path | tuple[Path, ...] | Held) -> VideoInfo:
    """Return what a video or image sequence says about itself; `InputError` as `read_frames`."""
    if isinstance(frames, Held):
        height, width = next(read_held(frames, [0])).image.shape[:2]
        return VideoInfo(width, height, frames.fps, len(frames.images), 0, None, "")
    if isinstance(frames, tuple):
        height, width = next(read_pictures(frames, [0])).image.shape[:2]
        codec = frames[0].suffix.lower().lstrip(".")
        return VideoInfo(width, height, None, len(frames), 0, None, codec)
    with _open(frames) as container:
        fps, counted = _measured(container, frames)
    with _open(frames) as container:
        stream = container.streams.video[0]
        first = next(_decode(container, frames), None)
        if first is None:
            raise InputError(f"{frames}: holds no frame")
        turned = _quarter_turns(first) % 2
        size = (first.width, first.height)
        return VideoInfo(
            width=size[turned],
            height=size[1 - turned],
            fps=fps or (float(stream.average_rate) if stream.average_rate else None),
            frame_count=stream.frames or counted,
            rotation=int(first.rotation),
            bit_rate=stream.bit_rate or container.bit_rate or None,
            codec=stream.codec_context.name,
        )


def has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    """Whether the FFmpeg at hand decodes (``r``) or encodes (``w``) the codec called `name`."""
    try:
        av.Codec(name, mode)
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _count(frames: tuple[Path, ...] | Held) -> int:
    # What is no stack of images is told when the first of them is read.
    return sum(frames.images.shape[:1]) if isinstance(frames, Held) else len(frames)


def _read_chosen(frames: tuple[Path, ...] | Held, positions: Iterable[int]) -> Iterator[Frame]:
    if isinstance(frames, Held):
        return read_held(frames, positions)
    return read_pictures(frames, positions)


def _open(path: Path) -> Any:
    limits = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        container = av.open(str(check_file(path)), options=limits, metadata_errors="replace")
    except av.FFmpegError as error:
        why = error.strerror if path.stat().st_size else "it is empty (0 bytes)"
        raise InputError(f"{path}: cannot be opened as video: {why}") from error
    try:
        _prepare(container, path)
    except InputError:
        container.close()
        raise
    return container


def _prepare(container: Any, path: Path) -> None:
    """Bound the first video stream's decoder to one thread and a sane size."""
    codec = container.streams.video[0].codec_context if container.streams.video else None
    if codec is None:
        raise InputError(f"{path}: has no video stream that can be decoded")
    check_size(path, codec.width, codec.height)
    codec.thread_count = 1
    codec.thread_type = "NONE"
    codec.options = {"max_pixels": str(MAX_PIXELS)}


def _decode(container: Any, path: Path) -> Iterator[Any]:
    """Yield decoded frames in presentation order; a damaged one is an error, not a gray picture."""
    position = 0
    try:
        for frame in container.decode(container.streams.video[0]):
            if frame.is_corrupt:
                raise InputError(f"{path}: frame {position} is damaged; copy the file again")
            yield frame
            position += 1
    except av.FFmpegError as error:
        raise InputError(
            f"{path}: frame {position} cannot be decoded: {error.strerror}; "
            "the file is cut or broken"
        ) from error


def _read_video(
    path: Path, spans: Sequence[tuple[int, int | None]], step: int = 1
) -> Iterator[Frame]:
    """Yield every `step`-th frame of `spans`, and the last one of the video."""
    converter = VideoReformatter()
    size, last, position, passed = None, None, -1, None
    ahead = iter(spans)
    start, stop = next(ahead)
    with _open(path) as container:
        for position, frame in enumerate(_decode(container, path)):
            size = size or (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                raise InputError(
                    f"{path}: frame {position} is {frame.width}×{frame.height}, but the first "
                    f"is {size[0]}×{size[1]}; frames of a clip must have one size"
                )
            last = frame.time
            passed = frame if position >= start and (position - start) % step else None
            if position >= start and passed is None:
                yield Frame(position, last, _upright(frame, converter))
            if position == stop:
                following = next(ahead, None)
                if following is None:
                    return
                start, stop = following
        if position < 0:
            raise InputError(f"{path}: holds no frame")
        _check_end(container, path, position, last)
        if passed is not None:
            yield Frame(position, last, _upright(passed, converter))


def _check_end(container: Any, path: Path, position: int, last_s: float | None) -> None:
    """Refuse Matroska and AVI files cut short, which decode to their end without an error."""
    name, cut = container.format.name, False
    if name.startswith("matroska") and container.duration and last_s is not None:
        length_s = container.duration / av.time_base
        cut = len(container.streams) == 1 and last_s < 0.9 * length_s - 0.5
    elif name == "avi":
        with path.open("rb") as file:
            declared = int.from_bytes(file.read(8)[4:], "little")
        # A recorder that never came back to fill the length in leaves 0 or all ones.
        cut = path.stat().st_size < declared + 8 < 1 << 32
    if cut:
        raise InputError(f"{path}: ends after frame {position}, shorter than it says: it is cut")


def _upright(frame: Any, converter: VideoReformatter) -> NDArray[np.uint8]:
    # More than one thread per conversion costs eight times as much on a shared machine.
    image = converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    return np.ascontiguousarray(np.rot90(image, _quarter_turns(frame)), dtype=np.uint8)


def _quarter_turns(frame: Any) -> int:
    quarters: int = round(frame.rotation / 90)
    return quarters % 4


def _measured(container: Any, path: Path) -> tuple[float | None, int | None]:
    """Return the mean rate of the first time stamps and the number of frames, if not too many.

    Nothing is decoded for it.
    """
    stream = container.streams.video[0]
    try:
        packets = [p for p in islice(container.demux(stream), _STAMPS) if p.pts is not None]
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be read as video: {error.strerror}") from error
    stamps = sorted(float(p.pts * p.time_base) for p in packets)
    span_s = stamps[-1] - stamps[0] if stamps else 0.0
    fps = (len(stamps) - 1) / span_s if span_s > 0 and math.isfinite(span_s) else None
    return fps, len(stamps) if len(stamps) < _STAMPS else None
