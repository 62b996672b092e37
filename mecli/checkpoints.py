"""Which checkpoint is meant: a file, the newest run's, or one of those that mecli brings along.

Two come along, one for faces and one for ready-made flow images; ``bundled`` is whichever
suits what a clip holds.
"""

from __future__ import annotations

from pathlib import Path

import mecli
from mecli.errors import MissingDependency

BUNDLED = "bundled"
FACES = "bundled-faces"
MAPS = "bundled-maps"
SHIPPED = (BUNDLED, FACES, MAPS)
FINAL = "final.safetensors"
_FILES = {FACES: "bundled.safetensors", MAPS: "bundled-maps.safetensors"}


def meant(name: str | Path, *, maps: bool) -> str:
    """Return the checkpoint that `name` is for clips of flow images (`maps`) or of faces."""
    if str(name) != BUNDLED:
        return str(name)
    return MAPS if maps else FACES


def find(name: str | Path, *, maps: bool = False) -> Path:
    """Return the file of checkpoint `name` for clips of faces, or of flow images (`maps`)."""
    known = meant(name, maps=maps)
    if known not in _FILES:
        return Path(name)
    path = bundled(known)
    if not path.exists():
        raise MissingDependency(f"{path}: this installation has no bundled checkpoint")
    return path


def bundled(name: str = FACES) -> Path:
    """Return where the checkpoint `name` that learned from synthetic faces alone lies."""
    return Path(mecli.__file__).parent / "weights" / _FILES[name]


def name_of(path: Path) -> str:
    """Return the name of the checkpoint at `path`: that of a shipped one, else its path."""
    return next((name for name in _FILES if path == bundled(name)), str(path))


def newest(runs: Path) -> Path | None:
    """Return the checkpoint of the newest run below `runs` that has one."""
    found = sorted(runs.glob(f"*/{FINAL}"), key=lambda p: (p.parent.name[:15], p.parent.name))
    return found[-1] if found else None


def choose(named: str | Path | None, runs: Path, *, maps: bool = False) -> Path:
    """Return the checkpoint `named`, else the newest run's, else the one that comes along."""
    if named is not None:
        return find(named, maps=maps)
    return newest(runs) or find(BUNDLED, maps=maps)
