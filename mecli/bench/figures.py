"""How the benches write down what they measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def mib(size: int) -> int:
    """Return `size` bytes in whole MiB."""
    return round(size / (1 << 20))


def shares(stages_s: Mapping[str, float]) -> dict[str, float]:
    """Return each stage's share of the time spent in all, by name."""
    total = sum(stages_s.values()) or 1.0
    return {name: round(seconds / total, 3) for name, seconds in sorted(stages_s.items())}
