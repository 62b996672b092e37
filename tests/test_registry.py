from __future__ import annotations

import pytest

from mecli import registry
from mecli.errors import MissingDependency, UnknownName, UsageError

ENTRIES = [(kind, name) for kind, names in registry._KINDS.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_loads(kind: str, name: str) -> None:
    assert callable(registry.load(kind, name))


def test_an_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(UnknownName, match=r"unknown protocol 'xyz' \(known: all, hde") as info:
        registry.load("protocol", "xyz")
    assert info.value.exit_code == UsageError.exit_code == 2
    with pytest.raises(UsageError, match=r"unknown protocol 'CDE': .* is 'loso' over all its cor"):
        registry.check_name("protocol", "CDE")
    assert MissingDependency.exit_code == 4
