"""A share of the work for one of several jobs that know nothing of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mecli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """Every `of`-th item, beginning with item `number`, which counts from 1."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(
                f"--shard is {self}, expected i/n with 1 <= i <= n (of a Slurm job: --array=1-n)"
            )

    def __str__(self) -> str:
        """Return it as it is written on a command line."""
        return f"{self.number}/{self.of}"

    def share(self, items: Sequence[T]) -> list[T]:
        """Return this shard's items; all shards together have each item once."""
        return list(items[self.number - 1 :: self.of])


def parse(text: str) -> Shard:
    """Return the shard in ``3/8``; `UsageError` if it is none."""
    number, slash, of = text.partition("/")
    try:
        if not slash:
            raise ValueError
        return Shard(int(number), int(of))
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"--shard is '{text}', expected i/n as in 3/8") from error
