"""Which folds of a run one of several jobs trains that know nothing of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mecli.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mecli.shards import Shard
    from mecli.training.job import FoldTask


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the folds, one fold by its name or number, or that share of its seeds."""

    shard: Shard | None = None
    fold: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all there is."""
        return self.shard is None and self.fold is None

    @property
    def features(self) -> str:
        """The name of the features that this job's workers share; other jobs have their own."""
        if self.is_whole:
            return "features.npy"
        shard = f"-{self.shard.number}of{self.shard.of}" if self.shard else ""
        fold = f"-fold{self.fold.encode().hex()}" if self.fold is not None else ""
        return f"features{shard}{fold}.npy"

    def tasks(self, tasks: Sequence[FoldTask]) -> list[FoldTask]:
        """Return those of `tasks` that belong to the part; `UnknownName` for no such fold."""
        chosen = list(tasks)
        if self.fold is not None:
            chosen = [t for t in tasks if self.fold in (str(t.number), t.name)]
            if not chosen:
                raise UnknownName("fold", self.fold, dict.fromkeys(t.name for t in tasks))
        return self.shard.share(chosen) if self.shard else chosen
