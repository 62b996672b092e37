"""Every name the command line knows: one line per entry, imported only when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mecli.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

CORPORA: Mapping[str, str] = {
    "casme2": "mecli.corpora.casme2:Casme2",
    "synth": "mecli.corpora.synth:Synth",
    "sample_data": "mecli.corpora.synth:Synth",
    "samm": "mecli.corpora.samm:Samm",
    "smic": "mecli.corpora.smic:Smic",
    "smic-long": "mecli.corpora.smic_long:SmicLong",
    "casme": "mecli.corpora.casme:Casme",
    "casme-squared": "mecli.corpora.casme_squared:CasmeSquared",
    "casme3": "mecli.corpora.casme3:Casme3",
    "samm-lv": "mecli.corpora.samm_lv:SammLv",
    "mmew": "mecli.corpora.mmew:Mmew",
    "4dme": "mecli.corpora.fourdme:FourDme",
    "dfme": "mecli.corpora.dfme:Dfme",
    "flow-archive": "mecli.corpora.flow_archive:FlowArchive",
}

AUTO = "auto"
"""As a landmarker: the best one whose weights are there."""

LANDMARKERS: Mapping[str, str] = {
    "embedded": "mecli.landmarks.embedded:EmbeddedLandmarker",
    "face-alignment": "mecli.landmarks.face_alignment:FaceAlignmentLandmarker",
    "precomputed": "mecli.landmarks.precomputed:PrecomputedLandmarker",
}

MODELS: Mapping[str, str] = {
    "roi-flow-lstm": "mecli.models.roi_flow_lstm:RoiFlowLstm",
    "roi-flow-ridge": "mecli.models.roi_flow_ridge:RoiFlowRidge",
    "cnn-lstm": "mecli.models.cnn_lstm:CnnLstm",
    "cnn-lstm-se": "mecli.models.cnn_lstm_se:CnnLstmSe",
    "ststnet": "mecli.models.ststnet:StstNet",
    "off-apexnet": "mecli.models.off_apexnet:OffApexNet",
    "dual-inception": "mecli.models.dual_inception:DualInception",
    "rcn-a": "mecli.models.rcn_a:RcnA",
    "sssnet": "mecli.models.sssnet:SssNet",
    "htnet": "mecli.models.htnet:HtNet",
    "flow-svm": "mecli.models.flow_svm:FlowSvm",
    "bi-woof-svm": "mecli.models.bi_woof_svm:BiWoofSvm",
    "lbp-top-svm": "mecli.models.lbp_top_svm:LbpTopSvm",
}

SOLVED = ("roi-flow-ridge", "flow-svm", "bi-woof-svm", "lbp-top-svm")
"""Models whose weights are solved for: no epochs, no draws."""

FLOWS: Mapping[str, str] = {
    "dis": "mecli.flow:dis",
    "farneback": "mecli.flow:farneback",
    "tvl1": "mecli.flow:tvl1",
}

TEMPORAL: Mapping[str, str] = {
    "uniform": "mecli.temporal:uniform_matrix",
    "tim": "mecli.temporal:tim_matrix",
}

HEAD_MOTIONS: Mapping[str, str] = {
    "rigid": "mecli.head_motion:rigid",
    "polynomial": "mecli.head_motion:polynomial",
    "none": "mecli.head_motion:none",
}

MAGNIFICATIONS: Mapping[str, str] = {
    "eulerian": "mecli.magnification:eulerian",
    "lagrangian": "mecli.magnification:lagrangian",
}

SCHEMES: Mapping[str, str] = {
    "megc2019": "mecli.schemes.megc2019:megc2019",
    "megc2019-none": "mecli.schemes.megc2019_none:megc2019_none",
    "megc2018": "mecli.schemes.megc2018:megc2018",
    "emotion5": "mecli.schemes.emotion5:emotion5",
    "emotion": "mecli.schemes.emotion:emotion",
    "au1": "mecli.schemes.au:au1",
    "au2": "mecli.schemes.au:au2",
    "au4": "mecli.schemes.au:au4",
    "au5": "mecli.schemes.au:au5",
    "au6": "mecli.schemes.au:au6",
    "au7": "mecli.schemes.au:au7",
    "au9": "mecli.schemes.au:au9",
    "au10": "mecli.schemes.au:au10",
    "au12": "mecli.schemes.au:au12",
    "au14": "mecli.schemes.au:au14",
    "au15": "mecli.schemes.au:au15",
    "au17": "mecli.schemes.au:au17",
}

PROTOCOLS: Mapping[str, str] = {
    "loso": "mecli.folds:loso",
    "lodo": "mecli.folds:lodo",
    "hde": "mecli.folds:hde",
    "kfold": "mecli.folds:kfold",
    "holdout": "mecli.folds:holdout",
    "all": "mecli.folds:everything",
}

_KINDS: Mapping[str, Mapping[str, str]] = {
    "corpus": CORPORA,
    "landmarker": LANDMARKERS,
    "model": MODELS,
    "flow": FLOWS,
    "temporal normalisation": TEMPORAL,
    "head motion": HEAD_MOTIONS,
    "magnification": MAGNIFICATIONS,
    "label scheme": SCHEMES,
    "protocol": PROTOCOLS,
}


# Names of the field for what is called otherwise here, and would be mistaken for another.
_ELSEWHERE: Mapping[tuple[str, str], str] = {
    ("protocol", "cde"): "the composite evaluation of MEGC 2019 is 'loso' over all its corpora",
    ("label scheme", "au"): "it is au1 to au17 one by one, for `mecli train` alone; name one",
}


def names(kind: str) -> tuple[str, ...]:
    """Return every name that the registry of `kind` knows, in its order."""
    return tuple(_KINDS[kind])


def check_name(kind: str, name: str, also: tuple[str, ...] = ()) -> str:
    """Return `name` if the registry of `kind` knows it, else raise `UnknownName`.

    The message lists `also` too: what the caller takes besides.
    """
    if (kind, name.casefold()) in _ELSEWHERE:
        raise UsageError(f"unknown {kind} '{name}': {_ELSEWHERE[kind, name.casefold()]}")
    if name not in _KINDS[kind]:
        raise UnknownName(kind, name, [*sorted(_KINDS[kind]), *also])
    return name


def load(kind: str, name: str) -> Any:
    """Import and return the entry called `name` of a `kind` such as ``"model"``."""
    module, attribute = _KINDS[kind][check_name(kind, name)].split(":")
    return getattr(import_module(module), attribute)
