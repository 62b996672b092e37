"""The house has floors, and imports point strictly down."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mecli

ROOT = Path(mecli.__file__).parent

FLOORS = [
    {"errors", "__init__"},
    {
        "clips",
        "registry",
        "rois",
        "temporal",
        "folds",
        "metrics",
        "files",
        "guard",
        "kinds",
        "overheard",
        "calibration",
        "shards",
        "underway",
        "following",
        "interval_metrics",
    },
    {"records", "labels", "interfaces", "alignment", "flow", "quality", "spotting", "pictures"},
    {
        "video",
        "filming",
        "cache",
        "workers",
        "statistics",
        "predictions",
        "schemes",
        "magnification",
        "tracking",
        "head_motion",
        "doubts",
        "question",
        "outputs",
        "proposals",
        "spotter",
    },
    {
        "cluster",
        "corpora",
        "landmarks",
        "models",
        "synthesis",
        "flow_images",
        "caches",
        "footage",
        "runs",
        "checkpoints",
        "recipe",
    },
    {"whereabouts", "identity", "steps", "listing"},
    {"report", "training", "preprocess", "terminal", "motion"},
    {"leaks", "searching", "evidence", "sureness"},
    {"publish"},
    {
        "extract",
        "train",
        "evaluate",
        "spot_scores",
        "audit",
        "judging",
        "synth",
        "check",
        "info",
        "verify",
        "merge",
        "preview",
        "export",
        "zoo",
    },
    {"exhibits", "units", "bundle", "guide", "repair"},
    {"predict", "spot"},
    {"predictor", "doctor"},
    {"bench", "api"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.split(".")[0] == "mecli"]
    return {p[1] if len(p) > 1 and p[1] in FLOOR else "__init__" for p in parts}


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in modules()} <= set(FLOOR)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_strictly_down(path: Path) -> None:
    room = room_of(path)
    for other in imported_rooms(path) - {room}:
        assert FLOOR[other] < FLOOR[room], f"{path} on floor {FLOOR[room]} imports {other}"


@pytest.mark.parametrize(
    ("package", "only"),
    [("h5py", {"cache"}), ("av", {"video", "filming"}), ("ray", {"cluster"})],
)
def test_a_format_has_one_room_or_one_to_read_and_one_to_write(
    package: str, only: set[str]
) -> None:
    users = {
        room_of(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(a.name == package for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package)
    }
    assert users == only


def test_init_files_are_empty_but_for_the_version_and_the_schema_of_the_cache() -> None:
    for path in ROOT.rglob("__init__.py"):
        if path.parent not in {ROOT, ROOT / "cache"}:
            assert path.read_text() == ""
