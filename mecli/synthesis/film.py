"""A clip frame by frame: a few full renderings, carried along the exact motion between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from scipy.sparse import csr_array

from mecli.synthesis.camera import project
from mecli.synthesis.head import EYE_CENTRE, LASH, SKIN, TEETH, TONGUE, load_head, normals
from mecli.synthesis.raster import rasterise
from mecli.synthesis.render import Actor, Lit, Patch, State, folds, light_up, paint, surface
from mecli.synthesis.scene import Scene, expose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mecli.synthesis.motion import Curves, Event

    Floats = NDArray[Any]

SCALE = 2
"""Renderings are made at twice the size of the frames, for smooth edges."""
_PATCH_SCALE = 1.5
_COARSE = 2
"""Motion is followed on a grid this much coarser than the frames."""

# Lids and lips slide over what is behind them, which no warp can show: these regions are
# rendered anew in every frame. Centre and half axes in mm on the neutral head.
PATCHES: Mapping[str, tuple[tuple[float, float], ...]] = {
    "eyes": ((EYE_CENTRE[0], 728.5), (23.0, 16.0)),
    "mouth": ((0.0, 655.0), (37.0, 20.0)),
}


class Key(NamedTuple):
    """One full rendering and what it takes to carry it to another frame."""

    image: Floats
    """(2H, 2W, 4) premultiplied display values and cover, averaged over 2 x 2."""
    xy: Floats
    """(N', 2) where the points are, in px of the frame."""
    blend: csr_array
    """(coarse pixels, N') weights of points; off the head those of the nearest pixel."""
    folds: Floats


def make_patch(actor: Actor, name: str) -> Patch:
    """Return the region called eyes or mouth."""
    head = load_head()
    (x, y), (rx, ry) = PATCHES[name]
    place = head.vertices
    aside = place[:, 0] if name == "mouth" else np.abs(place[:, 0]) - x
    radius = np.hypot(aside / rx, (place[:, 1] - y) / ry)
    radius = np.where(place[:, 2] > 30, radius, 9.0)
    radius = np.append(radius, np.full(len(actor.curtain.vertices), 9.0))
    # Palate, gums and nostrils reach up behind the nose, which is no part of the region.
    behind = head.mouth_interior | (head.vertex_part == TEETH) | (head.vertex_part == TONGUE)
    ahead = int(head.directions[:, 2].argmax())
    hidden = behind & (place[:, 1] > np.where(place[:, 2] < 80, 652, 666))
    hidden |= (place[:, 1] > 668) & (place[:, 1] < 700) & (head.visibility[:, ahead] < 0.9)
    radius[: len(place)][hidden] = 9.0
    cover = np.clip((1.0 - radius) / 0.3, 0, 1)
    # What lies around is drawn, so that it hides, but not shown.
    around = radius < 1.7
    if name == "mouth":
        nose = (np.abs(place[:, 0]) < 28) & (np.abs(place[:, 1] - 687) < 20) & (place[:, 2] > 100)
        around[: len(place)] |= nose
    chosen = around[actor.faces].any(1)
    lashes = np.flatnonzero(chosen & (actor.part == LASH))
    rows = np.unique(actor.faces[chosen])
    skin = actor.faces[chosen & (actor.part == SKIN)]
    solid = np.flatnonzero(chosen & (actor.part != LASH))
    return Patch(solid, lashes, rows, skin, (cover * cover * (3 - 2 * cover)).astype(np.float32))


def make_key(actor: Actor, state: State, scene: Scene) -> Key:
    """Render one moment in full."""
    height, width = scene.size
    points, normal = surface(actor, state, scene.rest)
    lit = Lit(light_up(actor, normal, scene.light), folds(actor, state.creases))
    camera = scene.camera.scaled(SCALE)
    image, _ = paint(
        actor, points, lit, scene.light, project(points, camera), (SCALE * height, SCALE * width)
    )
    soft = cv2.blur(image, (SCALE, SCALE), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    return Key(soft, project(points, scene.camera), _carrier(actor, points, scene), lit.folds)


def _carrier(actor: Actor, points: Floats, scene: Scene) -> csr_array:
    size = tuple(-(-s // _COARSE) for s in scene.size)
    xy = project(points, scene.camera.scaled(1 / _COARSE))
    seen = rasterise(xy, points[:, 2], actor.faces, (size[0], size[1]))
    empty = np.full(size[0] * size[1], 255, np.uint8)
    empty[seen.pixel] = 0
    _, label = cv2.distanceTransformWithLabels(
        empty.reshape(size), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(len(seen.pixel) + 2, np.int64)
    of_label[label.ravel()[seen.pixel]] = np.arange(len(seen.pixel))
    nearest = of_label[label.ravel()]
    columns = actor.faces[seen.triangle[nearest]].ravel()
    weights = np.ascontiguousarray(seen.weight[:, nearest].T).ravel()
    starts = np.arange(0, len(columns) + 1, 3)
    return csr_array((weights, columns, starts), shape=(len(nearest), len(points)))


def carry(key: Key, xy: Floats, size: tuple[int, int]) -> Floats:
    """Return the key's picture (H, W, 4) with its points moved to `xy` (N', 2) px."""
    height, width = size
    rows, columns = -(-height // _COARSE), -(-width // _COARSE)
    moved = (key.blend @ (xy - key.xy)).reshape(rows, columns, 2).astype(np.float32)
    # Frame pixel p shows key pixel q with q + moved(q) = p: a few rounds of q = p - moved(q).
    x = np.arange(columns, dtype=np.float32)[None, :].repeat(rows, 0)
    y = np.arange(rows, dtype=np.float32)[:, None].repeat(columns, 1)
    back = moved
    for _ in range(3):
        back = cv2.remap(
            moved, x - back[..., 0] / _COARSE, y - back[..., 1] / _COARSE, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
    fine = cv2.resize(back, (width, height), interpolation=cv2.INTER_LINEAR)
    column = SCALE * (np.arange(width, dtype=np.float32)[None, :] - fine[..., 0])
    row = SCALE * (np.arange(height, dtype=np.float32)[:, None] - fine[..., 1])
    return cv2.remap(key.image, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def lay(
    image: Floats, patch: Patch, actor: Actor, points: Floats, fold: Floats, scene: Scene,
    xy: Floats,
) -> None:  # fmt: skip
    """Render a patch and lay it over `image` (H, W, 4) in place."""
    corner = xy[patch.rows][patch.cover[patch.rows] > 0]
    low = np.maximum(np.floor(corner.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(corner.max(0)).astype(int) + 2, scene.size[::-1])
    if (high <= low).any():
        return
    # Even sizes, so that the rendering is half as large again to the pixel.
    width, height = (int(v + v % 2) for v in high - low)
    inner = (xy - low + 0.5) * _PATCH_SCALE - 0.5
    size = (round(height * _PATCH_SCALE), round(width * _PATCH_SCALE))
    light = light_up(actor, normals(points, patch.skin), scene.light, patch.rows)
    layer, _ = paint(
        actor, points, Lit(light, fold), scene.light, inner.astype(np.float32), size, patch
    )
    small = cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA)
    window = image[low[1] : high[1], low[0] : high[0]]
    small = small[: window.shape[0], : window.shape[1]]
    window *= 1 - small[..., 3:]
    window += small


def state_at(curves: Curves, position: int, rest: Floats) -> State:
    """Return what the face does in one frame."""
    creases = {n: (float(c[position, 0]), float(c[position, 1])) for n, c in curves.creases.items()}
    pose = curves.pose[position] + rest
    return State(curves.units[position], pose, curves.gaze[position], creases)


def choose_keys(curves: Curves, events: tuple[Event, ...]) -> list[tuple[int, Floats]]:
    """Return the frames to render in full and how much each counts over time (T,).

    The first is the resting face; every micro-expression adds its apex, a wide turn of the
    head its extreme, an open mouth its widest.
    """
    count = len(curves.pose)
    first = events[0].onset if events else 0
    keys: list[tuple[int, Floats]] = []
    for event in events:
        time = np.arange(count)
        own = (time >= event.onset) & (time <= event.offset)
        total = sum((curves.actions[str(a)] for a in event.actions), np.zeros(count)) * own
        keys.append((event.apex, np.clip(total / max(total[event.apex], 1e-6), 0, 1)))
    turn = curves.pose[:, :3] - curves.pose[first, :3]
    far = int(np.linalg.norm(turn, axis=1).argmax())
    reach = float(turn[far] @ turn[far])
    if reach > 0.035**2:
        keys.append((far, np.clip(turn @ turn[far] / reach, 0, 1)))
    jaw = curves.units[:, load_head().unit_names["jawOpen"]]
    wide = int(jaw.argmax())
    if jaw[wide] - jaw[first] > 0.02 and not events:
        keys.append((wide, np.clip((jaw - jaw[first]) / (jaw[wide] - jaw[first]), 0, 1)))
    total = np.maximum(sum((w for _, w in keys), np.zeros(count)), 1.0)
    keys = [(at, (w / total).astype(np.float32)) for at, w in keys]
    rest = 1 - sum((w for _, w in keys), np.zeros(count))
    return [(first, np.asarray(rest, np.float32)), *keys]


def mouth_matters(curves: Curves) -> bool:
    """Whether the lips part, so that what is behind them shows."""
    names = load_head().unit_names
    opening = [names[n] for n in ("jawOpen", "mouthLowerDownLeft", "mouthLowerDownRight")]
    return bool(np.ptp(curves.units[:, opening], axis=0).max() > 0.015)


def film(
    actor: Actor, curves: Curves, events: tuple[Event, ...], scene: Scene, fps: float,
    rng: Generator, mouth: bool = True,
) -> Iterator[NDArray[np.uint8]]:  # fmt: skip
    """Yield the frames (H, W, 3) of a clip."""
    plan = choose_keys(curves, events)
    keys = [make_key(actor, state_at(curves, at, scene.rest), scene) for at, _ in plan]
    patches = [make_patch(actor, name) for name in PATCHES if mouth or name != "mouth"]
    phase = rng.random()
    for position in range(len(curves.pose)):
        weights = [float(w[position]) for _, w in plan]
        state = state_at(curves, position, scene.rest)
        points, _ = surface(actor, state, scene.rest, with_normals=False)
        xy = project(points, scene.camera)
        used = [(k, w) for k, w in zip(keys, weights, strict=True) if w > 1e-3]
        image = carry(used[0][0], xy, scene.size) * used[0][1]
        for key, weight in used[1:]:
            image += carry(key, xy, scene.size) * weight
        fold = _mixed(used)
        for patch in patches:
            lay(image, patch, actor, points, fold, scene, xy)
        depth, rate = scene.flicker
        gain = 1 + depth * np.sin(2 * np.pi * (rate * position / fps + phase))
        yield expose(scene, image, float(gain), rng)


def _mixed(used: list[tuple[Key, float]]) -> Floats:
    total = sum(w for _, w in used)
    fold = used[0][0].folds
    if len(used) > 1:
        fold = fold * np.float32(used[0][1] / total)
        for key, weight in used[1:]:
            cv2.scaleAdd(key.folds, weight / total, fold, fold)
    return fold
