"""Hostile files are answered by one line; ``python -m tests.hostile`` prints every answer."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.hostile.__main__ import wrong

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and limits of Linux")


@pytest.mark.parametrize(
    ("code", "said", "peak", "why"),
    [
        (3, "mecli: a.h5: is broken\n", 1, ""),
        (0, "", 1, "exit code 0"),
        (-11, "", 1, "exit code -11"),
        (3, "Traceback\nmecli: broken\n", 1, "is not one line"),
        (3, "mecli: something else\n", 1, "expected 'broken'"),
        (3, "mecli: broken\n", 2 << 30, "takes 2048 MiB"),
    ],
)
def test_an_answer_is_one_line_that_names_the_fault(
    code: int, said: str, peak: int, why: str
) -> None:
    assert why in wrong(code, said, peak, "broken")
    assert bool(wrong(code, said, peak, "broken")) == bool(why)


@pytest.mark.slow
def test_every_hostile_file_is_answered() -> None:
    command = [sys.executable, "-m", "tests.hostile"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    summary = re.search(r"(\d+) hostile files, 0 answered wrongly", told.stdout)
    assert summary
    assert int(summary[1]) >= 85
