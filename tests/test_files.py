from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mecli.errors import InputError
from mecli.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"ä": [1, 2.5, None]})
    assert read_json(path) == {"ä": [1, 2.5, None]}
    write_text(path, "[]")
    assert read_json(path) == []
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    assert read_json(path) == 1


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\udcff"])
def test_broken_json_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"a\.json: cannot be read as JSON"):
        read_json(path)
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "none")
