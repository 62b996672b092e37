from __future__ import annotations

import pytest

from mecli import registry
from mecli.errors import MissingDependency, UnknownName, UsageError
from mecli.models.options import resolve
from mecli.training.selection import selectable

ENTRIES = [(kind, name) for kind, names in registry._KINDS.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_loads(kind: str, name: str) -> None:
    assert callable(registry.load(kind, name))


@pytest.mark.parametrize("name", registry.LANDMARKERS)
def test_every_landmarker_names_itself_its_paper_and_its_doi(name: str) -> None:
    landmarker = registry.load("landmarker", name)
    assert landmarker.name == name
    assert len(landmarker.paper) > 20
    assert landmarker.doi.startswith("10.")


def test_an_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(UnknownName, match=r"unknown protocol 'xyz' \(known: all, hde") as info:
        registry.load("protocol", "xyz")
    assert info.value.exit_code == UsageError.exit_code == 2
    with pytest.raises(UsageError, match=r"unknown protocol 'CDE': .* is 'loso' over all its cor"):
        registry.check_name("protocol", "CDE")
    assert MissingDependency.exit_code == 4


def test_solved_are_the_models_that_have_no_epochs() -> None:
    solved = []
    for name in registry.MODELS:
        model = registry.load("model", name)
        stages = model.stages(resolve(model, {}, None))
        if not selectable(stages):
            solved.append(name)
    assert tuple(solved) == registry.SOLVED
