"""What a subject wears and what is not skin: clothes, eyes, lashes, teeth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.synthesis.head import SKIN, load_head
from mecli.synthesis.raster import Fragments, interpolate

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from mecli.synthesis.identity import Looks
    from mecli.synthesis.render import Actor

    Floats = NDArray[Any]

_IRIS = np.array(
    [(58, 36, 22), (86, 54, 30), (112, 78, 40), (96, 100, 62), (84, 112, 116), (96, 128, 156)],
    np.float32,
)
_CURTAIN = 6


@dataclass(frozen=True)
class Outfit:
    """Colours are linear RGB (3,)."""

    cloth: Floats
    second: Floats
    neck: tuple[float, float]
    """Height of the neckline in the middle and its rise per mm sideways."""
    stripe_mm: float
    lash: float
    teeth: Floats
    eye: NDArray[np.uint8]
    """(128, 128, 3) sRGB, 5 px a mm, the pupil in the middle."""

    def dress(
        self, colour: Floats, value: Floats, actor: Actor, fragments: Fragments,
        part: NDArray[np.int8],
    ) -> None:  # fmt: skip
        """Repaint cloth and the hair that hangs behind the head."""
        lit = value[:, 2:5]
        hanging = part == _CURTAIN
        if hanging.any():
            strand = np.sin(value[hanging, 0] * 1.9 + 3 * np.sin(value[hanging, 0] * 0.37))
            strand = strand + 0.7 * np.sin(value[hanging, 0] * 0.71 + value[hanging, 1] * 0.02)
            hair = actor.skin.hair.colour * (1 + 0.28 * strand[:, None])
            colour[hanging] = lit[hanging] * hair
        head = load_head()
        chosen = np.flatnonzero(actor.low[fragments.triangle] & (part == SKIN))
        if not len(chosen):
            return
        some = Fragments(
            fragments.pixel[chosen], fragments.triangle[chosen], fragments.weight[:, chosen]
        )
        place = np.concatenate([head.vertices, actor.curtain.vertices]).astype(np.float32)
        at = interpolate(place, actor.faces, some)
        edge = self.neck[0] + self.neck[1] * np.abs(at[:, 0])
        cover = np.clip((edge - at[:, 1]) / 1.0, 0, 1)[:, None]
        weave = 1 + 0.05 * np.sin(at[:, 0] * 4.1) * np.sin(at[:, 1] * 4.3)
        cloth = np.where(
            (at[:, 1:2] % self.stripe_mm < 0.4 * self.stripe_mm) & (self.stripe_mm < 60),
            self.second, self.cloth,
        )  # fmt: skip
        hem = np.clip(1 - np.abs(edge - at[:, 1] - 5) / 1.2, 0, 1)[:, None]
        dressed = lit[chosen] * cloth * weave[:, None] * (1 - 0.25 * hem)
        colour[chosen] = colour[chosen] * (1 - cover) + dressed * cover


def make_outfit(looks: Looks) -> Outfit:
    """Draw clothes, eye colour, lashes and teeth."""
    rng = np.random.default_rng((looks.seed, 303))
    dark = looks.tone > 0.45 or rng.random() < 0.4
    pick = int(rng.integers(0, 2)) if dark else int(rng.integers(1, len(_IRIS)))
    cloth, second = (rng.uniform(0.02, 0.6, 3) * rng.uniform(0.3, 1.0) for _ in range(2))
    return Outfit(
        cloth.astype(np.float32), second.astype(np.float32),
        (float(rng.uniform(535, 572)), float(rng.uniform(0.1, 0.55))),
        float(rng.choice([12.0, 26.0, 99.0, 99.0, 99.0])),
        float(rng.uniform(0.35, 0.75) * (1.0 if looks.male else 1.25)),
        np.array([0.62, 0.56, 0.46], np.float32) * float(rng.uniform(0.8, 1.1)),
        _paint_eye(_IRIS[pick] * (1 + rng.normal(0, 0.1)), rng),
    )  # fmt: skip


def _paint_eye(iris: Floats, rng: Generator) -> NDArray[np.uint8]:
    y, x = (np.mgrid[0:128, 0:128].astype(np.float32) - 64) / 5.0
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    sclera = np.array([222, 214, 208], np.float32) * rng.uniform(0.88, 1.0)
    veins = cv2.resize(rng.standard_normal((24, 24)).astype(np.float32), (128, 128))
    redden = np.clip(r / 13, 0, 1) ** 2 * rng.uniform(0.1, 0.35)
    white = sclera * (1 - redden[..., None] * np.array([0.12, 0.45, 0.45]))
    white = white * (1 - 0.02 * np.abs(veins)[..., None] * np.array([0, 1, 1]))
    size = rng.uniform(5.5, 6.2)
    phase = rng.uniform(0, 6.28, 3)
    fibre = sum(np.sin(angle * n + p + r) for n, p in zip((23, 41, 67), phase, strict=True)) / 3
    t = np.clip(r / size, 0, 1)
    tint = iris * (0.5 + 0.55 * t + 0.16 * fibre)[..., None]
    tint += np.exp(-(((t - 0.45) / 0.12) ** 2))[..., None] * iris * 0.25
    tint *= (1 - 0.65 * np.clip((t - 0.8) / 0.2, 0, 1))[..., None]
    pupil = rng.uniform(1.7, 2.7)
    tint *= np.clip((r - pupil) / 0.4, 0.06, 1)[..., None]
    edge = np.clip((size - r) / 0.5 + 0.5, 0, 1)[..., None]
    return np.asarray(np.clip(white * (1 - edge) + tint * edge, 0, 255), np.uint8)
