"""Every verb as a function, with its options and its result; each is loaded when it is asked for.

::

    from mecli import api

    api.extract(["sample_data"], Path("mecli.h5"), api.ExtractOptions(steps=8))

The options are frozen dataclasses with the defaults of the command line. Expected failures
are `mecli.errors.MecliError`.
"""

from __future__ import annotations

from importlib import import_module

_ROOMS = {
    "audit": ("AuditOptions", "audit"),
    "check": ("CheckOptions", "check"),
    "doctor": ("Diagnosis", "DoctorOptions", "doctor"),
    "evaluate": ("EvaluateOptions", "evaluate"),
    "export": ("ExportOptions", "export"),
    "extract": ("ExtractOptions", "ExtractSummary", "extract", "list_clips"),
    "info": ("info",),
    "merge": ("merge_caches",),
    "predict": ("PredictOptions", "predict"),
    "preview": ("PreviewOptions", "preview"),
    "repair": ("repair",),
    "report.answers": ("Answer",),
    "report.audit": ("Audit",),
    "report.check": ("CheckResult",),
    "report.evaluation": ("Evaluation",),
    "spot": ("SpotOptions", "spot"),
    "spot_scores": ("SpotScoreOptions", "score_spots"),
    "synth": ("SynthOptions", "SynthSummary", "synth"),
    "train": ("TrainOptions", "TrainResult", "resume", "train"),
    "verify": ("VerifyOptions", "verify"),
    "zoo": ("ZooOptions", "models"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'mecli.api' has no attribute '{name}'")
    return getattr(import_module(f"mecli.{_ROOM_OF[name]}"), name)
