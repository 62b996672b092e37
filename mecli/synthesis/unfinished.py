"""What an interrupted `synth` has rendered already, so that the same command goes on from there.

Beside the corpus, `.synth/` holds what is asked for and one note a finished job; it goes when
every clip is there.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mecli import files
from mecli.errors import InputError
from mecli.synthesis.action_units import Action
from mecli.synthesis.motion import Event
from mecli.synthesis.studio import Shot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ASKED = "asked.json"


def begin(folder: Path, asked: Mapping[str, Any]) -> None:
    """Forget what was unfinished in `folder` and note what is asked for now."""
    shutil.rmtree(_place(folder), ignore_errors=True)
    files.write_json(_place(folder) / _ASKED, asked)


def goes_on(folder: Path, asked: Mapping[str, Any]) -> bool:
    """Whether `folder` holds the beginning of exactly what is `asked` for (plain JSON)."""
    path = _place(folder) / _ASKED
    return path.is_file() and bool(files.read_json(path) == asked)


def note(folder: Path, number: int, shots: Sequence[Shot]) -> None:
    """Note that job `number` is done and what the annotation says of its clips."""
    files.write_json(_place(folder) / f"{number:06d}.json", [asdict(shot) for shot in shots])


def noted(folder: Path, number: int) -> list[Shot] | None:
    """Return the shots of a job that was done before, None if it was not."""
    path = _place(folder) / f"{number:06d}.json"
    if not path.is_file():
        return None
    try:
        return [_shot(told) for told in files.read_json(path)]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is no note of a rendered clip; remove it") from error


def end(folder: Path) -> None:
    """Remove the notes: everything is there."""
    shutil.rmtree(_place(folder))


def _place(folder: Path) -> Path:
    return folder / ".synth"


def _shot(told: dict[str, Any]) -> Shot:
    rows = [
        Event(**{**row, "actions": tuple(Action(*action) for action in row["actions"])})
        for row in told["rows"]
    ]
    return Shot(**{**told, "rows": tuple(rows)})
