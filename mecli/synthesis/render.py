"""From a subject, an expression, a pose and a light to a picture of the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from mecli.synthesis import chart
from mecli.synthesis.camera import place, project, rotation
from mecli.synthesis.curtain import Curtain, make_curtain
from mecli.synthesis.features import paint_eyes, paint_lashes, paint_mouth
from mecli.synthesis.hair import hairline
from mecli.synthesis.head import EYE, LASH, SKIN, TONGUE, load_head, normals
from mecli.synthesis.light import highlights, irradiance, unshadowed
from mecli.synthesis.outfit import Outfit, make_outfit
from mecli.synthesis.raster import Fragments, interpolate, rasterise
from mecli.synthesis.skin import Skin, paint_skin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.synthesis.camera import Camera
    from mecli.synthesis.identity import Subject
    from mecli.synthesis.light import Light

    Floats = NDArray[Any]

_GAMMA = np.append(np.linspace(0, 1, 4096) ** (1 / 2.2) * 255.0, 255.0).astype(np.float32)


@dataclass(frozen=True)
class Actor:
    """A subject made up and dressed: everything that stays the same over its clips."""

    subject: Subject
    skin: Skin
    outfit: Outfit
    curtain: Curtain
    faces: NDArray[np.int64]
    """(T, 3) of the mesh that is drawn: the head without its hair helper, and the curtain."""
    part: NDArray[np.int8]
    sheet: Floats
    """(N, 2) column and row on the skin sheet."""
    lift: Floats
    """(N, 3) how hair stands off the scalp, mm."""
    deep: NDArray[np.bool_]
    """(T,) triangles behind the lips."""
    low: NDArray[np.bool_]
    """(T,) triangles that clothes may cover."""
    solid: NDArray[np.int64]
    """Triangles that hide what is behind them."""
    lashes: NDArray[np.int64]


class State(NamedTuple):
    """What the face does at one moment."""

    units: Floats
    """(U,) weights of the expression units."""
    pose: Floats
    """(6,) yaw, pitch, roll in radians, x, y, z in mm."""
    gaze: Floats
    """(2,) yaw and pitch of the eyeballs in radians."""
    creases: dict[str, tuple[float, float]]
    """Depth of each group of creases, image left and right, 0..1."""


CURTAIN = 6


def make_actor(subject: Subject) -> Actor:
    """Paint and dress a subject."""
    head = load_head()
    skin = paint_skin(subject.looks)
    keep = head.part <= TONGUE
    curtain = make_curtain(subject, skin.hair)
    faces = np.concatenate([head.faces[keep], curtain.faces + len(head.vertices)])
    part = np.append(head.part[keep], np.full(len(curtain.faces), CURTAIN, np.int8))
    position = head.chart.copy()
    # Ears and the inside of the mouth would pick up hair or lips: they borrow plain skin.
    position[:, 0] = np.where(head.ear > 0.5, np.sign(position[:, 0]) * 60, position[:, 0])
    position[:, 1] = np.where(head.ear > 0.5, 640 + 0.35 * (position[:, 1] - 640), position[:, 1])
    none = np.zeros(len(curtain.vertices), bool)
    within = np.append(head.mouth_interior, none)
    below = np.append(head.vertices[:, 1] < 625, none)
    return Actor(
        subject, skin, make_outfit(subject.looks), curtain, faces, part,
        chart.to_pixels(position), _lift(subject, skin), within[faces].all(1), below[faces].all(1),
        np.flatnonzero(part != LASH), np.flatnonzero(part == LASH),
    )  # fmt: skip


def _lift(subject: Subject, skin: Skin) -> Floats:
    head = load_head()
    hair = skin.hair
    above = head.chart[:, 1] - hairline(head.chart[:, 0], hair.line)
    rise = chart.smoothstep(above, -1.0, 26.0)
    top = chart.smoothstep(head.vertices[:, 1], 770, 830)
    height = hair.side_mm + (hair.top_mm - hair.side_mm) * top
    scalp = (head.vertex_part == SKIN) & (head.vertices[:, 1] > 640) & ~head.mouth_interior
    outward = normals(subject.vertices, head.faces[head.part == SKIN])
    return np.asarray((rise * height * scalp * (1 - head.ear))[:, None] * outward, np.float32)


def shape(actor: Actor, state: State) -> Floats:
    """Return the expression (N, 3) in mm, before the head moves."""
    head, subject = load_head(), actor.subject
    active = np.flatnonzero(np.abs(state.units) > 1e-6)
    vertices = subject.vertices.copy()
    if len(active):
        vertices += np.tensordot(state.units[active], subject.units[active], 1)
    _turn_eyes(vertices, subject, head.vertex_part == EYE, state.gaze)
    return vertices


def _turn_eyes(vertices: Floats, subject: Subject, eye: NDArray[np.bool_], gaze: Floats) -> None:
    turn = rotation(float(gaze[0]), float(-gaze[1]), 0.0)
    for centre, side in zip(subject.eyes, (-1, 1), strict=True):
        chosen = eye & (np.sign(load_head().vertices[:, 0]) == side)
        vertices[chosen] = (subject.vertices[chosen] - centre) @ turn.T + centre


def surface(
    actor: Actor, state: State, rest: Floats, with_normals: bool = True
) -> tuple[Floats, Floats]:
    """Return points (N', 3) in mm as posed, curtain included, and unit normals (or none)."""
    head = load_head()
    vertices = shape(actor, state) + actor.lift
    points = np.concatenate([vertices, actor.curtain.vertices])
    turned = place(points, state.pose, rest)
    if not with_normals:
        return turned, points[:0]
    normal = normals(vertices, head.faces[head.part == SKIN])
    normal = np.concatenate([normal, actor.curtain.normals])
    return turned, np.asarray(normal @ rotation(*state.pose[:3]).T, np.float32)


class Patch(NamedTuple):
    """A region of the face that can be rendered by itself."""

    solid: NDArray[np.int64]
    """Triangles, with those around that may hide what the region shows."""
    lashes: NDArray[np.int64]
    rows: NDArray[np.int64]
    """Vertices of the head."""
    skin: NDArray[np.int64]
    """(T', 3) triangles that give the vertices their normals."""
    cover: Floats
    """(N',) 1 in the middle, 0 at the rim."""


class Lit(NamedTuple):
    """How a surface is lit and folded at one moment."""

    attributes: Floats
    """(N', 8) sheet column and row, diffuse RGB, slope of the light sideways and up, shine."""
    folds: Floats
    """(h, w, 3) slope sideways, slope upwards and darkening of the creases."""


def draw(
    actor: Actor, state: State, rest: Floats, light: Light, camera: Camera, size: tuple[int, int]
) -> tuple[Floats, Fragments]:
    """Return the head as a layer (H, W, 4) of `size` and the fragments it is made of.

    The layer holds display values 0..255 premultiplied by cover, and cover 0..1.
    """
    points, normal = surface(actor, state, rest)
    lit = Lit(light_up(actor, normal, light), folds(actor, state.creases))
    return paint(actor, points, lit, light, project(points, camera), size)


def paint(
    actor: Actor, points: Floats, lit: Lit, light: Light, xy: Floats, size: tuple[int, int],
    patch: Patch | None = None,
) -> tuple[Floats, Fragments]:  # fmt: skip
    """Return layer and fragments of posed points seen at `xy`: all of them or those of a patch.

    A patch fades out towards its rim.
    """
    seen = _rasterised(xy, points, actor, patch.solid if patch else actor.solid, size)
    layer = np.zeros((size[0] * size[1], 4), np.float32)
    if patch is not None:
        seen, cover = _within(patch, actor, seen)
    colour = np.empty((len(seen.pixel), 4), np.float32)
    colour[:, :3] = shade(actor, seen, points, lit, light)
    colour[:, 3] = 1
    layer[seen.pixel] = colour
    # Lashes are thin: they darken what is behind them.
    thin = patch.lashes if patch else actor.lashes
    if len(thin):
        paint_lashes(layer, actor, _rasterised(xy, points, actor, thin, size))
    if patch is not None:
        layer[seen.pixel] *= cover
    return layer.reshape(*size, 4), seen


def _within(patch: Patch, actor: Actor, seen: Fragments) -> tuple[Fragments, Floats]:
    """Return the fragments that a patch covers at all, and how much (M, 1)."""
    cover = interpolate(patch.cover[:, None], actor.faces, seen)
    kept = np.flatnonzero(cover[:, 0] > 1e-3)
    some = Fragments(seen.pixel[kept], seen.triangle[kept], seen.weight[:, kept])
    return some, cover[kept]


def _rasterised(
    xy: Floats, points: Floats, actor: Actor, rows: NDArray[np.int64], size: tuple[int, int]
) -> Fragments:
    some = rasterise(xy, points[:, 2], actor.faces[rows], size)
    return some._replace(triangle=rows[some.triangle])


def light_up(
    actor: Actor, normal: Floats, light: Light, rows: NDArray[np.int64] | None = None
) -> Floats:
    """Return the attributes of `Lit` for normals (N', 3) as posed.

    Given `rows`, only those vertices of the head are lit and the others stay black.
    """
    count = len(load_head().vertices)
    chosen = np.arange(count) if rows is None else rows
    own, hanging = normal[chosen], normal[count:]
    diffuse, towards = irradiance(own, light, chosen)
    across = np.stack([own[:, 2], np.zeros(len(own), np.float32), -own[:, 0]], 1)
    across /= np.maximum(np.hypot(own[:, 0], own[:, 2])[:, None], 1e-6)
    upward = np.cross(own, across)
    out = np.zeros((len(normal), 8), np.float32)
    out[:count, :2] = actor.sheet
    out[count:, :2] = actor.curtain.strand
    out[chosen, 2:5] = diffuse
    out[chosen, 5] = (across * towards).sum(1)
    out[chosen, 6] = (upward * towards).sum(1)
    out[chosen, 7] = highlights(own, light, chosen)
    if len(hanging) and rows is None:
        out[count:, 2:5] = actor.curtain.occlusion[:, None] * unshadowed(hanging, light)
    return out


def shade(actor: Actor, fragments: Fragments, points: Floats, lit: Lit, light: Light) -> Floats:
    """Return display colours 0..255 (M, 3) of the fragments."""
    value = interpolate(lit.attributes, actor.faces, fragments)
    part = actor.part[fragments.triangle]
    colour = _skin_colour(actor, lit.folds, value)
    actor.outfit.dress(colour, value, actor, fragments, part)
    paint_mouth(colour, value, actor, fragments, part)
    paint_eyes(colour, value, actor, fragments, part, points, light)
    np.clip(colour, 0, 1, out=colour)
    colour *= 4095
    return np.take(_GAMMA, colour.astype(np.int32))


def _skin_colour(actor: Actor, fold: Floats, value: Floats) -> Floats:
    """Return linear colours (M, 3) of the skin sheet under its light."""
    column, row = value[:, :1], value[:, 1:2]
    albedo = chart.look_up(actor.skin.albedo, column, row)
    relief = chart.look_up(actor.skin.relief, column, row).astype(np.float32)
    crease = chart.look_up(fold, (column + 0.5) / 2 - 0.5, (row + 0.5) / 2 - 0.5)
    sideways = (relief[:, 0] - 128) / 64 + crease[:, 0]
    upwards = (relief[:, 1] - 128) / 64 + crease[:, 1]
    bend = -(sideways * value[:, 5] + upwards * value[:, 6])
    lit = value[:, 2:5] + np.clip(bend, -0.6, 0.6)[:, None]
    shine = relief[:, 2] / 255 * value[:, 7] * np.clip(1 + 2.0 * bend, 0, 2)
    albedo *= np.maximum(lit, 0)
    albedo *= crease[:, 2:]
    albedo += np.float32(0.17) * shine[:, None]
    return albedo


def folds(actor: Actor, creases: Mapping[str, tuple[float, float]]) -> Floats:
    """Return slope sideways, slope upwards and darkening (h, w, 3) of the creases."""
    wrinkles = actor.skin.wrinkles
    height, width = next(iter(wrinkles.values())).shape
    middle = width // 2
    total = np.zeros((height, width), np.float32)
    for name, drawn in wrinkles.items():
        left, right = creases.get(name, (0.0, 0.0))
        base = actor.skin.furrowed
        for half, extra in ((np.s_[:, :middle], left), (np.s_[:, middle:], right)):
            total[half] += drawn[half] * (base + (1 - 0.5 * base) * extra)
    out = np.empty((height, width, 3), np.float32)
    step = chart.PX_PER_MM / 2 / 8.0
    out[..., 0] = cv2.Sobel(total, cv2.CV_32F, 1, 0, ksize=3) * step
    out[..., 1] = -cv2.Sobel(total, cv2.CV_32F, 0, 1, ksize=3) * step
    out[..., 2] = np.exp(np.minimum(total, 0) * 0.9)
    return out
