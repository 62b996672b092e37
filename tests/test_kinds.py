from __future__ import annotations

from typing import Any

import pytest

from mecli.kinds import fits


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (3, "int"),
        (3, "float"),
        (0.5, "float"),
        (None, "int | None"),
        (7, "int | None"),
        ("runs", "Path"),
        ([], "tuple[str, ...]"),
        (["a", "b"], "tuple[Path, ...]"),
        ({"a": 1, "b": 0.5}, "Mapping[str, float]"),
        ({"a": [1]}, "Mapping[str, Any]"),
        (False, "bool"),
    ],
)
def test_what_a_document_may_say(value: Any, kinds: str) -> None:
    assert fits(value, kinds)


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (True, "int"),
        (True, "float"),
        (0.5, "int"),
        (1 << 63, "int"),
        (10**400, "float"),
        (float("inf"), "float"),
        (None, "int"),
        ("1", "int | None"),
        (1, "str"),
        (1, "bool"),
        ("ab", "tuple[str, ...]"),
        ([1], "tuple[Path, ...]"),
        ([["a", 1]], "Mapping[str, float]"),
        ({"a": "x"}, "Mapping[str, float]"),
        ({"a": 1}, "Mapping[str, str]"),
    ],
)
def test_what_it_may_not(value: Any, kinds: str) -> None:
    assert not fits(value, kinds)
