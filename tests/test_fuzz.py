"""Readers hold out against damaged files; ``python -m tests.fuzz`` reads as many as one likes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from mecli.errors import InputError
from tests.fuzz.drive import damaged
from tests.fuzz.mutate import mutate
from tests.fuzz.readers import READERS, Reader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and limits of Linux")


@pytest.mark.parametrize("name", [n for n in READERS if n != "checkpoint"])
def test_sound_files_are_read_and_damage_can_be_repeated(tmp_path: Path, name: str) -> None:
    reader = READERS[name]
    seeds = reader.seeds()
    for file, data in seeds.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(data)
    for file in seeds:
        if file not in reader.kept:
            reader.read(tmp_path, file)
    assert damaged(reader, seeds, 3) == damaged(reader, seeds, 3)
    assert len({damaged(reader, seeds, number)[1] for number in range(40)}) > 20


def end_as(what: str) -> Reader:
    """Return a reader that goes wrong in one way."""

    def read(folder: Path, _: str) -> None:
        if what == "dies of signal 11":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "hangs":
            time.sleep(60)
        if what == "writes ":
            Path(os.environ["ELSEWHERE"]).write_text(folder.name)
        if what == "KeyError: 'a bug'":
            raise KeyError("a bug")
        raise InputError("two\nlines are made one")

    return Reader(lambda: {"a": b"sound"}, read, patience=0.05)


@pytest.mark.parametrize(
    "what", ["dies of signal 11", "hangs", "writes ", "KeyError: 'a bug'", "nothing"]
)
def test_what_goes_wrong_is_found(tmp_path: Path, what: str) -> None:
    code = (
        "from pathlib import Path; from tests.fuzz.drive import drive\n"
        f"from tests.test_fuzz import end_as; reader = end_as({what!r})\n"
        f"print(drive(reader, 2, keep=Path({str(tmp_path)!r})).wrong)"
    )
    elsewhere = {**os.environ, "ELSEWHERE": str(tmp_path.parent / "elsewhere")}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=elsewhere
    )
    assert told.stdout.count(what) == 2 * (what != "nothing")
    assert len(list(tmp_path.iterdir())) == 2 * (what != "nothing")


def test_damage_never_leaves_what_it_was_given_alone_for_long() -> None:
    rng = Random(1)
    made = [mutate(bytes(range(200)), rng, [b"other" * 20]) for _ in range(200)]
    assert sum(data != bytes(range(200)) for data in made) > 190


@pytest.mark.slow
def test_no_damaged_file_hangs_crashes_or_leads_elsewhere() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "all", "--n", "200"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("; 0 wrong") == len(READERS)
