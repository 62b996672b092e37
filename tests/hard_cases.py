"""An evaluation that is hard to show: many classes, corpora and seeds, names that are markup."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mecli.predictions import Prediction
from mecli.report.evaluation import Comparison, Evaluation, Group, RunEvaluation, Sureness
from mecli.report.evidence import Curve, Evidence, Hard, Regions
from mecli.rois import ROI_NAMES
from mecli.schemes.au import SCHEMES
from mecli.statistics import Intervals
from tests.moving_records import record

CLASSES = (
    "anger", "contempt", "disgust", "fear", "happiness", "a <script>alert(1)</script> & such",
    "surprise-that-was-annotated-in-very-many-words",
)  # fmt: skip
CORPORA = ("casme2", "samm", "smic", "casme-squared", "4dme", "a corpus with a rather long name")
LONG = "casme3/" + "spNO.1_the_person_with_a_long_name" * 3 + "/clip_" + "0123456789" * 8
_SCORES = ("uf1", "uar", "accuracy", "macro_precision")


def _group(chance: np.random.Generator, subjects: int, clips: int) -> Group:
    size = len(CLASSES)
    counts = chance.multinomial(clips, (0.4 * np.eye(size) / size + 0.6 / size**2).ravel())
    low, high = np.sort(chance.uniform(0.1, 0.9, 2)).tolist()
    return Group(
        subjects, counts.reshape(size, size), Intervals(dict.fromkeys(_SCORES, (low, high)))
    )


def run(number: int) -> RunEvaluation:
    """Return a run of ten seeds, 40 subjects and six corpora, its epochs chosen inside."""
    chance = np.random.default_rng(number)
    seeds = tuple(range(10))
    excluded = {f"{LONG}-{k}": "no face was found on the onset frame" for k in range(3)}
    return RunEvaluation(
        source=f"/data/of/somebody/who/nests/folders/deeply/runs/2026-{number}-roi-flow-lstm-loso",
        classes=CLASSES,
        seeds=seeds,
        whole=_group(chance, 40, 700),
        by_corpus={name: _group(chance, 7, 110) for name in CORPORA},
        by_subject={f"{CORPORA[k % 6]}/s{k:02d}": _group(chance, 1, 15) for k in range(40)},
        by_seed={seed: _group(chance, 40, 700) for seed in seeds},
        model="roi-flow-lstm",
        protocol="loso",
        scheme="emotion",
        selection="inner",
        excluded=len(excluded),
        sureness=Sureness(0.123, 1.4, 0.045),
        header={"mecli": "0.1.0", "model": "roi-flow-lstm", "folds": [{}] * 40,
                "excluded": excluded, "model_options": {"steps": 16}, "caches": [LONG]},
    )  # fmt: skip


def evidence() -> Evidence:
    """Return three stages of learning, regions of every class and three clips answered wrongly."""
    chance = np.random.default_rng(9)
    losses = np.exp(-np.arange(30) / 8) + chance.uniform(0, 0.1, (40, 30))
    parts = {
        name: dict(zip(ROI_NAMES, chance.dirichlet(np.ones(len(ROI_NAMES))).tolist(), strict=True))
        for name in CLASSES
    }
    said = [
        Prediction(LONG, "s", "casme3", CLASSES[5], CLASSES[6]),
        Prediction("<b>bold</b>", "s", "x", CLASSES[0], CLASSES[1]),
    ]
    shown = record("s1", "c1", 0, steps=8)
    return Evidence(
        tuple(Curve(stage, losses) for stage in ("spatial", "temporal", "head")),
        Regions("weights", parts, dict.fromkeys(CLASSES, 100)),
        (Hard(said[0], 0.97, shown), Hard(said[1], 0.4)),
        ("regions: <i>none</i>",),
        {"spatial": (3, 9, 30, 12), "head": (5, 5, 5, 5)},
    )


def evaluation() -> tuple[Evaluation, tuple[Evidence, ...]]:
    """Return two runs compared: one as it should be, one leaked and of a single fold."""
    first, second = run(0), run(1)
    leaked = replace(
        second, leaked=True, selection="oracle", seeds=(0,), by_seed={0: second.whole},
        header={**second.header, "folds": [{}]},
    )  # fmt: skip
    pair = Comparison(
        2, first.source, second.source, first.whole, second.whole,
        Intervals(dict.fromkeys(_SCORES, (-0.123, 0.004))), leaked=True,
    )  # fmt: skip
    notes = ("2 clips are judged by one run only", f"{LONG}: <u>odd</u>")
    return Evaluation((first, leaked), (pair,), notes), (evidence(), Evidence(missing=("all",)))


def action_units() -> tuple[Evaluation, tuple[Evidence, ...]]:
    """Return four runs, each of which judges one action unit."""
    runs = []
    for number, scheme in enumerate(list(SCHEMES)[:4]):
        whole = Group(40, np.array([[600 - 9 * number, 20], [30, 50 + 9 * number]]))
        runs.append(
            replace(
                run(number), scheme=scheme, protocol="lodo", whole=whole, seeds=(0,),
                classes=(f"without {scheme.upper()}", scheme.upper()), by_seed={0: whole},
                by_corpus=dict.fromkeys(CORPORA, whole), by_subject={"x/s1": whole},
            )
        )  # fmt: skip
    return Evaluation(tuple(runs)), tuple(Evidence() for _ in runs)
