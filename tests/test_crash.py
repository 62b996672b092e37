"""Kills, full disks, two writers at once; ``python -m tests.crash`` does it a thousand times."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mecli.cache import add, merge, open_cache, waiting_keys
from mecli.errors import NotWritten
from tests.crash import verbs
from tests.crash.victims import Extract, Train
from tests.records import make_record

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = {"steps": 1}
FORK = multiprocessing.get_context("fork")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and limits of Linux")


def crash(*words: str) -> str:
    """Run the program in a process of its own: it forks, which pytest's threads forbid."""
    command = [sys.executable, "-m", "tests.crash", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_kills_lose_nothing_and_the_end_is_the_same() -> None:
    told = crash("--kills", "6", "--only", "train", "checkpoint")
    assert told.count("nothing lost, nothing unreadable") == 2
    assert told.endswith(" kills, 0 wrong\n")


@pytest.mark.slow
def test_files_that_end_early_are_refused_in_one_line_and_done_again() -> None:
    told = crash("--full", "2", "--only", "merge", "checkpoint")
    assert told.count("2 finished alike; nothing lost, nothing unreadable") == 2


@pytest.mark.slow
def test_verbs_without_room_or_in_a_closed_folder_refuse_in_one_line() -> None:
    asked = ["merge", "export folders", "preview page", "evaluate page"]
    command = [sys.executable, "-m", "tests.crash.verbs", *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("refusals in one line, then done") == len(asked)


@pytest.mark.parametrize(
    ("code", "said", "left", "why"),
    [
        (3, "mecli: a.h5: cannot be written: no\n", [], ""),
        (3, "note\nmecli: .: no room for it\nwrote b\n", ["b"], ""),
        (0, "", [], "exit code 0"),
        (-7, "", [], "exit code -7"),
        (3, "mecli: a.h5: is broken\n", [], "does not say"),
        (3, "mecli: a: cannot be\nmecli: b: cannot be\n", [], "does not say"),
        (3, "mecli: a: cannot be\n", [".a.1.tmp"], "leaves"),
        (3, "mecli: a: cannot be\nwrote a\n", [], "says that it wrote {'a'}"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    code: int, said: str, left: list[str], why: str
) -> None:
    assert why in verbs.wrong(code, said, left)
    assert bool(verbs.wrong(code, said, left)) == bool(why)


CARELESS = """
import sys, time
from pathlib import Path
from tests.crash.drive import fill_often, kill_often

class Careless:
    def prepare(self, home): pass
    def begin(self, home, place): pass
    def work(self, home, place, acknowledge):
        with (place / "a").open("wb", buffering=0) as file:
            for k in range(100):
                acknowledge(str(k))
                time.sleep(.001)
                file.write(b"x" * 100)
    def judge(self, place, acknowledged):
        if acknowledged:
            size = (place / "a").stat().st_size
            assert size >= 100 * len(acknowledged), f"lost {len(acknowledged)}"
    def result(self, place):
        return {"a": (place / "a").read_bytes()}

folder = Path(sys.argv[1])
print(kill_often(Careless(), folder / "k", 5).wrong)
print(fill_often(Careless(), folder / "f", 2).wrong)
"""


def test_a_victim_that_acknowledges_too_early_is_found_out(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CARELESS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    killed, filled = done.stdout.splitlines()
    assert "after kill" in killed
    assert "lost" in killed
    assert "with room for 0 bytes: exit code 1" in filled
    assert "File too large" in filled


def _write(path: str, writer: int) -> None:
    for k in range(12):
        add(Path(path), make_record(f"toy/s{writer}/c{k:02}", steps=1), f"{writer}{k:02}", OPTIONS)
        if k % 3 == 2:
            merge(Path(path), OPTIONS)


def _read(path: str) -> None:
    seen = 0
    while seen < 24:
        with open_cache(Path(path)) as cache:
            clips = [cache.check(clip_id) for clip_id in cache.clip_ids]
        assert len(clips) >= seen
        seen = len(clips)


def test_two_writers_and_a_reader_share_a_cache(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    merge(path, OPTIONS)
    others: list[tuple[Callable[..., None], tuple[object, ...]]] = [
        (_write, (str(path), 1)), (_write, (str(path), 2)), (_read, (str(path),)),
    ]  # fmt: skip
    running = [FORK.Process(target=work, args=given) for work, given in others]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    alone = tmp_path / "alone.h5"
    _write(str(alone), 2)
    _write(str(alone), 1)
    assert path.read_bytes() == alone.read_bytes()
    assert waiting_keys(path) == set()


def _as_nobody(path: str, pipe: int) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    with open_cache(Path(path)) as cache:
        assert cache.check("toy/s1/a").ok
    for work in (
        lambda: add(Path(path), make_record(), "k", OPTIONS),
        lambda: merge(Path(path), OPTIONS, drop=["toy/s1/a"]),
    ):
        try:
            work()
        except NotWritten as error:
            os.write(pipe, f"{error}\n".encode())
    # A coverage tool would end by writing where nobody may.
    os._exit(0)


def test_a_folder_that_is_closed_to_us_is_read_but_not_written(tmp_path: Path) -> None:
    top = Path(tempfile.gettempdir())
    for folder in (tmp_path, *(f for f in tmp_path.parents if f.is_relative_to(top) and f != top)):
        folder.chmod(0o755)
    path = tmp_path / "c.h5"
    add(path, make_record(), "k", OPTIONS)
    merge(path, OPTIONS)
    before = path.read_bytes()
    (tmp_path / "c.h5.lock").chmod(0o444)
    tmp_path.chmod(0o555)
    ours, its = os.pipe()
    process = FORK.Process(target=_as_nobody, args=(str(path), its))
    process.start()
    process.join(60)
    os.close(its)
    tmp_path.chmod(0o755)
    assert process.exitcode == 0
    said = os.read(ours, 1 << 12).decode().splitlines()
    os.close(ours)
    assert len(said) == 2
    assert all("c.h5" in line and "Permission denied; name another place" in line for line in said)
    assert path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["extract", "train"])
def test_sigterm_ends_with_143_and_leaves_what_goes_on(tmp_path: Path, verb: str) -> None:
    path, runs = tmp_path / "c.h5", tmp_path / "runs"
    if verb == "extract":
        Extract().prepare(tmp_path)
        words = ["extract", str(tmp_path / "clips.csv"), "-o", str(tmp_path / "out.h5")]
        words += ["--landmarks", "embedded"]
    else:
        Train().prepare(tmp_path)
        words = ["train", "-c", str(path), "--runs", str(runs), "--model", "ststnet"]
        words += ["--epochs", "200"]
    command = [sys.executable, "-m", "mecli", *words, "-j", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finished() -> int:
        folds = len(list(runs.glob("*/folds/*/*.json")))
        return len(waiting_keys(tmp_path / "out.h5")) + folds

    deadline = time.monotonic() + 200
    while not finished():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, b"Traceback" in said) == (143, False)
    kept = finished()
    assert kept
    if verb == "train":
        command = [sys.executable, "-m", "mecli", "train", "--resume", str(*runs.iterdir())]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told.get("unchanged", kept) == kept
    assert told["clips"] == (6 if verb == "extract" else 12)
