"""Which checkpoint is meant: a file, the newest run's, or the one that mecli brings along."""

from __future__ import annotations

from pathlib import Path

import mecli
from mecli.errors import MissingDependency

BUNDLED = "bundled"
FINAL = "final.safetensors"


def find(name: str | Path) -> Path:
    """Return the file of checkpoint `name`; ``bundled`` is the one that mecli brings along."""
    if str(name) != BUNDLED:
        return Path(name)
    path = bundled()
    if not path.exists():
        raise MissingDependency(f"{path}: this installation has no bundled checkpoint")
    return path


def bundled() -> Path:
    """Return where the checkpoint that learned from synthetic faces alone lies."""
    return Path(mecli.__file__).parent / "weights" / "bundled.safetensors"


def newest(runs: Path) -> Path | None:
    """Return the checkpoint of the newest run below `runs` that has one."""
    found = sorted(runs.glob(f"*/{FINAL}"), key=lambda p: (p.parent.name[:15], p.parent.name))
    return found[-1] if found else None


def choose(named: str | Path | None, runs: Path) -> Path:
    """Return the checkpoint `named`, else the newest run's, else the bundled one."""
    if named is not None:
        return find(named)
    return newest(runs) or find(BUNDLED)
