"""Paint one subject's skin: tone, blood, freckles, pores, lips, brows, beard and hair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.synthesis import chart
from mecli.synthesis.chart import both_sides, bump, grid, noise, smoothstep
from mecli.synthesis.hair import Hair, paint_brows, paint_hair
from mecli.synthesis.wrinkles import draw_wrinkles

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from mecli.synthesis.identity import Looks

    Floats = NDArray[Any]

_TONES = np.array(
    [(240, 205, 188), (228, 182, 155), (206, 152, 119), (172, 118, 84), (122, 78, 54),
     (80, 51, 37), (52, 35, 28)], np.float32,
)  # fmt: skip
_LIPS = (
    (-26.5, 661.2), (-20, 665), (-13, 667.8), (-7.5, 669.3), (-3, 668.6), (0, 667.8), (3, 668.6),
    (7.5, 669.3), (13, 667.8), (20, 665), (26.5, 661.2), (22, 656), (16, 652), (8, 649.3),
    (0, 648.6), (-8, 649.3), (-16, 652), (-22, 656),
)  # fmt: skip


@dataclass(frozen=True)
class Skin:
    """What a renderer needs of one subject's surface, over the sheet of `chart`."""

    albedo: Floats
    """(H, W, 3) linear RGB."""
    relief: NDArray[np.uint8]
    """(H, W, 3): slope sideways, slope upwards (128 = flat, 64 = 1), gloss."""
    wrinkles: dict[str, Floats]
    """Height of each group of creases, mm, at half resolution."""
    hair: Hair
    furrowed: float
    """How deep the creases are at rest, 0..1."""


def linear(srgb: Floats) -> Floats:
    """Return display values 0..255 as linear light 0..1 (gamma 2.2)."""
    return np.asarray((np.asarray(srgb, np.float32) / 255.0) ** 2.2, np.float32)


def tone_colour(tone: float, rng: Generator) -> Floats:
    """Return the linear colour (3,) of skin of the given melanin."""
    at = np.clip(tone, 0, 1) * (len(_TONES) - 1)
    low = min(int(at), len(_TONES) - 2)
    srgb = _TONES[low] + (at - low) * (_TONES[low + 1] - _TONES[low])
    return linear(srgb * (1 + rng.normal(0, 0.022, 3))).astype(np.float32)


def paint_skin(looks: Looks) -> Skin:
    """Paint the sheet of one subject; deterministic in its seed."""
    rng = np.random.default_rng((looks.seed, 202))
    colour = tone_colour(looks.tone, rng)
    pigment, blood = _pigments(looks, rng)
    absorb = pigment[..., None] * np.array([0.35, 0.55, 0.75], np.float32)
    absorb += blood[..., None] * np.array([0.06, 0.62, 0.55], np.float32)
    albedo = colour * np.exp(-absorb)
    height, gloss = _surface(looks, rng)
    albedo, height, gloss = _lips(albedo, height, gloss, rng)
    hair = paint_hair(looks, rng)
    albedo = _cover(albedo, _beard(looks, hair, rng), hair.colour)
    grey = hair.brow_colour.mean() > 0.15
    brow = hair.brow_colour if grey else np.minimum(hair.brow_colour, 0.5 * colour)
    albedo = _cover(albedo, paint_brows(looks, hair, rng), brow)
    albedo = _cover(albedo, hair.cover, hair.colour, hair.strands)
    height += hair.cover * hair.strands * 0.35
    gloss = gloss * (1 - hair.cover) + 0.35 * hair.cover
    return Skin(
        albedo, _slopes(height, gloss), draw_wrinkles(rng), hair,
        float(np.clip(looks.age * 0.8 + rng.normal(0.05, 0.08), 0.02, 0.9)),
    )  # fmt: skip


def _cover(albedo: Floats, cover: Floats, colour: Floats, shade: Floats | None = None) -> Floats:
    paint = colour if shade is None else colour * (1 + 0.45 * shade[..., None])
    a = cover[..., None]
    return np.asarray(albedo * (1 - a) + np.clip(paint, 0, 1) * a, np.float32)


def _pigments(looks: Looks, rng: Generator) -> tuple[Floats, Floats]:
    """Return melanin and blood (H, W) beyond the mean tone."""
    uneven = rng.uniform(0.4, 1.2)
    pigment = uneven * (0.05 * noise(rng, 22) + 0.035 * noise(rng, 7) + 0.03 * noise(rng, 1.6))
    pigment += rng.uniform(0, 0.35) * both_sides(30, 719, 11, 5)
    pigment += rng.uniform(0, 0.18) * both_sides(30, 739, 13, 5)
    pigment += _spots(looks, rng)
    flush = rng.uniform(0.05, 0.45) * (1 - 0.6 * looks.tone)
    blood = flush * (
        1.1 * both_sides(42, 690, 15, 13) + 1.2 * bump(0, 690, 12, 9) + 0.5 * bump(0, 625, 14, 9)
    )
    blood += 0.25 * both_sides(17, 687, 5, 6) + 0.12 * both_sides(30, 737, 14, 4)
    blood += uneven * (0.07 * noise(rng, 11) + 0.06 * noise(rng, 3) + 0.05 * noise(rng, 1.1))
    return pigment.astype(np.float32), blood.astype(np.float32)


def _spots(looks: Looks, rng: Generator) -> Floats:
    """Freckles, a few moles, and age spots."""
    image = np.zeros(chart.SIZE, np.float32)
    freckled = rng.random() < 0.45 * (1 - looks.tone)
    count = int(rng.integers(60, 420)) if freckled else int(rng.integers(0, 25))
    u = rng.normal(0, 38, count)
    v = rng.normal(702, 22, count)
    size = rng.uniform(0.3, 0.9, count)
    dark = rng.uniform(0.1, 0.5, count)
    moles = int(rng.poisson(2.2))
    u = np.append(u, rng.uniform(-65, 65, moles))
    v = np.append(v, rng.uniform(615, 790, moles))
    size = np.append(size, rng.uniform(0.6, 1.5, moles))
    dark = np.append(dark, rng.uniform(0.7, 1.8, moles))
    places = np.rint(chart.to_pixels(np.stack([u, v], 1)) * 16).astype(np.int32)
    for place, radius, value in zip(places, size, dark, strict=True):
        reach = int(radius * chart.PX_PER_MM * 16)
        cv2.circle(image, place.tolist(), reach, float(value), -1, cv2.LINE_8, 4)
    return cv2.GaussianBlur(image, (0, 0), 0.9)


def _surface(looks: Looks, rng: Generator) -> tuple[Floats, Floats]:
    """Return pores and fine lines as height (mm), and gloss (H, W)."""
    coarse = 0.35 + 0.65 * (both_sides(22, 690, 18, 14) + bump(0, 690, 14, 14))
    pores = np.minimum(noise(rng, 0.75), 0.2) * coarse
    fine = noise(rng, 1.7) * 0.5 + noise(rng, 4.0) * 0.6
    depth = rng.uniform(0.03, 0.065) * (0.7 + 0.8 * looks.age)
    oily = rng.uniform(0.15, 0.75)
    gloss = 0.28 + oily * (0.4 * bump(0, 775, 26, 20) + 0.6 * bump(0, 700, 7, 22))
    gloss += oily * 0.25 * both_sides(38, 705, 12, 9) + 0.05 * noise(rng, 3.0)
    return (pores + fine) * depth, np.clip(gloss, 0.05, 1).astype(np.float32)


def _lips(
    albedo: Floats, height: Floats, gloss: Floats, rng: Generator
) -> tuple[Floats, Floats, Floats]:
    u, _ = grid()
    fuller = rng.normal(0, 0.5)
    points = [(x * 1.01, 661 + (y - 661) * (1 + 0.06 * fuller)) for x, y in _LIPS]
    mask = chart.polygon(points, rng.uniform(0.45, 0.9)) * np.float32(rng.uniform(0.75, 1.0))
    painted = rng.random() < 0.15
    redness = rng.uniform(0.35, 0.75) + (rng.uniform(0.4, 0.9) if painted else 0)
    tint = np.exp(-np.array([0.18, 0.85, 0.7]) * redness * (1 + 0.1 * rng.normal(0, 1, 3)))
    tint = tint.astype(np.float32)
    lines = noise(rng, 0.9, 6.0)
    lips = albedo * tint * (1 + 0.05 * lines[..., None])
    seam = chart.bump(0, 661, 24, 0.9) * (np.abs(u) < 27)
    lips = lips * (1 - np.float32(0.45) * seam[..., None])
    height = height * (1 - 0.6 * mask) + mask * lines * 0.07
    gloss = gloss * (1 - mask) + mask * rng.uniform(0.35, 0.8)
    blend = mask[..., None]
    return (albedo * (1 - blend) + lips * blend).astype(np.float32), height, gloss


def _beard(looks: Looks, hair: Hair, rng: Generator) -> Floats:
    """Return the cover of beard shadow, stubble or a full beard."""
    if not looks.male or rng.random() < 0.25:
        return np.zeros(chart.SIZE, np.float32)
    u, v = grid()
    edge = noise(rng, 6) * 2.5
    jaw = smoothstep(v + edge, 668, 650) * smoothstep(np.abs(u) + edge, 20, 34)
    chin = smoothstep(v + edge, 652, 640) + 0 * u
    sides = smoothstep(np.abs(u) + edge, 70, 84) * smoothstep(v, 725, 700)
    lip = bump(0, 674.5, 16, 3.4)
    where = np.maximum.reduce([jaw, chin, sides * 1.0, lip]) * smoothstep(v, 592, 612)
    where = where * (1 - chart.polygon(list(_LIPS), 0.8))
    kind = rng.random()
    grain = smoothstep(noise(rng, 0.55, 1.6), -0.2, 1.4)
    if kind < 0.6:
        return np.asarray(where * (rng.uniform(0.05, 0.22) + rng.uniform(0, 0.3) * grain), "f4")
    return np.asarray(where * np.clip(rng.uniform(0.25, 0.5) + 0.6 * grain, 0, 0.9), "f4")


def _slopes(height: Floats, gloss: Floats) -> NDArray[np.uint8]:
    out = np.empty((*chart.SIZE, 3), np.uint8)
    step = chart.PX_PER_MM / 8.0
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) * step
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) * step
    out[..., 0] = np.clip(128 + 64 * across, 0, 255)
    out[..., 1] = np.clip(128 - 64 * down, 0, 255)
    out[..., 2] = np.clip(255 * gloss, 0, 255)
    return out
