"""Whether what stands in a JSON document is of the kind that a field of a dataclass wants."""

from __future__ import annotations

import math
from typing import Any

_LARGEST_INT = 1 << 63


def fits(value: Any, kinds: str) -> bool:
    """Whether `value` can become what the annotation `kinds` says.

    `kinds` is as it is written: ``int | None``, ``tuple[str, ...]``, ``Mapping[str, float]``.
    A list stands for a tuple, text for a path; numbers are finite, whole ones of 64 bits.
    """
    outer, _, inner = kinds.removesuffix("]").partition("[")
    if outer == "tuple":
        return isinstance(value, list) and all(fits(v, inner.split(",")[0]) for v in value)
    if outer == "Mapping":
        return isinstance(value, dict) and all(
            fits(v, inner.split(", ")[1]) for v in value.values()
        )
    return any(_is(value, kind) for kind in kinds.split(" | "))


def _is(value: Any, kind: str) -> bool:
    if kind == "Any":
        return True
    if kind == "None":
        return value is None
    if kind in {"str", "Path"}:
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool)
    if isinstance(value, int) and not isinstance(value, bool):
        return kind in {"int", "float"} and abs(value) < _LARGEST_INT
    return kind == "float" and isinstance(value, float) and math.isfinite(value)
