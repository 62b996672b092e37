"""From a subject, an expression, a pose and a light to a picture of the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mecli.synthesis import chart
from mecli.synthesis.camera import place, project
from mecli.synthesis.curtain import Curtain, make_curtain
from mecli.synthesis.head import EYE, LASH, SKIN, TEETH, TONGUE, load_head, normals
from mecli.synthesis.light import highlights, irradiance
from mecli.synthesis.outfit import Outfit, make_outfit
from mecli.synthesis.raster import Fragments, interpolate, rasterise
from mecli.synthesis.skin import Skin, linear, paint_skin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.synthesis.camera import Camera
    from mecli.synthesis.identity import Subject
    from mecli.synthesis.light import Light

    Floats = NDArray[np.float32]

_GAMMA = np.append(np.linspace(0, 1, 4096) ** (1 / 2.2) * 255.0, 255.0).astype(np.float32)
_LINEAR = linear(np.arange(256, dtype=np.float32))


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
    """(N,) how far hair stands off the scalp, mm."""


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
    return Actor(
        subject, skin, make_outfit(subject.looks), curtain, faces, part,
        chart.to_pixels(position), _lift(skin),
    )  # fmt: skip


def _lift(skin: Skin) -> Floats:
    head = load_head()
    hair = skin.hair
    from mecli.synthesis.hair import hairline

    above = head.chart[:, 1] - hairline(head.chart[:, 0], hair.line)
    rise = chart.smoothstep(above, -1.0, 26.0)
    top = chart.smoothstep(head.vertices[:, 1], 770, 830)
    height = hair.side_mm + (hair.top_mm - hair.side_mm) * top
    scalp = (head.vertex_part == SKIN) & (head.vertices[:, 1] > 640) & ~head.mouth_interior
    return np.asarray(rise * height * scalp * (1 - head.ear), np.float32)


def shape(actor: Actor, state: State) -> Floats:
    """Return the expression (N, 3) in mm, before the head moves."""
    head, subject = load_head(), actor.subject
    active = np.flatnonzero(np.abs(state.units) > 1e-6)
    vertices = subject.vertices.copy()
    if len(active):
        vertices += np.tensordot(state.units[active], subject.units[active], 1)
    _turn_eyes(vertices, subject, head.vertex_part == EYE, state.gaze)
    return vertices


def _turn_eyes(
    vertices: Floats, subject: Subject, eye: NDArray[np.bool_], gaze: Floats
) -> None:
    from mecli.synthesis.camera import rotation

    turn = rotation(float(gaze[0]), float(-gaze[1]), 0.0)
    for centre, side in zip(subject.eyes, (-1, 1), strict=True):
        chosen = eye & (np.sign(load_head().vertices[:, 0]) == side)
        vertices[chosen] = (subject.vertices[chosen] - centre) @ turn.T + centre


def surface(actor: Actor, state: State, rest: Floats) -> tuple[Floats, Floats]:
    """Return points (N', 3) in mm as posed, curtain included, and unit normals."""
    head = load_head()
    vertices = shape(actor, state)
    skin_faces = head.faces[head.part == SKIN]
    normal = normals(vertices, skin_faces)
    vertices += normal * actor.lift[:, None]
    if actor.lift.any():
        normal = normals(vertices, skin_faces)
    points = np.concatenate([vertices, actor.curtain.vertices])
    normal = np.concatenate([normal, actor.curtain.normals])
    turned = place(points, state.pose, rest)
    from mecli.synthesis.camera import rotation

    return turned, np.asarray(normal @ rotation(*state.pose[:3]).T, np.float32)


def draw(
    actor: Actor, state: State, rest: Floats, light: Light, camera: Camera, size: tuple[int, int],
) -> tuple[Floats, Fragments]:  # fmt: skip
    """Return the head as a layer (H, W, 4) of `size` and the fragments behind it."""
    points, normal = surface(actor, state, rest)
    xy = project(points, camera)
    opaque = actor.part != LASH
    seen = _rasterised(xy, points, actor, opaque, size)
    layer = np.zeros((size[0] * size[1], 4), np.float32)
    layer[seen.pixel, :3] = shade(actor, state, seen, points, normal, light)
    layer[seen.pixel, 3] = 1
    # Lashes are thin: they darken what is behind them.
    _lashes(layer, actor, _rasterised(xy, points, actor, ~opaque, size))
    return layer.reshape(*size, 4), seen


def _rasterised(
    xy: Floats, points: Floats, actor: Actor, chosen: NDArray[np.bool_], size: tuple[int, int]
) -> Fragments:
    rows = np.flatnonzero(chosen)
    some = rasterise(xy, points[:, 2], actor.faces[rows], size)
    return some._replace(triangle=rows[some.triangle])


def _lashes(layer: Floats, actor: Actor, fragments: Fragments) -> None:
    if not len(fragments.pixel):
        return
    at = interpolate(load_head().lash, actor.faces, fragments)
    strand = 0.5 + 0.5 * np.sin(at[:, 0] * 1024 * 2.4)
    cover = (0.3 + 0.7 * strand) * np.clip(at[:, 1], 0, 1) * actor.outfit.lash
    layer[fragments.pixel, :3] *= (1 - cover)[:, None]


def shade(
    actor: Actor, state: State, fragments: Fragments, points: Floats, normal: Floats, light: Light
) -> Floats:
    """Return display colours 0..255 (M, 3) of the fragments."""
    head = load_head()
    count = len(head.vertices)
    diffuse, towards = irradiance(normal[:count], light)
    across = np.stack([normal[:, 2], 0 * normal[:, 0], -normal[:, 0]], 1)[:count]
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    upward = np.cross(normal[:count], across)
    attributes = np.concatenate([
        actor.sheet, diffuse, (across * towards).sum(1, keepdims=True),
        (upward * towards).sum(1, keepdims=True), highlights(normal[:count], light)[:, None],
    ], 1).astype(np.float32)  # fmt: skip
    extra = np.zeros((len(points) - count, attributes.shape[1]), np.float32)
    if len(extra):
        extra[:, 2:5] = actor.curtain.occlusion[:, None] * _simple(normal[count:], light)
        extra[:, :2] = actor.curtain.strand
    attributes = np.concatenate([attributes, extra])
    value = interpolate(attributes, actor.faces, fragments)
    part = actor.part[fragments.triangle]
    colour = _skin_colour(actor, state, value)
    actor.outfit.dress(colour, value, actor, fragments, part)
    _mouth(colour, value, actor, fragments, part)
    _eyes(colour, value, actor, fragments, part, points, light)
    index = np.clip(colour * (4095 / 1.0), 0, 4096).astype(np.int32)
    return _GAMMA[index]


def _simple(normal: Floats, light: Light) -> Floats:
    directions = load_head().directions
    return np.clip(normal @ directions.T, 0, None) @ light.radiance


def _skin_colour(actor: Actor, state: State, value: Floats) -> Floats:
    """Return linear colours (M, 3) of the skin sheet under its light."""
    column, row = value[:, :1], value[:, 1:2]
    albedo = _sample(actor.skin.albedo, column, row)
    relief = _sample(actor.skin.relief, column, row).astype(np.float32)
    fold = _folds(actor, state)
    crease = _sample(fold, (column + 0.5) / 2 - 0.5, (row + 0.5) / 2 - 0.5)
    sideways = (relief[:, 0] - 128) / 64 + crease[:, 0]
    upwards = (relief[:, 1] - 128) / 64 + crease[:, 1]
    bend = -(sideways * value[:, 5] + upwards * value[:, 6])
    lit = value[:, 2:5] + np.clip(bend, -0.6, 0.6)[:, None]
    shine = relief[:, 2] / 255 * value[:, 7] * np.clip(1 + 2.0 * bend, 0, 2)
    colour = _LINEAR[albedo] * np.clip(lit, 0, None) * crease[:, 2:]
    return np.asarray(colour + 0.17 * shine[:, None], np.float32)


def _sample(sheet: NDArray[np.generic], column: Floats, row: Floats) -> NDArray[np.generic]:
    out: NDArray[np.generic] = _remap(sheet, column, row)
    return out


def _remap(sheet: NDArray[np.generic], column: Floats, row: Floats) -> NDArray[np.generic]:
    """Look up `sheet` at M places; as tall images, for cv2 limits an image to 32767 rows."""
    count = len(column)
    width = 256
    pad = -count % width
    x = np.pad(column[:, 0], (0, pad)).reshape(-1, width)
    y = np.pad(row[:, 0], (0, pad)).reshape(-1, width)
    found = cv2.remap(sheet, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(-1, found.shape[2])[:count]


def _folds(actor: Actor, state: State) -> Floats:
    """Return slope sideways, slope upwards and darkening (h, w, 3) of the creases."""
    wrinkles = actor.skin.wrinkles
    height, width = next(iter(wrinkles.values())).shape
    middle = width // 2
    total = np.zeros((height, width), np.float32)
    for name, drawn in wrinkles.items():
        left, right = state.creases.get(name, (0.0, 0.0))
        base = actor.skin.furrowed
        for half, extra in ((np.s_[:, :middle], left), (np.s_[:, middle:], right)):
            total[half] += drawn[half] * (base + (1 - 0.5 * base) * extra)
    out = np.empty((height, width, 3), np.float32)
    step = chart.PX_PER_MM / 2 / 8.0
    out[..., 0] = cv2.Sobel(total, cv2.CV_32F, 1, 0, ksize=3) * step
    out[..., 1] = -cv2.Sobel(total, cv2.CV_32F, 0, 1, ksize=3) * step
    out[..., 2] = np.exp(np.minimum(total, 0) * 0.9)
    return out


def _mouth(
    colour: Floats, value: Floats, actor: Actor, fragments: Fragments, part: NDArray[np.int8]
) -> None:
    head = load_head()
    lit = value[:, 2:5]
    teeth = part == TEETH
    colour[teeth] = lit[teeth] * actor.outfit.teeth
    tongue = part == TONGUE
    colour[tongue] = lit[tongue] * np.array([0.35, 0.1, 0.09], np.float32)
    inside = np.append(head.mouth_interior, np.zeros(len(actor.curtain.vertices), bool))
    deep = inside[actor.faces].all(1)[fragments.triangle] & (part == SKIN)
    colour[deep] = lit[deep] * np.array([0.16, 0.04, 0.035], np.float32)


def _eyes(
    colour: Floats, value: Floats, actor: Actor, fragments: Fragments, part: NDArray[np.int8],
    points: Floats, light: Light,
) -> None:  # fmt: skip
    chosen = np.flatnonzero(part == EYE)
    if not len(chosen):
        return
    subject, head = actor.subject, load_head()
    some = Fragments(
        fragments.pixel[chosen], fragments.triangle[chosen], fragments.weight[:, chosen]
    )
    side = (head.vertices[:, 0] > 0).astype(int)
    local = subject.vertices - subject.eyes[side]
    now = points[: len(head.vertices)] - _eye_centres(actor, points)[side]
    both = np.concatenate([local, now], 1)
    both = np.concatenate([both, np.zeros((len(points) - len(local), 6), np.float32)])
    at = interpolate(both.astype(np.float32), actor.faces, some)
    radius = np.maximum(np.linalg.norm(at[:, :3], axis=1, keepdims=True), 1e-3)
    iris = _remap(
        actor.outfit.eye, 64 + at[:, :1] / radius * 13 * 5.0, 64 - at[:, 1:2] / radius * 13 * 5.0
    )
    normal = at[:, 3:] / np.maximum(np.linalg.norm(at[:, 3:], axis=1, keepdims=True), 1e-3)
    lid = 1 - 0.6 * np.clip((at[:, 4:5] - 0.5) / 6.0, 0, 1)
    lit = 0.35 * value[chosen, 2:5] + 0.62 * _simple(normal * 0.5 + (0, 0, 0.5), light)
    lit = np.clip(lit, 0, 1.6) * lid
    glint = np.zeros(len(chosen), np.float32)
    view = np.array([0, 0, 1], np.float32)
    for lamp, shade_of in zip(light.lamps, light.lamp_colour, strict=True):
        half = (lamp + view) / np.linalg.norm(lamp + view)
        glint += shade_of.mean() * np.clip(normal @ half, 0, 1) ** 260
    colour[chosen] = _LINEAR[iris.astype(np.uint8)] * lit + 0.75 * glint[:, None]


def _eye_centres(actor: Actor, points: Floats) -> Floats:
    head = load_head()
    eye = head.vertex_part == EYE
    return np.stack([
        points[: len(head.vertices)][eye & (np.sign(head.vertices[:, 0]) == side)].mean(0)
        for side in (-1, 1)
    ]).astype(np.float32)  # fmt: skip
