"""What a verb does when stdin, stdout or stderr is full, gone or was never there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MECLI = f"{sys.executable} -m mecli"
FULL = "standard output: cannot be written: No space left on device"

pytestmark = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="has no device that is always full"
)


def shell(line: str, folder: Path) -> tuple[int, str]:
    """Run `line` in bash, where ``&GONE`` is a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        ["bash", "-c", line.replace("GONE", str(writer))], cwd=folder, capture_output=True,
        text=True, check=False, timeout=120, pass_fds=[writer],
    )  # fmt: skip
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", ["", "--help", "--version", "extract --help", "guide formats"])
def test_what_is_asked_before_any_verb_meets_a_full_stdout_too(words: str, tmp_path: Path) -> None:
    code, said = shell(f"{MECLI} {words} > /dev/full", tmp_path)
    assert code == 3
    assert said.startswith(f"mecli: {FULL}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", ["--help", "--version"])
def test_a_reader_of_help_may_leave(words: str, tmp_path: Path) -> None:
    assert shell(f"{MECLI} {words} >&GONE", tmp_path) == (141, "")


@pytest.mark.parametrize(("words", "code"), [("info nope.h5", 4), ("info --bad", 2)])
@pytest.mark.parametrize("stderr", ["2> /dev/full", "2>&-", "2>&GONE"])
def test_nobody_has_to_hear_an_error(words: str, code: int, stderr: str, tmp_path: Path) -> None:
    assert shell(f"{MECLI} {words} {stderr}", tmp_path) == (code, "")


def test_a_closed_stdout_is_one_line(tmp_path: Path) -> None:
    code, said = shell(f"{MECLI} --help >&-", tmp_path)
    assert code == 3
    assert said.startswith("mecli: standard output: cannot be written: Bad file descriptor")
    assert said.count("\n") == 1


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    # The lock of a merge would be file 2 otherwise, and what is said would be written there.
    (tmp_path / "a.h5").write_bytes(b"no cache")
    code, _ = shell(f"{MECLI} merge a.h5 -o b.h5 <&- 2>&-", tmp_path)
    assert code == 3
    assert all(p.name == "a.h5" or not p.stat().st_size for p in tmp_path.iterdir())


def test_a_working_folder_that_is_gone_is_told_where_it_matters(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    code, said = shell(f"cd deep; rmdir ../deep; {MECLI} --version; {MECLI}", tmp_path)
    assert code == 3
    assert said == "mecli: the working folder has been removed; change into another one\n"
