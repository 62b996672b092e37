"""A cache read in a process of its own: HDF5 is C, and a file may be made to crash it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import guard
from mecli.cache.reading import Reader
from mecli.labels import Annotation
from mecli.records import ARRAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mecli.records import ClipRecord


class Cache:
    """A cache opened for reading; a context manager.

    Raises `InputError` on anything odd, and if the file crashes or holds up its reader.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = guard.Guarded(lambda: Reader(path), str(path), guard.patience_s([path]))
        self.options: Mapping[str, Any] = self._reader.ask("__getattribute__", "options")
        self.clip_ids: tuple[str, ...] = self._reader.ask("__getattribute__", "clip_ids")
        """All clip ids, failed ones included, sorted."""

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def key(self, clip_id: str) -> str:
        """Return the digest under which `clip_id` was extracted."""
        return str(self._reader.ask("key", clip_id))

    def fingerprint(self) -> str:
        """Return a digest of everything in the cache that training can see."""
        return str(self._reader.ask("fingerprint"))

    def annotations(self) -> list[Annotation]:
        """Return clip id, corpus and labels of every clip that did not fail."""
        return [Annotation(r.clip_id, r.corpus, r.labels) for r in self.summaries() if r.ok]

    def summaries(self) -> Iterator[ClipRecord]:
        """Yield every record without its arrays, by clip id."""
        return map(self.summary, self.clip_ids)

    def summary(self, clip_id: str) -> ClipRecord:
        """Return the record of `clip_id` without its arrays."""
        return self._record("summary", clip_id)

    def record(self, clip_id: str, names: Iterable[str] = ARRAYS) -> ClipRecord:
        """Return the record of `clip_id` with its arrays `names`; flow is in float32 pixels."""
        return self._record("record", clip_id, tuple(names))

    def records(self, clip_ids: Iterable[str] | None = None) -> Iterator[ClipRecord]:
        """Yield whole records by clip id, of `clip_ids` or of every clip that did not fail."""
        for record in map(self.record, self.clip_ids if clip_ids is None else clip_ids):
            if record.ok or clip_ids is not None:
                yield record

    def check(self, clip_id: str) -> ClipRecord:
        """Return the whole record of `clip_id`; `InputError` if one bit of it has changed."""
        return self._record("check", clip_id)

    def _record(self, method: str, *given: object) -> ClipRecord:
        record: ClipRecord = self._reader.ask(method, *given)
        return record


def open_cache(path: str | Path) -> Cache:
    """Open the cache at `path` for reading."""
    return Cache(Path(path))
