"""Action units as movements of the head model, and which of them make which class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mecli.synthesis.head import SKIN, load_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mecli.synthesis.identity import Subject

    Floats = NDArray[Any]

# Action unit (Ekman & Friesen, Facial Action Coding System) → the ARKit and MakeHuman units that
# move the same muscle. `{S}` is Left or Right of the subject, `{s}` the same in lower case.
UNITS: Mapping[int, tuple[tuple[str, float], ...]] = {
    1: (("browInnerUp", 0.5), ("mh:eyebrows-{s}-inner-up", 0.5)),
    2: (("browOuterUp{S}", 0.8), ("mh:eyebrows-{s}-extern-up", 0.25)),
    4: (("browDown{S}", 0.7), ("mh:eyebrows-{s}-down", 0.4)),
    5: (("eyeWide{S}", 1.0),),
    6: (("cheekSquint{S}", 1.0), ("eyeSquint{S}", 0.4)),
    7: (("eyeSquint{S}", 1.0), ("eyeBlink{S}", 0.05)),
    9: (("noseSneer{S}", 1.0), ("mh:nose-{s}-elevation", 0.6), ("mouthUpperUp{S}", 0.15)),
    10: (("mouthUpperUp{S}", 1.0), ("mh:nose-{s}-elevation", 0.25)),
    12: (("mouthSmile{S}", 1.0),),
    14: (("mouthDimple{S}", 1.0),),
    15: (("mouthFrown{S}", 1.0),),
    17: (("mouthShrugLower", 0.5), ("mouthShrugUpper", 0.12)),
    20: (("mouthStretch{S}", 1.0),),
    23: (("mouthRollLower", 0.3), ("mouthRollUpper", 0.2), ("mouthPress{S}", 0.25)),
    24: (("mouthPress{S}", 1.0),),
    25: (("mouthLowerDown{S}", 0.8), ("mouthUpperUp{S}", 0.3), ("jawOpen", 0.02)),
    26: (("jawOpen", 0.5),),
    27: (("jawOpen", 0.5),),
    45: (("eyeBlink{S}", 1.0),),
}  # fmt: skip

CLASSES = ("negative", "positive", "surprise")
_P, _S = "happiness", "surprise"

# Weights and words are a judgement after the criteria of CASME II (Yan et al. 2014,
# 10.1371/journal.pone.0086041), the objective classes of Davison et al. 2018
# (10.3390/jimaging4100119) and the table of MiE-X (Liu et al. 2022, arXiv 2112.01730).
SETS: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    "positive": (
        ("6+12", _P, 4), ("12", _P, 4), ("7+12", _P, 1), ("6+7+12", _P, 1), ("12+25", _P, 1),
    ),
    "surprise": (
        ("1+2", _S, 4), ("1+2+5", _S, 2), ("2", _S, 1), ("1+2+25", _S, 1), ("5+25", _S, 1),
        ("5", _S, 1), ("1+2+5+26", _S, 0.5),
    ),
    "negative": (
        ("4+7", "disgust", 5), ("4", "anger", 3), ("4+5+7", "anger", 1), ("4+7+9", "disgust", 1),
        ("4+7+10", "disgust", 1), ("4+9", "disgust", 1), ("9", "disgust", 1), ("10", "disgust", 1),
        ("14", "contempt", 1), ("15", "repression", 1), ("1+4", "sadness", 1),
        ("17", "repression", 0.7), ("15+17", "repression", 0.5), ("9+10", "disgust", 0.5),
        ("1+15", "sadness", 0.5), ("7+23", "anger", 0.5), ("20", "fear", 0.5),
        ("1+2+4", "fear", 0.5), ("1+2+4+5", "fear", 0.3), ("24", "repression", 0.4),
    ),
}  # fmt: skip
_ONE_SIDED = {12: 0.15, 14: 0.7, 10: 0.2, 9: 0.1, 2: 0.12, 15: 0.1}

DISTRACTORS = ("blink", "nod", "talk", "swallow", "saccade", "still")


class Action(NamedTuple):
    """One action unit; `side` is L or R of the subject, or empty for both."""

    unit: int
    side: str = ""

    def __str__(self) -> str:
        """Return the notation of annotation sheets, such as ``R14``."""
        return f"{self.side}{self.unit}"


def draw_actions(klass: str, rng: Generator) -> tuple[tuple[Action, ...], str]:
    """Return the action units and the emotion word of one movement of a class."""
    choices = SETS[klass]
    weight = np.array([c[2] for c in choices])
    names, emotion, _ = choices[int(rng.choice(len(choices), p=weight / weight.sum()))]
    units = [int(n) for n in names.split("+")]
    side = ""
    if rng.random() < max(_ONE_SIDED.get(u, 0.0) for u in units) * (len(units) == 1):
        side = str(rng.choice(["L", "R"]))
    return tuple(Action(u, side) for u in units), emotion


def weights_of(action: Action, subject: Subject, rng: Generator) -> Floats:
    """Return unit weights (U,) that move the skin by 1 mm at its strongest vertex.

    Sides differ by the subject's own asymmetry and a little anew each time.
    """
    head = load_head()
    weights = np.zeros(len(head.units), np.float32)
    for index, (word, letter) in enumerate((("Right", "R"), ("Left", "L"))):
        if action.side not in ("", letter):
            continue
        strength = subject.gain[index, action.unit] * (1 + rng.normal(0, 0.06))
        for name, share in UNITS[action.unit]:
            at = head.unit_names[name.format(S=word, s=word.lower())]
            weights[at] += share * strength * (1 + rng.normal(0, 0.08))
    return weights / max(peak_mm(weights, subject), 1e-6)


def peak_mm(weights: Floats, subject: Subject) -> float:
    """Return how far the strongest skin vertex moves, mm."""
    used = np.flatnonzero(weights)
    skin = load_head().vertex_part == SKIN
    offset = np.tensordot(weights[used], subject.units[used][:, skin], 1)
    return float(np.linalg.norm(offset, axis=1).max(initial=0.0))
