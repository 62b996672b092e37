"""The verb ``info``: what a cache holds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from mecli import registry
from mecli.cache import open_cache, waiting_keys
from mecli.caches import expand_caches
from mecli.errors import InputError
from mecli.labels import Annotation, apply_scheme
from mecli.report.caches import CacheInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mecli.records import ClipRecord


def info(named: Sequence[str | Path], *, stdin: TextIO | None = None) -> list[CacheInfo]:
    """Return what each cache holds; no array is read."""
    return [_info(path) for path in expand_caches(named, stdin)]


def _info(path: Path) -> CacheInfo:
    with open_cache(path) as cache:
        records = list(cache.summaries())
        good = [record for record in records if record.ok]
        return CacheInfo(
            path=path,
            size_bytes=path.stat().st_size,
            waiting=len(waiting_keys(path)),
            fingerprint=cache.fingerprint(),
            options=cache.options,
            clips=len(good),
            subjects=len({record.person for record in good}),
            corpora=dict(sorted(Counter(record.corpus for record in good).items())),
            classes=_classes(good),
            failures={record.clip_id: record.reason for record in records if not record.ok},
            odd={record.clip_id: record.issues for record in good if record.issues},
            estimated={
                moment: sum(getattr(record, f"{moment}_estimated") for record in good)
                for moment in ("onset", "apex", "offset")
            },
            quality=_quality(good),
        )


def _classes(records: Iterable[ClipRecord]) -> dict[str, dict[str, int]]:
    """Return clips per class of every label scheme that fits these labels."""
    annotations = [Annotation(r.clip_id, r.corpus, r.labels) for r in records]
    found = {}
    for scheme in registry.names("label scheme"):
        try:
            table = apply_scheme(scheme, annotations)
        except InputError:
            continue
        if table.index:
            counts = Counter(table.index.values())
            found[scheme] = {name: counts[i] for i, name in enumerate(table.classes)}
    return found


def _quality(records: Sequence[ClipRecord]) -> dict[str, dict[str, float]]:
    """Return median, 5 % and 95 % of each measure of quality."""
    values: dict[str, list[Any]] = {}
    for record in records:
        for name, value in record.quality.items():
            values.setdefault(name, []).append(value)
    spread = {name: np.quantile(v, (0.05, 0.5, 0.95)) for name, v in sorted(values.items())}
    return {
        name: {"median": float(q[1]), "low": float(q[0]), "high": float(q[2])}
        for name, q in spread.items()
    }
