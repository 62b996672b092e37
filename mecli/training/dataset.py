"""The labelled clips of some caches, and their features by one model."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.cache import open_cache
from mecli.errors import InputError
from mecli.labels import Annotation, apply_scheme
from mecli.records import ARRAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.labels import LabelTable
    from mecli.records import ClipRecord


@dataclass(frozen=True, slots=True)
class Dataset:
    """Clips that have a class, sorted by clip id, and all others with the reason why not."""

    clips: tuple[ClipRecord, ...]
    """Without their arrays."""
    table: LabelTable
    cache_of: Mapping[str, Path]
    excluded: Mapping[str, str]
    fingerprints: tuple[dict[str, Any], ...]
    """Path, fingerprint and extraction options of each cache."""

    @property
    def clip_ids(self) -> tuple[str, ...]:
        """The ids of `clips`."""
        return tuple(r.clip_id for r in self.clips)

    @property
    def labels(self) -> tuple[int, ...]:
        """The class position of each of `clips`."""
        return tuple(self.table.index[c] for c in self.clip_ids)

    @property
    def persons(self) -> dict[str, str]:
        """Clip id → ``corpus/subject``."""
        return {r.clip_id: r.person for r in self.clips}


def read(caches: Sequence[Path], scheme: str) -> Dataset:
    """Label the clips of `caches` by `scheme`; whoever is left out is told with the reason.

    Raises `InputError` if a clip id is in two caches or no clip has a class.
    """
    found: dict[str, ClipRecord] = {}
    cache_of: dict[str, Path] = {}
    fingerprints: list[dict[str, Any]] = []
    for path in caches:
        with open_cache(path) as cache:
            fingerprints.append(
                {"path": str(path), "fingerprint": cache.fingerprint(), "options": cache.options}
            )
            if cache.options != fingerprints[0]["options"]:
                raise InputError(
                    f"{path}: extracted with {cache.options}, but {caches[0]} with "
                    f"{fingerprints[0]['options']}; extract both with the same options"
                )
            for record in cache.summaries():
                clip = record.clip_id
                if clip in cache_of:
                    raise InputError(
                        f"{path}: clip {clip} is in {cache_of[clip]} too; name one of them"
                    )
                cache_of[clip], found[clip] = path, record
    good = [r for r in found.values() if r.ok]
    failed = {c: f"extraction failed: {r.reason}" for c, r in found.items() if not r.ok}
    table = apply_scheme(scheme, (Annotation(r.clip_id, r.corpus, r.labels) for r in good))
    if not table.index:
        reasons = Counter(table.excluded.values()).most_common(1)
        why = f"{len(failed)} failed in extraction"
        why += f", {reasons[0][1]}: {reasons[0][0]}" if reasons else ""
        raise InputError(
            f"{caches[0]}: none of {len(found)} clips has a class of '{scheme}' ({why}); choose "
            f"another --labels, `mecli info {caches[0]}` counts their classes"
        )
    return Dataset(
        clips=tuple(found[c] for c in sorted(table.index)),
        table=table,
        cache_of=cache_of,
        excluded=dict(sorted({**failed, **table.excluded}.items())),
        fingerprints=tuple(fingerprints),
    )


def features(dataset: Dataset, model: Any, options: Any) -> Iterator[NDArray[np.generic]]:
    """Yield the features of each clip of `dataset` in its order, each from that clip alone.

    Raises `InputError` for NaN and for clips whose features differ in shape.
    """
    shape: tuple[int, ...] | None = None
    for record in records(dataset):
        values = _features(record, model, options)
        shape = shape or values.shape
        if values.shape != shape:
            raise InputError(
                f"clip {record.clip_id}: features {values.shape}, but other clips have {shape}; "
                "extract all clips with the same options"
            )
        if not np.isfinite(values).all():
            raise InputError(f"clip {record.clip_id}: NaN in its features; extract it anew")
        yield values


def kinds(dataset: Dataset) -> set[bool]:
    """Return whether clips came as flow images (True), as faces (False), or both."""
    return {record.holds_flow for record in dataset.clips}


def mixed(dataset: Dataset) -> str:
    """Say that some clips came as flow images and some as faces, nothing if all came alike."""
    count = len(dataset.clips)
    maps = sum(record.holds_flow for record in dataset.clips)
    if maps in {0, count}:
        return ""
    return (
        f"{maps} of {count} clips came as flow images, {count - maps} as faces: a clip that is "
        "there both ways counts twice, and no checkpoint that ships fits both"
    )


def moments(dataset: Dataset) -> int:
    """Return how many moments of motion the clips show at most: their steps after the onset."""
    return max(1, *(len(record.steps) - 1 for record in records(dataset, ("steps",))))


def _features(record: ClipRecord, model: Any, options: Any) -> NDArray[np.generic]:
    try:
        values: NDArray[np.generic] = model.features(record, options)
    except InputError as error:
        if record.clip_id in str(error):
            raise
        raise InputError(f"clip {record.clip_id}: {error}") from error
    return values


def records(dataset: Dataset, arrays: Sequence[str] = ARRAYS) -> Iterator[ClipRecord]:
    """Yield records with some of their `arrays` by clip id, each cache opened once."""
    with ExitStack() as stack:
        paths = sorted(set(dataset.cache_of.values()))
        caches = {path: stack.enter_context(open_cache(path)) for path in paths}
        for clip in dataset.clip_ids:
            yield caches[dataset.cache_of[clip]].record(clip, arrays)
