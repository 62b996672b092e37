"""A checkpoint asked about labelled caches: predictions like those of a run, none trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.checkpoints import find
from mecli.errors import InputError
from mecli.predictions import Prediction, PredictionTable
from mecli.runs import Source
from mecli.schemes.megc2019_none import NONE
from mecli.training import dataset, start
from mecli.training.checkpoint import load_checkpoint, scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mecli.training.dataset import Dataset

_WITH_NONE, _WITHOUT = "megc2019-none", "megc2019"
_REMARK = f"no clip shows none, so labels are {_WITHOUT}; --labels {_WITH_NONE} scores none as 0"


def ask(caches: Sequence[Path], name: str, scheme: str | None = None) -> Source:
    """Return what checkpoint `name` says of every clip of `caches` that `scheme` labels.

    Classes of the checkpoint that the scheme does not have cannot be answered: the others
    share their probability. ``bundled`` is the one for what the clips hold. Without
    `scheme` it is the checkpoint's own, less ``none`` if no clip shows that. Raises
    `InputError` if the checkpoint lacks a class of the scheme, or learned from one of the
    people.
    """
    data = dataset.read(caches, scheme or load_checkpoint(find(name)).scheme)
    remark = ""
    if scheme is None and data.table.scheme == _WITH_NONE and not _shows_none(data):
        data, remark = dataset.read(caches, _WITHOUT), _REMARK
    name = start.named(name, data)
    checkpoint = load_checkpoint(find(name))
    start.check_persons(name, checkpoint, data.persons.values())
    classes = data.table.classes
    absent = [c for c in classes if c not in checkpoint.classes]
    if absent:
        raise InputError(
            f"{name}: knows {', '.join(checkpoint.classes)}, but {data.table.scheme} has "
            f"{', '.join(absent)} too; choose another --labels"
        )
    columns = [checkpoint.classes.index(c) for c in classes]
    rows = []
    for record in dataset.records(data):
        shares = scores(checkpoint, [record])[0, columns]
        shares /= shares.sum()
        label = classes[data.table.index[record.clip_id]]
        said = classes[int(shares.argmax())]
        told = tuple(map(float, shares))
        rows.append(
            Prediction(record.clip_id, record.person, record.corpus, label, said, scores=told)
        )
    table = PredictionTable(name, tuple(rows), classes)
    header = {
        "model": checkpoint.model, "classes": list(classes), "scheme": data.table.scheme,
        "excluded": dict(data.excluded), "caches": list(data.fingerprints),
    }  # fmt: skip
    return Source(f"{name} on {', '.join(map(str, caches))}", table, header, remark=remark)


def _shows_none(data: Dataset) -> bool:
    return data.table.classes.index(NONE) in data.table.index.values()
