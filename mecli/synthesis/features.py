"""Eyes, mouth and lashes: the parts of a face that are not skin, as pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.synthesis.chart import look_up
from mecli.synthesis.head import EYE, SKIN, TEETH, TONGUE, load_head
from mecli.synthesis.light import unshadowed
from mecli.synthesis.raster import Fragments, interpolate
from mecli.synthesis.skin import linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.synthesis.light import Light
    from mecli.synthesis.render import Actor

    Floats = NDArray[Any]


def paint_lashes(layer: Floats, actor: Actor, fragments: Fragments) -> None:
    """Darken a premultiplied layer (pixels, 4) where lashes are."""
    if not len(fragments.pixel):
        return
    at = interpolate(load_head().lash, actor.faces, fragments)
    strand = 0.5 + 0.5 * np.sin(at[:, 0] * 1024 * 2.4)
    cover = (0.3 + 0.7 * strand) * np.clip(at[:, 1], 0, 1) * actor.outfit.lash
    layer[fragments.pixel, :3] *= (1 - cover)[:, None]


def paint_mouth(
    colour: Floats, value: Floats, actor: Actor, fragments: Fragments, part: NDArray[np.int8]
) -> None:
    """Repaint teeth, tongue and what lies behind the lips."""
    lit = value[:, 2:5]
    teeth = part == TEETH
    colour[teeth] = (lit[teeth] + 0.1) * actor.outfit.teeth
    tongue = part == TONGUE
    colour[tongue] = lit[tongue] * np.array([0.35, 0.1, 0.09], np.float32)
    deep = actor.deep[fragments.triangle] & (part == SKIN)
    colour[deep] = lit[deep] * np.array([0.16, 0.04, 0.035], np.float32)


def paint_eyes(
    colour: Floats, value: Floats, actor: Actor, fragments: Fragments, part: NDArray[np.int8],
    points: Floats, light: Light,
) -> None:  # fmt: skip
    """Repaint the eyeballs: iris and white by gaze, shade of the lid, catch-lights."""
    chosen = np.flatnonzero(part == EYE)
    if not len(chosen):
        return
    subject, head = actor.subject, load_head()
    some = Fragments(
        fragments.pixel[chosen], fragments.triangle[chosen], fragments.weight[:, chosen]
    )
    both = np.zeros((len(points), 6), np.float32)
    for centre, side in zip(subject.eyes, (-1, 1), strict=True):
        rows = np.flatnonzero((head.vertex_part == EYE) & (head.vertices[:, 0] * side > 0))
        both[rows, :3] = subject.vertices[rows] - centre
        both[rows, 3:] = points[rows] - points[rows].mean(0)
    at = interpolate(both, actor.faces, some)
    radius = np.maximum(np.linalg.norm(at[:, :3], axis=1, keepdims=True), 1e-3)
    iris = look_up(
        actor.outfit.eye, 64 + at[:, :1] / radius * 13 * 5.0, 64 - at[:, 1:2] / radius * 13 * 5.0
    )
    normal = at[:, 3:] / np.maximum(np.linalg.norm(at[:, 3:], axis=1, keepdims=True), 1e-3)
    lid = 1 - 0.6 * np.clip((at[:, 4:5] - 0.5) / 6.0, 0, 1)
    lit = 0.35 * value[chosen, 2:5] + 0.62 * unshadowed(normal * 0.5 + (0, 0, 0.5), light)
    lit = np.clip(lit, 0, 1.6) * lid
    glint = np.zeros(len(chosen), np.float32)
    view = np.array([0, 0, 1], np.float32)
    for lamp, shade_of in zip(light.lamps, light.lamp_colour, strict=True):
        half = (lamp + view) / np.linalg.norm(lamp + view)
        glint += shade_of.mean() * np.clip(normal @ half, 0, 1) ** 260
    colour[chosen] = linear(iris) * lit + 0.75 * glint[:, None]
