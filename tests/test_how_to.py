"""Every how-to of the guide is done as it stands, on corpora small enough to do it in seconds.

A block that needs what not everybody has begins with a line ``# needs …`` and is only parsed
(see test_guide).
"""

from __future__ import annotations

import csv
import glob
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.guide import topics
from tests.moving_records import record, records, write_cache
from tests.test_guide import blocks, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNNER = CliRunner()
SHARES = 8
DONE_ELSEWHERE = {"tutorial"}
# A command that stands for several jobs is done once for each.
_JOB = "SLURM_ARRAY_TASK_ID"
_NEEDS = "# needs "


def steps(topic: str) -> Iterator[tuple[str, int]]:
    """Yield every command of a page with the number of its job, as a scheduler would start it."""
    for block in blocks(text_of(topic), "console"):
        if block.startswith(_NEEDS):
            continue
        for line in block.splitlines():
            for job in range(1, SHARES + 1 if _JOB in line else 2):
                yield line.removeprefix("$ "), job


def do(line: str) -> None:
    """Do what a shell does with a line: variables, file names, one `>`."""
    command, _, target = line.partition(" > ")
    words = [
        name
        for word in shlex.split(os.path.expandvars(command))
        for name in (sorted(glob.glob(word)) or [word])  # noqa: PTH207 as a shell does it
    ]
    assert words[0] == "mecli"
    result = RUNNER.invoke(cli.app, words[1:], prog_name="mecli")
    assert result.exit_code == 0, f"{line}: {result.stderr}"
    if target:
        Path(target).write_text(result.stdout)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, three pairs of frames each, as CASME II ships them."""
    place = tmp_path_factory.mktemp("faces") / "CASME2"
    words = f"synth {place} --subjects 2 --clips 3 --pairs-only --distractors 0 -j 0"
    result = RUNNER.invoke(cli.app, [*words.split(), "--format", "casme2"])
    assert result.exit_code == 0, result.stderr
    return place


def give_cache(name: str) -> Callable[[Path, Path], None]:
    """Return what puts a cache of known movements in place."""

    def give(_sample: Path, _faces: Path) -> None:
        write_cache(Path(name), records())

    return give


def give_faces(_sample: Path, faces: Path) -> None:
    shutil.copytree(faces, "CASME2")


def give_data(sample: Path, faces: Path) -> None:
    """Put a manifest with its classes, three corpora and four caches in place."""
    shutil.copytree(sample / "clips", "clips")
    with (sample / "annotation.csv").open() as file:
        every = [row for row in csv.DictReader(file) if row["Filename"][:3] in {"s01", "s02"}]
    rows = list({(row["Subject"], row["Class"]): row for row in every}.values())
    (header, _) = blocks(text_of("own-data"), "text")[0].splitlines()
    lines = [
        ",".join(
            [f"clips/{row['Filename']}.mp4", row["Subject"],
             *(str(int(row[f"{moment}Frame"]) - 1) for moment in ("Onset", "Apex", "Offset")),
             row["Class"], "100"]
        )
        for row in rows
        if row["OnsetFrame"]
    ]  # fmt: skip
    Path("manifest.csv").write_text("\n".join([header, *lines]))
    classes = sorted({row["Class"] for row in rows if row["OnsetFrame"]})
    Path("mine.csv").write_text("label,class\n" + "".join(f"{c},my {c}\n" for c in classes))
    give_faces(sample, faces)
    for corpus in ("SAMM", "SMIC/HS"):
        for place, clip in enumerate(sorted(faces.rglob("EP*"))):
            shutil.copytree(clip, Path(corpus) / ("happy", "sad")[place % 2] / f"p{place}" / "a")
    for name in ("casme2", "samm"):
        made = [record(f"s{s}", f"c{c}", (s + c) % 3, corpus=name) for s in (0, 1) for c in (0, 1)]
        write_cache(Path(f"{name}.h5"), made)
    write_cache(Path("part1.h5"), records()[:4])
    write_cache(Path("part2.h5"), records()[4:])


GIVEN: dict[str, Callable[[Path, Path], None]] = {
    "own-data": give_data,
    "own-model": give_cache("mecli.h5"),
    "cluster": give_faces,
    "gpu": give_cache("mecli.h5"),
    "options": give_cache("mecli.h5"),
    "honesty": give_cache("megc.h5"),
    "results": lambda _sample, _faces: None,
    "synthetic": lambda _sample, _faces: None,
}


def test_every_page_that_shows_commands_is_done() -> None:
    shown = {topic for topic in topics.TOPICS if blocks(text_of(topic), "console")}
    assert shown == GIVEN.keys()
    with_sh = {topic for topic in topics.TOPICS if blocks(text_of(topic), "sh")}
    assert with_sh == DONE_ELSEWHERE


def test_what_is_not_done_says_what_it_needs() -> None:
    every = [block for topic in GIVEN for block in blocks(text_of(topic), "console")]
    needy = [block.splitlines()[0] for block in every if block.startswith("#")]
    assert needy == [
        "# needs a Ray cluster",
        "# needs the flow images, which are not ours to ship",
        "# needs half an hour and a shell",
    ]
    lines = [line for topic in GIVEN for line, _ in steps(topic)]
    assert len(lines) > 20
    assert all(re.fullmatch(r"mecli [^|&;<]*", line) for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("topic", GIVEN)
def test_a_how_to_is_done_as_it_stands(
    topic: str, sample: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in ("EXTRACT", "TRAIN", "AUDIT", "VERIFY", "SYNTH"):
        monkeypatch.setenv(f"MECLI_{verb}_JOBS", "0")
    monkeypatch.setenv("MECLI_SYNTH_PAIRS_ONLY", "true")  # two frames a clip do as well
    GIVEN[topic](sample, faces)
    for line, job in steps(topic):
        monkeypatch.setenv(_JOB, str(job))
        do(line)
