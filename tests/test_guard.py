from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from mecli import guard
from mecli.errors import InputError, UnknownName

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks of Linux")


class Book:
    """What is asked in these tests."""

    def __init__(self, path: Path | None = None) -> None:
        if path is not None and not path.exists():
            raise InputError(f"{path}: no such book")
        self.asked = 0

    def page(self, number: int) -> tuple[int, int]:
        self.asked += 1
        return self.asked, number

    def pid(self) -> int:
        return os.getpid()

    def crash(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def loop(self) -> None:
        while True:
            pass

    def work(self, seconds: float) -> float:
        start = time.process_time()
        while time.process_time() - start < seconds:
            pass
        return time.process_time() - start

    def swallow(self) -> int:
        return len(np.ones(1 << 28, np.uint8))

    def stumble(self) -> None:
        raise KeyError("a bug")

    def stumbling(self) -> threading.Lock:
        return threading.Lock()

    def refuse(self) -> None:
        raise UnknownName("book", "b", ["a"])


def guarded(cpu_s: int = 5, memory: int = guard.MEMORY) -> guard.Guarded:
    return guard.Guarded(Book, "book.h5", cpu_s, memory)


def test_an_object_lives_and_answers_elsewhere() -> None:
    book = guarded()
    assert book.ask("page", 7) == (1, 7)
    assert book.ask("page", 8) == (2, 8)
    assert book.ask("pid") == book.pid != os.getpid()
    book.close()
    assert not Path(f"/proc/{book.pid}").exists()
    book.close()


def test_a_crash_is_told_as_often_as_one_asks() -> None:
    book = guarded()
    for _ in range(2):
        with pytest.raises(InputError, match=r"^book\.h5: crashed its reader \(SIGSEGV\); the"):
            book.ask("crash")
    book.close()


def test_one_that_is_killed_between_two_answers_is_told() -> None:
    book = guarded()
    os.kill(book.pid, signal.SIGKILL)
    with pytest.raises(InputError, match=r"crashed its reader \(SIGKILL\)"):
        book.ask("page", 1)
    book.close()


def test_what_never_ends_is_ended() -> None:
    book = guarded(cpu_s=0)
    with pytest.raises(InputError, match="took its reader more than 0 s of processor time"):
        book.ask("loop")
    book.close()


def test_each_answer_has_its_own_time() -> None:
    book = guarded(cpu_s=1)
    for _ in range(3):
        assert book.ask("work", 0.8) >= 0.8
    book.close()


def test_what_takes_too_much_memory_is_refused_and_goes_on() -> None:
    book = guarded(memory=64 << 20)
    with pytest.raises(InputError, match=r"^book\.h5: takes more memory to read than it may"):
        book.ask("swallow")
    assert book.ask("page", 1) == (1, 1)
    book.close()


def test_errors_are_raised_where_one_asks_and_bugs_keep_their_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such book"):
        guard.Guarded(lambda: Book(tmp_path / "none"), "book.h5")
    book = guarded()
    with pytest.raises(UnknownName, match=r"unknown book 'b'.*\(known: a\)"):
        book.ask("refuse")
    with pytest.raises(KeyError, match="in stumble"):
        book.ask("stumble")
    book.close()


def test_one_call_is_made_elsewhere() -> None:
    assert guard.call(os.getpid, what="x") != os.getpid()
    assert guard.call(divmod, 7, 2, what="x") == (3, 1)
    with pytest.raises(ZeroDivisionError):
        guard.call(divmod, 7, 0, what="x")


def test_elsewhere_than_linux_it_lives_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    book = guarded()
    assert book.ask("pid") == os.getpid()
    book.close()


def test_it_answers_until_nobody_asks() -> None:
    ours, its = Pipe()
    before: list[int] = []
    answering = threading.Thread(target=guard.serve, args=(Book, its, lambda: before.append(1)))
    answering.start()
    assert ours.recv() == (None, None)
    ours.send(("page", (3,)))
    assert ours.recv() == ((1, 3), None)
    ours.send(("stumble", ()))
    assert "in stumble" in ours.recv()[1].__notes__[0]
    ours.send(("refuse", ()))
    assert not hasattr(ours.recv()[1], "__notes__")
    ours.close()
    answering.join(60)
    assert not answering.is_alive()
    assert len(before) == 4


ORPHANS = """
import os, signal
from tests.test_guard import guarded
books = [guarded() for _ in range(3)]
print(*(book.pid for book in books), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_none_outlives_a_parent_that_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHANS], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    left = [Path(f"/proc/{pid}/cmdline") for pid in done.stdout.decode().split()]
    assert len(left) == 3
    deadline = time.monotonic() + 60
    while any(path.exists() and path.read_bytes() for path in left):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_patience_grows_with_what_a_file_fills_on_the_disk(tmp_path: Path) -> None:
    sparse, full = tmp_path / "sparse", tmp_path / "full"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    full.write_bytes(bytes(40 << 20))
    least = guard.CPU_S + 1
    assert guard.patience_s([sparse]) == guard.patience_s([tmp_path / "none"]) == least
    assert guard.patience_s([full]) == least + 4


def test_an_answer_that_cannot_travel_is_told_as_the_bug_it_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    book = guarded()
    with pytest.raises(InputError, match=r"crashed its reader \(exit code 1\)"):
        book.ask("stumbling")
    assert "cannot pickle" in capfd.readouterr().err
    book.close()
