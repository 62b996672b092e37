from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mecli
from mecli import api
from tests.records import make_record

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOM_OF: Mapping[str, str] = vars(api)["_ROOM_OF"]


def test_every_name_is_there_and_every_verb_has_its_options() -> None:
    for name, room in ROOM_OF.items():
        found = getattr(api, name)
        assert found is getattr(sys.modules[f"mecli.{room}"], name)
        if name.endswith("Options") and name != "SpotScoreOptions":  # which needs its truth
            assert dataclasses.is_dataclass(found())
    with pytest.raises(AttributeError, match=r"'mecli\.api' has no attribute 'extarct'"):
        _ = getattr(api, "extarct")  # noqa: B009 a type checker would not let it through


def test_a_type_checker_is_told_every_name_and_where_it_comes_from() -> None:
    stub = ast.parse(Path(api.__file__).with_suffix(".pyi").read_text())
    told = {
        name.asname: f"{line.module}"
        for line in stub.body
        if isinstance(line, ast.ImportFrom)
        for name in line.names
    }
    assert told == {name: f"mecli.{room}" for name, room in ROOM_OF.items()}


def test_functions_take_and_give_what_their_types_say(tmp_path: Path) -> None:
    # Checked by mypy as much as by running it.
    from mecli import cache

    path = tmp_path / "c.h5"
    cache.add(path, make_record("toy/s1/a"), "a", {})
    cache.merge(path, {})
    options: api.VerifyOptions = api.VerifyOptions(jobs=0)
    assert [one.problems for one in api.verify([str(path)], options)] == [()]
    assert api.repair([str(path)], options) == []
    cards = api.models(api.ZooOptions(model="ststnet"))
    assert [card.name for card in cards] == ["ststnet"]


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, mecli\n"
        "assert 'mecli.api' not in sys.modules\n"
        "mecli.api.ExtractOptions\n"
        "heavy = {'torch', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert mecli.api is api
