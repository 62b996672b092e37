"""What is acknowledged outlasts a power cut; ``python -m tests.crash --power`` cuts a thousand."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.test_crash import crash

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and /proc of Linux")


@pytest.mark.slow
def test_power_cuts_lose_nothing_that_was_acknowledged() -> None:
    told = crash("--power", "40", "--only", "merge", "checkpoint")
    assert told.count("nothing lost, nothing unreadable") == 2
    assert told.endswith(" power cuts, 0 wrong\n")


UNSYNCED = """
import os, sys
from pathlib import Path
from mecli import files
from tests.crash.power import cut_often

class Writer:
    def prepare(self, home): pass
    def begin(self, home, place): (place / "old").write_bytes(b"old")
    def work(self, home, place, acknowledge):
        self.write(place)
        acknowledge(self.name)
    def judge(self, place, acknowledged):
        if acknowledged:
            found = (place / self.name).read_bytes() if (place / self.name).exists() else None
            assert found == b"new" * 99, f"lost {found}"
        assert (place / "old").read_bytes() == b"old"
    def result(self, place):
        return {self.name: (place / self.name).read_bytes()}

class InPlace(Writer):
    name = "a"
    def write(self, place): (place / "a").write_bytes(b"new" * 99)

class Renamed(InPlace):
    def write(self, place):
        (place / "b").write_bytes(b"new" * 99)
        (place / "b").replace(place / "a")
        files.sync_folder(place)

class Synced(InPlace):
    def write(self, place):
        with (place / "a").open("wb") as file:
            file.write(b"new" * 99)
            file.flush()
            os.fsync(file.fileno())

class Below(Writer):
    name = "sub/a"
    def write(self, place):
        (place / "sub").mkdir()
        files.write_bytes(place / "sub/a", b"new" * 99)

class Sound(Writer):
    name = "sub/deep/a"
    def write(self, place):
        files.write_bytes(place / "gone/a", b"gone")
        for left in (place / "gone").iterdir():
            left.unlink()
        (place / "gone").rmdir()
        files.write_bytes(place / "sub/deep/a", b"new" * 99)

for number, kind in enumerate((InPlace, Renamed, Synced, Below, Sound)):
    print(kind.__name__, len(cut_often(kind(), Path(sys.argv[1]) / str(number), 60).wrong) > 0)
"""


def test_what_is_not_made_to_last_is_found_out(tmp_path: Path) -> None:
    command = [sys.executable, "-c", UNSYNCED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = dict(line.split() for line in done.stdout.splitlines())
    assert found == {
        "InPlace": "True", "Renamed": "True", "Synced": "True", "Below": "True", "Sound": "False",
    }  # fmt: skip
