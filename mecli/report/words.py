"""How the figures of a run came about, in sentences that can stand in a paper."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING

from mecli import registry
from mecli.report.tables import count
from mecli.statistics import RESAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mecli.report.evaluation import RunEvaluation

_PROTOCOLS = {
    "loso": "Leave-one-subject-out: each person is judged by a model that has never seen them",
    "kfold": "Subject-wise folds: nobody is both trained on and tested",
    "holdout": "Hold-out: some subjects are set aside, and nobody is both trained on and tested",
    "lodo": "Leave-one-corpus-out: each corpus is judged by a model that was trained on the others",
    "hde": "Holdout-database evaluation: trained on one corpus and tested on the other, both ways",
}
_SELECTIONS = {
    "last": "The weights of the last epoch count; no held-out clip had a say in them.",
    "inner": "The epoch was chosen on training subjects that were set aside inside each fold; no "
    "held-out clip had a say in it.",
    "oracle": "LEAKED: the held-out subjects picked the epoch, so that no figure is a result.",
}


def names(runs: Sequence[RunEvaluation]) -> list[str]:
    """Return a short name for each run: its model, its file, or what tells it apart."""
    short = [run.model or PurePath(run.source).name or run.source for run in runs]
    if len(set(short)) < len(short):
        each = (
            [run.scheme or "" for run in runs],
            [PurePath(run.folder or run.source).name for run in runs],
        )
        own = next((o for o in each if len(set(o)) == len(o)), [run.source for run in runs])
        short = [
            name if short.count(name) == 1 else f"{name} ({more})"
            for name, more in zip(short, own, strict=True)
        ]
    return [
        f"{name} LEAKED" if run.leaked and "LEAKED" not in name else name
        for name, run in zip(short, runs, strict=True)
    ]


def statement(run: RunEvaluation) -> list[str]:
    """Return sentences on who was scored, by what, how, and over which classes."""
    return [
        *_maker(run),
        _protocol(run),
        _clips(run),
        _classes(run),
        _selection(run),
        _seeds(run),
    ]


def uncertainty(resamples: int = RESAMPLES, seed: int = 0) -> str:
    """Return how the intervals were found."""
    return (
        "Intervals hold 95 % of a percentile bootstrap over subjects "
        f"({resamples} resamples, seed {seed})."
    )


def scored(run: RunEvaluation) -> str:
    """Return how many clips, subjects and corpora were scored."""
    corpora = f"{len(run.by_corpus)} corp{'us' if len(run.by_corpus) == 1 else 'ora'}"
    return f"{count(run.whole.clips, 'clip')} of {count(run.whole.subjects, 'subject')} ({corpora})"


def _maker(run: RunEvaluation) -> list[str]:
    if run.model is None:
        return []
    version = run.header.get("mecli")
    trained = f", trained by mecli {version}" if version else ""
    start = run.header.get("pretrained")
    begun = f", from the weights of {start['checkpoint']}" if start else ""
    return [f"Model {run.model}{trained}{begun}."]


def _protocol(run: RunEvaluation) -> str:
    if run.protocol not in _PROTOCOLS:
        return "The protocol is not stated."
    folds = len(run.header.get("folds", ()))
    return f"{_PROTOCOLS[run.protocol]}{f' ({_folds(folds)})' if folds else ''}."


def _folds(number: int) -> str:
    return count(number, "fold")


def _clips(run: RunEvaluation) -> str:
    left = f"; {run.excluded} left out" if run.excluded else ""
    reasons = Counter(run.header.get("excluded", {}).values()).most_common()
    why = "; ".join(f"{reason}: {times}" for reason, times in reasons)
    return f"Scored are {scored(run)}{left}{f' ({why})' if why else ''}."


def _selection(run: RunEvaluation) -> str:
    if run.model in registry.SOLVED and not run.leaked:
        return "The weights are solved for, without epochs; no held-out clip had a say in them."
    return _SELECTIONS.get(run.selection or "", "How the epoch was chosen is not stated.")


def _classes(run: RunEvaluation) -> str:
    scheme = f" ({run.scheme})" if run.scheme else ""
    return (
        f"Classes{scheme}: {', '.join(run.classes)}. UF1 and UAR are the means of F1 and recall "
        "over these classes, computed once from the confusion matrix pooled over all folds."
    )


def _seeds(run: RunEvaluation) -> str:
    if len(run.seeds) == 1:
        return f"Seed {run.seeds[0]}."
    listed = ", ".join(map(str, run.seeds))
    return f"Seeds {listed}; the ensemble is the mean of their class scores."
