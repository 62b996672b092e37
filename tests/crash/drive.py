"""Begin work in a process of its own, kill it at a random moment, judge, begin again."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from mecli.errors import MecliError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.crash.victims import Victim

DONE, REFUSED, WRONG = 0, 3, 1


@dataclass(slots=True)
class Toll:
    """How often one victim was killed, finished all the same, and what was wrong."""

    kills: int = 0
    cuts: int = 0
    finished: int = 0
    refused: int = 0
    acknowledged: int = 0
    wrong: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in words."""
        told = f"{self.kills} kills, " if self.kills else ""
        told += f"{self.cuts} power cuts, " if self.cuts else ""
        told += f"{self.refused} refusals, " if self.refused else ""
        lost = "; ".join(self.wrong) or "nothing lost, nothing unreadable"
        return f"{told}{self.acknowledged} acknowledged, {self.finished} finished alike; {lost}"


class Scene:
    """One victim in a folder of its own, and how it ends when nobody disturbs it."""

    def __init__(self, victim: Victim, folder: Path, disk: Path | None = None) -> None:
        self.victim = victim
        self.home, self.place = folder / "home", (disk or folder) / "place"
        self.words = ""
        self.acknowledged: set[str] = set()
        self._heard: tuple[int, int] | None = None
        self.home.mkdir(parents=True)
        victim.prepare(self.home)
        self.begin()
        start = time.perf_counter()
        assert self.wait(self.start()) == DONE, self.words
        self.duration_s = time.perf_counter() - start
        self.reference = victim.result(self.place)

    def begin(self) -> None:
        """Forget all earlier attempts."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        self.acknowledged.clear()
        self.victim.begin(self.home, self.place)

    def start(self, before: Callable[[], None] = lambda: None) -> int:
        """Begin in a process that leads its own group; return its id."""
        # Pipes: what was said before a kill, or on a full disk, is heard all the same.
        words, acks = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            self._live(before, words[1], acks[1])
        os.close(words[1])
        os.close(acks[1])
        self._heard = (words[0], acks[0])
        return pid

    def _live(self, before: Callable[[], None], words: int, acks: int) -> None:
        os.dup2(words, 1)
        os.dup2(words, 2)
        code = WRONG

        def acknowledge(what: str) -> None:
            os.write(acks, f"{what}\n".encode())

        try:
            before()
            self.victim.work(self.home, self.place, acknowledge)
            code = DONE
        except MecliError as error:
            os.write(2, f"{error}\n".encode())
            code = error.exit_code
        except BaseException:  # noqa: BLE001 - told and judged by the parent
            traceback.print_exc(file=sys.stderr)
            sys.stderr.flush()
        finally:
            os._exit(code)

    def wait(self, pid: int) -> int:
        """Return the exit code of `pid`, negative for a signal."""
        return self.ended(os.waitpid(pid, 0)[1])

    def ended(self, status: int) -> int:
        """Take in what a process said that ended with `status`; return its exit code."""
        assert self._heard is not None
        self.words, told = map(_drained, self._heard)
        self.acknowledged |= set(told.splitlines())
        self._heard = None
        return os.waitstatus_to_exitcode(status)

    def judge(self) -> None:
        """Raise if what lies there is not what it has to be."""
        self.victim.judge(self.place, self.acknowledged)

    def ends_alike(self) -> None:
        """Raise if the finished work differs from that of nobody disturbed."""
        self.judge()
        found = self.victim.result(self.place)
        odd = sorted(n for n in {*found, *self.reference} if found.get(n) != self.reference.get(n))
        assert not odd, f"{', '.join(odd)} differ from an undisturbed run"


def _drained(pipe: int) -> str:
    """Return what is in `pipe`, which may still be open in a process that dies just now."""
    os.set_blocking(pipe, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(pipe, 1 << 16):
            data += piece
    os.close(pipe)
    return data.decode(errors="replace")


def kill_often(victim: Victim, folder: Path, kills: int, seed: int = 0) -> Toll:
    """Kill `victim` as often as asked, all its processes at once, at random moments."""
    scene, toll, rng = Scene(victim, folder), Toll(), Random(seed)
    scene.begin()
    while toll.kills < kills and not toll.wrong:
        pid = scene.start()
        deadline = time.monotonic() + rng.uniform(0, scene.duration_s * rng.choice((0.3, 1)))
        code = _wait_until(scene, pid, deadline)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        if code is None:
            code = scene.wait(pid)
            toll.kills += code == -signal.SIGKILL
        try:
            assert code in {DONE, -signal.SIGKILL}, scene.words
            toll.acknowledged += code != DONE and len(scene.acknowledged)
            scene.judge()
            if code == DONE:
                scene.ends_alike()
                toll.finished += 1
                toll.acknowledged += len(scene.acknowledged)
                scene.begin()
        except (AssertionError, MecliError) as error:
            toll.wrong = (f"after kill {toll.kills}: {error}",)
    return toll


def _wait_until(scene: Scene, pid: int, deadline: float) -> int | None:
    """Return the exit code of `pid` if it ends by `deadline`."""
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return scene.ended(status)
        time.sleep(0.001)
    return None


def fill_often(victim: Victim, folder: Path, attempts: int, disk: Path | None = None) -> Toll:
    """Let the room that `victim` has end at a limit that rises from 0.

    `disk` is a small file system that is filled up to the limit; without one every file
    ends there, as with a quota. Each attempt must be refused in one line or finish; the
    next one, with room, goes on from there.
    """
    scene, toll = Scene(victim, folder, disk), Toll()
    sizes = [p.stat().st_size for p in scene.place.rglob("*") if p.is_file()]
    top = 3 * (sum(sizes) if disk else max(sizes))
    for step in range(attempts):
        limit = top * step * step // attempts**2
        scene.begin()
        try:
            with _no_more_than(limit, disk) as before:
                code = scene.wait(scene.start(before))
            assert code in {DONE, REFUSED}, f"exit code {code}: {scene.words}"
            assert code == DONE or scene.words.count("\n") == 1, scene.words
            toll.refused += code == REFUSED
            toll.acknowledged += len(scene.acknowledged)
            scene.judge()
            assert scene.wait(scene.start()) == DONE, scene.words
            scene.ends_alike()
            toll.finished += 1
        except (AssertionError, MecliError) as error:
            toll.wrong += (f"with room for {limit} bytes: {error}",)
    return toll


@contextlib.contextmanager
def _no_more_than(limit: int, disk: Path | None) -> Iterator[Callable[[], None]]:
    """Give `limit` bytes of room; yield what the process has to do to have no more."""
    if disk is None:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        return
    ballast, room = disk / "ballast", os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_bsize - limit))
    yield lambda: None
    ballast.unlink()
