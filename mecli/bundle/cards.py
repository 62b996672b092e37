"""What the checkpoints that ship say of themselves, and what they scored on real faces."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mecli.checkpoints import FACES, MAPS
from mecli.recipe import Recipe
from mecli.synth import GENERATOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mecli.bundle.recipe import BundleOptions

CHECKED: dict[str, dict[str, str]] = {
    MAPS: {
        "real": "flow images of CASME II and SMIC from MEGC 2019, 309 clips of 40 subjects, three "
        "classes: UF1 0.798 (95 % over subjects 0.716 to 0.884), UAR 0.828; CASME II 0.893, SMIC "
        "0.709",
        "not_independent": "the window of the drawn images was read off the mean motion per class "
        "of these same real ones; six settings of drawing and training were scored on them while "
        "this one was made (UF1 0.761 to 0.799, two or three seeds each, no seed was picked), "
        "then six seeds of it alone (mean 0.790, UAR 0.822), averaged in twos to sixes (0.795 to "
        "0.796), six averages of weights on the way (0.787 to 0.791), and with a prior half-way to "
        "the class frequencies of MEGC 2019 (0.786); some sixty of other networks and kernel "
        "machines before",
        "synthetic": "59 clips of another generator, each drawn as four flow images: three "
        "classes UF1 0.960, four classes 0.907 right",
    },
    FACES: {
        "real": "no video. Flow images of CASME II and SMIC from MEGC 2019, which are for the "
        "other checkpoint, 309 clips of 40 subjects, three classes: UF1 0.758 (95 % over "
        "subjects 0.671 to 0.846), UAR 0.782; CASME II 0.904, SMIC 0.630",
        "not_independent": "the window of the images it shares with bundled-maps was read off "
        "these same real ones; ten settings of its training were scored on them, cut to the face "
        "(UF1 0.695 to 0.752), and this one was taken for its attribution and for clips of "
        "another generator",
        "synthetic": "48 clips of another generator with annotated onset and apex, three classes: "
        "UF1 0.979; 8 of its clips without an expression: 5 were called none",
    },
}
"""What the checkpoints that ship scored on data they were not trained on; to be measured anew."""


def card(name: str, options: BundleOptions, clips: Sequence[int], right: float) -> dict[str, Any]:
    """Return what checkpoint `name` says about itself; `CHECKED` holds for the defaults only.

    `clips` are how many were made for it, and how many it borrowed of the other.
    """
    told = {k: v for k, v in asdict(options).items() if k != "jobs"}
    usual = type(options)(jobs=options.jobs)
    return {
        **(_of_maps if name == MAPS else _of_faces)(options, clips),
        "generator": GENERATOR,
        "recipe": told,
        "held_out_synthetic_accuracy": round(right, 4),
        "checked_on": CHECKED[name] if options == usual else {},
        "intended_use": "a first answer where nobody has trained a model yet, and a start for "
        "training; research on recorded faces",
        "caches": [{"path": "none", "fingerprint": "", "options": Recipe().as_options()}],
        "clips": sum(clips),
        "protocol": "all",
    }


def _of_faces(options: BundleOptions, clips: Sequence[int]) -> dict[str, Any]:
    return {
        "trained_on": f"synthetic faces only: {clips[0]} pairs of {options.identities} identities, "
        "rendered, compressed and extracted like any clip (every tenth identity for calibration "
        f"only), and {sum(clips[1:])} of the images that bundled-maps learned from; no real clip",
        "calibrated_on": "rendered identities that trained nothing",
        "for": "faces; of flow images bundled-maps is asked",
        "limits": "it tells four classes of facial movement apart, not what somebody feels; not "
        "for decisions about people; no real video has been judged by it with known truth; low "
        "bit rates and slow cameras make it wrong",
        "persons": [
            *(f"bundle/i{k}" for k in range(options.identities)),
            *(f"bundle/m{k}" for k in range(options.map_identities)),
        ],
    }


def _of_maps(options: BundleOptions, clips: Sequence[int]) -> dict[str, Any]:
    return {
        "trained_on": f"the exact motion of synthetic heads only: {clips[0]} flow images of "
        f"{options.map_identities} identities, {options.views} of each movement (every tenth "
        "identity for calibration only); no real clip",
        "calibrated_on": "drawn identities that trained nothing",
        "for": "ready-made flow images as archives of MEGC 2019 hold them; of faces bundled-faces "
        "is asked",
        "limits": "it tells four classes of facial movement apart, not what somebody feels; not "
        "for decisions about people; images of another window or another scaling make it wrong",
        "persons": [f"bundle/m{k}" for k in range(options.map_identities)],
    }
