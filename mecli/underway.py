"""How far tasks in workers have come: each says it by the size of a file, its note."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    Progress = Callable[[float, int, str, Mapping[str, float]], None]
    """Is told how many tasks are done, parts of tasks included, of how many, the latest one's
    name, and of each that is under way which share of it is done."""

_WHOLE = 100
_LISTEN_S = 0.5


def note_share(note: Path | None, share: float) -> None:
    """Write into the file `note`, if there is one, that `share` (0 to 1) of a task is done."""
    if note is not None:
        note.write_bytes(bytes(int(_WHOLE * share)))


class Underway:
    """Reads the notes of tasks called `names` twice a second, and tells `progress` of them."""

    def __init__(self, names: Sequence[str], progress: Progress) -> None:
        self._names, self._progress = names, progress
        self._folder = tempfile.TemporaryDirectory(prefix="mecli-underway-")
        self.notes = [Path(self._folder.name) / str(place) for place in range(len(names))]
        """Where each task may say how far it is."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._done: set[int] = set()

    def __enter__(self) -> Underway:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._folder.cleanup()

    def finish(self, place: int) -> None:
        """Tell that task number `place` is over, whatever its note says."""
        self._done.add(place)
        self._tell(self._names[place])

    def _listen(self) -> None:
        while not self._over.wait(_LISTEN_S):
            notes = sorted(Path(self._folder.name).iterdir(), key=lambda p: p.stat().st_mtime)
            if notes:
                self._tell(self._names[int(notes[-1].name)])

    def _tell(self, latest: str) -> None:
        shares = {
            self._names[place]: min(note.stat().st_size / _WHOLE, 1.0)
            for place, note in enumerate(self.notes)
            if place not in self._done and note.exists()
        }
        done = len(self._done) + sum(shares.values())
        self._progress(done, len(self._names), latest, shares)
