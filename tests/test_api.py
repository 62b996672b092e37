from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

import mecli
from mecli import api


def test_every_name_is_there_and_every_verb_has_its_options() -> None:
    for name, room in api._ROOM_OF.items():
        found = getattr(api, name)
        assert found is getattr(sys.modules[f"mecli.{room}"], name)
        if name.endswith("Options"):
            assert dataclasses.is_dataclass(found())
    with pytest.raises(AttributeError, match=r"'mecli\.api' has no attribute 'extarct'"):
        _ = api.extarct


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
