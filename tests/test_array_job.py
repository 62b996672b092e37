"""The array job of the guide, line by line: two tasks extract, one command merges, two train."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

from mecli.extract import ExtractOptions, extract
from tests.test_guide import commands, run, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

_TASK, _TASKS = "$SLURM_ARRAY_TASK_ID", 2


def lines() -> Iterator[list[str]]:
    """Yield the commands of the guide as the tasks of a job with two of them would run them."""
    for words in commands(text_of("cluster")):
        array = any(_TASK in word for word in words)
        for task in range(1, _TASKS + 1) if array else [0]:
            told = [w.replace(f"{_TASK}/8", f"{task}/{_TASKS}") for w in words]
            yield [w.replace(_TASK, str(task)).replace("CASME2/", "clips.csv") for w in told]


def test_the_array_job_of_the_guide_does_what_one_job_does(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "subject", "onset", "apex", "offset", "fps", "label"])
        for k, path in enumerate(sorted((sample / "clips").glob("s0[12]_0[123].mp4"))):
            label = ("happiness", "disgust", "surprise")[k % 3]
            table.writerow([path, f"p{k % 2}", 0, 2, 5, 100, label])
    asked = {"extract": ["--steps", "3", "-j", "0"], "train": ["-j", "1"]}
    done = []
    for words in lines():
        if "--cluster" in words:
            continue
        files = sorted(p.name for p in tmp_path.glob("part*.h5"))
        given = [w for word in words for w in (files if word == "part*.h5" else [word])]
        epochs = ["--epochs", "1"] if "--shard" in words and words[0] == "train" else []
        told = run(*given, *asked.get(words[0], []), *epochs, "--json")
        assert told.exit_code == 0, (given, told.output)
        done.append(words[0])
    assert done == [*["extract"] * 2, "merge", "verify", *["train"] * 3, "evaluate"]
    alone = tmp_path / "alone.h5"
    extract(["clips.csv"], alone, ExtractOptions(jobs=0, steps=3))
    assert (tmp_path / "megc.h5").read_bytes() == alone.read_bytes()
    assert json.loads((tmp_path / "runs/mine/run.json").read_text())["status"] == "complete"
