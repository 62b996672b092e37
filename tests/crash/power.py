"""Cut the power at any moment: replay what work did to the disk, less what was not made to last.

What a disk owes after a cut is what POSIX says and no more (as ALICE has it: Pillai et al., OSDI
2014): a file holds what it held at its last fsync; of later writes all, none, some or zeros. A
name is there if its folder was fsynced since; of later changes of a folder any may be missing.
"""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import PurePosixPath
from random import Random
from typing import TYPE_CHECKING

from mecli.errors import MecliError
from tests.crash.drive import DONE, Scene, Toll
from tests.crash.journal import Event, Journal, Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.victims import Victim

_FINISHED_EVERY = 25


@dataclass(slots=True)
class Disk:
    """What a cut left: folders, names and what the files hold."""

    folders: set[str]
    files: dict[str, bytes]

    def write(self, place: Path) -> None:
        """Make `place` look so."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for folder in sorted(self.folders):
            (place / folder).mkdir(parents=True, exist_ok=True)
        for path, data in self.files.items():
            (place / path).write_bytes(data)


def cut_often(victim: Victim, folder: Path, cuts: int, seed: int = 0) -> Toll:
    """Record `victim` once, then look at what `cuts` cuts leave; some go on to the end."""
    scene, toll, rng = Scene(victim, folder), Toll(), Random(seed)
    scene.begin()
    journal = _journal(scene, folder / "journal")
    for number in range(cuts):
        moment = rng.randrange(len(journal.events) + 1)
        after(journal, moment, rng).write(scene.place)
        told = [e.path for e in journal.events[:moment] if e.kind == "tell"]
        scene.acknowledged = set(told)
        toll.cuts += 1
        toll.acknowledged += len(told)
        try:
            scene.judge()
            if number % _FINISHED_EVERY == 0:
                assert scene.wait(scene.start()) == DONE, scene.words
                scene.ends_alike()
                toll.finished += 1
        except (AssertionError, MecliError) as error:
            last = journal.events[moment - 1] if moment else "the beginning"
            toll.wrong += (f"cut {number} after event {moment}, {last}: {error}",)
    return toll


def _journal(scene: Scene, path: Path) -> Journal:
    """Let the victim do its work in a process that takes down all it does."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            recorder = Recorder(scene.place)
            recorder.start()
            scene.victim.work(scene.home, scene.place, recorder.tell)
            path.write_bytes(pickle.dumps(recorder.journal))
            code = DONE
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == DONE
    journal: Journal = pickle.loads(path.read_bytes())
    return journal


def after(journal: Journal, moment: int, rng: Random) -> Disk:
    """Return one of the disks that a cut after `moment` events may leave."""
    past = journal.events[:moment]
    lasting, share = _lasting(past), rng.choice((0.0, 0.5, 0.9, 1.0))
    kept = [event for k, event in enumerate(past) if k in lasting or rng.random() < share]
    folders, numbers = {".", *journal.folders}, dict(journal.files)
    for event in kept:
        _apply(event, folders, numbers)
    there = {p: n for p, n in numbers.items() if all(f in folders for f in _above(p))}
    folders = {f for f in folders if all(above in folders for above in _above(f))}
    synced: dict[int, int] = {}
    for k, event in enumerate(past):
        if event.kind == "sync":
            synced[event.file] = k
    return Disk(
        folders - {"."},
        {p: _held(journal.contents[n], synced.get(n, -1), moment, rng) for p, n in there.items()},
    )


def _above(path: str) -> list[str]:
    return [folder.as_posix() for folder in PurePosixPath(path).parents]


def _lasting(events: list[Event]) -> set[int]:
    """Return which changes of folders were made to last by syncing that folder later."""
    found, open_changes = set(), list[int]()
    for k, event in enumerate(events):
        if event.kind == "settle":
            mine = [n for n in open_changes if _above(events[n].path)[0] == event.path]
            found |= set(mine)
            open_changes = [n for n in open_changes if n not in mine]
        elif event.kind not in {"sync", "tell"}:
            open_changes.append(k)
    return found


def _apply(event: Event, folders: set[str], numbers: dict[str, int]) -> None:
    if event.kind == "mkdir":
        folders.add(event.path)
    elif event.kind == "rmdir":
        folders.discard(event.path)
    elif event.kind == "unlink":
        numbers.pop(event.path, None)
    elif event.kind in {"make", "rename"}:
        numbers.pop(event.old, None)
        numbers[event.path] = event.file


def _held(versions: list[tuple[int, bytes]], synced: int, moment: int, rng: Random) -> bytes:
    """Return what a file may hold: what was synced, or any mixture with what came later."""
    sure = [data for k, data in versions if k <= synced]
    least = sure[-1] if sure else b""
    later = [data for k, data in versions if synced < k <= moment]
    if not later:
        return least
    latest = rng.choice(later)
    cut = rng.randrange(len(latest) + 1)
    return rng.choice(
        (least, latest, latest[:cut], latest[:cut] + bytes(len(latest) - cut),
         latest[:cut] + least[cut:], bytes(cut) + latest[cut:])
    )  # fmt: skip
