"""Render planned clips and put them on disk: the part of `synth` that runs in workers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.files import write_bytes
from mecli.filming import write_video
from mecli.synthesis.film import film, mouth_matters, state_at
from mecli.synthesis.identity import make_subject
from mecli.synthesis.plan import ClipPlan, perform
from mecli.synthesis.render import Actor, draw, make_actor
from mecli.synthesis.scene import Scene, expose, make_scene
from mecli.synthesis.truth import write_truth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.synthesis.motion import Curves, Event

    Floats = NDArray[Any]

# Grain repeats nothing: to look for repeats takes twice as long and makes larger files.
_PNG = (
    cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """Clips that one worker renders one after the other."""

    folder: Path
    plans: tuple[ClipPlan, ...]
    format: str
    codec: str
    crf: float
    pairs_only: bool
    truth: bool
    number: int


@dataclass(frozen=True, slots=True)
class Shot:
    """What the annotation says about a rendered clip."""

    name: str
    shown: str
    """Its name in the annotation and on disk."""
    subject: int
    fps: float
    frames: int
    rows: tuple[Event, ...]
    distractor: str


def shown_name(plan: ClipPlan, layout: str) -> str:
    """Return what a clip is called in its corpus: CASME II's begin with EP."""
    if layout == "flat":
        return plan.name
    return "EP" + (plan.name if plan.long else plan.name.removeprefix("s"))


@lru_cache(maxsize=2)
def actor_of(identity: int) -> Actor:
    """Return a subject made up and dressed; painted once for its clips."""
    return make_actor(make_subject(identity))


def shoot(job: Job) -> list[Shot]:
    """Render the clips of a job and write them."""
    cv2.setNumThreads(1)
    shots, shard = [], []
    for plan in job.plans:
        actor = actor_of(plan.identity)
        curves, events = perform(plan, actor.subject)
        scene = make_scene(plan.size, np.random.default_rng((plan.motion, 3)))
        name = plan.name
        if job.pairs_only:
            moments = pair_moments(plan)
            images = list(pair_frames(actor, plan, curves, scene, moments))
            if job.codec == "npz":
                shard.append((images, events[0].klass if events else "none"))
            else:
                _write(job, plan, iter(images))
            events = tuple(_as_pair(e) for e in events)
            shots.append(
                Shot(
                    name,
                    shown_name(plan, job.format),
                    plan.subject,
                    plan.fps,
                    2,
                    events,
                    plan.distractor,
                )
            )
        else:
            moments = plan.times[0][:2] if plan.times else (0, plan.frames // 2)
            _write(job, plan, clip_frames(actor, plan, curves, events, scene))
            shots.append(
                Shot(
                    name,
                    shown_name(plan, job.format),
                    plan.subject,
                    plan.fps,
                    plan.frames,
                    events,
                    plan.distractor,
                )
            )
        if job.truth:
            path = job.folder / "truth" / f"{name}.npz"
            write_truth(path, actor, curves, scene, moments, job.pairs_only)
    if shard:
        _write_shard(job, [images for images, _ in shard], [klass for _, klass in shard])
    return shots


def clip_frames(
    actor: Actor, plan: ClipPlan, curves: Curves, events: tuple[Event, ...], scene: Scene
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames (H, W, 3) of a clip."""
    rng = np.random.default_rng((plan.motion, 4))
    # Some clips that would not need it get their mouth rendered anew as well, so that
    # having it tells nothing about the class.
    mouth = bool(rng.random() < 0.35) or mouth_matters(curves)
    yield from film(actor, curves, events, scene, plan.fps, rng, mouth)


def pair_moments(plan: ClipPlan) -> tuple[int, int]:
    """Return the two frames of a pair, up to a few per cent of the rise off the mark."""
    rng = np.random.default_rng((plan.motion, 5))
    if plan.times:
        onset, apex, _ = plan.times[0]
    else:
        onset = int(rng.integers(plan.frames // 4, plan.frames // 2))
        apex = min(onset + max(round(rng.uniform(0.06, 0.26) * plan.fps), 2), plan.frames - 1)
    off = np.rint(rng.normal(0, 0.06 * (apex - onset), 2)).astype(int)
    return max(onset + int(off[0]), 0), min(apex + int(off[1]), plan.frames - 1)


def pair_frames(
    actor: Actor, plan: ClipPlan, curves: Curves, scene: Scene, moments: tuple[int, int],
    supersample: float = 1.5,
) -> Iterator[NDArray[np.uint8]]:  # fmt: skip
    """Yield the onset and the apex frame (H, W, 3), both rendered in full."""
    rng = np.random.default_rng((plan.motion, 4))
    height, width = plan.size
    big = (round(height * supersample), round(width * supersample))
    camera = scene.camera.scaled(supersample)
    for position in moments:
        state = state_at(curves, position, scene.rest)
        layer, _ = draw(actor, state, scene.rest, scene.light, camera, big)
        small = cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA)
        yield expose(scene, small, 1 + scene.flicker[0] * float(rng.normal()), rng)


def _as_pair(event: Event) -> Event:
    from dataclasses import replace

    return replace(event, onset=0, apex=1, offset=1)


def _write(job: Job, plan: ClipPlan, frames: Iterator[NDArray[np.uint8]]) -> None:
    if job.format == "casme2":
        form = "CASME2_RAW" if job.codec == "png" else "CASME2_compressed"
        place = job.folder / form / f"sub{plan.subject:02d}"
    else:
        place = job.folder / "clips"
    name = shown_name(plan, job.format)
    if job.codec == "h264":
        place.mkdir(parents=True, exist_ok=True)
        write_video(place / f"{name}.mp4", frames, plan.fps, job.crf)
        return
    for position, image in enumerate(frames, start=1):
        ok, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]), _PNG)
        assert ok
        write_bytes(place / name / f"img{position:05d}.png", data.tobytes())


def _write_shard(job: Job, images: list[list[NDArray[np.uint8]]], classes: list[str]) -> None:
    import io

    data = io.BytesIO()
    np.savez(
        data, onset=np.stack([pair[0] for pair in images]),
        apex=np.stack([pair[1] for pair in images]), klass=np.array(classes),
        name=np.array([p.name for p in job.plans]),
        subject=np.array([p.subject for p in job.plans]),
    )  # fmt: skip
    write_bytes(job.folder / "pairs" / f"pairs-{job.number:05d}.npz", data.getvalue())
