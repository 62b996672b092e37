"""Reasons not to believe an answer, each with a name and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

FACE_PX = 120.0
"""Ear to ear; on smaller faces a micro-expression moves less than the flow's own error."""
FPS_WARNED, FPS_REFUSED = 60.0, 25.0
"""At 60 a movement of 1/25 s is two frames long, at 25 it fits between two of them."""
HEAD_MOTION_PX = 24.0
"""A tenth of the 240 px face: then light and pose change, not position alone."""
BLOCKINESS = 1.3
"""H.264 of synthetic faces is 1.15 to 1.2 at rate factor 16, 1.25 to 1.65 at 28."""
BITS_PER_PIXEL = 0.002
"""Of each frame. Rate factor 16 leaves 0.008 at 200 fps, 28 leaves 0.0012 to 0.0018."""
LOST, REPEATED = 0.05, 0.1
MOTION_PX = 0.1
"""Of the region that moves most, face pixels. In stills of rendered faces, compressed at rate
factors 16 to 33, the noise of a camera (0 to 3 grey levels) makes 0 to 0.28, less than this in
137 of 150; without compression up to 0.8. The least that expressions move was 0.42 in
`sample_data` and 0.14 in longer videos."""
LONG_S = 2.0
"""A micro-expression is over within half a second; the rest of a longer clip is something else."""
LEAST_SCORE = 0.5

REASONS = {
    "small-face": f"less than {FACE_PX:.0f} px from ear to ear",
    "compression": "blocks can be seen, or few bits are left for a pixel",
    "head-motion": f"the head moves more than {HEAD_MOTION_PX:.0f} px of the 240 px face",
    "no-motion": f"no region moves {MOTION_PX:g} px of that face: noise does as much in a still",
    "several-faces": "there are others, and nobody said which is meant",
    "face-lost": f"not followed in more than {LOST:.0%} of the frames",
    "unknown-frame-rate": "the source does not say it",
    "low-frame-rate": f"below {FPS_WARNED:.0f} frames/s; below {FPS_REFUSED:.0f} is refused",
    "dropped-frames": "time stamps or file numbers leave some out, or the rate varies",
    "repeated-frames": f"more than {REPEATED:.0%} show what the one before shows",
    "long-clip": f"more than {LONG_S:.0f} s were judged as one movement",
    "low-confidence": f"no class has a score of {LEAST_SCORE:g}",
}
"""What each reason to doubt an answer says."""


class Doubt(NamedTuple):
    """One reason: its name, for programs, and what was found, for people."""

    reason: str
    detail: str


def check_rate(where: str, fps: float | None, *, force: bool) -> None:
    """Raise `InputError` if `fps` is too low to show a micro-expression, unless `force`."""
    if fps is not None and fps < FPS_REFUSED and not force:
        raise InputError(
            f"{where}: {fps:.4g} frames/s cannot show a movement of 1/25 to 1/2 s, expected "
            f"{FPS_WARNED:g} or more; judge it all the same with --force"
        )


def doubts(
    quality: Mapping[str, float], fps: float | None, scores: Mapping[str, float], *, chosen: bool
) -> tuple[Doubt, ...]:
    """Return why the answer with class `scores` may be wrong, the picture first.

    `quality` is that of a record, with ``bits_per_pixel`` where the file says it; what it
    does not hold raises no doubt. `chosen` says that somebody named the face.
    """
    found = [*_of_picture(quality, chosen=chosen), *_of_time(quality, fps), *_of_scores(scores)]
    return tuple(found)


def of_length(frames: int, fps: float | None) -> tuple[Doubt, ...]:
    """Return why an interval of that many `frames` that nobody named may hold more than one.

    Without a rate they count as if there were `FPS_WARNED` a second.
    """
    if frames <= LONG_S * (fps or FPS_WARNED):
        return ()
    length = f"{frames / fps:.1f} s" if fps else f"{frames} frames"
    searched = "let it be searched" if fps else "let it be searched by naming its rate with --fps"
    return (
        Doubt("long-clip", f"{length} judged as one movement: {searched}, or name the moments"),
    )


def _of_picture(quality: Mapping[str, float], *, chosen: bool) -> list[Doubt]:
    found = []
    if (face := quality.get("face_px", FACE_PX)) < FACE_PX:
        found.append(
            Doubt("small-face", f"{face:.0f} px from ear to ear, expected {FACE_PX:.0f} or more")
        )
    blocks = quality.get("blockiness", 1.0)
    bits = quality.get("bits_per_pixel", BITS_PER_PIXEL)
    if blocks > BLOCKINESS or bits < BITS_PER_PIXEL:
        said = f"{bits:.2g} bits per pixel and frame, " if "bits_per_pixel" in quality else ""
        found.append(
            Doubt("compression", f"{said}steps at block borders {blocks:.2f} times larger")
        )
    if (moved := quality.get("head_motion_px", 0.0)) > HEAD_MOTION_PX:
        found.append(Doubt("head-motion", f"the head moves {moved:.0f} px of the 240 px face"))
    if (motion := quality.get("motion_px", MOTION_PX)) < MOTION_PX:
        found.append(
            Doubt(
                "no-motion",
                f"no region moves by more than {motion:.2f} px of the 240 px face: in a still "
                "picture noise does as much",
            )
        )
    if (faces := quality.get("faces", 1.0)) > 1 and not chosen:
        found.append(
            Doubt("several-faces", f"{faces:.0f} faces; this is the largest (--face, --all-faces)")
        )
    if (lost := quality.get("lost", 0.0)) > LOST:
        found.append(Doubt("face-lost", f"not followed in {lost:.0%} of the frames"))
    return found


def _of_time(quality: Mapping[str, float], fps: float | None) -> list[Doubt]:
    found = []
    if fps is None:
        found.append(Doubt("unknown-frame-rate", "the source does not say it; name it with --fps"))
    elif fps < FPS_WARNED:
        found.append(
            Doubt("low-frame-rate", f"{fps:.4g} frames/s, expected {FPS_WARNED:g} or more")
        )
    if missing := quality.get("missing", 0.0):
        found.append(
            Doubt(
                "dropped-frames",
                f"time stamps or file numbers leave out {missing:.0f}, or are uneven: seconds "
                "are not exact",
            )
        )
    if (repeated := quality.get("repeated", 0.0)) > REPEATED:
        found.append(Doubt("repeated-frames", f"{repeated:.0%} show what the one before shows"))
    return found


def _of_scores(scores: Mapping[str, float]) -> list[Doubt]:
    best = sorted(scores.items(), key=lambda item: -item[1])[:2]
    if not best or best[0][1] >= LEAST_SCORE:
        return []
    said = ", ".join(f"{name} {score:.2f}" for name, score in best)
    return [Doubt("low-confidence", f"{said}: less likely right than wrong")]
