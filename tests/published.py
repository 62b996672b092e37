"""Outputs held against the JSON Schemas that the package publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import mecli

FOLDER = Path(mecli.__file__).parent / "schemas_json"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def check(name: str, document: Any) -> None:
    """Fail unless `document` is what the schema called `name` says."""
    Draft202012Validator(schema(name)).validate(document)
